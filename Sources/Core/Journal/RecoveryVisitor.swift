package import ZooKeeperModel
package import ZooKeeperWire

/// Receives what ``Journal/recover(_:)`` finds, in this order: one snapshot, then every transaction
/// after it.
///
/// A snapshot's checksum stands at its end, so elements arrive before it is known to be good. Where
/// it turns out bad, an older one is begun: ``beginSnapshot(zxid:)`` means "forget everything".
package protocol RecoveryVisitor {
    mutating func beginSnapshot(zxid: Zxid)
    /// Throws where the element does not fit what came before; the snapshot then counts as bad.
    mutating func visit(_ element: SnapshotElement) throws(RecoveryRefusal)
    /// The snapshot is good: no further elements. After the transactions beyond `digestsHoldAfter` the
    /// tree's digest is that of all who hold the same; up to there the tree may be ahead. Nil: nobody
    /// knows how far it is ahead.
    mutating func endSnapshot(zxid: Zxid, digestsHoldAfter: Zxid?) throws(RecoveryRefusal)
    /// `encoded` is the log's entry: what a leader proposes to its learners. A transaction that
    /// the visitor refuses stops the recovery.
    mutating func visit(_ transaction: Transaction, encoded: [UInt8]) throws(RecoveryRefusal)
    /// The digest of the tree as it is now; nil where none is kept.
    var treeDigest: TreeDigestValue? { get }
}

/// Why a visitor cannot go on.
package struct RecoveryRefusal: Error, Hashable, Sendable {
    package var reason: String
    package init(_ reason: String) { self.reason = reason }
}

/// What ``Journal/recover(_:)`` found besides the tree.
package struct RecoverySummary: Hashable, Sendable {
    /// The zxid in the name of the snapshot that was loaded.
    package var snapshotZxid: Zxid
    /// The last transaction, or the snapshot's zxid where there is none after it.
    package var lastZxid: Zxid
    package var transactionCount: Int
    /// Bytes of the snapshot's file, for the choice between a diff and a snapshot.
    package var snapshotBytes: Int
    /// There was nothing at all: an empty snapshot was written.
    package var isFresh: Bool
    package var acceptedEpoch: Int64
    package var currentEpoch: Int64
    /// Whether this server's vote counts before a leader has brought it up to date.
    package var suffrage: Suffrage
    /// Of which ensemble this disk is; without a number where it does not say so.
    package var ensemble: EnsembleName
    /// How many digests differed from the tree's; the first one is in the notes.
    package var digestMismatches: Int
    /// Sentences for the operator: bad snapshots, a cut tail, removed leftovers.
    package var notes: [String]

    package init(
        snapshotZxid: Zxid,
        lastZxid: Zxid,
        transactionCount: Int = 0,
        snapshotBytes: Int = 0,
        isFresh: Bool = false,
        acceptedEpoch: Int64 = 0,
        currentEpoch: Int64 = 0,
        suffrage: Suffrage = .full,
        ensemble: EnsembleName = EnsembleName(),
        digestMismatches: Int = 0,
        notes: [String] = []
    ) {
        self.snapshotZxid = snapshotZxid
        self.lastZxid = lastZxid
        self.transactionCount = transactionCount
        self.snapshotBytes = snapshotBytes
        self.isFresh = isFresh
        self.acceptedEpoch = acceptedEpoch
        self.currentEpoch = currentEpoch
        self.suffrage = suffrage
        self.ensemble = ensemble
        self.digestMismatches = digestMismatches
        self.notes = notes
    }
}
