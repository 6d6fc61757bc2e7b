internal import Zab
internal import ZooKeeperModel
internal import ZooKeeperWire

/// Sessions that this server alone knows: they cost no transaction, own no ephemerals, and end with
/// this server's part in the ensemble at the latest.
struct LocalSessions: Sendable {
    private var timeouts: [SessionID: Int32] = [:]
    private var expiry: ExpiryBuckets<SessionID>

    init(tick: Duration) {
        expiry = ExpiryBuckets(tick: tick)
    }

    var count: Int { timeouts.count }
    var nextDeadline: Instant? { expiry.nextDeadline }
    var expirySets: [(end: Instant, keys: [SessionID])] { expiry.sets }

    func contains(_ session: SessionID) -> Bool {
        !timeouts.isEmpty && timeouts[session] != nil
    }

    mutating func add(_ session: SessionID, timeout: Int32, now: Instant) {
        timeouts[session] = timeout
        expiry.set(session, to: expiry.bucket(now: now, timeout: timeout))
    }

    /// A client speaks, or comes back with another timeout. False for a session that is none of these.
    mutating func touch(_ session: SessionID, timeout: Int32, now: Instant) -> Bool {
        guard contains(session) else { return false }
        add(session, timeout: timeout, now: now)
        return true
    }

    /// Its timeout, or nil if it was none of these.
    @discardableResult
    mutating func remove(_ session: SessionID) -> Int32? {
        expiry.remove(session)
        return timeouts.removeValue(forKey: session)
    }

    /// Sessions whose time has come, sorted. Each must be removed or touched.
    mutating func popExpired(at now: Instant) -> [SessionID] {
        expiry.popExpired(at: now)
    }
}

extension Replica {
    /// Whether a new session is known to this server alone.
    var makesLocalSessions: Bool {
        isReadOnly || (configuration.localSessions && !configuration.isStandalone)
    }

    /// The first ephemeral makes a local session one that all servers know, where that is allowed: it
    /// must be known wherever its client may come back, and end on all members in the same place.
    ///
    /// From here on it is a session like any other. Its end in particular is a transaction, behind
    /// the one that makes it and behind the ephemerals (ZOOKEEPER-3471).
    mutating func upgradeIfNeeded(
        for operation: Operation,
        at slot: Int,
        _ actions: inout [ReplicaAction]
    ) {
        let session = clients[slot].session
        guard configuration.localSessionsUpgrading, locals.contains(session),
            operation.makesEphemerals, let timeout = locals.remove(session)
        else { return }
        requestSession(session, timeout: timeout, &actions)
    }

    /// Nobody else knows of it, so no transaction ends it. It ends with its connection, once its last
    /// requests are answered.
    mutating func closeLocalSession(
        _ request: Request,
        at slot: Int,
        _ actions: inout [ReplicaAction]
    ) {
        clients[slot].isEnding = true
        finish(
            .success(.empty),
            .closes,
            xid: request.xid,
            OperationCode.closeSession.rawValue,
            at: slot,
            &actions
        )
    }

    /// Why requests of this session are refused, if they are: all of them, and those that would make
    /// ephemerals.
    mutating func sessionErrors(
        _ session: SessionID,
        owner: SessionTracker.Owner
    ) -> (all: ErrorCode?, ephemeral: ErrorCode?) {
        if owner == .local, locals.contains(session) { return (nil, .ephemeralOnLocalSession) }
        let error = tracker.check(session, owner: owner)
        if error == .sessionExpired, configuration.localSessions, !tracker.isKnown(session),
            !isOfThisServer(session)
        {
            // It may be one that only the server it comes from knows.
            return (nil, .ephemeralOnLocalSession)
        }
        return (error, error)
    }

    private func isOfThisServer(_ session: SessionID) -> Bool {
        UInt8(truncatingIfNeeded: session.rawValue >> 56)
            == UInt8(truncatingIfNeeded: configuration.ensemble.me.rawValue)
    }
}

extension ReplicaConfiguration {
    /// A learner that is silent for `syncLimit` ticks is dropped, and what it sent before with it.
    func makeSessionTracker() -> SessionTracker {
        SessionTracker(
            tick: ensemble.tickTime,
            memory: localSessions ? ensemble.tickTime * (2 * ensemble.syncLimit) : .zero
        )
    }
}

extension Operation {
    var makesEphemerals: Bool {
        switch self {
        case .create(let request): CreateMode(rawValue: request.flags)?.isEphemeral == true
        case .multi(let operations): operations.contains { $0.makesEphemerals }
        case .delete, .exists, .getData, .setData, .getACL, .setACL, .getChildren, .getChildren2,
            .sync, .check, .setWatches, .addWatch, .checkWatches, .removeWatches, .auth, .ping,
            .closeSession, .unsupported, .malformed:
            false
        }
    }
}
