/// What a leader and a learner say to each other: one case per packet of the quorum protocol.
public enum LearnerMessage: Hashable, Sendable {
    // From learner to leader.
    case learnerInfo(LearnerInfo)
    /// `currentEpoch` is nil when the learner had accepted the new epoch before.
    case ackEpoch(lastZxid: Zxid, currentEpoch: Int64?)
    case ack(Zxid)
    case request(ForwardedRequest)

    // From leader to learner.
    /// Only to one that has named its ensemble, or said that it knows no name. The newest marks of
    /// the leader's history, oldest first, come with it.
    case ensemble(EnsembleName, marks: [HistoryMark])
    case leaderInfo(epoch: Int64)
    case diff(Zxid)
    case truncate(Zxid)
    case snapshot(Zxid)
    /// A piece of the encoded snapshot body that follows `.snapshot`.
    case snapshotSlice([UInt8])
    case snapshotEnd
    case newLeader(epoch: Int64, configuration: [UInt8]?)
    case upToDate
    case proposal(Proposal)
    case commit(Zxid)
    /// To observers: a committed proposal.
    case inform(Proposal)
    case sync

    // Both ways.
    /// From the leader: its last proposed zxid, no sessions. From a learner: the same zxid, and the
    /// sessions its clients touched since the last one.
    case ping(Zxid, touched: [TouchedSession])
    /// From a learner: is this session alive? The answer carries `isValid`.
    case revalidate(SessionID, timeout: Int32, isValid: Bool?)
}

public struct TouchedSession: Hashable, Sendable {
    public var session: SessionID
    /// Milliseconds, as negotiated by the connection that touched it.
    public var timeout: Int32
    public init(session: SessionID, timeout: Int32) {
        self.session = session
        self.timeout = timeout
    }
}

public struct LearnerInfo: Hashable, Sendable {
    public var server: ServerID
    public var isObserver: Bool
    public var acceptedEpoch: Int64
    public var protocolVersion: Int32
    public var configurationVersion: Int64
    /// Nil: a member of another make.
    public var ensemble: EnsembleName?
    public init(
        server: ServerID,
        isObserver: Bool,
        acceptedEpoch: Int64,
        protocolVersion: Int32 = 0x10000,
        configurationVersion: Int64 = 0,
        ensemble: EnsembleName? = nil
    ) {
        self.server = server
        self.isObserver = isObserver
        self.acceptedEpoch = acceptedEpoch
        self.protocolVersion = protocolVersion
        self.configurationVersion = configurationVersion
        self.ensemble = ensemble
    }
}

/// A request of a learner's client, on its way to the leader.
public struct ForwardedRequest: Hashable, Sendable {
    public var session: SessionID
    public var cxid: Int32
    public var operationCode: Int32
    /// The request's body as the client sent it.
    public var body: [UInt8]
    public var identities: [Identity]
    public init(
        session: SessionID,
        cxid: Int32,
        operationCode: Int32,
        body: [UInt8],
        identities: [Identity]
    ) {
        self.session = session
        self.cxid = cxid
        self.operationCode = operationCode
        self.body = body
        self.identities = identities
    }
}
