internal import Journal
package import Logging
internal import NIOCore
internal import NIOPosix
internal import Platform
internal import Replication
internal import ZooKeeperModel

/// A server that runs: one replica, its disk and its client port.
///
/// One event loop serves all clients and owns the replica, so that a request is handled where it
/// was read, without a hop. Snapshots, log and epochs live under `version-2` of the configured
/// directories; locks there keep a second server off the same data.
package final class ZooKeeperServer: Sendable {
    private let group: MultiThreadedEventLoopGroup
    private let channel: any Channel
    private let runner: NIOLoopBound<ReplicaRunner>
    private let lock: Handover<DirectoryLock>
    /// The port that clients reach; the configured one, or the one the system chose for 0.
    package let clientPort: Int

    /// Recovers what is on disk and opens the client port. Throws an error that says what is
    /// wrong and where. `onHalt` is told when the server can not go on safely; its process
    /// should then end.
    package init(
        configuration: ServerConfiguration,
        logger: Logger,
        onHalt: @escaping @Sendable (String) -> Void
    ) throws {
        for warning in configuration.warnings { logger.warning("\(warning)") }
        let disk = try PosixDisk(root: "/")
        try disk.createDirectory(configuration.journal.dataDirectory)
        try disk.createDirectory(configuration.journal.logDirectory)
        lock = Handover(
            try DirectoryLock(
                directories: [
                    configuration.dataDirectory,
                    configuration.logDirectory ?? configuration.dataDirectory,
                ]
            )
        )
        let (journal, recovered) = try Self.recover(configuration, disk, logger)
        group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        do {
            let bound = try loop.submit { [journal = Handover(journal), recovered] in
                NIOLoopBound(
                    ReplicaRunner(
                        configuration: configuration,
                        recovered: recovered,
                        journal: journal.value,
                        loop: loop,
                        logger: logger,
                        onHalt: onHalt
                    ),
                    eventLoop: loop
                )
            }.wait()
            runner = bound
            channel = try Self.listen(configuration, bound, on: loop)
            clientPort = channel.localAddress?.port ?? configuration.clientPort
            try loop.submit { bound.value.start() }.wait()
        } catch {
            try? group.syncShutdownGracefully()
            throw error
        }
        logger.info("listening for clients on port \(clientPort)")
    }

    /// Where this server leads, it makes way for one of its followers; the log says what comes of it.
    package func handOver() {
        channel.eventLoop.execute { [runner] in runner.value.handOver() }
    }

    /// Closes the port and all clients, and waits until both are done. The lock on the data goes with
    /// the last use of the server.
    package func stop() throws {
        try channel.close().wait()
        try channel.eventLoop.submit { [runner] in runner.value.stop() }.wait()
        try group.syncShutdownGracefully()
    }
}

extension ZooKeeperServer {
    private static func recover(
        _ configuration: ServerConfiguration,
        _ disk: PosixDisk,
        _ logger: Logger
    ) throws -> (PatientJournal, RecoveredState) {
        let journal = Journal(disk: disk, configuration: configuration.journal)
        let (state, summary) = try journal.recoveredState(
            extendedTypes: configuration.extendedTypes
        )
        for note in summary.notes { logger.warning("\(note)") }
        logger.info("recovered up to \(summary.lastZxid) from \(configuration.dataDirectory)")
        return (PatientJournal(journal, on: disk), state)
    }

    private static func listen(
        _ configuration: ServerConfiguration,
        _ runner: NIOLoopBound<ReplicaRunner>,
        on loop: any EventLoop
    ) throws -> any Channel {
        let host = configuration.clientPortAddress ?? "::"
        let port = configuration.clientPort
        do {
            return try bootstrap(configuration, runner, on: loop).bind(host: host, port: port)
                .wait()
        } catch {
            throw ServerStartError(
                description:
                    "clients cannot be listened for at \(HostPort(host: host, port: port)): "
                    + SocketErrors.sentence(error)
            )
        }
    }

    private static func bootstrap(
        _ configuration: ServerConfiguration,
        _ runner: NIOLoopBound<ReplicaRunner>,
        on loop: any EventLoop
    ) -> ServerBootstrap {
        ServerBootstrap(group: loop)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelOption(.backlog, value: configuration.listenBacklog)
            .childChannelOption(.socketOption(.so_keepalive), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(.maxMessagesPerRead, value: 4)
            .childChannelOption(
                .recvAllocator,
                value: AdaptiveRecvByteBufferAllocator(
                    minimum: 1024,
                    initial: 4096,
                    maximum: 1 << 18
                )
            )
            .childChannelInitializer { child in
                child.eventLoop.makeCompletedFuture {
                    let address = child.remoteAddress
                    let host = Self.printed(address?.ipAddress ?? "0.0.0.0")
                    let admission = runner.value.admission
                    guard admission.admit(host) else {
                        runner.value.figures.rejected += 1
                        runner.value.logger.warning(
                            "refusing a connection from \(host): too many already"
                        )
                        throw AdmissionRefused()
                    }
                    child.closeFuture.whenComplete { _ in runner.value.admission.leave(host) }
                    try child.pipeline.syncOperations.addHandler(
                        ClientConnection(
                            id: admission.nextID(),
                            address: host,
                            printedAddress: "/\(host):\(address?.port ?? 0)",
                            runner: runner.value
                        )
                    )
                }
            }
    }
}

/// Why a server does not start.
package struct ServerStartError: Error, Hashable, Sendable, CustomStringConvertible {
    package let description: String
}

/// Counts clients by address, and numbers them.
final class Admission {
    private let perAddress: Int
    private let total: Int
    private var counts: [String: Int] = [:]
    private var all = 0
    private var lastID: UInt64 = 0

    /// 0 means no limit.
    init(perAddress: Int, total: Int) {
        self.perAddress = perAddress
        self.total = total
    }

    func admit(_ host: String) -> Bool {
        let count = counts[host, default: 0]
        if perAddress > 0, count >= perAddress { return false }
        if total > 0, all >= total { return false }
        counts[host] = count + 1
        all += 1
        return true
    }

    func leave(_ host: String) {
        all -= 1
        let count = counts[host, default: 0]
        counts[host] = count > 1 ? count - 1 : nil
    }

    func nextID() -> ConnectionID {
        lastID += 1
        return ConnectionID(rawValue: lastID)
    }
}

struct AdmissionRefused: Error {}

extension ZooKeeperServer {
    /// A socket that listens for both kinds of addresses has IPv4's as ::ffff:1.2.3.4; everybody else,
    /// Apache's server included, calls them 1.2.3.4.
    private static func printed(_ address: String) -> String {
        let prefix = "::ffff:"
        let rest = address.dropFirst(prefix.count)
        return address.hasPrefix(prefix) && rest.contains(".") ? String(rest) : address
    }
}

/// Carries a value to the one thread that will own it from then on.
private struct Handover<Value>: @unchecked Sendable {
    // Safe because the sender does not touch the value after it has handed it over.
    let value: Value
    init(_ value: Value) { self.value = value }
}
