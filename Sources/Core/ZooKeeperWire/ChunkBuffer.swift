/// The bytes of a stream between their arrival and their decoding: chunks go in at the back,
/// decoders take from the front.
///
/// A chunk that arrives while nothing is left is taken over without a copy. What a chunk leaves
/// over is moved at most once for as many bytes consumed, so a stream costs linear time whatever
/// its chunks are, and at most twice the undecoded bytes are held.
struct ChunkBuffer {
    private(set) var bytes: [UInt8] = []
    private(set) var position = 0

    var count: Int { bytes.count - position }

    mutating func append(_ chunk: [UInt8]) {
        if count == 0 {
            bytes = chunk
            position = 0
        } else if position > 0 && position >= count {
            var joined: [UInt8] = []
            joined.reserveCapacity(count + chunk.count)
            joined.append(contentsOf: bytes[position...])
            joined.append(contentsOf: chunk)
            bytes = joined
            position = 0
        } else {
            bytes.append(contentsOf: chunk)
        }
    }

    /// Not beyond the end.
    mutating func advance(by count: Int) {
        position += count
        precondition(position <= bytes.count, "more bytes were consumed than had arrived")
        if position == bytes.count {
            // Lets the chunk go, rather than hold it until the next one.
            bytes = []
            position = 0
        }
    }

    func reader(maxLengthBytes: Int) -> JuteReader {
        JuteReader(bytes, in: position..<bytes.count, maxLengthBytes: maxLengthBytes)
    }
}
