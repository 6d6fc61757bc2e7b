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
    private enum Phase {
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

    private struct Connection {
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
    private struct PresentedCredential {
        let credential: ClientConfiguration.Credential
        var waiting: [RequestToken] = []
    }

    /// Paths of watches in one setWatches, in bytes; servers refuse too long a request.
    static let setWatchesChunkBytes = 128 << 10

    private let configuration: ClientConfiguration
    private var servers: ServerList
    private var phase = Phase.idle
    private var lastAttempt: UInt64 = 0
    private var frames: FrameDecoder
    private var pending = PendingRequests()
    private var watches = WatchRegistry()
    private var credentials: [PresentedCredential]
    private var lastXid: Int32 = 0

    private var session = SessionID.none
    private var password: [UInt8] = []
    /// The negotiated timeout, before that the one to ask for.
    private var timeout: Duration
    /// The session of the last `.connected`.
    private var reportedSession = SessionID.none
    /// Never goes back.
    private var lastZxidSeen = Zxid.zero
    /// Invariant: `lastReplyZxid <= lastZxidSeen`. All events up to here have been reported.
    private var lastReplyZxid = Zxid.zero

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

    private var currentAttempt: ConnectionAttempt? {
        switch phase {
        case .idle, .waiting, .ended: nil
        case .connecting(let attempt, _), .handshaking(let attempt, _): attempt
        case .established(let connection): connection.attempt
        }
    }

    private var pingInterval: Duration { timeout / 3 }
    private var silenceBound: Duration { timeout * 2 / 3 }
    /// Such that a round over all servers fits in what a session lasts without a connection.
    private var connectBound: Duration {
        max(silenceBound / servers.count, .milliseconds(100))
    }
}

// MARK: Connections

extension ClientSession {
    private mutating func connect(at now: Instant, _ actions: inout [ClientAction]) {
        lastAttempt += 1
        let attempt = ConnectionAttempt(rawValue: lastAttempt)
        frames = FrameDecoder(maxFrameBytes: configuration.limits.replyBytes)
        phase = .connecting(attempt, deadline: now + connectBound)
        actions.append(.connect(servers.current, attempt))
    }

    private func connectRequest() -> [UInt8] {
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
    private mutating func lose(
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

    private mutating func wake(at now: Instant, _ actions: inout [ClientAction]) {
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

    private mutating func close(at now: Instant, _ actions: inout [ClientAction]) {
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
    private mutating func end(
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

    private func finish(
        _ entry: PendingRequests.Entry,
        _ result: Result<Response, ErrorCode>,
        zxid: Zxid = .none,
        _ actions: inout [ClientAction]
    ) {
        if let token = entry.token { actions.append(.complete(token, result, zxid: zxid)) }
    }
}

// MARK: Requests

extension ClientSession {
    private mutating func submit(
        _ operation: Operation,
        _ token: RequestToken,
        at now: Instant,
        _ actions: inout [ClientAction]
    ) {
        func refuse(_ error: ErrorCode) {
            actions.append(.complete(token, .failure(error), zxid: .none))
        }
        if case .ended(let error) = phase { return refuse(error) }
        guard operation.isSendable else { return refuse(.badArguments) }
        if operation.setsWatch && watches.count >= configuration.limits.watchedPaths {
            return refuse(.throttledOperation)
        }
        guard pending.count < configuration.limits.outstandingRequests,
            pending.outstandingBytes < configuration.limits.outstandingBytes
        else { return refuse(.connectionLoss) }
        let xid = nextXid()
        let frame = encode(Request(xid: xid, operation: operation))
        guard frame.count - 4 <= configuration.limits.requestBytes else {
            return refuse(.badArguments)
        }
        let entry = PendingRequests.Entry(
            token: token,
            xid: xid,
            operation: operation.withoutPayload,
            frameBytes: frame.count
        )
        if case .established(var connection) = phase {
            guard !connection.isClosing else { return refuse(.sessionExpired) }
            connection.lastSent = now
            phase = .established(connection)
            pending.appendInFlight(entry)
            actions.append(.send(connection.attempt, frame))
        } else {
            pending.appendQueued(entry, frame: frame)
        }
    }

    /// Credentials wait for no bound of their own order: a server answers them as they arrive.
    private mutating func present(
        _ credential: ClientConfiguration.Credential,
        for token: RequestToken,
        at now: Instant,
        _ actions: inout [ClientAction]
    ) {
        func refuse(_ error: ErrorCode) {
            actions.append(.complete(token, .failure(error), zxid: .none))
        }
        if case .ended(let error) = phase { return refuse(error) }
        guard
            credential.scheme.utf8.count + credential.bytes.count
                <= ClientConfiguration.Limits.credentialBytes
        else { return refuse(.badArguments) }
        let index: Int
        if let known = credentials.firstIndex(where: { $0.credential == credential }) {
            index = known
        } else {
            guard credentials.count < configuration.limits.credentials else {
                return refuse(.throttledOperation)
            }
            index = credentials.count
            credentials.append(PresentedCredential(credential: credential))
        }
        guard credentials[index].waiting.count < configuration.limits.outstandingRequests else {
            return refuse(.connectionLoss)
        }
        credentials[index].waiting.append(token)
        // Without a connection it goes out first on the next one.
        guard case .established(var connection) = phase else { return }
        // An answer that is due will do for this one, too.
        guard !connection.unansweredCredentials.contains(index) else { return }
        connection.unansweredCredentials.append(index)
        connection.lastSent = now
        phase = .established(connection)
        actions.append(.send(connection.attempt, encode(authRequest(credential))))
    }

    private func authRequest(_ credential: ClientConfiguration.Credential) -> Request {
        Request(
            xid: Request.authXid,
            operation: .auth(scheme: credential.scheme, credential: credential.bytes)
        )
    }

    private func encode(_ request: Request) -> [UInt8] {
        var writer = JuteWriter()
        RequestCodec.encode(request, into: &writer)
        return writer.bytes
    }

    /// Positive: the negative ones have fixed meanings. What may be outstanding is far less than
    /// a turn of this counter.
    private mutating func nextXid() -> Int32 {
        lastXid = lastXid == .max ? 1 : lastXid + 1
        return lastXid
    }
}

// MARK: What servers say

extension ClientSession {
    private mutating func receive(
        _ chunk: [UInt8],
        of attempt: ConnectionAttempt,
        at now: Instant,
        _ actions: inout [ClientAction]
    ) {
        if case .established(var connection) = phase {
            connection.lastHeard = now
            phase = .established(connection)
        }
        frames.append(chunk)
        do throws(WireError) {
            // A frame may end the connection, and with it the stream.
            while attempt == currentAttempt, var frame = try frames.next() {
                switch phase {
                case .handshaking:
                    let response = try ConnectCodec.decodeResponse(&frame)
                    shakeHands(response, attempt, at: now, &actions)
                case .established(let connection):
                    try take(&frame, connection, at: now, &actions)
                case .idle, .waiting, .connecting, .ended:
                    // A server speaks only when spoken to.
                    lose("it spoke first", isOpen: true, at: now, &actions)
                }
            }
        } catch {
            lose("it broke the protocol: \(error)", isOpen: true, at: now, &actions)
        }
    }

    private mutating func shakeHands(
        _ response: ConnectResponse,
        _ attempt: ConnectionAttempt,
        at now: Instant,
        _ actions: inout [ClientAction]
    ) {
        let isRefusal = response.timeout <= 0 || response.session == .none
        if session == .none {
            guard !isRefusal else {
                return lose("it refused a new session", isOpen: true, at: now, &actions)
            }
        } else if response.session != session || isRefusal {
            expire(
                at: now,
                attempt,
                isOpen: isRefusal || !configuration.renewsExpiredSession,
                &actions
            )
            guard !isRefusal && configuration.renewsExpiredSession else { return }
        }
        session = response.session
        password = response.password
        timeout = .milliseconds(Int64(response.timeout))
        actions.append(
            .state(
                .connected(
                    session,
                    isNew: session != reportedSession,
                    timeout: timeout,
                    readOnly: response.readOnly
                )
            )
        )
        reportedSession = session
        resume(on: attempt, at: now, &actions)
    }

    /// First who we are, then what we watch, then what we ask.
    private mutating func resume(
        on attempt: ConnectionAttempt,
        at now: Instant,
        _ actions: inout [ClientAction]
    ) {
        var connection = Connection(attempt: attempt, lastHeard: now, lastSent: now)
        var writer = JuteWriter()
        for (index, presented) in credentials.enumerated() {
            connection.unansweredCredentials.append(index)
            RequestCodec.encode(authRequest(presented.credential), into: &writer)
        }
        let registrations = watches.registrations(
            relativeZxid: lastReplyZxid,
            chunkBytes: Self.setWatchesChunkBytes
        )
        for registration in registrations {
            connection.unansweredSetWatches += 1
            RequestCodec.encode(
                Request(xid: Request.setWatchesXid, operation: .setWatches(registration)),
                into: &writer
            )
        }
        writer.raw(pending.sendQueued())
        phase = .established(connection)
        if !writer.bytes.isEmpty { actions.append(.send(attempt, writer.bytes)) }
    }

    /// The server does not know the session any more. With `isOpen` the connection is of no use.
    private mutating func expire(
        at now: Instant,
        _ attempt: ConnectionAttempt,
        isOpen: Bool,
        _ actions: inout [ClientAction]
    ) {
        actions.append(.log(.warning, "session \(session) has expired"))
        if isOpen { actions.append(.disconnect(attempt)) }
        session = .none
        password = []
        timeout = configuration.sessionTimeout
        guard configuration.renewsExpiredSession else {
            return end(.sessionExpired, .expired, &actions)
        }
        for entry in pending.takeQueued() { finish(entry, .failure(.sessionExpired), &actions) }
        watches.removeAll()
        actions.append(.state(.expired))
        // This server answers; it will do for the new session.
        if isOpen { connect(at: now, &actions) }
    }

    private mutating func take(
        _ frame: inout JuteReader,
        _ connection: Connection,
        at now: Instant,
        _ actions: inout [ClientAction]
    ) throws(WireError) {
        let header = try ReplyCodec.decodeHeader(&frame)
        switch header.xid {
        case Request.notificationXid:
            // Nil for an event about no znode, which servers do not send.
            guard let event = try ReplyCodec.decodeEvent(header, &frame) else { return }
            lastZxidSeen = max(lastZxidSeen, event.zxid)
            if watches.take(event, catchingUp: connection.unansweredSetWatches > 0) {
                actions.append(.event(event))
            }
        case Request.pingXid:
            servers.succeeded()
        case Request.authXid:
            takeAnswerToCredential(header, connection, at: now, &actions)
        case Request.setWatchesXid:
            takeAnswerToSetWatches(header, connection, at: now, &actions)
        default:
            try takeReply(header, &frame, connection, at: now, &actions)
        }
    }

    private mutating func takeReply(
        _ header: ReplyHeader,
        _ frame: inout JuteReader,
        _ connection: Connection,
        at now: Instant,
        _ actions: inout [ClientAction]
    ) throws(WireError) {
        guard let entry = pending.inFlight.first, entry.xid == header.xid else {
            let expected = pending.inFlight.first.map { "\($0.xid)" } ?? "none"
            return lose(
                "it answered request \(header.xid), expected was \(expected)",
                isOpen: true,
                at: now,
                &actions
            )
        }
        let reply = try ReplyCodec.decodeReply(header, to: entry.operation, &frame)
        _ = pending.answerFirst()
        if reply.zxid > .zero {
            lastReplyZxid = max(lastReplyZxid, reply.zxid)
            lastZxidSeen = max(lastZxidSeen, reply.zxid)
        }
        servers.succeeded()
        watch(entry.operation, reply.result)
        finish(entry, reply.result, zxid: reply.zxid, &actions)
        if entry.token == nil {
            actions.append(.disconnect(connection.attempt))
            end(.sessionExpired, .closed, &actions)
        }
    }

    /// Puts in the registry what the server has just registered or dropped.
    private mutating func watch(_ operation: Operation, _ result: Result<Response, ErrorCode>) {
        switch operation {
        case .exists(let path, watch: true), .getData(let path, watch: true),
            .getChildren(let path, watch: true), .getChildren2(let path, watch: true),
            .addWatch(let path, mode: _):
            let kinds = WatchKinds.set(by: operation, answered: result)
            if !kinds.isEmpty { watches.insert(kinds, at: path) }
        case .removeWatches(let path, let type):
            if case .success = result, let kinds = WatchKinds.removed(byType: type) {
                watches.remove(kinds, at: path)
            }
        case .create, .delete, .exists, .getData, .setData, .getACL, .setACL, .getChildren,
            .getChildren2, .sync, .check, .multi, .setWatches, .checkWatches, .auth, .ping,
            .closeSession, .unsupported, .malformed:
            break
        }
    }

    private mutating func takeAnswerToCredential(
        _ header: ReplyHeader,
        _ old: Connection,
        at now: Instant,
        _ actions: inout [ClientAction]
    ) {
        var connection = old
        guard let index = connection.unansweredCredentials.popFirst() else {
            return lose("it answered no credential", isOpen: true, at: now, &actions)
        }
        guard header.error == .ok else {
            // The server closes; so would every other, and waiting requests would run without
            // the rights their sender believes to have.
            actions.append(
                .log(
                    .error,
                    "a credential of scheme \(credentials[index].credential.scheme) was refused: "
                        + "\(header.error)"
                )
            )
            actions.append(.disconnect(connection.attempt))
            for entry in pending.takeInFlight() { finish(entry, .failure(.authFailed), &actions) }
            return end(.authFailed, .authenticationFailed, &actions)
        }
        phase = .established(connection)
        for token in credentials[index].waiting {
            actions.append(.complete(token, .success(.empty), zxid: header.zxid))
        }
        credentials[index].waiting = []
    }

    private mutating func takeAnswerToSetWatches(
        _ header: ReplyHeader,
        _ old: Connection,
        at now: Instant,
        _ actions: inout [ClientAction]
    ) {
        var connection = old
        guard connection.unansweredSetWatches > 0 else {
            return lose("it answered no setWatches", isOpen: true, at: now, &actions)
        }
        guard header.error == .ok else {
            // Going on would lose watches without a word.
            return lose("it refused watches: \(header.error)", isOpen: true, at: now, &actions)
        }
        connection.unansweredSetWatches -= 1
        if connection.unansweredSetWatches == 0 { watches.endCatchUp() }
        phase = .established(connection)
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
