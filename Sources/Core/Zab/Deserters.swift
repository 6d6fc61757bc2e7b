internal import ZooKeeperModel

/// Voters that look for a leader again while the one they elected still waits for its quorum: they
/// could not connect, started anew, or heard of a better vote late.
///
/// They find no leader as long as this one waits, and it would wait for initLimit in vain
/// (ZOOKEEPER-3109). Leaving early costs an election and breaks no promise.
extension Leadership {
    /// A voter that looks has told its vote. `isSupport`: it is the one that elected this server.
    mutating func told(by voter: ServerID, isSupport: Bool, ledger: Ledger) {
        deserters.removeAll { $0 == voter }
        guard !isSupport, stage != .broadcasting, ledger.quorum.contains(voter) else { return }
        deserters.append(voter)
        leaveIfDeserted(ledger)
    }

    /// Whoever is connected as a learner is here, whatever it told others before. Of the rest those
    /// may come that can be heard and have not changed their minds.
    mutating func leaveIfDeserted(_ ledger: Ledger) {
        guard stage != .broadcasting, !deserters.isEmpty else { return }
        let mayCome = ledger.quorum.isReached { voter in
            voter == ledger.me
                || learners.contains { $0.server == voter && $0.isVoter }
                || (ledger.linked.contains(voter) && !deserters.contains(voter))
        }
        guard !mayCome else { return }
        let names = deserters.map { "\($0)" }.joined(separator: ", ")
        failure = failure ?? "no quorum can come any more: voters that look again: \(names)"
    }
}
