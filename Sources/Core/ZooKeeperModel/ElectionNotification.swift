/// What a member tells the others during leader election.
public struct ElectionNotification: Hashable, Sendable {
    public enum State: Int32, Hashable, Sendable {
        case looking = 0
        case following = 1
        case leading = 2
        case observing = 3
    }
    public var state: State
    public var leader: ServerID
    public var zxid: Zxid
    /// The round of the election, counted by each member; also called the logical clock.
    public var electionEpoch: Int64
    public var peerEpoch: Int64
    /// 0 for senders that do not say.
    public var version: Int32
    /// The sender's configuration text; nil before version 2.
    public var configuration: [UInt8]?

    public init(
        state: State,
        leader: ServerID,
        zxid: Zxid,
        electionEpoch: Int64,
        peerEpoch: Int64,
        version: Int32 = 2,
        configuration: [UInt8]? = []
    ) {
        self.state = state
        self.leader = leader
        self.zxid = zxid
        self.electionEpoch = electionEpoch
        self.peerEpoch = peerEpoch
        self.version = version
        self.configuration = configuration
    }
}
