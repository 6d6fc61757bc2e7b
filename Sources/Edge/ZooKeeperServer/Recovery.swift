internal import Journal
internal import Platform
internal import Replication
internal import Znodes
internal import ZooKeeperModel
internal import ZooKeeperWire

/// Carries what the journal finds into the state that a replica starts from.
struct RecoveryLoader: RecoveryVisitor {
    fileprivate(set) var state: RecoveredState

    /// The seed keeps strangers from choosing paths that collide in the tree's table.
    init(extendedTypes: Bool, hashSeed: UInt64) {
        state = RecoveredState(extendedTypes: extendedTypes, hashSeed: hashSeed)
    }

    mutating func beginSnapshot(zxid: Zxid) { state.beginSnapshot(zxid: zxid) }

    mutating func visit(_ element: SnapshotElement) throws(RecoveryRefusal) {
        do throws(TreeSnapshotError) {
            try state.add(element)
        } catch {
            throw RecoveryRefusal(error.reason)
        }
    }

    mutating func endSnapshot(zxid: Zxid, digestsHoldAfter: Zxid?) throws(RecoveryRefusal) {
        do throws(TreeSnapshotError) {
            try state.endSnapshot(zxid: zxid, digestsHoldAfter: digestsHoldAfter)
        } catch {
            throw RecoveryRefusal(error.reason)
        }
    }

    mutating func visit(
        _ transaction: Transaction,
        encoded: [UInt8]
    ) throws(RecoveryRefusal) {
        state.apply(transaction, bytes: encoded)
    }

    var treeDigest: TreeDigestValue? { state.treeDigest }
}

extension Journal {
    /// Recovers into the state that a replica starts from.
    func recoveredState(
        extendedTypes: Bool
    ) throws(JournalError) -> (state: RecoveredState, summary: RecoverySummary) {
        var random = SystemRandom()
        var loader = RecoveryLoader(extendedTypes: extendedTypes, hashSeed: random.next())
        let summary = try recover(&loader)
        loader.state.finish(
            acceptedEpoch: summary.acceptedEpoch,
            currentEpoch: summary.currentEpoch,
            suffrage: summary.suffrage,
            ensemble: summary.ensemble,
            digestMismatches: summary.digestMismatches
        )
        return (loader.state, summary)
    }
}
