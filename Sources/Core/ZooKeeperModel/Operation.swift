/// What kind of znode a create makes. Raw values are the wire's flags.
public enum CreateMode: Int32, Hashable, Sendable {
    case persistent = 0
    case ephemeral = 1
    case persistentSequential = 2
    case ephemeralSequential = 3
    case container = 4
    case persistentTimeToLive = 5
    case persistentSequentialTimeToLive = 6

    public var isEphemeral: Bool { self == .ephemeral || self == .ephemeralSequential }
    public var isSequential: Bool {
        switch self {
        case .persistentSequential, .ephemeralSequential, .persistentSequentialTimeToLive: true
        case .persistent, .ephemeral, .container, .persistentTimeToLive: false
        }
    }
}

/// Which of the wire's create operations a client sent: they answer differently.
public enum CreateKind: Hashable, Sendable {
    /// Operation 1: answers the path alone.
    case create
    /// Operation 15: answers path and Stat.
    case create2
    /// Operation 19: answers path and Stat.
    case container
    /// Operation 21, with a time to live in milliseconds: answers path and Stat.
    case timeToLive(Int64)
}

public struct CreateRequest: Hashable, Sendable {
    public var kind: CreateKind
    public var path: ZnodePath
    /// Null and empty are different values.
    public var data: [UInt8]?
    public var acl: [ACL]
    /// The wire's flags; not yet known to be a ``CreateMode``.
    public var flags: Int32

    public init(
        kind: CreateKind = .create2,
        path: ZnodePath,
        data: [UInt8]?,
        acl: [ACL] = .open,
        flags: Int32
    ) {
        self.kind = kind
        self.path = path
        self.data = data
        self.acl = acl
        self.flags = flags
    }
    public init(
        kind: CreateKind = .create2,
        path: ZnodePath,
        data: [UInt8]?,
        acl: [ACL] = .open,
        mode: CreateMode = .persistent
    ) {
        self.init(kind: kind, path: path, data: data, acl: acl, flags: mode.rawValue)
    }
}

/// The watches a client holds, told to the next server after a reconnection.
public struct WatchRegistrations: Hashable, Sendable {
    /// The last zxid the client saw: changes after it are reported at once.
    public var relativeZxid: Zxid
    public var data: [ZnodePath]
    public var exist: [ZnodePath]
    public var child: [ZnodePath]
    public var persistent: [ZnodePath]
    public var persistentRecursive: [ZnodePath]
    /// Sent as setWatches2 (105), which carries the persistent lists, rather than setWatches (101).
    public var isSecondVersion: Bool

    public init(
        relativeZxid: Zxid,
        data: [ZnodePath] = [],
        exist: [ZnodePath] = [],
        child: [ZnodePath] = [],
        persistent: [ZnodePath] = [],
        persistentRecursive: [ZnodePath] = [],
        isSecondVersion: Bool = false
    ) {
        self.relativeZxid = relativeZxid
        self.data = data
        self.exist = exist
        self.child = child
        self.persistent = persistent
        self.persistentRecursive = persistentRecursive
        self.isSecondVersion = isSecondVersion
    }
}

/// What a client asks of a server. A version of −1 matches any version.
public enum Operation: Hashable, Sendable {
    case create(CreateRequest)
    case delete(ZnodePath, version: Int32)
    case exists(ZnodePath, watch: Bool)
    case getData(ZnodePath, watch: Bool)
    case setData(ZnodePath, data: [UInt8]?, version: Int32)
    case getACL(ZnodePath)
    /// The version is that of the ACL (aversion).
    case setACL(ZnodePath, acl: [ACL], version: Int32)
    case getChildren(ZnodePath, watch: Bool)
    /// As getChildren, and answers the Stat too.
    case getChildren2(ZnodePath, watch: Bool)
    case sync(ZnodePath)
    /// Only inside a multi.
    case check(ZnodePath, version: Int32)
    case multi([Operation])
    case setWatches(WatchRegistrations)
    /// The mode is the wire's, not yet known to be an ``AddWatchMode``.
    case addWatch(ZnodePath, mode: Int32)
    case checkWatches(ZnodePath, type: Int32)
    case removeWatches(ZnodePath, type: Int32)
    case auth(scheme: String, credential: [UInt8])
    case ping
    case closeSession
    /// An operation code that this build does not serve; answered with UNIMPLEMENTED.
    case unsupported(code: Int32)
    /// A known operation whose body could not be decoded. Writes among them still take a zxid.
    case malformed(code: Int32)
}

extension Operation {
    /// Whether it goes through the log: creates, deletes, sets, multi and closeSession.
    public var isWrite: Bool {
        switch self {
        case .create, .delete, .setData, .setACL, .multi, .closeSession, .check: true
        case .malformed(let code): OperationCode(rawValue: code)?.isWrite ?? false
        case .exists, .getData, .getACL, .getChildren, .getChildren2, .sync, .setWatches,
            .addWatch, .checkWatches, .removeWatches, .auth, .ping, .unsupported:
            false
        }
    }
}

/// The wire's operation codes that this build knows by name.
public enum OperationCode: Int32, Hashable, Sendable {
    case create = 1
    case delete = 2
    case exists = 3
    case getData = 4
    case setData = 5
    case getACL = 6
    case setACL = 7
    case getChildren = 8
    case sync = 9
    case ping = 11
    case getChildren2 = 12
    case check = 13
    case multi = 14
    case create2 = 15
    case reconfig = 16
    case checkWatches = 17
    case removeWatches = 18
    case createContainer = 19
    case deleteContainer = 20
    case createTimeToLive = 21
    case multiRead = 22
    case auth = 100
    case setWatches = 101
    case sasl = 102
    case getEphemerals = 103
    case getAllChildrenNumber = 104
    case setWatches2 = 105
    case addWatch = 106
    case whoAmI = 107
    case createSession = -10
    case closeSession = -11
    case error = -1

    public var isWrite: Bool {
        switch self {
        case .create, .delete, .setData, .setACL, .check, .multi, .create2, .reconfig,
            .createContainer, .deleteContainer, .createTimeToLive, .createSession, .closeSession:
            true
        case .exists, .getData, .getACL, .getChildren, .sync, .ping, .getChildren2,
            .checkWatches, .removeWatches, .multiRead, .auth, .setWatches, .sasl, .getEphemerals,
            .getAllChildrenNumber, .setWatches2, .addWatch, .whoAmI, .error:
            false
        }
    }
}

/// A request as it stands in a connection's stream.
public struct Request: Hashable, Sendable {
    /// Chosen by the client and echoed in the reply.
    public var xid: Int32
    public var operation: Operation
    public init(xid: Int32, operation: Operation) {
        self.xid = xid
        self.operation = operation
    }
    /// The xids with a fixed meaning.
    public static let notificationXid: Int32 = -1
    public static let pingXid: Int32 = -2
    public static let authXid: Int32 = -4
    public static let setWatchesXid: Int32 = -8
}
