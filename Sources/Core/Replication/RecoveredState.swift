package import ZooKeeperModel

/// What a server finds on its disk: the database after replay, and the promises kept beside it.
///
/// Recovery builds it in this order: `init`, `restoredSnapshot` and `add` for every element of the
/// newest valid snapshot, `apply` for every later transaction of the log, the epochs, `finish`.
package struct RecoveredState: Sendable {
    /// How many transactions are kept for learners that lag a little.
    package static let recentLimit = 500

    /// Session to timeout in milliseconds, as the transactions up to `lastZxid` have made it.
    package internal(set) var sessions: [SessionID: Int32] = [:]
    /// The last transaction in the database, committed or not.
    package internal(set) var lastZxid = Zxid.zero
    /// The newest transactions up to `lastZxid`, oldest first.
    package internal(set) var recent: [Proposal] = []
    /// Nil where the disk holds none: the epoch of `lastZxid` then counts.
    package var acceptedEpoch: Int64?
    package var currentEpoch: Int64?

    package init(extendedTypes: Bool = false) {}

    /// The elements of a snapshot that was begun at this zxid follow.
    package mutating func restoredSnapshot(zxid: Zxid) {
        lastZxid = zxid
        recent.removeAll()
    }

    /// A transaction of the log, in zxid order; one that is in the database already does nothing.
    package mutating func apply(_ transaction: Transaction, bytes: [UInt8]) {
        lastZxid = transaction.zxid
    }

    /// All has been read.
    package mutating func finish() {}
}
