/// The body of a successful reply.
public enum Response: Hashable, Sendable {
    /// delete, setWatches, checkWatches, removeWatches, auth, ping, closeSession.
    case empty
    /// check, inside a multi: no body, but a result type of its own.
    case checked
    /// create: the path that was made, with its sequence number.
    case created(ZnodePath)
    /// create2, createContainer, createTTL.
    case createdWithStat(ZnodePath, Stat)
    /// exists, setData, setACL.
    case stat(Stat)
    case data([UInt8]?, Stat)
    case acl([ACL], Stat)
    /// Names without slash, in no particular order.
    case children([[UInt8]])
    case childrenWithStat([[UInt8]], Stat)
    case synced(ZnodePath)
    case multi([MultiResult])
    /// addWatch: its body is an int 0.
    case watchAdded
}

/// The outcome of one operation inside a multi. If any failed, none took effect: those before the
/// failed one carry `.ok`, those after it `.runtimeInconsistency`.
public enum MultiResult: Hashable, Sendable {
    case success(Response)
    case failure(ErrorCode)
}

/// A reply as it stands in a connection's stream.
public struct Reply: Hashable, Sendable {
    public var xid: Int32
    /// The server's last applied zxid when the reply was made.
    public var zxid: Zxid
    public var result: Result<Response, ErrorCode>
    public init(xid: Int32, zxid: Zxid, result: Result<Response, ErrorCode>) {
        self.xid = xid
        self.zxid = zxid
        self.result = result
    }
}

/// The first message of a client.
public struct ConnectRequest: Hashable, Sendable {
    public var lastZxidSeen: Zxid
    /// Milliseconds, as asked for.
    public var timeout: Int32
    public var session: SessionID
    /// Nil only when no session is presented.
    public var password: [UInt8]?
    public var readOnly: Bool
    /// Clients before 3.4 send no read-only flag and expect none back.
    public var hasReadOnlyFlag: Bool
    public init(
        lastZxidSeen: Zxid,
        timeout: Int32,
        session: SessionID,
        password: [UInt8]?,
        readOnly: Bool = false,
        hasReadOnlyFlag: Bool = true
    ) {
        self.lastZxidSeen = lastZxidSeen
        self.timeout = timeout
        self.session = session
        self.password = password
        self.readOnly = readOnly
        self.hasReadOnlyFlag = hasReadOnlyFlag
    }
}

/// The first message of a server. A timeout of 0 says that the presented session is gone.
public struct ConnectResponse: Hashable, Sendable {
    /// Milliseconds, as negotiated.
    public var timeout: Int32
    public var session: SessionID
    public var password: [UInt8]
    public var readOnly: Bool
    /// Mirrors the request.
    public var hasReadOnlyFlag: Bool
    public init(
        timeout: Int32,
        session: SessionID,
        password: [UInt8],
        readOnly: Bool = false,
        hasReadOnlyFlag: Bool = true
    ) {
        self.timeout = timeout
        self.session = session
        self.password = password
        self.readOnly = readOnly
        self.hasReadOnlyFlag = hasReadOnlyFlag
    }
}
