internal import Replication
internal import ZooKeeperModel
internal import ZooKeeperWire

/// Mistakes that were thought of and planted without a look at the workload or the checkers.
extension PlantedBug {
    /// Seen within the seeds that are looked through.
    static let outsiderBugs = allOutsiderBugs.filter { $0.recordedSeed != nil }
    /// Not seen so far: what the workload and the checkers are blind to. Docs/Simulation.md says why.
    package static let unseen = allOutsiderBugs.filter { $0.recordedSeed == nil }

    private static let allOutsiderBugs =
        outsiderQuorumBugs + outsiderSyncBugs + outsiderSessionBugs + outsiderOrderBugs
        + outsiderReplyBugs + outsiderSnapshotBugs

    // MARK: Quorums and elections

    static let outsiderQuorumBugs = [
        bug(
            "counts-observer",
            "takes an observer's acknowledgement of NEWLEADER for a voter's",
            seed: 9
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
        bug("early-uptodate", "a follower serves when it has acknowledged NEWLEADER", seed: 1) {
            bug in
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
        bug("phantom-pings", "a leader takes a PING for answered when it is sent", seed: 112) {
            bug in
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

    static let outsiderSyncBugs = [
        bug("sync-alone", "a learner answers sync without its leader", seed: 43) { bug in
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
        bug("sync-overtakes", "a learner handles SYNC before COMMITs that came before it", seed: 2)
        {
            bug in
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
                case .fromLeader(_, .proposal), .fromLeader(_, .ping), .storage, .request:
                    return [input]
                default:
                    defer { state.keptInputs = [] }
                    return state.keptInputs + [input]
                }
            }
        },
    ]

    // MARK: Sessions

    static let outsiderSessionBugs = [
        bug("moves-granted", "a leader finds every session alive that comes to a learner", seed: 19)
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
            seed: 31
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
            seed: 1
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
        bug(
            "immortal-sessions",
            "a learner reports sessions as alive whose clients are gone",
            seed: 1
        ) {
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
        bug(
            "hasty-expiry",
            "a leader ends learners' sessions after two thirds of their time",
            seed: 4
        ) {
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
        bug("late-write", "a leader takes a write of a session that has ended", seed: 23) { bug in
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
                case .append(let proposal):
                    if let transaction = decoded(proposal),
                        case .closeSession = transaction.body
                    {
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
        bug("forwards-as-super", "a learner vouches for its clients as a super user", seed: 1) {
            bug in
            bug.does = { action, state in
                guard case .send(let id, .request(var request)) = action else { return [action] }
                state.strike()
                request.identities = [Identity(scheme: "super", id: "")]
                return [.send(id, .request(request))]
            }
        },
        bug("takes-future-clients", "serves clients that have seen more than this server", seed: 61)
        { bug in
            bug.hears = { input, state in
                guard case .connectRequest(let id, var request) = input else { return [input] }
                if request.lastZxidSeen > state.lastZxid { state.strike() }
                request.lastZxidSeen = .zero
                return [.connectRequest(id, request)]
            }
        },
    ]
}
