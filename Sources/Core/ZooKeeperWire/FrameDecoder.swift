/// Cuts a stream into frames: a 32-bit length, then that many bytes. Client connections and the
/// election channel are framed so.
///
/// Feed a chunk, then take frames until there is none:
/// ```swift
/// decoder.append(chunk)
/// while var frame = try decoder.next() { … }
/// ```
/// A frame is a reader over the chunk itself. A length out of bounds is refused as soon as it is
/// read, so between calls a decoder holds less than one frame and its length.
package struct FrameDecoder {
    /// Apache's default for `jute.maxbuffer`.
    package static let defaultMaxFrameBytes = 0xF_FFFF

    private var buffer = ChunkBuffer()
    private let maxFrameBytes: Int
    private var consumed = 0

    package init(maxFrameBytes: Int = FrameDecoder.defaultMaxFrameBytes) {
        self.maxFrameBytes = maxFrameBytes
    }

    package mutating func append(_ chunk: [UInt8]) { buffer.append(chunk) }

    /// How many bytes wait for the rest of their frame.
    package var bufferedBytes: Int { buffer.count }

    /// The next whole frame, nil until more bytes have come. After an error the stream has no
    /// frames any more: the connection is to be closed.
    package mutating func next() throws(WireError) -> JuteReader? {
        guard buffer.count >= 4 else { return nil }
        var header = JuteReader(
            buffer.bytes,
            in: buffer.position..<(buffer.position + 4),
            maxLengthBytes: 4
        )
        let length = Int(try header.int32())
        guard length >= 0 else {
            throw WireError(.negativeLength, at: consumed, reading: "a frame")
        }
        guard length <= maxFrameBytes else {
            throw WireError(.tooLong, at: consumed, reading: "a frame")
        }
        guard buffer.count - 4 >= length else { return nil }
        let start = buffer.position + 4
        let frame = JuteReader(
            buffer.bytes,
            in: start..<(start + length),
            maxLengthBytes: maxFrameBytes
        )
        buffer.advance(by: 4 + length)
        consumed &+= 4 + length
        return frame
    }
}
