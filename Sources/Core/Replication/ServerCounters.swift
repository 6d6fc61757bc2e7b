/// How often something has happened, since the start or since the operator set it back.
package struct ServerCounters: Hashable, Sendable {
    package var connectRequests: Int64 = 0
    /// Connect requests that named a session.
    package var connectionRevalidations: Int64 = 0
    /// Learners that asked this leader whether a session is alive.
    package var revalidations: Int64 = 0
    /// Connections that asked for a session while there was no leader.
    package var closedWithoutLeader: Int64 = 0
    package var failedAuthentications: Int64 = 0
    /// Sessions that ended because their clients were silent.
    package var expiredSessions: Int64 = 0
    /// How often this server began to look for a leader.
    package var elections: Int64 = 0

    // As the leader of others.
    package var proposals: Int64 = 0
    package var commits: Int64 = 0
    package var diffsSent: Int64 = 0
    package var snapshotsSent: Int64 = 0

    // As a learner.
    package var proposalsReceived: Int64 = 0
    package var commitsReceived: Int64 = 0

    package init() {}
}
