package import ZooKeeperModel
internal import Znodes

/// The znodes at every zxid, as the committed transactions make them: what servers' answers are
/// compared with.
///
/// It is written for its own sake and shares no code with the tree it judges: plain dictionaries, one
/// list of versions for each path, nothing ever forgotten. Transactions come from logs, whoever wrote
/// them, and are applied in the order of zxids once somebody was told of one as great.
///
/// What it finds wrong with transactions themselves: a session's requests take effect in the order in
/// which they were sent, each at most once and none after the session's end; what is created was not
/// there, what is changed or deleted was.
package struct ZnodeModel: Sendable {
    package struct Znode: Hashable, Sendable {
        package var stat: Stat
        package var data: [UInt8]?
        package var acl: [ACL]
        /// Of all children that ever were: the number of the next sequential one.
        package var creations: Int32
    }
    package enum Change: Hashable, Sendable {
        /// Of data or existence.
        case data
        /// Of the names of its children, or its own end.
        case children
    }
    private struct Version: Sendable {
        var zxid: Zxid
        var znode: Znode?
    }
    private struct ChildChange: Sendable {
        var zxid: Zxid
        var name: [UInt8]
        var isThere: Bool
    }
    private struct Session: Sendable {
        var lastRequest: Int32 = 0
        var isOver = false
    }

    private var versions: [ZnodePath: [Version]] = [:]
    private var childChanges: [ZnodePath: [ChildChange]] = [:]
    private var dataChanges: [ZnodePath: [Zxid]] = [:]
    private var ownEnds: [ZnodePath: [Zxid]] = [:]
    private var sessions: [SessionID: Session] = [:]
    private var ephemerals: [SessionID: Set<ZnodePath>] = [:]
    /// Logged, and not yet applied; ascending.
    private var waiting: [Transaction] = []
    /// All up to here are applied.
    package private(set) var position = Zxid.zero

    package init() {
        let fresh = ZnodeTree()
        var paths = [ZnodePath.root]
        while let path = paths.popLast() {
            guard let index = fresh.find(path) else { continue }
            let stat = fresh.stat(of: index)
            let znode = Znode(
                stat: stat,
                data: fresh.data(of: index),
                acl: fresh.acl(of: index),
                creations: (stat.cversion + stat.numChildren) / 2
            )
            versions[path] = [Version(zxid: .zero, znode: znode)]
            for name in fresh.children(of: index) {
                childChanges[path, default: []].append(
                    ChildChange(zxid: .zero, name: name, isThere: true)
                )
                paths.append(path.isRoot ? ZnodePath(bytes: [47] + name) : path.appending(name))
            }
        }
    }

    // MARK: Transactions

    /// A transaction reaches a log for the first time.
    package mutating func logged(_ transaction: Transaction) {
        guard transaction.zxid > position else { return }
        var index = waiting.endIndex
        while index > 0, waiting[index - 1].zxid > transaction.zxid { index -= 1 }
        waiting.insert(transaction, at: index)
    }

    /// Somebody was told what is so at `zxid`: all before it is committed, but for what a later
    /// epoch's history left out.
    package mutating func advance(
        to zxid: Zxid,
        isAbandoned: (Zxid) -> Bool
    ) -> String? {
        guard zxid > position else { return nil }
        position = zxid
        let count = waiting.prefix { $0.zxid <= zxid }.count
        let due = waiting.prefix(count)
        waiting.removeFirst(count)
        for transaction in due where !isAbandoned(transaction.zxid) {
            if let failure = apply(transaction) { return failure }
        }
        return nil
    }

    private mutating func apply(_ transaction: Transaction) -> String? {
        if let failure = inSession(transaction) { return failure }
        if case .multi(let parts) = transaction.body {
            let isRefused = parts.contains { if case .error = $0 { true } else { false } }
            guard !isRefused else { return nil }
            for part in parts {
                if let failure = apply(part, transaction) { return failure }
            }
            return nil
        }
        return apply(transaction.body, transaction)
    }

    private mutating func inSession(_ transaction: Transaction) -> String? {
        let id = transaction.session
        switch transaction.body {
        case .error: return nil
        case .createSession:
            sessions[id] = Session()
            return nil
        default: break
        }
        guard let session = sessions[id], !session.isOver else {
            return "\(transaction.zxid) is of session \(id), which is over"
        }
        if case .closeSession = transaction.body { sessions[id]?.isOver = true }
        guard transaction.cxid != 0 else { return nil }
        if transaction.cxid <= session.lastRequest {
            return "\(transaction.zxid) is request \(transaction.cxid) of session \(id), whose"
                + " request \(session.lastRequest) has taken effect"
        }
        sessions[id]?.lastRequest = transaction.cxid
        return nil
    }

    private mutating func apply(_ body: TransactionBody, _ transaction: Transaction) -> String? {
        let zxid = transaction.zxid
        switch body {
        case .create(let create): return self.create(create, transaction)
        case .delete(let path), .deleteContainer(let path): return delete(path, zxid)
        case .setData(let path, let data, let version),
            .reconfigure(let path, let data, let version):
            guard var znode = current(path) else {
                return "\(zxid) sets \(path), which is not there"
            }
            znode.data = data
            znode.stat.version += 1
            znode.stat.mzxid = zxid
            znode.stat.mtime = transaction.time
            znode.stat.dataLength = Int32(data?.count ?? 0)
            put(znode, path, zxid)
            dataChanges[path, default: []].append(zxid)
            return znode.stat.version == version
                ? nil : "\(zxid) makes version \(version) of \(path), not \(znode.stat.version)"
        case .setACL(let path, let acl, let version):
            guard var znode = current(path) else {
                return "\(zxid) sets \(path), which is not there"
            }
            znode.acl = acl
            znode.stat.aversion += 1
            put(znode, path, zxid)
            return znode.stat.aversion == version
                ? nil : "\(zxid) makes list \(version) of \(path), not \(znode.stat.aversion)"
        case .closeSession(let listed):
            let owned = ephemerals.removeValue(forKey: transaction.session) ?? []
            if let listed, Set(listed) != owned {
                return
                    "\(zxid) ends \(transaction.session) and \(listed), which owns \(owned.sorted())"
            }
            for path in owned.sorted() {
                if let failure = delete(path, zxid) { return failure }
            }
            return nil
        case .check(let path, let version):
            guard let znode = current(path) else {
                return "\(zxid) checks \(path), which is not there"
            }
            return version == -1 || version == znode.stat.version
                ? nil : "\(zxid) checks \(path) for version \(version), not \(znode.stat.version)"
        case .createSession, .error, .multi: return nil
        }
    }

    private mutating func create(
        _ create: CreateTransaction,
        _ transaction: Transaction
    ) -> String? {
        let zxid = transaction.zxid
        guard let parentPath = create.path.parent, var parent = current(parentPath) else {
            return "\(zxid) creates \(create.path) below nothing"
        }
        guard current(create.path) == nil else {
            return "\(zxid) creates \(create.path), which is there"
        }
        parent.creations += 1
        parent.stat.numChildren += 1
        parent.stat.cversion += 1
        parent.stat.pzxid = zxid
        put(parent, parentPath, zxid)
        childChanges[parentPath, default: []].append(
            ChildChange(zxid: zxid, name: Array(create.path.name), isThere: true)
        )
        let stat = Stat(
            czxid: zxid,
            mzxid: zxid,
            ctime: transaction.time,
            mtime: transaction.time,
            version: 0,
            cversion: 0,
            aversion: 0,
            ephemeralOwner: create.isEphemeral ? transaction.session : .none,
            dataLength: Int32(create.data?.count ?? 0),
            numChildren: 0,
            pzxid: zxid
        )
        put(
            Znode(stat: stat, data: create.data, acl: create.acl, creations: 0),
            create.path,
            zxid
        )
        dataChanges[create.path, default: []].append(zxid)
        if create.isEphemeral {
            ephemerals[transaction.session, default: []].insert(create.path)
        }
        return parent.creations == create.parentCVersion
            ? nil
            : "\(zxid) is creation \(create.parentCVersion) below \(parentPath), not"
                + " \(parent.creations)"
    }

    private mutating func delete(_ path: ZnodePath, _ zxid: Zxid) -> String? {
        guard let znode = current(path), let parentPath = path.parent,
            var parent = current(parentPath)
        else { return "\(zxid) deletes \(path), which is not there" }
        guard znode.stat.numChildren == 0 else {
            return "\(zxid) deletes \(path) with its children"
        }
        parent.stat.numChildren -= 1
        parent.stat.cversion += 1
        parent.stat.pzxid = zxid
        put(parent, parentPath, zxid)
        childChanges[parentPath, default: []].append(
            ChildChange(zxid: zxid, name: Array(path.name), isThere: false)
        )
        put(nil, path, zxid)
        dataChanges[path, default: []].append(zxid)
        ownEnds[path, default: []].append(zxid)
        ephemerals[znode.stat.ephemeralOwner]?.remove(path)
        return nil
    }

    private func current(_ path: ZnodePath) -> Znode? { versions[path]?.last?.znode }

    private mutating func put(_ znode: Znode?, _ path: ZnodePath, _ zxid: Zxid) {
        // The parts of a multi share one zxid, and nobody sees what is between them.
        if let last = versions[path]?.last, last.zxid == zxid {
            versions[path]?.removeLast()
        }
        versions[path, default: []].append(Version(zxid: zxid, znode: znode))
    }
}

// MARK: Questions

extension ZnodeModel {
    package var paths: [ZnodePath] { versions.keys.filter { current($0) != nil }.sorted() }

    /// Sessions that have begun and not ended.
    package var liveSessions: [SessionID] {
        sessions.filter { !$0.value.isOver }.map(\.key).sorted()
    }

    package func znode(_ path: ZnodePath, at zxid: Zxid) -> Znode? {
        guard let list = versions[path] else { return nil }
        let count = Self.count(list, \.zxid, through: zxid)
        return count > 0 ? list[count - 1].znode : nil
    }

    /// Just before this transaction.
    package func znode(_ path: ZnodePath, before zxid: Zxid) -> Znode? {
        znode(path, at: Zxid(rawValue: zxid.rawValue - 1))
    }

    /// Whether something was so of this path at any moment of the range.
    package func was(
        _ path: ZnodePath,
        after first: Zxid,
        through last: Zxid,
        _ holds: (Znode?) -> Bool
    ) -> Bool {
        if holds(znode(path, at: first)) { return true }
        guard let list = versions[path], first < last else { return false }
        let start = Self.count(list, \.zxid, through: first)
        let end = Self.count(list, \.zxid, through: last)
        return list[start..<end].contains { holds($0.znode) }
    }

    package func children(_ path: ZnodePath, at zxid: Zxid) -> Set<[UInt8]> {
        var names: Set<[UInt8]> = []
        for change in childChanges[path] ?? [] {
            guard change.zxid <= zxid else { break }
            if change.isThere { names.insert(change.name) } else { names.remove(change.name) }
        }
        return names
    }

    /// The first change of this kind after the one and up to the other.
    package func firstChange(
        _ kind: Change,
        of path: ZnodePath,
        after first: Zxid,
        through last: Zxid
    ) -> Zxid? {
        guard first < last else { return nil }
        var found: Zxid?
        func look<Element>(_ list: [Element]?, _ zxid: (Element) -> Zxid) {
            guard let list else { return }
            let index = Self.count(list, zxid, through: first)
            guard index < list.count, zxid(list[index]) <= last else { return }
            found = min(found ?? last, zxid(list[index]))
        }
        switch kind {
        case .data: look(dataChanges[path]) { $0 }
        case .children:
            look(childChanges[path]) { $0.zxid }
            look(ownEnds[path]) { $0 }
        }
        return found
    }

    /// Whether the transaction of this zxid has done what the event says.
    package func tells(_ event: WatchEvent) -> Bool {
        let before = znode(event.path, before: event.zxid)
        let after = znode(event.path, at: event.zxid)
        return switch event.kind {
        case .created: before == nil && after != nil
        case .deleted: before != nil && after == nil
        case .dataChanged: before != nil && after?.stat.mzxid == event.zxid
        case .childrenChanged: before != nil && after?.stat.pzxid == event.zxid
        }
    }

    private static func count<Element>(
        _ list: [Element],
        _ zxid: (Element) -> Zxid,
        through last: Zxid
    ) -> Int {
        var low = 0
        var high = list.count
        while low < high {
            let middle = (low + high) / 2
            if zxid(list[middle]) <= last { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
