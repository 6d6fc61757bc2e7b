import DequeModule
internal import Zab
internal import ZooKeeperModel

/// A sync on the leader, from its arrival to its answer.
///
/// It is answered once everything that was proposed before it is applied, and a quorum has shown
/// that this server still led when it came. Else a leader that is deposed and does not know it yet
/// would show its clients a state that others have already left behind.
struct SyncWaiter: Sendable {
    enum Target: Sendable {
        case client(ConnectionID)
        /// Is sent this.
        case learner(ConnectionID, LearnerMessage)
    }
    var place: SyncPlace
    var target: Target

    var isRevalidation: Bool {
        if case .learner(_, .revalidate) = target { true } else { false }
    }
}

/// What a sync waits for.
struct SyncPlace: Hashable, Sendable {
    var zxid: Zxid
    /// The question whether this server leads that was asked for it.
    var ticket: UInt64
}

extension Replica {
    mutating func sync(
        _ path: ZnodePath,
        xid: Int32,
        at slot: Int,
        _ actions: inout [ReplicaAction]
    ) {
        let code = OperationCode.sync.rawValue
        guard isLeading else {
            enqueue(.forwardedSync(path), xid: xid, code, at: slot, &actions)
            forwardedSyncs.append(clients[slot].id)
            let request = Request(xid: xid, operation: .sync(path))
            return forward(request, clients[slot].identities, at: slot, &actions)
        }
        let place = nextSyncPlace()
        enqueue(.sync(path, place), xid: xid, code, at: slot, &actions)
        park(place, for: .client(clients[slot].id), &actions)
    }

    mutating func sync(for learner: ConnectionID, _ actions: inout [ReplicaAction]) {
        park(nextSyncPlace(), for: .learner(learner, .sync), &actions)
    }

    /// Whether a session that comes to a learner is alive is answered once everything that was
    /// proposed so far is committed. What the session has under way over its old server is told to the
    /// new one first: there it could be taken for the answer to a later request with the same number.
    mutating func answerRevalidation(
        _ message: LearnerMessage,
        to learner: ConnectionID,
        _ actions: inout [ReplicaAction]
    ) {
        guard !prepared.isEmpty || !syncWaiters.isEmpty else {
            return actions.append(.send(learner, message))
        }
        let place = SyncPlace(
            zxid: prepared.last?.transaction.zxid ?? database.lastZxid,
            ticket: confirmedSyncTicket
        )
        syncWaiters.append(SyncWaiter(place: place, target: .learner(learner, message)))
    }

    private mutating func nextSyncPlace() -> SyncPlace {
        lastSyncTicket += 1
        return SyncPlace(
            zxid: prepared.last?.transaction.zxid ?? database.lastZxid,
            ticket: lastSyncTicket
        )
    }

    private mutating func park(
        _ place: SyncPlace,
        for target: SyncWaiter.Target,
        _ actions: inout [ReplicaAction]
    ) {
        syncWaiters.append(SyncWaiter(place: place, target: target))
        run(.confirmLeadership(place.ticket), &actions)
    }

    func hasCome(_ place: SyncPlace) -> Bool {
        place.zxid <= database.lastZxid && place.ticket <= confirmedSyncTicket
    }

    mutating func leadershipConfirmed(_ ticket: UInt64, _ actions: inout [ReplicaAction]) {
        confirmedSyncTicket = max(confirmedSyncTicket, ticket)
        releaseSyncs(&actions)
    }

    mutating func releaseSyncs(_ actions: inout [ReplicaAction]) {
        while let waiter = syncWaiters.first, hasCome(waiter.place) {
            syncWaiters.removeFirst()
            switch waiter.target {
            case .client(let id):
                if let slot = clients.slot(of: id) { advance(slot, &actions) }
            case .learner(let id, let message): dueLearnerAnswers.append((id, message))
            }
        }
    }

    /// Learners must get the commit of a transaction before the answer that says it is there. Zab
    /// delivers a transaction here first and sends the commits then, so answers wait until it has.
    mutating func sendDueAnswers(_ actions: inout [ReplicaAction]) {
        guard !dueLearnerAnswers.isEmpty else { return }
        for answer in dueLearnerAnswers { actions.append(.send(answer.learner, answer.message)) }
        dueLearnerAnswers.removeAll(keepingCapacity: true)
    }
}
