import Replication
import Testing
import ZooKeeperModel

/// A read after a sync sees everything that anybody was told before the sync.
@Suite struct SyncTests {
    private struct Parted {
        var ensemble: Ensemble
        /// Lost to the others, and not aware of it.
        var leader: ServerID
        var follower: ServerID
        /// Their clients: `/a` is 1 there, and 2 elsewhere.
        var readers: [EnsembleClient]
    }

    private func parted() throws -> Parted {
        let ensemble = Ensemble(5)
        try #require(
            ensemble.run { ensemble.ids.allSatisfy { ensemble.status($0)?.isServing == true } }
        )
        let leader = try #require(ensemble.leader)
        let follower = try #require(ensemble.ids.first { $0 != leader })
        let readers = [try ensemble.connect(leader), try ensemble.connect(follower)]
        _ = try readers[0].create("/a", [1])
        ensemble.part([leader, follower])
        let others = ensemble.ids.filter { $0 != leader && $0 != follower }
        try #require(
            ensemble.run {
                others.contains { ensemble.status($0)?.mode == .leader }
                    && others.allSatisfy { ensemble.status($0)?.isServing == true }
            }
        )
        let writer = try ensemble.connect(others[0])
        #expect(try writer.code(.setData("/a", data: [2], version: -1)) == .ok)
        for reader in readers { ensemble.clear(reader.connection) }
        try #require(ensemble.status(leader)?.mode == .leader, "it should not know yet")
        return Parted(
            ensemble: ensemble,
            leader: leader,
            follower: follower,
            readers: readers
        )
    }

    @Test(arguments: [0, 1])
    func `a deposed leader that does not know it answers no sync`(place: Int) throws {
        let parted = try parted()
        let reader = parted.readers[place]
        reader.send(.sync("/a"))
        reader.send(.getData("/a", watch: false))
        try #require(parted.ensemble.run { reader.isClosed })
        #expect(parted.ensemble.replies(reader.connection).map(\.data) == [])
    }

    @Test func `a read without a sync may be stale, which shows that the test is one`() throws {
        let parted = try parted()
        let reader = parted.readers[0]
        #expect(try reader.call(.getData("/a", watch: false)).data == [1])
    }

    @Test func `syncs of many clients are answered without waiting for a tick`() throws {
        let ensemble = try Ensemble.ofThree()
        let leader = try #require(ensemble.leader)
        let clients = try ensemble.ids.flatMap { id in
            try (0..<3).map { _ in try ensemble.connect(id) }
        }
        let before = ensemble.now.instant
        for round in 1...4 {
            for client in clients {
                client.send(.sync("/"))
                client.send(.getData("/", watch: false))
            }
            ensemble.settle()
            for client in clients {
                #expect(client.codes == [ErrorCode](repeating: .ok, count: 2 * round))
            }
        }
        #expect(ensemble.now.instant == before && ensemble.status(leader)?.mode == .leader)
    }

    @Test func `a read after a sync never sees what its own client wrote after it`() throws {
        let ensemble = try Ensemble.ofThree()
        let leader = try #require(ensemble.leader)
        let client = try ensemble.connect(leader)
        _ = try client.create("/a", [1])
        ensemble.clear(client.connection)
        // The followers may have committed that without the leader's disk.
        ensemble.settle()
        let followers = ensemble.ids.filter { $0 != leader }
        ensemble.settle()
        // Nobody says that this server still leads.
        for id in followers { ensemble.slow(id) }
        let logged = ensemble.node(leader).disk.log.count
        client.send(.sync("/a"))
        client.send(.getData("/a", watch: false))
        client.send(.setData("/a", data: [2], version: -1))
        client.send(.getData("/a", watch: false))
        ensemble.settle()
        #expect(client.codes == [])
        #expect(
            ensemble.node(leader).disk.log.count == logged,
            "it could be applied before the read"
        )
        for id in followers { ensemble.hurry(id) }
        ensemble.settle()
        #expect(client.codes == [.ok, .ok, .ok, .ok])
        #expect(ensemble.replies(client.connection).map(\.data) == [nil, [1], nil, [2]])
    }

    @Test func `a sync on a server alone is answered at once`() throws {
        let ensemble = try Ensemble.standalone()
        let client = try ensemble.connect(one)
        client.send(.sync("/"))
        ensemble.settle()
        #expect(client.codes == [.ok])
    }
}
