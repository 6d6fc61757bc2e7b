import ClientCore
import Testing
import ZooKeeperModel

@Suite struct `The handshake` {
    @Test func `a new session is asked for and reported`() throws {
        var server = ScriptedServer()
        server.handle(.start)
        let request = try server.acceptConnection()
        #expect(request.session == .none)
        #expect(request.timeout == 9_000)
        #expect(request.lastZxidSeen == .zero)
        #expect(request.readOnly == false)
        server.answerConnect(timeout: 6_000)
        #expect(
            server.states == [
                .connected(
                    ScriptedServer.sessionID,
                    isNew: true,
                    timeout: .seconds(6),
                    readOnly: false
                )
            ]
        )
    }

    @Test func `a reconnection presents session, password and the last zxid`() throws {
        var server = try ScriptedServer.connected()
        server.submit(1, .exists("/a", watch: false))
        server.reply(1, .failure(.noNode), zxid: 42)
        server.hangUp()
        let request = try server.acceptConnection()
        #expect(request.session == ScriptedServer.sessionID)
        #expect(request.password == ScriptedServer.password)
        #expect(request.lastZxidSeen == Zxid(rawValue: 42))
        server.forget()
        server.answerConnect()
        #expect(
            server.states == [
                .connected(
                    ScriptedServer.sessionID,
                    isNew: false,
                    timeout: .seconds(9),
                    readOnly: false
                )
            ]
        )
    }

    @Test func `an answer that is no connect response drops the connection`() throws {
        var server = ScriptedServer()
        server.handle(.start)
        _ = try server.acceptConnection()
        let attempt = server.attempt
        // What a read-only server without local sessions says instead.
        server.reply(0, .failure(.notReadOnly))
        #expect(server.disconnects == [attempt])
        #expect(server.attempts.count == 2)
    }

    @Test func `a refused new session moves on to the next server`() throws {
        var server = ScriptedServer()
        server.handle(.start)
        _ = try server.acceptConnection()
        server.answerConnect(timeout: 0, session: .none)
        #expect(server.attempts.count == 2)
        #expect(server.states.isEmpty)
    }

    @Test func `a server that speaks first is dropped`() throws {
        var server = ScriptedServer()
        server.handle(.start)
        server.answerConnect()
        #expect(server.attempts.count == 2)
        #expect(server.states.isEmpty)
    }

    @Test func `a server that does not answer is given up within its share of the timeout`() throws
    {
        var server = ScriptedServer()
        let start = server.now
        server.handle(.start)
        try server.wakeAtDeadline()
        #expect(server.attempts.count == 2)
        _ = try server.acceptConnection()
        try server.wakeAtDeadline()
        #expect(server.attempts.count == 3)
        try server.wakeAtDeadline()
        // All three were tried in two thirds of the session timeout.
        #expect(server.now - start == .seconds(6))
        #expect(Set(server.attempts) == Set(ScriptedServer.servers))
    }

    @Test func `tries pause after a full round, longer with each, within bounds`() throws {
        var server = ScriptedServer()
        server.handle(.start)
        var pauses: [Duration] = []
        for _ in 0..<30 {
            server.handle(.connectFailed(server.attempt, reason: "refused"))
            let tries = server.attempts.count
            if let deadline = server.session.nextDeadline, tries == pauses.count + 1 {
                pauses.append(deadline - server.now)
                try server.wakeAtDeadline()
            } else {
                pauses.append(.zero)
            }
            #expect(server.attempts.count == pauses.count + 1)
        }
        #expect(pauses[0] == .zero && pauses[1] == .zero)
        #expect(pauses[3] >= .milliseconds(25) && pauses[3] <= .milliseconds(50))
        #expect(pauses.suffix(9).allSatisfy { $0 >= .milliseconds(500) && $0 <= .seconds(1) })
        #expect(Set(pauses.suffix(9)).count > 1, "pauses are by chance")
    }

    @Test func `the order of servers depends on the seed alone`() {
        func order(_ seed: UInt64) -> [ServerAddress] {
            var server = ScriptedServer { $0.seed = seed }
            server.handle(.start)
            for _ in 0..<2 { server.handle(.connectFailed(server.attempt, reason: "refused")) }
            return server.attempts
        }
        #expect(order(1) == order(1))
        #expect(Set((1...20).map(order)).count > 1)
    }

    @Test func `late news of an abandoned attempt are ignored`() throws {
        var server = ScriptedServer()
        server.handle(.start)
        let first = server.attempt
        server.handle(.connectFailed(first, reason: "refused"))
        server.handle(.connected(first))
        server.handle(.received(first, [1, 2, 3]))
        server.handle(.disconnected(first, reason: "reset"))
        #expect(server.attempts.count == 2)
        _ = try server.acceptConnection()
    }
}
