import Testing
import ZooKeeperClient
import ZooKeeperModel

@Suite(.enabled(if: ApacheServer.isAvailable, "Debian's zookeeper is not installed"))
struct `Operations on Apache's server` {
    @Test func `znodes of every kind are made`() async throws {
        try await withTree { zooKeeper, _, _ in
            let (path, stat) = try await zooKeeper.create("/plain", data: [1, 2, 3])
            #expect(path == "/plain")
            #expect(stat.dataLength == 3 && stat.version == 0 && stat.ephemeralOwner == .none)

            let ephemeral = try await zooKeeper.create("/ephemeral", data: nil, mode: .ephemeral)
            #expect(ephemeral.stat.ephemeralOwner != .none)

            let first = try await zooKeeper.create("/q-", data: nil, mode: .persistentSequential)
            let second = try await zooKeeper.create("/q-", data: nil, mode: .ephemeralSequential)
            #expect(first.path == "/q-0000000002")
            #expect(second.path == "/q-0000000003")
            #expect(second.stat.ephemeralOwner == ephemeral.stat.ephemeralOwner)
            let unnamed = try await zooKeeper.create(
                "/plain/",
                data: nil,
                mode: .persistentSequential
            )
            #expect(unnamed.path == "/plain/0000000000")

            let container = try await zooKeeper.create("/box", data: nil, mode: .container)
            #expect(container.path == "/box")
            let timed = try await zooKeeper.create(
                "/timed",
                data: [],
                mode: .persistentTimeToLive,
                timeToLive: .seconds(600)
            )
            #expect(timed.path == "/timed")
            #expect(timed.stat.ephemeralOwner == .none)
        }
    }

    @Test func `creates fail with their codes`() async throws {
        try await withTree { zooKeeper, _, _ in
            try await zooKeeper.create("/a", data: nil)
            try await zooKeeper.create("/e", data: nil, mode: .ephemeral)
            await expectFailure(.nodeExists, on: "/a") {
                try await zooKeeper.create("/a", data: nil)
            }
            await expectFailure(.noNode) { try await zooKeeper.create("/x/y", data: nil) }
            await expectFailure(.noChildrenForEphemerals) {
                try await zooKeeper.create("/e/y", data: nil)
            }
            await expectFailure(.invalidACL) {
                try await zooKeeper.create("/z", data: nil, acl: [])
            }
            await expectFailure(.badArguments, on: "no slash") {
                try await zooKeeper.create("no slash", data: nil)
            }
            await expectFailure(.badArguments) { try await zooKeeper.create("/a/../b", data: nil) }
            await expectFailure(.badArguments) {
                try await zooKeeper.create("/t", data: nil, mode: .persistentTimeToLive)
            }
            await expectFailure(.badArguments) {
                try await zooKeeper.create("/big", data: [UInt8](repeating: 0, count: 1 << 20))
            }
            #expect(try await zooKeeper.exists("/a") != nil, "the session has not suffered")
        }
    }

    @Test func `null and empty data are different`() async throws {
        try await withTree { zooKeeper, _, _ in
            try await zooKeeper.create("/null", data: nil)
            try await zooKeeper.create("/empty", data: [])
            #expect(try await zooKeeper.getData("/null").data == nil)
            #expect(try await zooKeeper.getData("/empty").data == [])
            try await zooKeeper.setData("/null", [])
            try await zooKeeper.setData("/empty", nil)
            #expect(try await zooKeeper.getData("/null").data == [])
            #expect(try await zooKeeper.getData("/empty").data == nil)
        }
    }

    @Test func `data is set by version and deleted by version`() async throws {
        try await withTree { zooKeeper, _, _ in
            try await zooKeeper.create("/a", data: [1])
            #expect(try await zooKeeper.setData("/a", [2], version: 0).version == 1)
            await expectFailure(.badVersion, on: "/a") {
                try await zooKeeper.setData("/a", [3], version: 0)
            }
            let (data, stat) = try await zooKeeper.getData("/a")
            #expect(data == [2] && stat.version == 1)
            await expectFailure(.noNode) { try await zooKeeper.setData("/none", nil) }
            await expectFailure(.noNode) { _ = try await zooKeeper.getData("/none") }

            try await zooKeeper.create("/a/b", data: nil)
            await expectFailure(.notEmpty) { try await zooKeeper.delete("/a") }
            try await zooKeeper.delete("/a/b")
            await expectFailure(.badVersion) { try await zooKeeper.delete("/a", version: 0) }
            try await zooKeeper.delete("/a", version: 1)
            #expect(try await zooKeeper.exists("/a") == nil)
            await expectFailure(.noNode) { try await zooKeeper.delete("/a") }
        }
    }

    @Test func `children are listed with the parent's Stat`() async throws {
        try await withTree { zooKeeper, _, _ in
            for name in ["b", "a", "ü"] { try await zooKeeper.create("/\(name)", data: nil) }
            let (names, stat) = try await zooKeeper.getChildren("/")
            #expect(names.sorted() == ["a", "b", "ü"])
            #expect(stat.numChildren == 3)
            #expect(try await zooKeeper.getChildren("/a").names == [])
            await expectFailure(.noNode) { _ = try await zooKeeper.getChildren("/none") }
        }
    }

    @Test func `access lists are read, set and obeyed`() async throws {
        try await withTree { zooKeeper, server, root in
            try await zooKeeper.addAuth(scheme: "digest", Array("u:p".utf8))
            try await zooKeeper.create("/mine", data: [1], acl: .creator)
            let (acl, stat) = try await zooKeeper.getACL("/mine")
            #expect(
                acl == [
                    ACL(
                        permissions: .all,
                        identity: Identity(
                            scheme: "digest",
                            id: "u:Jq7wMyA/w2Vd5WIDAKdu4OIIFEQ="
                        )
                    )
                ]
            )
            #expect(stat.aversion == 0)

            let other = try await ZooKeeper.connect(server.address + root)
            await expectFailure(.noAuth) { _ = try await other.getData("/mine") }
            #expect(try await zooKeeper.setACL("/mine", .open, version: 0).aversion == 1)
            await expectFailure(.badVersion) {
                try await zooKeeper.setACL("/mine", .open, version: 0)
            }
            #expect(try await other.getData("/mine").data == [1])
            await other.close()
        }
    }

    @Test func `a refused credential ends the session`() async throws {
        let server = try await ApacheServer.shared.value
        let zooKeeper = try await ZooKeeper.connect(server.address)
        let events = zooKeeper.events()
        await expectFailure(.authFailed) { try await zooKeeper.addAuth(scheme: "nobody", [1]) }
        await expectFailure(.authFailed) { _ = try await zooKeeper.exists("/") }
        var last: SessionEvent?
        for try await event in events { last = event }
        #expect(last == .state(.authenticationFailed))
        await zooKeeper.close()
    }

    @Test func `sync answers`() async throws {
        try await withTree { zooKeeper, _, _ in try await zooKeeper.sync() }
    }

    @Test func `a multi does all`() async throws {
        try await withTree { zooKeeper, _, _ in
            try await zooKeeper.create("/a", data: [1])
            let results = try await zooKeeper.multi([
                .check("/a", version: 0), .create("/b", data: [2]),
                .setData("/a", data: [3], version: 0), .create("/c", data: nil), .delete("/c"),
                .create("/s-", data: nil, mode: .ephemeralSequential),
            ])
            #expect(results.count == 6)
            #expect(results[0] == .checked)
            guard case .created("/b", _) = results[1] else {
                Issue.record("\(results[1])")
                return
            }
            guard case .dataSet(let stat) = results[2] else {
                Issue.record("\(results[2])")
                return
            }
            #expect(stat.version == 1)
            #expect(results[4] == .deleted)
            guard case .created("/s-0000000003", _) = results[5] else {
                Issue.record("\(results[5])")
                return
            }
            #expect(try await zooKeeper.multi([]) == [])
        }
    }

    @Test func `a multi that fails does nothing and names the step`() async throws {
        try await withTree { zooKeeper, _, _ in
            try await zooKeeper.create("/a", data: [1])
            do {
                try await zooKeeper.multi([
                    .create("/b", data: nil), .setData("/a", data: [2], version: 7),
                    .create("/c", data: nil),
                ])
                Issue.record("no failure")
            } catch let error as ZooKeeperError {
                #expect(error.code == .badVersion && error.path == "/a" && error.index == 1)
            }
            #expect(try await zooKeeper.exists("/b") == nil)
            #expect(try await zooKeeper.getData("/a").data == [1])
        }
    }

    @Test func `an ephemeral shows its owner and goes with its session`() async throws {
        try await withTree { zooKeeper, server, root in
            let owner = try await ZooKeeper.connect(server.address + root)
            var states = owner.events().makeAsyncIterator()
            guard case .state(.connected(let id, _, _, _)) = try await states.next() else {
                Issue.record("no state")
                return
            }
            try await owner.create("/e", data: nil, mode: .ephemeral)
            let (stat, events) = try await zooKeeper.existsAndWatch("/e")
            #expect(stat?.ephemeralOwner == id)
            await owner.close()
            #expect(try await events.only()?.kind == .deleted)
            #expect(try await zooKeeper.exists("/e") == nil)
            await expectFailure(.sessionExpired) { _ = try await owner.exists("/") }
        }
    }

    @Test func `thousands of requests are under way at once, in order`() async throws {
        try await withTree { zooKeeper, _, _ in
            try await zooKeeper.create("/n", data: nil)
            let paths = try await withThrowingTaskGroup(of: String.self) { group in
                for _ in 0..<2_000 {
                    group.addTask {
                        try await zooKeeper.create(
                            "/n/",
                            data: [7],
                            mode: .persistentSequential
                        ).path
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(Set(paths).count == 2_000)
            #expect(try await zooKeeper.getChildren("/n").names.count == 2_000)
        }
    }

    @Test func `a chroot hides the rest of the tree`() async throws {
        try await withTree { zooKeeper, server, root in
            let whole = try await ZooKeeper.connect(server.address)
            try await zooKeeper.create("/a", data: [1])
            #expect(try await whole.getData(root + "/a").data == [1])
            let events = try await zooKeeper.addWatch("/", mode: .persistentRecursive)
            try await whole.setData(root + "/a", nil)
            try await whole.setData(root, nil)
            var iterator = events.makeAsyncIterator()
            let first = try await iterator.next()
            let second = try await iterator.next()
            #expect(first?.path == "/a" && second?.path == .root)
            await whole.close()
        }
    }

    @Test func `a cancelled task stops waiting`() async throws {
        // Nobody listens there.
        let zooKeeper = try ZooKeeper("127.0.0.1:1")
        let task = Task { try await zooKeeper.getData("/") }
        let before = Task { _ = try await zooKeeper.exists("/") }
        before.cancel()
        task.cancel()
        await #expect(throws: CancellationError.self) { _ = try await task.value }
        await #expect(throws: CancellationError.self) { try await before.value }
        await expectFailure(.connectionLoss) {
            _ = try await ZooKeeper.connect("127.0.0.1:1", within: .milliseconds(50))
        }
        let waiting = Task { _ = try await zooKeeper.exists("/") }
        // The request was asked for before or is refused after: it ends in any case.
        await zooKeeper.close()
        await #expect(throws: ZooKeeperError.self) { try await waiting.value }
    }
}
