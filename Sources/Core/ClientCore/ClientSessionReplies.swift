internal import DequeModule
internal import ZooKeeperModel
internal import ZooKeeperWire

// What servers say: the answer to the handshake, then replies and events. All of it is suspect.

extension ClientSession {
    mutating func receive(
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
