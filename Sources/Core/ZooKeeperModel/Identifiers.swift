/// A client session. The creating server's id is the top byte; printed in hexadecimal.
public struct SessionID: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
    public var rawValue: Int64
    @inlinable public init(rawValue: Int64) { self.rawValue = rawValue }

    /// The wire's "no session", in a connect request that asks for a new one.
    public static let none = SessionID(rawValue: 0)

    @inlinable public static func < (left: SessionID, right: SessionID) -> Bool {
        left.rawValue < right.rawValue
    }
    public var description: String { "0x" + String(UInt64(bitPattern: rawValue), radix: 16) }
}

/// A member of the ensemble: the number in its `myid` file.
public struct ServerID: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
    public var rawValue: Int64
    @inlinable public init(rawValue: Int64) { self.rawValue = rawValue }

    @inlinable public static func < (left: ServerID, right: ServerID) -> Bool {
        left.rawValue < right.rawValue
    }
    public var description: String { String(rawValue) }
}

/// One accepted or opened connection. Numbers are given by the edge and never used twice in one
/// run of the process, so a late input for a closed connection is recognised.
public struct ConnectionID: RawRepresentable, Hashable, Comparable, Sendable,
    CustomStringConvertible
{
    public var rawValue: UInt64
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }

    @inlinable public static func < (left: ConnectionID, right: ConnectionID) -> Bool {
        left.rawValue < right.rawValue
    }
    public var description: String { "connection \(rawValue)" }
}
