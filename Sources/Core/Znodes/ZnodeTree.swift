package import ZooKeeperModel

/// The znodes of one server: what every transaction changes and every read looks at.
///
/// Problem: a million znodes in little memory, found in one step, changed without ever stalling the
/// server, and written to snapshots while they change.
///
/// Rules kept:
/// - The same transactions in the same order make the same tree on every member; ``digest`` says so.
///   What a transaction does depends on nothing else: no clock, no iteration order of a hash table.
/// - Applying is idempotent: transactions may be applied again over a later state, as recovery from
///   a snapshot of Apache's does (see `TransactionApply.swift`).
/// - No operation walks all znodes or recurses. Storage is in pages (``PagedArray``) linked by
///   32-bit indexes: about 130 bytes a znode beside its data.
/// - The tree knows which session owns an ephemeral, but nothing else of sessions.
///
/// Permissions and versions are checked before a transaction is made, never here.
///
/// Source: zookeeper's data model as its clients see it; Stat, digest and replay rules as observed.
package struct ZnodeTree: Sendable {
    /// The last transaction that was applied, or the snapshot's zxid.
    package internal(set) var lastZxid = Zxid.zero
    /// Whether applying tells what it changed. Where nobody watches, nobody need be told.
    package var tellsChanges = true
    /// The version 2 digest of all znodes outside `/zookeeper/`.
    package internal(set) var digest: Int64 = 0
    /// All znodes, the root and the system's three included.
    package internal(set) var count = 0
    package internal(set) var ephemeralCount = 0
    /// Bytes of all paths and all data.
    package internal(set) var approximateDataSize = 0
    /// Whether owners are read as times to live; equal on all members.
    package let extendedTypes: Bool

    var paths: PathTable
    /// One record for each slot of `paths`, at the same index.
    var records = PagedArray<ZnodeRecord>()
    var acls = ACLTable()
    /// The znodes of each session that owns any.
    var ephemeralIndexes: [SessionID: Set<UInt32>] = [:]

    /// A fresh tree: the root, `/zookeeper` and what Apache puts below it.
    package init(extendedTypes: Bool = false, hashSeed: UInt64 = 0) {
        self.init(withoutZnodes: extendedTypes, hashSeed: hashSeed, hashMask: .max)
        insertSystemZnodes()
    }

    /// Without even the root; for loading a snapshot. `hashMask` makes collisions, for tests.
    init(withoutZnodes extendedTypes: Bool, hashSeed: UInt64, hashMask: UInt32) {
        self.extendedTypes = extendedTypes
        paths = PathTable(hashSeed: hashSeed, hashMask: hashMask)
    }

    /// Adds those of the root and the system's znodes that are missing.
    mutating func insertSystemZnodes() {
        let rows: [(path: ZnodePath, acl: [ACL], aversion: Int32)] = [
            (.root, .open, 0),
            ("/zookeeper", .open, 0),
            ("/zookeeper/quota", .open, 0),
            ("/zookeeper/config", [ACL(permissions: .read, identity: .anyone)], -1),
        ]
        for row in rows where count == 0 || find(row.path) == nil {
            var stat = PersistedStat.zero
            stat.aversion = row.aversion
            guard let parent = row.path.isRoot ? PathTable.root : parentIndex(of: row.path) else {
                preconditionFailure("\(row.path) has no parent in a tree of \(count) znodes")
            }
            let acl = acls.use(row.acl)
            _ = insert(row.path, parent: parent, data: [], acl: acl, stat: stat)
        }
    }
}

/// What the tree keeps of a znode beside its path: 88 bytes, which is why the fields of the Stat are
/// laid out here and not nested.
struct ZnodeRecord: Sendable {
    private(set) var czxid: Zxid
    private(set) var mzxid: Zxid
    var pzxid: Zxid
    private var ctime: Timestamp
    private var mtime: Timestamp
    /// See ``ZnodeOwner``.
    private(set) var owner: Int64
    var data: [UInt8]?
    private var version: Int32
    var cversion: Int32
    private var aversion: Int32
    /// In the tree's ACL table.
    var acl: UInt32
    /// See ``TreeDigest``. Unused below `/zookeeper/`.
    var contentState: UInt32
    var firstChild = PathTable.none
    var nextSibling = PathTable.none
    var previousSibling = PathTable.none

    init(stat: PersistedStat, data: [UInt8]?, acl: UInt32, contentState: UInt32) {
        czxid = stat.czxid
        mzxid = stat.mzxid
        pzxid = stat.pzxid
        ctime = stat.ctime
        mtime = stat.mtime
        owner = stat.ephemeralOwner
        version = stat.version
        cversion = stat.cversion
        aversion = stat.aversion
        self.data = data
        self.acl = acl
        self.contentState = contentState
    }

    /// Inlined, or the whole record is copied for it.
    @inline(__always)
    var stat: PersistedStat {
        PersistedStat(
            czxid: czxid,
            mzxid: mzxid,
            ctime: ctime,
            mtime: mtime,
            version: version,
            cversion: cversion,
            aversion: aversion,
            ephemeralOwner: owner,
            pzxid: pzxid
        )
    }

    /// Inlined, and asked for without `?` where it is used: a record that is looked at across a
    /// branch is copied to the heap.
    @inline(__always)
    var dataCount: Int { data?.count ?? 0 }

    mutating func setData(_ data: [UInt8]?, version: Int32, mzxid: Zxid, mtime: Timestamp) {
        self.data = data
        self.version = version
        self.mzxid = mzxid
        self.mtime = mtime
    }

    mutating func setAversion(_ aversion: Int32) { self.aversion = aversion }
}

/// A znode's place in the tree's storage. Good until the next change of the tree.
package struct ZnodeIndex: RawRepresentable, Hashable, Sendable {
    package var rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }
    package static let root = ZnodeIndex(rawValue: 0)
}

// MARK: Reading

extension ZnodeTree {
    /// Any bytes may be asked for; the empty path is the root.
    package func find(_ path: ZnodePath) -> ZnodeIndex? {
        paths.find(path.bytes).map(ZnodeIndex.init(rawValue:))
    }

    package func path(of index: ZnodeIndex) -> ZnodePath {
        ZnodePath(bytes: paths.path(of: index.rawValue))
    }

    /// Nil for the root.
    package func parent(of index: ZnodeIndex) -> ZnodeIndex? {
        index == .root ? nil : ZnodeIndex(rawValue: paths.parent(of: index.rawValue))
    }

    /// What clients are told: computed counts, and an owner only where it is a session.
    package func stat(of index: ZnodeIndex) -> Stat {
        let stat = records[index.rawValue].stat
        let childCount = Int32(truncatingIfNeeded: paths.childCount(of: index.rawValue))
        return Stat(
            czxid: stat.czxid,
            mzxid: stat.mzxid,
            ctime: stat.ctime,
            mtime: stat.mtime,
            version: stat.version,
            cversion: stat.cversion &* 2 &- childCount,
            aversion: stat.aversion,
            ephemeralOwner: session(owner: stat.ephemeralOwner) ?? .none,
            dataLength: Int32(truncatingIfNeeded: records[index.rawValue].dataCount),
            numChildren: childCount,
            pzxid: stat.pzxid
        )
    }

    package func persistedStat(of index: ZnodeIndex) -> PersistedStat {
        records[index.rawValue].stat
    }

    package func data(of index: ZnodeIndex) -> [UInt8]? { records[index.rawValue].data }

    package func acl(of index: ZnodeIndex) -> [ACL] { acls.acl(at: records[index.rawValue].acl) }

    /// Whether the ACL allows everything to everyone: the common case, without looking at the list.
    package func isOpenToAll(_ index: ZnodeIndex) -> Bool {
        records[index.rawValue].acl == ACLTable.open
    }

    package func owner(of index: ZnodeIndex) -> ZnodeOwner {
        ZnodeOwner(
            persisted: records[index.rawValue].owner,
            extendedTypes: extendedTypes
        )
    }

    package func childCount(of index: ZnodeIndex) -> Int {
        Int(paths.childCount(of: index.rawValue))
    }

    /// The names of the children, in no particular order.
    package func children(of index: ZnodeIndex) -> [[UInt8]] {
        var names: [[UInt8]] = []
        names.reserveCapacity(childCount(of: index))
        var child = records[index.rawValue].firstChild
        while child != PathTable.none {
            names.append(paths.name(of: child))
            child = records[child].nextSibling
        }
        return names
    }

    /// Sorted by path.
    package func ephemerals(of session: SessionID) -> [ZnodePath] {
        guard let indexes = ephemeralIndexes[session] else { return [] }
        return indexes.map { ZnodePath(bytes: paths.path(of: $0)) }.sorted()
    }

    /// The sessions that own ephemerals, sorted.
    package var ephemeralOwners: [SessionID] { ephemeralIndexes.keys.sorted() }

    /// Containers that have been used and time-to-live znodes that have outlived it, both without
    /// children: what a leader deletes. Looks at `limit` places from `start` on and says where to go
    /// on, or nil at the end, so that a sweep of a big tree can be spread over time.
    package func reclaimable(
        from start: ZnodeIndex,
        limit: Int,
        now: Timestamp,
        paths result: inout [ZnodePath]
    ) -> ZnodeIndex? {
        var index = start.rawValue
        let end = index + min(records.count - min(index, records.count), UInt32(clamping: limit))
        while index < end {
            defer { index += 1 }
            let owner = records[index].owner
            guard owner < 0, paths.childCount(of: index) == 0 else { continue }
            switch ZnodeOwner(persisted: owner, extendedTypes: extendedTypes) {
            case .container where records[index].cversion > 0:
                result.append(ZnodePath(bytes: paths.path(of: index)))
            case .timeToLive(let milliseconds):
                let age = now.rawValue.subtractingReportingOverflow(
                    records[index].stat.mtime.rawValue
                )
                if !age.overflow, age.partialValue > milliseconds {
                    result.append(ZnodePath(bytes: paths.path(of: index)))
                }
            case .none, .session, .container: break
            }
        }
        return end < records.count ? ZnodeIndex(rawValue: end) : nil
    }

    func session(owner: Int64) -> SessionID? {
        if owner == 0 { return nil }
        switch ZnodeOwner(persisted: owner, extendedTypes: extendedTypes) {
        case .session(let session): return session
        case .none, .container, .timeToLive: return nil
        }
    }
}

// MARK: Storing

extension ZnodeTree {
    /// Nil where the parent does not exist, the path has no slash, or its last element is empty.
    func parentIndex(of path: ZnodePath) -> UInt32? {
        guard let slash = path.bytes.lastIndex(of: UInt8(ascii: "/")),
            slash + 1 < path.bytes.count
        else { return nil }
        return paths.find(path.bytes, upTo: slash)
    }

    /// Adds a znode that does not exist. Takes over one use of `acl`. Does not touch the parent's
    /// Stat.
    mutating func insert(
        _ path: ZnodePath,
        parent: UInt32,
        data: [UInt8]?,
        acl: UInt32,
        stat: PersistedStat
    ) -> UInt32 {
        let bytes = path.bytes
        let isExcluded = TreeDigest.excludes(bytes)
        let index: UInt32
        if path.isRoot {
            index = PathTable.root
        } else {
            let slash = bytes.lastIndex(of: UInt8(ascii: "/")) ?? 0
            index = paths.insert(
                bytes,
                upTo: bytes.count,
                nameStart: slash + 1,
                parent: parent,
                marked: isExcluded
            )
        }
        var record = ZnodeRecord(
            stat: stat,
            data: data,
            acl: acl,
            contentState: isExcluded ? 0 : TreeDigest.contentState(path: bytes, data: data)
        )
        if index != PathTable.root {
            let sibling = records[parent].firstChild
            record.nextSibling = sibling
            if sibling != PathTable.none { records[sibling].previousSibling = index }
            records[parent].firstChild = index
        }
        if index < records.count {
            records[index] = record
        } else {
            records.append(record)
        }
        addToDigest(index)
        count += 1
        approximateDataSize += max(bytes.count, 1) + (data?.count ?? 0)
        if let session = session(owner: stat.ephemeralOwner) {
            ephemeralIndexes[session, default: []].insert(index)
            ephemeralCount += 1
        }
        return index
    }

    /// Removes a znode without children. Does not touch the parent's Stat.
    mutating func remove(_ index: UInt32, pathLength: Int) {
        subtractFromDigest(index)
        let record = records[index]
        let parent = paths.parent(of: index)
        if record.previousSibling == PathTable.none {
            records[parent].firstChild = record.nextSibling
        } else {
            records[record.previousSibling].nextSibling = record.nextSibling
        }
        if record.nextSibling != PathTable.none {
            records[record.nextSibling].previousSibling = record.previousSibling
        }
        if let session = session(owner: record.owner) {
            ephemeralIndexes[session]?.remove(index)
            if ephemeralIndexes[session]?.isEmpty == true { ephemeralIndexes[session] = nil }
            ephemeralCount -= 1
        }
        acls.drop(record.acl)
        paths.remove(index)
        count -= 1
        approximateDataSize -= pathLength + record.dataCount
        records[index] = ZnodeRecord(
            stat: .zero,
            data: nil,
            acl: ACLTable.open,
            contentState: 0
        )
    }

    /// Every change of a Stat or of data stands between these two.
    mutating func subtractFromDigest(_ index: UInt32) {
        if !paths.isMarked(index) { digest &-= znodeDigest(index) }
    }
    mutating func addToDigest(_ index: UInt32) {
        if !paths.isMarked(index) { digest &+= znodeDigest(index) }
    }
    private func znodeDigest(_ index: UInt32) -> Int64 {
        TreeDigest.znodeDigest(
            contentState: records[index].contentState,
            stat: records[index].stat
        )
    }
}

extension PersistedStat {
    static let zero = PersistedStat(
        czxid: .zero,
        mzxid: .zero,
        ctime: Timestamp(rawValue: 0),
        mtime: Timestamp(rawValue: 0),
        version: 0,
        cversion: 0,
        aversion: 0,
        ephemeralOwner: 0,
        pzxid: .zero
    )
}
