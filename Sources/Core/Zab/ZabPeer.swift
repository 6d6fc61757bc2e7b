internal import DequeModule
package import ZooKeeperModel

/// One member of an ensemble that agrees on one sequence of proposals, whatever crashes and whatever
/// the network loses, as long as disks keep what they confirmed.
///
/// Each member looks for the voter with the newest history (Election.swift). The winner gathers a
/// quorum and founds an epoch that no member of it will hear older leaders after (Leadership.swift),
/// brings the others to its history (Synchronization.swift, Learning.swift) and then orders new
/// proposals (LeaderBroadcast.swift). An ensemble of one voter does the same with a quorum of one.
///
/// Rules kept:
/// - At most one leader establishes an epoch; a member hears only leaders of epochs not below the one
///   it has durably accepted.
/// - A member that acknowledges NEWLEADER holds that leader's history durably, and its epoch after it.
/// - Proposals are committed in zxid order, each once a quorum holds it and all before it durably.
/// - Every committed proposal is delivered once, in order, and nothing else is.
/// - Only a leader that broadcasts and a learner that has seen UPTODATE serve.
///
/// Messages and their order are ZooKeeper's, so a peer may be of another make. Sources: Junqueira,
/// Reed, Serafini, "Zab: High-performance broadcast for primary-backup systems" (2011); Medeiros,
/// "ZooKeeper's atomic broadcast protocol" (2012), for the epochs kept apart and the fast election.
package struct ZabPeer: Sendable {
    enum Phase: Sendable {
        case stopped
        /// Looking, once the disk has finished rebuilding the database.
        case waitingForDisk
        case looking(Election)
        case leading(Leadership)
        case learning(Learning)
        /// Only within a step: the phase's value is with the step, uniquely held.
        case moving
    }

    package private(set) var role = ZabRole.looking
    /// Whether proposals are wanted at the moment. Those made all the same are taken: what an
    /// application cannot put off only delays what this waits for.
    package private(set) var takesProposals = false
    private(set) var phase = Phase.stopped
    private(set) var ledger: Ledger
    /// The election's logical clock; grows as long as the process lives.
    private var round: Int64 = 0
    /// What this server answers to those who look, while it does not.
    private var standing: Standing?
    private var earlyLearners = EarlyLearners()
    /// Whom this server followed last.
    private var lastLeader: ServerID?
    /// Lower in tests.
    var plannedCounter = Leadership.plannedCounter
    var lastUsableCounter = Leadership.lastCounter
    var learnerWindowBytes = OutputCredit.windowBytes

    /// - Parameters:
    ///   - suffrage: other than `.full`, this server joins a leader before its vote counts.
    ///   - ensemble: of which this server is a member; without a number where that is not known yet,
    ///     nil to know nothing of names.
    ///   - freshEnsemble: drawn at random, not 0: the name of an ensemble that has none.
    ///   - recent: the newest logged transactions, oldest first, ending with `lastLoggedZxid`.
    package init(
        configuration: EnsembleConfiguration,
        lastLoggedZxid: Zxid,
        acceptedEpoch: Int64,
        currentEpoch: Int64,
        suffrage: Suffrage = .full,
        ensemble: EnsembleName? = nil,
        freshEnsemble: Int64 = 1,
        recent: [Proposal],
        committedLogCapacity: Int = 500
    ) {
        ledger = Ledger(
            configuration: configuration,
            lastLoggedZxid: lastLoggedZxid,
            acceptedEpoch: acceptedEpoch,
            currentEpoch: currentEpoch,
            suffrage: suffrage,
            ensemble: ensemble,
            freshEnsemble: freshEnsemble,
            recent: recent,
            committedLogCapacity: committedLogCapacity
        )
    }

    package mutating func handle(
        _ input: ZabInput,
        at now: Instant,
        actions: inout [ZabAction]
    ) {
        // What the disk says, and who can be heard, is true in every phase.
        switch input {
        case .electionConnected(let member): ledger.electionLink(with: member, isUp: true)
        case .electionDisconnected(let member): ledger.electionLink(with: member, isUp: false)
        case .persisted(let zxid): ledger.persisted(upTo: zxid)
        case .epochStored(let kind, let epoch): ledger.epochStored(kind, epoch)
        case .diskFull(let isFull): ledger.isDiskFull = isFull
        default: break
        }
        let wasAway = isWakeAfterAbsence(input, now)
        ledger.watchDisk(isAnswer: wasAway || isDiskAnswer(input), now: now)
        defer { ledger.watchDisk(isAnswer: false, now: now) }
        // Moved out and back: a copy of what a leader knows would cost more than most steps.
        var current = Phase.moving
        swap(&current, &phase)
        switch consume current {
        case .stopped:
            phase = .stopped
            if case .start = input { look(now, &actions) }
        case .waitingForDisk:
            phase = .waitingForDisk
            waitForDisk(input, now, &actions)
        case .looking(let election):
            look(with: election, input, now, &actions)
        case .leading(let leadership):
            lead(with: leadership, input, wasAway: wasAway, now, &actions)
        case .learning(let learning):
            learn(with: learning, input, wasAway: wasAway, now, &actions)
        case .moving:
            preconditionFailure("a step within a step")
        }
    }

    private func isWakeAfterAbsence(_ input: ZabInput, _ now: Instant) -> Bool {
        guard case .wake = input, let due = nextDeadline else { return false }
        return now >= due + ledger.configuration.awayThreshold
    }

    private func isDiskAnswer(_ input: ZabInput) -> Bool {
        switch input {
        case .persisted, .epochStored: true
        default: false
        }
    }

    /// When to send `.wake`.
    package var nextDeadline: Instant? {
        switch phase {
        case .stopped, .waitingForDisk, .moving: nil
        case .looking(let election): election.nextDeadline
        case .leading(let leadership): leadership.nextDeadline
        case .learning(let learning): learning.nextDeadline
        }
    }

    // MARK: - One step in each phase

    private mutating func waitForDisk(
        _ input: ZabInput,
        _ now: Instant,
        _ actions: inout [ZabAction]
    ) {
        switch input {
        case .truncated(let last, let recent):
            guard rebuilt(last, recent, &actions) != nil else { return }
            look(now, &actions)
        case .snapshotInstalled(let zxid):
            guard rebuilt(zxid, [], &actions) != nil else { return }
            look(now, &actions)
        case .installRefused, .truncationRefused:
            ledger.rebuildingRefused()
            look(now, &actions)
        case .learnerConnected(let connection): earlyLearners.keep(connection, &actions)
        case .fromLearner(let connection, let message):
            earlyLearners.keep(message, from: connection, &actions)
        case .learnerDisconnected(let connection): earlyLearners.forget(connection)
        case .leaderConnected(let connection):
            actions.append(.close(connection, reason: "not asked for"))
        case .logRead: _ = ledger.logReads.popFirst()
        case .snapshotSlice, .snapshotEnd, .propose, .start, .wake, .electionConnected,
            .electionDisconnected, .notification, .fromLeader, .leaderDisconnected, .persisted,
            .epochStored, .diskFull, .confirmLeadership, .handOver, .learnerDrained:
            break
        }
    }

    private mutating func look(
        with election: consuming Election,
        _ input: ZabInput,
        _ now: Instant,
        _ actions: inout [ZabAction]
    ) {
        var outcome: Standing?
        switch input {
        case .wake:
            outcome = election.wake(ledger: ledger, now: now, actions: &actions)
        case .notification(let sender, let notification):
            outcome = election.receive(
                notification,
                from: sender,
                ledger: ledger,
                now: now,
                actions: &actions
            )
        case .electionConnected(let member):
            election.connected(to: member, ledger: ledger, actions: &actions)
        case .electionDisconnected:
            // It was perhaps the only one whose agreement was waited for.
            outcome = election.lostLink(ledger: ledger, now: now)
        case .epochStored:
            outcome = election.epochStored(ledger: ledger, now: now, actions: &actions)
        case .learnerConnected(let connection): earlyLearners.keep(connection, &actions)
        case .fromLearner(let connection, let message):
            earlyLearners.keep(message, from: connection, &actions)
        case .learnerDisconnected(let connection): earlyLearners.forget(connection)
        case .leaderConnected(let connection):
            actions.append(.close(connection, reason: "not asked for"))
        case .logRead: _ = ledger.logReads.popFirst()
        case .truncated, .snapshotInstalled, .installRefused, .truncationRefused:
            preconditionFailure("the database was rebuilt under an election")
        case .start, .fromLeader, .leaderDisconnected, .persisted, .diskFull, .propose,
            .confirmLeadership, .handOver, .learnerDrained, .snapshotSlice, .snapshotEnd:
            break
        }
        round = election.round
        if election.hasFounded, ledger.suffrage == .none { ledger.grantVote() }
        if let outcome {
            elected(outcome, now, &actions)
        } else {
            phase = .looking(consume election)
        }
    }

    private mutating func lead(
        with leadership: consuming Leadership,
        _ input: ZabInput,
        wasAway: Bool,
        _ now: Instant,
        _ actions: inout [ZabAction]
    ) {
        switch input {
        case .propose(let proposal):
            guard leadership.stage == .broadcasting else { break }
            leadership.propose(proposal, ledger: &ledger, now: now, actions: &actions)
        case .persisted:
            leadership.persisted(ledger: &ledger, actions: &actions)
        case .epochStored(let kind, let epoch):
            leadership.epochStored(
                kind,
                epoch,
                ledger: &ledger,
                now: now,
                actions: &actions
            )
        case .fromLearner(let connection, let message):
            leadership.received(
                message,
                from: connection,
                ledger: &ledger,
                now: now,
                actions: &actions
            )
        case .learnerConnected(let connection):
            leadership.connected(connection, ledger: ledger, now: now)
        case .learnerDisconnected(let connection):
            leadership.disconnected(connection, &actions)
            leadership.leaveIfDeserted(ledger)
        case .wake:
            leadership.wake(wasAway: wasAway, ledger: ledger, now: now, actions: &actions)
        case .confirmLeadership(let ticket):
            guard leadership.stage == .broadcasting else { break }
            leadership.confirm(ticket, ledger: ledger, actions: &actions)
        case .handOver:
            leadership.beginHandOver(
                isCommanded: true,
                ledger: ledger,
                now: now,
                actions: &actions
            )
        case .diskFull:
            leadership.handOverIfDue(ledger, now, &actions)
        case .logRead(let proposals, _):
            guard let connection = ledger.logReads.popFirst(),
                let index = leadership.index(connection)
            else { break }
            leadership.logRead(index, proposals, ledger: &ledger, actions: &actions)
        case .snapshotSlice(let connection, let bytes):
            leadership.snapshotSlice(
                connection,
                bytes,
                ledger: ledger,
                now: now,
                actions: &actions
            )
        case .snapshotEnd(let connection):
            leadership.snapshotEnd(connection, ledger: &ledger, actions: &actions)
        case .learnerDrained(let connection):
            leadership.drained(connection, ledger: &ledger, now: now, actions: &actions)
        case .notification(let sender, let notification):
            answer(sender, notification, .leading, &actions)
            guard notification.state == .looking, let standing else { break }
            let isSupport =
                notification.electionEpoch == standing.round
                && notification.leader == standing.vote.leader
            leadership.told(by: sender, isSupport: isSupport, ledger: ledger)
        case .electionDisconnected:
            leadership.leaveIfDeserted(ledger)
        case .leaderConnected(let connection):
            actions.append(.close(connection, reason: "not asked for"))
        case .truncated, .snapshotInstalled, .installRefused, .truncationRefused:
            preconditionFailure("the database was rebuilt under a leader")
        case .start, .electionConnected, .fromLeader, .leaderDisconnected:
            break
        }
        if let failure = leadership.failure {
            leadership.stepDown(failure, actions: &actions)
            takesProposals = false
            return look(now, successor: leadership.successor, &actions)
        }
        let takesNow = leadership.takesProposals(ledger)
        if takesNow, !takesProposals, role == leadership.role { actions.append(.proposalsWelcome) }
        takesProposals = takesNow
        role = leadership.role
        if leadership.stage == .broadcasting { standing?.vote.peerEpoch = leadership.epoch }
        phase = .leading(consume leadership)
    }

    private mutating func learn(
        with learning: consuming Learning,
        _ input: ZabInput,
        wasAway: Bool,
        _ now: Instant,
        _ actions: inout [ZabAction]
    ) {
        switch input {
        case .fromLeader(let connection, let message):
            learning.received(
                message,
                from: connection,
                ledger: &ledger,
                now: now,
                actions: &actions
            )
        case .persisted:
            learning.persisted(ledger: &ledger, actions: &actions)
        case .epochStored:
            learning.epochStored(ledger: ledger, actions: &actions)
        case .truncated(let last, let recent):
            guard let wanted = rebuilt(last, recent, &actions) else { break }
            learning.rebuilt(wanted: wanted, ledger: &ledger, now: now, actions: &actions)
        case .snapshotInstalled(let zxid):
            guard let wanted = rebuilt(zxid, [], &actions) else { break }
            learning.rebuilt(wanted: wanted, ledger: &ledger, now: now, actions: &actions)
        case .installRefused:
            ledger.rebuildingRefused()
            learning.installRefused()
        case .truncationRefused:
            ledger.rebuildingRefused()
            learning.truncationRefused(now: now, ledger: ledger, actions: &actions)
        case .leaderConnected(let connection):
            learning.connected(connection, ledger: ledger, now: now, actions: &actions)
        case .leaderDisconnected(let connection):
            learning.disconnected(connection, ledger: ledger, now: now)
        case .wake:
            learning.wake(wasAway: wasAway, ledger: ledger, now: now, actions: &actions)
        case .notification(let sender, let notification):
            answer(sender, notification, ledger.isVoter ? .following : .observing, &actions)
        case .learnerConnected(let connection):
            actions.append(.close(connection, reason: "not leading"))
        case .logRead: _ = ledger.logReads.popFirst()
        case .start, .electionConnected, .electionDisconnected, .fromLearner,
            .learnerDisconnected, .diskFull, .propose, .confirmLeadership, .handOver,
            .learnerDrained,
            .snapshotSlice, .snapshotEnd:
            break
        }
        if let failure = learning.failure {
            learning.abandon(failure, ledger: &ledger, actions: &actions)
            return look(now, &actions)
        }
        role = learning.role(ledger)
        if learning.stage == .following {
            lastLeader = learning.leader
            standing?.vote.peerEpoch = ledger.currentEpoch
        }
        phase = .learning(consume learning)
    }

    // MARK: - From phase to phase

    private mutating func look(
        _ now: Instant,
        successor: ServerID? = nil,
        _ actions: inout [ZabAction]
    ) {
        if role != .looking {
            role = .looking
            actions.append(.roleChanged(.looking))
        }
        standing = nil
        guard ledger.rebuilding == nil else {
            phase = .waitingForDisk
            return
        }
        round += 1
        var election = Election(round: round, ledger: ledger, successor: successor, now: now)
        let outcome = election.start(ledger: ledger, now: now, actions: &actions)
        if election.hasFounded, ledger.suffrage == .none { ledger.grantVote() }
        if let outcome {
            elected(outcome, now, &actions)
        } else {
            phase = .looking(election)
        }
    }

    private mutating func elected(
        _ outcome: Standing,
        _ now: Instant,
        _ actions: inout [ZabAction]
    ) {
        round = outcome.round
        standing = outcome
        role = .preparing
        actions.append(.roleChanged(.preparing))
        let early = earlyLearners.take()
        guard outcome.vote.leader == ledger.me else {
            for learner in early {
                actions.append(.close(learner.connection, reason: "not leading"))
            }
            phase = .learning(
                Learning(leader: outcome.vote.leader, ledger: ledger, now: now, actions: &actions)
            )
            return
        }
        precondition(ledger.suffrage == .full, "a server without a vote was elected")
        var leadership = Leadership(
            ledger: ledger,
            now: now,
            predecessor: lastLeader,
            plannedCounter: plannedCounter,
            windowBytes: learnerWindowBytes,
            lastUsableCounter: lastUsableCounter
        )
        for learner in early {
            leadership.connected(learner.connection, ledger: ledger, now: now)
            guard let info = learner.info else { continue }
            leadership.received(
                info,
                from: learner.connection,
                ledger: &ledger,
                now: now,
                actions: &actions
            )
        }
        leadership.chooseEpoch(ledger: &ledger, now: now, actions: &actions)
        if let failure = leadership.failure {
            // Only the exhaustion of the epochs: no election can help.
            leadership.stepDown(failure, actions: &actions)
            actions.append(.halt(failure))
            phase = .stopped
            return
        }
        phase = .leading(leadership)
    }

    /// Returns what was asked for, or nil when the process has to stop.
    private mutating func rebuilt(
        _ last: Zxid,
        _ recent: [Proposal],
        _ actions: inout [ZabAction]
    ) -> Zxid? {
        switch ledger.rebuilding {
        case .truncating(let wanted):
            guard last <= wanted else {
                actions.append(
                    .halt("the log could not be cut after \(wanted): it still ends at \(last)")
                )
                return nil
            }
            ledger.rebuilt(upTo: last, recent: recent)
            return wanted
        case .finishingInstall(let wanted):
            ledger.rebuilt(upTo: wanted, recent: [])
            return wanted
        case .installing, nil:
            preconditionFailure("rebuilt unasked")
        }
    }

    private func answer(
        _ sender: ServerID,
        _ notification: ElectionNotification,
        _ state: ElectionNotification.State,
        _ actions: inout [ZabAction]
    ) {
        guard let standing,
            notification.state == .looking || !ledger.quorum.contains(sender)
        else { return }
        actions.append(
            .sendNotification(
                to: sender,
                ElectionNotification(
                    state: state,
                    leader: standing.vote.leader,
                    zxid: standing.vote.zxid,
                    electionEpoch: standing.round,
                    peerEpoch: standing.vote.peerEpoch,
                    configuration: ledger.configuration.text
                )
            )
        )
    }
}
