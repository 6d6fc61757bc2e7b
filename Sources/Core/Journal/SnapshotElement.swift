package import ZooKeeperModel

/// A piece of a snapshot's body, in the order of the file: sessions, access control lists, znodes.
package enum SnapshotElement: Hashable, Sendable {
    case session(SessionID, timeout: Int32)
    case acl(id: Int64, [ACL])
    /// The root has the empty path; −1 as `aclID` is everything for everyone.
    case node(path: ZnodePath, data: [UInt8]?, aclID: Int64, stat: PersistedStat)
}
