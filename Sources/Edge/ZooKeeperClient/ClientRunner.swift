package import ClientCore
internal import DequeModule
package import Logging
package import NIOCore
internal import NIOPosix
package import ZooKeeperModel

/// Runs one ``ClientSession`` on one event loop: its sockets, its clock and its timer.
///
/// All methods and all callbacks belong to that loop; none is called from another thread. What is
/// sent during one turn of the loop leaves in one write. Names are resolved anew for each attempt,
/// on another thread. The callbacks may submit and close; what they ask is done after what they
/// were called for.
///
/// A runner keeps itself alive from ``start()`` until the session has ended. Whoever starts one
/// closes it.
package final class ClientRunner {
    package let eventLoop: any EventLoop
    /// Called for every change of the session's state, in order with completions and events.
    package var onState: (SessionState) -> Void = { _ in }
    package var onEvent: (WatchEvent) -> Void = { _ in }

    private let logger: Logger
    private var session: ClientSession
    private var completions: [RequestToken: Completion] = [:]
    private var lastToken: UInt64 = 0

    /// Inputs that callbacks caused while actions were being carried out.
    private var waitingInputs: Deque<ClientInput> = []
    private var isRunning = false

    /// The attempt that the session speaks of, and its channel once it is connected.
    private var attempt: ConnectionAttempt?
    private var channel: (any Channel)?
    /// The server of `channel`.
    package private(set) var server: ServerAddress?
    /// Bytes of this turn that were not written yet.
    private var unwritten = ByteBuffer()
    private var isFlushScheduled = false

    private var timer: Scheduled<Void>?
    /// When `timer` fires; only ever earlier than needed.
    private var timerDeadline: Instant?

    private var loop: NIOIsolatedEventLoop { eventLoop.assumeIsolated() }

    package typealias Completion = (Result<Response, ErrorCode>, Zxid) -> Void

    /// `eventLoop` must be one of NIOPosix's. Nothing happens before ``start()``, so it may be made
    /// elsewhere.
    package init(
        configuration: ClientConfiguration,
        eventLoop: any EventLoop,
        logger: Logger
    ) {
        self.eventLoop = eventLoop
        self.logger = logger
        session = ClientSession(configuration: configuration, now: Self.now())
    }

    package func start() { perform(.start) }

    /// `completion` is called once, on the loop, with the reply header's zxid (`Zxid.none` where no
    /// reply came). May be called during this call.
    @discardableResult
    package func submit(_ operation: Operation, completion: @escaping Completion) -> RequestToken {
        lastToken += 1
        let token = RequestToken(rawValue: lastToken)
        completions[token] = completion
        perform(.submit(token, operation))
        return token
    }

    /// Ends a request that was not sent yet with REQUESTTIMEOUT. One that was sent goes on, as its
    /// effect cannot be taken back; one that has ended is left alone.
    package func cancel(_ token: RequestToken) { perform(.cancel(token)) }

    /// Ends the session; `onState(.closed)` follows.
    package func close() { perform(.close) }

    private static func now() -> Instant {
        Instant(nanoseconds: Int64(clamping: NIODeadline.now().uptimeNanoseconds))
    }

    private func perform(_ input: ClientInput) {
        guard !isRunning else {
            waitingInputs.append(input)
            return
        }
        isRunning = true
        defer { isRunning = false }
        var next: ClientInput? = input
        while let input = next {
            var actions: [ClientAction] = []
            session.handle(input, at: Self.now(), actions: &actions)
            for action in actions { carryOut(action) }
            next = waitingInputs.popFirst()
        }
        setTimer()
    }

    private func carryOut(_ action: ClientAction) {
        switch action {
        case .connect(let address, let attempt): connect(to: address, attempt)
        case .send(let attempt, let bytes): send(bytes, on: attempt)
        case .disconnect(let attempt): disconnect(attempt)
        case .complete(let token, let result, let zxid):
            guard let completion = completions.removeValue(forKey: token) else {
                preconditionFailure("request \(token.rawValue) ended twice")
            }
            completion(result, zxid)
        case .event(let event): onEvent(event)
        case .state(let state): onState(state)
        case .log(let level, let text): log(level, text)
        }
    }

    private func log(_ level: ClientLogLevel, _ text: String) {
        switch level {
        case .debug: logger.debug("\(text)")
        case .info: logger.info("\(text)")
        case .warning: logger.warning("\(text)")
        case .error: logger.error("\(text)")
        }
    }

    /// A timer that fires too early is cheap; setting one at every request is not.
    private func setTimer() {
        guard let deadline = session.nextDeadline else {
            timer?.cancel()
            timer = nil
            timerDeadline = nil
            return
        }
        if let timerDeadline, timerDeadline <= deadline { return }
        timer?.cancel()
        timerDeadline = deadline
        timer = loop.scheduleTask(
            deadline: .uptimeNanoseconds(UInt64(clamping: deadline.nanoseconds))
        ) { [self] in
            timer = nil
            timerDeadline = nil
            perform(.wake)
        }
    }
}

// MARK: The connection

extension ClientRunner {
    private func connect(to address: ServerAddress, _ attempt: ConnectionAttempt) {
        self.attempt = attempt
        let bootstrap = ClientBootstrap(group: eventLoop)
            // The session decides how long to wait; this bound only ends what it gave up.
            .connectTimeout(.seconds(60))
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            // Nothing may be read before somebody listens.
            .channelOption(.autoRead, value: false)
        let connecting: EventLoopFuture<any Channel>
        if let literal = try? SocketAddress(ipAddress: address.host, port: Int(address.port)) {
            connecting = bootstrap.connect(to: literal)
        } else {
            connecting = bootstrap.connect(host: address.host, port: Int(address.port))
        }
        connecting.assumeIsolated().whenComplete { [self] result in
            switch result {
            case .success(let channel): connected(channel, to: address, attempt)
            case .failure(let error):
                guard attempt == self.attempt else { return }
                self.attempt = nil
                perform(.connectFailed(attempt, reason: "\(error)"))
            }
        }
    }

    private func connected(
        _ channel: any Channel,
        to address: ServerAddress,
        _ attempt: ConnectionAttempt
    ) {
        guard attempt == self.attempt else {
            channel.close(promise: nil)
            return
        }
        self.channel = channel
        server = address
        do {
            try channel.pipeline.syncOperations.addHandler(StreamHandler(self, attempt))
            try channel.syncOptions?.setOption(.autoRead, value: true)
        } catch {
            channel.close(promise: nil)
            return closed(attempt, reason: "\(error)")
        }
        guard channel.isActive else { return closed(attempt, reason: "closed at once") }
        perform(.connected(attempt))
    }

    fileprivate func received(_ bytes: [UInt8], on attempt: ConnectionAttempt) {
        guard attempt == self.attempt else { return }
        perform(.received(attempt, bytes))
    }

    fileprivate func closed(_ attempt: ConnectionAttempt, reason: String) {
        guard attempt == self.attempt else { return }
        forgetConnection()
        perform(.disconnected(attempt, reason: reason))
    }

    private func disconnect(_ attempt: ConnectionAttempt) {
        guard attempt == self.attempt else { return }
        let channel = self.channel
        forgetConnection()
        channel?.close(promise: nil)
    }

    private func forgetConnection() {
        attempt = nil
        channel = nil
        server = nil
        unwritten.clear()
    }

    private func send(_ bytes: [UInt8], on attempt: ConnectionAttempt) {
        guard attempt == self.attempt, channel != nil else { return }
        unwritten.writeBytes(bytes)
        guard !isFlushScheduled else { return }
        isFlushScheduled = true
        loop.execute { [self] in flush() }
    }

    private func flush() {
        isFlushScheduled = false
        guard let channel, unwritten.readableBytes > 0 else { return }
        let bytes = unwritten
        // A new buffer: the channel holds the old one until it is written.
        unwritten = ByteBuffer()
        // An error closes the channel, which is heard of as such.
        channel.writeAndFlush(bytes, promise: nil)
    }
}

/// Hands what a connection says to the runner, copied once out of the channel's buffer.
private final class StreamHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let runner: ClientRunner
    private let attempt: ConnectionAttempt
    private var reason = "closed by the server"

    init(_ runner: ClientRunner, _ attempt: ConnectionAttempt) {
        self.runner = runner
        self.attempt = attempt
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        runner.received(Array(unwrapInboundIn(data).readableBytesView), on: attempt)
    }

    func channelInactive(context: ChannelHandlerContext) {
        runner.closed(attempt, reason: reason)
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        reason = "\(error)"
        context.close(promise: nil)
    }
}
