internal import DequeModule
package import ZooKeeperModel
internal import ZooKeeperWire

/// A client's side of a ZooKeeper session, pure: inputs with the time go in, actions come out.
///
/// The problem: a session outlives its connections. Servers come and go, and the user of a session
/// wants to notice no more of it than the truth demands. Rules kept:
/// - Requests are sent and answered in the order of their submission. Without a connection they
///   wait; a connection that is lost ends those in flight with CONNECTIONLOSS, since nobody knows
///   whether they took effect. Every request ends exactly once.
/// - Replies and events are reported in the order in which they came.
/// - On every connection the first thing after the handshake are the credentials, then the watches,
///   then requests. So no request runs with fewer rights or misses an event because of a
///   reconnection.
/// - What the server is told to be the last zxid seen never goes back, so that no server behind it
///   is ever used: a session sees no older state than it has seen. The watches are caught up from
///   the last *reply*: an event of one transaction says nothing about the other events of that
///   transaction, which may have been lost with the connection.
/// - `.expired` is reported only when a server says so. While no server can be reached the session
///   may have expired or not; the client cannot know, and a local clock proves nothing. Requests
///   simply wait. A server that answers with another session than the presented one (some
///   implementations do instead of refusing it) says that it expired, too.
/// - A connection is dropped after hearing nothing for two thirds of the session timeout; pings
///   after a third of idleness keep a live one from that. The last third is for finding another
///   server.
/// - Whatever a server sends, at worst the connection is dropped.
///
/// It never retries a request that was sent, never reorders, and never resolves names: the edge
/// does, anew for each attempt. Sources: ZooKeeper programmer's guide, "ZooKeeper Sessions"; the
/// protocol as Docs/Protocol.md states it.
package struct ClientSession {
    enum Phase {
        case idle
        case waiting(until: Instant)
        /// Until the TCP connection stands.
        case connecting(ConnectionAttempt, deadline: Instant)
        /// Until the server has answered the connect request.
        case handshaking(ConnectionAttempt, deadline: Instant)
        case established(Connection)
        /// Over; later requests are answered with this.
        case ended(ErrorCode)
    }

    struct Connection {
        let attempt: ConnectionAttempt
        var lastHeard: Instant
        var lastSent: Instant
        /// Indices of the credentials whose answers are due, in order.
        var unansweredCredentials: Deque<Int> = []
        var unansweredSetWatches = 0
        /// closeSession was sent.
        var isClosing = false
    }

    /// A credential is presented on every connection from now on; `waiting` are the requests that
    /// want to know how it was taken.
    struct PresentedCredential {
        let credential: ClientConfiguration.Credential
        var waiting: [RequestToken] = []
    }

    /// Paths of watches in one setWatches, in bytes; servers refuse too long a request.
    static let setWatchesChunkBytes = 128 << 10

    let configuration: ClientConfiguration
    var servers: ServerList
    var phase = Phase.idle
    var lastAttempt: UInt64 = 0
    var frames: FrameDecoder
    var pending = PendingRequests()
    var watches = WatchRegistry()
    var credentials: [PresentedCredential]
    var lastXid: Int32 = 0

    var session = SessionID.none
    var password: [UInt8] = []
    /// The negotiated timeout, before that the one to ask for.
    var timeout: Duration
    /// The session of the last `.connected`.
    var reportedSession = SessionID.none
    /// Never goes back.
    var lastZxidSeen = Zxid.zero
    /// Invariant: `lastReplyZxid <= lastZxidSeen`. All events up to here have been reported.
    var lastReplyZxid = Zxid.zero

    package init(configuration: ClientConfiguration, now: Instant) {
        self.configuration = configuration
        servers = ServerList(configuration.servers, seed: configuration.seed)
        frames = FrameDecoder(maxFrameBytes: configuration.limits.replyBytes)
        credentials = configuration.credentials.map { PresentedCredential(credential: $0) }
        timeout = configuration.sessionTimeout
    }

    package mutating func handle(
        _ input: ClientInput,
        at now: Instant,
        actions: inout [ClientAction]
    ) {
        switch input {
        case .start:
            guard case .idle = phase else { return }
            connect(at: now, &actions)
        case .submit(let token, .auth(let scheme, let bytes)):
            present(
                ClientConfiguration.Credential(scheme: scheme, bytes: bytes),
                for: token,
                at: now,
                &actions
            )
        case .submit(let token, let operation):
            submit(operation, token, at: now, &actions)
        case .cancel(let token):
            if let entry = pending.removeQueued(token) {
                finish(entry, .failure(.requestTimeout), &actions)
            }
        case .connected(let attempt):
            guard case .connecting(attempt, let deadline) = phase else { return }
            actions.append(.send(attempt, connectRequest()))
            phase = .handshaking(attempt, deadline: deadline)
        case .connectFailed(let attempt, let reason), .disconnected(let attempt, let reason):
            guard attempt == currentAttempt else { return }
            lose(reason, isOpen: false, at: now, &actions)
        case .received(let attempt, let chunk):
            guard attempt == currentAttempt else { return }
            receive(chunk, of: attempt, at: now, &actions)
        case .wake:
            wake(at: now, &actions)
        case .close:
            close(at: now, &actions)
        }
    }

    /// When to send the next `.wake`, or nil while nothing is pending.
    package var nextDeadline: Instant? {
        switch phase {
        case .idle, .ended: nil
        case .waiting(let until): until
        case .connecting(_, let deadline), .handshaking(_, let deadline): deadline
        case .established(let connection):
            min(connection.lastSent + pingInterval, connection.lastHeard + silenceBound)
        }
    }

    var currentAttempt: ConnectionAttempt? {
        switch phase {
        case .idle, .waiting, .ended: nil
        case .connecting(let attempt, _), .handshaking(let attempt, _): attempt
        case .established(let connection): connection.attempt
        }
    }

    var pingInterval: Duration { timeout / 3 }
    var silenceBound: Duration { timeout * 2 / 3 }
    /// Such that a round over all servers fits in what a session lasts without a connection.
    var connectBound: Duration {
        max(silenceBound / servers.count, .milliseconds(100))
    }
}

// MARK: Connections

extension ClientSession {
    mutating func connect(at now: Instant, _ actions: inout [ClientAction]) {
        lastAttempt += 1
        let attempt = ConnectionAttempt(rawValue: lastAttempt)
        frames = FrameDecoder(maxFrameBytes: configuration.limits.replyBytes)
        phase = .connecting(attempt, deadline: now + connectBound)
        actions.append(.connect(servers.current, attempt))
    }

    func connectRequest() -> [UInt8] {
        let milliseconds = configuration.sessionTimeout.wholeMilliseconds
        let request = ConnectRequest(
            lastZxidSeen: lastZxidSeen,
            timeout: Int32(clamping: milliseconds),
            session: session,
            password: session == .none ? [UInt8](repeating: 0, count: 16) : password,
            readOnly: configuration.readOnlyAllowed
        )
        var writer = JuteWriter(capacityBytes: 64)
        ConnectCodec.encode(request, into: &writer)
        return writer.bytes
    }

    /// The current attempt or connection is over. `isOpen` says that the edge does not know yet.
    mutating func lose(
        _ reason: String,
        isOpen: Bool,
        at now: Instant,
        _ actions: inout [ClientAction]
    ) {
        guard let attempt = currentAttempt else {
            preconditionFailure("a connection was lost where there is none: \(reason)")
        }
        if isOpen { actions.append(.disconnect(attempt)) }
        let server = servers.current
        let pause = servers.advance()
        if case .established(let connection) = phase {
            actions.append(.log(.warning, "lost \(server): \(reason)"))
            for entry in pending.takeInFlight() {
                finish(entry, .failure(.connectionLoss), &actions)
            }
            // The session ends with its timeout if the server has not got the request.
            if connection.isClosing {
                return end(.sessionExpired, .closed, queuedError: .connectionLoss, &actions)
            }
            actions.append(.state(.disconnected))
        } else {
            // Of an ensemble that stays away one round is news, the many after it are not.
            actions.append(
                .log(pause == .zero ? .info : .debug, "cannot use \(server): \(reason)")
            )
        }
        if pause == .zero {
            connect(at: now, &actions)
        } else {
            phase = .waiting(until: now + pause)
        }
    }

    mutating func wake(at now: Instant, _ actions: inout [ClientAction]) {
        switch phase {
        case .idle, .ended: break
        case .waiting(let until):
            if now >= until { connect(at: now, &actions) }
        case .connecting(_, let deadline), .handshaking(_, let deadline):
            if now >= deadline {
                lose("no answer in \(connectBound)", isOpen: true, at: now, &actions)
            }
        case .established(var connection):
            if now >= connection.lastHeard + silenceBound {
                lose("heard nothing for \(silenceBound)", isOpen: true, at: now, &actions)
            } else if now >= connection.lastSent + pingInterval {
                connection.lastSent = now
                phase = .established(connection)
                let frame = encode(Request(xid: Request.pingXid, operation: .ping))
                actions.append(.send(connection.attempt, frame))
            }
        }
    }

    mutating func close(at now: Instant, _ actions: inout [ClientAction]) {
        switch phase {
        case .ended: break
        case .established(var connection):
            guard !connection.isClosing else { return }
            connection.isClosing = true
            connection.lastSent = now
            phase = .established(connection)
            let xid = nextXid()
            let frame = encode(Request(xid: xid, operation: .closeSession))
            pending.appendInFlight(
                PendingRequests.Entry(
                    token: nil,
                    xid: xid,
                    operation: .closeSession,
                    frameBytes: frame.count
                )
            )
            actions.append(.send(connection.attempt, frame))
        case .idle, .waiting, .connecting, .handshaking:
            // No server can be told: the session, if there is one, ends with its timeout.
            if let attempt = currentAttempt { actions.append(.disconnect(attempt)) }
            end(.sessionExpired, .closed, queuedError: .connectionLoss, &actions)
        }
    }

    /// The end of everything, whose reason is `error`. What was sent is ended by the caller.
    mutating func end(
        _ error: ErrorCode,
        _ state: SessionState,
        queuedError: ErrorCode? = nil,
        _ actions: inout [ClientAction]
    ) {
        phase = .ended(error)
        for entry in pending.takeQueued() {
            finish(entry, .failure(queuedError ?? error), &actions)
        }
        for index in credentials.indices {
            for token in credentials[index].waiting {
                actions.append(
                    .complete(token, .failure(queuedError ?? error), zxid: .none)
                )
            }
            credentials[index].waiting = []
        }
        watches.removeAll()
        actions.append(.state(state))
    }

    func finish(
        _ entry: PendingRequests.Entry,
        _ result: Result<Response, ErrorCode>,
        zxid: Zxid = .none,
        _ actions: inout [ClientAction]
    ) {
        if let token = entry.token { actions.append(.complete(token, result, zxid: zxid)) }
    }
}

// MARK: Checks

extension ClientSession {
    /// Traps where the state contradicts itself. For tests and the simulation.
    package func checkInvariants() {
        pending.checkInvariants()
        watches.checkInvariants()
        precondition(lastReplyZxid <= lastZxidSeen, "a reply's zxid was not taken as seen")
        switch phase {
        case .established:
            precondition(pending.queued.isEmpty, "requests wait while there is a connection")
            precondition(session != .none, "a connection without a session")
        case .idle, .waiting, .connecting, .handshaking:
            precondition(pending.inFlight.isEmpty, "requests in flight without a connection")
        case .ended:
            precondition(pending.count == 0, "requests outlive their session")
            precondition(
                credentials.allSatisfy(\.waiting.isEmpty),
                "credentials wait after the end"
            )
        }
    }
}
