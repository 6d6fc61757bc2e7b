/// What a server tells a watching client.
public struct WatchEvent: Hashable, Sendable {
    public enum Kind: Int32, Hashable, Sendable {
        case created = 1
        case deleted = 2
        case dataChanged = 3
        case childrenChanged = 4
    }
    public var kind: Kind
    public var path: ZnodePath
    /// The transaction that fired it; `Zxid.none` where the server does not say (before 3.9, and in
    /// the catch-up after a reconnection).
    public var zxid: Zxid

    public init(kind: Kind, path: ZnodePath, zxid: Zxid = .none) {
        self.kind = kind
        self.path = path
        self.zxid = zxid
    }
}

/// How a watch added by `addWatch` behaves.
public enum AddWatchMode: Int32, Hashable, Sendable {
    /// Data, existence and children of one path; not removed by firing.
    case persistent = 0
    /// Creation, deletion and data of a path and of everything below it; no child events.
    case persistentRecursive = 1
}

/// Which watches `checkWatches` and `removeWatches` mean.
public enum WatcherType: Int32, Hashable, Sendable {
    case children = 1
    case data = 2
    case any = 3
}
