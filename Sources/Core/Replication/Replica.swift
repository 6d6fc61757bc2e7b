import DequeModule
package import ZooKeeperModel
internal import Zab
internal import ZooKeeperWire
package import Znodes

/// One server of the ensemble. Pure: time, randomness and storage results arrive as inputs.
///
/// A write becomes a transaction on the leader (``RequestPreparation``), is agreed on and logged by
/// the Zab peer inside, applied to the tree when that says it is committed, and answered by the
/// server that holds the client's connection. Reads are answered from this server's tree. A server
/// alone takes the same way: it is an ensemble of one voter.
///
/// What clients may rely on, and where it is kept:
/// - A connection's replies come in the order of its requests. A request that has to wait makes
///   those behind it on the same connection wait, and nobody else (`Client.queue`).
/// - A client hears of a change before it can see it: the events of a transaction leave when it is
///   applied, before any reply made after that.
/// - Nothing is answered before it is committed, and it is not committed before a quorum, this
///   server's disk among them or not, has it durable. That is Zab's part.
/// - A session ends by a transaction only, in the same place of the order on every server.
///
/// It never reads a clock, iterates a hashed collection where the order could show, or trusts what
/// came from a client or peer to be well-formed.
///
/// Source: ZooKeeper's programmer's guide ("Consistency Guarantees") and the behaviour of Apache
/// ZooKeeper 3.8; the Zab papers for what stands below.
package struct Replica {
    let configuration: ReplicaConfiguration
    let sha1: @Sendable ([UInt8]) -> [UInt8]

    /// Of the input being handled.
    var now: ClockReading
    var database: RecoveredState
    var zab: ZabPeer
    var role = ZabRole.looking
    var watches = WatchTable()
    var clients = ClientTable()

    /// Whose requests are answered, by session. Exactly the clients that are `.serving`.
    var connectionOfSession: [SessionID: ConnectionID] = [:]
    /// Clients whose session is being made or looked up.
    var handshakes: [SessionID: ConnectionID] = [:]
    var nextSession: Int64
    /// When connections have been silent for too long. On a leader the same touch also keeps the
    /// session alive.
    var connectionExpiry: ExpiryBuckets<ConnectionID>
    /// Until then nobody is expired: this process itself has been away, and what clients sent
    /// meanwhile is still to be read.
    var expiryHeldUntil: Instant?

    /// Of this server's own clients.
    var locals: LocalSessions
    var readOnlyMode = ReadOnlyMode.off

    // On a leader.
    var tracker: SessionTracker
    var preparation: RequestPreparation
    /// Proposed and not delivered, oldest first.
    var prepared = Deque<PreparedTransaction>()
    /// Whom to tell once a proposal is applied, in the order of the proposals.
    var syncWaiters = Deque<SyncWaiter>()
    /// They grow as long as the process lives.
    var lastSyncTicket: UInt64 = 0
    var confirmedSyncTicket: UInt64 = 0
    var held = HeldRequests()
    /// Learners whose turn it is, until the end of what Zab wants done at the moment.
    var dueLearnerAnswers: [(learner: ConnectionID, message: LearnerMessage)] = []

    // On a learner.
    /// Requests sent to the leader, for each session in order. Their connection may be gone.
    var forwarded: [SessionID: Deque<ForwardedEntry>] = [:]
    /// Who waits for the leader's answers to sync, in order.
    var forwardedSyncs = Deque<ConnectionID>()
    /// Sessions to report at the leader's next ping, and the round of that.
    var touched: [SessionID: Int32] = [:]
    var touchRound = 1

    var snapshots: SnapshotWriting
    var install: SnapshotInstall?
    /// The connection over which a leader was reached.
    var leaderConnection: ConnectionID?

    /// Requests in the queues of all clients.
    var outstanding = 0
    /// Connections paused because of that, in the order in which they were.
    var pausedForOutstanding = Deque<ConnectionID>()
    var statistics = Statistics()
    var digestLog = DigestLog()
    var leadingSince: Instant?

    // Buffers that keep their storage from input to input.
    private var zabActions: [ZabAction] = []
    /// Empty: the room of those that were carried out last.
    private var performedZabActions: [ZabAction] = []
    private var isPerformingZabActions = false
    var changes: [TreeChange] = []
    var firedWatches: [FiredWatch] = []

    package init(
        configuration: ReplicaConfiguration,
        recovered: RecoveredState,
        sha1: @escaping @Sendable ([UInt8]) -> [UInt8],
        now: ClockReading
    ) {
        var recovered = recovered
        if recovered.acceptedEpoch == nil { recovered.finish() }
        self.configuration = configuration
        self.sha1 = sha1
        self.now = now
        zab = ZabPeer(
            configuration: configuration.ensemble,
            lastLoggedZxid: recovered.lastZxid,
            acceptedEpoch: recovered.acceptedEpoch ?? 0,
            currentEpoch: recovered.currentEpoch ?? 0,
            suffrage: recovered.suffrage,
            ensemble: recovered.ensemble,
            freshEnsemble: Self.freshEnsemble(configuration),
            recent: recovered.recent,
            committedLogCapacity: RecoveredState.recentLimit
        )
        database = recovered
        let tick = configuration.ensemble.tickTime
        tracker = configuration.makeSessionTracker()
        locals = LocalSessions(tick: tick)
        connectionExpiry = ExpiryBuckets(tick: tick)
        preparation = RequestPreparation(skipACL: configuration.skipACL)
        snapshots = SnapshotWriting(configuration: configuration)
        nextSession = Self.firstSession(configuration)
        showConfiguration()
    }

    /// Takes one input and appends what must be done to `actions`, in order.
    package mutating func handle(
        _ input: consuming ReplicaInput,
        at now: ClockReading,
        actions: inout [ReplicaAction]
    ) {
        self.now = now
        switch consume input {
        case .request(let id, let request): receive(request, from: id, &actions)
        case .start: start(&actions)
        case .wake:
            run(.wake, &actions)
            beginReadOnlyModeIfDue(&actions)
            expire(&actions)
            writeSnapshotSlices(&actions)

        case .clientConnected(let id, let address): accept(id, address: address)
        case .connectRequest(let id, let request): connect(request, from: id, &actions)
        case .clientDisconnected(let id): removeClient(id, &actions)
        case .drained(let id): drained(id, &actions)

        case .handOver: handOver(&actions)
        case .diskFull(let isFull): run(.diskFull(isFull), &actions)

        case .storage(let result): stored(result, &actions)
        case .recovered(let state):
            replaceDatabase(state)
            run(.truncated(lastZxid: database.lastZxid, recent: database.recent), &actions)
        case .truncationRefused: run(.truncationRefused, &actions)

        case .electionConnected(let server): run(.electionConnected(server), &actions)
        case .electionDisconnected(let server): run(.electionDisconnected(server), &actions)
        case .notification(let server, let notification):
            run(.notification(from: server, notification), &actions)
        case .learnerConnected(let id): run(.learnerConnected(id), &actions)
        case .fromLearner(let id, let message): run(.fromLearner(id, message), &actions)
        case .learnerDisconnected(let id): run(.learnerDisconnected(id), &actions)
        case .learnerDrained(let id):
            run(.learnerDrained(id), &actions)
            snapshots.resume(now: now.instant)
        case .leaderConnected(let id):
            leaderConnection = id
            run(.leaderConnected(id), &actions)
        case .fromLeader(let id, let message):
            statistics.received(message)
            // Of another name Zab has more to say.
            if case .ensemble(let name, let marks) = message,
                zab.ensemble?.contradicts(name) != true, let reason = contradiction(marks)
            {
                return actions.append(.halt(reason))
            }
            run(.fromLeader(id, message), &actions)
        case .leaderDisconnected(let id):
            if id == nil || id == leaderConnection { leaderConnection = nil }
            run(.leaderDisconnected(id), &actions)
        }
        resumeReading(&actions)
    }

    /// Puts what this member knows of the ensemble where clients look for it. No transaction: each
    /// member does so for itself, and no digest counts it.
    mutating func showConfiguration() {
        guard !configuration.ensemble.text.isEmpty else { return }
        database.tree.setConfiguration(
            configuration.ensemble.text,
            version: .zero,
            time: now.timestamp,
            changes: &changes
        )
        changes.removeAll()
    }

    /// The tree as it is now, for checkers and tools.
    package var tree: ZnodeTree { database.tree }

    /// When to send the next `.wake`, or nil while nothing is pending. A time in the past means: as
    /// soon as the inputs that wait already have been handled.
    ///
    /// Changes nothing. It is `mutating` because the replica is a class's property where it counts: to
    /// read there means to copy all of it first.
    package var nextDeadline: Instant? {
        mutating get {
            var deadline = zab.nextDeadline
            func consider(_ other: Instant?) {
                guard let other else { return }
                deadline = min(deadline ?? other, other)
            }
            consider(expiryHeldUntil ?? nextExpiry)
            consider(readOnlyDeadline)
            consider(snapshots.nextDeadline)
            return deadline
        }
    }

    private mutating func start(_ actions: inout [ReplicaAction]) {
        // A log beyond the current epoch alone is none: a synchronization was not finished.
        if let accepted = database.acceptedEpoch, accepted < database.lastZxid.epoch {
            actions.append(
                .halt(
                    "the epochs on disk contradict the log: accepted \(accepted), last "
                        + "transaction \(database.lastZxid)"
                )
            )
            return
        }
        statistics.counters.elections += 1
        updateReadOnlyMode()
        if zab.suffrage != .full {
            actions.append(
                .log(
                    .warning,
                    "this server's disk \(zab.suffrage == .none ? "holds nothing" : "was damaged"):"
                        + " its vote does not count until it is synchronized"
                )
            )
        }
        run(.start, &actions)
    }

    private mutating func stored(_ result: StorageResult, _ actions: inout [ReplicaAction]) {
        switch result {
        case .persisted(let zxid): run(.persisted(upTo: zxid), &actions)
        case .epochStored(let kind, let epoch): run(.epochStored(kind, epoch), &actions)
        case .logRead(let proposals, let isComplete):
            run(.logRead(proposals, isComplete: isComplete), &actions)
        case .snapshotSliceWritten: snapshots.sliceWritten(now: now.instant)
        case .snapshotStored(let zxid): snapshotStored(zxid, &actions)
        case .snapshotLost(let zxid): snapshotLost(zxid, &actions)
        case .failed(let reason): actions.append(.halt("the disk failed: \(reason)"))
        }
    }

    /// Hands an input to the Zab peer and carries out what it wants. What it wants can lead to
    /// further inputs for it; their actions follow those that are there already.
    mutating func run(_ input: ZabInput, _ actions: inout [ReplicaAction]) {
        zab.handle(input, at: now.instant, actions: &zabActions)
        guard !isPerformingZabActions else { return }
        isPerformingZabActions = true
        while !zabActions.isEmpty {
            // Two arrays in turns.
            var batch: [ZabAction] = []
            swap(&batch, &performedZabActions)
            swap(&batch, &zabActions)
            for index in batch.indices {
                perform(batch.take(at: index, leaving: .finishInstall), &actions)
            }
            batch.removeAll(keepingCapacity: batch.capacity <= 4096)
            performedZabActions = batch
        }
        sendDueAnswers(&actions)
        isPerformingZabActions = false
    }

    private mutating func perform(
        _ action: consuming ZabAction,
        _ actions: inout [ReplicaAction]
    ) {
        switch consume action {
        case .deliver(let proposal): deliver(proposal, &actions)
        case .append(let proposal):
            actions.append(.append(proposal))
            snapshots.appended(proposal)
            beginSnapshotIfDue(&actions)
        case .send(let id, .ensemble(let name, _)):
            // With the newest of this leader's history.
            actions.append(.send(id, .ensemble(name, marks: database.marks.all)))
        case .send(let id, let message):
            statistics.sent(message)
            actions.append(.send(id, message))
        case .sendNotification(let server, let notification):
            actions.append(.sendNotification(to: server, notification))
        case .connectToLeader(let server): actions.append(.connectToLeader(server))
        case .close(let id, let reason): actions.append(.close(id, reason: reason))
        case .reportDrained(let id): actions.append(.reportDrained(id))
        case .storeEnsemble(let name): actions.append(.storage(.storeEnsemble(name)))
        case .storeEpoch(let kind, let epoch): actions.append(.storage(.storeEpoch(kind, epoch)))
        case .readLog(let after, let through, let maxBytes):
            actions.append(.storage(.readLog(after: after, through: through, maxBytes: maxBytes)))
        case .truncate(let zxid):
            abandonSnapshot(&actions)
            actions.append(.truncate(to: zxid))
        case .beginInstall(let zxid): beginInstall(zxid, &actions)
        case .installSlice(let slice): installSlice(slice, &actions)
        case .finishInstall: finishInstall(&actions)
        case .abandonInstall: abandonInstall(&actions)
        case .startSnapshot(let learner): startSnapshot(for: learner)
        case .cancelSnapshot(let learner): snapshots.cancel(learner: learner, now: now.instant)
        case .roleChanged(let role): change(to: role, &actions)
        case .carried(let id, let message): carried(message, over: id, &actions)
        case .leadershipConfirmed(let ticket): leadershipConfirmed(ticket, &actions)
        case .proposalsWelcome: proposeHeld(&actions)
        case .handOverGivenUp(let reason):
            actions.append(.log(.warning, "this server goes on leading: \(reason)"))
        case .halt(let reason): actions.append(.halt(reason))
        }
    }
}

/// A transaction between its proposal and its delivery: the leader need not decode its own bytes.
struct PreparedTransaction: Sendable {
    var transaction: Transaction
    /// Who waits for it, if it is a client of this server.
    var connection: ConnectionID?
}

struct ForwardedEntry: Sendable {
    var connection: ConnectionID
    var cxid: Int32
    /// The newest proposal that this server had when it sent the request: no answer to it.
    var after: Zxid
}
