import Testing
import ZnodeFS
import ZooKeeperModel

@Suite struct `when the ensemble is away` {
    @Test func `operations wait and go on`() throws {
        var world = MountWorld()
        try world.write(0, "/f", "x")
        world.disconnect(0)
        let request = world.send(0, .lookup(parent: .root, name: bytes("f")))
        world.settle()
        #expect(world.reply(0, request) == nil)
        world.connect(0)
        world.settle()
        guard case .entry? = world.reply(0, request) else {
            Issue.record("no entry")
            return
        }
    }

    @Test func `nothing waits longer than hold`() throws {
        var world = MountWorld { $0.hold = .seconds(5) }
        try world.write(0, "/f", "x")
        let (node, handle) = try world.open(0, "/f", [.writeOnly])
        world.disconnect(0)
        let lookup = world.send(0, .lookup(parent: .root, name: bytes("f")))
        let write = world.send(0, .write(node, handle, offset: 0, bytes: bytes("y")))
        world.pass(.seconds(4))
        #expect(world.reply(0, lookup) == nil)
        world.pass(.seconds(2))
        #expect(world.reply(0, lookup) == .failed(.timedOut))
        #expect(world.reply(0, write) == .failed(.timedOut))
        world.connect(0)
        world.settle()
        #expect(world.data("/f") == "x")
    }

    @Test func `a close is not held for long and its data is still sent`() throws {
        var world = MountWorld()
        let (node, handle) = try world.open(0, "/f", [.writeOnly, .create])
        let block = [UInt8](repeating: 7, count: 4_096)
        _ = try world.call(0, .write(node, handle, offset: 0, bytes: block))
        world.disconnect(0)
        let flush = world.send(0, .flush(node, handle, lockOwner: 0))
        world.pass(.seconds(4))
        #expect(world.reply(0, flush) == .failed(.timedOut))
        #expect(try world.call(0, .release(node, handle)) == .done)
        world.connect(0)
        world.settle()
        #expect(world.service.nodes["/f"]?.data == block)
    }

    /// Each write, with its connection lost before the request arrives and after: what is answered
    /// is what happened.
    @Test(
        arguments: ["write", "overwrite", "append", "mkdir", "exclusive", "unlink", "rename"],
        [0, 1]
    )
    func `a lost answer is settled or said to be unknown`(_ what: String, _ taken: Int) throws {
        // Lost after each move of an operation or an answer.
        for step in 0..<30 {
            var world = MountWorld()
            try world.write(0, "/f", "old")
            try world.write(0, "/g", "other")
            let before = world.service.nodes.count
            let (node, handle) = try world.open(
                0,
                "/f",
                what == "append"
                    ? [.writeOnly, .append]
                    : what == "overwrite" ? [.writeOnly, .truncate] : [.writeOnly]
            )
            let operation: FileOperation =
                switch what {
                case "mkdir": .makeDirectory(parent: .root, name: bytes("d"), mode: 0o755)
                case "exclusive":
                    .create(
                        parent: .root,
                        name: bytes("d"),
                        mode: 0o644,
                        flags: [.writeOnly, .create, .exclusive]
                    )
                case "unlink": .unlink(parent: .root, name: bytes("g"))
                case "rename":
                    .rename(
                        parent: .root,
                        name: bytes("g"),
                        newParent: .root,
                        newName: bytes("f"),
                        flags: 0
                    )
                default: .write(node, handle, offset: 0, bytes: bytes("new"))
                }
            let request = world.send(0, operation)
            for _ in 0..<step { _ = world.step(0) }
            let isOver = world.reply(0, request) != nil
            world.disconnect(0, taken: taken, tellsFirst: step % 2 == 0)
            world.connect(0)
            world.settle()
            let reply = try #require(world.reply(0, request))
            let isDone: Bool =
                switch what {
                case "write", "overwrite": world.data("/f") == "new"
                case "append": world.data("/f") == "oldnew"
                case "mkdir", "exclusive": world.service.nodes.count == before + 1
                case "unlink": world.service.nodes["/g"] == nil
                default: world.data("/f") == "other" && world.service.nodes["/g"] == nil
                }
            #expect(world.data("/f") != "oldnewnew")
            switch reply {
            case .failed(.inputOutput):
                #expect(world.mounts[0].log.contains { $0.contains("outcome unknown") })
                #expect(!["write", "overwrite"].contains(what), "content can be compared")
            case .failed(let errno): Issue.record("\(what) failed with \(errno)")
            default: #expect(isDone, "\(what) said done")
            }
            if ["write", "overwrite"].contains(what) { #expect(world.version("/f") == 1) }
            if isOver { break }
        }
    }

    @Test(arguments: [0, 1], [false, true])
    func `a new file whose creation lost its answer is written over`(
        taken: Int,
        isInterrupted: Bool
    ) throws {
        var world = MountWorld()
        let (node, handle) = try world.open(0, "/new", [.writeOnly, .create])
        let write = world.send(0, .write(node, handle, offset: 0, bytes: bytes("value")))
        while !world.mounts[0].outbox.contains(where: { $0.1.isWrite }) { _ = world.step(0) }
        world.disconnect(0, taken: taken)
        world.connect(0)
        if isInterrupted { world.input(0, .interrupted(write)) }
        world.settle()
        if isInterrupted, taken == 1 {
            // It is there, so nobody may be told that nothing was done.
            #expect(world.reply(0, write) == .failed(.inputOutput))
        } else if isInterrupted {
            #expect(world.reply(0, write) == .failed(.interrupted))
        } else {
            #expect(world.reply(0, write) == .written(5))
        }
        if taken == 1 || !isInterrupted { #expect(world.data("/new") == "value") }
    }

    @Test func `an ephemeral made just before the loss is known by its owner`() throws {
        var world = MountWorld()
        try world.mkdir(0, "/e", mode: 0o1777)
        let node = try #require(try world.walk(0, "/e").node)
        let request = world.send(0, .makeDirectory(parent: node, name: bytes("l"), mode: 0o755))
        // Until the create is on its way.
        for _ in 0..<100 {
            if case .create? = world.mounts[0].outbox.first?.1 { break }
            _ = world.step(0)
        }
        world.disconnect(0, taken: 1)
        world.connect(0)
        world.settle()
        guard case .entry? = world.reply(0, request) else {
            Issue.record("not recognised")
            return
        }
    }

    @Test func `handles on ephemerals are stale after the session`() throws {
        var world = MountWorld()
        try world.mkdir(0, "/e", mode: 0o1777)
        try world.write(0, "/e/mine", "x")
        try world.write(0, "/kept", "y")
        let (node, handle) = try world.open(0, "/e/mine", [.readWrite])
        let (other, second) = try world.open(0, "/kept", [.readWrite])
        world.expire(0)
        #expect(try world.call(0, .read(node, handle, offset: 0, size: 9)) == .failed(.stale))
        #expect(
            try world.call(0, .write(node, handle, offset: 0, bytes: bytes("z"))) == .failed(.stale)
        )
        #expect(try world.readAll(0, other, second) == "y")
        _ = try world.call(0, .write(other, second, offset: 0, bytes: bytes("z")))
        #expect(world.data("/kept") == "z")
    }

    @Test(arguments: [true, false]) func `unsent data goes only over the version it began from`(
        _ isChanged: Bool
    ) throws {
        var world = MountWorld()
        try world.write(0, "/f", "old")
        let (node, handle) = try world.open(0, "/f", [.writeOnly, .append])
        let block = [UInt8](repeating: 65, count: 4_096)
        _ = try world.call(0, .write(node, handle, offset: 0, bytes: block))
        if isChanged { world.other(.setData("/f", data: bytes("theirs"), version: -1)) }
        world.expire(0)
        let reply = try world.call(0, .sync(node, handle, dataOnly: false))
        if isChanged {
            #expect(reply == .failed(.stale))
            #expect(world.data("/f") == "theirs")
        } else {
            #expect(reply == .done)
            #expect(world.service.nodes["/f"]?.data == bytes("old") + block)
        }
    }

    @Test func `an interrupted request ends at once`() throws {
        var world = MountWorld()
        try world.write(0, "/f", "x")
        let lookup = world.send(0, .lookup(parent: .root, name: bytes("f")))
        world.input(0, .interrupted(lookup))
        #expect(world.reply(0, lookup) == .failed(.interrupted))
        world.settle()
        // Away: a write that is not sent is given up, and never happens.
        let (node, handle) = try world.open(0, "/f", [.writeOnly])
        world.disconnect(0)
        let write = world.send(0, .write(node, handle, offset: 0, bytes: bytes("y")))
        world.input(0, .interrupted(write))
        #expect(world.reply(0, write) == .failed(.interrupted))
        world.connect(0)
        world.settle()
        #expect(world.data("/f") == "x")
    }

    @Test func `an interrupted write on its way tells the truth`() throws {
        var world = MountWorld()
        try world.write(0, "/f", "x")
        let (node, handle) = try world.open(0, "/f", [.writeOnly])
        let sent = world.send(0, .write(node, handle, offset: 0, bytes: bytes("y")))
        world.input(0, .interrupted(sent))
        #expect(world.reply(0, sent) == nil)
        world.settle()
        #expect(world.reply(0, sent) == .written(1))
        #expect(world.data("/f") == "y")
        // Overtaken: certain not to have happened.
        let late = world.send(0, .write(node, handle, offset: 0, bytes: bytes("z")))
        world.other(.setData("/f", data: bytes("theirs"), version: -1))
        world.input(0, .interrupted(late))
        world.settle()
        #expect(world.reply(0, late) == .failed(.interrupted))
        #expect(world.data("/f") == "theirs")
        // Lost on the way: unknown.
        let lost = world.send(0, .write(node, handle, offset: 0, bytes: bytes("w")))
        while !world.mounts[0].outbox.contains(where: { $0.1.isWrite }) { _ = world.step(0) }
        world.input(0, .interrupted(lost))
        world.disconnect(0)
        #expect(world.reply(0, lost) == .failed(.inputOutput))
        world.connect(0)
        world.settle()
    }

    @Test func `unmounting ends every wait`() throws {
        var world = MountWorld()
        try world.write(0, "/f", "x")
        let (node, handle) = try world.open(0, "/f@watch")
        let read = world.send(0, .read(node, handle, offset: 0, size: 100))
        world.settle()
        let lookup = world.send(0, .lookup(parent: .root, name: bytes("f")))
        let write = world.send(0, .makeDirectory(parent: .root, name: bytes("d"), mode: 0o755))
        world.input(0, .unmounting)
        #expect(world.reply(0, write) == .failed(.connectionAborted))
        #expect(world.reply(0, lookup) == .failed(.connectionAborted))
        #expect(world.reply(0, read) == .failed(.connectionAborted))
    }

    @Test func `no wake is asked for in the past`() throws {
        var world = MountWorld()
        let request = world.send(0, .lookup(parent: .root, name: bytes("f")))
        // The answer is lost before the tree hears of the disconnection.
        world.disconnect(0, tellsFirst: false)
        world.pass(.seconds(1))
        let next = try #require(world.mounts[0].tree.nextDeadline)
        #expect(next > world.now.instant)
        world.connect(0)
        world.settle()
        #expect(world.reply(0, request) == .failed(.noEntry))
    }

    @Test func `a refused credential fails every request`() throws {
        var world = MountWorld()
        world.input(0, .session(.authenticationFailed))
        #expect(
            try world.call(0, .lookup(parent: .root, name: bytes("f"))) == .failed(.accessDenied)
        )
    }

    /// Many requests, lost connections and expired sessions in an order drawn from a seed: every
    /// request is answered once, and an acknowledged append is there exactly once.
    @Test(arguments: 1...40) func `appends survive whatever happens to the connection`(
        _ seed: Int
    ) throws {
        var world = MountWorld(mounts: 2)
        try world.write(0, "/log", "")
        world.random = UInt64(seed)
        var acknowledged: [String] = []
        var sent: [(Int, FileRequestID, String)] = []
        var open: [(NodeID, FileHandle)] = []
        for m in 0..<2 { open.append(try world.open(m, "/log", [.writeOnly, .append])) }
        for line in 0..<30 {
            for m in 0..<2 {
                let text = "\(m)-\(line)\n"
                sent.append(
                    (
                        m,
                        world.send(
                            m,
                            .write(open[m].0, open[m].1, offset: 0, bytes: bytes(text))
                        ), text
                    )
                )
                for _ in 0..<world.draw(6) { _ = world.step(world.draw(2)) }
                if world.draw(4) == 0 {
                    world.disconnect(m, taken: world.draw(3), tellsFirst: world.draw(2) == 0)
                    if world.draw(5) == 0 { world.expire(m) } else { world.connect(m) }
                }
            }
        }
        world.settle()
        var unknown: Set<String> = []
        for (m, request, text) in sent {
            switch try #require(world.reply(m, request)) {
            case .written: acknowledged.append(text)
            case .failed(.inputOutput): unknown.insert(text)
            case .failed: break
            case let other: Issue.record("a write answered \(other)")
            }
        }
        let lines = (world.data("/log") ?? "").split(separator: "\n").map { String($0) + "\n" }
        #expect(Set(lines).count == lines.count)
        for text in acknowledged { #expect(lines.contains { $0 == text }) }
        let known = Set(acknowledged).union(unknown)
        for line in lines { #expect(known.contains(line), "refused, and there") }
    }
}

@Suite struct `watching` {
    func lines(_ reply: FileReply?) -> [String] {
        guard case .data(let bytes)? = reply else { return [] }
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map {
            let words = $0.split(separator: " ")
            return "\(words[0]) \(words[2])"
        }
    }

    @Test func `a watch is armed at open and reports each kind of change`() throws {
        var world = MountWorld()
        let (node, handle) = try world.open(0, "/x@watch")
        world.other(.create(CreateRequest(path: "/x", data: bytes("1"))))
        world.settle()
        world.other(.setData("/x", data: bytes("2"), version: -1))
        world.settle()
        world.other(.create(CreateRequest(path: "/x/kid", data: nil)))
        world.settle()
        world.other(.delete("/x/kid", version: -1))
        world.settle()
        world.other(.delete("/x", version: -1))
        world.settle()
        world.other(.create(CreateRequest(path: "/x", data: nil)))
        world.settle()
        let reply = try world.call(0, .read(node, handle, offset: 0, size: 4096))
        #expect(
            lines(reply) == [
                "created /x", "changed /x", "child /x", "child /x", "deleted /x", "created /x",
            ]
        )
    }

    @Test func `the zxid is that of the change`() throws {
        var world = MountWorld()
        try world.write(0, "/x", "1")
        let (node, handle) = try world.open(0, "/x@watch")
        world.other(.setData("/x", data: bytes("2"), version: -1))
        let zxid = world.service.zxid
        #expect(
            try world.call(0, .read(node, handle, offset: 0, size: 100))
                == .data(bytes("changed \(zxid) /x\n"))
        )
    }

    @Test func `a read blocks until an event and ends on a signal`() throws {
        var world = MountWorld()
        let (node, handle) = try world.open(0, "/x@watch")
        let first = world.send(0, .read(node, handle, offset: 0, size: 100))
        world.settle()
        #expect(world.reply(0, first) == nil)
        world.input(0, .interrupted(first))
        #expect(world.reply(0, first) == .failed(.interrupted))
        let second = world.send(0, .read(node, handle, offset: 0, size: 100))
        try world.write(0, "/x", "mine")
        world.settle()
        #expect(lines(world.reply(0, second)) == ["created /x"])
    }

    @Test func `without blocking it says again, and poll wakes`() throws {
        var world = MountWorld()
        let (node, handle) = try world.open(0, "/x@watch", [.nonBlocking])
        #expect(
            try world.call(0, .read(node, handle, offset: 0, size: 100)) == .failed(.wouldBlock)
        )
        let wake = PollHandle(rawValue: 5)
        #expect(
            try world.call(0, .poll(node, handle, events: 1, wake: wake)) == .poll(events: 0)
        )
        try world.write(0, "/x", "1")
        #expect(world.mounts[0].notifications.contains(.wakePoll(wake)))
        #expect(try world.call(0, .poll(node, handle, events: 1, wake: nil)) == .poll(events: 1))
        #expect(
            lines(try world.call(0, .read(node, handle, offset: 0, size: 100))) == ["created /x"]
        )
    }

    @Test func `a slow reader gets an overflow line`() throws {
        var world = MountWorld()
        try world.write(0, "/x", "1")
        let (node, handle) = try world.open(0, "/x@watch", [.nonBlocking])
        for _ in 0..<6_000 {
            world.other(.setData("/x", data: bytes("2"), version: -1))
            while world.step(0) {}
        }
        var all: [String] = []
        while true {
            let reply = try world.call(0, .read(node, handle, offset: 0, size: 4_000))
            if reply == .failed(.wouldBlock) { break }
            all += lines(reply)
        }
        #expect(all.last == "overflow /x")
        #expect(all.count < 6_000)
        world.other(.setData("/x", data: bytes("3"), version: -1))
        world.settle()
        #expect(
            lines(try world.call(0, .read(node, handle, offset: 0, size: 100))) == ["changed /x"]
        )
    }

    @Test func `the difference is told after a reconnection`() throws {
        var world = MountWorld()
        try world.write(0, "/x", "1")
        let (node, handle) = try world.open(0, "/x@watch")
        world.disconnect(0)
        world.other(.setData("/x", data: bytes("2"), version: -1))
        world.connect(0)
        world.settle()
        #expect(
            lines(try world.call(0, .read(node, handle, offset: 0, size: 1_000)))
                == ["disconnected /x", "connected /x", "changed /x"]
        )
    }

    @Test func `the difference is told after the session expired`() throws {
        var world = MountWorld()
        try world.mkdir(0, "/e", mode: 0o1777)
        try world.mkdir(0, "/e/me")
        let (node, handle) = try world.open(0, "/e/me@watch")
        world.expire(0)
        world.settle()
        #expect(
            lines(try world.call(0, .read(node, handle, offset: 0, size: 1_000)))
                == ["disconnected /e/me", "expired /e/me", "connected /e/me", "deleted /e/me"]
        )
        try world.mkdir(0, "/e/me")
        #expect(
            lines(try world.call(0, .read(node, handle, offset: 0, size: 1_000)))
                == ["created /e/me"]
        )
    }

    @Test func `many readers share one registration`() throws {
        var world = MountWorld()
        try world.write(0, "/x", "1")
        var handles: [(NodeID, FileHandle)] = []
        for _ in 0..<20 { handles.append(try world.open(0, "/x@watch")) }
        let requests = handles.map { world.send(0, .read($0.0, $0.1, offset: 0, size: 100)) }
        world.other(.setData("/x", data: bytes("2"), version: -1))
        world.deliver(0)
        #expect(world.mounts[0].outbox.count == 2)
        world.settle()
        for request in requests { #expect(lines(world.reply(0, request)) == ["changed /x"]) }
        for (node, handle) in handles { _ = try world.call(0, .release(node, handle)) }
        #expect(try world.read(0, "/@zkfs/status").contains("watched_paths=0\n"))
    }
}
