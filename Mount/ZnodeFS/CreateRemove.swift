internal import ZooKeeperModel

/// Making and removing names.
///
/// `O_EXCL`, mknod, mkdir and symlink create at once: the server's answer decides which one of many
/// wins. `O_CREAT` alone checks that creation could work and leaves it to the first write, utimens or
/// last close, so that no watcher sees a half-made file; until then the file is there for this mount
/// only. A flush does not create: shells close a duplicate of the descriptor before they write.
extension MountedTree {
    mutating func create(
        _ job: inout Job,
        _ parent: NodeID,
        _ name: [UInt8],
        _ flags: OpenFlags,
        _ caller: Caller
    ) throws(Stop) -> FileReply {
        let place = try resolve(&job, parent, name, creates: true)
        let isExclusive = flags.contains(.exclusive)
        switch place.facet {
        case .itself: break
        case .data: return try createData(&job, place, flags)
        case .stat, .watch, .directory, .here, .control, .status, .log:
            throw .failed(isExclusive ? .exists : .accessDenied)
        }
        try checkName(place.path)
        if let znode = try inspect(&job, place.path) {
            if isExclusive { throw .failed(.exists) }
            switch kind(znode) {
            case .directory: throw .failed(.isDirectory)
            // The kernel looks again and follows it.
            case .symbolicLink: throw .failed(.stale)
            case .regular: break
            }
            let key = key(znode, .itself, .regular)
            let file = try openedFile(&job, nil, key, flags)
            let entry = entry(znode, .itself)
            return try created(entry, file)
        }
        if let id = nodes.deferredNode(place.path), let node = nodes[id] {
            if isExclusive { throw .failed(.exists) }
            let entry = entry(node.key, deferredAttributes(node))
            return try created(
                entry,
                RegularFile(flags: flags, base: Snapshot(data: nil, stat: nil))
            )
        }
        let isEphemeral = try creationParent(&job, place.path)
        if isExclusive {
            let znode = try makeExclusively(
                &job,
                place.path,
                data: [],
                isEphemeral: isEphemeral,
                caller
            )
            let file = RegularFile(
                flags: flags,
                base: Snapshot(data: [], stat: znode.stat)
            )
            return try created(entry(znode, .itself), file, truncates: false)
        }
        let key = NodeKey(czxid: .zero, path: place.path, facet: .itself, kind: .regular)
        let attributes = attributes(
            key,
            permissions: fileMode(.all),
            size: 0,
            time: now.timestamp,
            user: caller.user,
            group: caller.group
        )
        let entry = entry(key, attributes)
        if let id = entry.node {
            nodes.deferCreation(
                of: id,
                DeferredCreation(
                    isEphemeral: isEphemeral,
                    caller: caller,
                    time: now.timestamp
                )
            )
        }
        return try created(
            entry,
            RegularFile(flags: flags, base: Snapshot(data: nil, stat: nil)),
            truncates: false
        )
    }

    private mutating func created(
        _ entry: Entry,
        _ file: RegularFile,
        truncates: Bool = true
    ) throws(Stop) -> FileReply {
        guard let id = entry.node else { throw .failed(.inputOutput) }
        let handle = truncates ? try addOpened(id, file) : try addFile(id, .file(file))
        return .created(entry, handle, [.directIO])
    }

    /// `@data` of a znode whose data is null: it comes to be with its first bytes.
    private mutating func createData(
        _ job: inout Job,
        _ place: Place,
        _ flags: OpenFlags
    ) throws(Stop) -> FileReply {
        guard let znode = try inspect(&job, place.path) else { throw .failed(.noEntry) }
        let isExclusive = flags.contains(.exclusive)
        if isExclusive {
            guard znode.content == .null else { throw .failed(.exists) }
            let stat = try change(&job, znode, to: [])
            var made = znode
            made.stat = stat
            made.content = .empty
            let file = RegularFile(flags: flags, base: Snapshot(data: [], stat: stat))
            return try created(entry(made, .data), file, truncates: false)
        }
        var opening = flags
        if znode.content == .null { opening.insert(.truncate) }
        let file = try openedFile(&job, nil, key(znode, .data, .regular), opening)
        return try created(entry(znode, .data), file)
    }

    /// One compare-and-set of a znode's data, settled where its answer is lost.
    mutating func change(
        _ job: inout Job,
        _ znode: Znode,
        to data: [UInt8]?
    ) throws(Stop) -> Stat {
        let answers = try ask(
            &job,
            .setData(znode.path, data: data, version: znode.stat.version)
        )
        switch answers.first {
        case .success(.stat(let stat)):
            facts.learn(znode.path, stat, ContentKind(data))
            return stat
        case .failure(.badVersion), .failure(.noNode): throw .again
        case .failure(let code) where code.leavesOutcomeUnknown:
            return try settleChange(
                &job,
                znode.path,
                before: znode.stat,
                data: data,
                isIdempotent: true
            )
        case let other: throw .failed(failure(other))
        }
    }

    func checkName(_ path: ZnodePath) throws(Stop) {
        guard path.validate() == nil else { throw .failed(.invalidArgument) }
    }

    /// Whether what is made at a path becomes an ephemeral. Fails where nothing can be made.
    mutating func creationParent(_ job: inout Job, _ path: ZnodePath) throws(Stop) -> Bool {
        guard let parent = path.parent, let znode = try inspect(&job, parent) else {
            throw .failed(.noEntry)
        }
        if znode.isEphemeral { throw .failed(.notSupported) }
        guard znode.permissions.contains(.create) else { throw .failed(.accessDenied) }
        return znode.makesEphemerals
    }

    /// Who created a znode through this mount owns it while the mount lives.
    mutating func own(_ path: ZnodePath, _ stat: Stat, _ caller: Caller) {
        remembered.change(path, stat) {
            $0.user = caller.user
            $0.group = caller.group
        }
    }

    private mutating func makeExclusively(
        _ job: inout Job,
        _ path: ZnodePath,
        data: [UInt8]?,
        isEphemeral: Bool,
        _ caller: Caller
    ) throws(Stop) -> Znode {
        guard nodes.deferredNode(path) == nil else { throw .failed(.exists) }
        switch try makeZnode(&job, path, data: data, isEphemeral: isEphemeral) {
        case .existed: throw .failed(.exists)
        case .made(let stat):
            own(path, stat, caller)
            return Znode(
                path: path,
                stat: stat,
                content: ContentKind(data),
                permissions: Znode.permissions(of: settings.acl, for: settings.identities)
            )
        }
    }

    mutating func makeNode(
        _ job: inout Job,
        _ parent: NodeID,
        _ name: [UInt8],
        _ mode: UInt32,
        _ caller: Caller
    ) throws(Stop) -> FileReply {
        // S_IFREG or no type at all: sockets, pipes and devices cannot be.
        guard mode & 0o170000 == 0o100000 || mode & 0o170000 == 0 else {
            throw .failed(.notPermitted)
        }
        let path = try newName(&job, parent, name)
        let isEphemeral = try creationParent(&job, path)
        let znode = try makeExclusively(
            &job,
            path,
            data: [],
            isEphemeral: isEphemeral,
            caller
        )
        return .entry(entry(znode, .itself))
    }

    mutating func makeDirectory(
        _ job: inout Job,
        _ parent: NodeID,
        _ name: [UInt8],
        _ mode: UInt32,
        _ caller: Caller
    ) throws(Stop) -> FileReply {
        let path = try newName(&job, parent, name)
        let isEphemeral = try creationParent(&job, path)
        let isSticky = mode & 0o1000 != 0
        // An ephemeral has no children, so it cannot be a directory of ephemerals.
        if isSticky, isEphemeral { throw .failed(.notSupported) }
        let znode = try makeExclusively(
            &job,
            path,
            data: isSticky ? Directive.ephemeralDirectory.data : nil,
            isEphemeral: isEphemeral,
            caller
        )
        return .entry(entry(znode, .itself))
    }

    mutating func makeSymbolicLink(
        _ job: inout Job,
        _ parent: NodeID,
        _ name: [UInt8],
        _ target: [UInt8],
        _ caller: Caller
    ) throws(Stop) -> FileReply {
        let path = try newName(&job, parent, name)
        guard !target.isEmpty, !target.contains(UInt8(ascii: "\n")) else {
            throw .failed(.invalidArgument)
        }
        let directive = Directive.symbolicLink(target)
        guard directive.data.count <= Directive.longest else { throw .failed(.nameTooLong) }
        guard staysInside(target, from: path) else {
            log(.warning, "\(path): a symbolic link out of the mount is not made")
            throw .failed(.notPermitted)
        }
        let isEphemeral = try creationParent(&job, path)
        let znode = try makeExclusively(
            &job,
            path,
            data: directive.data,
            isEphemeral: isEphemeral,
            caller
        )
        return .entry(entry(znode, .itself))
    }

    private mutating func newName(
        _ job: inout Job,
        _ parent: NodeID,
        _ name: [UInt8]
    ) throws(Stop) -> ZnodePath {
        let place = try resolve(&job, parent, name, creates: true)
        guard place.facet == .itself else { throw .failed(.exists) }
        try checkName(place.path)
        return place.path
    }

    // MARK: Removing

    mutating func unlink(
        _ job: inout Job,
        _ parent: NodeID,
        _ name: [UInt8]
    ) throws(Stop) -> FileReply {
        let place = try resolve(&job, parent, name)
        switch place.facet {
        case .itself: break
        case .data: return try unlinkData(&job, place.path)
        case .stat, .watch, .directory, .here, .control, .status, .log:
            throw .failed(.notPermitted)
        }
        if let id = nodes.deferredNode(place.path) {
            // A creation on its way would bring the name back.
            let onTheirWay = nodes[id]?.handles.filter { files[$0]?.file?.publisher != nil } ?? []
            try awaitEnd(&job, of: onTheirWay)
        }
        guard let znode = try inspect(&job, place.path) else {
            guard let id = nodes.deferredNode(place.path) else { throw .failed(.noEntry) }
            detach(id, content: nil)
            return .done
        }
        guard kind(znode) != .directory else { throw .failed(.isDirectory) }
        let key = key(znode, .itself, kind(znode))
        if job.wantsContent == nil {
            job.wantsContent = nodes.find(key).map { nodes[$0]?.handles.isEmpty == false } ?? false
        }
        var content: [UInt8]?
        if job.wantsContent == true {
            let answers = try ask(&job, .getData(place.path, watch: false))
            if case .success(.data(let data, let stat)) = answers.first,
                stat.czxid == znode.stat.czxid, stat.version == znode.stat.version
            {
                content = data ?? []
            } else if !job.transcript.contains(where: \.isWrite) {
                throw .again
            }
        }
        try delete(&job, znode)
        if let id = nodes.find(key) { detach(id, content: content) }
        return .done
    }

    /// Deletes a znode as it was seen; begins again where it has changed.
    private mutating func delete(_ job: inout Job, _ znode: Znode) throws(Stop) {
        let answers = try ask(&job, .delete(znode.path, version: znode.stat.version))
        switch answers.first {
        case .success: return
        case .failure(.badVersion), .failure(.notEmpty), .failure(.noNode): throw .again
        case .failure(let code) where code.leavesOutcomeUnknown:
            try settleDeletion(&job, znode.path, before: znode.stat)
        case let other: throw .failed(failure(other))
        }
    }

    /// The name of a node is gone: its open handles share what was there, with their own edits.
    mutating func detach(_ id: NodeID, content: [UInt8]?) {
        guard let node = nodes[id] else { return }
        guard !node.handles.isEmpty else {
            nodes.settleCreation(of: id)
            nodes.collect(id)
            return
        }
        let open = node.handles.compactMap { files[$0]?.file }
        var result = content ?? open.last?.base.bytes ?? []
        for pending in open.flatMap({ $0.flight + $0.edits }) { pending.edit.apply(to: &result) }
        nodes.detach(id, content: result)
        for handle in node.handles {
            files[handle]?.withFile {
                $0.edits = []
                $0.quietAt = nil
            }
            endWaiting(handle)
        }
    }

    /// Taking `@data` away makes the data null.
    private mutating func unlinkData(
        _ job: inout Job,
        _ path: ZnodePath
    ) throws(Stop) -> FileReply {
        guard let znode = try inspect(&job, path), znode.content != .null else {
            throw .failed(.noEntry)
        }
        _ = try change(&job, znode, to: nil)
        return .done
    }

    mutating func removeDirectory(
        _ job: inout Job,
        _ parent: NodeID,
        _ name: [UInt8]
    ) throws(Stop) -> FileReply {
        let place = try resolve(&job, parent, name)
        guard place.facet == .itself else { throw .failed(.notPermitted) }
        guard let znode = try inspect(&job, place.path) else {
            throw .failed(nodes.deferredNode(place.path) == nil ? .noEntry : .notDirectory)
        }
        guard kind(znode) == .directory else { throw .failed(.notDirectory) }
        guard znode.stat.numChildren == 0, !hasDeferredChildren(place.path) else {
            throw .failed(.notEmpty)
        }
        try delete(&job, znode)
        return .done
    }

    func hasDeferredChildren(_ path: ZnodePath) -> Bool {
        nodes.deferredPaths.contains { $0.parent == path }
    }
}
