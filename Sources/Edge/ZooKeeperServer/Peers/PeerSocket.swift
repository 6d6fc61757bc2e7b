internal import NIOCore
internal import NIOPosix
internal import ZooKeeperModel

/// How sockets between members are opened and accepted: the same options at both ends.
struct PeerSocket {
    let loop: any EventLoop
    let connectTimeout: TimeAmount
    /// A connection into a partition ends when what was sent is not received by the other host for so
    /// long. Without it the system repeats at ever longer intervals, and a healed partition would stay
    /// closed for up to two minutes. A paused process is not meant: its host still receives.
    let unreceivedLimit: TimeAmount

    private static let userTimeout = ChannelOptions.Types.SocketOption(
        level: .tcp,
        name: .init(rawValue: 18)
    )

    func server(
        accept: @escaping @Sendable (any Channel) throws -> Void
    ) -> ServerBootstrap {
        let milliseconds = SocketOptionValue(unreceivedLimit.nanoseconds / 1_000_000)
        return ServerBootstrap(group: loop)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelOption(.backlog, value: 128)
            .childChannelOption(.socketOption(.so_keepalive), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(Self.userTimeout, value: milliseconds)
            .childChannelOption(.maxMessagesPerRead, value: 4)
            .childChannelOption(.recvAllocator, value: Self.allocator)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try accept(channel) }
            }
    }

    /// The name is resolved anew, off the event loop.
    func connect(
        to place: HostPort,
        initialize: @escaping @Sendable (any Channel) throws -> Void
    ) -> EventLoopFuture<any Channel> {
        let milliseconds = SocketOptionValue(unreceivedLimit.nanoseconds / 1_000_000)
        return ClientBootstrap(group: loop)
            .connectTimeout(connectTimeout)
            .channelOption(.socketOption(.so_keepalive), value: 1)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(Self.userTimeout, value: milliseconds)
            .channelOption(.maxMessagesPerRead, value: 4)
            .channelOption(.recvAllocator, value: Self.allocator)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try initialize(channel) }
            }
            .connect(host: place.host, port: place.port)
    }

    private static var allocator: AdaptiveRecvByteBufferAllocator {
        AdaptiveRecvByteBufferAllocator(minimum: 1024, initial: 8192, maximum: 1 << 18)
    }
}

/// Keeps the places open at which this server listens for the other members.
///
/// A place that cannot be had is tried again, a second apart: its name may not be known yet, or an
/// earlier process may just be ending. After the last attempt ``onFailure`` is told why.
final class Listeners {
    private let loop: any EventLoop
    private let attempts: Int
    private var channels: [any Channel] = []
    private var retries: [Scheduled<Void>] = []
    private var isStopped = false
    var onOpen: (String) -> Void = { _ in }
    var onRetry: (String) -> Void = { _ in }
    var onFailure: (String) -> Void = { _ in }

    /// 0 attempts: for ever.
    init(loop: any EventLoop, attempts: Int) {
        self.loop = loop
        self.attempts = attempts
    }

    /// `purpose` is what the port is called in messages.
    func listen(at place: HostPort, with bootstrap: ServerBootstrap, purpose: String) {
        attempt(1, place, bootstrap, purpose)
    }

    private func attempt(
        _ number: Int,
        _ place: HostPort,
        _ bootstrap: ServerBootstrap,
        _ purpose: String
    ) {
        let bound = NIOLoopBound(self, eventLoop: loop)
        let settings = NIOLoopBound(bootstrap, eventLoop: loop)
        bootstrap.bind(host: place.host, port: place.port).whenComplete { result in
            bound.value.completed(result, number, place, settings.value, purpose)
        }
    }

    private func completed(
        _ result: Result<any Channel, any Error>,
        _ number: Int,
        _ place: HostPort,
        _ bootstrap: ServerBootstrap,
        _ purpose: String
    ) {
        switch result {
        case .success(let channel):
            guard !isStopped else { return channel.close(promise: nil) }
            channels.append(channel)
            // A name can stand for several addresses, of which this is the first.
            let address = channel.localAddress?.ipAddress ?? "an unknown address"
            onOpen("listening on the \(purpose) \(place) at \(address)")
        case .failure(let error):
            guard !isStopped else { return }
            let sentence =
                "cannot listen on the \(purpose) \(place): \(SocketErrors.sentence(error))"
            guard attempts == 0 || number < attempts else { return onFailure(sentence) }
            onRetry(sentence + "; trying again in a second")
            let bound = NIOLoopBound(self, eventLoop: loop)
            let settings = NIOLoopBound(bootstrap, eventLoop: loop)
            retries.append(
                loop.scheduleTask(in: .seconds(1)) {
                    bound.value.attempt(number + 1, place, settings.value, purpose)
                }
            )
        }
    }

    func stop() {
        isStopped = true
        for retry in retries { retry.cancel() }
        for channel in channels { channel.close(promise: nil) }
    }
}
