internal import Replication
internal import ZooKeeperModel

/// Nothing grows without bound: tables and queues of replicas stay within what the clients can have
/// caused, and are empty when nothing is under way.
extension World {
    /// Requests under way at any time: each client has a few, and those that were lost with their
    /// connection may still be on their way.
    private static let mostRequests = 2000

    func checkGrowth(_ process: ServerProcess, _ index: Int) {
        let waiting = process.replica.waiting
        let counts = [
            waiting.connections, waiting.requests, waiting.proposals, waiting.syncs,
            waiting.forwardedRequests, waiting.touchedSessions, waiting.sessions, waiting.watches,
            waiting.undelivered,
        ]
        if let greatest = counts.max(), greatest > Self.mostRequests {
            fail("server \(index) grows: \(waiting)")
        }
    }

    /// At the end, when all was answered.
    func checkLeftovers() {
        for server in servers {
            guard let waiting = server.process?.replica.waiting else { continue }
            let left =
                waiting.requests + waiting.proposals + waiting.syncs + waiting.forwardedRequests
                + waiting.undelivered
            if left > 0 { fail("server \(server.index) keeps what nobody waits for: \(waiting)") }
            if waiting.sessions > clients.count || waiting.connections > clients.count {
                fail("server \(server.index) keeps sessions that are over: \(waiting)")
            }
        }
    }
}
