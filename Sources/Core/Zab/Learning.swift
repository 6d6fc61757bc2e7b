internal import DequeModule
internal import ZooKeeperModel

/// The learner's side: join an elected leader, take over its history, then follow it.
///
/// What is promised is durable first: the accepted epoch before ACKEPOCH; before NEWLEADER is
/// acknowledged the whole history it closes, and after that the current epoch. Nothing is delivered
/// before UPTODATE, since until then the leader's history may still lose to another one.
struct Learning: Sendable {
    enum Stage: Equatable, Sendable {
        /// `retryAt`: the last attempt failed.
        case connecting(retryAt: Instant?)
        /// FOLLOWERINFO sent.
        case introduced
        /// The promise is on its way to the disk; `currentEpoch` goes into the ACKEPOCH.
        case storingAcceptedEpoch(Int64, currentEpoch: Int64?)
        /// ACKEPOCH sent: DIFF, TRUNC or SNAP comes.
        case described
        /// SNAP received: slices come.
        case installing
        /// The disk rebuilds the database; messages wait in `held`.
        case rebuilding
        case receiving
        /// NEWLEADER received: everything up to here must be durable…
        case storingHistory(Zxid)
        /// …then the epoch…
        case storingCurrentEpoch
        /// …and only then it is acknowledged.
        case acknowledged
        /// UPTODATE received: serving.
        case following
    }

    static let connectAttempts = 5
    static let connectPause = Duration.milliseconds(100)
    static let heldLimit = 1 << 20

    let leader: ServerID
    private(set) var stage = Stage.connecting(retryAt: nil)
    private(set) var connection: ConnectionID?
    private var attempts = 1
    /// Silence up to here; while connecting, the end of all attempts.
    private var deadline: Instant
    private var held = Deque<LearnerMessage>()
    /// How many of the ledger's tail the leader has committed; all are delivered once following.
    private var committedCount = 0
    /// Proposals of this epoch that are not acknowledged yet, oldest first.
    private var unacked = Deque<Zxid>()
    /// This process was away and the leader was given more time for that; not again before it is
    /// heard.
    private var hasGivenGrace = false
    private(set) var failure: String?
    /// What the leader has called its ensemble.
    private var told: EnsembleName?

    init(leader: ServerID, ledger: Ledger, now: Instant, actions: inout [ZabAction]) {
        self.leader = leader
        deadline = now + ledger.configuration.initTimeout
        actions.append(.connectToLeader(leader))
    }

    func role(_ ledger: Ledger) -> ZabRole {
        guard stage == .following, let connection else { return .preparing }
        return ledger.isVoter
            ? .following(leader: leader, connection) : .observing(leader: leader, connection)
    }

    var nextDeadline: Instant? {
        switch stage {
        case .connecting(let retryAt?): min(retryAt, deadline)
        // The disk takes the time it takes.
        case .rebuilding: nil
        case .connecting, .introduced, .storingAcceptedEpoch, .described, .installing, .receiving,
            .storingHistory, .storingCurrentEpoch, .acknowledged, .following:
            deadline
        }
    }

    /// `wasAway`: this wake comes much later than asked for.
    mutating func wake(
        wasAway: Bool,
        ledger: Ledger,
        now: Instant,
        actions: inout [ZabAction]
    ) {
        guard let due = nextDeadline, now >= due else { return }
        if wasAway, now >= deadline, !hasGivenGrace {
            // What the leader sent meanwhile may still wait to be read.
            hasGivenGrace = true
            deadline = now + ledger.configuration.tickTime
            guard case .connecting(_?) = stage else { return }
        }
        guard now < deadline else {
            failure = "the leader is silent"
            return
        }
        stage = .connecting(retryAt: nil)
        attempts += 1
        actions.append(.connectToLeader(leader))
    }

    // MARK: - The connection

    mutating func connected(
        _ connection: ConnectionID,
        ledger: Ledger,
        now: Instant,
        actions: inout [ZabAction]
    ) {
        guard case .connecting(retryAt: nil) = stage else {
            actions.append(.close(connection, reason: "not asked for"))
            return
        }
        self.connection = connection
        stage = .introduced
        deadline = now + ledger.configuration.initTimeout
        actions.append(
            .send(
                connection,
                .learnerInfo(
                    LearnerInfo(
                        server: ledger.me,
                        isObserver: !ledger.isVoter,
                        acceptedEpoch: ledger.acceptedEpoch,
                        ensemble: ledger.ensemble
                    )
                )
            )
        )
    }

    /// Before LEADERINFO the leader may just not know yet that it leads: try again.
    mutating func disconnected(_ closed: ConnectionID?, ledger: Ledger, now: Instant) {
        guard closed == connection else { return }
        switch stage {
        case .connecting(retryAt: nil), .introduced:
            guard attempts < Self.connectAttempts else {
                failure = "the leader cannot be reached"
                return
            }
            connection = nil
            stage = .connecting(retryAt: now + Self.connectPause)
        case .connecting:
            break
        case .storingAcceptedEpoch, .described, .installing, .rebuilding, .receiving,
            .storingHistory, .storingCurrentEpoch, .acknowledged, .following:
            connection = nil
            failure = "the leader is gone"
        }
    }

    mutating func abandon(_ reason: String, ledger: inout Ledger, actions: inout [ZabAction]) {
        if let connection { actions.append(.close(connection, reason: reason)) }
        if case .installing = ledger.rebuilding {
            actions.append(.abandonInstall)
            ledger.rebuilding = nil
        }
    }

    // MARK: - Messages

    mutating func received(
        _ message: LearnerMessage,
        from sender: ConnectionID,
        ledger: inout Ledger,
        now: Instant,
        actions: inout [ZabAction]
    ) {
        guard sender == connection else { return }
        let configuration = ledger.configuration
        hasGivenGrace = false
        deadline =
            now + (stage == .following ? configuration.syncTimeout : configuration.initTimeout)
        if case .ensemble(let name, _) = message {
            return hear(name, ledger: &ledger, actions: &actions)
        }
        if stage == .rebuilding {
            held.append(message)
            if held.count > Self.heldLimit { failure = "too much to hold while rebuilding" }
            return
        }
        step(message, on: sender, ledger: &ledger, now: now, actions: &actions)
        // An observer's leader waits for no answer, and would go on for ever.
        if ledger.unpersistedBytes >= Ledger.unpersistedLimitBytes, ledger.isDiskStuck(at: now) {
            failure = failure ?? "too much waits for this server's own disk"
        }
    }

    private mutating func step(
        _ message: LearnerMessage,
        on connection: ConnectionID,
        ledger: inout Ledger,
        now: Instant,
        actions: inout [ZabAction]
    ) {
        switch (stage, message) {
        // Discovery.
        case (.introduced, .leaderInfo(let epoch)):
            accept(epoch, connection, ledger: &ledger, actions: &actions)

        // Synchronization: what kind.
        case (.described, .diff):
            // The leader has found my whole log in its history.
            committedCount = ledger.tail.count
            stage = .receiving
        case (.described, .truncate(let place)):
            guard place < ledger.lastLogged, place.rawValue >= 0 else {
                failure = "told to truncate \(ledger.lastLogged) to \(place)"
                return
            }
            ledger.rebuilding = .truncating(to: place)
            stage = .rebuilding
            actions.append(.truncate(to: place))
        case (.described, .snapshot(let zxid)):
            ledger.rebuilding = .installing(zxid)
            stage = .installing
            actions.append(.beginInstall(zxid))
        case (.installing, .snapshotSlice(let bytes)):
            actions.append(.installSlice(bytes))
        case (.installing, .snapshotEnd):
            guard case .installing(let zxid) = ledger.rebuilding else {
                preconditionFailure("installing \(String(describing: ledger.rebuilding))")
            }
            ledger.rebuilding = .finishingInstall(zxid)
            stage = .rebuilding
            actions.append(.finishInstall)

        // Proposals and their commits, from the synchronization on.
        case (.receiving, .proposal(let proposal)), (.storingHistory, .proposal(let proposal)),
            (.storingCurrentEpoch, .proposal(let proposal)),
            (.acknowledged, .proposal(let proposal)),
            (.following, .proposal(let proposal)):
            append(proposal, ledger: &ledger, actions: &actions)
        case (.receiving, .commit(let zxid)), (.storingHistory, .commit(let zxid)),
            (.storingCurrentEpoch, .commit(let zxid)), (.acknowledged, .commit(let zxid)),
            (.following, .commit(let zxid)):
            commit(zxid, ledger: &ledger, actions: &actions)
        case (.receiving, .inform(let proposal)), (.storingHistory, .inform(let proposal)),
            (.storingCurrentEpoch, .inform(let proposal)), (.acknowledged, .inform(let proposal)),
            (.following, .inform(let proposal)):
            guard append(proposal, ledger: &ledger, actions: &actions) else { return }
            commit(proposal.zxid, ledger: &ledger, actions: &actions)

        // The end of synchronization.
        case (.receiving, .newLeader(let epoch, _)):
            guard epoch == ledger.acceptedEpoch else {
                failure = "NEWLEADER of epoch \(epoch) instead of \(ledger.acceptedEpoch)"
                return
            }
            stage = .storingHistory(ledger.lastLogged)
            storeCurrentEpochWhenDurable(&ledger, &actions)
        case (.acknowledged, .upToDate):
            stage = .following
            deadline = now + ledger.configuration.syncTimeout
            deliverCommitted(ledger: &ledger, actions: &actions)
            actions.append(.send(connection, .ack(Zxid(epoch: ledger.currentEpoch, counter: 0))))
            if ledger.isVoter { unacked = Deque(ledger.tail.lazy.map(\.zxid)) }
            sendAcks(ledger, &actions)
            actions.append(.roleChanged(role(ledger)))

        // What Zab only carries.
        case (.following, .sync), (.following, .revalidate), (.following, .ping):
            actions.append(.carried(connection, message))
        // Not answered before UPTODATE: the leader expects the ACK first.
        case (_, .ping):
            break

        case (_, .ensemble), (_, .leaderInfo), (_, .diff), (_, .truncate), (_, .snapshot),
            (_, .snapshotSlice),
            (_, .snapshotEnd), (_, .newLeader), (_, .upToDate), (_, .proposal), (_, .commit),
            (_, .inform), (_, .sync), (_, .revalidate), (_, .learnerInfo), (_, .ackEpoch),
            (_, .ack), (_, .request):
            failure = "a message out of place"
        }
    }

    // MARK: - Discovery

    /// Before LEADERINFO, and again when the name is known to be for good.
    private mutating func hear(
        _ name: EnsembleName,
        ledger: inout Ledger,
        actions: inout [ZabAction]
    ) {
        guard let own = ledger.ensemble else { return }
        if own.contradicts(name) {
            let sentence =
                "this server's disk belongs to ensemble \(own.text), but server \(leader) leads "
                + "ensemble \(name.text): one of the disks is at the wrong place"
            failure = sentence
            actions.append(.halt(sentence))
            return
        }
        told = name
        switch stage {
        case .storingCurrentEpoch, .acknowledged, .following:
            ledger.storeEnsemble(name, &actions)
        case .connecting, .introduced, .storingAcceptedEpoch, .described, .installing, .rebuilding,
            .receiving, .storingHistory:
            break
        }
    }

    private mutating func accept(
        _ epoch: Int64,
        _ connection: ConnectionID,
        ledger: inout Ledger,
        actions: inout [ZabAction]
    ) {
        guard epoch >= ledger.acceptedEpoch, epoch < Int64(Int32.max) else {
            failure = "epoch \(epoch) after a promise of \(ledger.acceptedEpoch)"
            return
        }
        let isNew = epoch > ledger.acceptedEpoch
        stage = .storingAcceptedEpoch(epoch, currentEpoch: isNew ? ledger.currentEpoch : nil)
        if isNew {
            ledger.acceptedEpoch = epoch
            actions.append(.storeEpoch(.accepted, epoch))
        } else {
            acknowledgeEpochWhenDurable(ledger, &actions)
        }
    }

    private mutating func acknowledgeEpochWhenDurable(
        _ ledger: Ledger,
        _ actions: inout [ZabAction]
    ) {
        guard case .storingAcceptedEpoch(let epoch, let currentEpoch) = stage, let connection,
            ledger.durableAcceptedEpoch >= epoch
        else { return }
        stage = .described
        // A repeated promise counts for nothing, so it is safe to say there that nothing is held:
        // the answer is a snapshot. In a promise that counts it would hide what a quorum needs.
        let isWhollyWanted = currentEpoch == nil && ledger.uncuttableIn == epoch
        guard ledger.suffrage == .full else {
            // A promise that must not be counted, of one who has to get the whole database: what it
            // holds, and what it promised, may be less than what it once did.
            actions.append(.send(connection, .ackEpoch(lastZxid: .none, currentEpoch: nil)))
            return
        }
        actions.append(
            .send(
                connection,
                .ackEpoch(
                    lastZxid: isWhollyWanted ? .zero : ledger.lastLogged,
                    currentEpoch: currentEpoch
                )
            )
        )
    }

    // MARK: - The disk

    mutating func epochStored(ledger: Ledger, actions: inout [ZabAction]) {
        acknowledgeEpochWhenDurable(ledger, &actions)
        guard stage == .storingCurrentEpoch, ledger.currentEpoch >= ledger.acceptedEpoch,
            let connection
        else { return }
        stage = .acknowledged
        actions.append(.send(connection, .ack(Zxid(epoch: ledger.currentEpoch, counter: 0))))
    }

    mutating func persisted(ledger: inout Ledger, actions: inout [ZabAction]) {
        storeCurrentEpochWhenDurable(&ledger, &actions)
        if stage == .following { sendAcks(ledger, &actions) }
    }

    /// The database is rebuilt. `wanted` is what the leader asked for.
    mutating func rebuilt(
        wanted: Zxid,
        ledger: inout Ledger,
        now: Instant,
        actions: inout [ZabAction]
    ) {
        guard stage == .rebuilding, let connection else { return }
        guard ledger.lastLogged == wanted else {
            // My log had another history below that place too: ask again, with its new end.
            failure = "the log ends at \(ledger.lastLogged) instead of \(wanted)"
            return
        }
        deadline = now + ledger.configuration.initTimeout
        stage = .receiving
        while failure == nil, let message = held.popFirst() {
            step(message, on: connection, ledger: &ledger, now: now, actions: &actions)
        }
    }

    /// What the leader sent makes no database. A new attempt begins with an election.
    mutating func installRefused() {
        failure = "the leader's snapshot cannot be used"
    }

    /// The disk cannot be cut there. The same leader is asked again, in the same epoch: an election
    /// could end in a new one, where the same would happen.
    mutating func truncationRefused(now: Instant, ledger: Ledger, actions: inout [ZabAction]) {
        guard let connection else { return }
        actions.append(.close(connection, reason: "the log cannot be cut there"))
        self.connection = nil
        held.removeAll()
        attempts = 1
        stage = .connecting(retryAt: now + Self.connectPause)
        deadline = now + ledger.configuration.initTimeout
    }

    private mutating func storeCurrentEpochWhenDurable(
        _ ledger: inout Ledger,
        _ actions: inout [ZabAction]
    ) {
        guard case .storingHistory(let last) = stage, ledger.lastPersisted >= last else { return }
        stage = .storingCurrentEpoch
        // Whoever has the epoch has the name. Where a leader of another make knows none, members that
        // come later may get another one.
        ledger.storeEnsemble(
            told ?? EnsembleName(number: ledger.ensemble?.number ?? 0),
            &actions
        )
        actions.append(.storeEpoch(.current, ledger.acceptedEpoch))
    }

    // MARK: - Proposals and commits

    @discardableResult
    private mutating func append(
        _ proposal: Proposal,
        ledger: inout Ledger,
        actions: inout [ZabAction]
    ) -> Bool {
        guard ledger.isContinued(by: proposal.zxid) else {
            failure = "a gap: \(proposal.zxid) after \(ledger.lastLogged)"
            return false
        }
        ledger.log(proposal, actions: &actions)
        if stage == .following, ledger.isVoter { unacked.append(proposal.zxid) }
        return true
    }

    private mutating func commit(
        _ zxid: Zxid,
        ledger: inout Ledger,
        actions: inout [ZabAction]
    ) {
        var index = committedCount
        // A leader of ours says it once for all of a turn.
        while isOurs, index < ledger.tail.count, ledger.tail[index].zxid < zxid { index += 1 }
        guard index < ledger.tail.count, ledger.tail[index].zxid == zxid else {
            failure = "a commit out of order: \(zxid)"
            return
        }
        committedCount = index + 1
        if stage == .following { deliverCommitted(ledger: &ledger, actions: &actions) }
    }

    private mutating func deliverCommitted(ledger: inout Ledger, actions: inout [ZabAction]) {
        for _ in 0..<committedCount { _ = ledger.deliverNext(actions: &actions) }
        committedCount = 0
    }

    /// One for each proposal, since Apache's leader counts them so; to one of ours the newest alone
    /// says it of all.
    private mutating func sendAcks(_ ledger: Ledger, _ actions: inout [ZabAction]) {
        guard let connection else { return }
        while let zxid = unacked.first, zxid <= ledger.lastPersisted {
            unacked.removeFirst()
            if isOurs, let next = unacked.first, next <= ledger.lastPersisted { continue }
            actions.append(.send(connection, .ack(zxid)))
        }
    }

    /// Apache's leaders tell no name.
    private var isOurs: Bool { told != nil }
}
