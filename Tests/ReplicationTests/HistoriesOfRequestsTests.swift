import Replication
import Testing
import ZooKeeperModel
import ZooKeeperWire

/// Requests that harmed ZooKeeper's servers or were answered wrongly by them, replayed. The numbers
/// are those of its issues; the table is Docs/Histories.md.
@Suite struct HistoriesOfRequestsTests {
    private func serve(_ ensemble: Ensemble) -> Bool {
        ensemble.run {
            ensemble.ids.allSatisfy { ensemble.status($0)?.isServing == true }
                && Set(ensemble.ids.map { ensemble.status($0)?.lastZxid }).count == 1
        }
    }
    private func digests(_ ensemble: Ensemble) -> Set<Int64> {
        Set(ensemble.ids.compactMap { ensemble.node($0).replica?.treeDigest.value })
    }

    /// ZOOKEEPER-4743: after 2³² changes a znode's version is −1, which as an expected version means
    /// any: whoever compared before setting did so no more.
    @Test func `a version never becomes the one that matches all`() throws {
        let ensemble = Ensemble(1)
        ensemble.crash(one)
        var stat = PersistedStat(
            czxid: .zero,
            mzxid: .zero,
            ctime: Timestamp(rawValue: 1),
            mtime: Timestamp(rawValue: 1),
            version: 0,
            cversion: 0,
            aversion: 0,
            ephemeralOwner: 0,
            pzxid: .zero
        )
        var encoder = SnapshotBodyEncoder()
        encoder.begin(sessions: [], acls: [])
        encoder.add(path: .root, data: nil, aclID: -1, stat: stat)
        stat.version = -3
        stat.aversion = -2
        encoder.add(path: "/v", data: nil, aclID: -1, stat: stat)
        encoder.finish()
        ensemble.node(one).disk.snapshot = (Zxid(epoch: 0, counter: 1), encoder.takeSlice())
        ensemble.start(one)
        try #require(serve(ensemble))
        let client = try ensemble.connect(one)
        #expect(try client.call(.setData("/v", data: nil, version: -3)).stat?.version == -2)
        #expect(try client.call(.setACL("/v", acl: .open, version: -2)).stat?.aversion == 0)
        // Under way together, they count from one another.
        ensemble.node(one).isDiskHeld = true
        ensemble.clear(client.connection)
        client.send(.setData("/v", data: nil, version: -2))
        client.send(.setData("/v", data: nil, version: 0))
        client.send(.setData("/v", data: nil, version: 0))
        ensemble.settle()
        ensemble.node(one).isDiskHeld = false
        ensemble.settle()
        #expect(client.codes == [.ok, .ok, .badVersion])
        #expect(
            ensemble.replies(client.connection).compactMap { $0.stat?.version } == [0, 1]
        )
    }

    /// Not among its issues: a create with a time to live and flags of another kind was accepted, and
    /// every server that read its transaction ended, at every start. ZOOKEEPER-2623 was the same with
    /// a check outside of a multi.
    @Test func `no create, whatever its kind and flags, keeps a server from starting again`() throws
    {
        let ensemble = try Ensemble.ofThree()
        let client = try ensemble.connect(ensemble.ids[0])
        let kinds: [CreateKind] = [
            .create, .create2, .container, .timeToLive(-1), .timeToLive(0), .timeToLive(1),
            .timeToLive(.max),
        ]
        for (number, kind) in kinds.enumerated() {
            for flags in Int32(-1)...7 {
                let request = CreateRequest(
                    kind: kind,
                    path: ZnodePath("/x\(number).\(flags)"),
                    data: nil,
                    flags: flags
                )
                _ = try client.code(.create(request))
                _ = try client.code(.multi([.create(request)]))
            }
        }
        try #require(serve(ensemble))
        let before = digests(ensemble)
        for id in ensemble.ids { ensemble.crash(id) }
        for id in ensemble.ids { ensemble.start(id) }
        try #require(serve(ensemble))
        #expect(before.count == 1 && digests(ensemble) == before)
        for id in ensemble.ids { #expect(ensemble.node(id).halted == nil) }
        let back = try ensemble.connect(
            ensemble.ids[0],
            session: client.response.session,
            password: client.response.password
        )
        #expect(try back.code(.exists("/x0.1", watch: false)) == .ok, "an ephemeral")
    }

    /// ZOOKEEPER-1448, 1097: znodes of a quota in the log stopped the next leader, and quotas were
    /// not there again after a start.
    @Test func `znodes of a quota are znodes like others to a server that starts`() throws {
        let ensemble = try Ensemble.ofThree()
        let client = try ensemble.connect(ensemble.ids[0])
        let limits: ZnodePath = "/zookeeper/quota/a/zookeeper_limits"
        _ = try client.create("/a", [1])
        _ = try client.create("/zookeeper/quota/a", [])
        _ = try client.create(limits, Array("count=1,bytes=1".utf8))
        _ = try client.create("/zookeeper/quota/a/zookeeper_stats", Array("nonsense".utf8))
        _ = try client.create("/a/b", [1, 2, 3])
        _ = try client.call(.delete("/a/b", version: -1))
        _ = try client.call(.delete("/a", version: -1))
        try #require(serve(ensemble))
        let before = digests(ensemble)
        for id in ensemble.ids { ensemble.crash(id) }
        for id in ensemble.ids { ensemble.start(id) }
        try #require(serve(ensemble))
        #expect(before.count == 1 && digests(ensemble) == before)
        let back = try ensemble.connect(
            ensemble.ids[2],
            session: client.response.session,
            password: client.response.password
        )
        #expect(try back.call(.getData(limits, watch: false)).data == Array("count=1,bytes=1".utf8))
    }

    /// ZOOKEEPER-1046: the counter of a znode's creations went back at a start, and sequential creates
    /// failed with NODEEXISTS, or gave a name twice.
    @Test(arguments: [false, true])
    func `sequence numbers go on after a start and under another leader`(bySnapshot: Bool) throws {
        let ensemble = try Ensemble.ofThree()
        var names: [ZnodePath] = []
        for round in 0..<4 {
            let leader = try #require(ensemble.leader)
            let client = try ensemble.connect(leader)
            if round == 0 { _ = try client.create("/q") }
            for _ in 0..<3 { names.append(try client.create("/q/n", mode: .persistentSequential)) }
            // The newest go: what is left says nothing of the counter.
            for name in names.suffix(2) { _ = try client.call(.delete(name, version: -1)) }
            try #require(serve(ensemble))
            ensemble.crash(leader)
            if bySnapshot {
                for id in ensemble.ids where id != leader {
                    ensemble.crash(id)
                    ensemble.node(id).disk.turnLogIntoSnapshot()
                    ensemble.start(id)
                }
            }
            try #require(
                ensemble.run {
                    ensemble.ids.allSatisfy {
                        $0 == leader || ensemble.status($0)?.isServing == true
                    }
                }
            )
            ensemble.start(leader)
            try #require(serve(ensemble))
        }
        #expect(
            names == (0..<12).map { ZnodePath("/q/n\(String(10_000_000_000 + $0).dropFirst())") }
        )
    }
}
