import Replication
import Testing
import ZooKeeperModel

/// Sessions that only the server knows whose client it is. Servers 1 and 2 vote, 3 observes.
@Suite struct LocalSessionTests {
    private func ensemble(upgrading: Bool = false) throws -> Ensemble {
        let ensemble = try Ensemble.withObserver {
            $0.localSessions = true
            $0.localSessionsUpgrading = upgrading
        }
        // From here on zxids are counted.
        let client = try ensemble.connect(try ensemble.roles().leader)
        _ = try client.create("/first")
        #expect(try client.code(.closeSession) == .ok)
        try catchUp(ensemble)
        return ensemble
    }
    private func ephemeral(_ path: ZnodePath) -> Operation {
        .create(CreateRequest(kind: .create, path: path, data: nil, mode: .ephemeral))
    }
    private func persistent(_ path: ZnodePath) -> Operation {
        .create(CreateRequest(kind: .create, path: path, data: nil))
    }
    private func catchUp(_ ensemble: Ensemble) throws {
        let last = try ensemble.lastZxid(try ensemble.roles().leader)
        try #require(
            ensemble.run {
                ensemble.ids.allSatisfy {
                    (ensemble.status($0)?.lastZxid).map { $0 >= last } == true
                }
            }
        )
    }

    @Test
    func `a local session costs no transaction, and its client reads and writes as any other`()
        throws
    {
        let ensemble = try ensemble()
        for server in ensemble.ids {
            try catchUp(ensemble)
            let before = try ensemble.lastZxid(server)
            let client = try ensemble.connect(server)
            #expect(client.response.session.rawValue >> 56 == server.rawValue)
            #expect(try ensemble.lastZxid(server) == before)
            #expect(ensemble.status(server)?.localSessionCount == 1)
            #expect(ensemble.ids.allSatisfy { ensemble.status($0)?.sessionCount == 0 })
            let path = ZnodePath("/of\(server)")
            #expect(try client.create(path) == path)
            #expect(try client.code(.sync(path)) == .ok)
            #expect(try client.code(.setData(path, data: [1], version: 0)) == .ok)
            #expect(try client.call(.getData(path, watch: false)).data == [1])
            #expect(try ensemble.lastZxid(server) == before.next.next)
            for _ in 0..<6 {
                ensemble.advance(.seconds(4))
                #expect(try client.code(.ping) == .ok)
            }
        }
        ensemble.expectSameTrees()
    }

    @Test func `an ephemeral of a local session is refused, in a multi too`() throws {
        let ensemble = try ensemble()
        for server in ensemble.ids {
            let client = try ensemble.connect(server)
            #expect(try client.code(ephemeral("/e")) == .ephemeralOnLocalSession)
            #expect(try client.code(ephemeral("/none/e")) == .ephemeralOnLocalSession)
            let reply = try client.call(.multi([persistent("/p"), ephemeral("/e")]))
            #expect(
                reply.result
                    == .success(.multi([.failure(.ok), .failure(.ephemeralOnLocalSession)]))
            )
            #expect(try client.code(.exists("/p", watch: false)) == .noNode)
        }
        ensemble.expectSameTrees()
    }

    @Test func `the first ephemeral makes a local session known to all`() throws {
        let ensemble = try ensemble(upgrading: true)
        for server in ensemble.ids {
            try catchUp(ensemble)
            let client = try ensemble.connect(server)
            let before = try ensemble.lastZxid(server)
            let known = try #require(ensemble.status(server)?.sessionCount)
            let path = ZnodePath("/e\(server)")
            #expect(try client.code(.multi([ephemeral(path)])) == .ok)
            #expect(
                try ensemble.lastZxid(server) == before.next.next,
                "the session, then the znode"
            )
            #expect(try client.code(ephemeral(ZnodePath("/f\(server)"))) == .ok)
            #expect(try ensemble.lastZxid(server) == before.next.next.next)
            #expect(ensemble.status(server)?.localSessionCount == 0)
            try catchUp(ensemble)
            #expect(ensemble.ids.allSatisfy { ensemble.status($0)?.sessionCount == known + 1 })
            // From here on it moves as any other.
            let other = ensemble.ids[(Int(server.rawValue)) % 3]
            let moved = try ensemble.reconnect(client, to: other)
            #expect(moved.response.session == client.response.session)
            #expect(
                try moved.call(.exists(path, watch: false)).stat?.ephemeralOwner
                    == client.response.session
            )
        }
        // And ends as any other.
        ensemble.advance(.seconds(20))
        #expect(ensemble.ids.allSatisfy { ensemble.status($0)?.ephemeralCount == 0 })
        #expect(ensemble.ids.allSatisfy { ensemble.status($0)?.sessionCount == 0 })
        ensemble.expectSameTrees()
    }

    @Test func `a local session comes back to its own server and to no other`() throws {
        let ensemble = try ensemble()
        for server in ensemble.ids {
            let client = try ensemble.connect(server)
            let other = ensemble.ids[(Int(server.rawValue)) % 3]
            #expect(try ensemble.reconnect(client, to: other).response.timeout == 0)
            #expect(try client.code(.ping) == .ok, "the stranger's failure changes nothing")
            let back = try ensemble.reconnect(client, to: server)
            #expect(back.response.session == client.response.session)
            #expect(client.isClosed)
            #expect(try back.create(ZnodePath("/by\(server)")) == ZnodePath("/by\(server)"))
            ensemble.drop(back.connection)
            ensemble.advance(.seconds(5))
            let again = try ensemble.reconnect(client, to: server)
            #expect(again.response.timeout == 10_000, "it outlives its connection")
            let thief = try ensemble.connect(
                server,
                session: client.response.session,
                password: [UInt8](repeating: 1, count: 16)
            )
            #expect(thief.response.timeout == 0)
            #expect(!again.isClosed)
        }
    }

    @Test func `closing a local session makes no transaction and comes after its answers`() throws {
        let ensemble = try ensemble()
        for server in ensemble.ids {
            let client = try ensemble.connect(server)
            let before = try ensemble.lastZxid(try ensemble.roles().leader)
            let path = ZnodePath("/last\(server)")
            client.send(persistent(path))
            client.send(.closeSession)
            client.send(persistent(ZnodePath("/late\(server)")))
            try #require(ensemble.run { client.isClosed })
            #expect(client.codes == [.ok, .ok])
            #expect(ensemble.status(server)?.localSessionCount == 0)
            #expect(try ensemble.reconnect(client, to: server).response.timeout == 0)
            try catchUp(ensemble)
            #expect(try ensemble.lastZxid(server) == before.next, "nothing behind the close counts")
        }
    }

    @Test func `a silent local session ends without a transaction`() throws {
        let ensemble = try ensemble()
        for server in ensemble.ids {
            try catchUp(ensemble)
            let before = try ensemble.lastZxid(server)
            let client = try ensemble.connect(server, timeout: 4000)
            ensemble.advance(.seconds(7))
            #expect(client.isClosed)
            #expect(ensemble.status(server)?.localSessionCount == 0)
            #expect(try ensemble.lastZxid(server) == before)
            #expect(try ensemble.reconnect(client, to: server).response.timeout == 0)
        }
    }

    @Test func `ZOOKEEPER-3471: a session closed right after its first ephemeral leaves nothing`()
        throws
    {
        let ensemble = try ensemble(upgrading: true)
        for server in ensemble.ids {
            let client = try ensemble.connect(server)
            client.send(ephemeral("/lock"))
            client.send(.closeSession)
            try #require(ensemble.run { client.isClosed })
            #expect(client.codes == [.ok, .ok])
            try catchUp(ensemble)
            for id in ensemble.ids {
                #expect(ensemble.status(id)?.ephemeralCount == 0)
                #expect(ensemble.status(id)?.sessionCount == 0)
            }
        }
        ensemble.expectSameTrees()
    }

    @Test
    func `ZOOKEEPER-3471: a client lost while its session is made known leaves nothing for long`()
        throws
    {
        let ensemble = try ensemble(upgrading: true)
        for server in ensemble.ids {
            let client = try ensemble.connect(server)
            client.send(ephemeral("/lock"))
            ensemble.drop(client.connection)
            ensemble.advance(.seconds(1))
            #expect(ensemble.status(server)?.ephemeralCount == 1)
            ensemble.advance(.seconds(15))
            for id in ensemble.ids {
                #expect(ensemble.status(id)?.ephemeralCount == 0)
                #expect(ensemble.status(id)?.sessionCount == 0)
            }
        }
        ensemble.expectSameTrees()
    }

    @Test func `a client that comes back while its session is made known keeps it`() throws {
        let ensemble = try ensemble(upgrading: true)
        let (leader, others) = try ensemble.roles()
        for (server, next) in [(others[0], others[0]), (others[1], leader), (leader, leader)] {
            let client = try ensemble.connect(server)
            let path = ZnodePath("/lock\(server)")
            client.send(ephemeral(path))
            let before = ensemble.replies(client.connection).count
            // As much as it takes until the leader has the requests, and not the answer.
            ensemble.run(steps: 4) { ensemble.replies(client.connection).count > before }
            let back = try ensemble.reconnect(client, to: next)
            #expect(back.response.session == client.response.session)
            #expect(try back.code(.sync("/")) == .ok)
            #expect(try back.code(.setData(path, data: [1], version: -1)) == .ok)
        }
    }

    @Test func `local sessions end with their server's part in the ensemble`() throws {
        let ensemble = try Ensemble.ofThree { $0.localSessions = true }
        let (leader, others) = try ensemble.roles()
        let client = try ensemble.connect(others[0])
        ensemble.crash(leader)
        try #require(ensemble.run { client.isClosed })
        try #require(
            ensemble.run { others.allSatisfy { ensemble.status($0)?.isServing == true } }
        )
        #expect(try ensemble.reconnect(client, to: others[0]).response.timeout == 0)
        #expect(ensemble.status(others[0])?.localSessionCount == 0)
    }

    @Test func `a session that has ended is no other server's local session`() throws {
        let ensemble = try ensemble()
        let (leader, others) = try ensemble.roles()
        // Closing, and closed: neither may write through the leader that knows better.
        let client = try ensemble.connect(leader)
        client.send(.closeSession)
        client.send(persistent("/late"))
        try #require(ensemble.run { client.isClosed })
        let witness = try ensemble.connect(others[0])
        #expect(try witness.code(.sync("/")) == .ok)
        #expect(try witness.code(.exists("/late", watch: false)) == .noNode)
    }

    @Test
    func `what a session had under way when it ended is refused, not taken for a local one's`()
        throws
    {
        let ensemble = try ensemble(upgrading: true)
        let (leader, others) = try ensemble.roles()
        // The observer: without the other voter nothing would be committed.
        let observer = others[1]
        let client = try ensemble.connect(observer, timeout: 4000)
        #expect(try client.code(ephemeral("/lock")) == .ok)
        ensemble.slow(observer)
        client.send(.setData("/first", data: [9], version: -1))
        // The lock is gone, its former owner's write is still on its way.
        ensemble.advance(.seconds(7))
        #expect(ensemble.status(leader)?.ephemeralCount == 0)
        ensemble.hurry(observer)
        ensemble.settle()
        let witness = try ensemble.connect(leader)
        #expect(try witness.call(.getData("/first", watch: false)).data == [])
        try catchUp(ensemble)
        ensemble.expectSameTrees()
    }

    @Test func `a server alone knows all sessions, whatever is configured`() throws {
        let ensemble = try Ensemble.standalone { $0.localSessions = true }
        let client = try ensemble.connect(one)
        #expect(ensemble.status(one)?.sessionCount == 1)
        #expect(ensemble.status(one)?.localSessionCount == 0)
        #expect(try client.code(ephemeral("/e")) == .ok)
    }
}
