internal import Journal
internal import Replication
internal import Zab
internal import ZooKeeperModel
internal import Znodes
internal import ZooKeeperWire

/// One server of the simulated ensemble: the same replica and journal as in production, over a disk
/// that forgets what was not synced.
struct SimulatedServer {
    let index: Int
    let id: ServerID
    var disk: SimulatedDisk
    var process: ServerProcess?
    /// How often it was started; inputs meant for an earlier life are dropped.
    var life = 0

    init(index: Int, disk: SimulatedDisk) {
        self.index = index
        id = ServerID(rawValue: Int64(index + 1))
        self.disk = disk
    }
}

/// What a server has in memory: gone with a crash.
struct ServerProcess {
    var replica: Replica
    let journal: Journal
    /// Frames of clients, by connection.
    var clients: [ConnectionID: ClientStream] = [:]
    /// Learner connections by their network number, seen from this end.
    var peers: Set<UInt64> = []
    var pendingStorage: [StorageRequest] = []
    /// Waits for the requests before it.
    var pendingTruncation: Zxid?
    var storageUnderWay: StorageWork?
    var plannedWake: Instant?

    struct ClientStream {
        var decoder: FrameDecoder
        var isGreeted = false
        var isPaused = false
        var awaitsSession = false
        var takesFrames: Bool { !isPaused && !awaitsSession }
    }
    enum StorageWork {
        case requests([StorageRequest])
        case truncate(Zxid)
    }
}

/// Carries what the journal finds into the state that a replica starts from.
struct SimulatedRecovery: RecoveryVisitor {
    var state = RecoveredState()

    mutating func beginSnapshot(zxid: Zxid) { state.beginSnapshot(zxid: zxid) }

    mutating func visit(_ element: SnapshotElement) throws(RecoveryRefusal) {
        do throws(TreeSnapshotError) {
            try state.add(element)
        } catch {
            throw RecoveryRefusal(error.reason)
        }
    }

    mutating func endSnapshot(zxid: Zxid) throws(RecoveryRefusal) {
        do throws(TreeSnapshotError) {
            try state.endSnapshot(zxid: zxid)
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

    static func recover(_ journal: Journal) throws(JournalError) -> RecoveredState {
        var visitor = SimulatedRecovery()
        let summary = try journal.recover(&visitor)
        visitor.state.finish(
            acceptedEpoch: summary.acceptedEpoch,
            currentEpoch: summary.currentEpoch
        )
        return visitor.state
    }
}
