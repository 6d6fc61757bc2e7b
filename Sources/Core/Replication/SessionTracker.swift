import DequeModule
internal import ZooKeeperModel

/// The leader's knowledge of which sessions are alive, and through whom they speak.
///
/// It outlives nothing: a new leader starts it afresh from the session table, every session with its
/// full timeout. A session that is closing stays known, and refused, until its end is committed.
struct SessionTracker: Sendable {
    /// The server whose requests for a session are good: after a client has moved, its old server's
    /// must not be.
    enum Owner: Hashable, Sendable {
        /// Clients of the leader itself.
        case local
        /// Clients of the learner behind this connection.
        case learner(ConnectionID)
    }
    private struct Entry: Sendable {
        var timeout: Int32
        /// Nil until the first request: whoever brings it becomes the owner.
        var owner: Owner?
        var isClosing = false
    }
    private var entries: [SessionID: Entry] = [:]
    private var expiry: ExpiryBuckets<SessionID>

    /// Sessions that have ended lately, the oldest first, and since when. What they had under way over
    /// learners may still come, and must not be taken for requests of a session that is known there.
    private var ended = Deque<(session: SessionID, end: Instant)>()
    private var endedSessions: Set<SessionID> = []
    private let memory: Duration
    static let endedLimit = 100_000

    /// - Parameter memory: for how long a learner may be behind before it is dropped.
    init(tick: Duration, memory: Duration = .zero) {
        expiry = ExpiryBuckets(tick: tick)
        self.memory = memory
    }

    var nextDeadline: Instant? { expiry.nextDeadline }

    mutating func track(
        _ session: SessionID,
        timeout: Int32,
        owner: Owner?,
        now: Instant
    ) {
        if entries[session] == nil {
            entries[session] = Entry(timeout: timeout, owner: owner)
        } else if let owner {
            entries[session]?.owner = owner
        }
        touch(session, timeout: timeout, now: now)
    }

    /// False for a session that is unknown or closing.
    @discardableResult
    mutating func touch(_ session: SessionID, timeout: Int32, now: Instant) -> Bool {
        guard let entry = entries[session], !entry.isClosing else { return false }
        expiry.set(session, to: expiry.bucket(now: now, timeout: timeout))
        return true
    }

    /// A client has come back through `owner`. False if its session is gone.
    mutating func reopen(
        _ session: SessionID,
        timeout: Int32,
        owner: Owner,
        now: Instant
    ) -> Bool {
        guard touch(session, timeout: timeout, now: now) else { return false }
        entries[session]?.timeout = timeout
        entries[session]?.owner = owner
        return true
    }

    /// Why a request of this session, brought by `owner`, is refused; nil if it is not.
    mutating func check(_ session: SessionID, owner: Owner) -> ErrorCode? {
        guard let entry = entries[session], !entry.isClosing else { return .sessionExpired }
        guard let known = entry.owner else {
            entries[session]?.owner = owner
            return nil
        }
        return known == owner ? nil : .sessionMoved
    }

    mutating func markClosing(_ session: SessionID) {
        entries[session]?.isClosing = true
        expiry.remove(session)
    }

    mutating func remove(_ session: SessionID, now: Instant) {
        entries[session] = nil
        expiry.remove(session)
        guard memory > .zero else { return }
        while let oldest = ended.first,
            oldest.end + memory < now || ended.count >= Self.endedLimit
        {
            endedSessions.remove(oldest.session)
            ended.removeFirst()
        }
        if endedSessions.insert(session).inserted { ended.append((session, now)) }
    }

    /// Sessions whose time has come, sorted. Each must be marked as closing or touched.
    mutating func popExpired(at now: Instant) -> [SessionID] {
        expiry.popExpired(at: now)
    }

    var expirySets: [(end: Instant, keys: [SessionID])] { expiry.sets }

    /// Whether it is, or was until lately, a session that all servers know.
    func isKnown(_ session: SessionID) -> Bool {
        entries[session] != nil || endedSessions.contains(session)
    }
}
