import Testing
import ZooKeeperModel

@testable import Zab

/// Which sets of voters decide.
struct QuorumTests {
    static func groups(_ members: [Int64]...) -> [EnsembleConfiguration.Group] {
        members.enumerated().map {
            EnsembleConfiguration.Group(
                id: Int64($0.offset + 1),
                members: $0.element.map(ServerID.init(rawValue:))
            )
        }
    }

    static func configuration(
        voters: Int64,
        observers: Int64 = 0,
        groups: [EnsembleConfiguration.Group] = [],
        weights: [Int64: Int64] = [:]
    ) -> EnsembleConfiguration {
        EnsembleConfiguration(
            me: ServerID(rawValue: 1),
            members: (1...(voters + observers)).map {
                .init(id: ServerID(rawValue: $0), isObserver: $0 > voters)
            },
            groups: groups,
            weights: [ServerID: Int64](
                uniqueKeysWithValues: weights.map { (ServerID(rawValue: $0.key), $0.value) }
            )
        )
    }

    struct Row: Sendable {
        var configuration: EnsembleConfiguration
        var servers: Set<Int64>
        var isQuorum: Bool
    }

    static let threeTimesThree = configuration(
        voters: 9,
        groups: groups([1, 2, 3], [4, 5, 6], [7, 8, 9])
    )
    static let weighted = configuration(
        voters: 5,
        groups: groups([1, 2], [3, 4], [5]),
        weights: [1: 3, 2: 1, 5: 0]
    )

    @Test(arguments: [
        Row(configuration: configuration(voters: 1), servers: [1], isQuorum: true),
        Row(configuration: configuration(voters: 1), servers: [], isQuorum: false),
        Row(configuration: configuration(voters: 4), servers: [1, 2], isQuorum: false),
        Row(configuration: configuration(voters: 4), servers: [1, 2, 4], isQuorum: true),
        Row(configuration: configuration(voters: 5), servers: [2, 3, 5], isQuorum: true),
        // Observers are nobody.
        Row(
            configuration: configuration(voters: 3, observers: 2),
            servers: [1, 4, 5],
            isQuorum: false
        ),
        // Two of three groups, each by two of three.
        Row(configuration: threeTimesThree, servers: [1, 2, 4, 5], isQuorum: true),
        Row(configuration: threeTimesThree, servers: [1, 2, 3, 4, 7], isQuorum: false),
        Row(configuration: threeTimesThree, servers: [1, 2, 3, 7, 8], isQuorum: true),
        // Server 1 is its group; half of a weight is not more than half; group 3 has no weight,
        // so that both others are needed.
        Row(configuration: weighted, servers: [1, 3, 4], isQuorum: true),
        Row(configuration: weighted, servers: [1, 3, 5], isQuorum: false),
        Row(configuration: weighted, servers: [2, 3, 4, 5], isQuorum: false),
        Row(configuration: weighted, servers: [1, 2, 5], isQuorum: false),
        // Weights alone are weights in one group of all.
        Row(
            configuration: configuration(voters: 3, weights: [1: 5]),
            servers: [1],
            isQuorum: true
        ),
        Row(
            configuration: configuration(voters: 3, weights: [1: 5]),
            servers: [2, 3],
            isQuorum: false
        ),
    ])
    func `more than half by weight of more than half of the groups decide`(_ row: Row) {
        let quorum = Quorum(row.configuration)
        #expect(quorum.isReached { row.servers.contains($0.rawValue) } == row.isQuorum)
    }

    @Test(arguments: [
        configuration(voters: 6), threeTimesThree, weighted,
        configuration(voters: 5, groups: groups([1, 2, 3, 4], [5]), weights: [2: 0, 3: 7]),
        configuration(voters: 6, groups: groups([1, 2], [3, 4], [5, 6]), weights: [5: 0, 6: 0]),
    ])
    func `any two quorums share a voter`(_ configuration: EnsembleConfiguration) {
        let quorum = Quorum(configuration)
        let all = (1 << configuration.voters.count) - 1
        let reached = (0...all).map { set in
            quorum.isReached { set >> Int($0.rawValue - 1) & 1 == 1 }
        }
        // All together are one, or nothing could ever be decided.
        #expect(reached[all])
        // Sets only get more likely with size, so the complement is the only one to compare with.
        for set in 0...all where reached[set] { #expect(!reached[all ^ set], "set \(set)") }
    }

    @Test func `configurations that can form no quorum are told apart`() {
        typealias Groups = [EnsembleConfiguration.Group]
        func problem(_ groups: Groups, _ weights: [Int64: Int64] = [:]) -> String? {
            Self.configuration(voters: 3, groups: groups, weights: weights).quorumProblem
        }
        #expect(problem([]) == nil)
        #expect(problem(Self.groups([1, 2], [3])) == nil)
        #expect(problem(Self.groups([1, 2])) == "server 3 is in 0 groups")
        #expect(problem(Self.groups([1, 2], [2, 3])) == "server 2 is in 2 groups")
        #expect(problem([], [2: -1]) == "the weight of server 2 is -1")
        #expect(problem([], [2: .max]) == "the weight of server 2 is \(Int64.max)")
        #expect(problem([], [1: 0, 2: 0, 3: 0]) == "no server has a weight")
    }

    // MARK: - Elections among weights

    private static func peer(_ me: Int64, log: [Proposal]) -> ZabPeer {
        var configuration = configuration(
            voters: 4,
            groups: groups([1, 2], [3, 4]),
            weights: [4: 0]
        )
        configuration.me = ServerID(rawValue: me)
        var peer = ZabPeer(
            configuration: configuration,
            lastLoggedZxid: log.last?.zxid ?? .zero,
            acceptedEpoch: 1,
            currentEpoch: 1,
            recent: log
        )
        var actions: [ZabAction] = []
        peer.handle(.start, at: Instant(nanoseconds: 0), actions: &actions)
        return peer
    }

    private static func notice(_ leader: Int64, _ counter: UInt32) -> ElectionNotification {
        ElectionNotification(
            state: .looking,
            leader: ServerID(rawValue: leader),
            zxid: Zxid(epoch: 1, counter: counter),
            electionEpoch: 1,
            peerEpoch: 1
        )
    }

    @Test func `a vote for a server without weight is not taken, whatever its log`() {
        var peer = Self.peer(1, log: ElectionTests.proposals(1, 1...2))
        var actions: [ZabAction] = []
        let now = Instant(nanoseconds: 0)
        for sender in 2...4 as ClosedRange<Int64> {
            peer.handle(
                .notification(from: ServerID(rawValue: sender), Self.notice(4, 9)),
                at: now,
                actions: &actions
            )
        }
        // They are told another vote, that is all.
        #expect(
            actions.allSatisfy {
                if case .sendNotification(_, let notification) = $0 {
                    notification.leader == ServerID(rawValue: 1)
                } else {
                    false
                }
            }
        )
        #expect(peer.role == .looking)
        for sender in 2...4 as ClosedRange<Int64> {
            peer.handle(
                .notification(from: ServerID(rawValue: sender), Self.notice(3, 2)),
                at: now,
                actions: &actions
            )
        }
        #expect(actions.contains(.connectToLeader(ServerID(rawValue: 3))))
    }

    @Test func `a server without weight gives up its own vote for a shorter log`() {
        var peer = Self.peer(4, log: ElectionTests.proposals(1, 1...9))
        var actions: [ZabAction] = []
        for sender in 1...3 as ClosedRange<Int64> {
            peer.handle(
                .notification(from: ServerID(rawValue: sender), Self.notice(2, 3)),
                at: Instant(nanoseconds: 0),
                actions: &actions
            )
        }
        #expect(actions.contains(.connectToLeader(ServerID(rawValue: 2))))
    }
}
