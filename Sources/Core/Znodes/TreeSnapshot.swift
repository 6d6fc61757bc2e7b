package import ZooKeeperModel
package import ZooKeeperWire

/// Writes a tree as it stood at one moment, in slices, while the tree itself goes on changing.
///
/// A dump is a copy of the tree's storage. The copy is free; afterwards the first write to each page
/// of 256 znodes copies that page, which takes a few microseconds once for each page and dump. So
/// the snapshot is exact, not fuzzy: its digest is the tree's at ``zxid``, no znode is missing or
/// doubled, and its ACL list holds every id that is used. Several dumps may be under way at once,
/// one to the disk and others to learners.
package struct SnapshotDump: Sendable {
    /// The last transaction that the snapshot holds.
    package let zxid: Zxid
    /// The digest at ``zxid``.
    package let digest: TreeDigestValue
    private var paths: PathTable
    private var records: PagedArray<ZnodeRecord>

    private enum Phase {
        case lists(sessions: [(session: SessionID, timeout: Int32)], acls: ACLTable)
        /// The next znode and the path of its parent, `/` being empty.
        case znodes(next: UInt32)
        case complete
    }
    private var phase: Phase
    /// The path of the znode last written; the root's is empty.
    private var path: [UInt8] = []

    package init(of tree: ZnodeTree, sessions: [(session: SessionID, timeout: Int32)]) {
        zxid = tree.lastZxid
        digest = TreeDigestValue(value: tree.digest)
        paths = tree.paths
        records = tree.records
        phase = .lists(sessions: sessions, acls: tree.acls)
    }

    /// The next piece of the encoded body: a little more than `sizeBytes`, less at the end, and nil
    /// after it. Sessions and ACLs are all in the first. A znode is never divided.
    package mutating func nextSlice(sizeBytes: Int) -> [UInt8]? {
        var encoder = SnapshotBodyEncoder()
        if case .lists(let sessions, let acls) = phase {
            var list: [(id: Int64, acl: [ACL])] = []
            for index in 1..<max(acls.endIndex, 1) where acls.useCount(at: index) > 0 {
                list.append((id: ACLTable.id(of: index), acl: acls.acl(at: index)))
            }
            encoder.begin(sessions: sessions, acls: list)
            phase = .znodes(next: PathTable.root)
        }
        while case .znodes(let index) = phase {
            guard encoder.pendingBytes < sizeBytes else { break }
            if index != PathTable.root {
                path.append(UInt8(ascii: "/"))
                paths.appendName(of: index, to: &path)
            }
            encoder.add(
                path: ZnodePath(bytes: path),
                data: records[index].data,
                aclID: ACLTable.id(of: records[index].acl),
                stat: records[index].stat
            )
            if let next = successor(of: index) {
                phase = .znodes(next: next)
            } else {
                encoder.finish()
                phase = .complete
            }
        }
        let slice = encoder.takeSlice()
        return slice.isEmpty ? nil : slice
    }

    /// The next znode, parents first; leaves ``path`` at its parent's.
    private mutating func successor(of index: UInt32) -> UInt32? {
        let child = records[index].firstChild
        if child != PathTable.none { return child }
        var index = index
        while index != PathTable.root {
            path.removeLast(paths.nameLength(of: index) + 1)
            let sibling = records[index].nextSibling
            if sibling != PathTable.none { return sibling }
            index = paths.parent(of: index)
        }
        return nil
    }

    /// Frees a piece of what the dump holds; false when all is gone. To let a dump of a big tree go,
    /// at its end or before, without a pause. It is unusable from the first call.
    package mutating func release() -> Bool {
        phase = .complete
        if records.removeLastPages(ZnodeTree.pagesReleasedAtOnce) { return true }
        return paths.releasePages(ZnodeTree.pagesReleasedAtOnce)
    }
}

extension ZnodeTree {
    static let pagesReleasedAtOnce = 16

    /// Frees a piece of a tree that is no longer wanted; false when all is gone. It is unusable from
    /// the first call.
    package mutating func release() -> Bool {
        if records.removeLastPages(Self.pagesReleasedAtOnce) { return true }
        return paths.releasePages(Self.pagesReleasedAtOnce)
    }
}

/// Builds a tree from the elements of a snapshot.
package struct SnapshotLoader: Sendable {
    private var tree: ZnodeTree
    private var aclIndexes: [Int64: UInt32] = [:]
    /// In the snapshot's order. What becomes of them is not the tree's concern.
    package private(set) var sessions: [(session: SessionID, timeout: Int32)] = []

    package init(extendedTypes: Bool = false, hashSeed: UInt64 = 0) {
        tree = ZnodeTree(withoutZnodes: extendedTypes, hashSeed: hashSeed, hashMask: .max)
    }

    package mutating func insert(_ element: SnapshotElement) throws(TreeSnapshotError) {
        switch element {
        case .session(let session, let timeout):
            sessions.append((session: session, timeout: timeout))
        case .acl(let id, let acl):
            try insert(acl, id: id)
        case .znode(let znode):
            try insert(znode)
        }
    }

    private mutating func insert(_ acl: [ACL], id: Int64) throws(TreeSnapshotError) {
        guard id != SnapshotZnode.openACL, aclIndexes[id] == nil else {
            throw TreeSnapshotError(reason: "the ACL \(id) is listed twice")
        }
        // The loader's own use keeps the list until all znodes are there.
        aclIndexes[id] = tree.acls.use(acl)
    }

    private mutating func insert(_ znode: SnapshotZnode) throws(TreeSnapshotError) {
        let parent: UInt32
        if znode.path.isRoot {
            guard tree.count == 0 else {
                throw TreeSnapshotError(reason: "the root is there twice")
            }
            parent = PathTable.root
        } else {
            guard tree.count > 0, let found = tree.parentIndex(of: znode.path) else {
                throw TreeSnapshotError(reason: "\(znode.path) comes without its parent")
            }
            guard tree.find(znode.path) == nil else {
                throw TreeSnapshotError(reason: "\(znode.path) is there twice")
            }
            parent = found
        }
        let acl: UInt32
        if let listed = aclIndex(of: znode.aclID) {
            acl = listed
            tree.acls.use(at: acl)
        } else {
            acl = tree.acls.use(Self.unlistedACL)
        }
        _ = tree.insert(
            znode.path,
            parent: parent,
            data: znode.data,
            acl: acl,
            stat: znode.stat
        )
    }

    /// Nobody but a super user may do anything. Apache's servers write the lists first and then the
    /// znodes while both change: what names a list that was not there yet was created or changed by a
    /// transaction after the snapshot's, and the log says how.
    private static let unlistedACL = [
        ACL(permissions: [], identity: Identity(scheme: "world", id: "anyone"))
    ]

    private func aclIndex(of id: Int64) -> UInt32? {
        id == SnapshotZnode.openACL ? ACLTable.open : aclIndexes[id]
    }

    /// The tree, whose last transaction was `zxid`. Adds those of the system's znodes that snapshots
    /// of old servers lack.
    package consuming func finish(zxid: Zxid) throws(TreeSnapshotError) -> ZnodeTree {
        guard tree.count > 0 else {
            throw TreeSnapshotError(reason: "the snapshot holds no znode")
        }
        for id in aclIndexes.keys.sorted() { tree.acls.drop(aclIndexes[id] ?? ACLTable.open) }
        tree.insertSystemZnodes()
        tree.lastZxid = zxid
        return tree
    }
}

/// Why a snapshot is no tree.
package struct TreeSnapshotError: Error, Hashable, Sendable, CustomStringConvertible {
    package var reason: String
    package init(reason: String) { self.reason = reason }
    package var description: String { reason }
}
