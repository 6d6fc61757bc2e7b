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
        } else if last <= .zero {
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
            catchUp(index, from: last, ledger: &ledger, actions: &actions)
        case .truncate(let place):
            actions.append(.send(connection, .truncate(place)))
            catchUp(index, from: place, ledger: &ledger, actions: &actions)
        case .snapshot:
            startDump(index, holding: last, &ledger, &actions)
        case .readLog:
            learners[index].stage = .searching(last)
            readLog(index, after: last, ledger: &ledger, actions: &actions)
        }
    }

    // MARK: - Catching up

    /// Sends what follows `position` as long as there is room: from memory, else from the log on
    /// disk. At the end, what is outstanding and NEWLEADER; from there on the learner gets every
    /// proposal as it is made. The end is one step, so that nothing can fall in between.
    private mutating func catchUp(
        _ index: Int,
        from position: Zxid,
        ledger: inout Ledger,
        actions: inout [ZabAction]
    ) {
        var position = position
        let end = historyEnd(ledger)
        let history = history(ledger)
        var place = history.lastIndex(upTo: position) + 1
        while position < end {
            guard learners[index].output.hasRoom else {
                learners[index].stage = .catchingUp(position, isReading: false)
                return
            }
            // Whether the first in memory is the next one nobody knows.
            guard place > 0, place < history.count else {
                learners[index].stage = .catchingUp(position, isReading: true)
                return readLog(index, after: position, ledger: &ledger, actions: &actions)
            }
            position = sendCommitted(history[place], to: index, &actions)
            place += 1
        }
        if stage == .broadcasting, !learners[index].isObserver {
            for proposal in ledger.tail {
                transmit(.proposal(proposal), proposal.bytes.count, to: index, &actions)
            }
        }
        learners[index].stage = .finishing
        actions.append(
            .send(
                learners[index].connection,
                .newLeader(epoch: epoch, configuration: ledger.configuration.text)
            )
        )
    }

    private mutating func sendCommitted(
        _ proposal: Proposal,
        to index: Int,
        _ actions: inout [ZabAction]
    ) -> Zxid {
        transmit(.proposal(proposal), proposal.bytes.count, to: index, &actions)
        transmit(.commit(proposal.zxid), 0, to: index, &actions)
        return proposal.zxid
    }

    mutating func transmit(
        _ message: LearnerMessage,
        _ bytes: Int,
        to index: Int,
        _ actions: inout [ZabAction]
    ) {
        let connection = learners[index].connection
        actions.append(.send(connection, message))
        if learners[index].output.send(bytes: bytes) { actions.append(.reportDrained(connection)) }
    }

    mutating func drained(
        _ connection: ConnectionID,
        ledger: inout Ledger,
        now: Instant,
        actions: inout [ZabAction]
    ) {
        guard let index = index(connection) else { return }
        if learners[index].output.drained() { actions.append(.reportDrained(connection)) }
        switch learners[index].stage {
        case .dumping:
            learners[index].deadline = now + ledger.configuration.learnerPatience
        case .catchingUp(let position, isReading: false):
            // A long way is no silence of the learner's.
            learners[index].deadline = now + ledger.configuration.learnerPatience
            catchUp(index, from: position, ledger: &ledger, actions: &actions)
        case .connected, .introduced, .offered, .described, .searching, .catchingUp, .finishing,
            .synced:
            break
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

    /// Nil: the log does not hold what was asked to be followed.
    mutating func logRead(
        _ index: Int,
        _ proposals: [Proposal]?,
        ledger: inout Ledger,
        actions: inout [ZabAction]
    ) {
        let connection = learners[index].connection
        var position: Zxid
        switch learners[index].stage {
        case .searching(let last):
            // So the learner's log is a part of ours.
            guard proposals != nil else {
                return startDump(index, holding: last, &ledger, &actions)
            }
            actions.append(.send(connection, .diff(historyEnd(ledger))))
            position = last
        case .catchingUp(let sent, isReading: true):
            // It has been purged meanwhile. What the learner got is good: it comes again.
            guard proposals?.isEmpty == false else {
                return drop(index, "the log does not reach back to \(sent) any more", &actions)
            }
            position = sent
        case .connected, .introduced, .offered, .described, .dumping, .catchingUp, .finishing,
            .synced:
            return
        }
        let end = historyEnd(ledger)
        for proposal in proposals ?? [] where proposal.zxid > position && proposal.zxid <= end {
            position = sendCommitted(proposal, to: index, &actions)
        }
        catchUp(index, from: position, ledger: &ledger, actions: &actions)
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
        if stage != .broadcasting, last > ledger.lastDelivered || last <= .zero {
            while !ledger.tail.isEmpty { _ = ledger.deliverNext(actions: &actions) }
        }
        let connection = learners[index].connection
        learners[index].stage = .dumping(ledger.lastDelivered)
        actions.append(.send(connection, .snapshot(ledger.lastDelivered)))
        actions.append(.startSnapshot(connection))
    }

    mutating func snapshotSlice(
        _ connection: ConnectionID,
        _ bytes: [UInt8],
        ledger: Ledger,
        now: Instant,
        actions: inout [ZabAction]
    ) {
        guard let index = index(connection), case .dumping = learners[index].stage else { return }
        // A long dump is no silence of the learner's.
        learners[index].deadline = now + ledger.configuration.learnerPatience
        transmit(.snapshotSlice(bytes), bytes.count, to: index, &actions)
    }

    mutating func snapshotEnd(
        _ connection: ConnectionID,
        ledger: inout Ledger,
        actions: inout [ZabAction]
    ) {
        guard let index = index(connection), case .dumping(let zxid) = learners[index].stage else {
            return
        }
        actions.append(.send(connection, .snapshotEnd))
        catchUp(index, from: zxid, ledger: &ledger, actions: &actions)
    }
}
