internal import ZooKeeperModel

/// One open file or directory of the kernel.
struct OpenFile: Sendable {
    enum Content: Sendable {
        case file(RegularFile)
        /// Text made at open: `@stat`, `/@zkfs/status`, `/@zkfs/log`.
        case text([UInt8])
        case stream(WatchReader)
        case directory(DirectorySnapshot)
    }
    let node: NodeID
    var content: Content

    var file: RegularFile? { if case .file(let file) = content { file } else { nil } }
    var stream: WatchReader? { if case .stream(let stream) = content { stream } else { nil } }

    /// Changes in place: the bytes of a file are not copied.
    mutating func withFile<Result>(_ change: (inout RegularFile) -> Result) -> Result? {
        guard case .file(var file) = content else { return nil }
        content = .text([])
        let result = change(&file)
        content = .file(file)
        return result
    }

    mutating func withStream<Result>(_ change: (inout WatchReader) -> Result) -> Result? {
        guard case .stream(var stream) = content else { return nil }
        content = .text([])
        let result = change(&stream)
        content = .stream(stream)
        return result
    }

    func checkInvariants() {
        if case .file(let file) = content { file.checkInvariants() }
    }
}

extension MountedTree {
    /// More open files than this are refused with EMFILE: each may hold a megabyte.
    static let openFilesLimit = 65_536

    mutating func addFile(_ node: NodeID, _ content: OpenFile.Content) throws(Stop) -> FileHandle {
        guard files.count < Self.openFilesLimit else { throw .failed(.tooManyOpenFiles) }
        lastHandle += 1
        let handle = FileHandle(rawValue: lastHandle)
        files[handle] = OpenFile(node: node, content: content)
        nodes.opened(node, handle)
        if case .file = content, let path = nodes[node]?.key.path {
            filesByPath[path, default: []].append(handle)
        }
        return handle
    }

    mutating func removeFile(_ handle: FileHandle) {
        guard let file = files.removeValue(forKey: handle) else { return }
        if case .file = file.content, let path = nodes[file.node]?.key.path {
            filesByPath[path]?.removeAll { $0 == handle }
            if filesByPath[path]?.isEmpty == true { filesByPath[path] = nil }
        }
        nodes.closed(file.node, handle)
    }

    /// Every handle of a node follows it to another path.
    mutating func moveFiles(of node: NodeID, from path: ZnodePath, to target: ZnodePath) {
        guard path != target, let handles = nodes[node]?.handles else { return }
        let moving = handles.filter { files[$0]?.file != nil }
        guard !moving.isEmpty else { return }
        filesByPath[path]?.removeAll { moving.contains($0) }
        if filesByPath[path]?.isEmpty == true { filesByPath[path] = nil }
        filesByPath[target, default: []] += moving
    }

    /// The size that this mount shows for a file that it is writing, nil where the server's counts.
    func localSize(_ id: NodeID) -> Int64? {
        guard let node = nodes[id] else { return nil }
        if let detached = node.detached { return Int64(detached.count) }
        for handle in node.handles.reversed() {
            if let file = files[handle]?.file, file.isUnpublished { return Int64(file.view.count) }
        }
        return nil
    }

    /// The last use of a handle is over. Answered at once: what is unpublished goes on its own.
    mutating func release(_ handle: FileHandle) -> FileReply {
        guard let file = files[handle] else { return .done }
        switch file.content {
        case .file:
            files[handle]?.withFile { $0.isReleased = true }
            if needsPublication(handle) {
                publishSoon(handle)
            } else if files[handle]?.file?.publisher == nil {
                removeFile(handle)
            }
        case .stream(let stream):
            if let poll = stream.poll { output.append(.notify(.dropPoll(poll))) }
            for waiting in stream.waiting { reply(waiting.request, .failed(.badDescriptor)) }
            unwatch(stream.path, handle)
            removeFile(handle)
        case .text, .directory: removeFile(handle)
        }
        return .done
    }

    mutating func poll(_ handle: FileHandle, _ events: UInt32, _ wake: PollHandle?) -> FileReply {
        // POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM: files never block.
        let always: UInt32 = 0x1 | 0x4 | 0x40 | 0x100
        guard let file = files[handle], case .stream(let stream) = file.content else {
            if let wake { output.append(.notify(.dropPoll(wake))) }
            return .poll(events: events & always)
        }
        let readable = stream.isReadable
        if let wake {
            if let old = stream.poll { output.append(.notify(.dropPoll(old))) }
            files[handle]?.withStream { $0.poll = wake }
        }
        return .poll(events: readable ? events & (0x1 | 0x40) : 0)
    }
}
