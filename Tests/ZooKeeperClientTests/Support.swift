import Testing
import ZooKeeperClient
import ZooKeeperModel

/// A session on the shared server below a new root of its own, closed at the end.
func withTree(
    _ name: String = #function,
    _ body: (ZooKeeper, _ server: ApacheServer, _ root: String) async throws -> Void
) async throws {
    let server = try await ApacheServer.shared.value
    let setup = try await ZooKeeper.connect(server.address)
    let (root, _) = try await setup.create("/test-", data: nil, mode: .persistentSequential)
    let zooKeeper = try await ZooKeeper.connect(server.address + root)
    do {
        try await body(zooKeeper, server, root)
    } catch {
        await zooKeeper.close()
        await setup.close()
        throw error
    }
    await zooKeeper.close()
    await setup.close()
}

/// Expects a failure with this code, on this path.
func expectFailure(
    _ code: ErrorCode,
    on path: String? = nil,
    sourceLocation: SourceLocation = #_sourceLocation,
    _ body: () async throws -> Void
) async {
    do {
        try await body()
        Issue.record("no failure", sourceLocation: sourceLocation)
    } catch let error as ZooKeeperError {
        #expect(error.code == code, sourceLocation: sourceLocation)
        if let path { #expect(error.path == path, sourceLocation: sourceLocation) }
    } catch {
        Issue.record("another error: \(error)", sourceLocation: sourceLocation)
    }
}

extension WatchStream {
    /// The one event of a one-shot watch, after which its stream ends.
    func only() async throws -> WatchEvent? {
        var events: [WatchEvent] = []
        for try await event in self { events.append(event) }
        #expect(events.count <= 1)
        return events.first
    }
}
