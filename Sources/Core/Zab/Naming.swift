internal import ZooKeeperModel

/// The ensemble's name, as its leader sees to it.
///
/// A member stores the name together with each epoch whose history it takes over. So a name that a
/// quorum has stored is, like a committed proposal, on the disk of every later leader, and a disk with
/// another settled name is another ensemble's. Members of another make store nothing: where they are
/// needed for a quorum no name is ever settled, and nobody is refused for it.
extension Leadership {
    /// A settled name; else this leader's own, or that of another voter; else a new one.
    mutating func nameEnsemble(_ ledger: Ledger) {
        guard let own = ledger.ensemble else { return }
        let others = learners.filter(\.isVoter).compactMap(\.ensemble).filter { $0.number != 0 }
        guard !own.isSettled else {
            ensemble = own
            return
        }
        let known = others.first(where: \.isSettled)?.number ?? own.number
        ensemble = EnsembleName(
            number: known != 0 ? known : others.first?.number ?? ledger.freshEnsemble
        )
    }

    func tellEnsemble(_ index: Int, _ actions: inout [ZabAction]) {
        guard let ensemble, learners[index].ensemble != nil else { return }
        actions.append(.send(learners[index].connection, .ensemble(ensemble, marks: [])))
    }

    /// Once a quorum has stored the name with this epoch, it is settled.
    mutating func settleEnsemble(_ ledger: inout Ledger, _ actions: inout [ZabAction]) {
        guard let ensemble, !ensemble.isSettled,
            ledger.quorum.isReached(by: { voter in
                voter == ledger.me
                    ? ownsEpoch
                    : learners.contains {
                        $0.server == voter && $0.isVoter && $0.ensemble != nil
                            && $0.stage == .synced
                    }
            })
        else { return }
        self.ensemble?.isSettled = true
        ledger.storeEnsemble(EnsembleName(number: ensemble.number, isSettled: true), &actions)
        for index in learners.indices
        where learners[index].stage != .connected && learners[index].stage != .introduced {
            tellEnsemble(index, &actions)
        }
    }

    /// A voter whose disk belongs to another ensemble does not help this server to be elected. Where
    /// a quorum says so, it is this server that is at the wrong place.
    mutating func isStranger(
        _ index: Int,
        _ ledger: Ledger,
        _ actions: inout [ZabAction]
    ) -> Bool {
        // Later it hears the name, and stops by itself.
        guard stage == .gathering || stage == .storingAcceptedEpoch,
            learners[index].isVoter, let own = ledger.ensemble, own.isSettled,
            let other = learners[index].ensemble, other.contradicts(own)
        else { return false }
        let voter = learners[index].server
        strangers.removeAll { $0.voter == voter }
        strangers.append((voter, other.number))
        let sentence =
            "this server's disk belongs to ensemble \(own.text), that of server \(voter) to ensemble "
            + other.text
        if ledger.quorum.isReached(by: { voter in
            strangers.contains { $0.voter == voter && $0.ensemble == other.number }
        }) {
            failure = sentence + ", as those of a quorum do: one of the disks is at the wrong place"
            actions.append(.halt(sentence))
        } else {
            drop(index, sentence, &actions)
        }
        return true
    }
}
