import Testing
import ZnodeFS
import ZooKeeperModel

/// What a rename carries along.
@Suite struct RenameTests {
    @Test(arguments: [false, true])
    func `open files and times follow, whatever the servers tell of a transaction`(
        hidesStats: Bool
    ) throws {
        var world = MountWorld()
        world.service.hidesStatsOfTransactions = hidesStats
        try world.mkdir(0, "/d")
        try world.write(0, "/d/f", "x")
        let (node, handle) = try world.open(0, "/d/f", [.writeOnly, .append])
        var change = AttributeChange()
        change.modificationTime = .at(FileTime(seconds: 77, nanoseconds: 0))
        try world.check(try world.call(0, .setAttributes(node, change, handle: nil)))
        try world.rename(0, "/d", "/e")
        #expect(try world.walk(0, "/e/f").attributes.modificationTime.seconds == 77)
        try world.rename(0, "/e/f", "/g")
        #expect(try world.walk(0, "/g").attributes.modificationTime.seconds == 77)
        #expect(
            try world.call(0, .write(node, handle, offset: 0, bytes: bytes("y"))) == .written(1)
        )
        #expect(world.data("/g") == "xy")
    }

    @Test func `what another made anew meanwhile is not taken for what was moved`() throws {
        var world = MountWorld()
        world.service.hidesStatsOfTransactions = true
        try world.write(0, "/f", "x")
        let (node, handle) = try world.open(0, "/f", [.writeOnly, .append])
        let request = world.send(
            0,
            .rename(
                parent: .root,
                name: bytes("f"),
                newParent: .root,
                newName: bytes("g"),
                flags: 0
            )
        )
        // The transaction is done; before the question that follows it another is faster.
        while world.service.nodes["/g"] == nil { _ = world.step(0) }
        world.other(.delete("/g", version: -1))
        world.other(
            .create(CreateRequest(path: "/g", data: [], acl: .open, mode: .persistent))
        )
        world.settle()
        #expect(world.reply(0, request) == .done)
        #expect(
            try world.call(0, .write(node, handle, offset: 0, bytes: bytes("y")))
                == .failed(.stale)
        )
        #expect(world.data("/g")?.isEmpty == true)
    }
}
