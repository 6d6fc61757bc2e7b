internal import Replication
internal import ZooKeeperModel
internal import ZooKeeperWire

extension PlantedBug {
    /// In the order of the table in Docs/Simulation.md.
    package static let all: [PlantedBug] =
        diskBugs + epochBugs + synchronizationBugs + quorumBugs + serviceBugs
        + outsiderBugs

    package static func named(_ name: String) -> PlantedBug? {
        (all + unseen).first { $0.name == name }
    }

    // MARK: The disk

    private static let diskBugs = [
        bug("early-ack", "says that a proposal is durable before it is written", seed: 1) { bug in
            bug.stores = { request, state in
                if case .append(let proposals) = request, let last = proposals.last {
                    state.tell(.storage(.persisted(upTo: last.zxid)))
                }
                return [request]
            }
            bug.answers = { result, _ in
                if case .persisted = result { [] } else { [result] }
            }
        },
        bug("no-fsync", "syncs neither files nor directories", seed: 2) { $0.ignoresSyncs = true },
        bug("deaf-to-errors", "takes a failed write for done", seed: 3) { bug in
            bug.answers = { result, state in
                guard case .failed = result, let end = state.counts["appended"] else {
                    return [result]
                }
                return [.persisted(upTo: Zxid(rawValue: end))]
            }
            bug.stores = { request, state in
                if case .append(let proposals) = request, let last = proposals.last {
                    state.counts["appended"] = last.zxid.rawValue
                }
                return [request]
            }
        },
        bug("log-hole", "leaves one append in two hundred out of the log", seed: 1) { bug in
            bug.stores = { request, state in
                guard case .append(let proposals) = request, let last = proposals.last,
                    state.random.chance(1, in: 200)
                else { return [request] }
                state.tell(.storage(.persisted(upTo: last.zxid)))
                return []
            }
        },
        bug("late-log", "writes an append after the one that follows it is acknowledged", seed: 2) {
            bug in
            bug.stores = { request, state in
                guard case .append(let proposals) = request, let last = proposals.last else {
                    defer { state.keptRequests = [] }
                    return state.keptRequests + [request]
                }
                defer { state.keptRequests = [request] }
                state.tell(.storage(.persisted(upTo: last.zxid)))
                return state.keptRequests
            }
            bug.answers = { result, _ in
                if case .persisted = result { [] } else { [result] }
            }
        },
    ]

    // MARK: Epochs

    private static let epochBugs = [
        bug("forgets-accepted", "does not store the accepted epoch", seed: 2) { bug in
            bug.stores = { request, state in
                guard case .storeEpoch(.accepted, let epoch) = request else { return [request] }
                state.tell(.storage(.epochStored(.accepted, epoch)))
                return []
            }
        },
        bug("early-epoch", "says that an epoch is stored before it is", seed: 2) { bug in
            bug.stores = { request, state in
                if case .storeEpoch(let kind, let epoch) = request {
                    state.tell(.storage(.epochStored(kind, epoch)))
                }
                return [request]
            }
        },
        bug("never-current", "does not store the current epoch", seed: 1) { bug in
            bug.stores = { request, state in
                guard case .storeEpoch(.current, let epoch) = request else { return [request] }
                state.tell(.storage(.epochStored(.current, epoch)))
                return []
            }
        },
    ]

    // MARK: Synchronization

    private static let synchronizationBugs = [
        bug("skips-trunc", "keeps what TRUNC tells it to cut", seed: 2) { bug in
            bug.hears = { input, _ in
                guard case .fromLeader(let id, .truncate(let zxid)) = input else { return [input] }
                return [.fromLeader(id, .diff(zxid))]
            }
        },
        bug("leader-keeps-tail", "answers a learner that is ahead with DIFF", seed: 2) { bug in
            bug.does = { action, _ in
                guard case .send(let id, .truncate(let zxid)) = action else { return [action] }
                return [.send(id, .diff(zxid))]
            }
        },
        bug("early-newleader", "acknowledges NEWLEADER before its history is durable", seed: 21) {
            bug in
            bug.hears = { input, state in
                switch input {
                case .fromLeader(_, .leaderInfo): state.counts["syncing"] = 1
                case .fromLeader(_, .upToDate): state.counts["syncing"] = 0
                default: break
                }
                return [input]
            }
            bug.stores = { request, state in
                if case .append(let proposals) = request, let last = proposals.last,
                    state.counts["syncing"] == 1
                {
                    state.tell(.storage(.persisted(upTo: last.zxid)))
                }
                return [request]
            }
        },
        bug("lossy-snapshot", "leaves a byte of a leader's snapshot wrong", seed: 1) { bug in
            bug.does = { action, state in
                guard case .send(let id, .snapshotSlice(var bytes)) = action, bytes.count > 2000
                else { return [action] }
                // In some znode's data: digits become other digits.
                let start = state.random.below(bytes.count - 1000)
                if let place = bytes[start...].firstIndex(where: { (0x31...0x38).contains($0) }) {
                    bytes[place] += 1
                }
                return [.send(id, .snapshotSlice(bytes))]
            }
        },
    ]

    // MARK: Quorums

    private static let quorumBugs = [
        bug(
            "one-for-all",
            "counts a follower's acknowledgement for all that are connected",
            seed: 2
        ) {
            bug in
            bug.hears = { input, state in
                switch input {
                case .learnerConnected(let id):
                    state.connections["\(id.rawValue)"] = id
                case .learnerDisconnected(let id):
                    state.connections["\(id.rawValue)"] = nil
                case .fromLearner(let id, .ack(let zxid)) where zxid.counter > 0:
                    let others = state.connections.values.filter { $0 != id }.sorted()
                    return [input] + others.map { .fromLearner($0, .ack(zxid)) }
                default: break
                }
                return [input]
            }
        },
        bug("no-newleader-quorum", "founds an epoch when one follower has its history", seed: 1) {
            bug in
            bug.hears = { input, state in
                switch input {
                case .learnerConnected(let id):
                    state.connections["\(id.rawValue)"] = id
                case .learnerDisconnected(let id):
                    state.connections["\(id.rawValue)"] = nil
                case .fromLearner(let id, .ack(let zxid)) where zxid.counter == 0:
                    let others = state.connections.values.filter { $0 != id }.sorted()
                    return [input] + others.map { .fromLearner($0, .ack(zxid)) }
                default: break
                }
                return [input]
            }
        },
        bug("acks-unwritten", "a follower acknowledges proposals as they come", seed: 1) { bug in
            bug.hears = { input, state in
                if case .fromLeader(let id, .proposal(let proposal)) = input {
                    state.counts["proposed"] = proposal.zxid.rawValue
                    state.connections["leader"] = id
                }
                return [input]
            }
            bug.stores = { request, state in
                if case .append(let proposals) = request, let last = proposals.last,
                    state.counts["proposed"] == last.zxid.rawValue
                {
                    state.tell(.storage(.persisted(upTo: last.zxid)))
                }
                return [request]
            }
        },
    ]

    // MARK: Clients

    private static let serviceBugs = [
        bug("loses-events", "one watch event in ten is not sent", seed: 2) { bug in
            bug.does = { action, state in
                if case .event = action, state.random.chance(1, in: 10) { return [] }
                return [action]
            }
        },
        bug("watch-after-data", "an event is sent after the reply that follows it", seed: 2) {
            bug in
            bug.does = { action, state in
                switch action {
                case .event:
                    state.keptActions.append(action)
                    return []
                case .reply:
                    defer { state.keptActions = [] }
                    return [action] + state.keptActions
                default: return [action]
                }
            }
        },
        bug("forgets-watches", "takes no watches over from a client that comes back", seed: 4) {
            bug in
            bug.hears = { input, _ in
                guard case .request(let id, var request) = input,
                    case .setWatches(let old) = request.operation
                else { return [input] }
                request.operation = .setWatches(
                    WatchRegistrations(
                        relativeZxid: old.relativeZxid,
                        isSecondVersion: old.isSecondVersion
                    )
                )
                return [.request(id, request)]
            }
        },
        bug("ephemeral-stays", "a learner keeps the ephemerals of a session that ends", seed: 5) {
            bug in
            bug.hears = { input, _ in
                switch input {
                case .fromLeader(let id, .proposal(let proposal)):
                    return [.fromLeader(id, .proposal(withoutClose(proposal)))]
                case .fromLeader(let id, .inform(let proposal)):
                    return [.fromLeader(id, .inform(withoutClose(proposal)))]
                default: return [input]
                }
            }
        },
        bug("not-ephemeral", "makes one ephemeral in four a persistent znode", seed: 2) { bug in
            bug.hears = { input, state in
                guard case .request(let id, var request) = input,
                    case .create(var create) = request.operation,
                    create.flags == CreateMode.ephemeral.rawValue, state.random.chance(1, in: 4)
                else { return [input] }
                create.flags = CreateMode.persistent.rawValue
                request.operation = .create(create)
                return [.request(id, request)]
            }
        },
        bug("half-multi", "one multi in fifty is done in part", seed: 4) { bug in
            bug.hears = { input, state in
                guard case .request(let id, var request) = input,
                    case .multi(let parts) = request.operation, state.random.chance(1, in: 50)
                else { return [input] }
                request.operation = .multi(Array(parts.dropLast()))
                return [.request(id, request)]
            }
        },
        bug("ignores-versions", "sets data whatever version was asked for", seed: 1) { bug in
            bug.hears = { input, _ in
                guard case .request(let id, var request) = input,
                    case .setData(let path, let data, _) = request.operation
                else { return [input] }
                request.operation = .setData(path, data: data, version: -1)
                return [.request(id, request)]
            }
        },
    ]

    /// The transaction with nothing in it, where it ends a session.
    private static func withoutClose(_ proposal: Proposal) -> Proposal {
        guard var transaction = try? TransactionCodec.decode(proposal.bytes),
            case .closeSession = transaction.body
        else { return proposal }
        transaction.body = .closeSession([])
        return Proposal(
            zxid: proposal.zxid,
            bytes: TransactionCodec.encode(transaction)
        )
    }

    static func bug(
        _ name: String,
        _ mistake: String,
        seed: UInt64? = nil,
        _ plant: (inout PlantedBug) -> Void
    ) -> PlantedBug {
        var bug = PlantedBug(name, mistake, seed: seed)
        plant(&bug)
        return bug
    }
}
