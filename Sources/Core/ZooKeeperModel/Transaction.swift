/// A replayable change: what the log holds, what a leader proposes, what the tree applies.
public struct Transaction: Hashable, Sendable {
    public var session: SessionID
    /// The request's xid; with the session it finds the client waiting for this transaction.
    public var cxid: Int32
    public var zxid: Zxid
    /// The leader's wall clock when it prepared the change.
    public var time: Timestamp
    public var body: TransactionBody
    /// The digest of the tree after this transaction, where its writer computed one.
    public var digest: TreeDigestValue?

    public init(
        session: SessionID,
        cxid: Int32,
        zxid: Zxid,
        time: Timestamp,
        body: TransactionBody,
        digest: TreeDigestValue? = nil
    ) {
        self.session = session
        self.cxid = cxid
        self.zxid = zxid
        self.time = time
        self.body = body
        self.digest = digest
    }
}

public struct TreeDigestValue: Hashable, Sendable {
    /// The recipe; only version 2 is compared.
    public var version: Int32
    public var value: Int64
    public init(version: Int32 = 2, value: Int64) {
        self.version = version
        self.value = value
    }
}

public struct CreateTransaction: Hashable, Sendable {
    public var path: ZnodePath
    public var data: [UInt8]?
    public var acl: [ACL]
    public var isEphemeral: Bool
    /// The parent's creation counter after this create; −1 in logs before 3.4: one more than it is.
    public var parentCVersion: Int32
    /// Which record it is on the wire. A create that a client sent as create2 stays one: an Apache
    /// learner takes its answer's Stat from it. Only inside a multi it is written as a create,
    /// because servers before 3.8.2 do not apply the other there.
    public var kind: CreateKind

    public init(
        path: ZnodePath,
        data: [UInt8]?,
        acl: [ACL],
        isEphemeral: Bool,
        parentCVersion: Int32,
        kind: CreateKind = .create
    ) {
        self.path = path
        self.data = data
        self.acl = acl
        self.isEphemeral = isEphemeral
        self.parentCVersion = parentCVersion
        self.kind = kind
    }
}

public enum TransactionBody: Hashable, Sendable {
    case create(CreateTransaction)
    case delete(ZnodePath)
    case deleteContainer(ZnodePath)
    /// The version is the new one.
    case setData(ZnodePath, data: [UInt8]?, version: Int32)
    case reconfigure(ZnodePath, data: [UInt8]?, version: Int32)
    /// The version is the new aversion.
    case setACL(ZnodePath, acl: [ACL], version: Int32)
    /// Inside a multi; at top level only in logs of servers before 3.8.5, where it changes nothing.
    case check(ZnodePath, version: Int32)
    /// Milliseconds.
    case createSession(timeout: Int32)
    /// The ephemerals to delete, in order; nil in logs that do not list them.
    case closeSession([ZnodePath]?)
    /// A refused request: it took a zxid and changes nothing.
    case error(ErrorCode)
    /// If any part is an error, nothing is applied.
    case multi([TransactionBody])
}

/// An encoded transaction under its zxid: the same bytes go to the log and to every learner.
public struct Proposal: Hashable, Sendable {
    public var zxid: Zxid
    public var bytes: [UInt8]
    public init(zxid: Zxid, bytes: [UInt8]) {
        self.zxid = zxid
        self.bytes = bytes
    }
}
