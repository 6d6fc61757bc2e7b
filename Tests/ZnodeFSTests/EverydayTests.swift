import Testing
import ZnodeFS
import ZooKeeperModel

@Suite struct `everyday programs` {
    @Test func `a stream that grows too large leaves the old value whole`() throws {
        var world = MountWorld()
        try world.write(0, "/f", "old")
        let (node, handle) = try world.open(0, "/f", [.writeOnly, .truncate])
        let block = [UInt8](repeating: 7, count: 524_288)
        _ = try world.call(0, .write(node, handle, offset: 0, bytes: block))
        #expect(
            try world.call(0, .write(node, handle, offset: 524_288, bytes: block))
                == .failed(.fileTooBig)
        )
        // Nothing goes on from what was given up.
        #expect(
            try world.call(0, .write(node, handle, offset: 524_288, bytes: [1]))
                == .failed(.fileTooBig)
        )
        try world.close(0, node, handle)
        world.pass(.seconds(5))
        #expect(world.data("/f") == "old")
        #expect(world.version("/f") == 0)
    }

    @Test func `a new file that grows too large is not made`() throws {
        var world = MountWorld()
        let (node, handle) = try world.open(0, "/f", [.writeOnly, .create])
        let block = [UInt8](repeating: 7, count: 524_288)
        _ = try world.call(0, .write(node, handle, offset: 0, bytes: block))
        #expect(
            try world.call(0, .write(node, handle, offset: 524_288, bytes: block))
                == .failed(.fileTooBig)
        )
        try world.close(0, node, handle)
        world.pass(.seconds(5))
        #expect(world.service.nodes["/f"] == nil)
        #expect(try world.list(0, "/") == [])
    }

    @Test func `many small writes in a row send a few times the file`() throws {
        var world = MountWorld()
        let (node, handle) = try world.open(0, "/f", [.writeOnly, .create])
        let line = [UInt8](repeating: 7, count: 1_000)
        for index in 0..<500 {
            #expect(
                try world.call(
                    0,
                    .write(node, handle, offset: Int64(index * 1_000), bytes: line)
                ) == .written(1_000)
            )
            world.pass(.milliseconds(1))
        }
        #expect(try world.call(0, .flush(node, handle, lockOwner: 0)) == .done)
        #expect(world.service.nodes["/f"]?.data?.count == 500_000)
        // Each version is a copy of the file so far.
        let versions = try #require(world.version("/f"))
        #expect(versions < 40)
    }

    @Test func `a few small writes are each on a quorum`() throws {
        var world = MountWorld()
        let (node, handle) = try world.open(0, "/f", [.writeOnly, .create, .append])
        for index in 0..<10 {
            _ = try world.call(0, .write(node, handle, offset: 0, bytes: bytes("line\n")))
            #expect(world.version("/f") == Int32(index))
        }
    }

    @Test func `a lone truncation waits for the second close by its opener`() throws {
        var world = MountWorld()
        try world.write(0, "/f", "old")
        let (node, handle) = try world.open(0, "/f", [.writeOnly, .truncate])
        // The duplicate that a shell closes before the command runs.
        #expect(try world.call(0, .flush(node, handle, lockOwner: 0)) == .done)
        #expect(world.data("/f") == "old")
        // A child that inherited the descriptor ends.
        world.thread = 2
        #expect(try world.call(0, .flush(node, handle, lockOwner: 0)) == .done)
        #expect(world.data("/f") == "old")
        world.thread = 1
        let request = world.send(0, .flush(node, handle, lockOwner: 0))
        #expect(world.reply(0, request) == nil)
        world.settle()
        #expect(world.reply(0, request) == .done)
        #expect(world.data("/f") == "")
        #expect(world.version("/f") == 1)
        _ = try world.call(0, .release(node, handle))
        #expect(world.version("/f") == 1)
    }

    @Test func `data keeps an empty directory a directory`() throws {
        var world = MountWorld(mounts: 2)
        try world.mkdir(0, "/d")
        try world.write(0, "/d@data", "own")
        #expect(world.data("/d") == "own")
        #expect(world.version("/d") == 1)
        #expect(try world.walk(1, "/d").attributes.kind == .directory)
        #expect(try world.list(1, "/d") == ["@data"])
        try world.write(1, "/d@data", "more")
        #expect(world.version("/d") == 2)
        // A file's data is a file's.
        try world.write(0, "/f", "x")
        try world.write(0, "/f@data", "y")
        #expect(try world.walk(1, "/f").attributes.kind == .regular)
        #expect(world.service.nodes["/f"]?.stat.cversion == 0)
    }

    @Test func `what is created narrow may be said to be so until it is closed`() throws {
        var world = MountWorld()
        let reply = try world.call(
            0,
            .create(
                parent: .root,
                name: bytes("f"),
                mode: 0o600,
                flags: [.writeOnly, .create, .exclusive]
            )
        )
        guard case .created(let entry, let handle, _) = reply, let node = entry.node else {
            Issue.record("not created: \(reply)")
            return
        }
        try world.check(try world.call(0, .setAttributes(node, .init(mode: 0o600), handle: nil)))
        // It is not private, so it does not look so.
        #expect(try world.walk(0, "/f").attributes.permissions == 0o644)
        try world.close(0, node, handle)
        #expect(
            try world.call(0, .setAttributes(node, .init(mode: 0o600), handle: nil))
                == .failed(.notSupported)
        )
        try world.check(try world.call(0, .setAttributes(node, .init(mode: 0o755), handle: nil)))
        #expect(try world.walk(0, "/f").attributes.permissions == 0o755)
    }

    @Test func `a private file looks private`() throws {
        var world = MountWorld(mounts: 1) {
            $0.identities = [Identity(scheme: "digest", id: "a:b")]
        }
        try world.write(0, "/f", "x")
        let node = try #require(try world.walk(0, "/f").node)
        try world.check(try world.call(0, .setAttributes(node, .init(mode: 0o600), handle: nil)))
        #expect(try world.walk(0, "/f").attributes.permissions & 0o077 == 0)
    }

    @Test func `a copy of a file that reads as a version arrives as that`() throws {
        var world = MountWorld()
        try world.write(0, "/logo@v2", "picture")
        #expect(world.data("/logo@v2") == "picture")
        #expect(try world.list(0, "/") == ["logo%40v2"])
        #expect(try world.read(0, "/logo@v2") == "picture")
        #expect(try world.read(0, "/logo%40v2") == "picture")
        // With a znode of that name it is the facet, which is not served.
        try world.write(0, "/x", "1")
        #expect(throws: Failure(errno: .notSupported)) { try world.write(0, "/x@v2", "2") }
    }

    @Test func `the root answers while the ensemble is away`() throws {
        var world = MountWorld()
        let before = try world.call(0, .getAttributes(.root, handle: nil))
        world.disconnect(0)
        #expect(try world.call(0, .getAttributes(.root, handle: nil)) == before)
    }
}
