import Foundation
import Testing

/// What operators do to the servers of an ensemble while clients work.
@Suite(.serialized, .enabled(if: Network.isPossible))
struct EnsembleOperationTests {
    @Test
    func `servers are restarted one after the other, and no request of a patient client fails`()
        throws
    {
        let ensemble = try EnsembleWorkspace(size: 3)
        defer { ensemble.tearDown() }
        let leader = try ensemble.waitForLeader()
        let load = try ensemble.startLoad()
        // The leader last, as operators do.
        for member in ensemble.members.filter({ $0.number != leader.number }) + [leader] {
            member.terminate()
            #expect(member.child?.process.terminationStatus == 0)
            try member.start()
            try ensemble.waitForLeader()
            load.waitForProgress()
        }
        try ensemble.verify(load)
    }

    @Test func `a leader that is told to hands over, and no request of a patient client fails`()
        throws
    {
        let ensemble = try EnsembleWorkspace(size: 3)
        defer { ensemble.tearDown() }
        try ensemble.waitForLeader()
        let load = try ensemble.startLoad()
        for _ in 1...4 {
            let old = try ensemble.waitForLeader()
            eventually("server \(old.number) has handed over\n\(ensemble.logs)", limit: 60) {
                guard let leader = ensemble.leader else { return false }
                // Told again where it was elected again, which a slow machine may lead to.
                if leader.number == old.number { old.handOver() }
                return leader.number != old.number
            }
            #expect(old.log.contains("making way for another leader, on command"), "\(old.log)")
            try ensemble.waitForLeader()
            load.waitForProgress()
        }
        // Nobody had to be started again for it.
        #expect(ensemble.members.allSatisfy { $0.isRunning && $0.starts == 1 })
        try ensemble.verify(load)
    }

    @Test func `a server that does not lead says so when it is told to hand over`() throws {
        let ensemble = try EnsembleWorkspace(size: 3)
        defer { ensemble.tearDown() }
        let leader = try ensemble.waitForLeader()
        let follower = try #require(ensemble.members.first { $0.number != leader.number })
        follower.handOver()
        eventually("it has said so\n\(ensemble.logs)") {
            follower.log.contains("a server that does not lead has nothing to hand over")
        }
        #expect(follower.isRunning && ensemble.leader?.number == leader.number)
    }
}
