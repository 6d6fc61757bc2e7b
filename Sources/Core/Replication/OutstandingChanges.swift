import DequeModule
internal import ZooKeeperModel
internal import Znodes

/// What the znodes will look like once everything that was proposed is applied.
///
/// A leader checks a request against the state in which its transaction will be applied: the tree
/// with all earlier proposals on top of it. Only znodes that those touch are here; all others are
/// looked up in the tree. A request that fails half way (a multi) takes its own records back, those
/// of the parents included, or later sequence numbers would skip.
struct OutstandingChanges: Sendable {
    struct Znode: Hashable, Sendable {
        /// The proposal that made it look like this; zero for one read from the tree.
        var zxid = Zxid.zero
        var exists = true
        var version: Int32 = 0
        /// Counts creations only.
        var cversion: Int32 = 0
        var aversion: Int32 = 0
        var childCount = 0
        var owner = ZnodeOwner.none
        var acl: [ACL] = .open
    }
    private struct Entry: Sendable {
        var zxid: Zxid
        var path: ZnodePath
        /// Of an ephemeral that was created or deleted.
        var session: SessionID?
    }
    private struct Undo: Sendable {
        var path: ZnodePath
        var previous: Znode?
    }

    /// Records of what is applied (up to `appliedZxid`) stay for a while, and count as absent: most
    /// are replaced by the next change of the same znode, which is cheaper than to remove each.
    private var znodes: [ZnodePath: Znode] = [:]
    private var appliedZxid = Zxid.zero
    /// So many more than there are entries may stay.
    private static let spareRecords = 1024
    /// One for each record that was made, oldest first.
    private var entries = Deque<Entry>()
    /// Paths of ephemerals that the entries created or deleted, in the order of the entries.
    private var ephemeralPaths: [SessionID: Deque<ZnodePath>] = [:]
    /// What the request under way has replaced.
    private var undo: [Undo] = []

    var isEmpty: Bool { entries.isEmpty }

    /// The znode as it will be, or nil where there will be none.
    func find(_ path: ZnodePath, in tree: borrowing ZnodeTree) -> Znode? {
        if !entries.isEmpty, let znode = znodes[path], znode.zxid > appliedZxid {
            return znode.exists ? znode : nil
        }
        guard let index = tree.find(path) else { return nil }
        let stat = tree.persistedStat(of: index)
        return Znode(
            version: stat.version,
            cversion: stat.cversion,
            aversion: stat.aversion,
            childCount: tree.childCount(of: index),
            owner: tree.owner(of: index),
            acl: tree.acl(of: index)
        )
    }

    /// Records made from here on belong to one request.
    mutating func beginRequest() {
        undo.removeAll(keepingCapacity: true)
    }

    mutating func record(
        _ znode: Znode,
        at path: ZnodePath,
        zxid: Zxid,
        ephemeralOf: SessionID? = nil
    ) {
        var znode = znode
        znode.zxid = zxid
        undo.append(Undo(path: path, previous: znodes.updateValue(znode, forKey: path)))
        entries.append(Entry(zxid: zxid, path: path, session: ephemeralOf))
        if let ephemeralOf { ephemeralPaths[ephemeralOf, default: []].append(path) }
    }

    /// Takes back every record of the request under way.
    mutating func rollBack() {
        for change in undo.reversed() {
            znodes[change.path] = change.previous
            guard let entry = entries.popLast() else {
                preconditionFailure("a record of \(change.path) to undo, and no entry for it")
            }
            guard let session = entry.session else { continue }
            _ = ephemeralPaths[session]?.popLast()
            if ephemeralPaths[session]?.isEmpty == true { ephemeralPaths[session] = nil }
        }
        undo.removeAll(keepingCapacity: true)
    }

    /// The tree has caught up with this proposal.
    mutating func applied(upTo zxid: Zxid) {
        appliedZxid = max(appliedZxid, zxid)
        defer { forgetApplied() }
        while !entries.isEmpty, entries[0].zxid <= zxid {
            let entry = entries.removeFirst()
            guard let session = entry.session else { continue }
            _ = ephemeralPaths[session]?.popFirst()
            if ephemeralPaths[session]?.isEmpty == true { ephemeralPaths[session] = nil }
        }
    }

    private mutating func forgetApplied() {
        guard znodes.count > 2 * entries.count + Self.spareRecords else { return }
        if entries.isEmpty {
            znodes.removeAll(keepingCapacity: true)
        } else {
            znodes = znodes.filter { $0.value.zxid > appliedZxid }
        }
    }

    /// The ephemerals that a session will have, sorted.
    func ephemerals(of session: SessionID, in tree: borrowing ZnodeTree) -> [ZnodePath] {
        let present = tree.ephemerals(of: session)
        guard let touched = ephemeralPaths[session] else { return present }
        var paths = Set(present)
        for path in touched {
            if let znode = znodes[path], znode.exists, znode.owner == .session(session) {
                paths.insert(path)
            } else {
                paths.remove(path)
            }
        }
        return paths.sorted()
    }

    func checkInvariants() {
        var newest: [ZnodePath: Zxid] = [:]
        var last = Zxid.zero
        for entry in entries {
            precondition(last <= entry.zxid, "outstanding changes out of order at \(entry.zxid)")
            last = entry.zxid
            newest[entry.path] = entry.zxid
        }
        let outstanding = znodes.filter { $0.value.zxid > appliedZxid }
        precondition(newest.count == outstanding.count, "outstanding changes without an entry")
        precondition(
            znodes.count <= 2 * entries.count + Self.spareRecords,
            "applied changes are not forgotten"
        )
        for (path, znode) in outstanding {
            precondition(
                newest[path] == znode.zxid && znode.childCount >= 0,
                "the outstanding change of \(path) is \(znode), its entry \(String(describing: newest[path]))"
            )
        }
    }
}
