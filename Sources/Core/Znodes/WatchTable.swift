package import ZooKeeperModel

/// The watches of the clients that are connected to this server.
///
/// Problem: many thousands of clients, each with many watches; a change must find its watchers
/// without a walk over the rest, and a connection that ends must take its watches with it at the
/// cost of its own watches alone.
///
/// Rules kept:
/// - A watch is known by connection, path and kind; to add it again changes nothing. The four
///   kinds of one connection on one path live side by side.
/// - For one event a connection hears once, however many of its watches match.
/// - A one-shot watch is used up when it fires, also when its event may not be delivered.
/// - Connections hear in the order of their numbers, so that a run can be repeated.
///
/// Storage: a path is a slot of a ``PathTable``, kept while there are watches on or below it; a
/// (connection, path) pair is one record of 28 bytes on two lists, that of its path and that of its
/// connection, and in a hash index. Watches are neither logged nor replicated.
///
/// Source: the behaviour of ZooKeeper 3.9.
package struct WatchTable: Sendable {
    /// One connection's watches on one path.
    struct Watch: Sendable {
        var kinds: WatchKinds
        /// The slot in `paths`.
        var path: UInt32
        /// The place in `connections`.
        var connection: UInt32
        var nextOnPath = PathTable.none
        var previousOnPath = PathTable.none
        /// Also links the free list.
        var nextOfConnection = PathTable.none
        var previousOfConnection = PathTable.none
    }

    struct Watcher: Sendable {
        var id: ConnectionID
        var firstWatch: UInt32
    }

    var paths: PathTable
    /// The first watch on each slot of `paths`, at the same index.
    var firstOnPath = PagedArray<UInt32>()
    var watches = PagedArray<Watch>()
    private var freeWatches = PathTable.none
    /// Watches by path and connection.
    private var pairs = HashIndex()
    var connections = PagedArray<Watcher>()
    private var freeConnections: [UInt32] = []
    var connectionIndexes: [ConnectionID: UInt32] = [:]
    var recursiveCount = 0

    /// Pairs of connection and path in the data table, and in the child table: as ZooKeeper counts.
    package private(set) var watchCount = 0
    /// Paths with a watch on them.
    package private(set) var pathCount = 0
    /// Connections with a watch.
    package var connectionCount: Int { connectionIndexes.count }

    package init() { self.init(hashSeed: 0) }

    package init(hashSeed: UInt64) {
        paths = PathTable(hashSeed: hashSeed)
        firstOnPath.append(PathTable.none)
    }
}

// MARK: Adding and removing

extension WatchTable {
    /// Any bytes may be watched; the empty path is the root.
    package mutating func add(
        _ kind: WatchKind,
        _ path: ZnodePath,
        for connection: ConnectionID
    ) {
        let kind = WatchKinds(kind)
        let place = connectionPlace(connection)
        let slot = self.slot(of: path.bytes)
        if let watch = find(on: slot, by: place) {
            setKinds(of: watch, to: watches[watch].kinds.union(kind))
            return
        }
        var watch = Watch(kinds: [], path: slot, connection: place)
        watch.nextOnPath = firstOnPath[slot]
        watch.nextOfConnection = connections[place].firstWatch
        let index: UInt32
        if freeWatches != PathTable.none {
            index = freeWatches
            freeWatches = watches[index].nextOfConnection
            watches[index] = watch
        } else {
            index = watches.count
            watches.append(watch)
        }
        pairs.insert(index, hash: Self.hash(slot, place))
        if watch.nextOnPath == PathTable.none {
            pathCount += 1
        } else {
            watches[watch.nextOnPath].previousOnPath = index
        }
        if watch.nextOfConnection != PathTable.none {
            watches[watch.nextOfConnection].previousOfConnection = index
        }
        firstOnPath[slot] = index
        connections[place].firstWatch = index
        setKinds(of: index, to: kind)
    }

    /// Whether the connection has such a watch; if not, checkWatches answers NOWATCHER.
    package func contains(
        _ type: WatcherType,
        _ path: ZnodePath,
        for connection: ConnectionID
    ) -> Bool {
        guard let watch = find(path, by: connection) else { return false }
        return !watches[watch].kinds.isDisjoint(with: WatchKinds(type))
    }

    /// False when there was none to remove: NOWATCHER. `.data` and `.children` mean the one-shot
    /// watches alone, `.any` means persistent ones too.
    package mutating func remove(
        _ type: WatcherType,
        _ path: ZnodePath,
        for connection: ConnectionID
    ) -> Bool {
        guard let watch = find(path, by: connection) else { return false }
        let kinds = watches[watch].kinds
        guard !kinds.isDisjoint(with: WatchKinds(type)) else { return false }
        setKinds(of: watch, to: kinds.subtracting(WatchKinds(type)))
        unlinkIfEmpty(watch)
        return true
    }

    package mutating func removeAll(of connection: ConnectionID) {
        guard let place = connectionIndexes[connection] else { return }
        // The last to go takes the connection's place with it.
        var watch = connections[place].firstWatch
        while watch != PathTable.none {
            let next = watches[watch].nextOfConnection
            setKinds(of: watch, to: [])
            unlinkIfEmpty(watch)
            watch = next
        }
    }

    private mutating func connectionPlace(_ connection: ConnectionID) -> UInt32 {
        if let place = connectionIndexes[connection] { return place }
        let watcher = Watcher(id: connection, firstWatch: PathTable.none)
        let place: UInt32
        if let free = freeConnections.popLast() {
            place = free
            connections[place] = watcher
        } else {
            place = connections.count
            connections.append(watcher)
        }
        connectionIndexes[connection] = place
        return place
    }

    private func find(_ path: ZnodePath, by connection: ConnectionID) -> UInt32? {
        guard let place = connectionIndexes[connection], let slot = paths.find(path.bytes) else {
            return nil
        }
        return find(on: slot, by: place)
    }

    private func find(on slot: UInt32, by place: UInt32) -> UInt32? {
        var watch = pairs.first(Self.hash(slot, place))
        while watch != HashIndex.none {
            if watches[watch].path == slot, watches[watch].connection == place { return watch }
            watch = pairs.next(after: watch)
        }
        return nil
    }

    private static func hash(_ slot: UInt32, _ place: UInt32) -> UInt32 {
        let product = (UInt64(slot) << 32 | UInt64(place)) &* 0x9E37_79B9_7F4A_7C15
        return UInt32(truncatingIfNeeded: (product ^ (product >> 29)) >> 32)
    }

    mutating func setKinds(of watch: UInt32, to kinds: WatchKinds) {
        let old = watches[watch].kinds
        watches[watch].kinds = kinds
        watchCount += kinds.count - old.count
        recursiveCount +=
            (kinds.contains(.persistentRecursive) ? 1 : 0)
            - (old.contains(.persistentRecursive) ? 1 : 0)
    }

    mutating func unlinkIfEmpty(_ index: UInt32) {
        let watch = watches[index]
        guard watch.kinds.isEmpty else { return }
        if watch.nextOnPath != PathTable.none {
            watches[watch.nextOnPath].previousOnPath = watch.previousOnPath
        }
        if watch.previousOnPath != PathTable.none {
            watches[watch.previousOnPath].nextOnPath = watch.nextOnPath
        } else {
            firstOnPath[watch.path] = watch.nextOnPath
            if watch.nextOnPath == PathTable.none {
                pathCount -= 1
                removeUnusedSlots(from: watch.path)
            }
        }
        if watch.nextOfConnection != PathTable.none {
            watches[watch.nextOfConnection].previousOfConnection = watch.previousOfConnection
        }
        if watch.previousOfConnection != PathTable.none {
            watches[watch.previousOfConnection].nextOfConnection = watch.nextOfConnection
        } else {
            connections[watch.connection].firstWatch = watch.nextOfConnection
            if watch.nextOfConnection == PathTable.none {
                connectionIndexes[connections[watch.connection].id] = nil
                freeConnections.append(watch.connection)
            }
        }
        pairs.remove(index)
        watches[index].nextOfConnection = freeWatches
        freeWatches = index
    }
}

// MARK: Paths

extension WatchTable {
    /// Paths with more elements are stored as one text: a slot for each of half a million elements
    /// would cost a client that asks for one watch a kilobyte of ours for every 20 bytes of its own.
    private static let greatestDepth = 64
    /// And so are longer paths: each element is looked up with all that stands before it.
    private static let greatestLength = 4096

    /// The slot of a path, made if need be.
    private mutating func slot(of path: [UInt8]) -> UInt32 {
        if let slot = paths.find(path) { return slot }
        // The ends of the path's elements, from the first on.
        var ends: [Int] = []
        var isPlain = path.first == UInt8(ascii: "/") && path.count <= Self.greatestLength
        var elementStart = 1
        if isPlain {
            for end in 1...path.count
            where end == path.count || path[end] == UInt8(ascii: "/") {
                if end == elementStart || ends.count == Self.greatestDepth {
                    isPlain = false
                    break
                }
                ends.append(end)
                elementStart = end + 1
            }
        }
        guard isPlain else {
            return insert(path, upTo: path.count, nameStart: 0, parent: PathTable.floor)
        }
        var parent = PathTable.root
        var nameStart = 1
        for end in ends {
            parent =
                paths.find(path, upTo: end)
                ?? insert(path, upTo: end, nameStart: nameStart, parent: parent)
            nameStart = end + 1
        }
        return parent
    }

    private mutating func insert(
        _ path: [UInt8],
        upTo end: Int,
        nameStart: Int,
        parent: UInt32
    ) -> UInt32 {
        let slot = paths.insert(path, upTo: end, nameStart: nameStart, parent: parent)
        if slot == firstOnPath.count { firstOnPath.append(PathTable.none) }
        return slot
    }

    /// Removes a slot without watches, and then those of its ancestors that only led to it.
    private mutating func removeUnusedSlots(from slot: UInt32) {
        var slot = slot
        while slot != PathTable.root, slot != PathTable.floor,
            firstOnPath[slot] == PathTable.none, paths.childCount(of: slot) == 0
        {
            let parent = paths.parent(of: slot)
            paths.remove(slot)
            slot = parent
        }
    }
}

extension WatchTable {
    /// Who watches what for data or existence, by connection and path. Walks everything.
    package var dataWatches: [(connection: ConnectionID, path: ZnodePath)] {
        var found: [(connection: ConnectionID, path: ZnodePath)] = []
        for (id, place) in connectionIndexes.sorted(by: { $0.key < $1.key }) {
            var mine: [ZnodePath] = []
            var watch = connections[place].firstWatch
            while watch != PathTable.none {
                let record = watches[watch]
                if !record.kinds.isDisjoint(with: .inDataTable) {
                    mine.append(ZnodePath(bytes: paths.path(of: record.path)))
                }
                watch = record.nextOfConnection
            }
            found += mine.sorted().map { (id, $0) }
        }
        return found
    }

    /// Stops with a sentence if lists and counts disagree. Walks everything.
    package func checkInvariants() {
        var pairs = 0
        var counted = 0
        var recursive = 0
        for (id, place) in connectionIndexes {
            precondition(connections[place].id == id, "\(id) is at another's place")
            var watch = connections[place].firstWatch
            var previous = PathTable.none
            precondition(watch != PathTable.none, "\(id) has no watches")
            while watch != PathTable.none {
                let record = watches[watch]
                precondition(
                    record.connection == place && record.previousOfConnection == previous
                        && !record.kinds.isEmpty,
                    "watch \(watch) of \(id) is linked wrongly"
                )
                pairs += 1
                counted += record.kinds.count
                recursive += record.kinds.contains(.persistentRecursive) ? 1 : 0
                previous = watch
                watch = record.nextOfConnection
            }
        }
        var pathsFound = 0
        var pairsOnPaths = 0
        for slot in 0..<firstOnPath.count where firstOnPath[slot] != PathTable.none {
            pathsFound += 1
            var watch = firstOnPath[slot]
            while watch != PathTable.none {
                precondition(watches[watch].path == slot, "watch \(watch) is on another path")
                pairsOnPaths += 1
                watch = watches[watch].nextOnPath
            }
            precondition(
                paths.find(paths.path(of: slot)) == slot,
                "the path of slot \(slot) is lost"
            )
        }
        precondition(
            pairs == pairsOnPaths && pairs == Int(self.pairs.count) && counted == watchCount
                && recursive == recursiveCount
                && pathsFound == pathCount,
            "\(pairs) pairs, \(pairsOnPaths) on paths, \(counted) of \(watchCount) watches, "
                + "\(recursive) of \(recursiveCount) recursive, \(pathsFound) of \(pathCount) paths"
        )
        paths.checkInvariants()
        self.pairs.checkInvariants()
        precondition(pathCount > 0 || paths.count == 1, "\(paths.count) paths without a watch")
    }
}
