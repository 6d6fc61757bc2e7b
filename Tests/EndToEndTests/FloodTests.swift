import Foundation
import Testing

/// Clients that send more than they read. What waits for them is bounded, and the others are served.
@Suite(.serialized)
struct FloodTests {
    private static let boundBytes = 160 << 20

    private func residentBytes(_ server: ServerProcess) throws -> Int {
        let status = try String(
            contentsOfFile: "/proc/\(server.child.identifier)/status",
            encoding: .utf8
        )
        let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") })
        return try #require(line.split(separator: " ").compactMap { Int($0) }.first) * 1024
    }

    /// Pushes until the server takes no more for a while, or all is sent.
    private func push(
        _ bytes: [UInt8],
        from flooder: RawClient,
        while condition: () throws -> Void
    ) rethrows -> Int {
        var sent = 0
        var refusals = 0
        while sent < bytes.count, refusals < 100 {
            let count = flooder.sendWithoutWaiting(bytes[sent..<min(sent + 65536, bytes.count)])
            if count < 0 { break }
            refusals = count == 0 ? refusals + 1 : 0
            sent += count
            try condition()
        }
        return sent
    }

    @Test(arguments: ["reads", "writes", "syncs", "pings"])
    func `ten megabytes of requests by one that does not read`(kind: String) throws {
        let workspace = try Workspace()
        defer { workspace.tearDown() }
        let server = try ServerProcess(.ours, in: workspace)
        let other = try RawClient.connected(to: server.port)
        // A read's answer is a thousand times as long as its request.
        try #require(
            other.ask(.create("/big", Array(repeating: 1, count: 40_000)))?.error == 0
        )
        let before = try residentBytes(server)
        let flooder = try RawClient.connected(to: server.port, receiveBufferBytes: 4096)
        let request: RawRequest =
            switch kind {
            case "reads": .getData("/big")
            case "writes": .setData("/big", Array(repeating: 2, count: 500))
            case "syncs": .sync("/big")
            default: .ping
            }
        var bytes: [UInt8] = []
        while bytes.count < 10 << 20 { bytes += request.frame(xid: flooder.nextXid()) }
        var worst = before
        var rounds = 0
        _ = try push(bytes, from: flooder) {
            rounds += 1
            guard rounds.isMultiple(of: 4) else { return }
            worst = max(worst, try residentBytes(server))
            try #require(other.isServed, "others are starved")
        }
        worst = max(worst, try residentBytes(server))
        #expect(worst - before < Self.boundBytes, "it grew by \((worst - before) >> 20) MiB")
        #expect(other.isServed)
        #expect(other.ask(.setData("/big", [1]))?.error == 0)
        let newcomer = try RawClient.connected(to: server.port)
        #expect(newcomer.isServed)
    }

    @Test func `who reads late still gets every reply, in order`() throws {
        let workspace = try Workspace()
        defer { workspace.tearDown() }
        let server = try ServerProcess(.ours, in: workspace)
        let client = try RawClient.connected(to: server.port, receiveBufferBytes: 4096)
        try #require(
            client.ask(.create("/big", Array(repeating: 1, count: 100_000)))?.error == 0
        )
        // 40 MB of replies: more than what may wait in the server.
        let count = 400
        var bytes: [UInt8] = []
        for number in 0..<count {
            let request: RawRequest =
                number.isMultiple(of: 10) ? .create("/n\(number)") : .getData("/big")
            bytes += request.frame(xid: Int32(1000 + number))
        }
        #expect(client.send(bytes))
        for number in 0..<count {
            guard case .frame(let frame) = client.receive(), let reply = RawReply(frame) else {
                Issue.record("reply \(number) is missing")
                return
            }
            guard reply.xid == Int32(1000 + number), reply.error == 0 else {
                Issue.record("reply \(number) is \(reply.xid), \(reply.error)")
                return
            }
        }
    }

    @Test func `watches that fire for one that does not read hold nobody up`() throws {
        let workspace = try Workspace()
        defer { workspace.tearDown() }
        let server = try ServerProcess(.ours, in: workspace)
        let writer = try RawClient.connected(to: server.port)
        let name = "/" + String(repeating: "n", count: 900)
        try #require(writer.ask(.create(name))?.error == 0)
        let deaf = try RawClient.connected(to: server.port, receiveBufferBytes: 4096)
        try #require(deaf.ask(.addWatch("/", mode: 1))?.error == 0)
        let before = try residentBytes(server)
        // 90,000 events of a kilobyte: more than what may wait for one client.
        let window = 300
        for _ in 0..<300 {
            writer.send(
                (0..<window).flatMap { _ in
                    RawRequest.setData(name, []).frame(xid: writer.nextXid())
                }
            )
            for _ in 0..<window {
                guard case .frame(let frame) = writer.receive(), let reply = RawReply(frame),
                    reply.error == 0
                else {
                    Issue.record("the writer is held up")
                    return
                }
            }
        }
        let grown = try residentBytes(server) - before
        #expect(grown < Self.boundBytes, "it grew by \(grown >> 20) MiB")
        #expect(writer.isServed)
        // It has lost its connection, not its session: it can ask what it missed.
        while case .frame = deaf.receive(limit: 5) {}
        #expect(deaf.receive(limit: 5) == .closed)
        let again = try #require(RawClient(port: server.port))
        #expect(try #require(again.open(session: deaf.session)).id == deaf.session.id)
        #expect(again.isServed)
    }
}
