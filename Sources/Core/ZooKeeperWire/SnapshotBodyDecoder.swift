internal import ZooKeeperModel

/// Decodes a snapshot's body from chunks cut anywhere, and knows where it ends.
/// ```swift
/// decoder.append(chunk)
/// while let element = try decoder.next() { … }
/// if decoder.isComplete { rest = decoder.takeRemainder() }
/// ```
package struct SnapshotBodyDecoder {
    /// Above what any server is configured to hold in one znode.
    package static let defaultMaxLengthBytes = 1 << 28

    private enum Phase {
        case sessionCount
        case sessions(left: Int)
        case aclCount
        case acls(left: Int)
        case znodes
        case complete
    }
    private var phase = Phase.sessionCount
    private var buffer = ChunkBuffer()
    /// No element can be complete before so many bytes are there: an element that comes in many
    /// chunks is not tried again at each of them.
    private var neededBytes = 0
    private var consumed = 0
    private let maxLengthBytes: Int

    package init(maxLengthBytes: Int = SnapshotBodyDecoder.defaultMaxLengthBytes) {
        self.maxLengthBytes = maxLengthBytes
    }

    package mutating func append(_ chunk: [UInt8]) { buffer.append(chunk) }

    /// How many bytes of the body were decoded.
    package var decodedBytes: Int { consumed }

    package var isComplete: Bool {
        if case .complete = phase { true } else { false }
    }

    /// What came behind the body's end, once it is complete.
    package mutating func takeRemainder() -> [UInt8] {
        precondition(isComplete, "the snapshot's body has not ended yet")
        let remainder = Array(buffer.bytes[buffer.position...])
        buffer.advance(by: buffer.count)
        return remainder
    }

    /// The next element; nil at the end of the body and, before it, until more bytes have come.
    package mutating func next() throws(WireError) -> SnapshotElement? {
        while !isComplete {
            guard buffer.count >= neededBytes else { return nil }
            var reader = buffer.reader(maxLengthBytes: maxLengthBytes)
            do throws(WireError) {
                let element = try step(&reader)
                buffer.advance(by: reader.offset)
                consumed &+= reader.offset
                neededBytes = 0
                if let element { return element }
            } catch {
                guard error.reason == .truncated else {
                    throw WireError(
                        error.reason,
                        at: consumed &+ error.offset,
                        reading: error.subject
                    )
                }
                neededBytes = max(reader.shortfallEnd, buffer.count + 1)
                return nil
            }
        }
        return nil
    }

    /// Reads one count, element or the end. State changes only where all of it was there.
    private mutating func step(_ reader: inout JuteReader) throws(WireError) -> SnapshotElement? {
        switch phase {
        case .sessionCount:
            phase = .sessions(left: try count(&reader))
        case .sessions(left: 0):
            phase = .aclCount
        case .sessions(let left):
            let element = SnapshotElement.session(
                try reader.sessionID(),
                timeout: try reader.int32()
            )
            phase = .sessions(left: left - 1)
            return element
        case .aclCount:
            phase = .acls(left: try count(&reader))
        case .acls(left: 0):
            phase = .znodes
        case .acls(let left):
            let element = SnapshotElement.acl(id: try reader.int64(), try reader.acl())
            phase = .acls(left: left - 1)
            return element
        case .znodes:
            let path = try reader.path()
            guard path != .root else {
                phase = .complete
                return nil
            }
            return .znode(
                SnapshotZnode(
                    path: path.isRoot ? .root : path,
                    data: try reader.buffer(),
                    aclID: try reader.int64(),
                    stat: try reader.persistedStat()
                )
            )
        case .complete:
            break
        }
        return nil
    }

    private func count(_ reader: inout JuteReader) throws(WireError) -> Int {
        let count = try reader.int32()
        guard count >= 0 else { throw reader.error(.negativeLength, reading: "a snapshot's list") }
        return Int(count)
    }
}
