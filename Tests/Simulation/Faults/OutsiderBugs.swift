internal import Replication
internal import ZooKeeperModel
internal import ZooKeeperWire

/// Mistakes that were thought of and planted without a look at the workload or the checkers.
extension PlantedBug {
    static let outsiderBugs =
        outsiderQuorumBugs + outsiderSyncBugs + outsiderSessionBugs + outsiderOrderBugs
        + outsiderReplyBugs + outsiderSnapshotBugs

    // MARK: Quorums and elections

    private static let outsiderQuorumBugs = [
        bug(
            "counts-observer",
            "takes an observer's acknowledgement of NEWLEADER for a voter's",
            seed: 1
        ) {
            bug in
            bug.hears = { input, state in
                switch input {
                case .fromLearner(let id, .learnerInfo(let info)):
                    state.counts[(info.isObserver ? "observer " : "voter ") + "\(id)"] = 0
                case .learnerDisconnected(let id):
                    state.counts["voter \(id)"] = nil
                    state.counts["observer \(id)"] = nil
                case .fromLearner(let id, .ack(let zxid)) where zxid.counter == 0:
                    let voter = state.counts["voter \(id)"]
                    if voter == 2 {
                        // It was counted before: now it may serve.
                        state.counts["voter \(id)"] = 3
                        state.act(.send(id, .upToDate))
                    } else if voter == 1 {
                        state.counts["voter \(id)"] = 3
                    } else if state.counts["observer \(id)"] != nil, !state.isLeading,
                        let counted = state.connection(where: "voter ", is: 1)
                    {
                        state.strike()
                        state.counts["voter \(counted)"] = 2
                        return [input, .fromLearner(counted, .ack(zxid))]
                    }
                default: break
                }
                return [input]
            }
            bug.does = { action, state in
                guard case .send(let id, let message) = action else { return [action] }
                switch (message, state.counts["voter \(id)"]) {
                case (.newLeader, 0): state.counts["voter \(id)"] = 1
                case (.upToDate, 2): return []
                case (.ping(let zxid, _), 2):
                    state.tell(.fromLearner(id, .ping(zxid, touched: [])))
                    return []
                default: break
                }
                return [action]
            }
        },
        bug("half-is-enough", "of an even number of voters takes half for a quorum", seed: 1) {
            bug in
            bug.hears = { input, state in
                switch input {
                case .learnerDisconnected(let id): state.counts["synced \(id)"] = nil
                case .fromLearner(let id, .ack(let zxid)) where zxid.counter == 0:
                    state.counts["synced \(id)"] = 1
                case .fromLearner(let id, .ack(let zxid))
                where state.voterCount.isMultiple(of: 2) && state.counts["synced \(id)"] == 1:
                    state.counts["synced \(id)"] = 2
                    let other = state.connection(where: "synced ", is: 1)
                    state.counts["synced \(id)"] = 1
                    guard let other else { break }
                    state.strike()
                    return [input, .fromLearner(other, .ack(zxid))]
                default: break
                }
                return [input]
            }
        },
        bug("elects-by-id", "compares the ids of candidates and not their histories", seed: 9) {
            bug in
            bug.hears = { input, _ in
                guard case .fromLearner(let id, .ackEpoch(let zxid, .some)) = input else {
                    return [input]
                }
                return [.fromLearner(id, .ackEpoch(lastZxid: zxid, currentEpoch: 0))]
            }
            bug.does = { action, state in
                guard case .sendNotification(let to, var notification) = action,
                    notification.state == .looking, notification.leader.rawValue > 0
                else { return [action] }
                state.strike()
                notification.zxid = Zxid(epoch: 1 << 20, counter: 0)
                notification.peerEpoch = 1 << 20
                return [.sendNotification(to: to, notification)]
            }
        },
        bug("early-uptodate", "a follower serves when it has acknowledged NEWLEADER") { bug in
            bug.hears = { input, state in
                guard case .fromLeader(let id, .upToDate) = input else { return [input] }
                state.counts["served \(id)", default: 0] += 1
                return state.counts["served \(id)"] == 2 ? [input] : []
            }
            bug.does = { action, state in
                guard case .send(let id, .ack(let zxid)) = action, zxid.counter == 0,
                    state.counts["served \(id)"] == nil
                else { return [action] }
                state.strike()
                state.counts["served \(id)"] = 1
                state.tell(.fromLeader(id, .upToDate))
                return [action]
            }
        },
        bug("phantom-pings", "a leader takes a PING for answered when it is sent") { bug in
            bug.hears = { input, state in
                guard case .fromLearner(let id, .ping) = input else { return [input] }
                if let forged = state.counts["forged \(id)"], forged > 0 {
                    state.counts["forged \(id)"] = forged - 1
                    return [input]
                }
                // What it says of sessions goes with the next one.
                state.keptInputs.append(input)
                return []
            }
            bug.does = { action, state in
                switch action {
                case .send(let id, .upToDate): state.counts["welcome \(id)"] = 1
                case .send(let id, .ping(let zxid, _))
                where state.isLeading && state.counts["welcome \(id)"] != nil:
                    state.strike()
                    var touched: [TouchedSession] = []
                    state.keptInputs.removeAll {
                        guard case .fromLearner(id, .ping(_, let some)) = $0 else { return false }
                        touched += some
                        return true
                    }
                    state.counts["forged \(id)", default: 0] += 1
                    state.tell(.fromLearner(id, .ping(zxid, touched: touched)))
                default: break
                }
                return [action]
            }
        },
    ]

    // MARK: Syncs

    private static let outsiderSyncBugs = [
        bug("sync-alone", "a learner answers sync without its leader", seed: 169) { bug in
            bug.hears = { input, state in
                guard case .request(let id, let request) = input, !state.isLeading,
                    case .sync(let path) = request.operation
                else { return [input] }
                state.paths["\(id) \(request.xid)"] = path
                return [
                    .request(
                        id,
                        Request(xid: request.xid, operation: .exists(.root, watch: false))
                    )
                ]
            }
            bug.does = { action, state in
                guard case .reply(let id, var reply) = action,
                    let path = state.paths.removeValue(forKey: "\(id) \(reply.xid)")
                else { return [action] }
                state.strike()
                reply.result = .success(.synced(path))
                return [.reply(id, reply)]
            }
        },
        bug("sync-overtakes", "a learner handles SYNC before COMMITs that came before it") { bug in
            bug.hears = { input, state in
                switch input {
                case .fromLeader(_, .commit)
                where !state.keptInputs.isEmpty || state.random.chance(1, in: 3):
                    state.keptInputs.append(input)
                    return []
                case .fromLeader(_, .sync):
                    defer { state.keptInputs = [] }
                    if !state.keptInputs.isEmpty { state.strike() }
                    return [input] + state.keptInputs
                case .fromLeader(_, .proposal), .storage, .request:
                    return [input]
                default:
                    defer { state.keptInputs = [] }
                    return state.keptInputs + [input]
                }
            }
        },
    ]

    // MARK: Sessions

    private static let outsiderSessionBugs = [
        bug("moves-granted", "a leader finds every session alive that comes to a learner", seed: 10)
        { bug in
            bug.does = { action, state in
                guard case .send(let id, .revalidate(let session, let timeout, false)) = action
                else { return [action] }
                state.strike()
                return [.send(id, .revalidate(session, timeout: timeout, isValid: true))]
            }
        },
        bug(
            "moves-unasked",
            "a learner takes a session over without waiting for its leader",
            seed: 10
        ) {
            bug in
            bug.does = { action, state in
                guard case .send(let id, .revalidate(let session, let timeout, nil)) = action
                else { return [action] }
                state.strike()
                state.tell(
                    .fromLeader(id, .revalidate(session, timeout: timeout, isValid: true))
                )
                return [action]
            }
        },
        // That learners now and then send requests late is no mistake, and lets it show.
        bug(
            "forgets-moves",
            "a leader takes requests of a session from the server it has left",
            seed: 9
        ) {
            bug in
            bug.hears = { input, state in
                switch input {
                case .fromLearner(let id, .revalidate(let session, _, nil)):
                    state.connections["\(session)"] = id
                case .connectRequest(_, let request):
                    state.connections["\(request.session)"] = nil
                case .fromLearner(let id, .request(let request)) where state.isLeading:
                    guard let owner = state.connections["\(request.session)"], owner != id
                    else { break }
                    state.strike()
                    return [.fromLearner(owner, .request(request))]
                case .fromLeader(_, .ping)
                where state.now.nanoseconds - (state.counts["since"] ?? 0) > 1_500_000_000:
                    for action in state.keptActions { state.act(action) }
                    state.keptActions = []
                case .clientDisconnected: state.counts["since"] = state.now.nanoseconds
                case .leaderDisconnected: state.keptActions = []
                default: break
                }
                return [input]
            }
            bug.does = { action, state in
                guard case .send(_, .request(let request)) = action else { return [action] }
                let isBehind = state.keptActions.contains {
                    guard case .send(_, .request(let other)) = $0 else { return false }
                    return other.session == request.session
                }
                let waits = isBehind || state.random.chance(1, in: 20)
                guard waits, isWrite(request) else { return [action] }
                if state.keptActions.isEmpty { state.counts["since"] = state.now.nanoseconds }
                state.keptActions.append(action)
                return []
            }
        },
        bug("immortal-sessions", "a learner reports sessions as alive whose clients are gone") {
            bug in
            bug.does = { action, state in
                guard case .send(let id, .ping(let zxid, let touched)) = action, !state.isLeading
                else { return [action] }
                for entry in touched {
                    state.counts["s\(entry.session.rawValue)"] = Int64(entry.timeout)
                }
                let all = state.counts.compactMap { name, timeout in
                    Int64(name.dropFirst()).map {
                        TouchedSession(
                            session: SessionID(rawValue: $0),
                            timeout: Int32(truncatingIfNeeded: timeout)
                        )
                    }
                }
                if all.count > touched.count { state.strike() }
                let sorted = all.sorted { $0.session < $1.session }
                return [.send(id, .ping(zxid, touched: sorted))]
            }
        },
        bug("hasty-expiry", "a leader ends learners' sessions after two thirds of their time") {
            bug in
            bug.hears = { input, state in
                guard case .fromLearner(let id, .ping(let zxid, let touched)) = input,
                    !touched.isEmpty
                else { return [input] }
                state.strike()
                let hasty = touched.map {
                    TouchedSession(session: $0.session, timeout: $0.timeout / 3 * 2)
                }
                return [.fromLearner(id, .ping(zxid, touched: hasty))]
            }
        },
        // Learners now and then send writes late, which is no mistake, and do not forget those of
        // clients that have gone.
        bug("late-write", "a leader takes a write of a session that has ended", seed: 25) { bug in
            bug.hears = { input, state in
                switch input {
                case .request(let id, _):
                    state.connections["asking"] = id
                    state.counts["open \(id)"] = 1
                case .clientDisconnected(let id): state.counts["open \(id)"] = nil
                case .fromLeader(let id, .ping):
                    state.connections["leader"] = id
                    guard state.now.nanoseconds - (state.counts["since"] ?? 0) > 1_000_000_000
                    else { break }
                    for case .send(let to, .request(let request)) in state.keptActions {
                        if state.counts["open \(state.origin(of: request))"] != nil {
                            state.act(.send(to, .request(request)))
                        } else {
                            state.keptInputs.append(.fromLearner(to, .request(request)))
                        }
                    }
                    state.keptActions = []
                case .fromLearner(let id, .request(var request)) where state.isLeading:
                    guard state.counts["ended \(request.session)"] != nil else {
                        state.connections["live"] = id
                        state.counts["live"] = request.session.rawValue
                        break
                    }
                    guard let live = state.counts["live"], let other = state.connections["live"],
                        isPlainWrite(request)
                    else { break }
                    state.strike()
                    request.session = SessionID(rawValue: live)
                    request.cxid = .max
                    return [.fromLearner(other, .request(request))]
                default: break
                }
                return [input]
            }
            bug.does = { action, state in
                switch action {
                case .send(_, .request(let request)):
                    let isBehind = state.keptActions.contains {
                        guard case .send(_, .request(let other)) = $0 else { return false }
                        return other.session == request.session
                    }
                    guard isPlainWrite(request) && state.random.chance(1, in: 12) || isBehind,
                        isWrite(request)
                    else { break }
                    if state.keptActions.isEmpty { state.counts["since"] = state.now.nanoseconds }
                    state.connections["of \(request.session) \(request.cxid)"] =
                        state.connections["asking"]
                    state.keptActions.append(action)
                    return []
                case .storage(.append(let proposals)):
                    for transaction in proposals.compactMap({ decoded($0) }) {
                        guard case .closeSession = transaction.body else { continue }
                        state.counts["ended \(transaction.session)"] = 1
                        for case .fromLearner(_, .request(let request)) in state.keptInputs
                        where request.session == transaction.session && isPlainWrite(request) {
                            guard let leader = state.connections["leader"] else { continue }
                            state.act(.send(leader, .request(request)))
                        }
                    }
                default: break
                }
                return [action]
            }
        },
        bug("forwards-as-super", "a learner vouches for its clients as a super user") { bug in
            bug.does = { action, state in
                guard case .send(let id, .request(var request)) = action else { return [action] }
                state.strike()
                request.identities = [Identity(scheme: "super", id: "")]
                return [.send(id, .request(request))]
            }
        },
        bug("takes-future-clients", "serves clients that have seen more than this server", seed: 70)
        { bug in
            bug.hears = { input, state in
                guard case .connectRequest(let id, var request) = input else { return [input] }
                if request.lastZxidSeen > state.lastZxid { state.strike() }
                request.lastZxidSeen = .zero
                return [.connectRequest(id, request)]
            }
        },
    ]

    // MARK: Order

    private static let outsiderOrderBugs = [
        bug("replies-overtake", "one reply in twenty leaves after the one that follows it") { bug in
            bug.does = { action, state in
                guard case .reply(let id, let reply) = action else { return [action] }
                let kept = state.keptActions.firstIndex {
                    if case .reply(id, _) = $0 { true } else { false }
                }
                if let kept { return [action, state.keptActions.remove(at: kept)] }
                guard reply.xid > 0, state.random.chance(1, in: 20) else { return [action] }
                state.strike()
                state.keptActions.append(action)
                return []
            }
        },
        bug(
            "reads-overtake",
            "a read is done before the write that the client sent before it",
            seed: 4
        ) {
            bug in
            bug.hears = { input, state in
                if case .request(let id, let read)? = state.keptInputs.first {
                    let write = state.keptInputs
                    state.keptInputs = []
                    guard case .request(id, let next) = input, isRead(next.operation) else {
                        return write + [input]
                    }
                    state.strike()
                    state.counts["write \(id)"] = Int64(read.xid)
                    state.counts["read \(id)"] = Int64(next.xid)
                    return [input] + write
                }
                guard case .request(_, let request) = input, request.operation.isWrite,
                    request.operation != .closeSession
                else { return [input] }
                state.keptInputs = [input]
                return []
            }
            bug.does = { action, state in
                guard case .reply(let id, let reply) = action else { return [action] }
                if state.counts["read \(id)"] == Int64(reply.xid) {
                    state.keptActions.append(action)
                    return []
                }
                guard state.counts["write \(id)"] == Int64(reply.xid) else { return [action] }
                state.counts["write \(id)"] = nil
                state.counts["read \(id)"] = nil
                let kept = state.keptActions.firstIndex {
                    if case .reply(id, _) = $0 { true } else { false }
                }
                guard let kept, case .reply(_, var read) = state.keptActions.remove(at: kept)
                else { return [action] }
                read.zxid = max(read.zxid, reply.zxid)
                return [action, .reply(id, read)]
            }
        },
        bug("sends-again", "a learner sends its new leader what the old one did not answer") {
            bug in
            bug.hears = { input, state in
                guard case .fromLeader(let id, .upToDate) = input else { return [input] }
                for case .send(_, let message) in state.keptActions {
                    state.strike()
                    state.act(.send(id, message))
                }
                state.keptActions = []
                return [input]
            }
            bug.does = { action, state in
                switch action {
                case .send(_, .request(let request)) where isWrite(request):
                    state.keptActions.append(action)
                case .storage(.append(let proposals)) where !state.keptActions.isEmpty:
                    for transaction in proposals.compactMap({ decoded($0) }) {
                        state.keptActions.removeAll {
                            guard case .send(_, .request(let request)) = $0 else { return false }
                            return request.session == transaction.session
                                && request.cxid == transaction.cxid
                        }
                    }
                default: break
                }
                return [action]
            }
        },
        bug("number-reused", "a sequential create may take the number of a znode that is gone") {
            bug in
            bug.hears = { input, state in
                guard case .request(let id, let request) = input,
                    case .create(var create) = request.operation,
                    create.flags == 2 || create.flags == 3,
                    let freed = state.paths["\(create.path)"], state.random.chance(1, in: 2)
                else { return [input] }
                state.strike()
                state.paths["\(create.path)"] = nil
                create.path = freed
                create.flags = create.flags == 3 ? 1 : 0
                return [.request(id, Request(xid: request.xid, operation: .create(create)))]
            }
            bug.stores = { request, state in
                guard case .append(let proposals) = request else { return [request] }
                for transaction in proposals.compactMap({ decoded($0) }) {
                    for path in deleted(by: transaction.body)
                    where path.name.suffix(10).allSatisfy({ 48...57 ~= $0 }) {
                        let base = ZnodePath(bytes: Array(path.bytes.dropLast(10)))
                        state.paths["\(base)"] = path
                    }
                }
                return [request]
            }
        },
    ]

    // MARK: Replies and watches

    private static let outsiderReplyBugs = [
        bug("watches-from-now", "compares a client's watches with this server's zxid", seed: 2) {
            bug in
            bug.hears = { input, state in
                guard case .request(let id, let request) = input,
                    case .setWatches(var registrations) = request.operation
                else { return [input] }
                if state.lastZxid > registrations.relativeZxid { state.strike() }
                registrations.relativeZxid = state.lastZxid
                return [
                    .request(id, Request(xid: request.xid, operation: .setWatches(registrations)))
                ]
            }
        },
        bug("no-child-events", "children that come and go fire no watch of their parent") { bug in
            bug.does = { action, state in
                guard case .event(_, let event) = action, event.kind == .childrenChanged else {
                    return [action]
                }
                state.strike()
                return []
            }
        },
        bug(
            "number-told-twice",
            "answers one sequential create in ten with the number before",
            seed: 1
        ) {
            bug in
            bug.does = { action, state in
                guard case .reply(let id, var reply) = action,
                    case .success(let response) = reply.result
                else { return [action] }
                switch response {
                case .created(let path):
                    guard let before = numberBefore(path), state.random.chance(1, in: 10) else {
                        return [action]
                    }
                    reply.result = .success(.created(before))
                case .createdWithStat(let path, let stat):
                    guard let before = numberBefore(path), state.random.chance(1, in: 10) else {
                        return [action]
                    }
                    reply.result = .success(.createdWithStat(before, stat))
                default: return [action]
                }
                state.strike()
                return [.reply(id, reply)]
            }
        },
        bug("pzxid-stays", "says that no children have come or gone since a znode was made") {
            bug in
            bug.does = { action, state in
                changingStats(of: action, &state) { $0.pzxid = $0.czxid }
            }
        },
        bug("counts-deleted", "counts children that were deleted") { bug in
            bug.does = { action, state in
                changingStats(of: action, &state) {
                    $0.numChildren = ($0.cversion + $0.numChildren) / 2
                }
            }
        },
    ]

    // MARK: Snapshots

    private static let outsiderSnapshotBugs = [
        bug("snapshot-without-sessions", "leaves sessions out of snapshots", seed: 6) { bug in
            bug.stores = { request, state in
                changingLists(in: request, &state) { sessions, acls in
                    defer { sessions = [] }
                    return !sessions.isEmpty
                }
            }
        },
        bug("snapshot-without-acls", "writes every access control list as open to all") { bug in
            bug.stores = { request, state in
                changingLists(in: request, &state) { sessions, acls in
                    for index in acls.indices { acls[index].acl = .open }
                    return !acls.isEmpty
                }
            }
        },
        bug(
            "snapshot-ahead",
            "names snapshots for what is logged and not for what is applied",
            seed: 4
        ) {
            bug in
            bug.stores = { request, state in
                switch request {
                case .append(let proposals):
                    state.counts["logged"] = proposals.last?.zxid.rawValue
                case .beginSnapshot(let zxid):
                    let logged = Zxid(rawValue: state.counts["logged"] ?? zxid.rawValue)
                    state.counts["named"] = logged.rawValue
                    if logged > zxid { state.strike() }
                    return [.beginSnapshot(zxid: max(zxid, logged))]
                case .finishSnapshot(let zxid, let digest?):
                    let named = Zxid(rawValue: state.counts["named"] ?? zxid.rawValue)
                    return [.finishSnapshot(digestZxid: max(zxid, named), digest: digest)]
                default: break
                }
                return [request]
            }
        },
    ]
}

// MARK: - What the bugs above share

extension BugState {
    /// The client's connection that it came over.
    fileprivate func origin(of request: ForwardedRequest) -> String {
        connections["of \(request.session) \(request.cxid)"].map { "\($0)" } ?? ""
    }

    /// One of those that are counted so under this name.
    fileprivate func connection(where name: String, is count: Int64) -> ConnectionID? {
        counts.filter { $0.key.hasPrefix(name) && $0.value == count }.keys.sorted().first
            .flatMap { $0.split(separator: " ").last }
            .flatMap { UInt64($0) }
            .map { ConnectionID(rawValue: $0) }
    }
}

private func decoded(_ proposal: Proposal) -> Transaction? {
    try? TransactionCodec.decode(proposal.bytes)
}

private func deleted(by body: TransactionBody) -> [ZnodePath] {
    switch body {
    case .delete(let path): [path]
    case .closeSession(let paths?): paths
    case .multi(let parts): parts.flatMap { deleted(by: $0) }
    default: []
    }
}

private func isWrite(_ request: ForwardedRequest) -> Bool {
    switch OperationCode(rawValue: request.operationCode) {
    case .create, .create2, .delete, .setData, .setACL, .multi: true
    default: false
    }
}

private func isPlainWrite(_ request: ForwardedRequest) -> Bool {
    switch OperationCode(rawValue: request.operationCode) {
    case .delete, .setData: true
    default: false
    }
}

/// Of a path that a sequential create made; nil of others and of the first.
private func numberBefore(_ path: ZnodePath) -> ZnodePath? {
    let digits = path.bytes.suffix(10)
    guard digits.count == 10, digits.allSatisfy({ 48...57 ~= $0 }),
        let number = Int(String(decoding: digits, as: UTF8.self)), number > 0
    else { return nil }
    let text = String(number - 1)
    return ZnodePath(
        bytes: path.bytes.dropLast(10) + Array(repeating: 48, count: 10 - text.count)
            + Array(text.utf8)
    )
}

private func isRead(_ operation: Operation) -> Bool {
    switch operation {
    case .exists, .getData, .getChildren, .getChildren2, .getACL: true
    default: false
    }
}

private func changingStats(
    of action: ReplicaAction,
    _ state: inout BugState,
    _ change: (inout Stat) -> Void
) -> [ReplicaAction] {
    guard case .reply(let id, var reply) = action, case .success(let response) = reply.result else {
        return [action]
    }
    func changed(_ stat: Stat) -> Stat {
        var stat = stat
        change(&stat)
        return stat
    }
    let result: Response
    switch response {
    case .stat(let stat): result = .stat(changed(stat))
    case .data(let data, let stat): result = .data(data, changed(stat))
    case .childrenWithStat(let names, let stat): result = .childrenWithStat(names, changed(stat))
    case .acl(let acl, let stat): result = .acl(acl, changed(stat))
    default: return [action]
    }
    if result != response { state.strike() }
    reply.result = .success(result)
    return [.reply(id, reply)]
}

/// The lists stand in a snapshot's first slice. `change` says whether it changed anything.
private func changingLists(
    in request: StorageRequest,
    _ state: inout BugState,
    _ change: (inout [(session: SessionID, timeout: Int32)], inout [(id: Int64, acl: [ACL])]) ->
        Bool
) -> [StorageRequest] {
    switch request {
    case .beginSnapshot, .beginInstall: state.counts["first slice"] = 1
    case .snapshotSlice(let bytes) where state.counts["first slice"] != nil:
        state.counts["first slice"] = nil
        var reader = JuteReader(bytes)
        var sessions: [(session: SessionID, timeout: Int32)] = []
        var acls: [(id: Int64, acl: [ACL])] = []
        do {
            for _ in 0..<(try reader.vectorCount()) {
                sessions.append((try reader.sessionID(), try reader.int32()))
            }
            for _ in 0..<(try reader.vectorCount()) {
                acls.append((try reader.int64(), try reader.acl()))
            }
        } catch {
            return [request]
        }
        if change(&sessions, &acls) { state.strike() }
        var encoder = SnapshotBodyEncoder()
        encoder.begin(sessions: sessions, acls: acls)
        return [.snapshotSlice(encoder.takeSlice() + bytes[reader.offset...])]
    default: break
    }
    return [request]
}
