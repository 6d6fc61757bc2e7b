public import ZooKeeperModel

/// One step of a ``ZooKeeper/multi(_:)``. A version of −1 matches any version.
public enum MultiOperation: Hashable, Sendable {
    case create(
        _ path: String,
        data: [UInt8]?,
        acl: [ACL] = .open,
        mode: CreateMode = .persistent
    )
    case delete(_ path: String, version: Int32 = -1)
    case setData(_ path: String, data: [UInt8]?, version: Int32 = -1)
    /// Fails the whole multi unless the znode exists and its data has this version.
    case check(_ path: String, version: Int32 = -1)

    var path: String {
        switch self {
        case .create(let path, _, _, _), .delete(let path, _), .setData(let path, _, _),
            .check(let path, _):
            path
        }
    }

    /// Nil for a path that no server takes.
    func request(below chroot: ZnodePath) -> Operation? {
        switch self {
        case .create(let path, let data, let acl, let mode):
            guard let znode = chroot.checked(path, isSequential: mode.isSequential) else {
                return nil
            }
            let kind: CreateKind = mode == .container ? .container : .create2
            return .create(
                CreateRequest(kind: kind, path: znode, data: data, acl: acl, mode: mode)
            )
        case .delete(let path, let version):
            return chroot.checked(path).map { .delete($0, version: version) }
        case .setData(let path, let data, let version):
            return chroot.checked(path).map { .setData($0, data: data, version: version) }
        case .check(let path, let version):
            return chroot.checked(path).map { .check($0, version: version) }
        }
    }
}

/// What one step of a multi did.
public enum MultiOperationResult: Hashable, Sendable {
    /// The Stat is nil where the server does not tell it (Apache before 3.8.2).
    case created(path: String, Stat?)
    case deleted
    case dataSet(Stat)
    case checked

    init?(_ response: Response, chroot: ZnodePath) {
        switch response {
        case .created(let path):
            self = .created(path: chroot.name(of: path), nil)
        case .createdWithStat(let path, let stat):
            self = .created(path: chroot.name(of: path), stat)
        case .stat(let stat): self = .dataSet(stat)
        case .empty: self = .deleted
        case .checked: self = .checked
        case .data, .acl, .children, .childrenWithStat, .synced, .multi, .watchAdded: return nil
        }
    }
}

extension ZnodePath {
    /// The path below this chroot, or nil if no server would take it. The number of a sequential
    /// znode completes its name, so that name may be empty.
    func checked(_ path: String, isSequential: Bool = false) -> ZnodePath? {
        let znode = ZnodePath(path)
        let complete = isSequential ? ZnodePath(bytes: znode.bytes + [UInt8(ascii: "0")]) : znode
        return complete.validate() == nil ? resolving(znode) : nil
    }

    /// As the user of this chroot knows it.
    func name(of path: ZnodePath) -> String { (relative(path) ?? path).description }
}
