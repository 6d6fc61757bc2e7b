import Replication
import Testing
import ZooKeeperModel

/// Three servers, through the same replica that serves alone.
@Suite struct EnsembleTests {
    private func followers(_ ensemble: Ensemble) throws -> (leader: ServerID, [ServerID]) {
        let leader = try #require(ensemble.leader)
        return (leader, ensemble.ids.filter { $0 != leader })
    }
    private func haveAll(_ ensemble: Ensemble, _ zxid: Zxid) -> Bool {
        ensemble.ids.allSatisfy { id in
            guard let status = ensemble.status(id) else { return true }
            return status.isServing && status.lastZxid >= zxid
        }
    }
    private func expectSameTrees(_ ensemble: Ensemble) {
        let digests = ensemble.ids.compactMap { ensemble.node($0).replica?.treeDigest }
        #expect(Set(digests).count == 1)
        for id in ensemble.ids { #expect(ensemble.node(id).halted == nil) }
    }

    @Test func `a write on one follower is read on the other`() throws {
        let ensemble = try Ensemble.ofThree()
        let (_, others) = try followers(ensemble)
        let writer = try ensemble.connect(others[0])
        let reader = try ensemble.connect(others[1])
        #expect(try writer.create("/a", [7]) == "/a")
        #expect(try reader.code(.sync("/a")) == .ok)
        #expect(try reader.call(.getData("/a", watch: true)).data == [7])
        let reply = try writer.call(.setData("/a", data: [8], version: 0))
        #expect(reply.stat?.version == 1)
        try #require(ensemble.run { !reader.events.isEmpty })
        #expect(reader.events == [WatchEvent(kind: .dataChanged, path: "/a", zxid: reply.zxid)])
        #expect(try writer.code(.setData("/a", data: [9], version: 0)) == .badVersion)
        expectSameTrees(ensemble)
    }

    @Test func `pipelined requests on a follower are answered in order`() throws {
        let ensemble = try Ensemble.ofThree()
        let (_, others) = try followers(ensemble)
        let client = try ensemble.connect(others[0])
        client.send(.create(CreateRequest(path: "/a", data: [1])))
        client.send(.getData("/a", watch: false))
        client.send(.sync("/a"))
        client.send(.setData("/a", data: [2], version: 0))
        client.send(.getData("/a", watch: false))
        client.send(.create(CreateRequest(path: "/a", data: nil)))
        try #require(ensemble.run { ensemble.replies(client.connection).count == 6 })
        let replies = ensemble.replies(client.connection)
        #expect(replies.map(\.xid) == Array(1...6))
        #expect(client.codes == [.ok, .ok, .ok, .ok, .ok, .nodeExists])
        #expect(replies[1].data == [1] && replies[4].data == [2])
    }

    @Test func `a session on a follower lives by its pings and ends by its silence`() throws {
        let ensemble = try Ensemble.ofThree()
        let (leader, others) = try followers(ensemble)
        let client = try ensemble.connect(others[0], timeout: 4000)
        let witness = try ensemble.connect(leader, timeout: 40_000)
        _ = try client.create("/e", mode: .ephemeral)
        for _ in 0..<8 {
            ensemble.advance(.milliseconds(1500))
            #expect(try client.code(.ping) == .ok)
        }
        #expect(try witness.code(.exists("/e", watch: false)) == .ok)
        ensemble.advance(.seconds(8))
        #expect(try witness.code(.exists("/e", watch: false)) == .noNode)
        #expect(client.isClosed)
    }

    @Test func `a client moves to another server, and its old one cannot write any more`() throws {
        let ensemble = try Ensemble.ofThree()
        let (leader, others) = try followers(ensemble)
        let old = try ensemble.connect(others[0])
        _ = try old.create("/e", mode: .ephemeral)
        for server in [others[1], leader] {
            let new = try ensemble.connect(
                server,
                session: old.response.session,
                password: old.response.password
            )
            #expect(new.response.session == old.response.session)
            #expect(try new.code(.setData("/e", data: [1], version: -1)) == .ok)
        }
        old.send(.setData("/e", data: [2], version: -1))
        try #require(ensemble.run { old.isClosed })
        let back = try ensemble.connect(
            others[0],
            session: old.response.session,
            password: old.response.password
        )
        #expect(try back.call(.getData("/e", watch: false)).data == [1])
    }

    @Test func `what was acknowledged survives the leader, and so do sessions`() throws {
        let ensemble = try Ensemble.ofThree()
        let (leader, others) = try followers(ensemble)
        let client = try ensemble.connect(others[0])
        let written = try client.create("/kept", [1], mode: .ephemeralSequential)
        ensemble.crash(leader)
        try #require(ensemble.run { client.isClosed })
        try #require(
            ensemble.run {
                ensemble.leader != nil
                    && others.allSatisfy { ensemble.status($0)?.isServing == true }
            }
        )
        #expect(ensemble.leader != leader)
        let back = try ensemble.connect(
            others[1],
            session: client.response.session,
            password: client.response.password
        )
        #expect(back.response.session == client.response.session)
        #expect(try back.code(.exists(written, watch: false)) == .ok)
        #expect(try back.create("/after", [], mode: .persistentSequential) == "/after0000000001")
        // The old leader comes back and is brought up to date.
        ensemble.start(leader)
        let last = try #require(ensemble.leader.flatMap { ensemble.status($0)?.lastZxid })
        try #require(ensemble.run { haveAll(ensemble, last) })
        expectSameTrees(ensemble)
    }

    @Test func `a follower that was away is brought up to date by what it missed`() throws {
        let ensemble = try Ensemble.ofThree()
        let (leader, others) = try followers(ensemble)
        let client = try ensemble.connect(leader)
        _ = try client.create("/before", [])
        ensemble.crash(others[0])
        for index in 0..<20 { _ = try client.create(ZnodePath("/missed\(index)"), [1]) }
        ensemble.start(others[0])
        let last = try #require(ensemble.status(leader)?.lastZxid)
        try #require(ensemble.run { haveAll(ensemble, last) })
        expectSameTrees(ensemble)
        #expect(ensemble.node(others[0]).disk.snapshotsStored == 0, "by a diff")
        let reader = try ensemble.connect(others[0])
        #expect(try reader.code(.exists("/missed19", watch: false)) == .ok)
    }

    @Test func `a follower with an empty disk gets the whole database`() throws {
        let ensemble = try Ensemble.ofThree()
        let (leader, others) = try followers(ensemble)
        let client = try ensemble.connect(leader, timeout: 40_000)
        for index in 0..<600 { _ = try client.create(ZnodePath("/n\(index)"), [1]) }
        _ = try client.create("/e", mode: .ephemeral)
        ensemble.crash(others[0])
        ensemble.node(others[0]).disk = MemoryDisk()
        ensemble.start(others[0])
        let last = try #require(ensemble.status(leader)?.lastZxid)
        try #require(ensemble.run { haveAll(ensemble, last) })
        #expect(ensemble.node(others[0]).disk.snapshotsStored == 1)
        _ = try client.create("/later", [])
        try #require(ensemble.run { haveAll(ensemble, last.next) })
        expectSameTrees(ensemble)
        // And it stands on its own after a restart.
        ensemble.crash(others[0])
        ensemble.start(others[0])
        try #require(ensemble.run { haveAll(ensemble, last.next) })
        expectSameTrees(ensemble)
        let reader = try ensemble.connect(
            others[0],
            session: client.response.session,
            password: client.response.password
        )
        #expect(reader.response.session == client.response.session)
        #expect(try reader.code(.exists("/n599", watch: false)) == .ok)
    }

    @Test func `what only a deposed leader has logged is cut off when it comes back`() throws {
        let ensemble = try Ensemble.ofThree()
        let (leader, others) = try followers(ensemble)
        let client = try ensemble.connect(leader)
        _ = try client.create("/agreed", [])
        ensemble.cut(leader)
        client.send(.create(CreateRequest(path: "/lost", data: nil)))
        try #require(
            ensemble.run {
                ensemble.node(leader).disk.log.count
                    > ensemble.node(others[0]).disk.log.count
            }
        )
        try #require(
            ensemble.run {
                others.contains { ensemble.status($0)?.mode == .leader }
                    && others.allSatisfy { ensemble.status($0)?.isServing == true }
                    && ensemble.status(leader)?.isServing == false
            }
        )
        #expect(client.codes == [.ok], "nobody was told that it succeeded")
        #expect(client.isClosed)
        let writer = try ensemble.connect(others[0])
        _ = try writer.create("/new", [])
        ensemble.crash(leader)
        ensemble.heal(leader)
        ensemble.start(leader)
        let last = try #require(ensemble.status(others[0])?.lastZxid)
        try #require(ensemble.run { haveAll(ensemble, last) })
        expectSameTrees(ensemble)
        let reader = try ensemble.connect(leader)
        #expect(try reader.code(.exists("/agreed", watch: false)) == .ok)
        #expect(try reader.code(.exists("/new", watch: false)) == .ok)
        #expect(try reader.code(.exists("/lost", watch: false)) == .noNode)
    }

    @Test func `a session closed over a follower ends on all servers, its ephemerals too`() throws {
        let ensemble = try Ensemble.ofThree()
        let (leader, others) = try followers(ensemble)
        let client = try ensemble.connect(others[0])
        let witness = try ensemble.connect(leader)
        _ = try client.create("/e", mode: .ephemeral)
        client.send(.create(CreateRequest(path: "/late", data: nil, mode: .ephemeral)))
        client.send(.closeSession)
        try #require(ensemble.run { client.isClosed })
        #expect(client.codes == [.ok, .ok, .ok])
        for path in ["/e", "/late"] as [ZnodePath] {
            #expect(try witness.code(.exists(path, watch: false)) == .noNode)
        }
        for id in ensemble.ids { #expect(ensemble.status(id)?.sessionCount == 1) }
        expectSameTrees(ensemble)
    }

    @Test func `a log that cannot be cut is replaced by the leader's whole database`() throws {
        let ensemble = try Ensemble.ofThree { $0.snapshotCount = 1_000_000 }
        let (leader, others) = try followers(ensemble)
        let client = try ensemble.connect(leader)
        _ = try client.create("/agreed", [])
        // What only this server has is in its one snapshot, as after a SNAP of a leader that died.
        ensemble.cut(leader)
        client.send(.create(CreateRequest(path: "/lost", data: nil)))
        try #require(
            ensemble.run {
                ensemble.node(leader).disk.log.count > ensemble.node(others[0]).disk.log.count
                    && others.allSatisfy { ensemble.status($0)?.isServing == true }
                    && ensemble.status(leader)?.isServing == false
            }
        )
        ensemble.crash(leader)
        ensemble.node(leader).disk.turnLogIntoSnapshot()
        ensemble.heal(leader)
        ensemble.start(leader)
        let last = try #require(ensemble.status(others[0])?.lastZxid)
        try #require(ensemble.run { haveAll(ensemble, last) })
        expectSameTrees(ensemble)
        let reader = try ensemble.connect(leader)
        #expect(try reader.code(.exists("/agreed", watch: false)) == .ok)
        #expect(try reader.code(.exists("/lost", watch: false)) == .noNode)
    }

    @Test func `without a quorum nobody is served`() throws {
        let ensemble = try Ensemble.ofThree()
        let (leader, others) = try followers(ensemble)
        let client = try ensemble.connect(leader)
        for other in others { ensemble.crash(other) }
        try #require(ensemble.run { client.isClosed })
        #expect(ensemble.status(leader)?.isServing == false)
        let connection = ensemble.open(leader)
        ensemble.send(
            connection,
            .connectRequest(
                connection,
                ConnectRequest(
                    lastZxidSeen: .zero,
                    timeout: 10_000,
                    session: .none,
                    password: nil
                )
            )
        )
        ensemble.settle()
        #expect(ensemble.sent[connection] == [.closed])
    }
}
