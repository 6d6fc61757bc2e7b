import Replication
import Testing
import ZooKeeperModel

@Suite struct OrderTests {
    @Test func `replies come in the order of the requests, and only their own client waits`()
        throws
    {
        let ensemble = try Ensemble.standalone()
        let client = try ensemble.connect(one)
        let other = try ensemble.connect(one)
        ensemble.node(one).isDiskHeld = true
        client.send(.exists("/a", watch: false))
        client.send(.create(CreateRequest(path: "/a", data: [1])))
        client.send(.getData("/a", watch: false))
        client.send(.setData("/a", data: [2], version: 0))
        client.send(.getData("/a", watch: false))
        client.send(.sync("/a"))
        client.send(.auth(scheme: "ip", credential: []))
        client.send(.delete("/a", version: 1))
        client.send(.exists("/a", watch: false))
        ensemble.settle()
        #expect(client.codes == [.noNode])
        #expect(try other.code(.exists("/a", watch: false)) == .noNode, "not committed")
        ensemble.node(one).isDiskHeld = false
        ensemble.settle()
        let replies = ensemble.replies(client.connection)
        #expect(replies.map(\.xid) == Array(1...9))
        #expect(client.codes == [.noNode, .ok, .ok, .ok, .ok, .ok, .ok, .ok, .noNode])
        #expect(replies[2].data == [1] && replies[4].data == [2])
        #expect(replies[5].result == .success(.synced("/a")))
        #expect(
            zip(replies, replies.dropFirst()).allSatisfy { $0.zxid <= $1.zxid },
            "a client's zxids never go back"
        )
    }

    @Test func `an event leaves before the reply of the write that caused it`() throws {
        let ensemble = try Ensemble.standalone()
        let client = try ensemble.connect(one)
        let other = try ensemble.connect(one)
        _ = try client.create("/w", [])
        _ = try client.call(.getData("/w", watch: true))
        _ = try other.call(.getData("/w", watch: true))
        ensemble.clear(client.connection)
        ensemble.clear(other.connection)
        ensemble.node(one).isDiskHeld = true
        client.send(.setData("/w", data: [1], version: 0))
        ensemble.settle()
        other.send(.ping)
        ensemble.node(one).isDiskHeld = false
        ensemble.settle()
        other.send(.getData("/w", watch: false))
        ensemble.settle()
        let zxid = try #require(ensemble.status(one)?.lastZxid)
        let event = WatchEvent(kind: .dataChanged, path: "/w", zxid: zxid)
        #expect(ensemble.sent[client.connection]?.first == .event(event))
        #expect(ensemble.sent[client.connection]?.count == 2)
        let seen = try #require(ensemble.sent[other.connection])
        let position = try #require(seen.firstIndex(of: .event(event)))
        let read = try #require(
            seen.firstIndex {
                if case .reply(let reply) = $0 { reply.data == [1] } else { false }
            }
        )
        #expect(position < read, "and before any reply that shows the change")
    }

    @Test func `watches fire once, persistent ones always, and none without permission`() throws {
        let ensemble = try Ensemble.standalone()
        let writer = try ensemble.connect(one)
        let watcher = try ensemble.connect(one)
        #expect(try watcher.code(.exists("/x", watch: true)) == .noNode)
        #expect(try watcher.code(.addWatch("/p", mode: 1)) == .ok)
        #expect(try watcher.code(.getData("/none", watch: true)) == .noNode)
        _ = try writer.create("/x", [])
        _ = try writer.call(.setData("/x", data: nil, version: -1))
        _ = try writer.create("/p", [])
        _ = try writer.create("/p/c", [])
        _ = try writer.create("/none", [])
        #expect(try writer.code(.auth(scheme: "digest", credential: Array("u:p".utf8))) == .ok)
        _ = try writer.create("/p/secret", [], acl: .creator)
        #expect(
            watcher.events.map { "\($0.kind) \($0.path)" } == [
                "created /x", "created /p", "created /p/c",
            ]
        )
        #expect(try watcher.code(.checkWatches("/p", type: 3)) == .ok)
        #expect(try watcher.code(.removeWatches("/p", type: 3)) == .ok)
        #expect(try watcher.code(.checkWatches("/p", type: 3)) == .noWatcher)
    }

    @Test func `setWatches tells what was missed and registers the rest`() throws {
        let ensemble = try Ensemble.standalone()
        let writer = try ensemble.connect(one)
        for path: ZnodePath in ["/same", "/set", "/gone", "/parent", "/quiet"] {
            _ = try writer.create(path, [])
        }
        let seen = try #require(ensemble.status(one)?.lastZxid)
        _ = try writer.call(.setData("/set", data: [1], version: -1))
        _ = try writer.call(.delete("/gone", version: -1))
        _ = try writer.create("/parent/c", [])
        _ = try writer.create("/new", [])
        let client = try ensemble.connect(one)
        #expect(
            try client.code(
                .setWatches(
                    WatchRegistrations(
                        relativeZxid: seen,
                        data: ["/same", "/set", "/gone"],
                        exist: ["/new", "/future"],
                        child: ["/parent", "/quiet", "/gone"],
                        persistent: ["/always"],
                        isSecondVersion: true
                    )
                )
            ) == .ok
        )
        #expect(
            client.events == [
                WatchEvent(kind: .dataChanged, path: "/set"),
                WatchEvent(kind: .deleted, path: "/gone"),
                WatchEvent(kind: .created, path: "/new"),
                WatchEvent(kind: .childrenChanged, path: "/parent"),
                WatchEvent(kind: .deleted, path: "/gone"),
            ]
        )
        guard case .reply? = ensemble.sent[client.connection]?.last else {
            Issue.record("the reply comes after the events")
            return
        }
        ensemble.clear(client.connection)
        _ = try writer.call(.setData("/same", data: [1], version: -1))
        _ = try writer.create("/future", [])
        _ = try writer.create("/quiet/c", [])
        _ = try writer.create("/always", [])
        #expect(
            client.events.map { "\($0.kind) \($0.path)" } == [
                "dataChanged /same", "created /future", "childrenChanged /quiet",
                "created /always",
            ]
        )
    }

    @Test func `a client that takes nothing is not read from until it has`() throws {
        let ensemble = try Ensemble.standalone()
        let client = try ensemble.connect(one)
        _ = try client.create("/big", [UInt8](repeating: 1, count: 900_000))
        ensemble.clear(client.connection)
        ensemble.isTakingReplies = false
        for _ in 0..<12 { client.send(.getData("/big", watch: false)) }
        ensemble.settle()
        #expect(client.codes.count == 5, "what fills its credit, and one more")
        #expect(ensemble.paused.contains(client.connection))
        ensemble.isTakingReplies = true
        ensemble.send(client.connection, .drained(client.connection))
        ensemble.settle()
        #expect(client.codes.count == 12)
        #expect(!ensemble.paused.contains(client.connection))
    }

    @Test func `a server's status counts what passes`() throws {
        let ensemble = try Ensemble.standalone()
        let client = try ensemble.connect(one, address: "10.0.0.7")
        _ = try client.create("/a", [1, 2, 3])
        _ = try client.call(.getData("/a", watch: true))
        let status = try #require(ensemble.status(one))
        #expect(status.mode == .standalone)
        #expect(status.packetsReceived == 3 && status.packetsSent == 3)
        #expect(status.watchCount == 1 && status.sessionCount == 1)
        #expect(status.proposalSizes != nil)
        #expect(status.connections.map(\.address) == ["10.0.0.7"])
        #expect(status.connections.first?.session == client.response.session)
    }
}
