import Foundation
import PowerLoss
import Testing

/// Members whose disks have no room, or do not answer, while clients write.
@Suite(.serialized, .enabled(if: Network.isPossible && PowerLossMount.isPossible))
struct EnsembleFullDiskTests {
    private static let waiting = "until there is room, this server acknowledges no write"

    /// ZOOKEEPER-3701: such a leader went on alone, from memory.
    @Test func `a leader whose disk is full hands over, and comes back when there is room`() throws
    {
        let powered = try PoweredEnsemble()
        let ensemble = powered.ensemble
        defer { powered.tearDown() }
        let old = try ensemble.waitForLeader()
        let others = ensemble.members.map(\.number).filter { $0 != old.number }
        let load = try ensemble.startLoad()
        try powered.fillDisk(of: old.number)
        eventually("the leader finds no room\n\(ensemble.logs)", limit: 60) {
            old.log.contains(Self.waiting)
        }
        try ensemble.waitForLeader(among: others)
        load.waitForProgress()
        #expect(old.mode == "" && old.isRunning, "\(old.log)")
        try powered.freeDisk(of: old.number)
        try ensemble.waitForLeader()
        load.waitForProgress()
        #expect(old.starts == 1, "it came back by itself")
        #expect(old.log.components(separatedBy: Self.waiting).count == 2, "\(old.log)")
        #expect(old.log.contains("No space left on device"))
        try ensemble.verify(load)
    }

    @Test func `a follower whose disk is full stays out, and lacks nothing after a power loss`()
        throws
    {
        let powered = try PoweredEnsemble()
        let ensemble = powered.ensemble
        defer { powered.tearDown() }
        let leader = try ensemble.waitForLeader()
        let full = try #require(ensemble.members.first { $0.number != leader.number })
        let load = try ensemble.startLoad()
        try powered.fillDisk(of: full.number)
        eventually("the follower is out\n\(ensemble.logs)", limit: 60) {
            full.log.contains(Self.waiting) && full.mode == ""
        }
        // So much that it is far behind.
        load.waitForProgress(1000)
        #expect(full.mode == "" && full.isRunning)
        // The power may fail meanwhile: what it acknowledged is on its disk.
        try powered.supplies[full.number - 1].cut(afterCalls: 0)
        full.kill()
        try powered.supplies[full.number - 1].restore(seed: .random(in: 1...(.max)))
        try full.start()
        try ensemble.waitForLeader()
        load.waitForProgress()
        try ensemble.verify(load)
    }

    @Test func `a leader whose disk hangs hands over, and comes back when it answers`() throws {
        let powered = try PoweredEnsemble()
        let ensemble = powered.ensemble
        defer { powered.tearDown() }
        let old = try ensemble.waitForLeader()
        let others = ensemble.members.map(\.number).filter { $0 != old.number }
        let load = try ensemble.startLoad()
        powered.supplies[old.number - 1].mount.pause()
        try ensemble.waitForLeader(among: others)
        load.waitForProgress()
        #expect(old.mode == "" && old.isRunning, "\(old.log)")
        powered.supplies[old.number - 1].mount.resume()
        try ensemble.waitForLeader()
        load.waitForProgress()
        #expect(old.starts == 1)
        try ensemble.verify(load)
    }
}
