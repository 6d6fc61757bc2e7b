import Testing
import ZnodeFS
import ZooKeeperModel

typealias Failure = MountWorld.Failure

func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

@Suite struct `files and directories` {
    @Test func `a file written by echo is read by cat`() throws {
        var world = MountWorld()
        try world.write(0, "/f", "hello\n")
        #expect(world.data("/f") == "hello\n")
        #expect(world.version("/f") == 0)
        #expect(try world.read(0, "/f") == "hello\n")
        try world.write(0, "/f", "again\n")
        #expect(world.version("/f") == 1)
        #expect(try world.read(0, "/f") == "again\n")
    }

    @Test(
        arguments: [
            ("null", nil, FileKind.directory), ("empty", "", .regular), ("text", "x", .regular),
            ("dir", "#!zkfs dir", .directory), ("tmp", "#!zkfs ephemeral\n", .directory),
            ("link", "#!zkfs symlink text\n", .symbolicLink), ("odd", "#!zkfs what", .regular),
        ] as [(String, String?, FileKind)]
    )
    func `the kind follows the data`(_ name: String, _ data: String?, _ kind: FileKind) throws {
        var world = MountWorld()
        let path = ZnodePath("/" + name)
        world.other(.create(CreateRequest(path: path, data: data.map(bytes))))
        #expect(try world.walk(0, "/" + name).attributes.kind == kind)
        // A first child makes a directory of anything, and so it stays.
        world.other(.create(CreateRequest(path: path.appending("kid"), data: nil)))
        #expect(try world.walk(0, "/" + name).attributes.kind == .directory)
        world.other(.delete(path.appending("kid"), version: -1))
        #expect(try world.walk(0, "/" + name).attributes.kind == .directory)
    }

    @Test func `empty=dir shows empty data as a directory`() throws {
        var world = MountWorld { $0.emptyIsDirectory = true }
        world.other(.create(CreateRequest(path: "/e", data: [])))
        #expect(try world.walk(0, "/e").attributes.kind == .directory)
    }

    @Test func `a changed kind is a new node and the open handle goes on`() throws {
        var world = MountWorld()
        try world.write(0, "/f", "data")
        let before = try world.walk(0, "/f")
        let (node, handle) = try world.open(0, "/f")
        world.other(.create(CreateRequest(path: "/f/kid", data: nil)))
        let after = try world.walk(0, "/f")
        #expect(before.node != after.node)
        #expect(before.attributes.inode == after.attributes.inode)
        #expect(try world.readAll(0, node, handle) == "data")
    }

    @Test func `data that may not be read is a file when it has length`() throws {
        var world = MountWorld()
        let closed = [ACL(permissions: .all, identity: Identity(scheme: "digest", id: "a:b"))]
        world.other(.create(CreateRequest(path: "/s", data: bytes("x"), acl: closed)))
        world.other(.create(CreateRequest(path: "/t", data: [], acl: closed)))
        let entry = try world.walk(0, "/s")
        #expect(entry.attributes.kind == .regular)
        #expect(entry.attributes.permissions == 0)
        #expect(try world.walk(0, "/t").attributes.kind == .directory)
        #expect(throws: Failure(errno: .accessDenied)) { try world.read(0, "/s") }
    }

    @Test func `stat shows the Stat`() throws {
        var world = MountWorld {
            $0.user = 7; $0.group = 8
        }
        world.service.time = Timestamp(rawValue: 1_234_567)
        world.other(.create(CreateRequest(path: "/f", data: bytes("12345"))))
        let attributes = try world.walk(0, "/f").attributes
        #expect(attributes.size == 5)
        #expect(attributes.permissions == 0o644)
        #expect(attributes.user == 7 && attributes.group == 8)
        #expect(attributes.modificationTime == FileTime(seconds: 1_234, nanoseconds: 567_000_000))
    }

    @Test func `two mounts show one inode number`() throws {
        var world = MountWorld(mounts: 2)
        try world.write(0, "/f", "x")
        #expect(
            try world.walk(0, "/f").attributes.inode == world.walk(1, "/f").attributes.inode
        )
    }

    @Test func `who made it owns it in this mount`() throws {
        var world = MountWorld(mounts: 2)
        try world.mkdir(0, "/d")
        #expect(try world.walk(0, "/d").attributes.user == 1000)
        #expect(try world.walk(1, "/d").attributes.user == 0)
    }

    @Test func `a chroot shows its part of the tree alone`() throws {
        var world = MountWorld { $0.root = "/app" }
        world.other(.create(CreateRequest(path: "/app", data: nil)))
        try world.mkdir(0, "/d")
        #expect(world.service.nodes["/app/d"] != nil)
        #expect(try world.list(0, "/") == ["d"])
    }

    @Test func `forgetting everything leaves only the root`() throws {
        var world = MountWorld()
        try world.write(0, "/f", "x")
        try world.mkdir(0, "/d")
        _ = try world.list(0, "/")
        let node = try #require(try world.walk(0, "/f").node)
        world.forgetAll(0)
        #expect(try world.call(0, .getAttributes(node, handle: nil)) == .failed(.stale))
        #expect(try world.read(0, "/@zkfs/status").contains("nodes=3\n"))
        #expect(try world.list(0, "/") == ["d", "f"])
    }

    @Test func `a forgotten node lives as long as a handle is open on it`() throws {
        var world = MountWorld()
        try world.write(0, "/f", "x")
        let (node, handle) = try world.open(0, "/f")
        world.forgetAll(0)
        #expect(try world.readAll(0, node, handle) == "x")
        try world.close(0, node, handle)
        #expect(try world.call(0, .getAttributes(node, handle: nil)) == .failed(.stale))
    }
}

@Suite struct `names and facets` {
    @Test(arguments: [
        ("logo@v2", "logo%40v2"), ("a@b", "a@b"), ("a%40b", "a%2540b"), ("100%", "100%"),
        ("x@data", "x%40data"), ("%~x", "%25~x"), ("%25", "%2525"),
        ("u@example.com", "u@example.com"),
    ])
    func `a real name that reads as a facet is shown escaped`(
        _ real: String,
        _ shown: String
    ) throws {
        var world = MountWorld()
        world.other(.create(CreateRequest(path: ZnodePath("/" + real), data: bytes("v"))))
        #expect(try world.list(0, "/") == [shown])
        #expect(try world.read(0, "/" + shown) == "v")
        try world.unlink(0, "/" + shown)
        #expect(world.service.nodes[ZnodePath("/" + real)] == nil)
    }

    @Test func `without facets names are plain`() throws {
        var world = MountWorld { $0.facets = false }
        try world.write(0, "/x@stat", "v")
        #expect(world.data("/x@stat") == "v")
        #expect(try world.list(0, "/") == ["x@stat"])
    }

    @Test func `a long name is shortened and usable`() throws {
        var world = MountWorld()
        let long = String(repeating: "é", count: 200)
        world.other(.create(CreateRequest(path: ZnodePath("/" + long), data: bytes("v"))))
        let shown = try #require(try world.list(0, "/").first)
        #expect(shown.utf8.count == 200 + 2 + 16)
        #expect(try world.read(0, "/" + shown) == "v")
        try world.write(0, "/" + shown, "w")
        #expect(world.data("/" + long) == "w")
        try world.unlink(0, "/" + shown)
        #expect(try world.list(0, "/") == [])
    }

    @Test(arguments: [
        (String(repeating: "a", count: 256), Errno.nameTooLong), ("a\u{1}", .invalidArgument),
        ("a%40b", .invalidArgument), ("x@acl", .notSupported),
    ])
    func `a name that cannot be is refused`(_ name: String, _ errno: Errno) throws {
        var world = MountWorld()
        #expect(
            try world.call(0, .makeDirectory(parent: .root, name: bytes(name), mode: 0o755))
                == .failed(errno)
        )
    }

    @Test func `the facets of a file`() throws {
        var world = MountWorld()
        try world.write(0, "/f", "data")
        #expect(try world.read(0, "/f@data") == "data")
        let stat = try world.read(0, "/f@stat")
        #expect(stat.contains("dataLength=4\n") && stat.hasPrefix("czxid=0x"))
        #expect(try world.walk(0, "/f@dir").attributes.kind == .directory)
        try world.mkdir(0, "/f@dir/kid")
        #expect(world.service.nodes["/f/kid"] != nil)
        #expect(try world.walk(0, "/f").attributes.kind == .directory)
        #expect(try world.read(0, "/f@data") == "data")
        #expect(throws: Failure(errno: .noEntry)) { try world.read(0, "/f@acl") }
        #expect(world.mounts[0].log.contains { $0.contains("f@acl") })
    }

    @Test func `a directory with data lists it last and both names are one file`() throws {
        var world = MountWorld()
        try world.write(0, "/d", "own")
        try world.mkdir(0, "/d@dir/kid")
        #expect(try world.list(0, "/d") == ["kid", "@data"])
        #expect(try world.walk(0, "/d@data").node == world.walk(0, "/d/@data").node)
        try world.write(0, "/d/@data", "new")
        #expect(world.data("/d") == "new")
        try world.unlink(0, "/d/@data")
        #expect(world.service.nodes["/d"]?.data == nil)
        #expect(try world.list(0, "/d") == ["kid"])
        #expect(throws: Failure(errno: .noEntry)) { try world.walk(0, "/d/@data") }
        let (node, handle) = try world.open(0, "/d/@data", [.writeOnly, .create, .exclusive])
        try world.close(0, node, handle)
        #expect(world.data("/d") == "")
    }

    @Test func `dir of a directory is a link to it`() throws {
        var world = MountWorld()
        try world.mkdir(0, "/d")
        let outside = try world.walk(0, "/d@dir")
        let inside = try world.walk(0, "/d/@dir")
        #expect(try world.call(0, .readLink(#require(outside.node))) == .link(bytes("d")))
        #expect(try world.call(0, .readLink(#require(inside.node))) == .link(bytes(".")))
    }

    @Test func `status and log`() throws {
        var world = MountWorld()
        #expect(try world.list(0, "/@zkfs") == ["log", "status"])
        #expect(try world.read(0, "/@zkfs/status").contains("session=connected\n"))
        #expect(throws: Failure(errno: .noEntry)) { try world.walk(0, "/nothing@tree") }
        #expect(try world.read(0, "/@zkfs/log").contains("nothing@tree"))
        #expect(!(try world.list(0, "/")).contains("@zkfs"))
    }
}

@Suite struct `directories` {
    @Test(arguments: [true, false]) func `a listing is stable while others create and delete`(
        _ plus: Bool
    ) throws {
        var world = MountWorld()
        for index in 0..<50 {
            world.other(.create(CreateRequest(path: ZnodePath("/n\(index)"), data: [])))
        }
        let node = NodeID.root
        guard case .opened(let handle, _) = try world.call(0, .openDirectory(node)) else {
            Issue.record("no listing")
            return
        }
        var seen: [String] = []
        var offset: UInt64 = 0
        var page = 0
        while true {
            guard
                case .directory(let entries, _) = try world.call(
                    0,
                    .readDirectory(
                        node,
                        handle,
                        offset: offset,
                        size: 800,
                        withAttributes: plus
                    )
                ),
                let last = entries.last
            else { break }
            seen += entries.map { String(decoding: $0.name, as: UTF8.self) }
            offset = last.nextOffset
            world.other(.create(CreateRequest(path: ZnodePath("/m\(page)"), data: [])))
            if page == 0 { world.other(.delete("/n9", version: -1)) }
            page += 1
        }
        #expect(Set(seen).count == seen.count)
        #expect(seen.count == 51)
        #expect(!seen.contains { $0.hasPrefix("m") })
    }

    @Test func `a page of deleted entries is not the end`() throws {
        var world = MountWorld()
        for index in 10..<40 {
            world.other(.create(CreateRequest(path: ZnodePath("/n\(index)"), data: [])))
        }
        guard case .opened(let handle, _) = try world.call(0, .openDirectory(.root)) else {
            Issue.record("no listing")
            return
        }
        for index in 10..<39 { world.other(.delete(ZnodePath("/n\(index)"), version: -1)) }
        guard
            case .directory(let entries, _) = try world.call(
                0,
                .readDirectory(.root, handle, offset: 2, size: 200, withAttributes: true)
            )
        else {
            Issue.record("no page")
            return
        }
        #expect(entries.map(\.name) == [bytes("n39")])
    }

    @Test func `mkdir and rmdir`() throws {
        var world = MountWorld()
        try world.mkdir(0, "/d")
        #expect(world.service.nodes["/d"]?.data == nil)
        #expect(throws: Failure(errno: .exists)) { try world.mkdir(0, "/d") }
        #expect(throws: Failure(errno: .noEntry)) { try world.mkdir(0, "/no/d") }
        try world.mkdir(0, "/d/e")
        #expect(throws: Failure(errno: .notEmpty)) { try world.rmdir(0, "/d") }
        #expect(throws: Failure(errno: .isDirectory)) { try world.unlink(0, "/d") }
        try world.rmdir(0, "/d/e")
        try world.rmdir(0, "/d")
        #expect(throws: Failure(errno: .noEntry)) { try world.rmdir(0, "/d") }
        try world.write(0, "/f", "x")
        #expect(throws: Failure(errno: .notDirectory)) { try world.rmdir(0, "/f") }
    }

    @Test func `a sticky directory makes ephemerals`() throws {
        var world = MountWorld(mounts: 2)
        try world.mkdir(0, "/election", mode: 0o1755)
        #expect(world.data("/election") == "#!zkfs ephemeral\n")
        #expect(try world.walk(1, "/election").attributes.permissions == 0o1777)
        try world.mkdir(0, "/election/leader")
        #expect(
            world.service.nodes["/election/leader"]?.stat.ephemeralOwner == world.mounts[0].session
        )
        #expect(throws: Failure(errno: .exists)) { try world.mkdir(1, "/election/leader") }
        #expect(throws: Failure(errno: .notSupported)) { try world.mkdir(0, "/election/leader/x") }
        try world.write(0, "/election/note", "here")
        #expect(
            world.service.nodes["/election/note"]?.stat.ephemeralOwner == world.mounts[0].session
        )
        world.expire(0)
        try world.mkdir(1, "/election/leader")
        #expect(try world.list(1, "/election") == ["leader"])
    }

    @Test func `chmod makes and unmakes a directory of ephemerals`() throws {
        var world = MountWorld()
        try world.mkdir(0, "/d")
        let node = try #require(try world.walk(0, "/d").node)
        try world.check(try world.call(0, .setAttributes(node, .init(mode: 0o1755), handle: nil)))
        #expect(world.data("/d") == "#!zkfs ephemeral\n")
        try world.check(try world.call(0, .setAttributes(node, .init(mode: 0o755), handle: nil)))
        #expect(world.data("/d") == "#!zkfs ephemeral\n")
        try world.check(try world.call(0, .setAttributes(node, .init(mode: 0o777), handle: nil)))
        #expect(world.service.nodes["/d"]?.data == nil)
        try world.mkdir(0, "/d/kid")
        try world.write(0, "/d/@data", "mine")
        #expect(
            try world.call(0, .setAttributes(node, .init(mode: 0o1777), handle: nil))
                == .failed(.busy)
        )
    }

    @Test func `symbolic links stay inside`() throws {
        var world = MountWorld()
        try world.mkdir(0, "/d")
        let (parent, name) = try world.split(0, "/d/link")
        func link(_ target: String) throws -> FileReply {
            try world.call(0, .symbolicLink(parent: parent, name: name, target: bytes(target)))
        }
        #expect(try link("/etc/passwd") == .failed(.notPermitted))
        #expect(try link("../../etc") == .failed(.notPermitted))
        try world.check(try link("../f"))
        let entry = try world.walk(0, "/d/link")
        #expect(entry.attributes.kind == .symbolicLink && entry.attributes.size == 4)
        #expect(try world.call(0, .readLink(#require(entry.node))) == .link(bytes("../f")))
        world.other(.create(CreateRequest(path: "/out", data: bytes("#!zkfs symlink /etc\n"))))
        let out = try #require(try world.walk(0, "/out").node)
        #expect(try world.call(0, .readLink(out)) == .failed(.loop))
    }
}

@Suite struct `reading` {
    @Test func `all bytes of a handle are of one version`() throws {
        var world = MountWorld()
        try world.write(0, "/f", "aaaabbbb")
        let (node, handle) = try world.open(0, "/f")
        #expect(try world.call(0, .read(node, handle, offset: 0, size: 4)) == .data(bytes("aaaa")))
        world.other(.setData("/f", data: bytes("ccccdddd"), version: -1))
        #expect(try world.call(0, .read(node, handle, offset: 4, size: 4)) == .data(bytes("bbbb")))
        #expect(try world.call(0, .read(node, handle, offset: 8, size: 4)) == .data([]))
        #expect(try world.call(0, .read(node, handle, offset: 4, size: 4)) == .data(bytes("dddd")))
    }

    @Test func `a seek to the start moves to the newest version`() throws {
        var world = MountWorld()
        try world.write(0, "/f", "old")
        let (node, handle) = try world.open(0, "/f")
        #expect(try world.call(0, .read(node, handle, offset: 0, size: 9)) == .data(bytes("old")))
        world.other(.setData("/f", data: bytes("new"), version: -1))
        #expect(try world.call(0, .read(node, handle, offset: 0, size: 9)) == .data(bytes("new")))
    }

    @Test func `tail follows`() throws {
        var world = MountWorld(mounts: 2)
        try world.write(0, "/log", "1\n")
        let (node, handle) = try world.open(0, "/log")
        #expect(try world.readAll(0, node, handle) == "1\n")
        try world.write(1, "/log", "2\n", [.writeOnly, .append])
        #expect(try world.call(0, .read(node, handle, offset: 2, size: 9)) == .data(bytes("2\n")))
    }

    @Test func `fsync is a sync and linearizable reads sync first`() throws {
        var world = MountWorld { $0.linearizableReads = true }
        try world.write(0, "/f", "x")
        let (node, handle) = try world.open(0, "/f")
        let request = world.send(0, .sync(node, handle, dataOnly: false))
        #expect(world.mounts[0].outbox.map(\.1) == [.sync("/f")])
        world.settle()
        #expect(world.reply(0, request) == .done)
        let again = world.send(0, .open(node, flags: []))
        #expect(world.mounts[0].outbox.first?.1 == .sync("/f"))
        world.settle()
        #expect(world.reply(0, again) != nil)
    }

    @Test func `a file deleted by another stays readable and refuses writes`() throws {
        var world = MountWorld()
        try world.write(0, "/f", "text")
        let (node, handle) = try world.open(0, "/f", [.readWrite])
        world.other(.delete("/f", version: -1))
        #expect(try world.readAll(0, node, handle) == "text")
        #expect(
            try world.call(0, .write(node, handle, offset: 0, bytes: bytes("x"))) == .failed(.stale)
        )
        // Made again at the same version: another file.
        world.other(.create(CreateRequest(path: "/f", data: bytes("other"))))
        #expect(
            try world.call(0, .write(node, handle, offset: 0, bytes: bytes("x"))) == .failed(.stale)
        )
        #expect(world.data("/f") == "other")
        guard
            case .attributes(let attributes, _) = try world.call(
                0,
                .getAttributes(node, handle: handle)
            )
        else {
            Issue.record("no attributes")
            return
        }
        #expect(attributes.links == 0)
    }

    @Test func `a file unlinked here lives on in its handles`() throws {
        var world = MountWorld()
        try world.write(0, "/f", "text")
        let (node, handle) = try world.open(0, "/f", [.readWrite])
        try world.unlink(0, "/f")
        #expect(world.service.nodes["/f"] == nil)
        #expect(
            try world.call(0, .write(node, handle, offset: 4, bytes: bytes("more"))) == .written(4)
        )
        #expect(try world.readAll(0, node, handle) == "textmore")
        try world.close(0, node, handle)
        #expect(world.service.nodes["/f"] == nil)
        #expect(throws: Failure(errno: .noEntry)) { try world.walk(0, "/f") }
    }

    @Test func `a read-only mount refuses changes`() throws {
        var world = MountWorld { $0.readOnly = true }
        world.other(.create(CreateRequest(path: "/f", data: bytes("x"))))
        #expect(try world.read(0, "/f") == "x")
        #expect(throws: Failure(errno: .readOnlyFileSystem)) { try world.mkdir(0, "/d") }
        #expect(throws: Failure(errno: .readOnlyFileSystem)) { try world.write(0, "/f", "y") }
        #expect(try world.walk(0, "/f").attributes.permissions == 0o444)
    }

    @Test func `Stat fields are extended attributes`() throws {
        var world = MountWorld()
        try world.write(0, "/f", "abc")
        let node = try #require(try world.walk(0, "/f").node)
        #expect(
            try world.call(0, .getExtendedAttribute(node, name: bytes("user.zk.dataLength")))
                == .extendedAttribute(bytes("3"))
        )
        #expect(
            try world.call(0, .getExtendedAttribute(node, name: bytes("security.capability")))
                == .failed(.notSupported)
        )
        #expect(
            try world.call(
                0,
                .setExtendedAttribute(node, name: bytes("user.x"), value: [], flags: 0)
            )
                == .failed(.notSupported)
        )
    }

    @Test(arguments: [
        FileOperation.flock(.root, FileHandle(rawValue: 1), operation: 2),
        .getLock(.root, FileHandle(rawValue: 1)),
        .setLock(.root, FileHandle(rawValue: 1), waits: true),
    ])
    func `locks do not say yes`(_ operation: FileOperation) throws {
        var world = MountWorld()
        #expect(try world.call(0, operation) == .failed(.noLocks))
        #expect(
            try world.call(0, .link(.root, newParent: .root, newName: bytes("x")))
                == .failed(.notPermitted)
        )
    }
}
