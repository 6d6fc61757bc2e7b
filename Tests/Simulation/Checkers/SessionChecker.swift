package import ZooKeeperModel

/// No session ends for silence before its agreed time has passed since its leader last had word of it.
///
/// A leader has word of a session when a request of it comes over its own connection, and when a
/// learner answers a ping after such a request has come to it: that answer has to say so, whatever it
/// says. All is measured by the leader's own clock, so nobody's clock has to be right. A new leader,
/// and one that stood still, may only let sessions live longer.
///
/// One for each life of a server.
package struct SessionChecker: Sendable {
    /// When the sessions were last heard of, by this server's clock; while it leads.
    private var heard: [SessionID: Instant] = [:]
    /// Those whose clients were heard here since the last answer to a ping; while it follows.
    private var contacts: Set<SessionID> = []

    package init() {}

    /// A client speaks.
    package mutating func contact(_ session: SessionID, isLeading: Bool, at now: Instant) {
        if isLeading { heard[session] = now } else { contacts.insert(session) }
    }

    /// A learner answers a ping: what the answer has to say.
    package mutating func takeContacts() -> Set<SessionID> {
        defer { contacts = [] }
        return contacts
    }

    /// A learner has another leader. What was to be told to the old one is lost with it.
    package mutating func forgetContacts() { contacts = [] }

    /// That answer has come to its leader.
    package mutating func reported(_ sessions: Set<SessionID>, at now: Instant) {
        for session in sessions { heard[session] = now }
    }

    /// A leader ends a session for silence. `agreed` is the time that its client was promised.
    package func expired(_ session: SessionID, agreed: Duration, at now: Instant) -> String? {
        guard let last = heard[session], now - last < agreed else { return nil }
        return "session \(session) was ended \((now - last).wholeMilliseconds) ms after it was last"
            + " heard of, agreed were \(agreed.wholeMilliseconds) ms"
    }
}
