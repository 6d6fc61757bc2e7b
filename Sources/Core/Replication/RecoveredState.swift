package import ZooKeeperModel
package import ZooKeeperWire
package import Znodes

/// The database of one server: the tree, and which sessions there are.
///
/// Recovery builds it in this order: `init`, `beginSnapshot`, `add` for every element, `endSnapshot`,
/// then `apply` for every later transaction of the log. A snapshot that turns out bad half way is
/// followed by another `beginSnapshot`, which forgets everything. At last `finish` says what stands
/// beside the log.
///
/// Ephemerals whose session is not in the table, which only other software's files can hold, stay
/// here: whoever leads next ends those sessions by a transaction, so that all members agree.
package struct RecoveredState: Sendable {
    /// How many transactions are kept for learners that lag a little.
    package static let recentLimit = 500

    package internal(set) var tree: ZnodeTree
    /// Session to timeout in milliseconds, as the transactions up to `lastZxid` have made it.
    package internal(set) var sessions: [SessionID: Int32] = [:]
    /// The newest transactions up to `lastZxid`, oldest first; at most ``recentLimit``.
    package var recent: [Proposal] { Array(recentProposals.suffix(Self.recentLimit)) }
    private var recentProposals: [Proposal] = []
    /// Nil before `finish`.
    package internal(set) var acceptedEpoch: Int64?
    package internal(set) var currentEpoch: Int64?
    /// Whether this server's vote counts before a leader has brought it up to date.
    package private(set) var suffrage = Suffrage.full
    /// Of which ensemble it is; without a number where that is not known.
    package private(set) var ensemble = EnsembleName()
    /// Transactions whose digest differed from that of the tree they made.
    package internal(set) var digestMismatches: Int64 = 0
    /// Up to here a transaction's digest need not be that of the tree it made: the tree came from a
    /// leader that changed it while it sent it, and holds some later changes already. Nil while it
    /// is not known how far that goes.
    var digestsHoldAfter: Zxid? = .zero
    private(set) var marks = HistoryMarks()
    private var loader: SnapshotLoader?
    private let extendedTypes: Bool
    private let hashSeed: UInt64

    /// - Parameters:
    ///   - extendedTypes: as in ``ReplicaConfiguration``.
    ///   - hashSeed: unpredictable to clients, so that no choice of names makes lookups slow.
    package init(extendedTypes: Bool = false, hashSeed: UInt64 = 0) {
        self.extendedTypes = extendedTypes
        self.hashSeed = hashSeed
        tree = ZnodeTree(extendedTypes: extendedTypes, hashSeed: hashSeed)
    }

    /// The last transaction in the database, committed or not.
    package var lastZxid: Zxid { tree.lastZxid }
    package var treeDigest: TreeDigestValue { TreeDigestValue(value: tree.digest) }

    /// The elements of the snapshot named for this zxid follow.
    package mutating func beginSnapshot(zxid: Zxid) {
        loader = SnapshotLoader(extendedTypes: extendedTypes, hashSeed: hashSeed)
        tree = ZnodeTree(extendedTypes: extendedTypes, hashSeed: hashSeed)
        sessions = [:]
        recentProposals = []
        marks = HistoryMarks()
        digestMismatches = 0
    }

    /// The snapshot's next element. Throws where it does not fit what came before.
    package mutating func add(_ element: SnapshotElement) throws(TreeSnapshotError) {
        guard loader != nil else {
            throw TreeSnapshotError(reason: "an element outside of a snapshot")
        }
        try loader?.insert(element)
    }

    ///
    /// - Parameter digestsHoldAfter: up to here the tree may hold later changes already; nil where
    ///   nobody knows how far that goes.
    package mutating func endSnapshot(
        zxid: Zxid,
        digestsHoldAfter: Zxid?
    ) throws(TreeSnapshotError) {
        self.digestsHoldAfter = digestsHoldAfter
        guard let loader = loader.take() else {
            throw TreeSnapshotError(reason: "the end of a snapshot that was not begun")
        }
        for entry in loader.sessions { sessions[entry.session] = entry.timeout }
        tree = try loader.finish(zxid: zxid)
    }

    /// A transaction of the log, in zxid order, and its bytes.
    package mutating func apply(_ transaction: Transaction, bytes: [UInt8]) {
        var changes: [TreeChange] = []
        // Over another server's snapshot, which holds some later changes already, digests differ
        // for a while without meaning anything: whoever reads the files knows from where on not.
        let mismatches = digestMismatches
        _ = apply(transaction, changes: &changes)
        digestMismatches = mismatches
        // Learners are brought up to date from these: a hole here would become a hole there.
        if let last = recentProposals.last, !last.zxid.isFollowed(by: transaction.zxid) {
            recentProposals = []
        }
        recentProposals.append(Proposal(zxid: transaction.zxid, bytes: bytes))
        if recentProposals.count >= 2 * Self.recentLimit {
            recentProposals.removeFirst(recentProposals.count - Self.recentLimit)
        }
    }

    /// All has been read; the epochs come from their files, nil where there is none.
    package mutating func finish(
        acceptedEpoch: Int64? = nil,
        currentEpoch: Int64? = nil,
        suffrage: Suffrage = .full,
        ensemble: EnsembleName = EnsembleName(),
        digestMismatches: Int = 0
    ) {
        // A snapshot alone is one, too.
        if marks.isEmpty, lastZxid > .zero, digestsHoldAfter == lastZxid {
            marks.record(tree.digest, at: lastZxid)
        }
        self.suffrage = suffrage
        self.ensemble = ensemble
        self.digestMismatches = Int64(digestMismatches)
        self.acceptedEpoch = acceptedEpoch ?? lastZxid.epoch
        self.currentEpoch = currentEpoch ?? lastZxid.epoch
    }

    /// The one way in which a transaction changes a database.
    mutating func apply(_ transaction: Transaction, changes: inout [TreeChange]) -> ApplyResult {
        let result = tree.apply(transaction, changes: &changes)
        switch transaction.body {
        case .createSession(let timeout): sessions[transaction.session] = timeout
        case .closeSession: sessions[transaction.session] = nil
        case .create, .delete, .deleteContainer, .setData, .reconfigure, .setACL, .check, .error,
            .multi:
            break
        }
        guard let start = digestsHoldAfter, transaction.zxid > start else { return result }
        marks.record(tree.digest, at: transaction.zxid)
        if let digest = transaction.digest, digest.version == 2, digest.value != tree.digest {
            digestMismatches += 1
        }
        return result
    }

    /// A new database under the same settings.
    func emptied() -> RecoveredState {
        RecoveredState(extendedTypes: extendedTypes, hashSeed: hashSeed)
    }

    /// Sessions and timeouts as a snapshot lists them.
    var sortedSessions: [(session: SessionID, timeout: Int32)] {
        sessions.sorted { $0.key < $1.key }.map { (session: $0.key, timeout: $0.value) }
    }
}

extension Zxid {
    /// Whether this is the next of the same epoch, or the first of a later one.
    fileprivate func isFollowed(by other: Zxid) -> Bool {
        other.epoch == epoch ? other == next : other > self && other.counter <= 1
    }
}
