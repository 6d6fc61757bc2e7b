import Replication
import Testing
import ZooKeeperModel

/// Sessions whose clients go from server to server, and sessions that end meanwhile.
@Suite struct SessionMoveTests {
    private func ephemeral(_ path: ZnodePath) -> Operation {
        .create(CreateRequest(kind: .create, path: path, data: nil, mode: .ephemeral))
    }

    @Test
    func `ZOOKEEPER-710: a late write over the old server does nothing, the new one serves on`()
        throws
    {
        let ensemble = try Ensemble.ofThree()
        let (leader, others) = try ensemble.roles()
        for (path, server) in [("/a", others[1]), ("/b", leader)] as [(ZnodePath, ServerID)] {
            let old = try ensemble.connect(others[0])
            #expect(try old.create(path, [0], mode: .ephemeral) == path)
            ensemble.slow(others[0])
            old.send(.setData(path, data: [9], version: -1))
            ensemble.settle()
            let new = try ensemble.reconnect(old, to: server)
            #expect(try new.code(.setData(path, data: [1], version: -1)) == .ok)
            ensemble.hurry(others[0])
            try #require(ensemble.run { old.isClosed })
            #expect(!new.isClosed)
            #expect(try new.code(.setData(path, data: [2], version: -1)) == .ok)
            #expect(try new.call(.getData(path, watch: false)).data == [2])
            // And back, where the refused one came from.
            let back = try ensemble.reconnect(old, to: others[0])
            #expect(try back.code(.setData(path, data: [3], version: -1)) == .ok)
            #expect(try back.call(.getData(path, watch: false)).data == [3])
        }
        ensemble.settle()
        ensemble.expectSameTrees()
    }

    @Test func `a client that numbers its requests anew gets no answer of its old server's`() throws
    {
        let ensemble = try Ensemble.ofThree()
        let (leader, others) = try ensemble.roles()
        let old = try ensemble.connect(others[0])
        // Proposed, and not committed: only one disk answers.
        for id in [leader, others[1]] { ensemble.node(id).isDiskHeld = true }
        old.send(.create(CreateRequest(kind: .create, path: "/old", data: nil)))
        ensemble.settle()
        let connection = ensemble.open(others[1])
        ensemble.ask(
            connection,
            ConnectRequest(
                lastZxidSeen: .zero,
                timeout: 10_000,
                session: old.response.session,
                password: old.response.password
            )
        )
        ensemble.settle()
        #expect(ensemble.sent[connection] == [], "what is under way comes first")
        for id in [leader, others[1]] { ensemble.node(id).isDiskHeld = false }
        ensemble.settle()
        guard case .connected(let response)? = ensemble.sent[connection]?.first else {
            Issue.record("no session: \(String(describing: ensemble.sent[connection]))")
            return
        }
        let new = EnsembleClient(ensemble, connection: connection, response: response)
        #expect(try new.create("/new") == "/new")
        #expect(try new.code(.exists("/old", watch: false)) == .ok)
    }

    @Test func `a revalidation that arrives late costs a reconnection and no more`() throws {
        let ensemble = try Ensemble.ofThree()
        let (_, others) = try ensemble.roles()
        let first = try ensemble.connect(others[0])
        #expect(try first.create("/e", mode: .ephemeral) == "/e")
        // It tries another server, which is slow, gives up and comes back.
        ensemble.slow(others[1])
        let attempt = ensemble.open(others[1])
        ensemble.ask(
            attempt,
            ConnectRequest(
                lastZxidSeen: .zero,
                timeout: 10_000,
                session: first.response.session,
                password: first.response.password
            )
        )
        ensemble.settle()
        ensemble.drop(attempt)
        let second = try ensemble.reconnect(first, to: others[0])
        #expect(try second.code(.setData("/e", data: [1], version: -1)) == .ok)
        ensemble.hurry(others[1])
        ensemble.settle()
        second.send(.setData("/e", data: [2], version: -1))
        try #require(ensemble.run { second.isClosed })
        let third = try ensemble.reconnect(first, to: others[0])
        #expect(try third.code(.setData("/e", data: [3], version: -1)) == .ok)
        #expect(try third.call(.getData("/e", watch: false)).data == [3])
    }

    @Test func `ZOOKEEPER-1208, 1496: nothing of a session is made behind its close`() throws {
        let ensemble = try Ensemble.ofThree()
        let (leader, others) = try ensemble.roles()
        for server in [others[0], leader] {
            let client = try ensemble.connect(server)
            _ = try client.create("/e", mode: .ephemeral)
            ensemble.node(leader).isDiskHeld = true
            for other in others { ensemble.node(other).isDiskHeld = true }
            client.send(ephemeral("/before"))
            client.send(.closeSession)
            client.send(ephemeral("/behind"))
            ensemble.settle()
            // It tries to go on somewhere else before the close is committed.
            let attempt = ensemble.open(others[1])
            ensemble.ask(
                attempt,
                ConnectRequest(
                    lastZxidSeen: .zero,
                    timeout: 10_000,
                    session: client.response.session,
                    password: client.response.password
                )
            )
            ensemble.settle()
            for id in ensemble.ids { ensemble.node(id).isDiskHeld = false }
            try #require(ensemble.run { client.isClosed && ensemble.isClosed(attempt) })
            guard case .connected(let response)? = ensemble.sent[attempt]?.first else {
                Issue.record("no answer: \(String(describing: ensemble.sent[attempt]))")
                return
            }
            #expect(response.timeout == 0)
            ensemble.settle()
            for id in ensemble.ids {
                #expect(ensemble.status(id)?.ephemeralCount == 0)
                #expect(ensemble.status(id)?.sessionCount == 0)
            }
        }
        ensemble.expectSameTrees()
    }

    @Test func `ZOOKEEPER-2355: a follower lost at any moment of a close keeps no ephemeral`()
        throws
    {
        let ensemble = try Ensemble.ofThree()
        let (leader, others) = try ensemble.roles()
        for moment in 0..<24 {
            let client = try ensemble.connect(others[0])
            _ = try client.create("/e", mode: .ephemeral)
            client.send(.closeSession)
            ensemble.run(steps: moment) { false }
            ensemble.crash(others[moment % 2])
            ensemble.settle()
            ensemble.start(others[moment % 2])
            try #require(
                ensemble.run {
                    ensemble.ids.allSatisfy {
                        ensemble.status($0)?.isServing == true
                            && ensemble.status($0)?.lastZxid == ensemble.status(leader)?.lastZxid
                    }
                }
            )
            // Where the close itself was lost with its server, the session ends by its silence.
            ensemble.advance(.seconds(14))
            for id in ensemble.ids {
                #expect(ensemble.status(id)?.ephemeralCount == 0, "moment \(moment), server \(id)")
                #expect(ensemble.status(id)?.sessionCount == 0, "moment \(moment), server \(id)")
            }
        }
        ensemble.expectSameTrees()
    }

    @Test func `after a change of leader every session has its full timeout again`() throws {
        let ensemble = try Ensemble.ofThree()
        let (leader, others) = try ensemble.roles()
        let quick = try ensemble.connect(others[0], timeout: 12_000)
        let slow = try ensemble.connect(others[1], timeout: 12_000)
        _ = try quick.create("/quick", mode: .ephemeral)
        _ = try slow.create("/slow", mode: .ephemeral)
        // Nearly silent for too long when the leader goes.
        ensemble.advance(.milliseconds(11_500))
        ensemble.crash(leader)
        try #require(
            ensemble.run {
                ensemble.leader != nil
                    && others.allSatisfy { ensemble.status($0)?.isServing == true }
            }
        )
        #expect(quick.isClosed && slow.isClosed)
        ensemble.advance(.milliseconds(11_500))
        #expect(others.allSatisfy { ensemble.status($0)?.ephemeralCount == 2 })
        let back = try ensemble.reconnect(quick, to: others[1])
        #expect(back.response.timeout == 12_000)
        for _ in 0..<3 {
            ensemble.advance(.milliseconds(3000))
            #expect(try back.code(.ping) == .ok)
        }
        #expect(others.allSatisfy { ensemble.status($0)?.ephemeralCount == 1 })
        #expect(try back.code(.exists("/quick", watch: false)) == .ok)
        #expect(try ensemble.reconnect(slow, to: others[0]).response.timeout == 0)
    }
}
