import Replication
import Testing
import ZooKeeperModel
import ZooKeeperWire

/// What became of sessions and their ephemerals in ZooKeeper when it went wrong, replayed. The
/// numbers are those of its issues; the table is Docs/Histories.md.
@Suite struct HistoriesOfSessionsTests {
    private func followers(_ ensemble: Ensemble) throws -> (leader: ServerID, [ServerID]) {
        let leader = try #require(ensemble.leader)
        return (leader, ensemble.ids.filter { $0 != leader })
    }
    private func serve(_ ensemble: Ensemble) -> Bool {
        ensemble.run {
            ensemble.ids.allSatisfy { ensemble.status($0)?.isServing == true }
                && Set(ensemble.ids.map { ensemble.status($0)?.lastZxid }).count == 1
        }
    }
    private func back(
        _ ensemble: Ensemble,
        _ client: EnsembleClient,
        on server: ServerID
    ) throws
        -> EnsembleClient
    {
        try ensemble.connect(
            server,
            session: client.response.session,
            password: client.response.password
        )
    }

    /// ZOOKEEPER-1208, 1496: an ephemeral that was created while the end of its session was under way
    /// stayed for ever.
    @Test func `nothing is created for a session whose end is under way`() throws {
        let ensemble = try Ensemble.ofThree()
        let (leader, others) = try followers(ensemble)
        let witness = try ensemble.connect(leader)
        for server in [leader, others[0]] {
            let client = try ensemble.connect(server)
            for id in ensemble.ids { ensemble.node(id).isDiskHeld = true }
            client.send(.create(CreateRequest(path: "/early", data: nil, mode: .ephemeral)))
            client.send(.closeSession)
            client.send(.create(CreateRequest(path: "/late", data: nil, mode: .ephemeral)))
            client.send(
                .multi([.create(CreateRequest(path: "/late", data: nil, mode: .ephemeral))])
            )
            ensemble.settle()
            for id in ensemble.ids { ensemble.node(id).isDiskHeld = false }
            try #require(ensemble.run { client.isClosed })
            try #require(serve(ensemble))
            for path in ["/early", "/late"] as [ZnodePath] {
                #expect(try witness.code(.exists(path, watch: false)) == .noNode)
            }
            for id in ensemble.ids { #expect(ensemble.status(id)?.ephemeralCount == 0) }
        }
    }

    /// ZOOKEEPER-2355: a follower that failed around the end of a session kept its ephemerals.
    @Test(arguments: [false, true])
    func `a follower that fails while a session ends has none of its ephemerals`(
        bySnapshot: Bool
    ) throws {
        for step in 0..<30 {
            let ensemble = try Ensemble.ofThree()
            let (leader, others) = try followers(ensemble)
            let client = try ensemble.connect(leader)
            _ = try client.create("/e", mode: .ephemeral)
            try #require(serve(ensemble))
            client.send(.closeSession)
            ensemble.run(steps: step) { false }
            ensemble.crash(others[0])
            if bySnapshot { ensemble.node(others[0]).disk = MemoryDisk() }
            try #require(ensemble.run { client.isClosed })
            ensemble.start(others[0])
            try #require(serve(ensemble))
            for id in ensemble.ids { #expect(ensemble.status(id)?.ephemeralCount == 0) }
            let reader = try ensemble.connect(others[0])
            #expect(try reader.code(.exists("/e", watch: false)) == .noNode, "step \(step)")
        }
    }

    /// ZOOKEEPER-1367: after a restart of the whole cluster ephemerals of sessions that had come back
    /// were gone on some servers, and those of sessions that had not were left on others.
    @Test func `a restart of all keeps the ephemerals of those who come back, and no others`()
        throws
    {
        let ensemble = try Ensemble.ofThree()
        let clients = try ensemble.ids.map { try ensemble.connect($0, timeout: 6000) }
        for (index, client) in clients.enumerated() {
            _ = try client.create(ZnodePath("/e\(index)"), mode: .ephemeral)
        }
        try #require(serve(ensemble))
        for id in ensemble.ids { ensemble.crash(id) }
        ensemble.freeze(.seconds(60))
        for id in ensemble.ids { ensemble.start(id) }
        try #require(serve(ensemble))
        for id in ensemble.ids {
            #expect(ensemble.status(id)?.ephemeralCount == 3, "all their time")
        }
        // The first comes back on another server than before.
        let returned = try back(ensemble, clients[0], on: ensemble.ids[1])
        #expect(returned.response.session == clients[0].response.session)
        for _ in 0..<8 {
            ensemble.advance(.milliseconds(1500))
            #expect(try returned.code(.ping) == .ok)
        }
        for id in ensemble.ids { #expect(ensemble.status(id)?.ephemeralCount == 1) }
        #expect(try returned.code(.exists("/e0", watch: false)) == .ok)
        #expect(Set(ensemble.ids.compactMap { ensemble.node($0).replica?.treeDigest }).count == 1)
    }

    /// ZOOKEEPER-1049: a flood of sessions that ended kept the others' heartbeats waiting until they
    /// ended as well.
    @Test func `hundreds of sessions that end at once take no other along`() throws {
        let ensemble = try Ensemble.standalone()
        let lively = try ensemble.connect(one, timeout: 4000)
        for index in 0..<200 {
            let silent = try ensemble.connect(one, timeout: 4000)
            silent.send(
                .create(
                    CreateRequest(path: ZnodePath("/e\(index)"), data: nil, mode: .ephemeral)
                )
            )
        }
        ensemble.settle()
        #expect(ensemble.status(one)?.ephemeralCount == 200)
        ensemble.advance(.milliseconds(2500))
        #expect(try lively.code(.ping) == .ok)
        // All of them become due in one moment, and their ends wait for the disk.
        ensemble.node(one).isDiskHeld = true
        ensemble.advance(.milliseconds(3600))
        #expect(try lively.code(.ping) == .ok)
        ensemble.node(one).isDiskHeld = false
        ensemble.settle()
        #expect(ensemble.status(one)?.ephemeralCount == 0)
        #expect(ensemble.status(one)?.sessionCount == 1)
        #expect(!lively.isClosed)
    }

    /// ZOOKEEPER-3144: a snapshot's sessions and its znodes were not of the same moment; ephemerals
    /// whose session was in no table stayed for ever, on some members.
    @Test func `ephemerals that a snapshot has no session for end on all members alike`() throws {
        let ensemble = Ensemble(3)
        let zxid = Zxid(epoch: 0, counter: 5)
        let lost = SessionID(rawValue: 0x77)
        let kept = SessionID(rawValue: 0x78)
        func stat(_ owner: SessionID) -> PersistedStat {
            PersistedStat(
                czxid: zxid,
                mzxid: zxid,
                ctime: Timestamp(rawValue: 1),
                mtime: Timestamp(rawValue: 1),
                version: 0,
                cversion: 0,
                aversion: 0,
                ephemeralOwner: owner.rawValue,
                pzxid: zxid
            )
        }
        var encoder = SnapshotBodyEncoder()
        encoder.begin(sessions: [(session: kept, timeout: 30_000)], acls: [])
        encoder.add(path: .root, data: nil, aclID: -1, stat: stat(.none))
        encoder.add(path: "/lost", data: nil, aclID: -1, stat: stat(lost))
        encoder.add(path: "/kept", data: nil, aclID: -1, stat: stat(kept))
        encoder.finish()
        let body = encoder.takeSlice()
        for id in ensemble.ids {
            ensemble.crash(id)
            ensemble.node(id).disk.snapshot = (zxid, body)
            ensemble.start(id)
        }
        // By a transaction.
        let ended = Zxid(epoch: 1, counter: 1)
        try #require(
            ensemble.run { ensemble.ids.allSatisfy { ensemble.status($0)?.lastZxid == ended } }
        )
        for id in ensemble.ids { #expect(ensemble.status(id)?.ephemeralCount == 1) }
        let reader = try ensemble.connect(ensemble.ids[0])
        #expect(try reader.code(.exists("/lost", watch: false)) == .noNode)
        #expect(try reader.code(.exists("/kept", watch: false)) == .ok)
        #expect(Set(ensemble.ids.compactMap { ensemble.node($0).replica?.treeDigest }).count == 1)
    }
}
