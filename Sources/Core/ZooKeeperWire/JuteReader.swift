package import ZooKeeperModel

/// Reads jute, the encoding of all of ZooKeeper's records, from a range of an array it shares.
///
/// All integers are big-endian; a buffer, string or vector is a 32-bit length and its content, −1
/// being null; a record is its fields one after the other. Source: `zookeeper.jute` and the Java
/// archives' behaviour.
///
/// Whatever the bytes are, reading ends in a value or in a ``WireError``: every length is checked
/// against ``maxLengthBytes`` and against what is left before anything is allocated for it.
package struct JuteReader {
    /// What Apache allows a buffer or string by default: `jute.maxbuffer` and as much again.
    package static let defaultMaxLengthBytes = 2 * FrameDecoder.defaultMaxFrameBytes

    package let bytes: [UInt8]
    package private(set) var position: Int
    /// Invariant: `start <= position <= end <= bytes.count`.
    private let start: Int
    package let end: Int
    package let maxLengthBytes: Int
    /// Where a buffer that was cut off would end, as an offset; 0 as long as none was.
    private(set) var shortfallEnd = 0

    package init(_ bytes: [UInt8], maxLengthBytes: Int = JuteReader.defaultMaxLengthBytes) {
        self.init(bytes, in: 0..<bytes.count, maxLengthBytes: maxLengthBytes)
    }

    /// The range must lie within the array.
    package init(
        _ bytes: [UInt8],
        in range: Range<Int>,
        maxLengthBytes: Int = JuteReader.defaultMaxLengthBytes
    ) {
        precondition(
            range.lowerBound >= 0 && range.upperBound <= bytes.count,
            "the range \(range) is outside of \(bytes.count) bytes"
        )
        self.bytes = bytes
        position = range.lowerBound
        start = range.lowerBound
        end = range.upperBound
        self.maxLengthBytes = maxLengthBytes
    }

    /// How many bytes are left.
    package var remaining: Int { end - position }
    package var isAtEnd: Bool { position == end }
    /// How many bytes were read, which is also the offset that errors carry.
    package var offset: Int { position - start }

    package func error(_ reason: WireError.Reason, reading subject: StaticText) -> WireError {
        WireError(reason, at: offset, reading: subject)
    }
}

// MARK: Numbers

extension JuteReader {
    package mutating func byte() throws(WireError) -> UInt8 {
        guard position < end else { throw error(.truncated, reading: "a byte") }
        defer { position += 1 }
        return bytes[position]
    }

    /// Any byte but 0 is true.
    package mutating func bool() throws(WireError) -> Bool { try byte() != 0 }

    package mutating func int32() throws(WireError) -> Int32 {
        guard remaining >= 4 else { throw error(.truncated, reading: "an int") }
        defer { position += 4 }
        return Int32(bitPattern: word(at: position))
    }

    package mutating func int64() throws(WireError) -> Int64 {
        guard remaining >= 8 else { throw error(.truncated, reading: "a long") }
        defer { position += 8 }
        return Int64(bitPattern: UInt64(word(at: position)) << 32 | UInt64(word(at: position + 4)))
    }

    /// The four bytes must lie before `end`.
    @inline(__always)
    private func word(at index: Int) -> UInt32 {
        UInt32(bytes[index]) << 24 | UInt32(bytes[index + 1]) << 16
            | UInt32(bytes[index + 2]) << 8 | UInt32(bytes[index + 3])
    }

    package mutating func zxid() throws(WireError) -> Zxid { Zxid(rawValue: try int64()) }
    package mutating func timestamp() throws(WireError) -> Timestamp {
        Timestamp(rawValue: try int64())
    }
    package mutating func sessionID() throws(WireError) -> SessionID {
        SessionID(rawValue: try int64())
    }
}

// MARK: What carries a length

extension JuteReader {
    /// Null and empty are different values.
    package mutating func buffer() throws(WireError) -> [UInt8]? {
        guard let range = try lengthPrefixedRange() else { return nil }
        return Array(bytes[range])
    }

    /// Bytes that are not UTF-8 become U+FFFD, as for Java.
    package mutating func string() throws(WireError) -> String? {
        guard let range = try lengthPrefixedRange() else { return nil }
        return String(decoding: bytes[range], as: UTF8.self)
    }

    /// A string kept as bytes. Null is refused.
    package mutating func path() throws(WireError) -> ZnodePath {
        guard let range = try lengthPrefixedRange() else {
            throw error(.negativeLength, reading: "a path")
        }
        return ZnodePath(bytes: Array(bytes[range]))
    }

    /// As ``path()``, with null as the empty path, which setting and checking refuse as a bad
    /// argument. (To Apache's create and delete, a null path is a request it cannot read.)
    package mutating func pathOfWrite() throws(WireError) -> ZnodePath {
        ZnodePath(bytes: try buffer() ?? [])
    }

    /// The count of a vector, null being empty. A count of elements that could not fit in what is
    /// left counts as truncation. Every element takes at least `minimumElementBytes`.
    package mutating func vectorCount(minimumElementBytes: Int = 4) throws(WireError) -> Int {
        let count = Int(try int32())
        guard count != -1 else { return 0 }
        guard count >= 0 else { throw error(.negativeLength, reading: "a vector") }
        guard count <= maxLengthBytes / minimumElementBytes else {
            throw error(.tooLong, reading: "a vector")
        }
        guard count * minimumElementBytes <= remaining else {
            throw error(.truncated, reading: "a vector")
        }
        return count
    }

    package mutating func paths() throws(WireError) -> [ZnodePath] {
        let count = try vectorCount()
        var result: [ZnodePath] = []
        result.reserveCapacity(count)
        for _ in 0..<count { result.append(try path()) }
        return result
    }

    /// Passes over bytes without looking at them.
    package mutating func skip(_ count: Int) throws(WireError) {
        guard count >= 0 else { throw error(.negativeLength, reading: "bytes to skip") }
        guard count <= remaining else { throw error(.truncated, reading: "bytes to skip") }
        position += count
    }

    /// All that is left.
    package mutating func rest() -> [UInt8] {
        defer { position = end }
        return Array(bytes[position..<end])
    }

    /// Reads a length and passes over what it counts: its range in ``bytes``, nil for null.
    package mutating func lengthPrefixedRange() throws(WireError) -> Range<Int>? {
        let length = Int(try int32())
        guard length != -1 else { return nil }
        guard length >= 0 else { throw error(.negativeLength, reading: "a buffer") }
        guard length <= maxLengthBytes else { throw error(.tooLong, reading: "a buffer") }
        guard length <= remaining else {
            shortfallEnd = offset + length
            throw error(.truncated, reading: "a buffer")
        }
        let range = position..<(position + length)
        position = range.upperBound
        return range
    }
}
