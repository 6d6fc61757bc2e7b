/// A transaction's place in the total order: the leader's epoch in the upper 32 bits, a counter
/// within that epoch in the lower 32.
///
/// The wire carries it as a signed 64-bit integer. Epochs above 2³¹ would turn negative there, so
/// comparison is signed, as every ZooKeeper client compares it.
public struct Zxid: RawRepresentable, Hashable, Comparable, Sendable {
    public var rawValue: Int64

    @inlinable public init(rawValue: Int64) { self.rawValue = rawValue }

    @inlinable public init(epoch: Int64, counter: UInt32) {
        rawValue = epoch << 32 | Int64(counter)
    }

    public static let zero = Zxid(rawValue: 0)
    /// What the wire carries where no zxid is meant.
    public static let none = Zxid(rawValue: -1)

    @inlinable public var epoch: Int64 { Int64(bitPattern: UInt64(bitPattern: rawValue) >> 32) }
    @inlinable public var counter: UInt32 { UInt32(truncatingIfNeeded: rawValue) }
    /// The next zxid of the same epoch. A leader hands over before the counter is exhausted.
    @inlinable public var next: Zxid { Zxid(rawValue: rawValue &+ 1) }

    @inlinable public static func < (left: Zxid, right: Zxid) -> Bool {
        left.rawValue < right.rawValue
    }
}

extension Zxid: CustomStringConvertible {
    /// As ZooKeeper prints it: `0x` and lower-case hexadecimal without padding.
    public var description: String { "0x" + hexadecimal }
    /// As file names carry it: lower-case hexadecimal without prefix or padding.
    public var hexadecimal: String { String(UInt64(bitPattern: rawValue), radix: 16) }
}
