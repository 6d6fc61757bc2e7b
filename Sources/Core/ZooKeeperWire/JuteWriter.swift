package import ZooKeeperModel

/// Appends jute to an array; the counterpart of ``JuteReader``, where the encoding is described.
///
/// One writer collects many frames: the server encodes all replies of a turn behind one another
/// and hands ``bytes`` to the socket at once.
package struct JuteWriter {
    package var bytes: [UInt8]

    package init() { bytes = [] }
    package init(capacityBytes: Int) {
        bytes = []
        bytes.reserveCapacity(capacityBytes)
    }

    package mutating func byte(_ value: UInt8) { bytes.append(value) }
    package mutating func bool(_ value: Bool) { bytes.append(value ? 1 : 0) }

    package mutating func int32(_ value: Int32) {
        bytes.append(addingCapacity: 4) { $0.appendBigEndian(value) }
    }
    package mutating func int64(_ value: Int64) {
        bytes.append(addingCapacity: 8) { $0.appendBigEndian(value) }
    }
    package mutating func zxid(_ value: Zxid) { int64(value.rawValue) }

    /// Without a length.
    package mutating func raw(_ content: [UInt8]) { bytes.append(contentsOf: content) }
    package mutating func raw(_ content: ArraySlice<UInt8>) { bytes.append(contentsOf: content) }

    package mutating func buffer(_ content: [UInt8]?) {
        guard let content else { return int32(-1) }
        length(content.count)
        bytes.append(contentsOf: content)
    }

    package mutating func string(_ text: String) {
        let utf8 = text.utf8
        length(utf8.count)
        bytes.append(contentsOf: utf8)
    }

    package mutating func path(_ path: ZnodePath) { buffer(path.bytes) }

    /// Nil is the null vector.
    package mutating func vectorCount(_ count: Int?) { length(count ?? -1) }

    package mutating func paths(_ paths: [ZnodePath]) {
        length(paths.count)
        for path in paths { self.path(path) }
    }

    /// Lengths come from values in memory, which the wire's bounds keep far below 2³¹.
    private mutating func length(_ count: Int) { int32(Int32(count)) }
}

// MARK: Frames

extension JuteWriter {
    /// Where a frame's length goes once it is known.
    package struct OpenFrame {
        fileprivate let position: Int
    }

    /// Leaves room for the length. Every frame begun is ended, by ``endFrame(_:)``.
    package mutating func beginFrame() -> OpenFrame {
        let frame = OpenFrame(position: bytes.count)
        int32(0)
        return frame
    }

    package mutating func endFrame(_ frame: OpenFrame) {
        let length = UInt32(bytes.count - frame.position - 4)
        bytes[frame.position] = UInt8(truncatingIfNeeded: length >> 24)
        bytes[frame.position + 1] = UInt8(truncatingIfNeeded: length >> 16)
        bytes[frame.position + 2] = UInt8(truncatingIfNeeded: length >> 8)
        bytes[frame.position + 3] = UInt8(truncatingIfNeeded: length)
    }
}

extension OutputSpan<UInt8> {
    // Inlined for certain: out of line, the span's count goes through memory for every byte.

    /// The span must have room for four bytes.
    @inline(__always)
    mutating func appendBigEndian(_ value: Int32) {
        let bits = UInt32(bitPattern: value)
        append(UInt8(truncatingIfNeeded: bits >> 24))
        append(UInt8(truncatingIfNeeded: bits >> 16))
        append(UInt8(truncatingIfNeeded: bits >> 8))
        append(UInt8(truncatingIfNeeded: bits))
    }

    /// The span must have room for eight bytes.
    @inline(__always)
    mutating func appendBigEndian(_ value: Int64) {
        appendBigEndian(Int32(truncatingIfNeeded: value >> 32))
        appendBigEndian(Int32(truncatingIfNeeded: value))
    }
}
