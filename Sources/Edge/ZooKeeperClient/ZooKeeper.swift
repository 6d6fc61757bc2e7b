internal import ClientCore
public import Logging
public import NIOCore
public import NIOPosix
public import ZooKeeperModel

/// A session with a ZooKeeper ensemble.
///
/// ```swift
/// let zk = try await ZooKeeper.connect("zk1:2181,zk2:2181,zk3:2181/app")
/// let (path, _) = try await zk.create("/lock-", data: nil, mode: .ephemeralSequential)
/// let (data, stat) = try await zk.getData("/config")
/// await zk.close()
/// ```
///
/// - Any task may use it. Operations are sent in the order in which they were asked for, without
///   waiting for one another: start thousands and await them later.
/// - When a connection is lost the session goes on with the next server, and no watch is lost.
///   Operations under way then throw `.connectionLoss`, since nobody knows whether they took
///   effect; those asked for meanwhile wait for the next connection, however long that takes.
///   Cancel their tasks to stop waiting.
/// - A session that a server has forgotten throws `.sessionExpired` from all that waits, with its
///   ephemerals and watches gone, and is followed by a new one, unless configured otherwise.
/// - Paths begin with `/` and are UTF-8. Data is bytes, and null and empty data are different.
///   A version of −1 matches any.
///
/// Operations throw ``ZooKeeperError``, or `CancellationError` as soon as their task is cancelled.
/// A cancelled operation that was already sent may still take effect; one that was not never is.
///
/// ``close()`` ends the session and with it its ephemerals. A handle that is let go without closes
/// in the background.
public final class ZooKeeper: Sendable {
    /// How a session is had.
    public struct Configuration: Sendable {
        /// What the client asks for; servers answer with what they grant.
        public var sessionTimeout: Duration = .seconds(10)
        /// Presented on every connection before anything else. See ``ZooKeeper/addAuth(scheme:_:)``.
        public var credentials: [(scheme: String, credential: [UInt8])] = []
        /// Whether a server that has lost its quorum will do, for reads. Such a session is held by
        /// that server alone.
        public var isReadOnlyAllowed = false
        /// Whether an expired session is followed by a new one.
        public var renewsExpiredSession = true
        /// The longest request sent, in bytes; the servers' `jute.maxbuffer`.
        public var longestRequestBytes = 1_048_575
        public init() {}
    }

    /// The session as it comes and goes.
    public enum State: Hashable, Sendable {
        /// At first or again. `isNew`: ephemerals and watches of an earlier session are gone.
        /// `readOnly`: the server has lost its quorum and takes no writes.
        case connected(SessionID, isNew: Bool, timeout: Duration, readOnly: Bool)
        /// The connection is gone; the session may still be saved.
        case disconnected
        /// A server said that the session is gone. Without a server nobody can know.
        case expired
        /// A server refused a credential. Final.
        case authenticationFailed
        /// Final.
        case closed
    }

    /// How many events may wait in one stream for its reader.
    public static let bufferedEvents = 65_536

    private let loop: any EventLoop
    private let session: NIOLoopBoundBox<LoopSession?>
    let chroot: ZnodePath

    /// Begins to connect and returns at once; operations wait for the connection.
    ///
    /// - Parameter servers: see ``ConnectString``.
    /// - Parameter eventLoopGroup: one of NIOPosix's; one loop of it runs the session.
    /// - Throws: ``ConnectStringError``.
    public init(
        _ servers: String,
        configuration: Configuration = Configuration(),
        eventLoopGroup: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton,
        logger: Logger = Logger(label: "zookeeper.client")
    ) throws(ConnectStringError) {
        let target = try ConnectString(servers)
        var core = ClientConfiguration(
            servers: target.servers,
            sessionTimeout: configuration.sessionTimeout,
            credentials: configuration.credentials.map {
                .init(scheme: $0.scheme, bytes: $0.credential)
            },
            readOnlyAllowed: configuration.isReadOnlyAllowed,
            renewsExpiredSession: configuration.renewsExpiredSession,
            seed: UInt64.random(in: 0 ... .max)
        )
        core.limits.requestBytes = configuration.longestRequestBytes
        chroot = target.chroot
        loop = eventLoopGroup.next()
        session = .makeEmptyBox(valueType: LoopSession.self, eventLoop: loop)
        loop.execute { [core, loop, session] in
            let new = LoopSession(
                configuration: core,
                chroot: target.chroot,
                eventLoop: loop,
                logger: logger
            )
            session.value = new
            new.start()
        }
    }

    deinit {
        loop.execute { [session] in session.value?.close() }
    }

    /// A session that is connected.
    ///
    /// - Parameter limit: how long to try before `.connectionLoss` is thrown.
    /// - Throws: ``ConnectStringError``; ``ZooKeeperError`` with `.connectionLoss` or `.authFailed`;
    ///   `CancellationError`.
    public static func connect(
        _ servers: String,
        configuration: Configuration = Configuration(),
        within limit: Duration = .seconds(30),
        eventLoopGroup: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton,
        logger: Logger = Logger(label: "zookeeper.client")
    ) async throws -> ZooKeeper {
        let zooKeeper = try ZooKeeper(
            servers,
            configuration: configuration,
            eventLoopGroup: eventLoopGroup,
            logger: logger
        )
        try await zooKeeper.waitUntilConnected(within: limit)
        return zooKeeper
    }

    private func waitUntilConnected(within limit: Duration) async throws {
        try await Call<Void>().result { [loop, session] call in
            loop.execute { session.value?.whenConnected(call) }
            loop.scheduleTask(in: .nanoseconds(limit.wholeNanoseconds)) {
                call.finish(.failure(ZooKeeperError(.connectionLoss, "connect")))
            }
        }
    }

    /// Ends the session and returns when the server has ended it, or when it cannot be told.
    public func close() async {
        // Only cancellation throws: then the session closes unheard.
        try? await Call<Void>().result { [loop, session] call in
            loop.execute {
                if let session = session.value {
                    session.close(call)
                } else {
                    call.finish(.success(()))
                }
            }
        }
    }

    // MARK: Events

    /// All watch events and changes of state from now on, in their order among each other; begins
    /// with the present state, if there was one yet, and ends when the session is over for good.
    /// Throws `.throttledOperation` if ``bufferedEvents`` wait for their reader.
    public func events() -> SessionEventStream {
        let (stream, continuation) = SessionEventStream.makeStream(
            bufferingPolicy: .bufferingOldest(Self.bufferedEvents)
        )
        loop.execute { [loop, session] in
            guard let open = session.value else { return continuation.finish() }
            let number = open.addReader(continuation)
            continuation.onTermination = { _ in
                loop.execute { session.value?.removeReader(number) }
            }
        }
        return stream
    }
}

/// See ``ZooKeeper/events()``.
public typealias SessionEventStream = AsyncThrowingStream<SessionEvent, any Error>

public enum SessionEvent: Hashable, Sendable {
    case watch(WatchEvent)
    case state(ZooKeeper.State)
}

// MARK: Asking

extension ZooKeeper {
    /// Sends an operation and waits for its answer. `take` runs on the loop, in the order of
    /// answers and events.
    func ask<Value: Sendable>(
        _ name: String,
        _ path: String?,
        _ operation: Operation?,
        _ take: @escaping @Sendable (LoopSession, Response) -> Value?
    ) async throws -> Value {
        try await askResult(name, path, operation) { session, result in
            result.flatMap { response in
                // The session has checked that the reply has the shape of the operation.
                take(session, response).map { .success($0) } ?? .failure(.marshallingError)
            }
        }
    }

    func askResult<Value: Sendable>(
        _ name: String,
        _ path: String?,
        _ operation: Operation?,
        _ take:
            @escaping @Sendable (LoopSession, Result<Response, ErrorCode>) -> Result<
                Value, ErrorCode
            >
    ) async throws -> Value {
        guard let operation else { throw ZooKeeperError(.badArguments, name, path: path) }
        let token = NIOLoopBoundBox<RequestToken?>.makeEmptyBox(
            valueType: RequestToken.self,
            eventLoop: loop
        )
        do {
            return try await Call<Value>().result { [loop, session] call in
                loop.execute {
                    guard !call.isOver, let open = session.value else { return }
                    token.value = open.submit(operation) { result in
                        switch take(open, result) {
                        case .success(let value): call.finish(.success(value))
                        case .failure(let code):
                            call.finish(.failure(ZooKeeperError(code, name, path: path)))
                        }
                    }
                }
            }
        } catch let error as CancellationError {
            loop.execute { [session] in
                if let token = token.value { session.value?.cancel(token) }
            }
            throw error
        }
    }

    /// A stream of the events that watches of these kinds on this path fire. On the loop.
    func watch(
        _ open: LoopSession,
        _ kinds: WatchKinds,
        at path: ZnodePath
    ) -> WatchStream {
        let (stream, continuation) = WatchStream.makeStream(
            bufferingPolicy: .bufferingOldest(Self.bufferedEvents)
        )
        let id = open.subscribe(kinds, at: path, continuation)
        continuation.onTermination = { [loop, session] _ in
            loop.execute { session.value?.unsubscribe(id) }
        }
        return stream
    }
}
