package import ZooKeeperModel

/// What a watch is asked for as.
package enum WatchKind: Hashable, Sendable, CaseIterable {
    /// One-shot, of data and existence.
    case data
    /// One-shot, of the list of children.
    case child
    /// Data, existence and children of one path, until it is removed.
    case persistent
    /// Existence and data of a path and everything below it, until it is removed.
    case persistentRecursive
}

/// An event and the connection that must be told of it.
package struct FiredWatch: Hashable, Sendable {
    package var connection: ConnectionID
    package var event: WatchEvent
    package init(connection: ConnectionID, event: WatchEvent) {
        self.connection = connection
        self.event = event
    }
}

struct WatchKinds: OptionSet, Sendable {
    var rawValue: UInt8
    static let data = WatchKinds(rawValue: 1)
    static let child = WatchKinds(rawValue: 2)
    static let persistent = WatchKinds(rawValue: 4)
    static let persistentRecursive = WatchKinds(rawValue: 8)
    static let inDataTable: WatchKinds = [.data, .persistent, .persistentRecursive]
    static let inChildTable: WatchKinds = [.child, .persistent, .persistentRecursive]

    init(rawValue: UInt8) { self.rawValue = rawValue }
    init(_ kind: WatchKind) {
        switch kind {
        case .data: self = .data
        case .child: self = .child
        case .persistent: self = .persistent
        case .persistentRecursive: self = .persistentRecursive
        }
    }
    /// What checkWatches and removeWatches mean by a type.
    init(_ type: WatcherType) {
        switch type {
        case .children: self = .child
        case .data: self = .data
        case .any: self = [.data, .child, .persistent, .persistentRecursive]
        }
    }

    /// How often ZooKeeper counts a pair with these kinds.
    var count: Int {
        (isDisjoint(with: .inDataTable) ? 0 : 1) + (isDisjoint(with: .inChildTable) ? 0 : 1)
    }
}
