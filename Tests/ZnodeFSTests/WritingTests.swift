import Testing
import ZnodeFS
import ZooKeeperModel

@Suite struct `writing` {
    @Test func `a write that is no multiple of 4096 returns after the quorum`() throws {
        var world = MountWorld()
        try world.write(0, "/f", "old")
        let (node, handle) = try world.open(0, "/f", [.writeOnly, .truncate])
        let request = world.send(0, .write(node, handle, offset: 0, bytes: bytes("new")))
        #expect(world.reply(0, request) == nil)
        #expect(world.data("/f") == "old")
        world.settle()
        #expect(world.reply(0, request) == .written(3))
        #expect(world.data("/f") == "new")
        #expect(world.version("/f") == 1)
    }

    @Test func `a stream of blocks is one version`() throws {
        var world = MountWorld()
        try world.write(0, "/f", "old")
        let (node, handle) = try world.open(0, "/f", [.writeOnly, .truncate])
        let block = [UInt8](repeating: 7, count: 131_072)
        for index in 0..<2 {
            #expect(
                try world.call(
                    0,
                    .write(node, handle, offset: Int64(index * block.count), bytes: block)
                )
                    == .written(block.count)
            )
        }
        #expect(world.data("/f") == "old")
        // The writer sees its own bytes.
        #expect(try world.walk(0, "/f").attributes.size == 262_144)
        let last = [UInt8](repeating: 8, count: 100)
        #expect(
            try world.call(0, .write(node, handle, offset: 262_144, bytes: last)) == .written(100)
        )
        #expect(world.version("/f") == 1)
        #expect(world.service.nodes["/f"]?.data?.count == 262_244)
    }

    @Test(arguments: ["flush", "fsync", "quiet", "release"])
    func `held blocks are published by`(_ how: String) throws {
        var world = MountWorld()
        let (node, handle) = try world.open(0, "/f", [.writeOnly, .create])
        let block = [UInt8](repeating: 7, count: 4_096)
        _ = try world.call(0, .write(node, handle, offset: 0, bytes: block))
        #expect(world.service.nodes["/f"] == nil)
        switch how {
        case "flush": #expect(try world.call(0, .flush(node, handle, lockOwner: 0)) == .done)
        case "fsync": #expect(try world.call(0, .sync(node, handle, dataOnly: true)) == .done)
        case "quiet": world.pass(.seconds(1))
        default: #expect(try world.call(0, .release(node, handle)) == .done)
        }
        #expect(world.service.nodes["/f"]?.data == block)
        #expect(world.version("/f") == 0)
    }

    @Test func `truncation is part of the first write`() throws {
        var world = MountWorld()
        try world.write(0, "/f", "old")
        let (node, handle) = try world.open(0, "/f", [.writeOnly, .truncate])
        world.pass(.seconds(5))
        #expect(world.data("/f") == "old")
        #expect(try world.call(0, .flush(node, handle, lockOwner: 0)) == .done)
        #expect(world.data("/f") == "old")
        _ = try world.call(0, .release(node, handle))
        #expect(world.data("/f") == "")
        #expect(world.version("/f") == 1)
    }

    @Test func `a write at an offset changes exactly those bytes of the newest version`() throws {
        var world = MountWorld()
        try world.write(0, "/f", "aaaaaa")
        let (node, handle) = try world.open(0, "/f", [.readWrite])
        world.other(.setData("/f", data: bytes("bbbbbb"), version: -1))
        _ = try world.call(0, .write(node, handle, offset: 2, bytes: bytes("XX")))
        #expect(world.data("/f") == "bbXXbb")
        _ = try world.call(0, .write(node, handle, offset: 8, bytes: bytes("Y")))
        #expect(world.data("/f") == "bbXXbb\0\0Y")
    }

    @Test func `a whole overwrite wins over what came between`() throws {
        var world = MountWorld()
        try world.write(0, "/f", "one")
        let (node, handle) = try world.open(0, "/f", [.writeOnly, .truncate])
        world.other(.setData("/f", data: bytes("longer text"), version: -1))
        _ = try world.call(0, .write(node, handle, offset: 0, bytes: bytes("two")))
        #expect(world.data("/f") == "two")
    }

    @Test func `truncate by name and by handle`() throws {
        var world = MountWorld()
        try world.write(0, "/f", "123456")
        let (node, handle) = try world.open(0, "/f", [.readWrite])
        try world.check(try world.call(0, .setAttributes(node, .init(size: 3), handle: nil)))
        #expect(world.data("/f") == "123")
        guard
            case .attributes(let attributes, _) = try world.call(
                0,
                .setAttributes(node, .init(size: 5), handle: handle)
            )
        else {
            Issue.record("no attributes")
            return
        }
        #expect(attributes.size == 5)
        #expect(try world.call(0, .sync(node, handle, dataOnly: false)) == .done)
        #expect(world.data("/f") == "123\0\0")
    }

    @Test func `too large is refused before anything is sent`() throws {
        var world = MountWorld()
        try world.write(0, "/f", "small")
        let (node, handle) = try world.open(0, "/f", [.writeOnly])
        let big = [UInt8](repeating: 1, count: 1_048_576)
        #expect(
            try world.call(0, .write(node, handle, offset: 0, bytes: big)) == .failed(.fileTooBig)
        )
        #expect(
            try world.call(0, .write(node, handle, offset: .max, bytes: [1]))
                == .failed(.fileTooBig)
        )
        #expect(
            try world.call(0, .setAttributes(node, .init(size: 1 << 40), handle: nil))
                == .failed(.fileTooBig)
        )
        #expect(world.data("/f") == "small")
        #expect(world.version("/f") == 0)
    }

    @Test func `a created file is there at once for its mount and later for others`() throws {
        var world = MountWorld(mounts: 2)
        try world.mkdir(0, "/d")
        let (node, handle) = try world.open(0, "/d/f", [.writeOnly, .create])
        #expect(world.service.nodes["/d/f"] == nil)
        #expect(try world.walk(0, "/d/f").node == node)
        #expect(try world.walk(0, "/d/f").attributes.size == 0)
        #expect(try world.list(0, "/d") == ["f"])
        #expect(throws: Failure(errno: .noEntry)) { try world.walk(1, "/d/f") }
        #expect(throws: Failure(errno: .notEmpty)) { try world.rmdir(0, "/d") }
        _ = try world.call(0, .write(node, handle, offset: 0, bytes: bytes("x")))
        #expect(try world.read(1, "/d/f") == "x")
        #expect(world.version("/d/f") == 0)
        // The node lives on as the znode.
        #expect(try world.walk(0, "/d/f").node == node)
    }

    @Test func `touch creates and a lone creation comes with the last close`() throws {
        var world = MountWorld()
        let (node, handle) = try world.open(0, "/t", [.writeOnly, .create])
        try world.check(
            try world.call(
                0,
                .setAttributes(
                    node,
                    .init(accessTime: .now, modificationTime: .now),
                    handle: handle
                )
            )
        )
        #expect(world.data("/t") == "")
        try world.close(0, node, handle)
        #expect(world.version("/t") == 0)
        let (other, second) = try world.open(0, "/u", [.writeOnly, .create])
        try world.close(0, other, second)
        #expect(world.data("/u") == "")
    }

    @Test func `touch of what is there writes it again`() throws {
        var world = MountWorld()
        try world.write(0, "/f", "x")
        let node = try #require(try world.walk(0, "/f").node)
        try world.check(
            try world.call(
                0,
                .setAttributes(node, .init(accessTime: .now, modificationTime: .now), handle: nil)
            )
        )
        #expect(world.version("/f") == 1)
        let time = FileTime(seconds: 5)
        try world.check(
            try world.call(
                0,
                .setAttributes(node, .init(modificationTime: .at(time)), handle: nil)
            )
        )
        #expect(try world.walk(0, "/f").attributes.modificationTime == time)
        #expect(world.version("/f") == 1)
        try world.write(0, "/f", "y")
        #expect(try world.walk(0, "/f").attributes.modificationTime != time)
    }

    @Test func `a creation that could not work fails at open`() throws {
        var world = MountWorld()
        world.other(.create(CreateRequest(path: "/eph", data: nil, mode: .ephemeral)))
        let closed = [ACL(permissions: .read, identity: .anyone)]
        world.other(.create(CreateRequest(path: "/closed", data: nil, acl: closed)))
        #expect(throws: Failure(errno: .notSupported)) { try world.write(0, "/eph/f", "x") }
        #expect(throws: Failure(errno: .accessDenied)) { try world.write(0, "/closed/f", "x") }
    }

    @Test func `a deferred file can be unlinked and renamed`() throws {
        var world = MountWorld()
        let (node, handle) = try world.open(0, "/a", [.readWrite, .create])
        try world.unlink(0, "/a")
        _ = try world.call(0, .write(node, handle, offset: 0, bytes: bytes("x")))
        #expect(try world.readAll(0, node, handle) == "x")
        try world.close(0, node, handle)
        #expect(world.service.nodes["/a"] == nil)
        let (other, second) = try world.open(0, "/b", [.readWrite, .create])
        try world.rename(0, "/b", "/c")
        #expect(world.data("/c") == "")
        _ = try world.call(0, .write(other, second, offset: 0, bytes: bytes("y")))
        #expect(world.data("/c") == "y")
        #expect(world.service.nodes["/b"] == nil)
    }

    @Test func `two handles of a deferred file make one file`() throws {
        var world = MountWorld()
        let (node, first) = try world.open(0, "/f", [.writeOnly, .create, .append])
        let (_, second) = try world.open(0, "/f", [.writeOnly, .append])
        let one = world.send(0, .write(node, first, offset: 0, bytes: bytes("1\n")))
        let two = world.send(0, .write(node, second, offset: 0, bytes: bytes("2\n")))
        world.settle()
        #expect(world.reply(0, one) == .written(2))
        #expect(world.reply(0, two) == .written(2))
        #expect(Set((world.data("/f") ?? "").split(separator: "\n")) == ["1", "2"])
    }

    @Test func `chmod and chown are remembered or refused`() throws {
        var world = MountWorld()
        try world.write(0, "/f", "x")
        let node = try #require(try world.walk(0, "/f").node)
        try world.check(try world.call(0, .setAttributes(node, .init(mode: 0o755), handle: nil)))
        #expect(try world.walk(0, "/f").attributes.permissions == 0o755)
        #expect(
            try world.call(0, .setAttributes(node, .init(mode: 0o600), handle: nil))
                == .failed(.notSupported)
        )
        #expect(
            try world.call(0, .setAttributes(node, .init(user: 5), handle: nil))
                == .failed(.notPermitted)
        )
        try world.check(
            try world.call(
                0,
                .setAttributes(node, .init(user: 5, group: 6), handle: nil),
                root: true
            )
        )
        #expect(try world.walk(0, "/f").attributes.user == 5)
        #expect(world.version("/f") == 0)
    }

    @Test func `chmod to owner only becomes an ACL where there is an identity`() throws {
        var world = MountWorld { $0.identities = [Identity(scheme: "digest", id: "a:b")] }
        try world.write(0, "/f", "x")
        let node = try #require(try world.walk(0, "/f").node)
        try world.check(try world.call(0, .setAttributes(node, .init(mode: 0o600), handle: nil)))
        #expect(world.service.nodes["/f"]?.acl == .creator)
    }

    @Test func `a whole file written to by two mounts stays one of both`() throws {
        for seed in 1...50 {
            var world = MountWorld(mounts: 2)
            try world.write(0, "/f", "start")
            world.random = UInt64(seed)
            let texts = ["first", "second one"]
            var requests: [FileRequestID] = []
            for m in 0..<2 {
                let (node, handle) = try world.open(m, "/f", [.writeOnly, .truncate])
                requests.append(
                    world.send(m, .write(node, handle, offset: 0, bytes: bytes(texts[m])))
                )
            }
            world.settleRandomly()
            for m in 0..<2 { #expect(world.reply(m, requests[m]) == .written(texts[m].utf8.count)) }
            #expect(texts.contains(world.data("/f") ?? ""))
            #expect(world.version("/f") == 2)
        }
    }

    @Test func `a thousand lines appended by two mounts are all there`() throws {
        var world = MountWorld(mounts: 2)
        try world.write(0, "/log", "")
        world.random = 42
        var open: [(NodeID, FileHandle)] = []
        for m in 0..<2 { open.append(try world.open(m, "/log", [.writeOnly, .append])) }
        for line in 0..<500 {
            var requests: [FileRequestID] = []
            for m in 0..<2 {
                requests.append(
                    world.send(
                        m,
                        .write(
                            open[m].0,
                            open[m].1,
                            offset: 0,
                            bytes: bytes("\(m) \(line)\n")
                        )
                    )
                )
            }
            world.settleRandomly()
            for m in 0..<2 { try world.check(#require(world.reply(m, requests[m]))) }
        }
        // Lines that follow one another closely are published in groups.
        for m in 0..<2 { try world.close(m, open[m].0, open[m].1) }
        let lines = (world.data("/log") ?? "").split(separator: "\n")
        #expect(lines.count == 1_000)
        #expect(Set(lines).count == 1_000)
        for m in 0..<2 {
            let own = lines.filter { $0.hasPrefix("\(m) ") }
            #expect(own.elementsEqual((0..<500).map { "\(m) \($0)" }) { $0 == $1 })
        }
    }

    @Test func `many writers of one handle are grouped and all answered`() throws {
        var world = MountWorld()
        let (node, handle) = try world.open(0, "/log", [.writeOnly, .append, .create])
        let requests = (0..<100).map {
            world.send(0, .write(node, handle, offset: 0, bytes: bytes("\($0)\n")))
        }
        world.settle()
        for request in requests { try world.check(#require(world.reply(0, request))) }
        #expect((world.data("/log") ?? "").split(separator: "\n").count == 100)
        #expect(try #require(world.version("/log")) <= 2)
    }

    @Test func `one of many wins an exclusive creation`() throws {
        for seed in 1...50 {
            var world = MountWorld(mounts: 3)
            world.random = UInt64(seed)
            let requests = (0..<3).map {
                world.send(
                    $0,
                    .create(
                        parent: .root,
                        name: bytes("lock"),
                        mode: 0o644,
                        flags: [.writeOnly, .create, .exclusive]
                    )
                )
            }
            world.settleRandomly()
            var winners = 0
            for m in 0..<3 {
                switch world.reply(m, requests[m]) {
                case .created?: winners += 1
                case .failed(.exists)?: break
                case let other: Issue.record("answered \(String(describing: other))")
                }
            }
            #expect(winners == 1)
        }
    }
}

@Suite struct `renaming` {
    @Test func `to a free name and over a file`() throws {
        var world = MountWorld(mounts: 2)
        try world.write(0, "/a", "new")
        try world.rename(0, "/a", "/b")
        #expect(world.data("/b") == "new")
        #expect(world.service.nodes["/a"] == nil)
        try world.write(0, "/tmp", "newer")
        let czxid = world.service.nodes["/b"]?.stat.czxid
        try world.rename(0, "/tmp", "/b")
        #expect(world.data("/b") == "newer")
        #expect(world.service.nodes["/b"]?.stat.czxid == czxid)
        #expect(world.version("/b") == 1)
        #expect(world.service.nodes["/tmp"] == nil)
        #expect(try world.list(1, "/") == ["b"])
    }

    @Test func `an open file follows its name`() throws {
        var world = MountWorld()
        try world.write(0, "/b", "old")
        let (node, handle) = try world.open(0, "/a", [.readWrite, .create])
        _ = try world.call(0, .write(node, handle, offset: 0, bytes: bytes("one")))
        try world.rename(0, "/a", "/b")
        _ = try world.call(0, .write(node, handle, offset: 3, bytes: bytes(" two")))
        #expect(world.data("/b") == "one two")
        #expect(world.service.nodes["/a"] == nil)
    }

    @Test func `a directory moves with all below it`() throws {
        var world = MountWorld()
        try world.mkdir(0, "/d")
        try world.mkdir(0, "/d/e")
        try world.write(0, "/d/e/f", "deep")
        let (node, handle) = try world.open(0, "/d/e/f", [.readWrite])
        let before = world.service.zxid
        try world.rename(0, "/d", "/x")
        #expect(world.service.zxid == before.next)
        #expect(try world.read(0, "/x/e/f") == "deep")
        #expect(world.service.nodes["/d"] == nil)
        #expect(world.service.nodes["/x/e"]?.data == nil)
        _ = try world.call(0, .write(node, handle, offset: 0, bytes: bytes("D")))
        #expect(world.data("/x/e/f") == "Deep")
        #expect(throws: Failure(errno: .invalidArgument)) { try world.rename(0, "/x", "/x/e/y") }
    }

    @Test func `what does not fit one transaction is for mv to copy`() throws {
        var world = MountWorld()
        world.other(.create(CreateRequest(path: "/d", data: nil)))
        for index in 0..<600 {
            world.other(.create(CreateRequest(path: ZnodePath("/d/\(index)"), data: [])))
        }
        #expect(throws: Failure(errno: .crossDevice)) { try world.rename(0, "/d", "/e") }
        world.other(.create(CreateRequest(path: "/big", data: nil)))
        for index in 0..<3 {
            world.other(
                .create(
                    CreateRequest(
                        path: ZnodePath("/big/\(index)"),
                        data: [UInt8](repeating: 1, count: 400_000)
                    )
                )
            )
        }
        #expect(throws: Failure(errno: .crossDevice)) { try world.rename(0, "/big", "/e") }
    }

    @Test func `the rules of rename(2)`() throws {
        var world = MountWorld()
        try world.mkdir(0, "/d")
        try world.mkdir(0, "/full")
        try world.write(0, "/full/f", "x")
        try world.write(0, "/f", "file")
        try world.write(0, "/g", "other")
        #expect(throws: Failure(errno: .isDirectory)) { try world.rename(0, "/f", "/d") }
        #expect(throws: Failure(errno: .notDirectory)) { try world.rename(0, "/d", "/f") }
        #expect(throws: Failure(errno: .notEmpty)) { try world.rename(0, "/d", "/full") }
        #expect(throws: Failure(errno: .noEntry)) { try world.rename(0, "/no", "/f") }
        #expect(throws: Failure(errno: .exists)) { try world.rename(0, "/f", "/g", flags: 1) }
        try world.rename(0, "/f", "/g", flags: 2)
        #expect(world.data("/f") == "other" && world.data("/g") == "file")
        try world.rename(0, "/full", "/d")
        #expect(world.data("/d/f") == "x")
    }

    @Test func `into and out of a directory of ephemerals`() throws {
        var world = MountWorld(mounts: 2)
        try world.mkdir(0, "/e", mode: 0o1777)
        try world.write(0, "/f", "x")
        try world.rename(0, "/f", "/e/f")
        #expect(world.service.nodes["/e/f"]?.stat.ephemeralOwner == world.mounts[0].session)
        #expect(throws: Failure(errno: .notPermitted)) { try world.rename(1, "/e/f", "/g") }
        try world.rename(0, "/e/f", "/g")
        #expect(world.service.nodes["/g"]?.stat.ephemeralOwner == SessionID.none)
    }

    @Test func `a reader of a name that is replaced sees the old or the new`() throws {
        for seed in 1...60 {
            var world = MountWorld(mounts: 2)
            try world.write(0, "/config", "old")
            try world.write(0, "/tmp", "new")
            world.random = UInt64(seed)
            let node = try #require(try world.walk(1, "/config").node)
            let rename = world.send(
                0,
                .rename(
                    parent: .root,
                    name: bytes("tmp"),
                    newParent: .root,
                    newName: bytes("config"),
                    flags: 0
                )
            )
            let lookup = world.send(1, .lookup(parent: .root, name: bytes("config")))
            let open = world.send(1, .open(node, flags: []))
            world.settleRandomly()
            #expect(world.reply(0, rename) == .done)
            guard case .entry? = world.reply(1, lookup),
                case .opened(let handle, _)? = world.reply(1, open)
            else {
                Issue.record("the name was gone")
                continue
            }
            #expect(["old", "new"].contains(try world.readAll(1, node, handle)))
        }
    }
}
