package import ZooKeeperModel

/// Who belongs to the ensemble, and how patient its members are.
package struct EnsembleConfiguration: Hashable, Sendable {
    package struct Member: Hashable, Sendable {
        package var id: ServerID
        package var isObserver: Bool
        package init(id: ServerID, isObserver: Bool = false) {
            self.id = id
            self.isObserver = isObserver
        }
    }
    /// `group.N=sid:sid…` of a configuration file.
    package struct Group: Hashable, Sendable {
        package var id: Int64
        package var members: [ServerID]
        package init(id: Int64, members: [ServerID]) {
            self.id = id
            self.members = members
        }
    }
    package var me: ServerID
    /// Sorted by id; includes this server. One voter alone is a standalone server.
    package var members: [Member]
    /// Empty: all voters are one group, so that more than half of them are a quorum. Else each voter
    /// is in exactly one.
    package var groups: [Group]
    /// `weight.N=w`; 1 for a voter that is not named. One of weight 0 is never elected.
    package var weights: [ServerID: Int64]
    package var tickTime: Duration { didSet { setTimeouts() } }
    /// In ticks.
    package var initLimit: Int { didSet { setTimeouts() } }
    /// In ticks.
    package var syncLimit: Int { didSet { setTimeouts() } }
    // To multiply a `Duration` takes long, and these are asked for with every message.
    private(set) var initTimeout = Duration.zero
    private(set) var syncTimeout = Duration.zero
    /// The text that notifications and NEWLEADER carry.
    package var text: [UInt8]

    package init(
        me: ServerID,
        members: [Member],
        groups: [Group] = [],
        weights: [ServerID: Int64] = [:],
        tickTime: Duration = .milliseconds(2000),
        initLimit: Int = 10,
        syncLimit: Int = 5,
        text: [UInt8] = []
    ) {
        self.me = me
        self.members = members.sorted { $0.id < $1.id }
        self.groups = groups
        self.weights = weights
        self.tickTime = tickTime
        self.initLimit = initLimit
        self.syncLimit = syncLimit
        self.text = text
        setTimeouts()
    }

    private mutating func setTimeouts() {
        initTimeout = tickTime * initLimit
        syncTimeout = tickTime * syncLimit
    }

    package var voters: [ServerID] { members.filter { !$0.isObserver }.map(\.id) }

    /// Why no quorum can be formed of these voters, groups and weights; nil if all is well. A
    /// configuration with such a problem must not reach a ``ZabPeer``.
    package var quorumProblem: String? {
        let voters = voters
        guard !voters.isEmpty else { return "no server votes" }
        for (server, weight) in weights.sorted(by: { $0.key < $1.key }) {
            guard (0...Self.greatestWeight).contains(weight) else {
                return "the weight of server \(server) is \(weight)"
            }
        }
        if !groups.isEmpty {
            for voter in voters {
                let count = groups.reduce(0) { sum, group in
                    sum + group.members.count { $0 == voter }
                }
                guard count == 1 else { return "server \(voter) is in \(count) groups" }
            }
        }
        guard voters.contains(where: { weights[$0, default: 1] > 0 }) else {
            return "no server has a weight"
        }
        return nil
    }
    /// So that sums of weights stay far from the end of their type.
    private static let greatestWeight: Int64 = 1 << 40
}
