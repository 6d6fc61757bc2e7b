internal import Zab
internal import ZooKeeperModel
internal import ZooKeeperWire
internal import Znodes

// From an accepted connection to a session, and back.

extension Replica {
    /// A connection that has not asked for a session by then is closed.
    private static let handshakeTimeout: Int32 = 10_000

    /// The server's id on top, then time, then room for 65536 sessions in each millisecond.
    static func firstSession(_ configuration: ReplicaConfiguration) -> Int64 {
        let time = (UInt64(bitPattern: configuration.sessionSeedMilliseconds) << 24) >> 8
        let server = UInt64(truncatingIfNeeded: configuration.ensemble.me.rawValue) << 56
        return Int64(bitPattern: time | server)
    }

    private mutating func makeSession() -> SessionID {
        repeat {
            let session = SessionID(rawValue: nextSession)
            nextSession &+= 1
            // 0 means no session, and the least number marks containers.
            if session.rawValue != 0, session.rawValue != .min,
                database.sessions[session] == nil, handshakes[session] == nil,
                !locals.contains(session), connectionOfSession[session] == nil
            {
                return session
            }
        } while true
    }

    mutating func accept(_ id: ConnectionID, address: String) {
        var client = Client(id: id, address: address, established: now.timestamp)
        client.expiryBucket = connectionExpiry.bucket(
            now: now.instant,
            timeout: Self.handshakeTimeout
        )
        connectionExpiry.set(id, to: client.expiryBucket)
        clients.insert(client)
    }

    mutating func connect(
        _ request: ConnectRequest,
        from id: ConnectionID,
        _ actions: inout [ReplicaAction]
    ) {
        guard let slot = clients.slot(of: id), clients[slot].phase != .closing else { return }
        guard clients[slot].phase == .accepted else {
            return closeClient(at: slot, reason: "a second connect request", &actions)
        }
        statistics.packetsReceived += 1
        statistics.counters.connectRequests += 1
        clients[slot].received += 1
        clients[slot].askedForSession = now.instant
        guard isServing || isReadOnly else {
            statistics.counters.closedWithoutLeader += 1
            return closeClient(at: slot, reason: "this server has no leader", &actions)
        }
        guard isServing || request.readOnly else {
            return closeClient(at: slot, reason: "it did not ask for a read-only server", &actions)
        }
        guard request.lastZxidSeen <= database.lastZxid else {
            return closeClient(
                at: slot,
                reason: "the client has seen \(request.lastZxidSeen), this server only "
                    + "\(database.lastZxid)",
                &actions
            )
        }
        let timeout = max(
            configuration.minimumSessionTimeout,
            min(request.timeout, configuration.maximumSessionTimeout)
        )
        clients[slot].timeout = timeout
        clients[slot].hasReadOnlyFlag = request.hasReadOnlyFlag
        guard request.session != .none else {
            return createSession(at: slot, timeout: timeout, &actions)
        }
        guard isServing || locals.contains(request.session) else {
            // Nobody can say whether it is alive. To be told that it is not would end it.
            return closeClient(
                at: slot,
                reason: "session \(request.session) is not this server's, which has no leader",
                &actions
            )
        }
        // Before anything else: whoever does not know the password must not disturb the session.
        guard SessionPassword.isValid(request.password, for: request.session) else {
            return refuse(at: slot, "wrong password for session \(request.session)", &actions)
        }
        statistics.counters.connectionRevalidations += 1
        reopen(request.session, at: slot, timeout: timeout, &actions)
    }

    private mutating func createSession(
        at slot: Int,
        timeout: Int32,
        _ actions: inout [ReplicaAction]
    ) {
        let session = makeSession()
        beginHandshake(session, at: slot, &actions)
        guard !makesLocalSessions else {
            locals.add(session, timeout: timeout, now: now.instant)
            return finishHandshake(session, isAlive: true, &actions)
        }
        requestSession(session, timeout: timeout, &actions)
    }

    /// The transaction that makes all servers know it.
    mutating func requestSession(
        _ session: SessionID,
        timeout: Int32,
        _ actions: inout [ReplicaAction]
    ) {
        if isLeading, holdsRequests {
            held.append(.session(session, timeout: timeout))
        } else if isLeading {
            proposeSession(session, timeout: timeout, owner: .local, &actions)
        } else {
            var body = JuteWriter(capacityBytes: 4)
            body.int32(timeout)
            sendToLeader(
                .request(
                    ForwardedRequest(
                        session: session,
                        cxid: 0,
                        operationCode: OperationCode.createSession.rawValue,
                        body: body.bytes,
                        identities: []
                    )
                ),
                &actions
            )
        }
    }

    private mutating func reopen(
        _ session: SessionID,
        at slot: Int,
        timeout: Int32,
        _ actions: inout [ReplicaAction]
    ) {
        let replaced = [connectionOfSession[session], handshakes[session]]
        for case let other? in replaced {
            guard let otherSlot = clients.slot(of: other) else { continue }
            closeClient(
                at: otherSlot,
                reason: "session \(session) has come back on another connection",
                &actions
            )
        }
        beginHandshake(session, at: slot, &actions)
        if locals.touch(session, timeout: timeout, now: now.instant) {
            finishHandshake(session, isAlive: true, &actions)
        } else if isLeading {
            let isAlive = tracker.reopen(
                session,
                timeout: timeout,
                owner: .local,
                now: now.instant
            )
            finishHandshake(session, isAlive: isAlive, &actions)
        } else {
            sendToLeader(.revalidate(session, timeout: timeout, isValid: nil), &actions)
        }
    }

    private mutating func beginHandshake(
        _ session: SessionID,
        at slot: Int,
        _ actions: inout [ReplicaAction]
    ) {
        clients[slot].phase = .connecting
        clients[slot].session = session
        handshakes[session] = clients[slot].id
        pause(slot, .handshake, &actions)
    }

    /// The session is known to be alive, or not to be. Does nothing if nobody waits for it.
    mutating func finishHandshake(
        _ session: SessionID,
        isAlive: Bool,
        _ actions: inout [ReplicaAction]
    ) {
        guard let id = handshakes.removeValue(forKey: session), let slot = clients.slot(of: id)
        else { return }
        guard isAlive else {
            return refuse(at: slot, "session \(session) is gone", &actions)
        }
        clients[slot].phase = .serving
        connectionOfSession[session] = id
        touch(slot)
        respond(
            at: slot,
            ConnectResponse(
                timeout: clients[slot].timeout,
                session: session,
                password: SessionPassword.password(of: session),
                readOnly: isReadOnly,
                hasReadOnlyFlag: clients[slot].hasReadOnlyFlag
            ),
            &actions
        )
        clients[slot].lastReply = ServerStatus.LastReply(
            operationCode: OperationCode.createSession.rawValue,
            cxid: 0,
            zxid: database.lastZxid,
            time: now.instant,
            latency: (now.instant - clients[slot].askedForSession).wholeMilliseconds
        )
        unpause(slot, .handshake, &actions)
    }

    private mutating func refuse(
        at slot: Int,
        _ reason: String,
        _ actions: inout [ReplicaAction]
    ) {
        respond(
            at: slot,
            ConnectResponse(
                timeout: 0,
                session: .none,
                password: SessionPassword.none,
                readOnly: isReadOnly,
                hasReadOnlyFlag: clients[slot].hasReadOnlyFlag
            ),
            &actions
        )
        closeClient(at: slot, reason: reason, &actions)
    }

    private mutating func respond(
        at slot: Int,
        _ response: ConnectResponse,
        _ actions: inout [ReplicaAction]
    ) {
        statistics.packetsSent += 1
        clients[slot].sent += 1
        actions.append(.connectResponse(clients[slot].id, response))
    }

    /// Nothing more is done for it. Its transactions under way still take effect.
    mutating func closeClient(
        at slot: Int,
        reason: String,
        _ actions: inout [ReplicaAction]
    ) {
        guard clients[slot].phase != .closing else { return }
        detach(slot)
        clients[slot].phase = .closing
        actions.append(.closeClient(clients[slot].id, reason: reason))
    }

    mutating func removeClient(_ id: ConnectionID, _ actions: inout [ReplicaAction]) {
        guard let slot = clients.slot(of: id) else { return }
        detach(slot)
        clients.remove(at: slot)
    }

    private mutating func detach(_ slot: Int) {
        let id = clients[slot].id
        let session = clients[slot].session
        if connectionOfSession[session] == id { connectionOfSession[session] = nil }
        if handshakes[session] == id { handshakes[session] = nil }
        if clients[slot].isEnding { locals.remove(session) }
        connectionExpiry.remove(id)
        watches.removeAll(of: id)
        outstanding -= clients[slot].queue.count
        clients[slot].dropQueue()
    }
}
