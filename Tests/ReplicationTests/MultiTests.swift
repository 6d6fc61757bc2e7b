import Replication
import Testing
import ZooKeeperModel

@Suite struct MultiTests {
    private func multi(_ client: EnsembleClient, _ operations: [Operation]) throws -> [MultiResult]
    {
        let reply = try client.call(.multi(operations))
        guard case .success(.multi(let results)) = reply.result else {
            throw try #require(reply.failure)
        }
        return results
    }
    private func sequential(_ path: ZnodePath) -> Operation {
        .create(
            CreateRequest(kind: .create, path: path, data: nil, mode: .persistentSequential)
        )
    }

    @Test func `the operations of a multi see each other and share one zxid`() throws {
        let ensemble = try Ensemble.standalone()
        let client = try ensemble.connect(one)
        let before = try #require(ensemble.status(one)?.lastZxid)
        let results = try multi(
            client,
            [
                .create(CreateRequest(kind: .create, path: "/m", data: nil)),
                .create(CreateRequest(kind: .create2, path: "/m/c", data: [1])),
                .check("/m/c", version: 0),
                .setData("/m/c", data: [2], version: 0),
                .delete("/m/c", version: 1),
            ]
        )
        #expect(ensemble.status(one)?.lastZxid == before.next)
        #expect(results.count == 5)
        #expect(results[0] == .success(.created("/m")))
        guard case .success(.createdWithStat("/m/c", _)) = results[1] else {
            Issue.record("create2 answers with a Stat: \(results[1])")
            return
        }
        #expect(results[2] == .success(.checked))
        guard case .success(.stat(let stat)) = results[3] else {
            Issue.record("setData answers with a Stat: \(results[3])")
            return
        }
        #expect(stat.version == 1 && stat.czxid == before.next)
        #expect(results[4] == .success(.empty))
        #expect(try client.code(.exists("/m/c", watch: false)) == .noNode)
    }

    @Test func `a failing multi changes nothing and says which operation failed`() throws {
        let ensemble = try Ensemble.standalone()
        let client = try ensemble.connect(one)
        let results = try multi(
            client,
            [
                .create(CreateRequest(path: "/x", data: nil)),
                .setData("/", data: nil, version: 77),
                .delete("/y", version: -1),
            ]
        )
        #expect(
            results == [
                .failure(.ok), .failure(.badVersion), .failure(.runtimeInconsistency),
            ]
        )
        #expect(try client.code(.exists("/x", watch: false)) == .noNode)
    }

    @Test func `a failing multi takes back its records, those of parents included`() throws {
        let ensemble = try Ensemble.standalone()
        let client = try ensemble.connect(one)
        _ = try client.create("/q")
        ensemble.node(one).isDiskHeld = true
        client.send(sequential("/q/a"))
        client.send(.multi([sequential("/q/b"), sequential("/q/b"), .check("/none", version: 0)]))
        client.send(sequential("/q/c"))
        client.send(.multi([sequential("/q/d"), sequential("/q/d")]))
        ensemble.settle()
        ensemble.node(one).isDiskHeld = false
        ensemble.settle()
        let results = ensemble.replies(client.connection).dropFirst().map(\.result)
        #expect(
            Array(results) == [
                .success(.created("/q/a0000000000")),
                .success(
                    .multi([.failure(.ok), .failure(.ok), .failure(.noNode)])
                ),
                .success(.created("/q/c0000000001")),
                .success(
                    .multi([
                        .success(.created("/q/d0000000002")),
                        .success(.created("/q/d0000000003")),
                    ])
                ),
            ]
        )
    }

    @Test func `an empty multi succeeds and takes a zxid`() throws {
        let ensemble = try Ensemble.standalone()
        let client = try ensemble.connect(one)
        let before = try #require(ensemble.status(one)?.lastZxid)
        #expect(try multi(client, []) == [])
        #expect(ensemble.status(one)?.lastZxid == before.next)
    }

    @Test func `what a multi cannot hold fails inside of it`() throws {
        let ensemble = try Ensemble.standalone()
        let client = try ensemble.connect(one)
        let results = try multi(client, [.create(CreateRequest(path: "/x", data: nil)), .ping])
        #expect(results == [.failure(.ok), .failure(.unimplemented)])
    }
}
