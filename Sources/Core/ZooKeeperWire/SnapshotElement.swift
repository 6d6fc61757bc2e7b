package import ZooKeeperModel

/// A snapshot's body is a sequence of these: all sessions, then all access control lists, then all
/// znodes, parents before children. Files frame it with a header and seals (``SnapshotSeal``);
/// a leader sends it to a learner as it is.
/// ```
/// int count | count × { long session, int timeout }
/// int count | count × { long id, vector<ACL> }
/// repeated { ustring path, buffer data, long aclID, persisted Stat }, the root's path being empty
/// ustring "/"
/// ```
package enum SnapshotElement: Hashable, Sendable {
    /// Milliseconds.
    case session(SessionID, timeout: Int32)
    case acl(id: Int64, [ACL])
    case znode(SnapshotZnode)
}

package struct SnapshotZnode: Hashable, Sendable {
    /// ``ZnodePath/root`` for the root, although the bytes write it as the empty path.
    package var path: ZnodePath
    package var data: [UInt8]?
    /// An entry of the list before, or ``openACL``.
    package var aclID: Int64
    package var stat: PersistedStat

    /// Everything for everyone, which the list leaves out.
    package static let openACL: Int64 = -1

    package init(path: ZnodePath, data: [UInt8]?, aclID: Int64, stat: PersistedStat) {
        self.path = path
        self.data = data
        self.aclID = aclID
        self.stat = stat
    }
}

/// Encodes a snapshot's body in slices: begin, add every znode, finish, and take the bytes so far
/// whenever enough have gathered.
package struct SnapshotBodyEncoder {
    private var writer = JuteWriter()

    package init() {}

    /// How many bytes wait in the encoder.
    package var pendingBytes: Int { writer.bytes.count }

    /// First of all. The lists must hold every id that a znode will name.
    package mutating func begin(
        sessions: [(session: SessionID, timeout: Int32)],
        acls: [(id: Int64, acl: [ACL])]
    ) {
        writer.vectorCount(sessions.count)
        for entry in sessions {
            writer.int64(entry.session.rawValue)
            writer.int32(entry.timeout)
        }
        writer.vectorCount(acls.count)
        for entry in acls {
            writer.int64(entry.id)
            writer.acl(entry.acl)
        }
    }

    /// Parents before their children.
    package mutating func add(_ znode: SnapshotZnode) {
        add(path: znode.path, data: znode.data, aclID: znode.aclID, stat: znode.stat)
    }

    package mutating func add(
        path: ZnodePath,
        data: [UInt8]?,
        aclID: Int64,
        stat: PersistedStat
    ) {
        // "/" would end the body.
        if path.isRoot { writer.int32(0) } else { writer.path(path) }
        writer.buffer(data)
        writer.int64(aclID)
        writer.persistedStat(stat)
    }

    /// Last of all.
    package mutating func finish() { writer.path(.root) }

    /// The bytes since the last time.
    package mutating func takeSlice() -> [UInt8] {
        let slice = writer.bytes
        writer = JuteWriter(capacityBytes: slice.count)
        return slice
    }
}
