import ClientCore
import Logging
import NIOCore
import ZooKeeperClient
import ZooKeeperModel

/// Sessions that do nothing but stay alive, to see what they cost a server. Confined to one loop.
final class IdleSessions {
    /// So many connect at a time, or the server's queue of connections would overflow.
    private static let connectingAtOnce = 64

    private let servers: [ServerAddress]
    private let count: Int
    private let eventLoop: any EventLoop
    private let logger: Logger
    private let allConnected: EventLoopPromise<Void>
    private var runners: [ClientRunner] = []
    private var connected = 0

    init(
        servers: [ServerAddress],
        count: Int,
        on eventLoop: any EventLoop,
        logger: Logger,
        allConnected: EventLoopPromise<Void>
    ) {
        self.servers = servers
        self.count = count
        self.eventLoop = eventLoop
        self.logger = logger
        self.allConnected = allConnected
    }

    func start() {
        for _ in 0..<min(count, Self.connectingAtOnce) { open() }
    }

    private func open() {
        let configuration = ClientConfiguration(
            servers: servers,
            sessionTimeout: .seconds(30),
            seed: UInt64(runners.count)
        )
        let runner = ClientRunner(
            configuration: configuration,
            eventLoop: eventLoop,
            logger: logger
        )
        runners.append(runner)
        var isCounted = false
        runner.onState = { [self] state in
            guard case .connected = state, !isCounted else { return }
            isCounted = true
            connected += 1
            if runners.count < count { open() }
            if connected == count { allConnected.succeed() }
        }
        runner.start()
    }
}
