import Foundation
import NIOCore
import NIOPosix
import Synchronization
import Testing

/// An Apache ZooKeeper server in a process of its own, on a free port of the loopback address, with
/// its data in a new directory below the temporary one.
///
/// The process and the directory go with the test process, however that ends: a shell between them
/// waits on a pipe that only the test process holds open.
final class ApacheServer: @unchecked Sendable {
    // Safe: the mutable state is touched only by whoever awaits `start` and `kill`, one at a time.

    static let jars = "/usr/share/java"

    /// Whether tests with it can run. With `ZKFS_REQUIRE_ALL=1` they always do, and fail where it
    /// is missing.
    static let isAvailable =
        ProcessInfo.processInfo.environment["ZKFS_REQUIRE_ALL"] == "1"
        || (FileManager.default.fileExists(atPath: "\(jars)/zookeeper.jar")
            && FileManager.default.isExecutableFile(atPath: "/usr/bin/java"))

    /// One server for all tests that do not mind each other's znodes.
    static let shared = Task { try await ApacheServer.started() }

    let port: Int
    let directory: String
    var address: String { "127.0.0.1:\(port)" }
    private var process: Process?
    private var control: Pipe?

    /// - Parameter settings: more lines for its configuration file.
    static func started(_ settings: [String] = []) async throws -> ApacheServer {
        let server = try await ApacheServer(settings)
        try await server.start()
        return server
    }

    private init(_ settings: [String]) async throws {
        port = try await Self.freePort()
        let name = "zkfs-apache-\(ProcessInfo.processInfo.processIdentifier)-\(port)"
        directory = FileManager.default.temporaryDirectory.appending(path: name).path
        try FileManager.default.createDirectory(
            atPath: directory,
            withIntermediateDirectories: true
        )
        let lines =
            [
                "dataDir=\(directory)/data", "clientPortAddress=127.0.0.1", "clientPort=\(port)",
                "tickTime=1000", "maxClientCnxns=0", "admin.enableServer=false",
                "4lw.commands.whitelist=*", "extendedTypesEnabled=true",
            ] + settings
        try (lines.joined(separator: "\n") + "\n").write(
            toFile: "\(directory)/zoo.cfg",
            atomically: true,
            encoding: .utf8
        )
    }

    deinit { control?.fileHandleForWriting.closeFile() }

    /// Starts it, on the data that an earlier run has left, and waits until it serves.
    func start() async throws {
        let process = Process()
        let control = Pipe()
        // Not sh: Debian's misses the end of its children where SIGCHLD is blocked, as it is here.
        process.executableURL = URL(fileURLWithPath: "/bin/bash")
        // The reader ends the server: on a line by killing it, at the end of the pipe for good.
        process.arguments = [
            "-c",
            """
            exec 3<&0
            java -Xmx256m -cp "$1/*" org.apache.zookeeper.server.quorum.QuorumPeerMain \
                "$2/zoo.cfg" </dev/null >>"$2/server.log" 2>&1 3<&- &
            server=$!
            { if read -r _; then kill -9 $server; else kill -9 $server; rm -rf "$2"; fi; } <&3 &
            wait $server
            """, "bash", Self.jars, directory,
        ]
        process.standardInput = control
        // Where it would tell of every server that was killed.
        process.standardError = FileHandle.nullDevice
        try process.run()
        self.process = process
        self.control = control
        let isServing = try await Self.awaitServing(port, within: 300, while: process)
        guard isServing else {
            let log = try? String(contentsOfFile: "\(directory)/server.log", encoding: .utf8)
            throw StartFailure(hasEnded: !process.isRunning, log: log ?? "no log")
        }
    }

    /// Asks until the server serves, by its own word: one that has bound its port but has no database
    /// yet says something else.
    ///
    /// In a process of its own. Other tests block the threads that tasks run on, for many seconds,
    /// and the server closes a connection on which nothing has come for ten. A question that comes in
    /// the middle of its start it may never answer, nor close.
    private static func awaitServing(
        _ port: Int,
        within seconds: Int,
        while server: Process
    ) async throws -> Bool {
        let probe = Process()
        probe.executableURL = URL(fileURLWithPath: "/bin/bash")
        probe.arguments = [
            "-c",
            """
            word() { exec 3<>"/dev/tcp/127.0.0.1/$1" && printf srvr >&3 && timeout -s KILL 2 cat <&3; }
            end=$((SECONDS + $2))
            while [ $SECONDS -lt $end ] && kill -0 "$3"; do
                if [[ $(word "$1") == *"Mode: "* ]]; then exit 0; fi
                sleep 0.05
            done
            exit 1
            """, "bash", "\(port)", "\(seconds)", "\(server.processIdentifier)",
        ]
        probe.standardInput = FileHandle.nullDevice
        probe.standardError = FileHandle.nullDevice
        return try await withCheckedThrowingContinuation { continuation in
            probe.terminationHandler = { ended in
                continuation.resume(returning: ended.terminationStatus == 0)
            }
            do { try probe.run() } catch { continuation.resume(throwing: error) }
        }
    }

    struct StartFailure: Error {
        /// Else it has not answered in time.
        var hasEnded: Bool
        var log: String
    }

    /// Ends it as a crash would: kill -9. Its data stays for ``start()``.
    func kill() async throws {
        guard let process, let control else { return }
        try control.fileHandleForWriting.write(contentsOf: Data("kill\n".utf8))
        while process.isRunning { try await Task.sleep(for: .milliseconds(5)) }
        try control.fileHandleForWriting.close()
        self.process = nil
        self.control = nil
    }

    /// The answer to a four-letter word, empty if there is none.
    static func word(_ word: String, port: Int) async throws -> String {
        guard
            let channel = try? await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .connect(
                    to: SocketAddress(ipAddress: "127.0.0.1", port: port),
                    channelInitializer: { channel in
                        channel.eventLoop.makeCompletedFuture {
                            try NIOAsyncChannel<ByteBuffer, ByteBuffer>(
                                wrappingChannelSynchronously: channel
                            )
                        }
                    }
                )
        else { return "" }
        var answer = ""
        try? await channel.executeThenClose { inbound, outbound in
            try await outbound.write(ByteBuffer(string: word))
            for try await part in inbound { answer += String(buffer: part) }
        }
        return answer
    }

    /// A port that nobody listens on now and nobody is given later: below those from which the system
    /// takes one for a connection that is opened, which tests that flood a server do by the thousand.
    /// (Those of whole servers take theirs from 15000 on.)
    private static func freePort() async throws -> Int {
        for _ in 0..<1000 {
            let port = Int.random(in: 12_000..<15_000)
            let bootstrap = ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            guard givenPorts.withLock({ $0.insert(port).inserted }),
                let channel = try? await bootstrap.bind(host: "127.0.0.1", port: port).get()
            else { continue }
            try await channel.close()
            return port
        }
        throw NoFreePort()
    }
    private static let givenPorts = Mutex<Set<Int>>([])
    private struct NoFreePort: Error {}
}
