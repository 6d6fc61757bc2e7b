import Foundation
import Testing

/// Clients that break the protocol's rules, by malice or by mistake. Each gets what it has earned;
/// the server goes on serving the others.
@Suite(.serialized)
struct HostileTrafficTests {
    private let workspace: Workspace
    private let server: ServerProcess
    /// Connected before anything happens, and served after it.
    private let other: RawClient

    init() throws {
        workspace = try Workspace()
        server = try ServerProcess(.ours, in: workspace)
        other = try RawClient.connected(to: server.port)
    }

    private func expectOthersAreServed() throws {
        #expect(other.isServed, "\(server.child.log)")
        let newcomer = try RawClient.connected(to: server.port)
        #expect(newcomer.isServed)
        newcomer.close(sessionToo: true)
    }

    // MARK: Bytes that are no requests

    @Test(
        arguments: [
            [0x7F, 0xFF, 0xFF, 0xFF], [0x00, 0x10, 0x00, 0x00], [0xFF, 0xFF, 0xFF, 0xFF],
            [0x80, 0x00, 0x00, 0x00],
        ] as [[UInt8]]
    )
    func `a frame of an impossible length ends its connection`(length: [UInt8]) throws {
        let stranger = try #require(RawClient(port: server.port))
        stranger.send(length)
        #expect(stranger.receive() == .closed)
        let client = try RawClient.connected(to: server.port)
        client.send(length)
        #expect(client.receive() == .closed)
        try expectOthersAreServed()
    }

    @Test func `a frame of the greatest length is taken`() throws {
        let client = try RawClient.connected(to: server.port)
        let request = RawRequest(99, JuteBytes().raw(Array(repeating: 7, count: 1_048_575 - 8)))
        #expect(client.ask(request)?.error == -6)
        #expect(client.receive() == .closed)
        try expectOthersAreServed()
    }

    @Test func `garbage never brings the server down`() throws {
        var random = SeededRandom(seed: 7)
        for round in 0..<300 {
            let client = try #require(RawClient(port: server.port))
            if round.isMultiple(of: 2) { client.open(timeout: 4000) }
            for _ in 0..<4 {
                let count = Int.random(in: 0..<64, using: &random)
                let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
                // With a true length, so that the content is looked at, or raw.
                client.send(Bool.random(using: &random) ? JuteBytes().buffer(bytes).bytes : bytes)
            }
            client.close(sessionToo: false)
        }
        try expectOthersAreServed()
    }

    @Test func `garbage behind every operation's code never brings the server down`() throws {
        var random = SeededRandom(seed: 8)
        for code in Array(-12...23) + Array(99...108) {
            for _ in 0..<6 {
                let client = try RawClient.connected(to: server.port, timeout: 4000)
                var body = JuteBytes()
                for _ in 0..<Int.random(in: 0..<6, using: &random) {
                    switch Int.random(in: 0..<4, using: &random) {
                    case 0: body = body.int([-1, 0, 1, .max, .min].randomElement(using: &random)!)
                    case 1: body = body.string("/zookeeper")
                    case 2: body = body.bool(Bool.random(using: &random))
                    default: body = body.long(Int64(bitPattern: random.next()))
                    }
                }
                client.send(RawRequest(Int32(code), body).frame(xid: 1))
                client.send(RawRequest.ping.frame(xid: 0))
                // An answer or an end, but not silence.
                #expect(client.receive() != .nothing, "code \(code), \(hex(body.bytes))")
                client.close(sessionToo: false)
            }
        }
        try expectOthersAreServed()
        try #require(server.child.isRunning)
        try server.restart()
        #expect(try RawClient.connected(to: server.port).isServed, "the log is poisoned")
    }

    @Test func `a connection that ends inside a frame is forgotten`() throws {
        let whole = RawRequest.create("/half", [1]).frame(xid: 1)
        for cut in 1..<whole.count {
            let client = try RawClient.connected(to: server.port, timeout: 4000)
            client.send(Array(whole[..<cut]))
            client.close(sessionToo: false)
        }
        #expect(other.ask(.exists("/half"))?.error == -101)
        try expectOthersAreServed()
    }

    @Test func `frames that come byte by byte are read`() throws {
        let client = try #require(RawClient(port: server.port))
        for byte in RawClient.connectRequest(timeout: 10_000) { client.send([byte]) }
        guard case .frame(let frame) = client.receive() else {
            Issue.record("no session")
            return
        }
        #expect(JuteBytes.int(frame, at: 4) == 10_000)
        for byte in RawRequest.create("/slow", [1]).frame(xid: 5) { client.send([byte]) }
        guard case .frame(let reply) = client.receive() else {
            Issue.record("no reply")
            return
        }
        #expect(RawReply(reply)?.error == 0)
        try expectOthersAreServed()
    }

    @Test func `one that says nothing does not hold up others, and is closed in time`() throws {
        let silent = try #require(RawClient(port: server.port))
        let slow = try #require(RawClient(port: server.port))
        slow.send([0, 0])
        try expectOthersAreServed()
        #expect(silent.receive(limit: 25) == .closed)
        #expect(slow.receive(limit: 25) == .closed)
    }

    // MARK: Sessions

    @Test func `a wrong password does not disturb the owner of the session`() throws {
        let owner = try RawClient.connected(to: server.port)
        try #require(owner.ask(.create("/owned", flags: 1))?.error == 0)
        var stolen = owner.session
        stolen.password[3] ^= 1
        let thief = try #require(RawClient(port: server.port))
        let answer = try #require(thief.open(session: stolen))
        #expect(!answer.isAlive && answer.id == 0)
        #expect(thief.receive() == .closed)
        #expect(owner.isServed)
        #expect(other.ask(.exists("/owned"))?.error == 0)
        try expectOthersAreServed()
    }

    @Test func `a session that goes on elsewhere closes its older connection`() throws {
        let older = try RawClient.connected(to: server.port)
        let newer = try #require(RawClient(port: server.port))
        let session = try #require(newer.open(session: older.session))
        #expect(session.id == older.session.id)
        #expect(older.receive() == .closed)
        #expect(newer.isServed)
    }

    @Test func `one address gets no more connections than are configured`() throws {
        let limited = try ServerProcess(
            .ours,
            in: workspace,
            name: "limited",
            extra: ["maxClientCnxns=5"]
        )
        var clients: [RawClient] = []
        for _ in 0..<5 { clients.append(try RawClient.connected(to: limited.port)) }
        let sixth = try #require(RawClient(port: limited.port))
        #expect(sixth.open() == nil)
        for client in clients { #expect(client.isServed) }
        clients.removeLast().close(sessionToo: true)
        eventually("the place that has become free can be taken") {
            RawClient(port: limited.port)?.open()?.isAlive == true
        }
    }

    // MARK: Requests that would poison a log

    @Test(
        arguments: [
            ("a check outside of a multi", .check("/", version: -1), -6),
            ("a time to live without its flags", .createTTL("/poison", flags: 0, ttl: -1), -6),
            ("a time to live of nothing", .createTTL("/poison", flags: 5, ttl: 0), -6),
            ("a container by the wrong code", .create("/poison", flags: 4), -6),
            ("a container's code with other flags", .create("/poison", flags: 0, code: 19), -6),
            ("the deletion of a container", RawRequest(20, JuteBytes().string("/poison")), -6),
            ("a session inside a session", RawRequest(-10, JuteBytes().int(5000)), -6),
            ("a reconfiguration", RawRequest(16, JuteBytes().string("").string("").string("")), -6),
            ("an error", RawRequest(-1, JuteBytes().int(-101)), -6),
            ("a notification", RawRequest(0), -6),
            ("an operation of the future", RawRequest(1000), -6),
        ] as [(String, RawRequest, Int32)]
    )
    func `is refused, and the server starts again`(
        what: String,
        request: RawRequest,
        error: Int32
    ) throws {
        let client = try RawClient.connected(to: server.port)
        #expect(client.ask(request)?.error == error, "\(what)")
        try expectOthersAreServed()
        #expect(other.ask(.exists("/poison"))?.error == -101)
        try server.restart()
        #expect(try RawClient.connected(to: server.port).isServed, "\(server.child.log)")
    }
}
