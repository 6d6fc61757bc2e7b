import Journal
import Replication
import ZooKeeperModel
import ZooKeeperWire

/// Carries what the journal finds into the state that a replica starts from.
struct RecoveryLoader: RecoveryVisitor {
    private(set) var state: RecoveredState
    private let extendedTypes: Bool

    init(extendedTypes: Bool) {
        self.extendedTypes = extendedTypes
        state = RecoveredState(extendedTypes: extendedTypes)
    }

    mutating func beginSnapshot(zxid: Zxid) {
        state = RecoveredState(extendedTypes: extendedTypes)
    }
    mutating func visit(_ element: SnapshotElement) throws(RecoveryRefusal) {
        do {
            try state.add(element)
        } catch {
            throw RecoveryRefusal("\(error)")
        }
    }
    mutating func endSnapshot(zxid: Zxid) throws(RecoveryRefusal) {
        state.restoredSnapshot(zxid: zxid)
    }
    mutating func visit(
        _ transaction: Transaction, encoded: [UInt8]
    ) throws(RecoveryRefusal) {
        state.apply(transaction, bytes: encoded)
    }
    var treeDigest: TreeDigestValue? { TreeDigestValue(value: state.tree.digest) }
}

extension Journal {
    /// Recovers into the state that a replica starts from.
    func recoveredState(
        extendedTypes: Bool
    ) throws(JournalError) -> (state: RecoveredState, summary: RecoverySummary) {
        var loader = RecoveryLoader(extendedTypes: extendedTypes)
        let summary = try recover(&loader)
        var state = loader.state
        state.acceptedEpoch = summary.acceptedEpoch
        state.currentEpoch = summary.currentEpoch
        state.finish()
        return (state, summary)
    }
}
