internal import Zab
internal import ZooKeeperModel
internal import Znodes

// What follows a change of this server's part in the ensemble.

extension Replica {
    var isLeading: Bool {
        if case .leading = role { true } else { false }
    }

    /// Whether clients are served, with writes and all.
    package var isServing: Bool {
        switch role {
        case .looking, .preparing: false
        case .leading, .following, .observing: true
        }
    }

    mutating func change(to newRole: ZabRole, _ actions: inout [ReplicaAction]) {
        guard newRole != role else { return }
        actions.append(.log(.info, Self.describe(newRole, last: database.lastZxid)))
        if isServing || isReadOnly {
            closeAllClients("this server's part in the ensemble has changed", &actions)
        }
        forgetRole()
        role = newRole
        updateReadOnlyMode()
        if case .looking = newRole { statistics.counters.elections += 1 }
        leadingSince = isLeading ? now.instant : nil
        // All that a leader has applied while it sent its tree has come before it says that the tree
        // is whole, and is in the log by now.
        if isServing, database.digestsHoldAfter == nil {
            database.digestsHoldAfter = zab.lastLogged
        }
        guard isLeading else { return }
        // Sessions survive a change of leader with all their time: nobody could have kept them
        // alive meanwhile.
        for entry in database.sortedSessions {
            tracker.track(entry.session, timeout: entry.timeout, owner: nil, now: now.instant)
        }
        // Ephemerals without a session, as other software's files may hold, end by a transaction
        // like any other, or the members would not agree on when.
        for session in database.tree.ephemeralOwners where database.sessions[session] == nil {
            proposeClose(of: session, cxid: 0, connection: nil, &actions)
        }
    }

    /// What was under way belongs to the part that is over. Proposals among it stay in the log: the
    /// next leader decides what becomes of them, and their clients were told that nobody knows.
    private mutating func forgetRole() {
        tracker = configuration.makeSessionTracker()
        locals = LocalSessions(tick: configuration.ensemble.tickTime)
        preparation = RequestPreparation(skipACL: configuration.skipACL)
        prepared.removeAll()
        syncWaiters.removeAll()
        held = HeldRequests()
        dueLearnerAnswers.removeAll()
        forwarded.removeAll()
        forwardedSyncs.removeAll()
        touched.removeAll()
        touchRound += 1
        statistics.proposalSizes = nil
    }

    /// Clients keep their sessions and find the new leader.
    mutating func handOver(_ actions: inout [ReplicaAction]) {
        guard isLeading else {
            actions.append(.log(.warning, "a server that does not lead has nothing to hand over"))
            return
        }
        actions.append(.log(.info, "making way for another leader, on command"))
        run(.handOver, &actions)
    }

    private mutating func closeAllClients(_ reason: String, _ actions: inout [ReplicaAction]) {
        for id in clients.ids {
            guard let slot = clients.slot(of: id) else { continue }
            closeClient(at: slot, reason: reason, &actions)
        }
    }

    private static func describe(_ role: ZabRole, last: Zxid) -> String {
        switch role {
        case .looking: "looking for a leader, last transaction \(last)"
        case .preparing: "the election is over, synchronizing, last transaction \(last)"
        case .leading(let epoch): "leading epoch \(epoch), last transaction \(last)"
        case .following(let leader, _): "following server \(leader), last transaction \(last)"
        case .observing(let leader, _): "observing server \(leader), last transaction \(last)"
        }
    }
}
