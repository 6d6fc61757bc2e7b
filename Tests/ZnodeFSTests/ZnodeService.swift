import ZnodeFS
import ZooKeeperModel

/// The smallest ensemble that keeps ZooKeeper's semantics: one tree, sessions with ephemerals,
/// one-shot watches, atomic multi. Each operation takes effect at once and in order.
struct ZnodeService {
    struct Node {
        var data: [UInt8]?
        var acl: [ACL]
        var stat: Stat
        var children: Set<[UInt8]> = []
    }
    struct Watch: Hashable {
        var session: SessionID
        var path: ZnodePath
    }

    /// As Apache's servers before 3.8.2: a transaction tells no Stat of what it created.
    var hidesStatsOfTransactions = false
    var nodes: [ZnodePath: Node] = [:]
    var zxid = Zxid(rawValue: 0x10)
    var time = Timestamp(rawValue: 1_000_000)
    var dataWatches: Set<Watch> = []
    var childWatches: Set<Watch> = []
    /// Fired and not yet taken by the network.
    var events: [(SessionID, WatchEvent)] = []

    init() {
        nodes[.root] = Node(data: [], acl: .open, stat: freshStat(owner: .none, length: 0))
    }

    private func freshStat(owner: SessionID, length: Int) -> Stat {
        Stat(
            czxid: zxid,
            mzxid: zxid,
            ctime: time,
            mtime: time,
            version: 0,
            cversion: 0,
            aversion: 0,
            ephemeralOwner: owner,
            dataLength: Int32(length),
            numChildren: 0,
            pzxid: zxid
        )
    }

    /// The answer of one operation; the events it fires are in `events`, in order.
    mutating func perform(_ operation: Operation, _ session: SessionID) -> OperationOutcome {
        if operation.isWrite { zxid = zxid.next }
        let result: Result<Response, ErrorCode>
        if case .multi(let parts) = operation {
            result = .success(.multi(multi(parts, session)))
        } else {
            result = apply(operation, session)
        }
        return OperationOutcome(result: result, zxid: zxid)
    }

    private mutating func multi(_ parts: [Operation], _ session: SessionID) -> [MultiResult] {
        let before = self
        var results: [MultiResult] = []
        for (index, part) in parts.enumerated() {
            switch apply(part, session) {
            case .success(.createdWithStat(let path, _)) where hidesStatsOfTransactions:
                results.append(.success(.created(path)))
            case .success(let response): results.append(.success(response))
            case .failure(let code):
                let after = zxid
                self = before
                zxid = after
                return parts.indices.map {
                    $0 < index
                        ? .failure(.ok) : .failure($0 == index ? code : .runtimeInconsistency)
                }
            }
        }
        return results
    }

    private func allows(_ path: ZnodePath, _ right: Permissions) -> Bool {
        guard let acl = nodes[path]?.acl else { return true }
        return acl.contains {
            $0.permissions.contains(right) && ["world", "auth"].contains($0.identity.scheme)
        }
    }

    private mutating func apply(
        _ operation: Operation,
        _ session: SessionID
    ) -> Result<Response, ErrorCode> {
        switch operation {
        case .create(let request):
            guard request.path.validate() == nil else { return .failure(.badArguments) }
            guard let parent = request.path.parent, let above = nodes[parent] else {
                return .failure(.noNode)
            }
            guard allows(parent, .create) else { return .failure(.noAuth) }
            guard nodes[request.path] == nil else { return .failure(.nodeExists) }
            guard above.stat.ephemeralOwner == .none else {
                return .failure(.noChildrenForEphemerals)
            }
            let isEphemeral = CreateMode(rawValue: request.flags)?.isEphemeral ?? false
            let stat = freshStat(
                owner: isEphemeral ? session : .none,
                length: request.data?.count ?? 0
            )
            nodes[request.path] = Node(data: request.data, acl: request.acl, stat: stat)
            nodes[parent]?.children.insert(Array(request.path.name))
            nodes[parent]?.stat.cversion += 1
            nodes[parent]?.stat.numChildren += 1
            nodes[parent]?.stat.pzxid = zxid
            fireData(.created, request.path)
            fireChild(.childrenChanged, parent)
            return .success(.createdWithStat(request.path, stat))
        case .delete(let path, let version):
            guard let node = nodes[path] else { return .failure(.noNode) }
            guard let parent = path.parent else { return .failure(.badArguments) }
            guard allows(parent, .delete) else { return .failure(.noAuth) }
            guard version == -1 || version == node.stat.version else {
                return .failure(.badVersion)
            }
            guard node.children.isEmpty else { return .failure(.notEmpty) }
            nodes[path] = nil
            nodes[parent]?.children.remove(Array(path.name))
            nodes[parent]?.stat.cversion += 1
            nodes[parent]?.stat.numChildren -= 1
            nodes[parent]?.stat.pzxid = zxid
            fireData(.deleted, path)
            fireChild(.deleted, path)
            fireChild(.childrenChanged, parent)
            return .success(.empty)
        case .setData(let path, let data, let version):
            guard var node = nodes[path] else { return .failure(.noNode) }
            guard allows(path, .write) else { return .failure(.noAuth) }
            guard version == -1 || version == node.stat.version else {
                return .failure(.badVersion)
            }
            node.data = data
            node.stat.version += 1
            node.stat.mzxid = zxid
            node.stat.mtime = time
            node.stat.dataLength = Int32(data?.count ?? 0)
            nodes[path] = node
            fireData(.dataChanged, path)
            return .success(.stat(node.stat))
        case .setACL(let path, let acl, let version):
            guard var node = nodes[path] else { return .failure(.noNode) }
            guard version == -1 || version == node.stat.aversion else {
                return .failure(.badVersion)
            }
            node.acl = acl
            node.stat.aversion += 1
            nodes[path] = node
            return .success(.stat(node.stat))
        case .check(let path, let version):
            guard let node = nodes[path] else { return .failure(.noNode) }
            guard version == -1 || version == node.stat.version else {
                return .failure(.badVersion)
            }
            return .success(.empty)
        case .exists(let path, let watch):
            if watch { dataWatches.insert(Watch(session: session, path: path)) }
            guard let node = nodes[path] else { return .failure(.noNode) }
            return .success(.stat(node.stat))
        case .getData(let path, let watch):
            guard let node = nodes[path] else { return .failure(.noNode) }
            guard allows(path, .read) else { return .failure(.noAuth) }
            if watch { dataWatches.insert(Watch(session: session, path: path)) }
            return .success(.data(node.data, node.stat))
        case .getACL(let path):
            guard let node = nodes[path] else { return .failure(.noNode) }
            return .success(.acl(node.acl, node.stat))
        case .getChildren(let path, let watch), .getChildren2(let path, let watch):
            guard let node = nodes[path] else { return .failure(.noNode) }
            guard allows(path, .read) else { return .failure(.noAuth) }
            if watch { childWatches.insert(Watch(session: session, path: path)) }
            let names = Array(node.children)
            if case .getChildren = operation { return .success(.children(names)) }
            return .success(.childrenWithStat(names, node.stat))
        case .sync(let path): return .success(.synced(path))
        case .multi, .setWatches, .addWatch, .checkWatches, .removeWatches, .auth, .ping,
            .closeSession, .unsupported, .malformed:
            return .failure(.unimplemented)
        }
    }

    private mutating func fireData(_ kind: WatchEvent.Kind, _ path: ZnodePath) {
        let hit = dataWatches.filter { $0.path == path }
        dataWatches.subtract(hit)
        tell(hit, kind, path)
    }

    private mutating func fireChild(_ kind: WatchEvent.Kind, _ path: ZnodePath) {
        let hit = childWatches.filter { $0.path == path }
        childWatches.subtract(hit)
        tell(hit, kind, path)
    }

    private mutating func tell(_ hit: Set<Watch>, _ kind: WatchEvent.Kind, _ path: ZnodePath) {
        for watch in hit.sorted(by: { $0.session < $1.session }) {
            events.append((watch.session, WatchEvent(kind: kind, path: path)))
        }
    }

    mutating func end(_ session: SessionID) {
        zxid = zxid.next
        for path in nodes.keys.sorted() where nodes[path]?.stat.ephemeralOwner == session {
            _ = apply(.delete(path, version: -1), session)
        }
        dataWatches = dataWatches.filter { $0.session != session }
        childWatches = childWatches.filter { $0.session != session }
    }
}
