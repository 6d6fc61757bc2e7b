internal import ZooKeeperModel

/// A candidate, by the qualities that decide: the newest epoch, then the longest log, then the id.
struct Vote: Hashable, Sendable {
    var leader: ServerID
    var zxid: Zxid
    var peerEpoch: Int64

    /// A candidate that may not lead is worse than any that may.
    func isBetter(than other: Vote, in quorum: Quorum) -> Bool {
        guard quorum.mayLead(leader) else { return false }
        return !quorum.mayLead(other.leader)
            || (peerEpoch, zxid, leader) > (other.peerEpoch, other.zxid, other.leader)
    }
}

/// A vote that has won, with the round it won in: what this server answers to those still looking.
struct Standing: Hashable, Sendable {
    var vote: Vote
    var round: Int64
}

/// Finds the voter with the newest history that a quorum can hear: ZooKeeper's fast leader election.
///
/// Everybody broadcasts a vote, first for itself, and takes over any better one it hears. When a
/// quorum holds the same vote it waits a moment for a better one still on its way, unless every voter
/// that can be heard agrees already: the dead one whose end began the election is not waited for. Election only proposes: two servers may think themselves elected, and discovery
/// lets at most one of them establish an epoch.
struct Election: Sendable {
    static let finalizeWait = Duration.milliseconds(200)

    private struct Ballot: Sendable {
        var sender: ServerID
        var vote: Vote
        var round: Int64
        var state: ElectionNotification.State
        var version: Int32
    }

    private(set) var round: Int64
    /// The vote without which this server would be content.
    private var initial: Vote
    /// For whom this server makes way, and how long: after that it stands for itself.
    private var deference: (successor: ServerID, until: Instant)?
    private(set) var proposal: Vote
    /// One for each sender, in order of arrival: votes of this round.
    private var received: [Ballot] = []
    /// Those who have a leader already, of any round.
    private var settled: [Ballot] = []
    private var resendInterval = Election.finalizeWait
    private var resendAt: Instant
    /// Set while a quorum agrees with `proposal`.
    private var finalizeAt: Instant?
    /// The election could be over, had this server a disk to follow with.
    private var isHeldBack = false
    /// Set in a voter whose word does not count: who else holds nothing.
    private var founding: Founding?
    /// Every voter holds nothing, this one too: its vote counts from now on.
    private(set) var hasFounded = false

    /// Nil: still looking.
    typealias Outcome = Standing?

    /// The least of votes: every other one is better, and it is not even told.
    private static let abstention = Vote(
        leader: ServerID(rawValue: .min),
        zxid: Zxid(rawValue: .min),
        peerEpoch: .min
    )

    init(round: Int64, ledger: Ledger, successor: ServerID? = nil, now: Instant) {
        self.round = round
        deference = successor.map { ($0, now + ledger.configuration.tickTime) }
        if ledger.isVoter, ledger.suffrage != .full {
            initial = Founding.vote(of: ledger)
            founding = Founding(isPossible: ledger.suffrage == .none)
        } else {
            initial = Self.candidate(deference?.successor, ledger, now)
        }
        proposal = initial
        resendAt = now + resendInterval
    }

    /// Whom this server proposes before it has heard anybody.
    private static func candidate(
        _ successor: ServerID?,
        _ ledger: Ledger,
        _ now: Instant
    ) -> Vote {
        var vote = Vote(
            leader: successor ?? ledger.me,
            zxid: ledger.lastLogged,
            peerEpoch: ledger.currentEpoch
        )
        if !ledger.isVoter { return abstention }
        if vote.leader == ledger.me, ledger.isDiskUnfit(at: now) { vote = abstention }
        return vote
    }

    /// What kept this server from standing for election may be over.
    private mutating func reconsider(_ ledger: Ledger, _ now: Instant) {
        guard founding == nil else { return }
        var best = proposal
        if let deference, now >= deference.until {
            self.deference = nil
            // It counts no more than what others say of it.
            best = Self.abstention
            for ballot in received where ballot.vote.isBetter(than: best, in: ledger.quorum) {
                best = ballot.vote
            }
        }
        initial = Self.candidate(deference?.successor, ledger, now)
        if initial.isBetter(than: best, in: ledger.quorum) { best = initial }
        guard best != proposal else { return }
        proposal = best
        finalizeAt = nil
    }

    var nextDeadline: Instant {
        guard let finalizeAt else { return resendAt }
        return min(finalizeAt, resendAt)
    }

    mutating func start(ledger: Ledger, now: Instant, actions: inout [ZabAction]) -> Outcome {
        found(ledger, now)
        broadcast(ledger, &actions)
        return tally(ledger, now)
    }

    mutating func wake(ledger: Ledger, now: Instant, actions: inout [ZabAction]) -> Outcome {
        if let finalizeAt, now >= finalizeAt {
            guard mayFollow(proposal.leader, ledger, now) else { return nil }
            return Standing(vote: proposal, round: round)
        }
        if now >= resendAt {
            resendInterval = min(
                resendInterval * 2,
                max(ledger.configuration.tickTime, resendInterval)
            )
            resendAt = now + resendInterval
            let former = proposal
            reconsider(ledger, now)
            broadcast(ledger, &actions)
            if proposal != former || isHeldBack { return tally(ledger, now) }
        }
        return nil
    }

    mutating func receive(
        _ notification: ElectionNotification,
        from sender: ServerID,
        ledger: Ledger,
        now: Instant,
        actions: inout [ZabAction]
    ) -> Outcome {
        guard ledger.quorum.contains(sender), sender != ledger.me else {
            // An observer asks; it has no say.
            if notification.state == .looking { send(to: sender, ledger, &actions) }
            return nil
        }
        let vote = Vote(
            leader: notification.leader,
            zxid: notification.zxid,
            peerEpoch: notification.peerEpoch
        )
        let ballot = Ballot(
            sender: sender,
            vote: vote,
            round: notification.electionEpoch,
            state: notification.state,
            version: notification.version
        )
        switch notification.state {
        case .looking:
            settled.removeAll { $0.sender == sender }
            guard founding == nil else {
                return hear(ballot, ledger: ledger, now: now, actions: &actions)
            }
            guard notification.electionEpoch >= round || isWithoutCandidate(ledger) else {
                send(to: sender, ledger, &actions)
                return nil
            }
            guard ledger.quorum.contains(vote.leader), vote.zxid != .none else { return nil }
            // Perhaps it was not looking yet when mine was told.
            let isNews = !received.contains { $0.sender == sender }
            if notification.electionEpoch != round {
                round = notification.electionEpoch
                received.removeAll()
                proposal = vote.isBetter(than: initial, in: ledger.quorum) ? vote : initial
                finalizeAt = nil
                broadcast(ledger, &actions)
            } else if vote.isBetter(than: proposal, in: ledger.quorum) {
                proposal = vote
                finalizeAt = nil
                broadcast(ledger, &actions)
            } else if isNews {
                send(to: sender, ledger, &actions)
            }
            Self.record(ballot, in: &received)
            return tally(ledger, now)
        case .following, .leading:
            founding?.forget(sender)
            guard ledger.quorum.contains(vote.leader) else { return nil }
            guard let outcome = join(ballot, ledger), mayFollow(vote.leader, ledger, now) else {
                return nil
            }
            return outcome
        case .observing:
            return nil
        }
    }

    /// A voter that abstains takes any round: others do not hear an abstention, so they cannot come
    /// to its own.
    private func isWithoutCandidate(_ ledger: Ledger) -> Bool {
        ledger.isVoter && proposal == Self.abstention
    }

    /// A link came up: what was sent before may be lost.
    mutating func connected(to member: ServerID, ledger: Ledger, actions: inout [ZabAction]) {
        founding?.forget(member)
        if ledger.quorum.contains(member) { send(to: member, ledger, &actions) }
    }

    mutating func lostLink(ledger: Ledger, now: Instant) -> Outcome { tally(ledger, now) }

    // MARK: - Without a vote

    /// A looking voter's word, heard by one whose own does not count.
    private mutating func hear(
        _ ballot: Ballot,
        ledger: Ledger,
        now: Instant,
        actions: inout [ZabAction]
    ) -> Outcome {
        // Whoever votes does so in the latest round.
        round = max(round, ballot.round)
        if ledger.quorum.contains(ballot.vote.leader), ballot.vote.zxid != .none {
            Self.record(ballot, in: &received)
        } else {
            received.removeAll { $0.sender == ballot.sender }
        }
        if founding?.hear(ballot.vote, of: ballot.sender) == true {
            // Its second word counts, and it waits for mine.
            send(to: ballot.sender, ledger, &actions)
        }
        found(ledger, now)
        guard hasFounded else { return nil }
        broadcast(ledger, &actions)
        return tally(ledger, now)
    }

    /// Votes like any other from the moment on at which all voters are known to be new.
    private mutating func found(_ ledger: Ledger, _ now: Instant) {
        guard founding?.isComplete(among: ledger) == true else { return }
        hasFounded = true
        beginVoting(ledger, now)
    }

    /// The disk may finish a synchronization only after its leader was left.
    mutating func epochStored(
        ledger: Ledger,
        now: Instant,
        actions: inout [ZabAction]
    ) -> Outcome {
        guard founding != nil, ledger.suffrage == .full else { return nil }
        beginVoting(ledger, now)
        broadcast(ledger, &actions)
        return tally(ledger, now)
    }

    private mutating func beginVoting(_ ledger: Ledger, _ now: Instant) {
        founding = nil
        initial = Self.candidate(nil, ledger, now)
        proposal = initial
        received.removeAll { $0.round < round }
        for other in received where other.vote.isBetter(than: proposal, in: ledger.quorum) {
            proposal = other.vote
        }
    }

    // MARK: -

    /// A server that cannot log follows nobody. Its acknowledgement would not come, and what it is
    /// sent would only fill its memory. It goes on telling its vote, and asks again.
    private mutating func mayFollow(_ leader: ServerID, _ ledger: Ledger, _ now: Instant) -> Bool {
        isHeldBack = leader != ledger.me && ledger.isDiskStuck(at: now)
        if isHeldBack { finalizeAt = nil }
        return !isHeldBack
    }

    /// Has this round ended? Every voter of a quorum must hold exactly my proposal.
    private mutating func tally(_ ledger: Ledger, _ now: Instant) -> Outcome {
        guard founding == nil else { return nil }
        func agrees(_ voter: ServerID) -> Bool {
            if voter == ledger.me { return true }
            return received.contains {
                $0.sender == voter && $0.round == round && $0.vote == proposal
            }
        }
        guard ledger.quorum.mayLead(proposal.leader), ledger.quorum.isReached(by: agrees) else {
            finalizeAt = nil
            isHeldBack = false
            return nil
        }
        guard mayFollow(proposal.leader, ledger, now) else { return nil }
        // Only votes of linked voters can still be on their way. This saves time, and decides nothing:
        // any quorum that agrees may go ahead.
        let awaitsNobody = ledger.quorum.isUnanimous { voter in
            agrees(voter) || !ledger.linked.contains(voter)
        }
        if awaitsNobody { return Standing(vote: proposal, round: round) }
        finalizeAt = finalizeAt ?? now + Self.finalizeWait
        return nil
    }

    /// Others have a leader: follow it when a quorum does, and it says so itself. Without its own
    /// word, followers that have not yet noticed its death would send us to a dead server.
    private mutating func join(_ ballot: Ballot, _ ledger: Ledger) -> Outcome {
        let leader = ballot.vote.leader
        // They follow whom I was before I lost what I held.
        if leader == ledger.me, founding != nil { return nil }
        func isLeading(_ ballots: [Ballot]) -> Bool {
            leader == ledger.me
                ? ballot.round == round
                : ballots.contains { $0.sender == leader && $0.state == .leading }
        }
        Self.record(ballot, in: &settled)
        if ballot.round == round {
            Self.record(ballot, in: &received)
            let agree = ledger.quorum.isReached { voter in
                if voter == ledger.me { return proposal.leader == leader }
                return received.contains { other in
                    guard other.sender == voter, other.vote.leader == leader else { return false }
                    return other.state == .looking ? other.vote == ballot.vote : true
                }
            }
            if agree, isLeading(received) { return Standing(vote: ballot.vote, round: round) }
        }
        // The round and the zxid of an election long past differ from member to member: the leader
        // and its epoch are what they must agree on.
        let agree = ledger.quorum.isReached { voter in
            settled.contains { other in
                other.sender == voter && other.vote.leader == leader
                    && (other.vote.peerEpoch == ballot.vote.peerEpoch
                        || (other.version > 0) != (ballot.version > 0))
            }
        }
        guard agree, isLeading(settled) else { return nil }
        return Standing(vote: ballot.vote, round: ballot.round)
    }

    private static func record(_ ballot: Ballot, in ballots: inout [Ballot]) {
        if let index = ballots.firstIndex(where: { $0.sender == ballot.sender }) {
            ballots[index] = ballot
        } else {
            ballots.append(ballot)
        }
    }

    private func broadcast(_ ledger: Ledger, _ actions: inout [ZabAction]) {
        for voter in ledger.quorum.voters where voter != ledger.me {
            send(to: voter, ledger, &actions)
        }
    }

    private func send(to member: ServerID, _ ledger: Ledger, _ actions: inout [ZabAction]) {
        actions.append(
            .sendNotification(
                to: member,
                ElectionNotification(
                    state: .looking,
                    leader: proposal.leader,
                    zxid: proposal.zxid,
                    electionEpoch: round,
                    peerEpoch: proposal.peerEpoch,
                    configuration: ledger.configuration.text
                )
            )
        )
    }
}
