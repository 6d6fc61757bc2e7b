import DequeModule
internal import Zab
internal import ZooKeeperModel

/// Requests that a leader has taken and does not propose for the moment: it is making way for another
/// server, or its own disk has too much to write already. In the order in which they came; they are
/// proposed when that is over, or forgotten with the leader's part.
struct HeldRequests: Sendable {
    enum Request: Sendable {
        /// With what the client was authenticated as when it asked.
        case client(ConnectionID, ZooKeeperModel.Request, [Identity])
        case session(SessionID, timeout: Int32)
        case learner(ConnectionID, ForwardedRequest)
    }
    /// Clients of this server are paused long before (`globalOutstandingLimit`); a learner that
    /// sends more than this is closed.
    static let limitBytes = 64 << 20

    private var requests = Deque<Request>()
    private(set) var bytes = 0

    var isEmpty: Bool { requests.isEmpty }
    var isFull: Bool { bytes >= Self.limitBytes }

    mutating func append(_ request: Request) {
        requests.append(request)
        bytes += Self.size(request)
    }

    mutating func popFirst() -> Request? {
        guard let request = requests.popFirst() else { return nil }
        bytes -= Self.size(request)
        return request
    }

    /// Roughly; of a client's own request only that it is one.
    private static func size(_ request: Request) -> Int {
        switch request {
        case .client, .session: 128
        case .learner(_, let request): 128 + request.body.count
        }
    }
}

extension Replica {
    /// Whether a request has to wait before it is proposed. Behind others it has to in any case.
    var holdsRequests: Bool { !zab.takesProposals || !held.isEmpty }

    mutating func hold(
        _ request: ForwardedRequest,
        of learner: ConnectionID,
        _ actions: inout [ReplicaAction]
    ) {
        guard !held.isFull else {
            actions.append(.close(learner, reason: "too many requests wait"))
            return run(.learnerDisconnected(learner), &actions)
        }
        held.append(.learner(learner, request))
    }

    mutating func proposeHeld(_ actions: inout [ReplicaAction]) {
        // Not only emptied: what is proposed may fill the disk's queue again.
        while isLeading, zab.takesProposals, let request = held.popFirst() {
            switch request {
            case .client(let id, let request, let identities):
                guard let slot = clients.slot(of: id), clients[slot].phase == .serving else {
                    continue
                }
                propose(
                    request.operation,
                    session: clients[slot].session,
                    cxid: request.xid,
                    owner: .local,
                    identities: identities,
                    connection: id,
                    &actions
                )
            case .session(let session, let timeout):
                proposeSession(session, timeout: timeout, owner: .local, &actions)
            case .learner(let id, let request): propose(request, of: id, &actions)
            }
        }
    }
}
