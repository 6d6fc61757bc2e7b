import ClientCore
import Testing
import ZooKeeperModel

private typealias Completion = ScriptedServer.Completion

@Suite struct `Requests` {
    @Test func `answers come in the order of submission with the zxids of the replies`() throws {
        var server = try ScriptedServer.connected()
        for token in 1...3 as ClosedRange<UInt64> {
            server.submit(token, .exists(ZnodePath("/\(token)"), watch: false))
        }
        let requests = try server.takeRequests()
        #expect(requests.map(\.xid) == [1, 2, 3])
        #expect(
            requests.map(\.operation) == (1...3).map { .exists(ZnodePath("/\($0)"), watch: false) }
        )
        server.forget()
        server.reply(1, .failure(.noNode), zxid: 7)
        server.reply(2, .success(.stat(ScriptedServer.stat)), zxid: 8)
        #expect(
            server.actions == [
                .complete(RequestToken(rawValue: 1), .failure(.noNode), zxid: Zxid(rawValue: 7)),
                .complete(
                    RequestToken(rawValue: 2),
                    .success(.stat(ScriptedServer.stat)),
                    zxid: Zxid(rawValue: 8)
                ),
            ]
        )
    }

    @Test func `a reply to another request than the oldest drops the connection`() throws {
        var server = try ScriptedServer.connected()
        server.submit(1, .exists("/a", watch: false))
        server.submit(2, .exists("/b", watch: false))
        let attempt = server.attempt
        server.reply(2, .failure(.noNode))
        #expect(server.disconnects == [attempt])
        #expect(
            server.completions == [Completion(1, .connectionLoss), Completion(2, .connectionLoss)]
        )
        #expect(server.states == [.disconnected])
        #expect(server.attempts.count == 2)
    }

    @Test(arguments: [1, -2, -3, -4, -8, .min, .max] as [Int32])
    func `a reply to nothing never traps`(xid: Int32) throws {
        var server = try ScriptedServer.connected()
        server.reply(xid, .failure(.noNode))
        // A ping's answer does no harm; all else drops the connection.
        #expect(server.attempts.count == (xid == Request.pingXid ? 1 : 2))
    }

    @Test func `a reply that cannot be decoded drops the connection`() throws {
        var server = try ScriptedServer.connected()
        server.submit(1, .getData("/a", watch: false))
        server.reply(1, .success(.watchAdded))
        #expect(server.completions == [Completion(1, .connectionLoss)])
        #expect(server.attempts.count == 2)
    }

    @Test func `replies and events are understood byte by byte, in their order`() throws {
        var server = try ScriptedServer.connected()
        server.submit(1, .getData("/a", watch: true))
        server.submit(2, .getData("/a", watch: false))
        let stat = ScriptedServer.stat
        let event = WatchEvent(kind: .dataChanged, path: "/a", zxid: Zxid(rawValue: 2))
        let bytes =
            ScriptedServer.bytes(1, .success(.data([1], stat))) + ScriptedServer.bytes(event)
            + ScriptedServer.bytes(2, .success(.data([], stat)), zxid: 2)
        server.forget()
        for byte in bytes { server.handle(.received(server.attempt, [byte])) }
        #expect(
            server.actions == [
                .complete(
                    RequestToken(rawValue: 1),
                    .success(.data([1], stat)),
                    zxid: Zxid(rawValue: 1)
                ),
                .event(event),
                .complete(
                    RequestToken(rawValue: 2),
                    .success(.data([], stat)),
                    zxid: Zxid(rawValue: 2)
                ),
            ]
        )
    }

    @Test(arguments: [101, -1, .min, .max] as [Int32])
    func `a frame of impossible length drops the connection at its length`(length: Int32) throws {
        var server = try ScriptedServer.connected { $0.limits.replyBytes = 100 }
        let bits = UInt32(bitPattern: length)
        server.handle(
            .received(
                server.attempt,
                (0..<4).map { UInt8(truncatingIfNeeded: bits >> (24 - 8 * $0)) }
            )
        )
        #expect(server.states == [.disconnected])
        #expect(server.attempts.count == 2)
    }

    @Test func `requests in flight at a loss end, later ones wait for the next server`() throws {
        var server = try ScriptedServer.connected()
        server.submit(1, .delete("/a", version: -1))
        server.hangUp()
        server.submit(2, .delete("/b", version: -1))
        server.submit(3, .delete("/c", version: -1))
        #expect(server.completions == [Completion(1, .connectionLoss)])
        #expect(server.attempts.count == 2 && server.attempts[0] != server.attempts[1])
        _ = try server.acceptConnection()
        server.answerConnect()
        let requests = try server.takeRequests()
        #expect(
            requests.map(\.operation) == [.delete("/b", version: -1), .delete("/c", version: -1)]
        )
        server.reply(requests[0].xid)
        server.reply(requests[1].xid)
        #expect(server.completions.suffix(2) == [Completion(2, .empty), Completion(3, .empty)])
    }

    @Test func `requests before the first connection wait for it`() throws {
        var server = ScriptedServer()
        server.submit(1, .sync("/"))
        server.handle(.start)
        _ = try server.acceptConnection()
        server.answerConnect()
        #expect(try server.takeRequests().map(\.operation) == [.sync("/")])
    }

    @Test func `a request cancelled before it was sent is never sent`() throws {
        var server = try ScriptedServer.connected()
        server.submit(1, .sync("/1"))
        server.handle(.cancel(RequestToken(rawValue: 1)))
        server.reply(1, .success(.synced("/1")))
        #expect(server.completions == [Completion(1, .synced("/1"))], "it was sent")
        server.hangUp()
        for token in 2...4 as ClosedRange<UInt64> {
            server.submit(token, .sync(ZnodePath("/\(token)")))
        }
        server.handle(.cancel(RequestToken(rawValue: 3)))
        server.handle(.cancel(RequestToken(rawValue: 3)))
        #expect(server.completions.last == Completion(3, .requestTimeout))
        _ = try server.acceptConnection()
        server.answerConnect()
        #expect(try server.takeRequests().map(\.operation) == [.sync("/2"), .sync("/4")])
    }

    @Test func `more requests than the bound end at once`() throws {
        var server = ScriptedServer { $0.limits.outstandingRequests = 2 }
        server.handle(.start)
        for token in 1...3 as ClosedRange<UInt64> { server.submit(token, .sync("/")) }
        #expect(server.completions == [Completion(3, .connectionLoss)])
        _ = try server.acceptConnection()
        server.answerConnect()
        // Those in flight count as well, until they are answered.
        server.submit(4, .sync("/"))
        #expect(server.completions.last == Completion(4, .connectionLoss))
        server.reply(1, .success(.synced("/")))
        server.submit(5, .sync("/"))
        #expect(try server.takeRequests().count == 3)
    }

    @Test func `more bytes of requests than the bound end at once`() throws {
        var server = ScriptedServer { $0.limits.outstandingBytes = 1_000 }
        let large = Operation.setData("/a", data: [UInt8](repeating: 1, count: 990), version: -1)
        server.submit(1, large)
        server.submit(2, large)
        #expect(server.completions == [Completion(2, .connectionLoss)])
    }

    @Test func `a request longer than servers take is refused and harms no other`() throws {
        var server = try ScriptedServer.connected()
        let data = [UInt8](repeating: 0, count: 1_048_575)
        server.submit(1, .setData("/a", data: data, version: -1))
        #expect(server.completions == [Completion(1, .badArguments)])
        #expect(try server.takeRequests().isEmpty)
    }

    @Test(
        arguments: [
            .check("/a", version: 0), .ping, .closeSession, .unsupported(code: 77),
            .malformed(code: 1), .setWatches(WatchRegistrations(relativeZxid: .zero)),
            .create(CreateRequest(kind: .timeToLive(-1), path: "/a", data: nil, flags: 0)),
            .create(CreateRequest(kind: .create2, path: "/a", data: nil, mode: .container)),
            .create(
                CreateRequest(
                    kind: .timeToLive(1 << 40),
                    path: "/a",
                    data: nil,
                    mode: .persistentTimeToLive
                )
            ),
            .multi([.getData("/a", watch: false)]), .multi([.multi([])]),
        ] as [Operation]
    )
    func `what would harm a server is not sent`(operation: Operation) throws {
        var server = try ScriptedServer.connected()
        server.submit(1, operation)
        #expect(server.completions == [Completion(1, .badArguments)])
        #expect(try server.takeRequests().isEmpty)
    }

    @Test func `every operation gets a reply of its own shape`() throws {
        var server = try ScriptedServer.connected()
        let stat = ScriptedServer.stat
        let exchanges: [(Operation, Response)] = [
            (.create(CreateRequest(kind: .create, path: "/a", data: [1])), .created("/a")),
            (.create(CreateRequest(path: "/a", data: [1])), .createdWithStat("/a", stat)),
            (
                .create(
                    CreateRequest(
                        kind: .timeToLive(5),
                        path: "/a",
                        data: nil,
                        mode: .persistentTimeToLive
                    )
                ),
                .createdWithStat("/a", stat)
            ),
            (.delete("/a", version: 1), .empty),
            (.exists("/a", watch: false), .stat(stat)),
            (.getData("/a", watch: false), .data(nil, stat)),
            (.setData("/a", data: nil, version: 1), .stat(stat)),
            (.getACL("/a"), .acl(.open, stat)),
            (.setACL("/a", acl: .open, version: 0), .stat(stat)),
            (.getChildren("/a", watch: false), .children([[1], [2]])),
            (.getChildren2("/a", watch: false), .childrenWithStat([[1]], stat)),
            (.sync("/a"), .synced("/a")),
            (
                .multi([.delete("/a", version: -1), .check("/b", version: 0)]),
                .multi([.success(.empty), .success(.checked)])
            ),
            (.addWatch("/a", mode: 0), .watchAdded),
            (.removeWatches("/a", type: 3), .empty),
            (.checkWatches("/a", type: 3), .empty),
        ]
        for (index, exchange) in exchanges.enumerated() {
            server.submit(UInt64(index), exchange.0)
            server.reply(Int32(index) + 1, .success(exchange.1))
        }
        #expect(try server.takeRequests().map(\.operation) == exchanges.map(\.0))
        #expect(
            server.completions
                == exchanges.enumerated().map { Completion(UInt64($0.offset), $0.element.1) }
        )
    }
}

@Suite struct `Liveness` {
    @Test func `an idle session pings after a third of its timeout`() throws {
        var server = try ScriptedServer.connected()
        let start = server.now
        try server.wakeAtDeadline()
        #expect(server.now - start == .seconds(3))
        #expect(try server.takeRequests() == [Request(xid: Request.pingXid, operation: .ping)])
        server.reply(Request.pingXid)
        try server.wakeAtDeadline()
        #expect(server.now - start == .seconds(6))
        #expect(server.states.isEmpty)
    }

    @Test func `a silent server is left after two thirds of the timeout`() throws {
        var server = try ScriptedServer.connected()
        let start = server.now
        let attempt = server.attempt
        while server.states.isEmpty { try server.wakeAtDeadline() }
        #expect(server.now - start == .seconds(6))
        #expect(server.disconnects == [attempt])
        #expect(server.states == [.disconnected])
        #expect(server.attempts.count == 2)
    }

    @Test func `requests make pings needless`() throws {
        var server = try ScriptedServer.connected()
        server.now = server.now + .seconds(2)
        server.submit(1, .sync("/"))
        server.reply(1, .success(.synced("/")))
        #expect(server.session.nextDeadline == server.now + .seconds(3))
    }

    @Test func `an early wake does nothing`() throws {
        var server = try ScriptedServer.connected()
        server.handle(.wake)
        #expect(server.actions.isEmpty)
    }
}
