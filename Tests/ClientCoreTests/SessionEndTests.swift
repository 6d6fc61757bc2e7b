import ClientCore
import Testing
import ZooKeeperModel

private typealias Completion = ScriptedServer.Completion

@Suite struct `The end of a session` {
    static let nextID = SessionID(rawValue: 0x200_0000_0000_0001)

    @Test func `an expired session ends its requests and is followed by a new one`() throws {
        var server = try ScriptedServer.connected()
        server.submit(1, .getData("/a", watch: true))
        server.reply(1, .success(.data(nil, ScriptedServer.stat)))
        server.hangUp()
        server.submit(2, .sync("/"))
        _ = try server.acceptConnection()
        server.forget()
        server.answerConnect(timeout: 0, session: .none)
        #expect(server.completions == [Completion(2, .sessionExpired)])
        #expect(server.states == [.expired])
        #expect(server.attempts[1] == server.attempts[2], "this server answers")

        let request = try server.acceptConnection()
        #expect(request.session == .none)
        #expect(request.lastZxidSeen == Zxid(rawValue: 1), "time does not go back")
        server.answerConnect(session: Self.nextID)
        #expect(
            server.states.last
                == .connected(Self.nextID, isNew: true, timeout: .seconds(9), readOnly: false)
        )
        #expect(try server.takeRequests().isEmpty, "watches went with the session")
    }

    @Test func `a server that gives another session instead says that the old one expired`() throws
    {
        var server = try ScriptedServer.connected()
        server.hangUp()
        server.submit(1, .sync("/"))
        _ = try server.acceptConnection()
        server.forget()
        server.answerConnect(session: Self.nextID)
        #expect(server.completions == [Completion(1, .sessionExpired)])
        #expect(
            server.states == [
                .expired,
                .connected(Self.nextID, isNew: true, timeout: .seconds(9), readOnly: false),
            ]
        )
        #expect(server.disconnects.isEmpty)
    }

    @Test func `without renewal expiry is final`() throws {
        var server = try ScriptedServer.connected { $0.renewsExpiredSession = false }
        server.hangUp()
        server.submit(1, .sync("/"))
        _ = try server.acceptConnection()
        server.answerConnect(timeout: 0, session: .none)
        server.submit(2, .sync("/"))
        #expect(
            server.completions == [Completion(1, .sessionExpired), Completion(2, .sessionExpired)]
        )
        #expect(server.states.last == .expired)
        #expect(server.session.nextDeadline == nil)
    }

    @Test func `a session without a connection never expires by the clock`() throws {
        var server = try ScriptedServer.connected()
        server.hangUp()
        server.submit(1, .sync("/"))
        for _ in 0..<100 { try server.wakeAtDeadline() }
        #expect(server.states == [.disconnected])
        #expect(server.completions.isEmpty)
        #expect(try server.acceptConnection().session == ScriptedServer.sessionID)
    }

    @Test func `close tells the server and reports when it has answered`() throws {
        var server = try ScriptedServer.connected()
        server.submit(1, .sync("/"))
        server.handle(.close)
        server.submit(2, .sync("/"))
        #expect(try server.takeRequests().map(\.operation) == [.sync("/"), .closeSession])
        #expect(server.completions == [Completion(2, .sessionExpired)])
        server.reply(1, .success(.synced("/")))
        #expect(server.completions.last == Completion(1, .synced("/")))
        #expect(server.states.isEmpty)
        server.reply(2)
        #expect(server.states == [.closed])
        #expect(server.disconnects == [server.attempt])
        #expect(server.session.nextDeadline == nil)
    }

    @Test func `close ends even where the connection is lost on the way`() throws {
        var server = try ScriptedServer.connected()
        server.submit(1, .sync("/"))
        server.handle(.close)
        server.hangUp()
        #expect(server.completions == [Completion(1, .connectionLoss)])
        #expect(server.states == [.closed])
        #expect(server.attempts.count == 1)
    }

    @Test func `close without a connection is at once`() throws {
        var server = ScriptedServer()
        server.handle(.start)
        server.submit(1, .sync("/"))
        server.handle(.close)
        #expect(server.completions == [Completion(1, .connectionLoss)])
        #expect(server.disconnects == [server.attempt])
        #expect(server.states == [.closed])
    }
}

@Suite struct `Credentials` {
    static let alice = Operation.auth(scheme: "digest", credential: Array("alice:a".utf8))
    static let bob = Operation.auth(scheme: "digest", credential: Array("bob:b".utf8))

    private static func withBob() throws -> ScriptedServer {
        var server = ScriptedServer {
            $0.credentials = [.init(scheme: "digest", bytes: Array("bob:b".utf8))]
        }
        server.handle(.start)
        _ = try server.acceptConnection()
        server.submit(1, .getData("/a", watch: true))
        server.answerConnect()
        return server
    }

    @Test func `they go first on every connection, then the watches`() throws {
        var server = try Self.withBob()
        #expect(
            try server.takeRequests().map(\.operation) == [Self.bob, .getData("/a", watch: true)]
        )
        server.reply(Request.authXid)
        server.reply(1, .success(.data(nil, ScriptedServer.stat)), zxid: 3)
        server.submit(2, Self.alice)
        #expect(try server.takeRequests().map(\.operation) == [Self.alice])
        server.reply(Request.authXid)
        #expect(server.completions.last == Completion(2, .empty))

        server.hangUp()
        server.submit(3, .sync("/"))
        _ = try server.acceptConnection()
        server.answerConnect()
        let registrations = WatchRegistrations(relativeZxid: Zxid(rawValue: 3), data: ["/a"])
        #expect(
            try server.takeRequests().map(\.operation)
                == [Self.bob, Self.alice, .setWatches(registrations), .sync("/")]
        )
    }

    @Test func `one added without a connection is answered after the next handshake`() throws {
        var server = try Self.withBob()
        server.hangUp()
        server.submit(2, Self.alice)
        server.submit(3, Self.alice)
        _ = try server.acceptConnection()
        server.answerConnect()
        #expect(try server.takeRequests().map(\.operation) == [Self.bob, Self.alice])
        server.forget()
        server.reply(Request.authXid)
        #expect(server.completions.isEmpty)
        server.reply(Request.authXid)
        #expect(server.completions == [Completion(2, .empty), Completion(3, .empty)])
    }

    @Test func `a refused one ends the session`() throws {
        var server = try Self.withBob()
        server.submit(2, Self.alice)
        server.reply(Request.authXid, .failure(.authFailed))
        #expect(server.completions == [Completion(1, .authFailed), Completion(2, .authFailed)])
        #expect(server.states.last == .authenticationFailed)
        server.submit(3, .sync("/"))
        #expect(server.completions.last == Completion(3, .authFailed))
        #expect(server.attempts.count == 1)
        #expect(server.session.nextDeadline == nil)
    }

    @Test func `they are bounded`() throws {
        var server = try ScriptedServer.connected { $0.limits.credentials = 1 }
        server.submit(1, Self.alice)
        server.submit(2, Self.bob)
        server.submit(3, .auth(scheme: "digest", credential: [UInt8](repeating: 1, count: 1 << 17)))
        #expect(
            server.completions == [
                Completion(2, .throttledOperation), Completion(3, .badArguments),
            ]
        )
    }
}
