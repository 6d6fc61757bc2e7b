package import ZooKeeperModel

/// What one part of an applied transaction did to one znode: all that watches need to know of it.
///
/// The ACLs are those at that moment, because an event goes only to connections that may read the
/// znode, and after a deletion nobody could look them up any more.
package struct TreeChange: Hashable, Sendable {
    package enum Kind: Hashable, Sendable {
        case created
        case deleted
        case dataChanged
    }
    package var kind: Kind
    package var path: ZnodePath
    package var zxid: Zxid
    /// Of the znode itself.
    package var acl: [ACL]
    /// Of its parent; empty for `.dataChanged`, which the parent's watchers do not hear of.
    package var parentACL: [ACL]

    package init(
        kind: Kind,
        path: ZnodePath,
        zxid: Zxid,
        acl: [ACL] = .open,
        parentACL: [ACL] = .open
    ) {
        self.kind = kind
        self.path = path
        self.zxid = zxid
        self.acl = acl
        self.parentACL = parentACL
    }
}

/// What came of one change, for the reply to whoever asked for it.
package enum PartResult: Hashable, Sendable {
    /// delete, check, createSession, closeSession.
    case done
    case created(ZnodePath, Stat)
    /// setData, reconfigure, setACL.
    case stat(Stat)
    /// The part changed nothing. In a multi that failed, `.ok` stands for the parts before the
    /// failed one.
    case failure(ErrorCode)
}

/// What came of a transaction.
package enum ApplyResult: Hashable, Sendable {
    case single(PartResult)
    /// One result for each part, in order.
    case multi([PartResult])
}
