import Foundation
import PowerLoss
import Testing

/// A server whose disk is full, or fails, or holds what an earlier full disk has left.
@Suite(.serialized, .enabled(if: PowerLossMount.isPossible))
struct FullDiskTests {
    private static let value = [UInt8](repeating: 0x61, count: 900)

    /// What the log says once when it begins.
    private static let waiting = "until there is room, this server acknowledges no write"

    /// Creates znodes until one is not answered any more; those that were acknowledged.
    private func fill(_ server: ServerProcess, with client: RawClient) throws -> [String] {
        var acknowledged: [String] = []
        while acknowledged.count < 100_000 {
            let path = "/\(acknowledged.count)"
            client.send(RawRequest.create(path, Self.value).frame(xid: client.nextXid()))
            var received = client.receive(limit: 0.2)
            while received == .nothing {
                if server.child.log.contains(Self.waiting) { return acknowledged }
                received = client.receive(limit: 0.2)
            }
            guard case .frame(let frame) = received, let reply = RawReply(frame) else {
                throw SteadyClient.Failure(description: "\(received) after \(path)")
            }
            try #require(reply.error == 0, "\(path): error \(reply.error)")
            acknowledged.append(path)
        }
        throw SteadyClient.Failure(description: "the disk never became full")
    }

    /// A server whose disk has become full, and what a client has met of it. Another client is there
    /// already: a new session is a write.
    private func full(
        _ supply: PowerSupply,
        _ workspace: Workspace,
        preallocatedKiB: Int
    ) throws -> (
        server: ServerProcess, client: RawClient, reader: RawClient, acknowledged: [String]
    ) {
        let server = try ServerProcess(
            .ours,
            in: workspace,
            dataDirectory: supply.path + "/data",
            extra: ["preAllocSize=\(preallocatedKiB)"]
        )
        let client = try RawClient.connected(to: server.port)
        let reader = try RawClient.connected(to: server.port)
        let used = try supply.mount.report(supply.disk).usedBytes
        try supply.mount.tell("capacity \(supply.disk) \(used + 300_000)")
        let acknowledged = try fill(server, with: client)
        #expect(acknowledged.count > 100)
        return (server, client, reader, acknowledged)
    }

    private func missing(_ paths: [String], on server: ServerProcess) throws -> [String] {
        let client = try RawClient.connected(to: server.port)
        defer { client.close(sessionToo: true) }
        return paths.filter { client.ask(.getData($0))?.data != Self.value }
    }

    /// Waits for the end of the server's process; its exit status.
    private func end(of server: ServerProcess) -> Int32 {
        eventually("the server ends") { !server.child.isRunning }
        return server.child.isRunning ? -1 : server.child.process.terminationStatus
    }

    /// ZOOKEEPER-3701: a server whose log's disk was full went on to acknowledge from memory.
    @Test(arguments: [64, 0])
    func `a server whose disk is full answers reads, and writes once there is room`(
        preallocatedKiB: Int
    ) throws {
        let workspace = try Workspace()
        defer { workspace.tearDown() }
        let supply = try PowerSupply(PowerLossMount())
        let (server, client, reader, acknowledged) = try full(
            supply,
            workspace,
            preallocatedKiB: preallocatedKiB
        )
        let log = server.child.log
        #expect(
            log.contains("\(supply.path)/data/version-2/log.")
                && log.contains("No space left on device"),
            "\(log)"
        )
        // Others see what was acknowledged, and nothing else.
        let last = acknowledged.count - 1
        #expect(reader.ask(.getData("/\(last)"))?.data == Self.value)
        #expect(reader.ask(.getData("/\(last + 1)"))?.error == -101)
        // It stays so, and is said once.
        #expect(client.receive(limit: 3) == .nothing && server.child.isRunning)
        #expect(server.child.log.components(separatedBy: Self.waiting).count == 2)

        try supply.mount.tell("capacity \(supply.disk) 0")
        guard case .frame(let frame) = client.receive(limit: 60) else {
            Issue.record("the write that waited is not answered\n\(server.child.log)")
            return
        }
        #expect(RawReply(frame)?.error == 0)
        #expect(server.child.log.contains("there is room on the disk again"))
        let paths = acknowledged + ["/\(acknowledged.count)"]
        #expect(try missing(paths, on: server) == [])
        #expect(client.isServed)
        #expect(client.ask(.create("/room"))?.error == 0)

        // And it is on disk.
        try supply.cut(afterCalls: 0)
        server.kill()
        try supply.restore(seed: .random(in: 1...(.max)))
        try server.restart()
        #expect(try missing(paths, on: server) == [])
    }

    @Test(arguments: [64, 0])
    func `a server that is killed while its disk is full has what it acknowledged`(
        preallocatedKiB: Int
    ) throws {
        let workspace = try Workspace()
        defer { workspace.tearDown() }
        let supply = try PowerSupply(PowerLossMount())
        let (server, _, _, acknowledged) = try full(
            supply,
            workspace,
            preallocatedKiB: preallocatedKiB
        )
        server.kill()
        // While there is no room it does not start, or serves all that it holds.
        try server.launchAgain()
        eventually("the server starts, ends or waits") {
            !server.child.isRunning || server.fourLetterWord("srvr").contains("Mode:")
                || server.child.log.contains(Self.waiting)
        }
        if !server.child.isRunning {
            #expect(server.child.process.terminationStatus == 2)
            #expect(server.child.log.contains("No space left on device"), "\(server.child.log)")
        }

        // With room, all is there; also where the power fails before it is.
        server.kill()
        try supply.restore(seed: .random(in: 1...(.max)))
        try server.restart()
        #expect(try missing(acknowledged, on: server) == [])
        // Where zeros go ahead of the entries, no entry was cut short.
        if preallocatedKiB > 0 {
            #expect(!server.child.log.contains("ends at offset"), "\(server.child.log)")
        }
        let client = try RawClient.connected(to: server.port)
        #expect(client.ask(.create("/room"))?.error == 0)
    }

    /// What is there of a sync that failed is unknown: it is never tried again.
    @Test func `a server whose disk fails ends, and has all that it acknowledged`() throws {
        let workspace = try Workspace()
        defer { workspace.tearDown() }
        let supply = try PowerSupply(PowerLossMount())
        let server = try ServerProcess(
            .ours,
            in: workspace,
            dataDirectory: supply.path + "/data"
        )
        let client = try RawClient.connected(to: server.port)
        var acknowledged: [String] = []
        for number in 0..<20 {
            if number == 17 { try supply.mount.tell("fail \(supply.disk) file */log.*") }
            guard let reply = client.ask(.create("/\(number)", Self.value)) else { break }
            try #require(reply.error == 0)
            acknowledged.append("/\(number)")
        }
        #expect(acknowledged.count == 17)
        #expect(end(of: server) == 1)
        #expect(server.child.log.contains("cannot sync \(supply.path)/data"), "\(server.child.log)")
        // Once with what the system has, once with what the disk has.
        try server.restart()
        #expect(try missing(acknowledged, on: server) == [])
        try supply.cut(afterCalls: 0)
        server.kill()
        try supply.restore(seed: 0)
        try server.restart()
        #expect(try missing(acknowledged, on: server) == [])
    }

    /// ZOOKEEPER-2332, ZOOKEEPER-1621: a full disk left the newest log without a header, or with
    /// nothing at all, and no later start got past it.
    struct Remnant: CustomTestStringConvertible {
        var testDescription: String
        var bytes: [UInt8]
    }
    private static let header: [UInt8] =
        [0x5A, 0x4B, 0x4C, 0x47, 0, 0, 0, 2] + Array(repeating: 0, count: 8)
    static let remnants = [
        Remnant(testDescription: "no byte", bytes: []),
        Remnant(testDescription: "half a header", bytes: Array(header[..<7])),
        Remnant(testDescription: "a header", bytes: header),
        Remnant(testDescription: "zeros", bytes: Array(repeating: 0, count: 65_536)),
        Remnant(
            testDescription: "a header and zeros",
            bytes: header + Array(repeating: 0, count: 9000)
        ),
        Remnant(
            testDescription: "a header and the beginning of an entry",
            bytes: header + [0, 0, 0, 0, 0x12, 0x34, 0x56, 0x78, 0, 0, 0, 90, 1, 2, 3]
        ),
    ]

    @Test(arguments: remnants)
    func `a newest log that holds nothing does not keep a server from starting`(
        _ remnant: Remnant
    ) throws {
        let workspace = try Workspace()
        defer { workspace.tearDown() }
        let server = try ServerProcess(.ours, in: workspace)
        let client = try RawClient.connected(to: server.port)
        let paths = (0..<10).map { "/\($0)" }
        for path in paths { #expect(client.ask(.create(path, Self.value))?.error == 0) }
        client.close(sessionToo: true)
        let last = try #require(lastZxid(server))
        server.kill()
        let name = server.dataDirectory + "/version-2/log." + String(last + 1, radix: 16)
        try #require(FileManager.default.createFile(atPath: name, contents: Data(remnant.bytes)))
        try server.restart()
        #expect(try missing(paths, on: server) == [])
        // And the one after that as well.
        try server.restart()
        #expect(try missing(paths, on: server) == [])
    }

    private func lastZxid(_ server: ServerProcess) -> Int? {
        server.fourLetterWord("srvr").split(separator: "\n")
            .first { $0.hasPrefix("Zxid: 0x") }
            .flatMap { Int($0.dropFirst(8), radix: 16) }
    }
}
