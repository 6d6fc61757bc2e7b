internal import ZooKeeperModel

/// Which sets of voters decide: more than half of them.
///
/// Callers ask by predicate, voter by voter, so that weights and groups of voters would change only
/// this type.
struct Quorum: Sendable {
    /// Sorted.
    let voters: [ServerID]

    init(_ configuration: EnsembleConfiguration) {
        voters = configuration.voters
        precondition(!voters.isEmpty, "an ensemble without voters")
    }

    func contains(_ server: ServerID) -> Bool { voters.contains(server) }

    func isReached(by agrees: (ServerID) -> Bool) -> Bool {
        var count = 0
        for voter in voters where agrees(voter) { count += 1 }
        return count > voters.count / 2
    }

    func isUnanimous(_ agrees: (ServerID) -> Bool) -> Bool { voters.allSatisfy(agrees) }
}
