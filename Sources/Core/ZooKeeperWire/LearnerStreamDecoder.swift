package import ZooKeeperModel

/// Decodes one direction of a learner connection from chunks cut anywhere.
/// ```swift
/// decoder.append(chunk)
/// while let message = try decoder.next() { … }
/// ```
/// Behind a leader's `.snapshot` the stream is a raw snapshot body and a signature. The body is
/// handed on as `.snapshotSlice`, as it comes in and without being decoded, then `.snapshotEnd`.
package struct LearnerStreamDecoder {
    /// A packet holds one transaction, the touched sessions of one tick, or a configuration.
    package static let defaultMaxPacketBytes = 1 << 26

    private enum Phase {
        case packets
        case snapshotBody(SnapshotBodyScanner)
        case snapshotSignature
    }
    private var phase = Phase.packets
    private var buffer = ChunkBuffer()
    /// See ``SnapshotBodyDecoder``.
    private var neededBytes = 0
    private var consumed = 0
    private let sender: LearnerCodec.Sender
    private let maxPacketBytes: Int

    /// `sender` is the other side.
    package init(
        from sender: LearnerCodec.Sender,
        maxPacketBytes: Int = LearnerStreamDecoder.defaultMaxPacketBytes
    ) {
        self.sender = sender
        self.maxPacketBytes = maxPacketBytes
    }

    package mutating func append(_ chunk: [UInt8]) { buffer.append(chunk) }

    /// How many bytes wait for the rest of their packet.
    package var bufferedBytes: Int { buffer.count }

    /// The next message, nil until more bytes have come. After an error the connection is to be
    /// closed.
    package mutating func next() throws(WireError) -> LearnerMessage? {
        switch phase {
        case .packets: return try nextPacket()
        case .snapshotBody(let scanner): return try nextSlice(scanner)
        case .snapshotSignature: return try signature()
        }
    }

    private mutating func nextPacket() throws(WireError) -> LearnerMessage? {
        while buffer.count > 0 && buffer.count >= neededBytes {
            var reader = buffer.reader(maxLengthBytes: maxPacketBytes)
            let message: LearnerMessage?
            do throws(WireError) {
                message = try LearnerCodec.decode(&reader, from: sender)
            } catch {
                guard error.reason == .truncated else { throw moved(error) }
                neededBytes = max(reader.shortfallEnd, buffer.count + 1)
                return nil
            }
            consume(reader.offset)
            guard let message else { continue }
            if case .snapshot = message { phase = .snapshotBody(SnapshotBodyScanner()) }
            return message
        }
        return nil
    }

    private mutating func nextSlice(
        _ scanner: SnapshotBodyScanner
    ) throws(WireError) -> LearnerMessage? {
        guard buffer.count > 0 else { return nil }
        var scanner = scanner
        let count: Int
        do throws(WireError) {
            count = try scanner.scan(buffer.bytes[buffer.position...])
        } catch {
            throw moved(error)
        }
        phase = scanner.isComplete ? .snapshotSignature : .snapshotBody(scanner)
        let slice = Array(buffer.bytes[buffer.position..<(buffer.position + count)])
        consume(count)
        return .snapshotSlice(slice)
    }

    private mutating func signature() throws(WireError) -> LearnerMessage? {
        let expected = LearnerCodec.snapshotSignature
        guard buffer.count >= expected.count else { return nil }
        let range = buffer.position..<(buffer.position + expected.count)
        guard buffer.bytes[range].elementsEqual(expected) else {
            throw WireError(.wrongMark, at: consumed, reading: "the end of a snapshot")
        }
        consume(expected.count)
        phase = .packets
        return .snapshotEnd
    }

    private mutating func consume(_ count: Int) {
        buffer.advance(by: count)
        consumed &+= count
        neededBytes = 0
    }

    /// With an offset from the connection's beginning.
    private func moved(_ error: WireError) -> WireError {
        WireError(error.reason, at: consumed &+ error.offset, reading: error.subject)
    }
}
