internal import DequeModule
internal import ZooKeeperModel

/// Broadcast, as the leader does it: a proposal goes to every follower and to the own log at once,
/// and is committed when a quorum has it durably and everything before it is committed.
extension Leadership {
    /// Has a quorum this leader's history durably? Then the epoch is established: the whole history
    /// is committed, since no later leader can be elected without it.
    mutating func checkNewLeaderAcks(
        ledger: inout Ledger,
        now: Instant,
        actions: inout [ZabAction]
    ) {
        guard stage == .synchronizing, hasSyncedQuorum(ledger) else { return }
        // Learners got these with their COMMITs before NEWLEADER.
        while !ledger.tail.isEmpty { _ = ledger.deliverNext(actions: &actions) }
        enter(.broadcasting, ledger, now)
        actions.append(.roleChanged(role))
        for index in learners.indices where learners[index].stage == .synced {
            welcome(index, ledger, now, &actions)
        }
    }

    private mutating func welcome(
        _ index: Int,
        _ ledger: Ledger,
        _ now: Instant,
        _ actions: inout [ZabAction]
    ) {
        learners[index].deadline = now + ledger.configuration.syncTimeout
        learners[index].isWelcome = true
        actions.append(.send(learners[index].connection, .upToDate))
        // Its tree is now what it will serve from: that is compared with this leader's once more.
        tellEnsemble(index, &actions)
    }

    mutating func propose(
        _ proposal: Proposal,
        ledger: inout Ledger,
        now: Instant,
        actions: inout [ZabAction]
    ) {
        precondition(
            proposal.zxid == lastProposed.next,
            "\(proposal.zxid) proposed after \(lastProposed)"
        )
        lastProposed = proposal.zxid
        for index in learners.indices where !learners[index].isObserver {
            forward(.proposal(proposal), proposal.bytes.count, to: index, &actions)
            guard index < learners.count, learners[index].stage == .synced else { continue }
            if learners[index].awaited == nil {
                learners[index].awaited = (proposal.zxid, now)
            } else if learners[index].awaitedNext == nil {
                learners[index].awaitedNext = (proposal.zxid, now)
            }
        }
        // After the sends: the followers' disks need not wait for ours.
        ledger.log(proposal, actions: &actions)
        if proposal.zxid.counter >= lastUsableCounter {
            failure = "the counter of epoch \(epoch) is nearly exhausted"
        } else if proposal.zxid.counter >= plannedCounter {
            handOverIfDue(ledger, now, &actions)
        }
    }

    private mutating func forward(
        _ message: LearnerMessage,
        _ bytes: Int,
        to index: Int,
        _ actions: inout [ZabAction]
    ) {
        switch learners[index].stage {
        case .finishing, .synced: transmit(message, bytes, to: index, &actions)
        // It comes to this in its turn.
        case .connected, .introduced, .offered, .described, .searching, .dumping, .catchingUp: break
        }
    }

    mutating func acked(
        _ index: Int,
        _ zxid: Zxid,
        ledger: inout Ledger,
        now: Instant,
        actions: inout [ZabAction]
    ) {
        switch learners[index].stage {
        case .finishing:
            guard zxid == Zxid(epoch: epoch, counter: 0) else {
                return drop(index, "acknowledged \(zxid) instead of NEWLEADER", &actions)
            }
            learners[index].stage = .synced
            settleEnsemble(&ledger, &actions)
            if stage == .broadcasting {
                welcome(index, ledger, now, &actions)
            } else {
                checkNewLeaderAcks(ledger: &ledger, now: now, actions: &actions)
            }
        case .synced:
            // The acknowledgement of UPTODATE.
            if zxid.counter == 0 { return }
            guard zxid <= lastProposed, !learners[index].isObserver else {
                return drop(index, "acknowledged \(zxid), which it cannot have", &actions)
            }
            // Its log is written in order, so one zxid stands for all before it.
            learners[index].acked = max(learners[index].acked, zxid)
            if let awaited = learners[index].awaited, awaited.zxid <= zxid {
                let next = learners[index].awaitedNext
                learners[index].awaited = next.flatMap { $0.zxid > zxid ? $0 : nil }
                learners[index].awaitedNext = nil
            }
            commitReady(ledger: &ledger, actions: &actions)
            finishHandOver(ledger)
        case .connected, .introduced, .offered, .described, .searching, .dumping, .catchingUp:
            drop(index, "ACK out of place", &actions)
        }
    }

    /// Followers of our make are told the newest of what a quorum has, once for all of it, and before it
    /// is delivered here: answers that follow are about what they know then.
    mutating func commitReady(ledger: inout Ledger, actions: inout [ZabAction]) {
        guard stage == .broadcasting else { return }
        let count = durableCount(ledger)
        guard count > 0 else { return }
        let newest = ledger.tail[count - 1].zxid
        for index in learners.indices where !learners[index].isObserver && isOurs(index) {
            forward(.commit(newest), 0, to: index, &actions)
        }
        for _ in 0..<count {
            let proposal = ledger.deliverNext(actions: &actions)
            for index in learners.indices {
                if learners[index].isObserver {
                    forward(.inform(proposal), proposal.bytes.count, to: index, &actions)
                } else if !isOurs(index) {
                    forward(.commit(proposal.zxid), 0, to: index, &actions)
                }
            }
        }
    }

    /// How many of the tail's first a quorum has. Where it has one it has all before, so halving finds
    /// the last: the tail is asked about once an acknowledgement, and may be long.
    private func durableCount(_ ledger: Ledger) -> Int {
        var count = 0
        var end = ledger.tail.count
        while count < end {
            let middle = count + (end - count) / 2
            if isDurable(ledger.tail[middle].zxid, ledger) {
                count = middle + 1
            } else {
                end = middle
            }
        }
        return count
    }

    /// Apache's learners tell no name. One that does has been told this leader's, by which it knows as
    /// much.
    private func isOurs(_ index: Int) -> Bool {
        ensemble != nil && learners[index].ensemble != nil
    }

    private func isDurable(_ zxid: Zxid, _ ledger: Ledger) -> Bool {
        ledger.quorum.isReached { voter in
            voter == ledger.me
                ? ownsEpoch && ledger.lastPersisted >= zxid
                : learners.contains {
                    $0.server == voter && $0.isVoter && $0.stage == .synced && $0.acked >= zxid
                }
        }
    }

    mutating func persisted(ledger: inout Ledger, actions: inout [ZabAction]) {
        storeCurrentEpochWhenDurable(&ledger, &actions)
        commitReady(ledger: &ledger, actions: &actions)
        finishHandOver(ledger)
    }

    mutating func received(
        _ message: LearnerMessage,
        from connection: ConnectionID,
        ledger: inout Ledger,
        now: Instant,
        actions: inout [ZabAction]
    ) {
        guard let index = index(connection) else { return }
        heard(index, ledger: ledger, now: now)
        switch message {
        case .learnerInfo(let info):
            introduced(index, info, ledger: &ledger, now: now, actions: &actions)
        case .ackEpoch(let last, let current):
            epochAcked(
                index,
                lastZxid: last,
                currentEpoch: current,
                ledger: &ledger,
                now: now,
                actions: &actions
            )
        case .ack(let zxid):
            acked(index, zxid, ledger: &ledger, now: now, actions: &actions)
        case .ping(_, let touched):
            pingAnswered(index, ledger, &actions)
            guard self.index(connection) != nil else { return }
            if stage == .broadcasting, !touched.isEmpty {
                actions.append(.carried(connection, message))
            }
        case .request, .revalidate:
            guard stage == .broadcasting, learners[index].stage == .synced else {
                return drop(index, "a request before UPTODATE", &actions)
            }
            actions.append(.carried(connection, message))
        case .ensemble, .leaderInfo, .diff, .truncate, .snapshot, .snapshotSlice, .snapshotEnd,
            .newLeader, .upToDate, .proposal, .commit, .inform, .sync:
            drop(index, "a leader's message from a learner", &actions)
        }
    }
}
