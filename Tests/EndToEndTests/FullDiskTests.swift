import Foundation
import PowerLoss
import Testing

/// A server whose disk is full, or fails, or holds what an earlier full disk has left.
@Suite(.serialized, .enabled(if: PowerLossMount.isPossible))
struct FullDiskTests {
    private static let value = [UInt8](repeating: 0x61, count: 900)

    /// Creates znodes until the server is gone; those that were acknowledged.
    private func fill(_ server: ServerProcess, from first: Int = 0) throws -> [String] {
        let client = try RawClient.connected(to: server.port)
        var acknowledged: [String] = []
        for number in first..<(first + 100_000) {
            let path = "/\(number)"
            guard let reply = client.ask(.create(path, Self.value)) else { return acknowledged }
            try #require(reply.error == 0, "\(path): error \(reply.error)")
            acknowledged.append(path)
        }
        Issue.record("the disk never became full")
        return acknowledged
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
    func `a server whose disk is full acknowledges nothing more, says why, and ends`(
        preallocatedKiB: Int
    ) throws {
        let workspace = try Workspace()
        defer { workspace.tearDown() }
        let supply = try PowerSupply(PowerLossMount())
        let server = try ServerProcess(
            .ours,
            in: workspace,
            dataDirectory: supply.path + "/data",
            extra: ["preAllocSize=\(preallocatedKiB)"]
        )
        let used = try supply.mount.report(supply.disk).usedBytes
        try supply.mount.tell("capacity \(supply.disk) \(used + 300_000)")
        let acknowledged = try fill(server)
        #expect(acknowledged.count > 100)
        #expect(end(of: server) == 1)
        let log = server.child.log
        #expect(
            log.contains("\(supply.path)/data/version-2/log.")
                && log.contains("No space left on device"),
            "\(log)"
        )

        // While there is no room it does not start, or serves all that it holds.
        try server.launchAgain()
        eventually("the server starts or ends") {
            !server.child.isRunning || server.fourLetterWord("srvr").contains("Mode:")
        }
        if !server.child.isRunning {
            // It could not start, or had to stop soon after.
            #expect([1, 2].contains(server.child.process.terminationStatus))
            #expect(server.child.log.contains("No space left on device"), "\(server.child.log)")
        }

        // With room, all is there; also where the power fails before it is.
        server.kill()
        try supply.restore(seed: .random(in: 0...(.max)))
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
