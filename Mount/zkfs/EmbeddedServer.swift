import Fuse
import Logging
import Platform
import ZooKeeperServer

/// One server inside the mount's process, for a first try. Its data lies in a directory and is there
/// again next time.
///
/// It listens on a port of the loopback address that the system chooses, unless a `zoo.cfg` in the
/// directory says otherwise.
struct EmbeddedServer {
    private static let configurationLimitBytes = 1 << 20

    private let server: ZooKeeperServer
    private let logger: Logger
    /// As the mount connects to it.
    let address: String

    init(
        directory: String,
        logger: Logger,
        onHalt: @escaping @Sendable (String) -> Void
    ) throws {
        let configuration = try Self.configuration(in: directory)
        self.logger = logger
        server = try ZooKeeperServer(
            configuration: configuration,
            logger: logger,
            onHalt: onHalt
        )
        let host = configuration.clientPortAddress ?? "127.0.0.1"
        address =
            host.contains(":") ? "[\(host)]:\(server.clientPort)" : "\(host):\(server.clientPort)"
    }

    func stop() {
        do {
            try server.stop()
        } catch {
            // What was acknowledged is on disk already.
            logger.warning("the server inside did not stop as it should: \(error)")
        }
    }

    private static func configuration(in directory: String) throws -> ServerConfiguration {
        let file = directory + "/zoo.cfg"
        if ProcessFacts.exists(file) {
            let text = try TextFile.read(file, limitBytes: configurationLimitBytes)
            return try ServerConfiguration(text: text, file: file)
        }
        // The port is replaced by one that the system chooses; the text has no word for that.
        var configuration = try ServerConfiguration(
            text: """
                dataDir=\(directory)
                clientPort=1
                clientPortAddress=127.0.0.1
                tickTime=2000
                autopurge.purgeInterval=1
                """,
            file: "the settings of --embedded"
        )
        configuration.clientPort = 0
        return configuration
    }
}
