import Testing
import ZooKeeperModel

@testable import ZnodeFS

/// statfs: what the servers say of themselves.
@Suite struct StatisticsTests {
    private func ask(_ world: inout MountWorld) throws -> FileSystemStatistics {
        guard case .statistics(let shown) = try world.call(0, .statistics(.root)) else {
            throw MountWorld.Failure(errno: .inputOutput)
        }
        return shown
    }

    @Test func `what the servers hold is used, and the rest a round number`() throws {
        var world = MountWorld()
        world.measure = EnsembleMeasure(znodes: 7, dataBytes: 10_000)
        let shown = try ask(&world)
        #expect(shown.blocks - shown.freeBlocks == 3)
        #expect(shown.files - shown.freeFiles == 7)
        // One question serves all that come within a second.
        _ = try ask(&world)
        #expect(world.mounts[0].measures == 1)
        world.measure = EnsembleMeasure(znodes: 9)
        world.pass(.seconds(1))
        let later = try ask(&world)
        #expect(later.files - later.freeFiles == 9)
        #expect(later.blocks == later.freeBlocks)
        #expect(world.mounts[0].measures == 2)
    }

    @Test func `a server that says nothing, or nonsense, is shown as empty or full`() throws {
        var world = MountWorld()
        #expect(try ask(&world).blocks == Statistics.freeBlocks)
        world.pass(.seconds(1))
        world.measure = EnsembleMeasure(znodes: .max, dataBytes: .max)
        #expect(try ask(&world).files == .max)
    }

    @Test func `nobody waits for it without a connection, or after a signal`() throws {
        var world = MountWorld()
        let first = world.send(0, .statistics(.root))
        let second = world.send(0, .statistics(.root))
        world.input(0, .interrupted(first))
        #expect(world.reply(0, first) == .failed(.interrupted))
        world.settle()
        #expect(world.reply(0, second) != nil)
        #expect(world.mounts[0].measures == 1)
        world.disconnect(0)
        let third = world.send(0, .statistics(.root))
        #expect(world.reply(0, third) != nil)
    }
}
