import Replication
import Testing
import ZooKeeperModel

@Suite struct SessionTests {
    private let open = ConnectRequest(
        lastZxidSeen: .zero,
        timeout: 10_000,
        session: .none,
        password: nil
    )

    @Test(arguments: [(1, 4000), (10_000, 10_000), (1_000_000, 40_000)] as [(Int32, Int32)])
    func `the timeout is brought into what the server allows`(asked: Int32, given: Int32) throws {
        let ensemble = try Ensemble.standalone()
        let client = try ensemble.connect(one, timeout: asked)
        #expect(client.response.timeout == given)
        #expect(client.response.session.rawValue >> 56 == 1, "the server's id is on top")
        #expect(client.response.password.count == 16)
    }

    @Test func `a session is answered only when its transaction is durable`() throws {
        let ensemble = try Ensemble.standalone()
        ensemble.node(one).isDiskHeld = true
        let connection = ensemble.open(one)
        ensemble.send(connection, .connectRequest(connection, open))
        ensemble.settle()
        #expect(ensemble.sent[connection] == [])
        #expect(ensemble.paused.contains(connection))
        ensemble.node(one).isDiskHeld = false
        ensemble.settle()
        #expect(ensemble.sent[connection]?.count == 1)
        #expect(!ensemble.paused.contains(connection))
    }

    @Test func `a session ends when its client is silent, and its ephemerals with it`() throws {
        let ensemble = try Ensemble.standalone()
        let silent = try ensemble.connect(one, timeout: 4000)
        let lively = try ensemble.connect(one, timeout: 4000)
        _ = try silent.create("/e", mode: .ephemeral)
        for _ in 0..<3 {
            ensemble.advance(.milliseconds(1900))
            #expect(try lively.code(.ping) == .ok)
        }
        #expect(try lively.code(.exists("/e", watch: false)) == .noNode)
        #expect(silent.isClosed && !lively.isClosed)
        let back = try ensemble.connect(
            one,
            session: silent.response.session,
            password: silent.response.password
        )
        #expect(back.response.timeout == 0 && back.response.session == .none)
        #expect(back.response.password == [UInt8](repeating: 0, count: 16))
        ensemble.settle()
        #expect(back.isClosed)
    }

    @Test func `nobody expires while this process was away and had no time to read pings`() throws {
        let ensemble = try Ensemble.standalone()
        let client = try ensemble.connect(one, timeout: 4000)
        ensemble.freeze(.seconds(60))
        ensemble.wakeAll()
        ensemble.settle()
        #expect(!client.isClosed)
        #expect(try client.code(.ping) == .ok)
        ensemble.advance(.milliseconds(3900))
        #expect(!client.isClosed)
        ensemble.advance(.seconds(3))
        #expect(client.isClosed, "silence still ends it")
    }

    @Test func `a client comes back to its session, and its old connection is closed`() throws {
        let ensemble = try Ensemble.standalone()
        let old = try ensemble.connect(one)
        _ = try old.create("/e", mode: .ephemeral)
        let new = try ensemble.connect(
            one,
            timeout: 5000,
            session: old.response.session,
            password: old.response.password
        )
        #expect(new.response.session == old.response.session)
        #expect(new.response.timeout == 5000)
        #expect(old.isClosed)
        #expect(
            try new.call(.exists("/e", watch: false)).stat?.ephemeralOwner
                == new.response.session
        )
        #expect(try new.code(.setData("/e", data: [1], version: 0)) == .ok)
    }

    @Test func `a wrong password does not disturb the session`() throws {
        let ensemble = try Ensemble.standalone()
        let client = try ensemble.connect(one)
        let thief = try ensemble.connect(
            one,
            session: client.response.session,
            password: [UInt8](repeating: 1, count: 16)
        )
        #expect(thief.response.timeout == 0)
        ensemble.settle()
        #expect(thief.isClosed && !client.isClosed)
        #expect(try client.code(.ping) == .ok)
    }

    @Test func `a client that has seen more than this server is sent away`() throws {
        let ensemble = try Ensemble.standalone()
        let connection = ensemble.open(one)
        ensemble.send(
            connection,
            .connectRequest(
                connection,
                ConnectRequest(
                    lastZxidSeen: Zxid(rawValue: .max),
                    timeout: 10_000,
                    session: .none,
                    password: nil
                )
            )
        )
        ensemble.settle()
        #expect(ensemble.sent[connection] == [.closed])
    }

    @Test func `requests before the handshake and second handshakes are refused`() throws {
        let ensemble = try Ensemble.standalone()
        let early = ensemble.open(one)
        ensemble.request(early, 1, .ping)
        let twice = try ensemble.connect(one)
        ensemble.send(twice.connection, .connectRequest(twice.connection, open))
        ensemble.settle()
        #expect(ensemble.sent[early] == [.closed])
        #expect(twice.isClosed)
    }

    @Test func `closing a session answers, deletes its ephemerals and closes the connection`()
        throws
    {
        let ensemble = try Ensemble.standalone()
        let client = try ensemble.connect(one)
        let other = try ensemble.connect(one)
        _ = try client.create("/p")
        ensemble.node(one).isDiskHeld = true
        client.send(.create(CreateRequest(path: "/p/pending", data: nil, mode: .ephemeral)))
        client.send(.create(CreateRequest(path: "/p/gone", data: nil, mode: .ephemeral)))
        client.send(.delete("/p/gone", version: -1))
        client.send(.closeSession)
        client.send(.create(CreateRequest(path: "/p/late", data: nil, mode: .ephemeral)))
        ensemble.settle()
        ensemble.node(one).isDiskHeld = false
        ensemble.settle()
        #expect(client.codes == [.ok, .ok, .ok, .ok, .ok], "and none for what came after")
        #expect(client.isClosed)
        #expect(
            try other.call(.getChildren("/p", watch: false)).result == .success(.children([]))
        )
        #expect(ensemble.status(one)?.sessionCount == 1)
    }

    @Test func `sessions and data survive a restart`() throws {
        let ensemble = try Ensemble.standalone { $0.snapshotCount = 20 }
        let client = try ensemble.connect(one)
        for index in 0..<100 {
            _ = try client.create(ZnodePath("/n\(index)"), [1])
            if index % 30 == 29 { ensemble.advance(.milliseconds(100)) }
        }
        _ = try client.create("/e", mode: .ephemeral)
        #expect(ensemble.node(one).disk.snapshotsStored > 1)
        ensemble.crash(one)
        ensemble.start(one)
        try #require(ensemble.run { ensemble.leader == one })
        let back = try ensemble.connect(
            one,
            session: client.response.session,
            password: client.response.password,
            lastZxidSeen: ensemble.replies(client.connection).last?.zxid ?? .zero
        )
        #expect(back.response.session == client.response.session)
        #expect(try back.code(.exists("/n99", watch: false)) == .ok)
        #expect(try back.code(.exists("/e", watch: false)) == .ok)
        ensemble.advance(.seconds(20))
        #expect(ensemble.status(one)?.ephemeralCount == 0)
    }

    @Test func `too many requests under way pause their connections until half are answered`()
        throws
    {
        let ensemble = try Ensemble.standalone { $0.globalOutstandingLimit = 4 }
        let busy = try ensemble.connect(one)
        let idle = try ensemble.connect(one)
        ensemble.node(one).isDiskHeld = true
        for index in 0..<6 {
            busy.send(.create(CreateRequest(path: ZnodePath("/x\(index)"), data: nil)))
        }
        ensemble.settle()
        #expect(ensemble.paused == [busy.connection])
        #expect(ensemble.status(one)?.outstandingRequests == 6)
        #expect(try idle.code(.ping) == .ok)
        ensemble.node(one).isDiskHeld = false
        ensemble.settle()
        #expect(ensemble.paused == [])
        #expect(busy.codes == [.ok, .ok, .ok, .ok, .ok, .ok])
    }

    @Test func `authentication counts for later requests, and super may do everything`() throws {
        let ensemble = try Ensemble.standalone()
        let owner = try ensemble.connect(one)
        #expect(try owner.code(.auth(scheme: "digest", credential: Array("u:p".utf8))) == .ok)
        let mine = try owner.create("/mine", acl: .creator)
        let stranger = try ensemble.connect(one)
        #expect(try stranger.code(.getData(mine, watch: false)) == .noAuth)
        #expect(try owner.code(.getData(mine, watch: false)) == .ok)
        let acl = try owner.call(.getACL(mine))
        guard case .success(.acl(let entries, _)) = acl.result else {
            Issue.record("no ACL: \(acl)")
            return
        }
        #expect(entries.map(\.identity.id) == ["u:Jq7wMyA/w2Vd5WIDAKdu4OIIFEQ="])
        #expect(
            try stranger.code(.auth(scheme: "digest", credential: Array("super:pw".utf8))) == .ok
        )
        #expect(try stranger.code(.getData(mine, watch: false)) == .ok)
        #expect(try stranger.code(.auth(scheme: "world", credential: [])) == .authFailed)
        ensemble.settle()
        #expect(stranger.isClosed)
    }
}
