package import ZooKeeperModel

/// One member of an ensemble that agrees on a sequence of proposals.
package struct ZabPeer: Sendable {
    package private(set) var role = ZabRole.looking

    package init(
        configuration: EnsembleConfiguration, lastLoggedZxid: Zxid, acceptedEpoch: Int64,
        currentEpoch: Int64, recent: [Proposal], committedLogCapacity: Int = 500
    ) {}

    package mutating func handle(
        _ input: ZabInput, at now: Instant, actions: inout [ZabAction]
    ) {}

    /// When to send `.wake`.
    package var nextDeadline: Instant? { nil }
    /// The zxid of the next proposal; valid while leading.
    package var nextZxid: Zxid { lastProposed.next }
    package var lastProposed: Zxid { .zero }
    /// The newest delivered proposal, or the newest in the recovered database.
    package var lastCommitted: Zxid { .zero }
    /// The epoch this server's history belongs to.
    package var currentEpoch: Int64 { 0 }
    package var acceptedEpoch: Int64 { 0 }

    // For mntr and srvr; zero unless leading.
    /// Learner connections that have introduced themselves.
    package var learnerCount: Int { 0 }
    /// Voting followers that hold the leader's history and answer.
    package var syncedFollowerCount: Int { 0 }
    package var syncedObserverCount: Int { 0 }
    /// Proposals waiting for their quorum (leader) or their commit (follower).
    package var pendingProposalCount: Int { 0 }

    package func checkInvariants() {}
}
