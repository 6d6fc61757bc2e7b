import Replication
import Testing
import Zab
import ZooKeeperModel

/// What ZooKeeper lost or kept wrongly when servers crashed, came back and were brought up to date,
/// replayed on ensembles. The numbers are those of its issues; the table is Docs/Histories.md.
@Suite struct HistoriesOfServersTests {
    private func followers(_ ensemble: Ensemble) throws -> (leader: ServerID, [ServerID]) {
        let leader = try #require(ensemble.leader)
        return (leader, ensemble.ids.filter { $0 != leader })
    }
    /// Under a leader among them: one may follow a dead leader for a while.
    private func serve(_ ensemble: Ensemble, _ servers: [ServerID]) -> Bool {
        ensemble.run {
            servers.allSatisfy { ensemble.status($0)?.isServing == true }
                && servers.contains { ensemble.status($0)?.mode == .leader }
                && Set(servers.map { ensemble.status($0)?.lastZxid }).count == 1
        }
    }
    private func expectSameTrees(
        _ ensemble: Ensemble,
        _ comment: Comment,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let digests = ensemble.ids.compactMap { ensemble.node($0).replica?.treeDigest }
        #expect(Set(digests).count == 1, comment, sourceLocation: sourceLocation)
        let halts = ensemble.ids.compactMap { ensemble.node($0).halted }
        #expect(halts == [], comment, sourceLocation: sourceLocation)
    }
    private func has(_ ensemble: Ensemble, _ server: ServerID, _ path: ZnodePath) throws -> Bool {
        let reader = try ensemble.connect(server)
        return try reader.code(.exists(path, watch: false)) == .ok
    }

    /// A proposal that only the leader has in its log: it was cut off while it proposed it.
    private func leaveTail(_ ensemble: Ensemble, on leader: ServerID, _ path: ZnodePath) throws {
        let client = try ensemble.connect(leader)
        ensemble.settle()
        let logged = ensemble.node(leader).disk.log.count
        // They found no epoch without it meanwhile.
        for id in ensemble.ids { ensemble.node(id).isDiskHeld = id != leader }
        ensemble.cut(leader)
        client.send(.create(CreateRequest(path: path, data: nil)))
        try #require(ensemble.run { ensemble.node(leader).disk.log.count > logged })
        ensemble.crash(leader)
        ensemble.heal(leader)
        for id in ensemble.ids { ensemble.node(id).isDiskHeld = false }
        #expect(client.codes == [])
    }

    enum Way: CaseIterable { case diff, truncation, snapshot }

    /// ZOOKEEPER-3023, 3911, 4394, 4643, 4646, 4685, 4785: a follower acknowledged NEWLEADER, or
    /// stored the new epoch, before what it had been sent was on its disk. The leader served; both
    /// crashed; and what clients had seen was gone, or the follower was taken for newer than it was.
    ///
    /// Here the leader alone holds `/seen`. It and one follower stop at each step of the follower's
    /// synchronization in turn, and the follower goes on with the third server.
    @Test(arguments: Way.allCases)
    func `what a new leader has shown survives its crash at any step`(way: Way) throws {
        var shown = 0
        var step = 0
        while shown < 6 {
            let ensemble = try Ensemble.ofThree()
            var (leader, others) = try followers(ensemble)
            _ = try ensemble.connect(leader).create("/agreed", [])
            if way == .truncation {
                // What this follower has logged as a leader, and nobody else.
                try leaveTail(ensemble, on: leader, "/other")
                let deposed = leader
                try #require(serve(ensemble, others))
                leader = try #require(others.first { ensemble.status($0)?.mode == .leader })
                others = [deposed] + others.filter { $0 != leader }
                _ = try ensemble.connect(leader).create("/meanwhile", [])
                try #require(serve(ensemble, [leader, others[1]]))
            }
            try leaveTail(ensemble, on: leader, "/seen")
            for other in others { ensemble.crash(other) }
            if way == .snapshot { ensemble.node(others[0]).disk = MemoryDisk() }

            ensemble.start(leader)
            ensemble.start(others[0])
            ensemble.run(steps: step) { false }
            let isShown = ensemble.status(leader)?.isServing == true
            if isShown { #expect(try has(ensemble, leader, "/seen")) }
            ensemble.crash(leader)
            ensemble.crash(others[0])
            for other in others { ensemble.start(other) }
            try #require(serve(ensemble, others), "step \(step)")
            if isShown {
                shown += 1
                #expect(try has(ensemble, others[1], "/seen"), "step \(step)")
            }
            #expect(try has(ensemble, others[0], "/agreed"), "step \(step)")
            _ = try ensemble.connect(others[0]).create("/new", [])
            ensemble.start(leader)
            try #require(serve(ensemble, ensemble.ids), "step \(step)")
            expectSameTrees(ensemble, "step \(step)")
            #expect(try !has(ensemble, leader, "/other"), "step \(step)")
            step += 2
        }
        #expect(step > 40, "the synchronization was not in it")
    }

    /// ZOOKEEPER-3642: a leader crashed after a SNAP and before NEWLEADER. The follower had the tree
    /// in memory only; the next leader's DIFF went on from there, and its next start had a hole.
    @Test func `a SNAP whose leader crashes leaves no hole in what follows`() throws {
        var snapshots = 0
        for step in stride(from: 20, to: 140, by: 5) {
            let ensemble = try Ensemble.ofThree()
            let (leader, others) = try followers(ensemble)
            let client = try ensemble.connect(leader)
            for index in 0..<8 { _ = try client.create(ZnodePath("/n\(index)"), [1]) }
            ensemble.crash(others[0])
            ensemble.node(others[0]).disk = MemoryDisk()
            ensemble.start(others[0])
            ensemble.run(steps: step) { false }
            ensemble.crash(leader)
            snapshots += ensemble.node(others[0]).disk.snapshotsStored
            try #require(serve(ensemble, others), "step \(step)")
            _ = try ensemble.connect(others[1]).create("/later", [])
            try #require(serve(ensemble, others), "step \(step)")
            ensemble.crash(others[0])
            ensemble.start(others[0])
            try #require(serve(ensemble, others), "step \(step)")
            expectSameTrees(ensemble, "step \(step)")
            #expect(try has(ensemble, others[0], "/n7") && has(ensemble, others[0], "/later"))
        }
        #expect((5...20).contains(snapshots), "the SNAP was not in it")
    }

    /// ZOOKEEPER-1549, 2678, 2845: a leader that had lost its quorum kept its tree in memory, with
    /// what had never been committed in it, served that, and handed it on.
    @Test func `a deposed leader that lives on gives up what was never committed`() throws {
        let ensemble = try Ensemble.ofThree()
        let (leader, others) = try followers(ensemble)
        let client = try ensemble.connect(leader)
        _ = try client.create("/agreed", [])
        ensemble.cut(leader)
        client.send(.create(CreateRequest(path: "/lost", data: nil)))
        try #require(
            ensemble.run {
                others.allSatisfy { ensemble.status($0)?.isServing == true }
                    && others.contains { ensemble.status($0)?.mode == .leader }
                    && ensemble.status(leader)?.isServing == false
            }
        )
        _ = try ensemble.connect(others[0]).create("/new", [])
        ensemble.heal(leader)
        try #require(serve(ensemble, ensemble.ids))
        expectSameTrees(ensemble, "after it has come back")
        #expect(try !has(ensemble, leader, "/lost"))
        // And when it leads again, it does not hand it on.
        let present = try #require(ensemble.leader)
        ensemble.crash(present)
        let rest = ensemble.ids.filter { $0 != present }
        try #require(serve(ensemble, rest))
        ensemble.start(present)
        try #require(serve(ensemble, ensemble.ids))
        for id in ensemble.ids { #expect(try !has(ensemble, id, "/lost")) }
        expectSameTrees(ensemble, "under another leader")
    }

    /// ZOOKEEPER-4925, 4352: a follower that had been brought up to date, by DIFF or SNAP, had a hole
    /// in or nothing before its committed log. As a leader it brought others up to date from there.
    @Test(arguments: [false, true])
    func `who was itself brought up to date brings others up to date without a hole`(
        bySnapshot: Bool
    ) throws {
        let ensemble = try Ensemble.ofThree()
        let (leader, others) = try followers(ensemble)
        let client = try ensemble.connect(leader)
        _ = try client.create("/first", [])
        try #require(serve(ensemble, ensemble.ids))
        // One misses everything from here on; the other what comes in between.
        ensemble.crash(others[1])
        for index in 0..<20 { _ = try client.create(ZnodePath("/a\(index)"), [1]) }
        ensemble.crash(others[0])
        if bySnapshot { ensemble.node(others[0]).disk = MemoryDisk() }
        try #require(ensemble.run { client.isClosed })
        // Its own tail, which the others are to get as well.
        ensemble.start(others[0])
        try #require(serve(ensemble, [leader, others[0]]))
        let again = try ensemble.connect(others[0])
        for index in 0..<20 { _ = try again.create(ZnodePath("/b\(index)"), [1]) }
        try #require(serve(ensemble, [leader, others[0]]))
        #expect(ensemble.node(others[0]).disk.snapshotsStored == (bySnapshot ? 1 : 0))
        ensemble.crash(leader)
        ensemble.start(others[1])
        try #require(serve(ensemble, others))
        #expect(ensemble.status(others[0])?.mode == .leader, "it has more")
        #expect(try has(ensemble, others[1], "/a0") && has(ensemble, others[1], "/b19"))
        ensemble.start(leader)
        try #require(serve(ensemble, ensemble.ids))
        expectSameTrees(ensemble, "snapshot: \(bySnapshot)")
        for id in ensemble.ids {
            ensemble.crash(id)
            ensemble.start(id)
            try #require(serve(ensemble, ensemble.ids))
        }
        expectSameTrees(ensemble, "after restarts")
    }

    /// ZOOKEEPER-1154, 1282: the server with the newest log was away during an election, and what
    /// only it had logged stayed in it when it came back.
    @Test func `a longer log than the leader's is cut, and its server follows`() throws {
        let ensemble = try Ensemble.ofThree()
        let (leader, others) = try followers(ensemble)
        _ = try ensemble.connect(leader).create("/agreed", [])
        try #require(serve(ensemble, ensemble.ids))
        try leaveTail(ensemble, on: leader, "/own")
        let longest = try #require(ensemble.node(leader).disk.log.last?.zxid)
        try #require(serve(ensemble, others))
        let last = try #require(ensemble.status(others[0])?.lastZxid)
        #expect(last < longest, "no transaction of the new epoch yet")
        ensemble.start(leader)
        try #require(serve(ensemble, ensemble.ids))
        #expect(ensemble.status(leader)?.mode == .follower)
        expectSameTrees(ensemble, "after it has come back")
        #expect(ensemble.node(leader).disk.log.last?.zxid != longest)
    }

    /// ZOOKEEPER-1319: an ensemble was restarted with more members, and data was missing on some.
    @Test func `a restart with more servers than before loses nothing`() throws {
        final class Members { var count: Int64 = 3 }
        let members = Members()
        let ensemble = Ensemble(5) {
            $0.ensemble = EnsembleConfiguration(
                me: $0.ensemble.me,
                members: (1...members.count).map { .init(id: ServerID(rawValue: $0)) }
            )
        }
        let ids = ensemble.ids
        for id in ids[3...] { ensemble.crash(id) }
        try #require(serve(ensemble, Array(ids[..<3])))
        let client = try ensemble.connect(ids[0], timeout: 40_000)
        for index in 0..<10 { _ = try client.create(ZnodePath("/n\(index)"), [1]) }
        _ = try client.create("/e", mode: .ephemeral)
        try #require(serve(ensemble, Array(ids[..<3])))
        for id in ids[..<3] { ensemble.crash(id) }
        members.count = 5
        for id in ids.reversed() { ensemble.start(id) }
        try #require(serve(ensemble, ids))
        expectSameTrees(ensemble, "five servers")
        // The new ones and one old one are a quorum, and have it all.
        for id in ids[..<2] { ensemble.crash(id) }
        try #require(serve(ensemble, Array(ids[2...])))
        let back = try ensemble.connect(
            ids[4],
            session: client.response.session,
            password: client.response.password
        )
        #expect(back.response.session == client.response.session)
        for path in ["/n0", "/n9", "/e"] as [ZnodePath] {
            #expect(try back.code(.exists(path, watch: false)) == .ok)
        }
    }

    /// ZOOKEEPER-3701, 4882: the disk of a leader was full, or failed for a moment. It went on from
    /// memory, ahead of its own log, and others led with less than it had shown.
    @Test func `nothing is answered, shown or sent after the disk has failed`() throws {
        let ensemble = try Ensemble.ofThree()
        let (leader, others) = try followers(ensemble)
        let client = try ensemble.connect(leader)
        // Its followers' disks do not answer, so its own log is what the next write waits for.
        for other in others { ensemble.node(other).isDiskHeld = true }
        ensemble.node(leader).disk.failure = "no space left"
        client.send(.create(CreateRequest(path: "/lost", data: nil)))
        ensemble.settle()
        #expect(ensemble.node(leader).halted?.contains("no space left") == true)
        #expect(client.codes == [])
        for other in others { ensemble.node(other).isDiskHeld = false }
        ensemble.settle()
        #expect(client.codes == [], "though a quorum has it")
        // The process is gone; the others have it, and the leader gets it back.
        ensemble.crash(leader)
        try #require(serve(ensemble, others))
        #expect(try has(ensemble, others[0], "/lost"))
        ensemble.node(leader).disk.failure = nil
        ensemble.node(leader).halted = nil
        ensemble.start(leader)
        try #require(serve(ensemble, ensemble.ids))
        expectSameTrees(ensemble, "with space again")
    }
}
