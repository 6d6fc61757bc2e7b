import DequeModule
package import ZooKeeperModel
internal import Zab
internal import Znodes

extension Replica {
    /// Made on demand; its cost grows with the number of connections.
    package var status: ServerStatus {
        var status = ServerStatus()
        status.mode =
            switch role {
            case .looking, .preparing: .looking
            case .leading: configuration.isStandalone ? .standalone : .leader
            case .following: .follower
            case .observing: .observer
            }
        status.lastZxid = database.lastZxid
        status.nodeCount = database.tree.count
        status.watchCount = watches.watchCount
        status.ephemeralCount = database.tree.ephemeralCount
        status.approximateDataSize = database.tree.approximateDataSize
        status.sessionCount = database.sessions.count
        status.outstandingRequests = outstanding
        status.latency = statistics.latency.summary
        status.packetsReceived = statistics.packetsReceived
        status.packetsSent = statistics.packetsSent
        status.proposalSizes = statistics.proposalSizes
        status.digestMismatches = database.digestMismatches
        status.connections = clients.ids.compactMap(connectionStatus)
        return status
    }

    /// The digest of the tree at the last applied transaction: equal on all members that have
    /// applied the same ones.
    package var treeDigest: TreeDigestValue { database.treeDigest }

    /// Nil for a connection that is gone.
    package func connectionStatus(of id: ConnectionID) -> ServerStatus.Connection? {
        guard let slot = clients.slot(of: id) else { return nil }
        let client = clients[slot]
        return ServerStatus.Connection(
            id: id,
            address: client.address,
            session: client.session,
            timeout: client.timeout,
            queued: client.queue.count,
            received: client.received,
            sent: client.sent,
            latency: client.latency.summary
        )
    }

    /// Stops the process if the state contradicts itself. For tests and simulations.
    package func checkInvariants() {
        database.tree.checkInvariants()
        preparation.changes.checkInvariants()
        zab.checkInvariants()
        checkClients()
        precondition(
            isLeading
                || (prepared.isEmpty && syncWaiters.isEmpty && preparation.changes.isEmpty
                    && held.isEmpty),
            "\(role) holds a leader's proposals"
        )
        precondition(
            !isLeading || (forwarded.isEmpty && forwardedSyncs.isEmpty),
            "\(role) waits for a leader"
        )
        var last = database.lastZxid
        for entry in prepared {
            precondition(
                entry.transaction.zxid > last,
                "\(entry.transaction.zxid) is prepared after \(last)"
            )
            last = entry.transaction.zxid
        }
        for owner in database.tree.ephemeralOwners where isLeading {
            precondition(
                database.sessions[owner] != nil || !prepared.isEmpty,
                "ephemerals of session \(owner), which is not there"
            )
        }
    }

    private func checkClients() {
        var queued = 0
        var serving = 0
        for id in clients.ids {
            guard let slot = clients.slot(of: id) else { continue }
            let client = clients[slot]
            queued += client.queue.count
            switch client.phase {
            case .serving:
                serving += 1
                precondition(
                    connectionOfSession[client.session] == id && isServing,
                    "\(id) is served and not known for its session \(client.session)"
                )
            case .connecting:
                precondition(
                    handshakes[client.session] == id,
                    "\(id) waits for session \(client.session) and is not known to"
                )
            case .accepted, .closing:
                precondition(client.queue.isEmpty, "\(id) is \(client.phase) with requests")
            }
            guard let head = client.queue.first else { continue }
            switch head.work {
            case .write, .forwardedSync: break
            case .sync(_, let place):
                precondition(!hasCome(place), "\(id) waits for \(place), which is here")
            case .read:
                precondition(!client.hasCredit, "\(id) has a read that waits for nothing")
            case .finished: preconditionFailure("\(id) has an answer that waits for nothing")
            }
        }
        precondition(queued == outstanding, "\(queued) requests wait, \(outstanding) are counted")
        precondition(
            serving == connectionOfSession.count,
            "sessions of connections that are not served"
        )
    }
}
