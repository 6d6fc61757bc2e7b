internal import Replication
internal import ZooKeeperModel
internal import ZooKeeperWire

/// More of them: order, replies and snapshots.
extension PlantedBug {
    // MARK: Order

    static let outsiderOrderBugs = [
        bug("replies-overtake", "one reply in twenty leaves after the one that follows it", seed: 1)
        { bug in
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
        bug(
            "sends-again",
            "a learner sends its new leader what the old one did not answer",
            seed: 6
        ) {
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
                case .append(let proposal) where !state.keptActions.isEmpty:
                    if let transaction = decoded(proposal) {
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
        bug(
            "number-reused",
            "a sequential create may take the number of a znode that is gone",
            seed: 1
        ) {
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

    static let outsiderReplyBugs = [
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
        bug("no-child-events", "children that come and go fire no watch of their parent", seed: 1) {
            bug in
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
        bug(
            "pzxid-stays",
            "says that no children have come or gone since a znode was made",
            seed: 1
        ) {
            bug in
            bug.does = { action, state in
                changingStats(of: action, &state) { $0.pzxid = $0.czxid }
            }
        },
        bug("counts-deleted", "counts children that were deleted", seed: 1) { bug in
            bug.does = { action, state in
                changingStats(of: action, &state) {
                    $0.numChildren = ($0.cversion + $0.numChildren) / 2
                }
            }
        },
    ]

    // MARK: Snapshots

    static let outsiderSnapshotBugs = [
        bug("snapshot-without-sessions", "leaves sessions out of snapshots", seed: 6) { bug in
            bug.stores = { request, state in
                changingLists(in: request, &state) { sessions, acls in
                    defer { sessions = [] }
                    return !sessions.isEmpty
                }
            }
        },
        bug("snapshot-without-acls", "writes every access control list as open to all", seed: 1) {
            bug in
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
