internal import ZooKeeperModel

/// Opening and reading files.
///
/// A handle holds all bytes of one version from its open on. It moves to the newest version at the
/// first read after it has seen the end of the file, and at a read at 0 that is not its first, so
/// that `tail -f` follows and a program that rewinds sees news. All handles are read with direct I/O:
/// the kernel's pages belong to the file and would mix the versions of two handles. Private mappings
/// work, shared ones give ENODEV.
extension MountedTree {
    mutating func open(
        _ job: inout Job,
        _ id: NodeID,
        _ flags: OpenFlags,
        _ caller: Caller
    ) throws(Stop) -> FileReply {
        guard let node = nodes[id] else { throw .failed(.stale) }
        if node.key.kind == .symbolicLink { throw .failed(.loop) }
        let changes = flags.writes || flags.contains(.truncate)
        switch node.key.facet {
        case .directory, .here, .control: throw .failed(.isDirectory)
        case .watch:
            if changes { throw .failed(.accessDenied) }
            return try openStream(&job, id, flags)
        case .stat:
            if changes { throw .failed(.accessDenied) }
            guard let znode = try inspect(&job, node.key.path) else { throw .failed(.stale) }
            return try opened(id, .text(StatText.text(znode.stat)))
        case .status:
            if changes { throw .failed(.accessDenied) }
            return try opened(id, .text(statusText))
        case .log:
            if changes { throw .failed(.accessDenied) }
            return try opened(id, .text(journal.text))
        case .itself, .data: break
        }
        if node.key.kind == .directory { throw .failed(.isDirectory) }
        if changes, settings.readOnly { throw .failed(.readOnlyFileSystem) }
        var file = try openedFile(&job, id, node.key, flags)
        file.opener = caller.thread
        return .opened(try addOpened(id, file), [.directIO])
    }

    private mutating func opened(
        _ id: NodeID,
        _ content: OpenFile.Content
    ) throws(Stop) -> FileReply {
        .opened(try addFile(id, content), [.directIO])
    }

    /// The snapshot of a file that is being opened. Asks; changes nothing.
    mutating func openedFile(
        _ job: inout Job,
        _ id: NodeID?,
        _ key: NodeKey,
        _ flags: OpenFlags
    ) throws(Stop) -> RegularFile {
        let node = id.flatMap { nodes[$0] }
        if let node, let detached = node.detached {
            return RegularFile(flags: flags, base: Snapshot(data: detached, stat: node.stat))
        }
        if node?.deferred != nil, job.transcript.isEmpty {
            return RegularFile(flags: flags, base: Snapshot(data: nil, stat: nil))
        }
        let snapshot = try newest(
            &job,
            key,
            watch: flags.writes,
            onlyVersion: flags.contains(.truncate) && key.facet != .data
        )
        var file = RegularFile(flags: flags, base: snapshot)
        file.isCurrent = flags.writes
        return file
    }

    /// The handle for a file that was opened.
    mutating func addOpened(_ id: NodeID, _ opened: RegularFile) throws(Stop) -> FileHandle {
        var file = opened
        if file.flags.contains(.truncate) {
            if nodes[id]?.isUnlinked == true {
                nodes.setDetached(id, content: [])
            } else {
                // Part of the first write: nothing is sent for it alone before the close.
                file.add(.truncate(0), request: nil, isOpening: true)
            }
        }
        if let stat = file.base.stat { nodes.update(id) { $0.stat = stat } }
        return try addFile(id, .file(file))
    }

    /// The newest version of a node's data. ESTALE where the name means another znode by now: the
    /// kernel looks it up again and repeats its request.
    mutating func newest(
        _ job: inout Job,
        _ key: NodeKey,
        watch: Bool,
        onlyVersion: Bool = false
    ) throws(Stop) -> Snapshot {
        var questions: [Operation] =
            onlyVersion
            ? [.exists(key.path, watch: watch)] : [.getData(key.path, watch: watch)]
        if settings.linearizableReads { questions.insert(.sync(key.path), at: 0) }
        let answers = try ask(&job, questions)
        let snapshot: Snapshot
        switch answers.outcomes.last?.result {
        case .success(.data(let data, let stat))?:
            facts.learn(key.path, stat, ContentKind(data))
            snapshot = Snapshot(data: data, stat: stat)
        case .success(.stat(let stat))?: snapshot = Snapshot(data: [], stat: stat)
        case .failure(.noNode)?: throw .failed(.stale)
        case .failure(let code)?: throw .failed(Errno(code))
        case .success?, nil: throw .failed(.inputOutput)
        }
        guard let stat = snapshot.stat, stat.czxid == key.czxid else { throw .failed(.stale) }
        return snapshot
    }

    mutating func read(
        _ job: inout Job,
        _ request: FileRequestID,
        _ handle: FileHandle,
        _ offset: Int64,
        _ size: Int
    ) throws(Stop) -> FileReply {
        guard let open = files[handle] else { throw .failed(.badDescriptor) }
        guard offset >= 0, size >= 0 else { throw .failed(.invalidArgument) }
        switch open.content {
        case .text(let text): return .data(Self.slice(text, offset, size))
        case .stream: return try readStream(request, handle, size)
        case .directory: throw .failed(.isDirectory)
        case .file(let file):
            if file.isStale { throw .failed(.stale) }
            guard let node = nodes[open.node] else { throw .failed(.stale) }
            if let detached = node.detached { return .data(Self.slice(detached, offset, size)) }
            let wantsNewest = file.sawEnd || (offset == 0 && file.hasRead)
            if wantsNewest, !file.isUnpublished, node.deferred == nil {
                try refresh(&job, handle, node.key)
            }
            guard let view = files[handle]?.file?.view else { throw .failed(.badDescriptor) }
            let bytes = Self.slice(view, offset, size)
            files[handle]?.withFile {
                $0.sawEnd = bytes.isEmpty && size > 0
                $0.hasRead = true
            }
            return .data(bytes)
        }
    }

    /// Takes the newest version; where the znode is gone the handle keeps the last one.
    private mutating func refresh(
        _ job: inout Job,
        _ handle: FileHandle,
        _ key: NodeKey
    ) throws(Stop) {
        let watches = files[handle]?.file?.flags.writes ?? false
        do {
            let snapshot = try newest(&job, key, watch: watches)
            // Written to while this read was asking: the handle's own bytes come first.
            guard files[handle]?.file?.isUnpublished == false else { return }
            files[handle]?.withFile {
                $0.base = snapshot
                $0.view = snapshot.bytes
                $0.isCurrent = watches
            }
        } catch {
            guard error == .failed(.stale) else { throw error }
        }
    }

    static func slice(_ bytes: [UInt8], _ offset: Int64, _ size: Int) -> [UInt8] {
        guard offset < bytes.count, size > 0 else { return [] }
        let start = Int(offset)
        return Array(bytes[start..<(start + min(size, bytes.count - start))])
    }
}
