internal import ZooKeeperModel

/// How a leader learns that it still led at some moment: a quorum answers a PING that was sent after
/// it.
///
/// A learner that answers has not left for another leader, and no other leader is established without
/// a quorum that has. So whatever anybody was told before that moment was committed here, or by
/// leaders before this one.
///
/// All that ask while a round of PINGs is under way wait for the next one, which then begins at once.
struct Confirmation: Sendable {
    /// The newest ticket that the round under way confirms.
    var underWay: UInt64?
    /// The newest ticket that waits for the next round.
    var waiting: UInt64?
}

/// PINGs on one connection. Nothing in a PING tells it from another, but a learner that has seen
/// UPTODATE answers each of them, in order, and none before it: so they are counted.
struct PingCount: Sendable {
    /// Sent after UPTODATE.
    var sent: UInt64 = 0
    var answered: UInt64 = 0
    /// With so many answers it followed this leader after the present round began. Nil: it has not
    /// been sent a PING since then.
    var needed: UInt64?

    var hasConfirmed: Bool { needed.map { answered >= $0 } ?? false }
}

extension Leadership {
    mutating func confirm(_ ticket: UInt64, ledger: Ledger, actions: inout [ZabAction]) {
        confirmation.waiting = ticket
        checkConfirmation(ledger, &actions)
    }

    mutating func ping(_ index: Int, _ actions: inout [ZabAction]) {
        actions.append(.send(learners[index].connection, .ping(lastProposed, touched: [])))
        guard learners[index].isWelcome else { return }
        learners[index].pings.sent += 1
        // Also a tick's PING, sent to one that came back after the round's had left.
        if confirmation.underWay != nil, learners[index].pings.needed == nil {
            learners[index].pings.needed = learners[index].pings.sent
        }
    }

    mutating func pingAnswered(_ index: Int, _ ledger: Ledger, _ actions: inout [ZabAction]) {
        guard learners[index].isWelcome else { return }
        guard learners[index].pings.answered < learners[index].pings.sent else {
            // Its answers cannot be told apart any more.
            return drop(index, "an answer to a PING that was not sent", &actions)
        }
        learners[index].pings.answered += 1
        checkConfirmation(ledger, &actions)
    }

    private mutating func checkConfirmation(_ ledger: Ledger, _ actions: inout [ZabAction]) {
        while true {
            if let ticket = confirmation.underWay {
                guard isConfirmed(ledger) else { return }
                confirmation.underWay = nil
                actions.append(.leadershipConfirmed(ticket))
            }
            guard let ticket = confirmation.waiting else { return }
            confirmation.waiting = nil
            confirmation.underWay = ticket
            for index in learners.indices { learners[index].pings.needed = nil }
            guard !isConfirmed(ledger) else { continue }
            for index in learners.indices
            where learners[index].isVoter && learners[index].isWelcome {
                ping(index, &actions)
            }
        }
    }

    private func isConfirmed(_ ledger: Ledger) -> Bool {
        ledger.quorum.isReached { voter in
            voter == ledger.me
                || learners.contains {
                    $0.server == voter && $0.isVoter && $0.pings.hasConfirmed
                }
        }
    }
}
