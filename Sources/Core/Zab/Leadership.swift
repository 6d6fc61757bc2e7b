internal import ZooKeeperModel

/// The leader's side: what it knows of itself and of each learner.
///
/// Its stages follow the papers: gather a quorum and choose an epoch above all they have promised
/// (discovery); hear from a quorum that none of them holds a newer history; bring each learner to
/// this history (synchronization, Synchronization.swift); and once a quorum holds it durably,
/// broadcast (LeaderBroadcast.swift).
struct Leadership: Sendable {
    enum Stage: Equatable, Sendable {
        /// Waiting for a quorum of FOLLOWERINFO.
        case gathering
        /// The epoch is chosen; its promise is on its way to the disk.
        case storingAcceptedEpoch
        /// LEADERINFO is out; waiting for a quorum of ACKEPOCH.
        case confirming
        /// Learners are brought to this history; waiting for a quorum of acknowledged NEWLEADER.
        case synchronizing
        case broadcasting
    }

    /// One connection of a learner.
    struct Learner: Sendable {
        enum Stage: Equatable, Sendable {
            case connected
            case introduced
            /// LEADERINFO sent.
            case offered
            /// ACKEPOCH received: the newest zxid of its log.
            case described(Zxid)
            /// The log on disk is asked whether it holds this, the newest of the learner's log.
            case searching(Zxid)
            /// Receiving a dump of the tree as it was then.
            case dumping(Zxid)
            /// It has this history up to here, or that is on its way. What follows is sent as fast as
            /// it leaves; nothing of it is held.
            case catchingUp(Zxid, isReading: Bool)
            /// NEWLEADER sent.
            case finishing
            /// NEWLEADER acknowledged: it holds this leader's history durably.
            case synced
        }
        let connection: ConnectionID
        var stage = Stage.connected
        var server = ServerID(rawValue: -1)
        var isObserver = false
        /// A follower of the configuration: counts in quorums.
        var isVoter = false
        /// Nil: of another make, and told of none.
        var ensemble: EnsembleName?
        /// Has promised not to hear any earlier epoch, and its history is no newer than ours.
        var isCommittedToEpoch = false
        /// UPTODATE was sent: it serves, and answers PINGs.
        var isWelcome = false
        var pings = PingCount()
        /// Any message before this keeps it alive.
        var deadline: Instant
        /// Everything of this epoch up to here is durable there.
        var acked = Zxid.zero
        /// The oldest broadcast proposal it has not acknowledged, and one to look at after that.
        var awaited: (zxid: Zxid, since: Instant)?
        var awaitedNext: (zxid: Zxid, since: Instant)?
        var output: OutputCredit
    }

    /// One piece of the log on disk for one learner.
    static let logReadLimitBytes = 1 << 20
    /// The counter is 32 bits wide; a new epoch begins well before its end.
    static let lastCounter: UInt32 = 0xffff_ff00

    var stage = Stage.gathering
    var epoch: Int64 = 0
    /// The history that this leader brings along, as it was elected with it.
    let initialEpoch: Int64
    let initialZxid: Zxid
    /// Its own acknowledgement of NEWLEADER: history and epoch are durable.
    var ownsEpoch = false
    private var currentEpochRequested = false
    /// Voters that were not taken in, since their disks belong to another ensemble.
    var strangers: [(voter: ServerID, ensemble: Int64)] = []
    /// Few, in order of connection.
    var learners: [Learner] = []
    /// Before broadcasting: see Deserters.swift.
    var deserters: [ServerID] = []
    var lastProposed = Zxid.zero
    /// When the present stage before broadcasting has taken too long.
    private var stageDeadline: Instant
    private var nextHalfTick: Instant
    private var isHalfTick = false
    /// This process was away, and everybody else was given more time for that. Not again before a
    /// half tick has passed as it should.
    private var hasGivenGrace = false
    var confirmation = Confirmation()
    var handOver: HandOver?
    /// Not before this is a hand-over begun that nobody commanded.
    var nextHandOver: Instant
    /// Set together with `failure`: for whom this server makes way.
    var successor: ServerID?
    /// Whom this server followed before it was elected.
    let predecessor: ServerID?
    let plannedCounter: UInt32
    private let windowBytes: Int
    /// The name of this epoch's ensemble, once the epoch is chosen.
    var ensemble: EnsembleName?
    /// Set once: why this leadership is over.
    var failure: String?
    let lastUsableCounter: UInt32

    init(
        ledger: Ledger,
        now: Instant,
        predecessor: ServerID?,
        plannedCounter: UInt32,
        windowBytes: Int,
        lastUsableCounter: UInt32
    ) {
        self.predecessor = predecessor
        self.plannedCounter = plannedCounter
        self.windowBytes = windowBytes
        nextHandOver = now
        initialEpoch = ledger.currentEpoch
        initialZxid = ledger.lastLogged
        self.lastUsableCounter = lastUsableCounter
        stageDeadline = now + ledger.configuration.initTimeout
        nextHalfTick = now + ledger.configuration.tickTime / 2
    }

    var role: ZabRole { stage == .broadcasting ? .leading(epoch: epoch) : .preparing }
    var nextDeadline: Instant {
        stage == .broadcasting ? nextHalfTick : min(nextHalfTick, stageDeadline)
    }

    func index(_ connection: ConnectionID) -> Int? {
        learners.firstIndex { $0.connection == connection }
    }

    // MARK: - Discovery

    mutating func connected(_ connection: ConnectionID, ledger: Ledger, now: Instant) {
        learners.append(
            Learner(
                connection: connection,
                deadline: now + ledger.configuration.learnerPatience,
                output: OutputCredit(windowBytes: windowBytes)
            )
        )
    }

    mutating func introduced(
        _ index: Int,
        _ info: LearnerInfo,
        ledger: inout Ledger,
        now: Instant,
        actions: inout [ZabAction]
    ) {
        guard learners[index].stage == .connected, info.server != ledger.me,
            (0..<Int64(Int32.max)).contains(info.acceptedEpoch)
        else { return drop(index, "an introduction out of place", &actions) }
        learners[index].stage = .introduced
        learners[index].server = info.server
        learners[index].isObserver = info.isObserver
        deserters.removeAll { $0 == info.server }
        learners[index].isVoter = !info.isObserver && ledger.quorum.contains(info.server)
        learners[index].ensemble = info.ensemble
        let connection = learners[index].connection
        if let earlier = learners.firstIndex(where: {
            $0.server == info.server && $0.connection != connection
        }) {
            drop(earlier, "replaced by a newer connection", &actions)
        }
        guard let index = self.index(connection) else { return }
        if isStranger(index, ledger, &actions) { return }
        if learners[index].isVoter {
            ledger.epochFloor = max(ledger.epochFloor, info.acceptedEpoch)
        }
        switch stage {
        case .gathering:
            chooseEpoch(ledger: &ledger, now: now, actions: &actions)
        case .storingAcceptedEpoch:
            break
        case .confirming, .synchronizing, .broadcasting:
            if learners[index].isVoter, info.acceptedEpoch > epoch {
                // It may not hear us, now or ever. A new epoch above its promise takes it in; else
                // the ensemble would go on one voter short for as long as this epoch lasts.
                failure = "voter \(info.server) has promised epoch \(info.acceptedEpoch)"
                return
            }
            offer(index, &actions)
        }
    }

    /// Observers do not count, nor do their promises.
    mutating func chooseEpoch(ledger: inout Ledger, now: Instant, actions: inout [ZabAction]) {
        guard stage == .gathering,
            ledger.quorum.isReached(by: { voter in
                voter == ledger.me
                    || learners.contains {
                        $0.server == voter && $0.isVoter && $0.stage == .introduced
                    }
            })
        else { return }
        epoch = max(ledger.acceptedEpoch, ledger.epochFloor, ledger.lastLogged.epoch) + 1
        guard epoch < Int64(Int32.max) else {
            failure = "the epochs are exhausted"
            return
        }
        lastProposed = Zxid(epoch: epoch, counter: 0)
        nameEnsemble(ledger)
        enter(.storingAcceptedEpoch, ledger, now)
        ledger.acceptedEpoch = epoch
        actions.append(.storeEpoch(.accepted, epoch))
    }

    mutating func epochStored(
        _ kind: EpochKind,
        _ stored: Int64,
        ledger: inout Ledger,
        now: Instant,
        actions: inout [ZabAction]
    ) {
        guard stored == epoch else { return }
        switch kind {
        case .accepted where stage == .storingAcceptedEpoch:
            enter(.confirming, ledger, now)
            for index in learners.indices where learners[index].stage == .introduced {
                offer(index, &actions)
            }
            checkEpochAcks(ledger: &ledger, now: now, actions: &actions)
        case .current:
            // The followers may have established the epoch without this disk.
            ownsEpoch = true
            settleEnsemble(&ledger, &actions)
            checkNewLeaderAcks(ledger: &ledger, now: now, actions: &actions)
            commitReady(ledger: &ledger, actions: &actions)
        case .accepted:
            break
        }
    }

    private mutating func offer(_ index: Int, _ actions: inout [ZabAction]) {
        learners[index].stage = .offered
        tellEnsemble(index, &actions)
        actions.append(.send(learners[index].connection, .leaderInfo(epoch: epoch)))
    }

    mutating func epochAcked(
        _ index: Int,
        lastZxid: Zxid,
        currentEpoch: Int64?,
        ledger: inout Ledger,
        now: Instant,
        actions: inout [ZabAction]
    ) {
        guard learners[index].stage == .offered else {
            return drop(index, "ACKEPOCH out of place", &actions)
        }
        if stage == .confirming, let currentEpoch {
            guard (currentEpoch, lastZxid) <= (initialEpoch, initialZxid) else {
                return drop(index, "its history is newer than the leader's", &actions)
            }
            // Without its current epoch the learner had promised this epoch before, perhaps to
            // another leader: that promise cannot be counted twice.
            learners[index].isCommittedToEpoch = learners[index].isVoter && lastZxid != .none
        }
        learners[index].stage = .described(lastZxid)
        switch stage {
        case .gathering, .storingAcceptedEpoch: preconditionFailure("ACKEPOCH before LEADERINFO")
        case .confirming: checkEpochAcks(ledger: &ledger, now: now, actions: &actions)
        case .synchronizing, .broadcasting:
            synchronize(index, lastZxid, ledger: &ledger, actions: &actions)
        }
    }

    private mutating func checkEpochAcks(
        ledger: inout Ledger,
        now: Instant,
        actions: inout [ZabAction]
    ) {
        guard stage == .confirming,
            ledger.quorum.isReached(by: { voter in
                voter == ledger.me
                    || learners.contains { $0.server == voter && $0.isCommittedToEpoch }
            })
        else { return }
        enter(.synchronizing, ledger, now)
        storeCurrentEpochWhenDurable(&ledger, &actions)
        for index in learners.indices {
            if case .described(let last) = learners[index].stage {
                synchronize(index, last, ledger: &ledger, actions: &actions)
            }
        }
    }

    /// The epoch names a history: were it durable first, a crash between the two would leave this
    /// server looking newer than those who hold more.
    mutating func storeCurrentEpochWhenDurable(
        _ ledger: inout Ledger,
        _ actions: inout [ZabAction]
    ) {
        guard stage == .synchronizing || stage == .broadcasting, !currentEpochRequested,
            ledger.lastPersisted >= initialZxid
        else { return }
        currentEpochRequested = true
        if let ensemble { ledger.storeEnsemble(ensemble, &actions) }
        actions.append(.storeEpoch(.current, epoch))
    }

    // MARK: - Time

    mutating func enter(_ next: Stage, _ ledger: Ledger, _ now: Instant) {
        stage = next
        stageDeadline = now + ledger.configuration.initTimeout
        // Before broadcasting the stage's deadline bounds everything.
        guard next == .broadcasting else { return }
        deserters = []
        let deadline = now + ledger.configuration.learnerPatience
        for index in learners.indices { learners[index].deadline = deadline }
    }

    /// This process was away, and what others sent meanwhile may still wait to be read: nobody is
    /// called silent, nor this server's part over, for another tick. Once: a server that is away again
    /// and again is no leader.
    private mutating func giveGrace(_ ledger: Ledger, _ now: Instant) {
        hasGivenGrace = true
        let patience = now + ledger.configuration.tickTime
        let since = patience - ledger.configuration.syncTimeout
        stageDeadline = max(stageDeadline, patience)
        for index in learners.indices {
            learners[index].deadline = max(learners[index].deadline, patience)
            if let awaited = learners[index].awaited {
                learners[index].awaited?.since = max(awaited.since, since)
            }
            if let awaited = learners[index].awaitedNext {
                learners[index].awaitedNext?.since = max(awaited.since, since)
            }
        }
        // The next loss of a quorum is looked for a whole tick from here.
        isHalfTick = false
    }

    /// `wasAway`: this wake comes much later than asked for.
    mutating func wake(
        wasAway: Bool,
        ledger: Ledger,
        now: Instant,
        actions: inout [ZabAction]
    ) {
        if wasAway, !hasGivenGrace {
            giveGrace(ledger, now)
        } else if now >= nextHalfTick {
            hasGivenGrace = wasAway
        }
        if stage != .broadcasting, now >= stageDeadline {
            failure = "no quorum within initLimit"
            return
        }
        guard now >= nextHalfTick else { return }
        nextHalfTick = now + ledger.configuration.tickTime / 2
        isHalfTick.toggle()
        for index in learners.indices.reversed() {
            let learner = learners[index]
            if stage == .broadcasting, now > learner.deadline {
                drop(index, "silent for too long", &actions)
            } else if learner.output.isOverrun {
                drop(index, "does not take what it is sent", &actions)
            } else if let awaited = learner.awaited,
                now > awaited.since + ledger.configuration.syncTimeout
            {
                drop(index, "no ACK of \(awaited.zxid) within syncLimit", &actions)
            }
        }
        for index in learners.indices
        where learners[index].stage == .finishing || learners[index].stage == .synced {
            ping(index, &actions)
        }
        giveUpHandOver(now, &actions)
        handOverIfDue(ledger, now, &actions)
        // Each full tick, so that a follower whose connection broke has a moment to come back.
        if stage == .broadcasting, !isHalfTick, !hasSyncedQuorum(ledger) {
            failure = failure ?? "a quorum of followers is lost"
        }
    }

    mutating func heard(_ index: Int, ledger: Ledger, now: Instant) {
        let deadline = now + ledger.configuration.syncTimeout
        learners[index].deadline =
            learners[index].stage == .synced
            ? deadline : max(learners[index].deadline, deadline)
    }

    func hasSyncedQuorum(_ ledger: Ledger) -> Bool {
        ledger.quorum.isReached { voter in
            voter == ledger.me
                ? ownsEpoch
                : learners.contains { $0.server == voter && $0.isVoter && $0.stage == .synced }
        }
    }

    // MARK: - Leaving

    mutating func drop(_ index: Int, _ reason: String, _ actions: inout [ZabAction]) {
        let connection = learners[index].connection
        disconnected(connection, &actions)
        actions.append(.close(connection, reason: reason))
    }

    mutating func disconnected(_ connection: ConnectionID, _ actions: inout [ZabAction]) {
        guard let index = index(connection) else { return }
        if case .dumping = learners[index].stage { actions.append(.cancelSnapshot(connection)) }
        learners.remove(at: index)
    }

    mutating func stepDown(_ reason: String, actions: inout [ZabAction]) {
        for index in learners.indices.reversed() { drop(index, reason, &actions) }
    }
}

extension Leadership {
    /// Followers commit without this leader's own disk, but what waits for that is bounded.
    func takesProposals(_ ledger: Ledger) -> Bool {
        stage == .broadcasting && handOver == nil
            && ledger.unpersistedBytes < Ledger.unpersistedLimitBytes
    }
}

extension EnsembleConfiguration {
    /// A wake that comes so much later than asked for shows that the process was away: stopped, or its
    /// machine asleep.
    var awayThreshold: Duration { tickTime / 4 }
    /// For a learner that is not synchronized yet.
    var learnerPatience: Duration { initTimeout + syncTimeout }
}
