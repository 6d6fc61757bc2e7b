internal import ZooKeeperModel

/// Which sets of voters decide: those with more than half of the weight in more than half of the
/// groups. Groups without any weight do not count. Without groups and weights that is more than half
/// of the voters.
///
/// Any two such sets share a voter, which is all that the protocol asks of them. Callers ask by
/// predicate, voter by voter, and know nothing of groups.
struct Quorum: Sendable {
    private struct Share: Sendable {
        var server: ServerID
        var weight: Int64
    }
    private struct Group: Sendable {
        var shares: [Share]
        var weight: Int64
    }

    /// Sorted.
    let voters: [ServerID]
    /// Those with a weight.
    private let groups: [Group]

    init(_ configuration: EnsembleConfiguration) {
        if let problem = configuration.quorumProblem { preconditionFailure(problem) }
        let voters = configuration.voters
        self.voters = voters
        let members =
            configuration.groups.isEmpty ? [voters] : configuration.groups.map(\.members)
        groups = members.map { members in
            let shares = members.filter(voters.contains).map {
                Share(server: $0, weight: configuration.weights[$0, default: 1])
            }
            return Group(shares: shares, weight: shares.reduce(0) { $0 + $1.weight })
        }.filter { $0.weight > 0 }
    }

    func contains(_ server: ServerID) -> Bool { voters.contains(server) }

    /// A voter without weight is never elected: nothing that it logs helps to commit, so it would
    /// lead without a say.
    func mayLead(_ server: ServerID) -> Bool {
        groups.contains { group in
            group.shares.contains { $0.server == server && $0.weight > 0 }
        }
    }

    func isReached(by agrees: (ServerID) -> Bool) -> Bool {
        var count = 0
        for group in groups {
            var weight: Int64 = 0
            for share in group.shares where agrees(share.server) { weight += share.weight }
            if weight > group.weight / 2 { count += 1 }
        }
        return count > groups.count / 2
    }

    func isUnanimous(_ agrees: (ServerID) -> Bool) -> Bool { voters.allSatisfy(agrees) }
}
