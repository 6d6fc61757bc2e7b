import Replication
import Testing
import ZooKeeperModel

/// Servers whose disks have no room, seen by their clients.
@Suite struct FullDiskTests {
    private func settled(_ ensemble: Ensemble) -> Bool {
        ensemble.ids.allSatisfy { ensemble.status($0)?.isServing == true }
    }

    private func fill(_ id: ServerID, _ ensemble: Ensemble) {
        ensemble.node(id).isDiskHeld = true
        ensemble.command(id, .diskFull(true))
        ensemble.settle()
    }

    private func free(_ id: ServerID, _ ensemble: Ensemble) {
        ensemble.node(id).isDiskHeld = false
        ensemble.command(id, .diskFull(false))
        ensemble.settle()
    }

    @Test func `alone, a server without room answers reads, and writes when it has room`() throws {
        let ensemble = Ensemble(1)
        try #require(ensemble.run { settled(ensemble) })
        let id = ensemble.ids[0]
        let reader = try ensemble.connect(id, timeout: 10_000)
        let writer = try ensemble.connect(id, timeout: 10_000)
        _ = try writer.create("/a", [1])
        fill(id, ensemble)
        writer.send(.create(CreateRequest(path: "/b", data: [2])))
        for _ in 0..<20 {
            ensemble.advance(.seconds(3))
            #expect(try reader.call(.getData("/a", watch: false)).data == [1])
            #expect(try reader.code(.getData("/b", watch: false)) == .noNode)
            writer.send(.ping)
        }
        #expect(writer.codes.count == 1, "only the create before")
        #expect(!writer.isClosed && !reader.isClosed)
        free(id, ensemble)
        #expect(writer.codes.prefix(2) == [.ok, .ok])
        #expect(try reader.call(.getData("/b", watch: false)).data == [2])
    }

    @Test func `a follower without room leaves, acknowledges nothing, and comes back`() throws {
        let ensemble = try Ensemble.ofThree()
        let leader = try #require(ensemble.leader)
        let full = try #require(ensemble.ids.first { $0 != leader })
        let client = try ensemble.connect(leader, timeout: 40_000)
        fill(full, ensemble)
        let before = ensemble.node(full).storage.count
        for number in 0..<30 {
            _ = try client.create(ZnodePath("/\(number)"), [1])
            ensemble.advance(.seconds(1))
        }
        #expect(ensemble.leader == leader && !client.isClosed)
        #expect(ensemble.status(full)?.isServing == false)
        // It does not gather for ever what it cannot write.
        let gathered = ensemble.node(full).storage.count
        #expect(gathered - before < 30, "\(gathered) requests wait")
        free(full, ensemble)
        try #require(ensemble.run { settled(ensemble) })
        #expect(Set(ensemble.ids.compactMap { ensemble.node($0).replica?.treeDigest }).count == 1)
        #expect(ensemble.leader == leader)
    }

    @Test func `without a follower that has room a leader goes on leading, and tells no lie`()
        throws
    {
        let ensemble = try Ensemble.ofThree()
        let leader = try #require(ensemble.leader)
        let others = ensemble.ids.filter { $0 != leader }
        let client = try ensemble.connect(leader, timeout: 40_000)
        ensemble.crash(others[0])
        ensemble.advance(.seconds(1))
        fill(leader, ensemble)
        client.send(.create(CreateRequest(path: "/a", data: [1])))
        ensemble.advance(.seconds(20))
        #expect(ensemble.leader == leader && client.codes.isEmpty && !client.isClosed)
        free(leader, ensemble)
        #expect(client.codes == [.ok])
    }

    @Test func `a snapshot for which there is no room is given up, and the next one is stored`()
        throws
    {
        let ensemble = Ensemble(1) { $0.snapshotCount = 10 }
        try #require(ensemble.run { settled(ensemble) })
        let id = ensemble.ids[0]
        ensemble.node(id).disk.snapshotsWithoutRoom = 2
        let client = try ensemble.connect(id)
        for number in 0..<60 where ensemble.node(id).disk.snapshotsStored == 0 {
            _ = try client.create(ZnodePath("/\(number)"), [1])
            // A dump goes on at each wake.
            ensemble.advance(.seconds(1))
        }
        #expect(ensemble.node(id).disk.snapshotsStored > 0)
        #expect(ensemble.logs.count { $0.contains("no room for a snapshot") } == 2)
        #expect(ensemble.node(id).halted == nil)
    }

    @Test func `a leader's tree for which there is no room is asked for again`() throws {
        let ensemble = try Ensemble.ofThree()
        let leader = try #require(ensemble.leader)
        let client = try ensemble.connect(leader)
        _ = try client.create("/a", [1])
        let other = try #require(ensemble.ids.first { $0 != leader })
        ensemble.crash(other)
        ensemble.node(other).disk = MemoryDisk()
        ensemble.node(other).disk.snapshotsWithoutRoom = 2
        ensemble.start(other)
        try #require(ensemble.run { settled(ensemble) })
        #expect(
            ensemble.logs.count { $0.contains("no room for the leader's database") } == 2
        )
        #expect(Set(ensemble.ids.compactMap { ensemble.node($0).replica?.treeDigest }).count == 1)
    }
}
