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
        _ mode: UInt32,
        _ flags: OpenFlags,
        _ caller: Caller
    ) throws(Stop) -> FileReply {
        let place = try resolve(&job, parent, name, creates: true)
        let isExclusive = flags.contains(.exclusive)
        switch place.facet {
        case .itself: break
        case .data: return try createData(&job, place, flags, caller)
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
            return try created(entry, file, caller)
        }
        if let id = nodes.deferredNode(place.path), let node = nodes[id] {
            if isExclusive { throw .failed(.exists) }
            let entry = entry(node.key, deferredAttributes(node))
            return try created(
                entry,
                RegularFile(flags: flags, base: Snapshot(data: nil, stat: nil)),
                caller
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
            return try created(
                entry(znode, .itself),
                file,
                caller,
                mode: mode,
                truncates: false
            )
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
            caller,
            mode: mode,
            truncates: false
        )
    }

    private mutating func created(
        _ entry: Entry,
        _ opened: RegularFile,
        _ caller: Caller,
        mode: UInt32? = nil,
        truncates: Bool = true
    ) throws(Stop) -> FileReply {
        guard let id = entry.node else { throw .failed(.inputOutput) }
        var file = opened
        file.opener = caller.thread
        file.createdMode = mode.map { $0 & 0o7777 }
        let handle = truncates ? try addOpened(id, file) : try addFile(id, .file(file))
        return .created(entry, handle, [.directIO])
    }

    /// `@data` of a znode whose data is null: it comes to be with its first bytes.
    private mutating func createData(
        _ job: inout Job,
        _ place: Place,
        _ flags: OpenFlags,
        _ caller: Caller
    ) throws(Stop) -> FileReply {
        guard let znode = try inspect(&job, place.path) else { throw .failed(.noEntry) }
        let isExclusive = flags.contains(.exclusive)
        if isExclusive {
            guard znode.content == .null else { throw .failed(.exists) }
            let stat = try change(
                &job,
                znode,
                to: [],
                keepsDirectory: turnsToFile(znode, with: [])
            )
            var made = znode
            made.stat = stat
            made.content = .empty
            let file = RegularFile(flags: flags, base: Snapshot(data: [], stat: stat))
            return try created(entry(made, .data), file, caller, truncates: false)
        }
        var opening = flags
        if znode.content == .null { opening.insert(.truncate) }
        let file = try openedFile(&job, nil, key(znode, .data, .regular), opening)
        return try created(entry(znode, .data), file, caller)
    }

    /// One compare-and-set of a znode's data, settled where its answer is lost.
    mutating func change(
        _ job: inout Job,
        _ znode: Znode,
        to data: [UInt8]?,
        keepsDirectory: Bool = false
    ) throws(Stop) -> Stat {
        let answers = try ask(
            &job,
            keepsDirectory
                ? Self.keepingDirectory(znode.path, data, znode.stat.version)
                : .setData(znode.path, data: data, version: znode.stat.version)
        )
        switch Self.changed(answers.first) {
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

    // MARK: Data of a directory

    /// The setting of a file's data, or of a directory's through `@data`, by compare-and-set.
    func setting(
        _ facet: Facet,
        _ path: ZnodePath,
        before content: [UInt8]?,
        _ stat: Stat,
        to data: [UInt8]
    ) -> Operation {
        let znode = Znode(
            path: path,
            stat: stat,
            content: ContentKind(content),
            permissions: .all
        )
        return facet == .data && turnsToFile(znode, with: data)
            ? Self.keepingDirectory(path, data, stat.version)
            : .setData(path, data: data, version: stat.version)
    }

    /// Whether a directory would be a file with this data. An ephemeral cannot be kept from it.
    private func turnsToFile(_ znode: Znode, with data: [UInt8]) -> Bool {
        guard kind(znode) == .directory, !znode.isEphemeral else { return false }
        var after = znode
        after.content = ContentKind(data)
        return kind(after) == .regular
    }

    /// A kind turns from file to directory and never back, so data for a directory that never had a
    /// child comes together with one that is gone in the same transaction: nobody sees it, and
    /// cversion says for good that this is a directory.
    private static func keepingDirectory(
        _ path: ZnodePath,
        _ data: [UInt8]?,
        _ version: Int32
    ) -> Operation {
        let child = path.appending([UInt8(ascii: "-")])
        return .multi([
            .create(CreateRequest(path: child, data: nil, acl: .open, mode: .persistent)),
            .delete(child, version: -1),
            .setData(path, data: data, version: version),
        ])
    }

    /// The outcome of a setting, whichever form it took.
    static func changed(_ result: Result<Response, ErrorCode>) -> Result<Response, ErrorCode> {
        guard case .success(.multi(let results)) = result else { return result }
        for case .failure(let code) in results where code != .ok && code != .runtimeInconsistency {
            return .failure(code == .nodeExists ? .badVersion : code)
        }
        guard case .success(let last)? = results.last else {
            return .failure(.runtimeInconsistency)
        }
        return .success(last)
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
