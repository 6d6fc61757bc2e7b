import Replication
import Testing
import ZooKeeperModel

/// A server far behind its leader.
@Suite struct CatchingUpTests {
    @Test func `a dump waits for a learner that does not take it, and the leader goes on`() throws {
        let ensemble = try Ensemble.ofThree()
        ensemble.checksInvariants = false
        let leader = try #require(ensemble.leader)
        let late = try #require(ensemble.ids.first { $0 != leader })
        let client = try ensemble.connect(leader, timeout: 40_000)
        let data = [UInt8](repeating: 1, count: 500_000)
        for index in 0..<12 { _ = try client.create(ZnodePath("/large\(index)"), data) }
        ensemble.crash(late)
        ensemble.node(late).disk = MemoryDisk()
        ensemble.isSendingToLearners = false
        ensemble.start(late)
        // 4 MiB of the 6 are given to the connection, whatever time passes.
        ensemble.advance(.seconds(3))
        let slices = ensemble.slicesSent
        #expect(slices > 0)
        ensemble.advance(.seconds(3))
        #expect(ensemble.slicesSent == slices && ensemble.status(late)?.isServing == false)
        _ = try client.create("/meanwhile", [2])
        ensemble.isSendingToLearners = true
        let last = try #require(ensemble.status(leader)?.lastZxid)
        try #require(
            ensemble.run {
                ensemble.status(late).map { $0.isServing && $0.lastZxid >= last } == true
            }
        )
        #expect(ensemble.slicesSent > slices)
        #expect(Set(ensemble.ids.compactMap { ensemble.node($0).replica?.treeDigest }).count == 1)
    }

    @Test func `a dump for a learner that is gone is given up while it waits`() throws {
        let ensemble = try Ensemble.ofThree()
        ensemble.checksInvariants = false
        let leader = try #require(ensemble.leader)
        let late = try #require(ensemble.ids.first { $0 != leader })
        let client = try ensemble.connect(leader, timeout: 40_000)
        let data = [UInt8](repeating: 1, count: 500_000)
        for index in 0..<12 { _ = try client.create(ZnodePath("/large\(index)"), data) }
        ensemble.crash(late)
        ensemble.node(late).disk = MemoryDisk()
        ensemble.isSendingToLearners = false
        ensemble.start(late)
        ensemble.advance(.seconds(3))
        ensemble.crash(late)
        ensemble.isSendingToLearners = true
        ensemble.start(late)
        let last = try #require(ensemble.status(leader)?.lastZxid)
        try #require(
            ensemble.run {
                ensemble.status(late).map { $0.isServing && $0.lastZxid >= last } == true
            }
        )
    }
}
