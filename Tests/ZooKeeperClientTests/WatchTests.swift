import Testing
import ZooKeeperClient
import ZooKeeperModel

@Suite(.enabled(if: ApacheServer.isAvailable, "Debian's zookeeper is not installed"))
struct `Watches on Apache's server` {
    @Test func `data watches tell one change`() async throws {
        try await withTree { zooKeeper, _, _ in
            try await zooKeeper.create("/a", data: [1])
            let (_, _, events) = try await zooKeeper.getDataAndWatch("/a")
            let same = try await zooKeeper.getDataAndWatch("/a").events
            try await zooKeeper.setData("/a", [2])
            try await zooKeeper.setData("/a", [3])
            #expect(try await events.only()?.kind == .dataChanged)
            #expect(try await same.only()?.kind == .dataChanged, "every reader is told")
        }
    }

    @Test func `existence is watched before and after creation`() async throws {
        try await withTree { zooKeeper, _, _ in
            let (stat, created) = try await zooKeeper.existsAndWatch("/a")
            #expect(stat == nil)
            try await zooKeeper.create("/a", data: nil)
            #expect(try await created.only()?.kind == .created)
            let deleted = try await zooKeeper.existsAndWatch("/a").events
            try await zooKeeper.delete("/a")
            #expect(try await deleted.only()?.kind == .deleted)
        }
    }

    @Test func `child watches tell of children, not of data`() async throws {
        try await withTree { zooKeeper, _, _ in
            try await zooKeeper.create("/a", data: nil)
            let (names, _, events) = try await zooKeeper.getChildrenAndWatch("/a")
            #expect(names == [])
            try await zooKeeper.setData("/a", [1])
            try await zooKeeper.create("/a/b", data: nil)
            #expect(
                try await events.only().map { [$0.kind == .childrenChanged, $0.path == "/a"] }
                    == [true, true]
            )
        }
    }

    @Test func `persistent watches go on until they are removed`() async throws {
        try await withTree { zooKeeper, _, _ in
            let one = try await zooKeeper.addWatch("/a", mode: .persistent)
            let all = try await zooKeeper.addWatch("/", mode: .persistentRecursive)
            try await zooKeeper.create("/a", data: nil)
            try await zooKeeper.create("/a/b", data: nil)
            try await zooKeeper.setData("/a", [1])
            try await zooKeeper.delete("/a/b")
            try await zooKeeper.removeWatches("/a")
            try await zooKeeper.removeWatches("/")
            try await zooKeeper.delete("/a")
            await expectFailure(.noWatcher) { try await zooKeeper.removeWatches("/a") }
            func texts(_ stream: WatchStream) async throws -> [String] {
                try await stream.reduce(into: []) { $0.append("\($1.kind) \($1.path)") }
            }
            #expect(
                try await texts(one) == [
                    "created /a", "childrenChanged /a", "dataChanged /a", "childrenChanged /a",
                ]
            )
            #expect(
                try await texts(all) == [
                    "created /a", "created /a/b", "dataChanged /a", "deleted /a/b",
                ]
            )
        }
    }

    @Test func `closing ends the streams`() async throws {
        let server = try await ApacheServer.shared.value
        let zooKeeper = try await ZooKeeper.connect(server.address)
        let events = zooKeeper.events()
        let watch = try await zooKeeper.getChildrenAndWatch("/zookeeper").events
        await zooKeeper.close()
        await expectFailure(.sessionExpired) { _ = try await watch.only() }
        var last: SessionEvent?
        for try await event in events { last = event }
        #expect(last == .state(.closed))
    }
}

@Suite(.enabled(if: ApacheServer.isAvailable, "Debian's zookeeper is not installed"))
struct `A server that is killed and comes back` {
    @Test func `session, ephemerals and watches survive, each change is told once`() async throws {
        let server = try await ApacheServer.started()
        var configuration = ZooKeeper.Configuration()
        configuration.sessionTimeout = .seconds(20)
        let zooKeeper = try await ZooKeeper.connect(server.address, configuration: configuration)
        for path in ["/data", "/children", "/gone", "/quiet", "/persistent"] {
            try await zooKeeper.create(path, data: [1])
        }
        try await zooKeeper.create("/mine", data: nil, mode: .ephemeral)
        let data = try await zooKeeper.getDataAndWatch("/data").events
        let children = try await zooKeeper.getChildrenAndWatch("/children").events
        let gone = try await zooKeeper.getDataAndWatch("/gone").events
        let goneChildren = try await zooKeeper.getChildrenAndWatch("/gone").events
        let missing = try await zooKeeper.existsAndWatch("/missing").events
        let quiet = try await zooKeeper.getDataAndWatch("/quiet").events
        let persistent = try await zooKeeper.addWatch("/persistent", mode: .persistent)
        var states = zooKeeper.events().makeAsyncIterator()
        guard case .state(.connected(let id, _, _, _)) = try await states.next() else {
            Issue.record("no first state")
            return
        }

        try await server.kill()
        #expect(try await states.next() == .state(.disconnected))
        let waiting = Task { try await zooKeeper.getData("/data").data }
        try await server.start()

        let other = try await ZooKeeper.connect(server.address)
        try await other.setData("/data", [2])
        try await other.create("/children/new", data: nil)
        try await other.delete("/gone")
        try await other.create("/missing", data: nil)
        #expect(try await other.exists("/mine")?.ephemeralOwner == id)

        guard case .state(.connected(id, isNew: false, _, _)) = try await states.next() else {
            Issue.record("another state than connected")
            return
        }
        #expect(try await data.only()?.kind == .dataChanged)
        #expect(try await children.only()?.kind == .childrenChanged)
        #expect(try await gone.only()?.kind == .deleted)
        #expect(try await goneChildren.only()?.kind == .deleted)
        #expect(try await missing.only()?.kind == .created)
        _ = try await waiting.value

        try await other.setData("/persistent", [2])
        try await other.setData("/quiet", [2])
        #expect(try await quiet.only()?.kind == .dataChanged)
        var again = persistent.makeAsyncIterator()
        #expect(try await again.next()?.kind == .dataChanged)

        // All events of the session since: every change once.
        var told: [String] = []
        while told.count < 6, case .watch(let event)? = try await states.next() {
            told.append("\(event.kind) \(event.path)")
        }
        #expect(
            told.sorted() == [
                "childrenChanged /children", "created /missing", "dataChanged /data",
                "dataChanged /persistent", "dataChanged /quiet", "deleted /gone",
            ]
        )
        await other.close()
        await zooKeeper.close()
    }
}
