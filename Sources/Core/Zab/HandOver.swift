internal import ZooKeeperModel

/// A leader that makes way for one of its followers, on command or because it foresees that it
/// cannot go on: its epoch's counter nears the end, its disk is full or does not answer.
///
/// It proposes nothing more for a moment. Once a follower has acknowledged everything and everything
/// is committed, the leader steps down and gives its first vote in the election that follows to that
/// follower, where it would else stand itself and, with an equal log, often win again. No message says
/// anything of this: the protocol has none, and members of another make take part as in any election.
/// Followers are elected by log and then by id, so the choice is the one that would win anyway.
struct HandOver: Sendable {
    /// Given up then: proposals must not wait for a follower that does not come.
    let deadline: Instant
    /// Somebody wants to know that it came to nothing.
    let isCommanded: Bool
}

extension Leadership {
    /// From here on a quieter moment is looked for, 256 million proposals before the end.
    static let plannedCounter: UInt32 = 0xf000_0000

    mutating func beginHandOver(
        isCommanded: Bool,
        ledger: Ledger,
        now: Instant,
        actions: inout [ZabAction]
    ) {
        guard stage == .broadcasting, handOver == nil, failure == nil else { return }
        nextHandOver = now + ledger.configuration.syncTimeout
        guard learners.contains(where: { mayTakeOver($0, ledger) }) else {
            if isCommanded { actions.append(.handOverGivenUp("no follower could take over")) }
            return
        }
        handOver = HandOver(
            deadline: now + ledger.configuration.tickTime,
            isCommanded: isCommanded
        )
        finishHandOver(ledger)
    }

    /// What this leader can foresee by itself. Tried again after syncLimit, as long as it lasts.
    mutating func handOverIfDue(_ ledger: Ledger, _ now: Instant, _ actions: inout [ZabAction]) {
        guard stage == .broadcasting, now >= nextHandOver,
            lastProposed.counter >= plannedCounter
                || ledger.isDiskUnfit(at: now) && areOthersQuorum(ledger)
        else { return }
        beginHandOver(isCommanded: false, ledger: ledger, now: now, actions: &actions)
    }

    /// A server with such a disk follows nobody: without it, too few may be left for any leader. Then
    /// this one stays, and reads go on.
    private func areOthersQuorum(_ ledger: Ledger) -> Bool {
        ledger.quorum.isReached { voter in
            voter != ledger.me
                && learners.contains { $0.server == voter && $0.isVoter && $0.stage == .synced }
        }
    }

    mutating func giveUpHandOver(_ now: Instant, _ actions: inout [ZabAction]) {
        guard let current = handOver, now >= current.deadline else { return }
        handOver = nil
        guard current.isCommanded else { return }
        actions.append(.handOverGivenUp("no follower has acknowledged everything in time"))
    }

    /// Call after whatever may have been waited for.
    mutating func finishHandOver(_ ledger: Ledger) {
        guard handOver != nil, ledger.tail.isEmpty else { return }
        let ready = learners.filter {
            mayTakeOver($0, ledger)
                && (lastProposed.counter == 0 || $0.acked >= lastProposed)
        }
        // The one who made way for this server did so for a reason that may last.
        guard
            let successor = ready.filter({ $0.server != predecessor }).map(\.server).max()
                ?? ready.map(\.server).max()
        else { return }
        self.successor = successor
        failure = "makes way for server \(successor)"
    }

    private func mayTakeOver(_ learner: Learner, _ ledger: Ledger) -> Bool {
        learner.stage == .synced && learner.isVoter && learner.isWelcome
            && ledger.quorum.mayLead(learner.server)
    }
}
