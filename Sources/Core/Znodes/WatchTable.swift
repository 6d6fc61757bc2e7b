package import ZooKeeperModel

package enum WatchKind: Hashable, Sendable {
    /// One-shot, of data and existence.
    case data
    /// One-shot, of the list of children.
    case child
    case persistent
    case persistentRecursive
}

package struct FiredWatch: Hashable, Sendable {
    package var connection: ConnectionID
    package var event: WatchEvent
    package init(connection: ConnectionID, event: WatchEvent) {
        self.connection = connection
        self.event = event
    }
}

package struct WatchTable: Sendable {
    package init() {}
    package private(set) var watchCount = 0
    package private(set) var pathCount = 0
    package private(set) var connectionCount = 0

    package mutating func add(_ kind: WatchKind, _ path: ZnodePath, for connection: ConnectionID) { fatalError() }
    /// Whether the connection has such a watch; if not, checkWatches answers NOWATCHER.
    package func contains(_ type: WatcherType, _ path: ZnodePath, for connection: ConnectionID) -> Bool { fatalError() }
    /// False when there was none to remove: NOWATCHER.
    package mutating func remove(_ type: WatcherType, _ path: ZnodePath, for connection: ConnectionID) -> Bool { fatalError() }
    package mutating func removeAll(of connection: ConnectionID) { fatalError() }
    /// Appends what this change tells each connection, in the order in which it must be sent.
    /// `mayRead` is asked whether a connection has READ on an ACL; one that has not hears nothing,
    /// but its one-shot watch is used up.
    package mutating func trigger(_ change: TreeChange, mayRead: (ConnectionID, [ACL]) -> Bool, events: inout [FiredWatch]) { fatalError() }
}
