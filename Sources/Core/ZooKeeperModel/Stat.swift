/// What ZooKeeper tells a client of a znode, in the order of the wire (68 bytes).
public struct Stat: Hashable, Sendable {
    public var czxid: Zxid
    public var mzxid: Zxid
    public var ctime: Timestamp
    public var mtime: Timestamp
    public var version: Int32
    /// As clients see it: twice the creations below this znode less its present children.
    public var cversion: Int32
    public var aversion: Int32
    /// The session of an ephemeral; 0 for all else, TTL and container znodes included.
    public var ephemeralOwner: SessionID
    public var dataLength: Int32
    public var numChildren: Int32
    public var pzxid: Zxid

    public init(
        czxid: Zxid,
        mzxid: Zxid,
        ctime: Timestamp,
        mtime: Timestamp,
        version: Int32,
        cversion: Int32,
        aversion: Int32,
        ephemeralOwner: SessionID,
        dataLength: Int32,
        numChildren: Int32,
        pzxid: Zxid
    ) {
        self.czxid = czxid
        self.mzxid = mzxid
        self.ctime = ctime
        self.mtime = mtime
        self.version = version
        self.cversion = cversion
        self.aversion = aversion
        self.ephemeralOwner = ephemeralOwner
        self.dataLength = dataLength
        self.numChildren = numChildren
        self.pzxid = pzxid
    }
}

/// What snapshots keep of a znode (60 bytes): the raw child-creation counter instead of the
/// client's cversion, and an owner that also encodes containers and TTLs.
public struct PersistedStat: Hashable, Sendable {
    public var czxid: Zxid
    public var mzxid: Zxid
    public var ctime: Timestamp
    public var mtime: Timestamp
    public var version: Int32
    /// Counts creations only.
    public var cversion: Int32
    public var aversion: Int32
    /// See ``ZnodeOwner``.
    public var ephemeralOwner: Int64
    public var pzxid: Zxid

    public init(
        czxid: Zxid,
        mzxid: Zxid,
        ctime: Timestamp,
        mtime: Timestamp,
        version: Int32,
        cversion: Int32,
        aversion: Int32,
        ephemeralOwner: Int64,
        pzxid: Zxid
    ) {
        self.czxid = czxid
        self.mzxid = mzxid
        self.ctime = ctime
        self.mtime = mtime
        self.version = version
        self.cversion = cversion
        self.aversion = aversion
        self.ephemeralOwner = ephemeralOwner
        self.pzxid = pzxid
    }
}

/// The meanings of the owner field that snapshots and transactions persist.
public enum ZnodeOwner: Hashable, Sendable {
    case none
    case session(SessionID)
    case container
    /// Milliseconds; at most 40 bits.
    case timeToLive(Int64)

    private static let containerValue = Int64.min
    private static let timeToLiveMask = UInt64(0xFF00_0000_0000_0000)

    /// The TTL reading applies only where extended types are enabled on the whole ensemble.
    public init(persisted: Int64, extendedTypes: Bool) {
        if persisted == 0 {
            self = .none
        } else if persisted == Self.containerValue {
            self = .container
        } else if extendedTypes,
            UInt64(bitPattern: persisted) & Self.timeToLiveMask == Self.timeToLiveMask
        {
            self = .timeToLive(persisted & 0xFF_FFFF_FFFF)
        } else {
            self = .session(SessionID(rawValue: persisted))
        }
    }

    public var persisted: Int64 {
        switch self {
        case .none: 0
        case .session(let session): session.rawValue
        case .container: Self.containerValue
        case .timeToLive(let milliseconds):
            Int64(bitPattern: Self.timeToLiveMask | UInt64(bitPattern: milliseconds))
        }
    }
}
