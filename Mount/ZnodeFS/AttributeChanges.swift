internal import ZooKeeperModel

/// truncate, chmod, chown and utimens.
///
/// ZooKeeper has no owner, mode or settable times. What is already so, chown by root, x bits and
/// times are accepted and remembered by this mount, so that `cp -a`, `tar x` and `install` work; a
/// mode that takes everything from group and others is a wish for privacy, and becomes the ACL
/// `auth::cdrwa` where the mount has an identity, else EOPNOTSUPP.
extension MountedTree {
    mutating func setAttributes(
        _ job: inout Job,
        _ id: NodeID,
        _ change: AttributeChange,
        _ handle: FileHandle?,
        _ caller: Caller
    ) throws(Stop) -> FileReply {
        guard let node = nodes[id] else { throw .failed(.stale) }
        switch node.key.facet {
        case .itself, .data, .directory: break
        case .stat, .watch, .control, .status, .log, .here: throw .failed(.notPermitted)
        }
        if let size = change.size { try truncate(&job, id, size, handle) }
        if node.isUnlinked {
            return .attributes(try unlinkedAttributes(id), validity: .zero)
        }
        let isTouched = change.modificationTime == .now
        if change.modificationTime != nil || change.accessTime != nil {
            // A touch ends the waiting of a deferred creation.
            try awaitPublication(&job, of: node.handles)
        } else if let mode = change.mode, node.deferred != nil, !isAsCreated(node, mode) {
            // Nothing can be said of a mode before there is an ACL.
            try awaitPublication(&job, of: node.handles)
        }
        if nodes[id]?.deferred == nil {
            let path = node.key.path
            guard let znode = try inspect(&job, path) else { throw .failed(.stale) }
            if let mode = change.mode {
                try changeMode(
                    &job,
                    znode,
                    mode & 0o7777,
                    isAsCreated: isAsCreated(node, mode)
                )
            }
            try changeOwner(znode, change, caller)
            var stat = znode.stat
            if isTouched, change.size == nil, job.publication != .done {
                stat = try touch(&job, znode)
            }
            rememberTimes(path, stat, change)
        }
        return try getAttributes(&job, id, handle)
    }

    // MARK: Size

    private mutating func truncate(
        _ job: inout Job,
        _ id: NodeID,
        _ size: Int64,
        _ handle: FileHandle?
    ) throws(Stop) {
        guard let node = nodes[id] else { throw .failed(.stale) }
        guard node.key.kind == .regular else { throw .failed(.isDirectory) }
        guard size >= 0 else { throw .failed(.invalidArgument) }
        let edit = Edit.truncate(Int(size))
        if !job.isApplied { try checkLength(handle, id, edit, node.key.path) }
        if node.isUnlinked {
            if !job.isApplied, var content = node.detached {
                job.isApplied = true
                edit.apply(to: &content)
                nodes.setDetached(id, content: content)
            }
            return
        }
        if let handle, let file = files[handle]?.file {
            guard file.flags.writes else { throw .failed(.invalidArgument) }
            if file.isStale { throw .failed(.stale) }
            guard !job.isApplied else { return }
            job.isApplied = true
            let quietAt = now.instant + Self.quiet
            files[handle]?.withFile {
                $0.add(edit, request: nil)
                $0.quietAt = quietAt
            }
            noteDeadline(quietAt)
            return
        }
        // By name: at once. Held edits of this mount come first.
        if !job.isApplied { try awaitPublication(&job, of: node.handles) }
        let snapshot = try newest(&job, node.key, watch: false)
        guard let before = snapshot.stat else { throw .failed(.inputOutput) }
        var data = snapshot.bytes
        edit.apply(to: &data)
        job.isApplied = true
        if data == snapshot.data { return }
        let znode = Znode(
            path: node.key.path,
            stat: before,
            content: .other,
            permissions: .all
        )
        _ = try self.change(&job, znode, to: data)
    }

    // MARK: Mode and owner

    /// Whether this is the mode that an open handle created the file with. Programs that install
    /// files create them narrow and say so again before they open them to others; a wish for privacy
    /// is what is still said after the close.
    private func isAsCreated(_ node: Node, _ mode: UInt32) -> Bool {
        node.handles.contains { files[$0]?.file?.createdMode == mode & 0o7777 }
    }

    private mutating func changeMode(
        _ job: inout Job,
        _ znode: Znode,
        _ mode: UInt32,
        isAsCreated: Bool
    ) throws(Stop) {
        let isSticky = znode.makesEphemerals
        if kind(znode) == .directory {
            let wantsSticky = mode & 0o1000 != 0
            if wantsSticky, !isSticky {
                if znode.isEphemeral { throw .failed(.notSupported) }
                switch znode.content {
                case .null, .empty, .directive(.directory): break
                case .other, .directive, .unreadable:
                    log(.warning, "\(znode.path): has data of its own, so chmod +t is refused")
                    throw .failed(.busy)
                }
                _ = try self.change(&job, znode, to: Directive.ephemeralDirectory.data)
                return
            }
            if isSticky {
                // Copying a mode onto it must not end an election.
                if mode == 0o777 { _ = try self.change(&job, znode, to: nil) }
                return
            }
        }
        let isOpen = fileMode(znode.permissions) & 0o077 != 0
        if mode & 0o077 == 0, isOpen, isAsCreated {
            remembered.change(znode.path, znode.stat) { $0.mode = mode | 0o044 }
            return
        }
        if mode & 0o077 == 0, isOpen, !settings.ignoresPermissions {
            guard !settings.identities.isEmpty else {
                log(
                    .warning,
                    "\(znode.path): without an identity (auth=) nobody can be kept out of it"
                )
                throw .failed(.notSupported)
            }
            let answers = try ask(
                &job,
                .setACL(znode.path, acl: .creator, version: znode.stat.aversion)
            )
            switch answers.first {
            case .success: break
            case .failure(.badVersion): throw .again
            case .failure(let code) where code.leavesOutcomeUnknown:
                let now = try ask(&job, [.sync(znode.path), .exists(znode.path, watch: false)])
                guard case .success(.stat(let stat)) = now.outcomes[1].result,
                    stat.czxid == znode.stat.czxid, stat.aversion == znode.stat.aversion
                else { throw unknown(job) }
                throw .again
            case let other: throw .failed(failure(other))
            }
        }
        remembered.change(znode.path, znode.stat) { $0.mode = mode }
    }

    private mutating func changeOwner(
        _ znode: Znode,
        _ change: AttributeChange,
        _ caller: Caller
    ) throws(Stop) {
        guard change.user != nil || change.group != nil else { return }
        let present = remembered.find(znode.path, znode.stat)
        let user = change.user ?? present?.user ?? settings.user
        let group = change.group ?? present?.group ?? settings.group
        let isSo =
            user == present?.user ?? settings.user && group == present?.group ?? settings.group
        guard isSo || caller.user == 0 else { throw .failed(.notPermitted) }
        guard !isSo else { return }
        remembered.change(znode.path, znode.stat) {
            $0.user = user
            $0.group = group
        }
    }

    // MARK: Times

    /// touch to now writes the present data again, so that watchers wake on every host.
    private mutating func touch(_ job: inout Job, _ znode: Znode) throws(Stop) -> Stat {
        let answers = try ask(&job, .getData(znode.path, watch: false))
        guard case .success(.data(let data, let stat)) = answers.first else {
            throw answers.first == .failure(.noNode) ? .again : .failed(failure(answers.first))
        }
        var newest = znode
        newest.stat = stat
        return try change(&job, newest, to: data)
    }

    private mutating func rememberTimes(
        _ path: ZnodePath,
        _ stat: Stat,
        _ change: AttributeChange
    ) {
        var access: FileTime?
        var modification: FileTime?
        if case .at(let time)? = change.accessTime { access = time }
        if case .at(let time)? = change.modificationTime { modification = time }
        guard access != nil || modification != nil else { return }
        remembered.change(path, stat) {
            if let access { $0.accessTime = access }
            if let modification { $0.modificationTime = modification }
        }
    }
}
