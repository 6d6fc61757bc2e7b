internal import ClientCore
internal import Replication
internal import Zab
internal import ZooKeeperModel
internal import ZooKeeperWire
internal import Znodes

/// What the checkers of answers and of sessions are told.
extension World {
    /// A client, or what a mount asks in its place, asks its session.
    func submit(_ index: Int, _ token: RequestToken, _ operation: Operation) {
        clients[index].questions[token] = clients[index].answers.question(operation)
        feedClient(index, .submit(token, operation))
    }

    /// A client is told the answer.
    func judge(
        _ index: Int,
        _ token: RequestToken,
        _ result: Result<Response, ErrorCode>,
        _ zxid: Zxid
    ) {
        guard let question = clients[index].questions.removeValue(forKey: token), zxid > .zero
        else { return }
        if let failure = model.advance(to: zxid, isAbandoned: commits.isAbandoned) {
            fail("transaction \(failure)")
        }
        if let failure = clients[index].answers.judge(question, result, at: zxid, model) {
            fail("client \(index): \(failure)")
        }
    }

    /// A server answers its client: never with less than the client had seen when it came.
    func checkAnswer(_ id: ConnectionID, _ reply: Reply, _ index: Int) {
        guard reply.zxid > .zero,
            case .client(let client)? = network.connections[id.rawValue]?.from,
            clients[client].connections.values.contains(id.rawValue),
            reply.zxid < clients[client].answers.newest
        else { return }
        fail(
            "server \(index) is at \(reply.zxid) and serves client \(client), which has seen"
                + " \(clients[client].answers.newest)"
        )
    }

    /// A transaction reaches a log.
    func watchTransactions(_ proposals: [Proposal], _ process: ServerProcess, _ index: Int) {
        for proposal in proposals where loggedZxids.insert(proposal.zxid).inserted {
            guard let transaction = try? TransactionCodec.decode(proposal.bytes) else {
                fail("server \(index) logs \(proposal.zxid), which nobody can read")
                continue
            }
            model.logged(transaction)
            // Who logs it first has made it.
            guard case .closeSession = transaction.body, transaction.cxid == 0,
                case .leading = process.look({ $0.ensembleRole }),
                let agreed = agreedTimeouts[transaction.session]
            else { continue }
            let failure = process.sessions.expired(
                transaction.session,
                agreed: .milliseconds(Int(agreed)),
                at: servers[index].clock.reading(at: now).instant
            )
            if let failure { fail("server \(index): \(failure)") }
        }
    }

    /// A server promises a client a session.
    func watchSession(
        _ id: ConnectionID,
        _ response: ConnectResponse,
        _ process: ServerProcess,
        _ index: Int
    ) {
        guard response.timeout > 0 else { return }
        process.clients[id]?.session = response.session
        agreedTimeouts[response.session] = response.timeout
        contact(response.session, process, index)
    }

    func contact(_ session: SessionID?, _ process: ServerProcess, _ index: Int) {
        guard let session else { return }
        var isLeading = false
        if case .leading = process.look({ $0.ensembleRole }) { isLeading = true }
        process.sessions.contact(
            session,
            isLeading: isLeading,
            at: servers[index].clock.reading(at: now).instant
        )
    }

    /// A learner answers a ping; over one connection answers come in the order in which they left.
    func sendsPing(_ id: ConnectionID, _ process: ServerProcess, _ index: Int) {
        guard network.connections[id.rawValue]?.from == .server(index) else { return }
        pingReports[id.rawValue, default: []].append(process.sessions.takeContacts())
    }

    func pingArrives(_ number: UInt64, at index: Int) {
        guard pingReports[number]?.isEmpty == false,
            let sessions = pingReports[number]?.removeFirst(),
            let process = servers[index].process
        else { return }
        process.sessions.reported(sessions, at: servers[index].clock.reading(at: now).instant)
    }

    /// At the end: the whole of every tree, lists of rights included, which no digest covers.
    func checkModel() {
        let end = servers[0].process?.replica.lastZxid ?? .zero
        if let failure = model.advance(to: end, isAbandoned: commits.isAbandoned) {
            fail("transaction \(failure)")
        }
        let paths = model.paths
        for server in servers {
            guard let tree = server.process?.replica.tree else { continue }
            for path in paths where path != "/zookeeper/config" {
                guard let znode = model.znode(path, at: end), let found = tree.find(path),
                    tree.stat(of: found) == znode.stat, tree.data(of: found) == znode.data,
                    tree.acl(of: found) == znode.acl
                else {
                    fail("server \(server.index) has another \(path) than its transactions make")
                    return
                }
            }
            if tree.count != paths.count {
                fail("server \(server.index) has \(tree.count) znodes, not \(paths.count)")
            }
        }
        let sessions = Set(clients.compactMap(\.sessionID))
        for session in model.liveSessions where !sessions.contains(session) {
            fail("session \(session) outlived its client")
        }
    }
}
