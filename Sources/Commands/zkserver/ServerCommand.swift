import ArgumentParser
import Glibc
import Logging
import Platform
import ZooKeeperServer

/// `zkserver CONFIG`: one server, in the foreground, logging to stderr.
@main
struct ServerCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "zkserver",
        abstract: "Serves a tree of znodes to ZooKeeper's clients.",
        discussion: """
            CONFIG is a zoo.cfg. Keys that Apache's server takes as Java properties \
            (zookeeper.K) are lines K=V. SIGTERM, SIGINT and SIGHUP stop the server; what it has \
            acknowledged is on disk at any moment. SIGUSR1 makes a leader hand over to one of its \
            followers.

            Exit status: 0 after a signal, 1 when the server had to stop, 2 when it could not \
            start.
            """
    )

    @Argument(help: "The configuration file.")
    var config: String

    @Option(help: "trace, debug, info, warning or error.")
    var logLevel: Logger.Level = .info

    func run() throws {
        // Before any thread exists, so that all of them leave these signals to this one.
        let signals = SignalWait([SIGTERM, SIGINT, SIGHUP, SIGUSR1])
        // A log that nobody reads any more is no reason to end.
        signal(SIGPIPE, SIG_IGN)
        LoggingSystem.bootstrap { StreamLogHandler.standardError(label: $0) }
        var logger = Logger(label: "zkserver")
        logger.logLevel = logLevel
        let server: ZooKeeperServer
        do {
            let text = try TextFile.read(config, limitBytes: 1 << 20)
            let configuration = try ServerConfiguration(text: text, file: config)
            server = try ZooKeeperServer(configuration: configuration, logger: logger) { _ in
                // Nothing more is acknowledged: leaving at once loses nothing.
                Glibc.exit(1)
            }
        } catch {
            logger.critical("cannot start: \(error)")
            throw ExitCode(2)
        }
        while true {
            let signal = signals.wait()
            guard signal == SIGUSR1 else {
                logger.info("stopping after signal \(signal)")
                return try server.stop()
            }
            server.handOver()
        }
    }
}

extension Logger.Level: @retroactive ExpressibleByArgument {}
