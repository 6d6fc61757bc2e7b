package import ZooKeeperModel

/// The watches that the server of the present connection holds for this client, so that they can
/// be set again at the next server.
///
/// A server forgets all watches with the connection. Rules kept:
/// - A watch is registered when the reply says it was set, never before: a request lost on the way
///   set nothing that would outlive the connection.
/// - One-shot watches go with the first event that fires them; persistent ones stay.
/// - An event that nothing here waits for is not reported. Such events exist: in the catch-up after
///   a reconnection a server reports a deletion once for the data watch and once for the child
///   watch of the same path.
/// - What is asked again after a reconnection names no path twice in one list and comes in the order
///   of paths, so that it does not depend on hashing.
///
/// Source: ZooKeeper's programmer's guide, "ZooKeeper Watches", and Apache 3.8.0, observed.
struct WatchRegistry {
    private var kinds: [ZnodePath: WatchKinds] = [:]
    /// Invariant: the number of paths in `kinds` with `.persistentRecursive`. While it is 0 no
    /// ancestor is looked up.
    private var recursiveCount = 0
    /// Paths whose deletion a catching-up server will report a second time.
    private var repeatedDeletions: Set<ZnodePath> = []

    var count: Int { kinds.count }

    mutating func insert(_ new: WatchKinds, at path: ZnodePath) {
        let old = kinds[path] ?? []
        kinds[path] = old.union(new)
        if new.contains(.persistentRecursive) && !old.contains(.persistentRecursive) {
            recursiveCount += 1
        }
    }

    mutating func remove(_ gone: WatchKinds, at path: ZnodePath) {
        guard let old = kinds[path] else { return }
        let left = old.subtracting(gone)
        kinds[path] = left.isEmpty ? nil : left
        if old.contains(.persistentRecursive) && !left.contains(.persistentRecursive) {
            recursiveCount -= 1
        }
    }

    mutating func removeAll() { self = WatchRegistry() }

    /// Takes the one-shot watches that the event fires. Returns whether any watch waited for it.
    mutating func take(_ event: WatchEvent, catchingUp: Bool) -> Bool {
        if catchingUp {
            if event.kind == .deleted && repeatedDeletions.remove(event.path) != nil {
                return false
            }
            if event.kind == .created { repeatedDeletions.remove(event.path) }
        }
        let old = kinds[event.path] ?? []
        let fired = old.intersection(WatchKinds.fired(by: event.kind))
        let oneShots = fired.intersection(.oneShot)
        if !oneShots.isEmpty { remove(oneShots, at: event.path) }
        if catchingUp && event.kind == .deleted && oneShots.isSuperset(of: [.data, .child]) {
            repeatedDeletions.insert(event.path)
        }
        return !fired.isEmpty || isBelowRecursiveWatch(event)
    }

    private func isBelowRecursiveWatch(_ event: WatchEvent) -> Bool {
        guard recursiveCount > 0, event.kind != .childrenChanged else { return false }
        var path: ZnodePath? = event.path.parent
        while let ancestor = path {
            if kinds[ancestor]?.contains(.persistentRecursive) == true { return true }
            path = ancestor.parent
        }
        return false
    }

    /// The server has answered all that was asked at the beginning of the connection.
    mutating func endCatchUp() { repeatedDeletions.removeAll() }

    /// All watches, in requests of at most so many bytes of paths each, a longer path alone.
    /// Persistent watches come last: Apache before 3.9 lets a one-shot watch replace a persistent
    /// one of the same path, and the other way round nothing is lost.
    ///
    /// The second version of the request is used only where persistent watches ask for it, since
    /// servers before 3.6 do not know it.
    func registrations(relativeZxid: Zxid, chunkBytes: Int) -> [WatchRegistrations] {
        let paths = kinds.keys.sorted()
        var chunks: [WatchRegistrations] = []
        var chunk = WatchRegistrations(relativeZxid: relativeZxid)
        var size = 0
        func add(
            _ kind: WatchKinds,
            to list: WritableKeyPath<WatchRegistrations, [ZnodePath]>
        ) {
            for path in paths where kinds[path]?.contains(kind) == true {
                if size > 0 && size + path.bytes.count > chunkBytes {
                    chunks.append(chunk)
                    chunk = WatchRegistrations(relativeZxid: relativeZxid)
                    size = 0
                }
                chunk[keyPath: list].append(path)
                // Each path costs its length word as well, which bounds a chunk of empty paths.
                size += path.bytes.count + 4
                if !kind.isSubset(of: .oneShot) { chunk.isSecondVersion = true }
            }
        }
        add(.data, to: \.data)
        add(.exist, to: \.exist)
        add(.child, to: \.child)
        add(.persistent, to: \.persistent)
        add(.persistentRecursive, to: \.persistentRecursive)
        if size > 0 { chunks.append(chunk) }
        return chunks
    }

    func checkInvariants() {
        let counted = kinds.values.count { $0.contains(.persistentRecursive) }
        precondition(
            counted == recursiveCount,
            "\(recursiveCount) recursive watches, not \(counted)"
        )
        precondition(!kinds.values.contains([]), "a path without watches is kept")
    }
}

/// The lists of watches that a server keeps apart.
package struct WatchKinds: OptionSet, Hashable, Sendable {
    package var rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }
    /// Set by getData, and by exists where the znode exists.
    package static let data = WatchKinds(rawValue: 1)
    /// Set by exists where there is no znode.
    package static let exist = WatchKinds(rawValue: 2)
    /// Set by getChildren.
    package static let child = WatchKinds(rawValue: 4)
    package static let persistent = WatchKinds(rawValue: 8)
    package static let persistentRecursive = WatchKinds(rawValue: 16)

    package static let oneShot: WatchKinds = [.data, .exist, .child]
    package static let all: WatchKinds = [.oneShot, .persistent, .persistentRecursive]

    /// The watches on an event's own path that it fires.
    package static func fired(by kind: WatchEvent.Kind) -> WatchKinds {
        switch kind {
        case .created, .dataChanged: [.data, .exist, .persistent, .persistentRecursive]
        case .deleted: .all
        case .childrenChanged: [.child, .persistent]
        }
    }

    /// What the reply to an operation that watches has set.
    package static func set(
        by operation: Operation,
        answered result: Result<Response, ErrorCode>
    ) -> WatchKinds {
        switch (operation, result) {
        case (.getData(_, watch: true), .success): .data
        case (.exists(_, watch: true), .success): .data
        case (.exists(_, watch: true), .failure(.noNode)): .exist
        case (.getChildren(_, watch: true), .success): .child
        case (.getChildren2(_, watch: true), .success): .child
        case (.addWatch(_, mode: AddWatchMode.persistent.rawValue), .success): .persistent
        case (.addWatch(_, mode: AddWatchMode.persistentRecursive.rawValue), .success):
            .persistentRecursive
        default: []
        }
    }

    /// What removeWatches means by its type; nil for a type that no server knows.
    package static func removed(byType type: Int32) -> WatchKinds? {
        switch WatcherType(rawValue: type) {
        case .children: .child
        case .data: [.data, .exist]
        case .any: .all
        case nil: nil
        }
    }
}
