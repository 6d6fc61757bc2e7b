import DequeModule
internal import Zab
internal import ZooKeeperModel

// Silence: of a session, as its leader sees it, and of a connection, as its server does.

extension Replica {
    /// A request has come: the connection, and on a leader its session, live on.
    mutating func touch(_ slot: Int) {
        let client = (
            bucket: clients[slot].expiryBucket, session: clients[slot].session,
            timeout: clients[slot].timeout
        )
        let bucket = connectionExpiry.bucket(now: now.instant, timeout: client.timeout)
        if bucket != client.bucket {
            clients[slot].expiryBucket = bucket
            connectionExpiry.set(clients[slot].id, to: bucket)
            if !locals.touch(client.session, timeout: client.timeout, now: now.instant) {
                tracker.touch(client.session, timeout: client.timeout, now: now.instant)
            }
        }
        if !isLeading, clients[slot].touchRound != touchRound, !locals.contains(client.session) {
            clients[slot].touchRound = touchRound
            touched[client.session] = client.timeout
        }
    }

    var nextExpiry: Instant? {
        Self.earlier(
            connectionExpiry.nextDeadline,
            Self.earlier(tracker.nextDeadline, locals.nextDeadline)
        )
    }

    private static func earlier(_ one: Instant?, _ other: Instant?) -> Instant? {
        guard let one, let other else { return one ?? other }
        return min(one, other)
    }

    /// Ends what has been silent for too long.
    ///
    /// Where this comes late, this process itself was away: stopped, or the machine asleep. The
    /// pings that clients sent meanwhile may wait in its sockets; they get a tick to be read.
    mutating func expire(_ actions: inout [ReplicaAction]) {
        guard let due = nextExpiry, due <= now.instant else {
            expiryHeldUntil = nil
            return
        }
        let tick = configuration.ensemble.tickTime
        if let held = expiryHeldUntil {
            guard held <= now.instant else { return }
            guard now.instant - held < tick / 2 else {
                expiryHeldUntil = now.instant + tick
                return
            }
            expiryHeldUntil = nil
        } else if now.instant - due >= tick / 2 {
            expiryHeldUntil = now.instant + tick
            actions.append(
                .log(
                    .warning,
                    "this server was away for \((now.instant - due).wholeMilliseconds) ms; no "
                        + "session ends before its client had another chance"
                )
            )
            return
        }
        for session in tracker.popExpired(at: now.instant) {
            if let id = connectionOfSession[session], let slot = clients.slot(of: id),
                isHeldUp(slot)
            {
                tracker.touch(session, timeout: clients[slot].timeout, now: now.instant)
                continue
            }
            statistics.counters.expiredSessions += 1
            actions.append(.log(.info, "session \(session) has been silent for too long"))
            proposeClose(of: session, cxid: 0, connection: nil, &actions)
        }
        for session in locals.popExpired(at: now.instant) {
            let slot = connectionOfSession[session].flatMap { clients.slot(of: $0) }
            if let slot, isHeldUp(slot) {
                locals.add(session, timeout: clients[slot].timeout, now: now.instant)
                continue
            }
            statistics.counters.expiredSessions += 1
            locals.remove(session)
            if let slot { closeClient(at: slot, reason: "silent for too long", &actions) }
        }
        for id in connectionExpiry.popExpired(at: now.instant) {
            guard let slot = clients.slot(of: id) else { continue }
            if isHeldUp(slot) {
                clients[slot].expiryBucket = connectionExpiry.bucket(
                    now: now.instant,
                    timeout: clients[slot].timeout
                )
                connectionExpiry.set(id, to: clients[slot].expiryBucket)
            } else {
                closeClient(at: slot, reason: "silent for too long", &actions)
            }
        }
    }

    /// Its silence is this server's doing: nothing is read from it.
    private func isHeldUp(_ slot: Int) -> Bool {
        clients[slot].pause.contains(.outstanding)
    }

    /// A learner's answer to its leader's ping: the sessions to keep alive, sorted.
    mutating func takeTouchedSessions() -> [TouchedSession] {
        for id in pausedForOutstanding {
            guard let slot = clients.slot(of: id), clients[slot].phase == .serving,
                !locals.contains(clients[slot].session)
            else { continue }
            touched[clients[slot].session] = clients[slot].timeout
        }
        let sessions = touched.sorted { $0.key < $1.key }
            .map { TouchedSession(session: $0.key, timeout: $0.value) }
        touched.removeAll(keepingCapacity: true)
        touchRound += 1
        return sessions
    }
}
