internal import ZooKeeperModel

/// What a name of the mount means: a znode's path, and which view of it.
struct Place: Hashable, Sendable {
    var path: ZnodePath
    var facet: Facet
}

/// From names to znodes to nodes of the kernel.
extension MountedTree {
    /// What a name in a directory means. Asks for a listing only where the name is a shortened one.
    /// Requests that create pass `creates`, since a name that no znode can be shown as is not just
    /// absent then.
    mutating func resolve(
        _ job: inout Job,
        _ parent: NodeID,
        _ name: [UInt8],
        creates: Bool = false,
        position: Int = 0
    ) throws(Stop) -> Place {
        if position < job.places.count { return job.places[position] }
        guard let node = nodes[parent], !node.isUnlinked else { throw .failed(.stale) }
        let directory = node.key.path
        let place: Place
        if node.key.facet == .control {
            guard let facet = Self.controlFiles.first(where: { $0.name == name })?.facet else {
                throw .failed(creates ? .notPermitted : .noEntry)
            }
            place = Place(path: directory, facet: facet)
        } else {
            switch ParsedName(name, facets: settings.facets) {
            case .plain(let plain):
                place = Place(path: directory.appending(plain), facet: .itself)
            case .facet(let base, .control):
                guard base.isEmpty, directory == settings.root else {
                    throw .failed(creates ? .invalidArgument : .noEntry)
                }
                place = Place(path: directory, facet: .control)
            case .facet(let base, let facet):
                place =
                    base.isEmpty
                    ? Place(path: directory, facet: facet == .directory ? .here : facet)
                    : Place(path: directory.appending(base), facet: facet)
            case .versionFacet(let base, let plain):
                // A copy of a file that is really called `logo@v2` arrives as that, as long as there
                // is no `logo` whose version this could be.
                guard try inspect(&job, directory.appending(base)) == nil else {
                    log(.warning, "\(directory.appending(name)): this facet is not served yet")
                    throw .failed(creates ? .notSupported : .noEntry)
                }
                place = Place(path: directory.appending(plain), facet: .itself)
            case .unservedFacet:
                log(.warning, "\(directory.appending(name)): this facet is not served yet")
                throw .failed(creates ? .notSupported : .noEntry)
            case .tooLong: throw .failed(.nameTooLong)
            case .refused: throw .failed(creates ? .invalidArgument : .noEntry)
            case .shortened:
                let listing = try ask(&job, .getChildren(directory, watch: false))
                guard case .success(.children(let names)) = listing.first else {
                    throw .failed(failure(listing.first))
                }
                let facets = settings.facets
                guard
                    let whole = names.first(where: {
                        ParsedName.shown($0, facets: facets) == name
                    })
                else { throw .failed(creates ? .invalidArgument : .noEntry) }
                place = Place(path: directory.appending(whole), facet: .itself)
            }
        }
        job.places.append(place)
        // The place is kept, so the questions that found it are not to be met again.
        job.transcript.removeAll()
        job.cursor = 0
        return place
    }

    static let controlFiles: [(name: [UInt8], facet: Facet)] = [
        (Array("log".utf8), .log), (Array("status".utf8), .status),
    ]

    func failure(_ result: Result<Response, ErrorCode>) -> Errno {
        switch result {
        case .failure(let code): Errno(code)
        // A reply of another kind than asked for.
        case .success: .inputOutput
        }
    }

    /// The znode at a path, nil where there is none.
    mutating func inspect(_ job: inout Job, _ path: ZnodePath) throws(Stop) -> Znode? {
        let prefix: [Operation] = settings.linearizableReads ? [.sync(path)] : []
        return try inspect(&job, [path], after: prefix)[0]
    }

    /// Many znodes in two round trips: their Stats, then the data and ACL of those whose kind and
    /// mode are not known for this version yet.
    mutating func inspect(
        _ job: inout Job,
        _ paths: [ZnodePath],
        after prefix: [Operation] = []
    ) throws(Stop) -> [Znode?] {
        guard !paths.isEmpty else { return [] }
        let begin = job.cursor
        let stats = prefix + paths.map { Operation.exists($0, watch: false) }
        if begin < job.transcript.count, let conclusion = job.transcript[begin].conclusion,
            job.transcript[begin].operations == stats
                || job.transcript[begin...].contains(where: \.isWrite)
        {
            job.cursor += 1
            return conclusion
        }
        let result = try inspectAnew(&job, paths, stats)
        // The questions of this inspection are the last of the transcript.
        var exchange = job.transcript[begin]
        exchange.conclusion = result
        exchange.conclusionZxid = exchange.outcomes.compactMap { $0?.zxid }.min()
        job.transcript.removeSubrange(begin...)
        job.transcript.append(exchange)
        job.cursor = begin + 1
        return result
    }

    private mutating func inspectAnew(
        _ job: inout Job,
        _ paths: [ZnodePath],
        _ first: [Operation]
    ) throws(Stop) -> [Znode?] {
        let answers = try ask(&job, first)
        var stats: [Stat?] = []
        for outcome in answers.outcomes.suffix(paths.count) {
            switch outcome.result {
            case .success(.stat(let stat)): stats.append(stat)
            case .failure(.noNode): stats.append(nil)
            case let other: throw .failed(failure(other))
            }
        }
        var questions: [Operation] = []
        for (path, stat) in zip(paths, stats) {
            guard let stat else { continue }
            if facts.content(path, stat) == nil { questions.append(.getData(path, watch: false)) }
            if facts.permissions(path, stat) == nil { questions.append(.getACL(path)) }
        }
        if questions.isEmpty {
            return zip(paths, stats).map { path, stat in stat.map { known(path, $0) } }
        }
        let more = try ask(&job, questions)
        var learned: [ZnodePath: Stat?] = [:]
        for (question, outcome) in zip(questions, more.outcomes) {
            switch (question, outcome.result) {
            case (.getData(let path, _), .success(.data(let data, let stat))):
                facts.learn(path, stat, ContentKind(data))
                learned[path] = stat
            case (.getACL(let path), .success(.acl(let acl, let stat))):
                facts.learn(path, stat, Znode.permissions(of: acl, for: settings.identities))
            case (.getData(let path, _), .failure(.noNode)),
                (.getACL(let path), .failure(.noNode)):
                learned[path] = .some(nil)
            case (.getData(let path, _), .failure(.noAuth)):
                if let index = paths.firstIndex(of: path), let stat = stats[index] {
                    facts.learn(path, stat, .unreadable)
                }
            case (.getACL(let path), .failure(.noAuth)):
                if let index = paths.firstIndex(of: path), let stat = stats[index] {
                    // Who may not even see the ACL may neither read nor administer.
                    facts.learn(path, stat, [.write, .create, .delete])
                }
            case (_, let other): throw .failed(failure(other))
            }
        }
        return zip(paths, stats).map { path, stat in
            let newest = learned[path] ?? stat
            return newest.map { known(path, $0) }
        }
    }

    /// A znode from its Stat and what is known for it. A change between two answers of one burst
    /// leaves a fact unknown; what was seen last is shown then.
    private func known(_ path: ZnodePath, _ stat: Stat) -> Znode {
        Znode(
            path: path,
            stat: stat,
            content: facts.content(path, stat) ?? .unreadable,
            permissions: facts.permissions(path, stat) ?? .all
        )
    }

    // MARK: lookup

    mutating func lookup(
        _ job: inout Job,
        _ parent: NodeID,
        _ name: [UInt8],
        _ caller: Caller
    ) throws(Stop) -> FileReply {
        let place = try resolve(&job, parent, name)
        return .entry(try enter(&job, place, caller))
    }

    /// The entry for a place, counted as one lookup of its node.
    private mutating func enter(
        _ job: inout Job,
        _ place: Place,
        _ caller: Caller
    ) throws(Stop) -> Entry {
        switch place.facet {
        case .control, .status, .log, .watch:
            let key = NodeKey(
                czxid: .zero,
                path: place.path,
                facet: place.facet,
                kind: place.facet == .control ? .directory : .regular
            )
            return entry(key, virtualAttributes(key))
        case .itself:
            guard let znode = try look(&job, place.path) else {
                guard let id = nodes.deferredNode(place.path), let node = nodes[id] else {
                    throw .failed(.noEntry)
                }
                return entry(node.key, deferredAttributes(node))
            }
            return entry(znode, .itself, of: job, caller)
        case .data, .stat, .directory, .here:
            guard let znode = try look(&job, place.path) else { throw .failed(.noEntry) }
            if place.facet == .data, znode.content == .null { throw .failed(.noEntry) }
            return entry(znode, place.facet, of: job, caller)
        }
    }

    /// The kernel asks for the attributes next, for the same caller.
    private mutating func entry(
        _ znode: Znode,
        _ facet: Facet,
        of job: Job,
        _ caller: Caller
    ) -> Entry {
        let entry = entry(znode, facet)
        if let node = entry.node, job.seen != nil || isNewest(job) {
            recent.name(node, znode, by: caller.thread, at: now.instant)
        }
        return entry
    }

    mutating func entry(_ znode: Znode, _ facet: Facet) -> Entry {
        let shownKind: FileKind =
            switch facet {
            case .itself: kind(znode)
            // Another name for the same directory must not be the same node.
            case .directory: kind(znode) == .directory ? .symbolicLink : .directory
            case .here: .symbolicLink
            case .data, .stat, .watch, .control, .status, .log: .regular
            }
        let key = key(znode, facet, shownKind)
        var attributes = attributes(key, of: znode)
        if let target = Self.directoryLink(key) { attributes.size = Int64(target.count) }
        if let id = nodes.find(key), let size = localSize(id) { attributes.size = size }
        let entry = entry(key, attributes)
        if let id = entry.node {
            nodes.update(id) {
                $0.stat = znode.stat
                $0.permissions = znode.permissions
                $0.content = znode.content
            }
        }
        return entry
    }

    mutating func entry(_ key: NodeKey, _ attributes: FileAttributes) -> Entry {
        Entry(
            node: nodes.remember(key),
            attributes: attributes,
            attributeValidity: .zero,
            entryValidity: .zero
        )
    }

    /// Where `D@dir` and `D/@dir` point: to the directory itself. Nil for all other nodes.
    static func directoryLink(_ key: NodeKey) -> [UInt8]? {
        guard key.kind == .symbolicLink else { return nil }
        switch key.facet {
        case .directory: return ParsedName.shown(key.path.name, facets: true)
        case .here: return [UInt8(ascii: ".")]
        case .itself, .data, .stat, .watch, .control, .status, .log: return nil
        }
    }

    func virtualAttributes(_ key: NodeKey) -> FileAttributes {
        let permissions: UInt32 =
            switch key.facet {
            case .control: 0o555
            case .log: 0o400
            case .itself, .data, .stat, .watch, .directory, .here, .status: 0o444
            }
        return attributes(key, permissions: permissions, size: 0, time: now.timestamp)
    }

    func deferredAttributes(_ node: Node) -> FileAttributes {
        let id = nodes.find(node.key)
        return attributes(
            node.key,
            permissions: fileMode(.all),
            size: id.flatMap { localSize($0) } ?? 0,
            time: node.deferred?.time ?? now.timestamp,
            user: node.deferred?.caller.user,
            group: node.deferred?.caller.group
        )
    }

    // MARK: stat, readlink

    mutating func getAttributes(
        _ job: inout Job,
        _ id: NodeID,
        _ handle: FileHandle?
    ) throws(Stop) -> FileReply {
        guard let node = nodes[id] else { throw .failed(.stale) }
        if node.deferred != nil { return .attributes(deferredAttributes(node), validity: .zero) }
        if node.isUnlinked { return .attributes(try unlinkedAttributes(id), validity: .zero) }
        if id == .root, !isConnected, job.transcript.isEmpty, let stat = node.stat {
            // umount(8), df and cd ask for the root first: they need not wait for the ensemble.
            let znode = Znode(
                path: node.key.path,
                stat: stat,
                content: node.content,
                permissions: node.permissions
            )
            return .attributes(attributes(node.key, of: znode), validity: .zero)
        }
        switch node.key.facet {
        case .control, .status, .log, .watch:
            return .attributes(virtualAttributes(node.key), validity: .zero)
        case .itself, .data, .stat, .directory, .here: break
        }
        let found: Znode?
        if let seen = job.seen {
            found = seen
        } else {
            found = try inspect(&job, node.key.path)
        }
        let isSame =
            found.map { id == .root || $0.stat.czxid == node.key.czxid } ?? false
        guard let znode = found, isSame else {
            // Gone by another's hand: a handle keeps what it opened, a name is looked up again.
            return .attributes(try unlinkedAttributes(id), validity: .zero)
        }
        if node.key.facet == .itself, kind(znode) != node.key.kind, node.handles.isEmpty {
            throw .failed(.stale)
        }
        nodes.update(id) {
            $0.stat = znode.stat
            $0.content = znode.content
            $0.permissions = znode.permissions
        }
        var attributes = attributes(node.key, of: znode)
        if let size = localSize(id) { attributes.size = size }
        return .attributes(attributes, validity: .zero)
    }

    /// The attributes of an open file whose name is gone.
    func unlinkedAttributes(_ id: NodeID) throws(Stop) -> FileAttributes {
        guard let node = nodes[id], !node.handles.isEmpty else { throw .failed(.stale) }
        var result: FileAttributes
        if let stat = node.stat {
            let znode = Znode(
                path: node.key.path,
                stat: stat,
                content: node.content,
                permissions: node.permissions
            )
            result = attributes(node.key, of: znode)
        } else {
            result = attributes(
                node.key,
                permissions: fileMode(.all),
                size: 0,
                time: now.timestamp
            )
        }
        result.links = 0
        if let size = localSize(id) { result.size = size }
        return result
    }

    mutating func readLink(_ job: inout Job, _ id: NodeID) throws(Stop) -> FileReply {
        guard let node = nodes[id] else { throw .failed(.stale) }
        guard node.key.kind == .symbolicLink else { throw .failed(.invalidArgument) }
        if let target = Self.directoryLink(node.key) { return .link(target) }
        guard let znode = try inspect(&job, node.key.path),
            case .directive(.symbolicLink(let target)) = znode.content
        else { throw .failed(.stale) }
        guard staysInside(target, from: node.key.path) else {
            log(.warning, "\(node.key.path): a symbolic link out of the mount is not followed")
            throw .failed(.loop)
        }
        return .link(target)
    }

    /// Whether a link's target, read from the link's directory, never climbs above the mount's root.
    /// The tree does not know where it is mounted, so an absolute target counts as outside.
    func staysInside(_ target: [UInt8], from path: ZnodePath) -> Bool {
        guard target.first != UInt8(ascii: "/") else { return false }
        let below = path.bytes.dropFirst(settings.root.isRoot ? 0 : settings.root.bytes.count)
        var depth = below.split(separator: UInt8(ascii: "/")).count - 1
        for part in target.split(separator: UInt8(ascii: "/")) {
            if part.elementsEqual("..".utf8) {
                depth -= 1
                guard depth >= 0 else { return false }
            } else if !part.elementsEqual(".".utf8) {
                depth += 1
            }
        }
        return true
    }
}
