internal import DequeModule
internal import ZooKeeperModel

/// How a learner is brought to the leader's history.
enum SynchronizationPlan: Equatable, Sendable {
    /// It holds a prefix: DIFF, then what follows.
    case diff
    /// It holds something else after this zxid: TRUNC, then what follows.
    case truncate(Zxid)
    /// It ends before the committed log begins; the log on disk may reach back to it.
    case readLog
    case snapshot

    /// `committed` and then `established` are the leader's history, up to `end`.
    ///
    /// A counter of zero marks the begin of an epoch that was established, so it is a place within
    /// any later history although no proposal stands there.
    init(learner last: Zxid, end: Zxid, history: History) {
        if last == end {
            self = .diff
        } else if last > end {
            self = last.counter == 0 || end == .zero ? .snapshot : .truncate(end)
        } else if last == .zero {
            self = .snapshot
        } else if let first = history.first?.zxid, first <= last {
            let place = history.lastIndex(upTo: last)
            let found = history[place].zxid
            if found == last || last.counter == 0 {
                self = .diff
            } else if found.epoch == last.epoch {
                self = .truncate(found)
            } else {
                self = .snapshot
            }
        } else {
            self = .readLog
        }
    }
}

/// The part of the leader's history that is in memory: the committed log and, before the epoch is
/// established, the tail the leader was elected with.
struct History: Sendable {
    let committed: Deque<Proposal>
    let tail: Deque<Proposal>

    var count: Int { committed.count + tail.count }
    var first: Proposal? { committed.first ?? tail.first }
    subscript(_ index: Int) -> Proposal {
        index < committed.count ? committed[index] : tail[index - committed.count]
    }
    /// The place of the newest proposal that is not after `zxid`; −1 when all are after it.
    func lastIndex(upTo zxid: Zxid) -> Int {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if self[middle].zxid <= zxid { low = middle + 1 } else { high = middle }
        }
        return low - 1
    }
}

/// Synchronization, as the leader does it.
extension Leadership {
    /// Where the history ends that a learner must hold before it may count: the initial history,
    /// later everything committed.
    private func historyEnd(_ ledger: Ledger) -> Zxid {
        stage == .broadcasting ? ledger.lastDelivered : ledger.lastLogged
    }

    private func history(_ ledger: Ledger) -> History {
        History(
            committed: ledger.committed,
            tail: stage == .broadcasting ? [] : ledger.tail
        )
    }

    mutating func synchronize(
        _ index: Int,
        _ last: Zxid,
        ledger: inout Ledger,
        actions: inout [ZabAction]
    ) {
        let connection = learners[index].connection
        let end = historyEnd(ledger)
        switch SynchronizationPlan(learner: last, end: end, history: history(ledger)) {
        case .diff:
            actions.append(.send(connection, .diff(end)))
            sendHistory(index, after: last, ledger, &actions)
        case .truncate(let place):
            actions.append(.send(connection, .truncate(place)))
            sendHistory(index, after: place, ledger, &actions)
        case .snapshot:
            startDump(index, holding: last, &ledger, &actions)
        case .readLog:
            learners[index].stage = .readingLog(last, rounds: 1, gathered: [])
            // From one before, so that the answer shows whether the learner's last one is ours.
            readLog(
                index,
                after: Zxid(rawValue: last.rawValue - 1),
                ledger: &ledger,
                actions: &actions
            )
        }
    }

    private func readLog(
        _ index: Int,
        after: Zxid,
        ledger: inout Ledger,
        actions: inout [ZabAction]
    ) {
        ledger.logReads.append(learners[index].connection)
        actions.append(
            .readLog(
                after: after,
                through: historyEnd(ledger),
                maxBytes: Self.logReadLimitBytes
            )
        )
    }

    mutating func logRead(
        _ index: Int,
        _ proposals: [Proposal]?,
        isComplete: Bool,
        ledger: inout Ledger,
        actions: inout [ZabAction]
    ) {
        guard case .readingLog(let last, let rounds, var gathered) = learners[index].stage else {
            return
        }
        let end = historyEnd(ledger)
        gathered += (proposals ?? []).filter {
            $0.zxid > (gathered.last?.zxid ?? .none) && $0.zxid <= end
        }
        let history = history(ledger)
        guard proposals != nil, isComplete, gathered.first?.zxid == last,
            let reached = gathered.last?.zxid
        else { return startDump(index, holding: last, &ledger, &actions) }
        let place = history.lastIndex(upTo: reached)
        guard reached == end || place >= 0 && history[place].zxid == reached else {
            // Meanwhile the committed log has moved on: read what lies between.
            guard rounds < Self.logReadLimitRounds else {
                return startDump(index, holding: last, &ledger, &actions)
            }
            learners[index].stage = .readingLog(last, rounds: rounds + 1, gathered: gathered)
            return readLog(index, after: reached, ledger: &ledger, actions: &actions)
        }
        let connection = learners[index].connection
        actions.append(.send(connection, .diff(end)))
        for proposal in gathered.dropFirst() {
            actions.append(.send(connection, .proposal(proposal)))
            actions.append(.send(connection, .commit(proposal.zxid)))
        }
        sendHistory(index, after: reached, ledger, &actions)
    }

    /// The rest of the history, then what is outstanding, then NEWLEADER; from here on the learner
    /// gets every proposal as it is made. One step, so that nothing can fall in between.
    private mutating func sendHistory(
        _ index: Int,
        after: Zxid,
        _ ledger: Ledger,
        _ actions: inout [ZabAction]
    ) {
        for message in following(after, ledger, isObserver: learners[index].isObserver) {
            actions.append(.send(learners[index].connection, message))
        }
        finish(index, ledger, &actions)
    }

    private func following(
        _ after: Zxid,
        _ ledger: Ledger,
        isObserver: Bool
    ) -> [LearnerMessage] {
        var messages: [LearnerMessage] = []
        let history = history(ledger)
        for place in (history.lastIndex(upTo: after) + 1)..<history.count {
            messages.append(.proposal(history[place]))
            messages.append(.commit(history[place].zxid))
        }
        if stage == .broadcasting, !isObserver {
            for proposal in ledger.tail { messages.append(.proposal(proposal)) }
        }
        return messages
    }

    private mutating func finish(_ index: Int, _ ledger: Ledger, _ actions: inout [ZabAction]) {
        learners[index].stage = .finishing
        actions.append(
            .send(
                learners[index].connection,
                .newLeader(epoch: epoch, configuration: ledger.configuration.text)
            )
        )
    }

    // MARK: - Snapshots

    private mutating func startDump(
        _ index: Int,
        holding last: Zxid,
        _ ledger: inout Ledger,
        _ actions: inout [ZabAction]
    ) {
        // A snapshot must not take from a learner what it has of this leader's history: it may be
        // one of the few that hold a committed proposal, and crash before it is sent again. So the
        // tree must reach as far. As with a tail found at recovery, a later leader may still take
        // these back by truncation; nobody is served before that is decided. One that says it holds
        // nothing may hold all of it and only be unable to cut what follows.
        if stage != .broadcasting, last > ledger.lastDelivered || last == .zero {
            while !ledger.tail.isEmpty { _ = ledger.deliverNext(actions: &actions) }
        }
        let connection = learners[index].connection
        learners[index].stage = .dumping
        actions.append(.send(connection, .snapshot(ledger.lastDelivered)))
        actions.append(.startSnapshot(connection))
        learners[index].backlog = following(
            ledger.lastDelivered,
            ledger,
            isObserver: learners[index].isObserver
        )
    }

    mutating func snapshotSlice(
        _ connection: ConnectionID,
        _ bytes: [UInt8],
        ledger: Ledger,
        now: Instant,
        actions: inout [ZabAction]
    ) {
        guard let index = index(connection), learners[index].stage == .dumping else { return }
        // A long dump is no silence of the learner's.
        learners[index].deadline =
            now + (ledger.configuration.initTimeout + ledger.configuration.syncTimeout)
        actions.append(.send(connection, .snapshotSlice(bytes)))
    }

    mutating func snapshotEnd(
        _ connection: ConnectionID,
        ledger: Ledger,
        actions: inout [ZabAction]
    ) {
        guard let index = index(connection), learners[index].stage == .dumping else { return }
        actions.append(.send(connection, .snapshotEnd))
        for message in learners[index].backlog { actions.append(.send(connection, message)) }
        learners[index].backlog = []
        learners[index].backlogBytes = 0
        finish(index, ledger, &actions)
    }
}
