/// What tells one ensemble from another that has members of the same numbers: a number drawn by the
/// first leader that had none, kept beside the log and told to every member of our make.
public struct EnsembleName: Hashable, Sendable {
    /// 0: none yet.
    public var number: Int64
    /// A quorum has it durably, so every later leader has: another name is another ensemble's.
    public var isSettled: Bool

    public init(number: Int64 = 0, isSettled: Bool = false) {
        self.number = number
        self.isSettled = isSettled
    }

    /// Whether both are known for good, and differ.
    public func contradicts(_ other: EnsembleName) -> Bool {
        isSettled && other.number != 0 && other.number != number
    }

    public var text: String { String(UInt64(bitPattern: number), radix: 16) }
}

/// The digest of a member's own tree after a transaction.
public struct HistoryMark: Hashable, Sendable {
    public var zxid: Zxid
    public var digest: Int64
    public init(zxid: Zxid, digest: Int64) {
        self.zxid = zxid
        self.digest = digest
    }
}
