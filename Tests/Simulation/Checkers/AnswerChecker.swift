package import ZooKeeperModel

/// What one client is told, compared with what is so at the zxid of the answer: data and Stats, the
/// names of children, access control lists, refusals, and events of watches.
///
/// A server's answer names the newest transaction that it has applied. A read shows exactly the
/// znodes at that zxid. A write took effect after all that its client knew when it was asked for, and
/// at that zxid at the latest. An event comes before any answer that is as new as what it tells of.
package struct AnswerChecker: Sendable {
    package struct Question: Sendable {
        package var operation: Operation
        /// The newest that its client had been told when it asked.
        package var after: Zxid
    }
    private struct Watch: Sendable {
        var kind: ZnodeModel.Change
        /// Set at this moment.
        var since: Zxid
    }

    /// Who the client is to servers.
    package let identities: [Identity]
    private var watches: [ZnodePath: [Watch]] = [:]
    /// Events whose zxid the model has not come to.
    private var told: [WatchEvent] = []
    /// The newest that it was told.
    package private(set) var newest = Zxid.zero

    package init(identities: [Identity]) { self.identities = identities }

    package func question(_ operation: Operation) -> Question {
        Question(operation: operation, after: newest)
    }

    /// A new process knows nothing.
    package mutating func forget() { self = AnswerChecker(identities: identities) }

    /// A new session has no watches.
    package mutating func sessionRenewed() { watches = [:] }

    package mutating func saw(_ event: WatchEvent) {
        if event.zxid > .zero { told.append(event) }
        switch event.kind {
        case .created, .dataChanged: watches[event.path]?.removeAll { $0.kind == .data }
        case .deleted: watches[event.path] = nil
        case .childrenChanged: watches[event.path]?.removeAll { $0.kind == .children }
        }
        if watches[event.path]?.isEmpty == true { watches[event.path] = nil }
    }

    /// What is wrong with an answer. The model has come to its zxid.
    package mutating func judge(
        _ question: Question,
        _ result: Result<Response, ErrorCode>,
        at zxid: Zxid,
        _ model: ZnodeModel
    ) -> String? {
        guard zxid > .zero else { return nil }
        if let missed = missedEvent(zxid, model) { return missed }
        while let index = told.firstIndex(where: { $0.zxid <= model.position }) {
            let event = told.remove(at: index)
            guard model.tells(event) else {
                return "was told that \(event.path) was \(event.kind) at \(event.zxid)"
            }
        }
        newest = max(newest, zxid)
        switch result {
        case .failure(let code):
            guard let path = Self.path(of: question.operation),
                !isExplained(code, question, path, zxid, model)
            else { return nil }
            return "\(Self.name(question.operation)) was refused with \(code) at \(zxid)"
        case .success(let response):
            guard let wrong = mismatch(question, response, zxid, model) else {
                setWatch(question.operation, zxid, model)
                return nil
            }
            return "\(Self.name(question.operation)) at \(zxid): \(wrong)"
        }
    }

    // MARK: Watches

    private mutating func setWatch(_ operation: Operation, _ zxid: Zxid, _ model: ZnodeModel) {
        let kind: ZnodeModel.Change
        let path: ZnodePath
        switch operation {
        case .getData(let watched, watch: true), .exists(let watched, watch: true):
            (kind, path) = (.data, watched)
        case .getChildren(let watched, watch: true), .getChildren2(let watched, watch: true):
            (kind, path) = (.children, watched)
        case .removeWatches(let watched, _):
            watches[watched] = nil
            return
        default: return
        }
        // Of what its reader may no longer read a watch tells nothing.
        guard model.znode(path, at: zxid)?.acl == .open else { return }
        watches[path, default: []].removeAll { $0.kind == kind }
        watches[path, default: []].append(Watch(kind: kind, since: zxid))
    }

    private func missedEvent(_ zxid: Zxid, _ model: ZnodeModel) -> String? {
        guard zxid > newest else { return nil }
        var missed: [(Zxid, String)] = []
        for (path, list) in watches {
            for watch in list {
                let change = model.firstChange(
                    watch.kind,
                    of: path,
                    after: watch.since,
                    through: zxid
                )
                guard let change else { continue }
                missed.append(
                    (
                        change,
                        "was answered at \(zxid) before the event of its watch on the"
                            + " \(watch.kind) of \(path), set at \(watch.since), changed at \(change)"
                    )
                )
            }
        }
        return missed.min { ($0.0, $0.1) < ($1.0, $1.1) }?.1
    }

    // MARK: Answers

    private func mismatch(
        _ question: Question,
        _ response: Response,
        _ zxid: Zxid,
        _ model: ZnodeModel
    ) -> String? {
        switch (question.operation, response) {
        case (.getData(let path, _), .data(let data, let stat)):
            let znode = model.znode(path, at: zxid)
            return differs(stat, znode)
                ?? (data == znode?.data ? nil : "its data is another")
                ?? forbidden(.read, znode)
        case (.exists(let path, _), .stat(let stat)):
            return differs(stat, model.znode(path, at: zxid))
        case (.getChildren(let path, _), .children(let names)):
            let znode = model.znode(path, at: zxid)
            return differs(names, model.children(path, at: zxid)) ?? forbidden(.read, znode)
        case (.getChildren2(let path, _), .childrenWithStat(let names, let stat)):
            let znode = model.znode(path, at: zxid)
            return differs(stat, znode) ?? differs(names, model.children(path, at: zxid))
                ?? forbidden(.read, znode)
        case (.getACL(let path), .acl(let acl, let stat)):
            let znode = model.znode(path, at: zxid)
            return differs(stat, znode) ?? differs(acl, znode) ?? forbidden([.read, .admin], znode)
        case (.create(let create), .createdWithStat(let path, let stat)):
            guard stat.czxid > question.after, stat.czxid <= zxid else {
                return "it was created at \(stat.czxid), asked for after \(question.after)"
            }
            let znode = model.znode(path, at: stat.czxid)
            let parent = path.parent.flatMap { model.znode($0, before: stat.czxid) }
            return differs(stat, znode) ?? differs(path, create, parent)
                ?? (create.data == znode?.data ? nil : "its data is another")
                ?? forbidden(.create, parent)
        case (.setData(let path, let data, let version), .stat(let stat)):
            guard stat.mzxid > question.after, stat.mzxid <= zxid else {
                return "it was set at \(stat.mzxid), asked for after \(question.after)"
            }
            let znode = model.znode(path, at: stat.mzxid)
            guard version == -1 || version == stat.version - 1 else {
                return "version \(stat.version) was made of \(version)"
            }
            return differs(stat, znode) ?? (data == znode?.data ? nil : "its data is another")
                ?? forbidden(.write, model.znode(path, before: stat.mzxid))
        case (.setACL(let path, let acl, _), .stat(let stat)):
            let list = acl.flatMap { entry in
                entry.identity.scheme == "auth"
                    ? identities.filter { $0.scheme == "digest" }.map {
                        ACL(permissions: entry.permissions, identity: $0)
                    } : [entry]
            }
            let isSo = model.was(path, after: question.after, through: zxid) {
                $0?.stat == stat && $0?.acl == list
            }
            return isSo ? nil : "it never was \(stat) with the list asked for"
        case (.delete(let path, _), .empty):
            let isGone = model.was(path, after: question.after, through: zxid) { $0 == nil }
            return isGone ? nil : "it is there"
        default: return nil
        }
    }

    private func differs(_ stat: Stat, _ znode: ZnodeModel.Znode?) -> String? {
        guard let znode else { return "there is none" }
        guard stat != znode.stat else { return nil }
        let fields = zip(Self.fields(of: stat), Self.fields(of: znode.stat))
        return fields.filter { $0.value != $1.value }.map {
            "\($0.name) is \($0.value), not \($1.value)"
        }.joined(separator: ", ")
    }

    private static func fields(of stat: Stat) -> [(name: String, value: String)] {
        [
            ("czxid", "\(stat.czxid)"), ("mzxid", "\(stat.mzxid)"), ("pzxid", "\(stat.pzxid)"),
            ("ctime", "\(stat.ctime.rawValue)"), ("mtime", "\(stat.mtime.rawValue)"),
            ("version", "\(stat.version)"), ("cversion", "\(stat.cversion)"),
            ("aversion", "\(stat.aversion)"), ("owner", "\(stat.ephemeralOwner)"),
            ("dataLength", "\(stat.dataLength)"), ("numChildren", "\(stat.numChildren)"),
        ]
    }

    private func differs(_ names: [[UInt8]], _ children: Set<[UInt8]>) -> String? {
        guard names.count != children.count || Set(names) != children else { return nil }
        func list(_ names: some Sequence<[UInt8]>) -> String {
            names.map { String(decoding: $0, as: UTF8.self) }.sorted().joined(separator: " ")
        }
        return "its children are \(list(names)), not \(list(children))"
    }

    /// Whoever may not change a list does not see what proves an identity.
    private func differs(_ acl: [ACL], _ znode: ZnodeModel.Znode?) -> String? {
        guard let znode else { return "there is none" }
        if permits(.admin, znode) { return acl == znode.acl ? nil : "its list is another" }
        let isAlike =
            acl.count == znode.acl.count
            && zip(acl, znode.acl).allSatisfy { shown, entry in
                shown.permissions == entry.permissions
                    && shown.identity.scheme == entry.identity.scheme
                    && shown.identity.id == Self.masked(entry.identity)
            }
        return isAlike ? nil : "its list is another"
    }

    private static func masked(_ identity: Identity) -> String {
        guard identity.scheme == "digest" else { return identity.id }
        return (identity.id.split(separator: ":").first ?? "") + ":x"
    }

    private func differs(
        _ path: ZnodePath,
        _ create: CreateRequest,
        _ parent: ZnodeModel.Znode?
    ) -> String? {
        let isSequential = CreateMode(rawValue: create.flags)?.isSequential == true
        guard isSequential else {
            return path == create.path ? nil : "it was created as \(path)"
        }
        guard let parent else { return "there is no parent" }
        let digits = String(parent.creations)
        let wanted =
            create.path.bytes + Array(String(repeating: "0", count: 10 - digits.count).utf8)
            + Array(digits.utf8)
        return path.bytes == wanted ? nil : "its number is not \(parent.creations): \(path)"
    }

    // MARK: Rights

    private func forbidden(_ needed: Permissions, _ znode: ZnodeModel.Znode?) -> String? {
        permits(needed, znode) ? nil : "it is closed to this client"
    }

    private func permits(_ needed: Permissions, _ znode: ZnodeModel.Znode?) -> Bool {
        guard let acl = znode?.acl else { return true }
        return acl.contains { entry in
            !entry.permissions.isDisjoint(with: needed)
                && (entry.identity == .anyone || identities.contains(entry.identity))
        }
    }

    private func isExplained(
        _ code: ErrorCode,
        _ question: Question,
        _ path: ZnodePath,
        _ zxid: Zxid,
        _ model: ZnodeModel
    ) -> Bool {
        let isRead = !question.operation.isWrite
        func was(_ path: ZnodePath, _ holds: (ZnodeModel.Znode?) -> Bool) -> Bool {
            model.was(path, after: isRead ? zxid : question.after, through: zxid, holds)
        }
        func lacks(_ needed: Permissions, _ path: ZnodePath) -> Bool {
            was(path) { $0 != nil && !permits(needed, $0) }
        }
        let parent = path.parent ?? .root
        switch (code, question.operation) {
        case (.noNode, .create): return was(parent) { $0 == nil }
        case (.noNode, _): return was(path) { $0 == nil } || was(parent) { $0 == nil }
        case (.nodeExists, _): return was(path) { $0 != nil }
        case (.badVersion, .setData(_, _, let version)), (.badVersion, .delete(_, let version)):
            return was(path) { $0.map { $0.stat.version != version } ?? false }
        case (.notEmpty, _): return was(path) { ($0?.stat.numChildren ?? 0) > 0 }
        case (.noAuth, .create): return lacks(.create, parent)
        case (.noAuth, .delete): return lacks(.delete, parent)
        case (.noAuth, .setData): return lacks(.write, path)
        case (.noAuth, .setACL): return lacks(.admin, path)
        case (.noAuth, .getData), (.noAuth, .getChildren), (.noAuth, .getChildren2):
            return lacks(.read, path)
        case (.noAuth, .getACL): return lacks([.read, .admin], path)
        default: return true
        }
    }

    private static func path(of operation: Operation) -> ZnodePath? {
        switch operation {
        case .create(let create): create.path
        case .delete(let path, _), .exists(let path, _), .getData(let path, _),
            .setData(let path, _, _), .getACL(let path), .setACL(let path, _, _),
            .getChildren(let path, _), .getChildren2(let path, _):
            path
        default: nil
        }
    }

    /// For sentences about it.
    static func name(_ operation: Operation) -> String {
        let verb =
            switch operation {
            case .create: "creating"
            case .delete: "deleting"
            case .setData: "setting"
            case .getACL: "reading the list of"
            case .setACL: "setting the list of"
            case .getChildren, .getChildren2: "listing"
            case .exists, .getData: "reading"
            default: "\(operation)"
            }
        return path(of: operation).map { "\(verb) \($0)" } ?? verb
    }
}
