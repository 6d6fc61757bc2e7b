package import Zab
package import ZooKeeperModel
internal import Znodes

/// What waits in a ``Replica``, by number: everything of it that could grow.
package struct WaitingCounts: Hashable, Sendable {
    package var connections = 0
    package var requests = 0
    /// On a leader: proposed and not delivered.
    package var proposals = 0
    package var syncs = 0
    /// On a learner: sent to the leader and not answered.
    package var forwardedRequests = 0
    package var touchedSessions = 0
    package var sessions = 0
    package var watches = 0
    /// Logged and not in the tree.
    package var undelivered = 0
}

extension Replica {
    /// This server's part in the ensemble.
    package var ensembleRole: ZabRole { role }

    /// The last transaction in the tree.
    package var lastZxid: Zxid { database.lastZxid }

    package var waiting: WaitingCounts {
        WaitingCounts(
            connections: clients.count,
            requests: outstanding,
            proposals: prepared.count,
            syncs: syncWaiters.count + forwardedSyncs.count,
            forwardedRequests: forwarded.values.reduce(0) { $0 + $1.count },
            touchedSessions: touched.count,
            sessions: database.sessions.count,
            watches: watches.watchCount,
            undelivered: zab.pendingProposalCount
        )
    }

    /// Whether the database knows this session.
    package func hasSession(_ session: SessionID) -> Bool { database.sessions[session] != nil }
}
