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
            case .looking, .preparing: isReadOnly ? .readOnly : .looking
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
        status.localSessionCount = locals.count
        status.outstandingRequests = outstanding
        status.latency = statistics.latency.summary
        status.packetsReceived = statistics.packetsReceived
        status.packetsSent = statistics.packetsSent
        status.proposalSizes = statistics.proposalSizes
        status.digestMismatches = database.digestMismatches
        status.counters = statistics.counters
        status.quorum = configuration.isStandalone ? nil : quorumStatus
        status.connections = clients.ids.compactMap(connectionStatus)
        return status
    }

    private var quorumStatus: ServerStatus.Quorum {
        var quorum = ServerStatus.Quorum(voters: configuration.ensemble.voters.count)
        switch role {
        case .looking, .preparing: break
        case .following(let leader, _), .observing(let leader, _): quorum.leader = leader
        case .leading:
            quorum.leader = configuration.ensemble.me
            quorum.leadingSince = leadingSince
            quorum.learners = zab.learnerCount
            quorum.syncedFollowers = zab.syncedFollowerCount
            quorum.syncedNonVotingFollowers = zab.syncedNonVotingFollowerCount
            quorum.syncedObservers = zab.syncedObserverCount
            quorum.pendingSyncs = syncWaiters.count { !$0.isRevalidation }
        }
        return quorum
    }

    /// The tree's digest at some zxids of the past, for `hash`.
    package var digests: [DigestLog.Entry] { Array(digestLog.entries) }

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
            established: client.established,
            queued: client.queue.count,
            received: client.received,
            sent: client.sent,
            latency: client.latency.summary,
            lastReply: client.lastReply
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
        precondition(
            !isReadOnly || (role == .looking && install == nil && !zab.isWaitingForDisk),
            "\(role) serves read-only"
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
            precondition(
                client.isCountedRight,
                "\(id) waits for other requests than are counted"
            )
            switch client.phase {
            case .serving:
                serving += 1
                precondition(
                    !(locals.contains(client.session) && database.sessions[client.session] != nil),
                    "session \(client.session) is known to all and to this server alone"
                )
                precondition(
                    connectionOfSession[client.session] == id && (isServing || isReadOnly),
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
            case .unsent: preconditionFailure("\(id) has a write that waits for nothing")
            case .read:
                precondition(
                    !client.hasCredit && client.writesUnderWay == 0,
                    "\(id) has a read that waits for nothing"
                )
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
