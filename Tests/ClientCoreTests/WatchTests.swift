import ClientCore
import Testing
import ZooKeeperModel

@Suite struct `Watches` {
    /// Submits and answers.
    private static func ask(
        _ server: inout ScriptedServer,
        _ operation: Operation,
        _ result: Result<Response, ErrorCode>,
        zxid: Int64 = 5
    ) throws {
        server.submit(server.nextToken(), operation)
        let request = try #require(try server.takeRequests().last)
        server.reply(request.xid, result, zxid: zxid)
    }

    private static let data = Result<Response, ErrorCode>.success(.data(nil, ScriptedServer.stat))
    private static let children = Result<Response, ErrorCode>.success(.children([]))
    private static let added = Result<Response, ErrorCode>.success(.watchAdded)

    /// What is asked of the next server.
    private static func reconnect(_ server: inout ScriptedServer) throws -> [WatchRegistrations] {
        server.hangUp()
        _ = try server.acceptConnection()
        server.answerConnect()
        return try server.takeRequests().compactMap { request in
            guard case .setWatches(let registrations) = request.operation else { return nil }
            #expect(request.xid == Request.setWatchesXid)
            return registrations
        }
    }

    @Test func `each kind is set again in its own list`() throws {
        var server = try ScriptedServer.connected()
        try Self.ask(&server, .getData("/b", watch: true), Self.data)
        try Self.ask(&server, .getData("/a", watch: true), Self.data)
        try Self.ask(&server, .exists("/c", watch: true), .success(.stat(ScriptedServer.stat)))
        try Self.ask(&server, .exists("/none", watch: true), .failure(.noNode))
        try Self.ask(&server, .getChildren("/d", watch: true), Self.children)
        #expect(
            try Self.reconnect(&server) == [
                WatchRegistrations(
                    relativeZxid: Zxid(rawValue: 5),
                    data: ["/a", "/b", "/c"],
                    exist: ["/none"],
                    child: ["/d"]
                )
            ]
        )
        try Self.ask(&server, .addWatch("/p", mode: 0), Self.added)
        try Self.ask(&server, .addWatch("/r", mode: 1), Self.added)
        #expect(
            try Self.reconnect(&server) == [
                WatchRegistrations(
                    relativeZxid: Zxid(rawValue: 5),
                    data: ["/a", "/b", "/c"],
                    exist: ["/none"],
                    child: ["/d"],
                    persistent: ["/p"],
                    persistentRecursive: ["/r"],
                    isSecondVersion: true
                )
            ]
        )
    }

    @Test func `what set no watch is not set again`() throws {
        var server = try ScriptedServer.connected()
        try Self.ask(&server, .getData("/a", watch: true), .failure(.noNode))
        try Self.ask(&server, .getChildren("/a", watch: true), .failure(.noNode))
        try Self.ask(&server, .exists("/a", watch: true), .failure(.noAuth))
        try Self.ask(&server, .addWatch("/a", mode: 0), .failure(.marshallingError))
        try Self.ask(&server, .getData("/a", watch: false), Self.data)
        server.submit(9, .getData("/lost", watch: true))
        #expect(try Self.reconnect(&server).isEmpty)
    }

    @Test func `a one-shot watch is reported once and not set again`() throws {
        var server = try ScriptedServer.connected()
        try Self.ask(&server, .getData("/a", watch: true), Self.data)
        let event = WatchEvent(kind: .dataChanged, path: "/a")
        server.send(event)
        server.send(event)
        #expect(server.events == [event])
        #expect(try Self.reconnect(&server).isEmpty)
    }

    @Test func `persistent watches stay; recursive ones hear of all below but no child events`()
        throws
    {
        var server = try ScriptedServer.connected()
        try Self.ask(&server, .addWatch("/p", mode: 0), Self.added)
        try Self.ask(&server, .addWatch("/r", mode: 1), Self.added)
        let heard = [
            WatchEvent(kind: .childrenChanged, path: "/p"),
            WatchEvent(kind: .dataChanged, path: "/p"),
            WatchEvent(kind: .dataChanged, path: "/p"),
            WatchEvent(kind: .created, path: "/r/x/y"),
            WatchEvent(kind: .deleted, path: "/r"),
        ]
        let unheard = [
            WatchEvent(kind: .dataChanged, path: "/p/below"),
            WatchEvent(kind: .childrenChanged, path: "/r"),
            WatchEvent(kind: .childrenChanged, path: "/r/x"),
            WatchEvent(kind: .created, path: "/rx"),
        ]
        for event in heard + unheard { server.send(event) }
        #expect(server.events == heard)
        #expect(try Self.reconnect(&server).count == 1)
    }

    @Test func `a recursive watch on the root hears of everything`() throws {
        var server = try ScriptedServer.connected()
        try Self.ask(&server, .addWatch("/", mode: 1), Self.added)
        let events = ["/", "/a", "/a/b"].map {
            WatchEvent(kind: .dataChanged, path: ZnodePath($0))
        }
        for event in events { server.send(event) }
        #expect(server.events == events)
    }

    @Test func `catching up reports a deletion once, though a server tells it twice`() throws {
        var server = try ScriptedServer.connected()
        try Self.ask(&server, .getData("/a", watch: true), Self.data)
        try Self.ask(&server, .getChildren("/a", watch: true), Self.children)
        try Self.ask(&server, .addWatch("/a", mode: 0), Self.added)
        #expect(try Self.reconnect(&server).count == 1)
        let deleted = WatchEvent(kind: .deleted, path: "/a")
        server.send(deleted)
        server.send(deleted)
        #expect(server.events == [deleted])
        server.reply(Request.setWatchesXid)
        // What comes after the answer is news.
        server.send(deleted)
        #expect(server.events == [deleted, deleted])
    }

    @Test func `watches are caught up from the last reply, not from the last event`() throws {
        var server = try ScriptedServer.connected()
        try Self.ask(&server, .getData("/a", watch: true), Self.data, zxid: 5)
        try Self.ask(&server, .getData("/b", watch: true), Self.data, zxid: 6)
        // One transaction changes both; the connection breaks between its events.
        server.send(WatchEvent(kind: .dataChanged, path: "/a", zxid: Zxid(rawValue: 7)))
        server.hangUp()
        let request = try server.acceptConnection()
        #expect(request.lastZxidSeen == Zxid(rawValue: 7))
        server.answerConnect()
        #expect(
            try server.takeRequests().map(\.operation) == [
                .setWatches(WatchRegistrations(relativeZxid: Zxid(rawValue: 6), data: ["/b"]))
            ]
        )
    }

    @Test func `a connection lost while catching up sets them all again`() throws {
        var server = try ScriptedServer.connected()
        try Self.ask(&server, .getData("/a", watch: true), Self.data)
        #expect(try Self.reconnect(&server).count == 1)
        #expect(try Self.reconnect(&server).count == 1)
    }

    @Test func `a server that refuses watches is left`() throws {
        var server = try ScriptedServer.connected()
        try Self.ask(&server, .getData("/a", watch: true), Self.data)
        #expect(try Self.reconnect(&server).count == 1)
        server.forget()
        server.reply(Request.setWatchesXid, .failure(.unimplemented))
        #expect(server.states == [.disconnected])
    }

    @Test func `long lists are cut into requests of bounded length`() throws {
        var server = try ScriptedServer.connected()
        let name = String(repeating: "x", count: 990)
        let paths = (0..<500).map { ZnodePath("/\(1_000 + $0)\(name)") }
        for path in paths { try Self.ask(&server, .getData(path, watch: true), Self.data) }
        let requests = try Self.reconnect(&server)
        #expect(requests.count == 4)
        #expect(requests.flatMap(\.data) == paths)
        #expect(requests.allSatisfy { $0.data.reduce(0) { $0 + $1.bytes.count } <= 128 << 10 })
        #expect(requests.allSatisfy { $0.relativeZxid == Zxid(rawValue: 5) })
    }

    @Test(
        arguments: [
            (1, ["data", "exist", "persistent"]), (2, ["child", "persistent"]), (3, []),
        ] as [(Int32, [String])]
    )
    func `removed watches are not set again`(type: Int32, left: [String]) throws {
        var server = try ScriptedServer.connected()
        try Self.ask(&server, .exists("/a", watch: true), .failure(.noNode))
        try Self.ask(&server, .getData("/a", watch: true), Self.data)
        try Self.ask(&server, .getChildren("/a", watch: true), Self.children)
        try Self.ask(&server, .addWatch("/a", mode: 0), Self.added)
        try Self.ask(&server, .removeWatches("/a", type: type), .success(.empty))
        let again = try Self.reconnect(&server).first
        var lists: [String] = []
        if again?.data == ["/a"] { lists.append("data") }
        if again?.exist == ["/a"] { lists.append("exist") }
        if again?.child == ["/a"] { lists.append("child") }
        if again?.persistent == ["/a"] { lists.append("persistent") }
        #expect(lists == left)
    }

    @Test func `watched paths are bounded`() throws {
        var server = try ScriptedServer.connected { $0.limits.watchedPaths = 1 }
        try Self.ask(&server, .getData("/a", watch: true), Self.data)
        server.forget()
        server.submit(1, .getData("/b", watch: true))
        #expect(server.completions == [.init(1, .throttledOperation)])
    }
}
