internal import Journal
internal import Replication
internal import Zab
internal import ZooKeeperModel
internal import ZooKeeperWire
internal import Znodes

/// One server of the simulated ensemble: the same replica and journal as in production, over a disk
/// that forgets what was not synced.
struct SimulatedServer {
    let index: Int
    let id: ServerID
    var disk: SimulatedDisk
    var clock: HostClock
    var process: ServerProcess?
    /// How often it was started; inputs meant for an earlier life are dropped.
    var life = 0
    /// What its disk really holds.
    var log = LogView()

    // Faults that are on.
    /// The process dies after so many more actions: in the middle of what one input leads to.
    var actionsToLive: (count: Int, kind: Death)?
    /// The next batch for the disk takes this long.
    var stall: Duration?
    var isDiskFull = false
    /// A leader's tree that is being written.
    var installing: Zxid?
    /// A call to the disk was made to fail: the process may stop because of it.
    var isDiskFailing = false
    /// What its disk held before it lost it: the server has not caught up since. What it said then
    /// may be counted even now.
    var lost: LogView?
    var isImpaired: Bool { lost != nil }

    enum Death: Hashable, Sendable { case powerLoss, kill }

    /// Whether it holds this durably, or did when it said so.
    func hasHeld(_ zxid: Zxid, epoch: Int64 = 0) -> Bool {
        [log, lost ?? log].contains { $0.currentEpoch >= epoch && $0.holdsDurably(zxid) }
    }

    /// Its disk loses what it holds.
    mutating func impair() { if lost == nil { lost = log } }

    init(index: Int, disk: SimulatedDisk, clock: HostClock) {
        self.index = index
        id = ServerID(rawValue: Int64(index + 1))
        self.disk = disk
        self.clock = clock
    }
}

/// What a server has in memory: gone with a crash.
final class ServerProcess {
    var replica: Replica
    let journal: PatientJournal
    /// Frames of clients, by connection.
    var clients: [ConnectionID: ClientStream] = [:]
    var pendingStorage: [StorageRequest] = []
    /// Waits for the requests before it.
    var pendingTruncation: Zxid?
    var storageUnderWay: StorageWork?
    var isWaitingForRoom = false
    /// Old snapshots and logs are removed when the disk has nothing else to do.
    var isPurgeDue = false
    var plannedWake: Instant?

    /// Inputs that came of the actions being carried out: they wait until those are done.
    var inbox: [ReplicaInput] = []
    var isHandling = false
    /// What a planted bug remembers.
    var bug: BugState

    // For checkers and coverage.
    var seenRole = ZabRole.looking
    var seenZxid = Zxid.zero
    var sessions = SessionChecker()
    /// How it is being brought up to date.
    var synchronization: ProtocolPhase?
    var hasLeader = false
    var sessionMoves = 0
    /// The last session's end that this leader proposed because of silence.
    var lastExpiry = Zxid.zero
    var phases: Set<ProtocolPhase> = []

    init(replica: Replica, journal: PatientJournal, bug: BugState) {
        self.replica = replica
        self.journal = journal
        self.bug = bug
    }

    /// Looks at the replica where it is: to read one of its properties through `replica` copies all of it.
    func look<Seen>(_ seen: (inout Replica) -> Seen) -> Seen { seen(&replica) }

    struct ClientStream {
        var decoder: FrameDecoder
        var isGreeted = false
        /// Once it was promised one.
        var session: SessionID?
        var isPaused = false
        var awaitsSession = false
        var takesFrames: Bool { !isPaused && !awaitsSession }
    }
    enum StorageWork {
        case requests([StorageRequest])
        case truncate(Zxid)
        case purge
        /// Is there room now for what waits for it?
        case resume
    }

    var isServing: Bool { seenRole.isServing }
}

extension ZabRole {
    var isServing: Bool {
        switch self {
        case .looking, .preparing: false
        case .leading, .following, .observing: true
        }
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

    static func recover(
        _ journal: Journal
    ) throws(JournalError) -> (state: RecoveredState, notes: [String]) {
        var visitor = SimulatedRecovery()
        let summary = try journal.recover(&visitor)
        visitor.state.finish(
            acceptedEpoch: summary.acceptedEpoch,
            currentEpoch: summary.currentEpoch,
            suffrage: summary.suffrage,
            ensemble: summary.ensemble
        )
        return (visitor.state, summary.notes)
    }
}
