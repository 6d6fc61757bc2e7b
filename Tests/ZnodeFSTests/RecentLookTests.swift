import Testing
import ZooKeeperModel

@testable import ZnodeFS

/// What was seen a moment ago answers what the kernel asks again, and never anything newer.
@Suite struct RecentLookTests {
    /// Whether the reply came without a question to the servers.
    private func isAnsweredAtOnce(
        _ world: inout MountWorld,
        _ operation: FileOperation
    ) -> Bool {
        let request = world.send(0, operation)
        let isAnswered = world.reply(0, request) != nil
        world.settle()
        return isAnswered
    }

    private func node(_ world: MountWorld, _ name: String) throws -> NodeID {
        let key = world.mounts[0].tree.nodes.below(ZnodePath("/" + name)).first
        return try #require(key)
    }

    private func listed(
        _ change: (inout MountSettings) -> Void = { _ in }
    ) throws -> MountWorld {
        var world = MountWorld(mounts: 2, change)
        for name in ["a", "b", "c"] { try world.write(1, "/" + name, name) }
        #expect(try world.list(0, "/") == ["a", "b", "c"])
        return world
    }

    private func lookup(_ name: String) -> FileOperation {
        .lookup(parent: .root, name: bytes(name))
    }

    @Test func `a listing answers the stat of each entry, and not for long`() throws {
        var world = try listed()
        world.now.instant = world.now.instant + .milliseconds(400)
        for name in ["a", "b"] {
            #expect(isAnsweredAtOnce(&world, lookup(name)))
            let node = try node(world, name)
            #expect(isAnsweredAtOnce(&world, .getAttributes(node, handle: nil)))
            #expect(!isAnsweredAtOnce(&world, .getAttributes(node, handle: nil)))
            // The same program asks for its extended attributes.
            #expect(isAnsweredAtOnce(&world, lookup(name)))
        }
        // A program that looks again is told anew.
        world.now.instant = world.now.instant + .milliseconds(50)
        for name in ["a", "b"] { #expect(!isAnsweredAtOnce(&world, lookup(name))) }
        #expect(isAnsweredAtOnce(&world, lookup("c")))
    }

    @Test func `one look serves both questions of a stat, for its own thread`() throws {
        var world = try listed()
        world.pass(.seconds(2))
        #expect(!isAnsweredAtOnce(&world, lookup("a")))
        let node = try node(world, "a")
        world.thread = 2
        #expect(!isAnsweredAtOnce(&world, .getAttributes(node, handle: nil)))
        world.thread = 1
        #expect(isAnsweredAtOnce(&world, .getAttributes(node, handle: nil)))
        // Not after another request, and not later.
        #expect(!isAnsweredAtOnce(&world, lookup("a")))
        #expect(!isAnsweredAtOnce(&world, lookup("b")))
        #expect(!isAnsweredAtOnce(&world, .getAttributes(node, handle: nil)))
        #expect(!isAnsweredAtOnce(&world, lookup("a")))
        world.now.instant = world.now.instant + .milliseconds(20)
        #expect(!isAnsweredAtOnce(&world, .getAttributes(node, handle: nil)))
    }

    @Test func `the first sign of a later state ends all looks`() throws {
        var world = try listed()
        // Another's change, of which this mount learns by an answer.
        world.other(.setData("/a", data: bytes("longer"), version: -1))
        #expect(isAnsweredAtOnce(&world, lookup("a")))
        _ = try world.read(0, "/b")
        guard case .entry(let entry) = try world.call(0, lookup("a")) else {
            return #expect(Bool(false), "no entry")
        }
        #expect(entry.attributes.size == 6)
        #expect(!isAnsweredAtOnce(&world, lookup("c")))
    }

    @Test func `an event ends all looks, also one without a zxid`() throws {
        var world = try listed()
        world.input(0, .event(WatchEvent(kind: .dataChanged, path: "/x")))
        #expect(!isAnsweredAtOnce(&world, lookup("a")))
    }

    @Test func `a disconnection and a second end all looks`() throws {
        var world = try listed()
        world.disconnect(0)
        world.connect(0)
        #expect(!isAnsweredAtOnce(&world, lookup("a")))
        world = try listed()
        world.now.instant = world.now.instant + .seconds(1)
        #expect(!isAnsweredAtOnce(&world, lookup("a")))
    }

    @Test func `linearizable reads always ask`() throws {
        var world = try listed { $0.linearizableReads = true }
        #expect(!isAnsweredAtOnce(&world, lookup("a")))
        #expect(!isAnsweredAtOnce(&world, .getAttributes(try node(world, "a"), handle: nil)))
    }

    @Test func `a directory on the way is asked for now and then`() throws {
        var world = MountWorld(mounts: 2)
        try world.mkdir(1, "/d")
        #expect(!isAnsweredAtOnce(&world, lookup("d")))
        #expect(isAnsweredAtOnce(&world, lookup("d")))
        #expect(isAnsweredAtOnce(&world, lookup("d")))
        world.now.instant = world.now.instant + .milliseconds(50)
        #expect(!isAnsweredAtOnce(&world, lookup("d")))
    }

    @Test func `looks are bounded`() throws {
        var looks = RecentLooks()
        let now = Instant(nanoseconds: 0)
        let world = MountWorld()
        let stat = try #require(world.service.nodes[.root]?.stat)
        for index in 0..<(2 * RecentLooks.limit) {
            let path = ZnodePath("/\(index)")
            let znode = Znode(path: path, stat: stat, content: .empty, permissions: .all)
            looks.list(znode, at: now)
            looks.name(.root, znode, by: Int32(index), at: now)
        }
        #expect(looks.count <= 2 * RecentLooks.limit)
        #expect(looks.find(ZnodePath("/\(2 * RecentLooks.limit - 1)"), at: now) != nil)
    }
}
