internal import ZooKeeperModel

/// Writing: from edits in a handle to versions on a quorum.
///
/// A write whose length is no multiple of 4096 publishes what its handle holds and is answered when a
/// quorum has it; one that is a multiple is part of a stream of blocks and answered at once, held until
/// such a write, fsync, close or a second of quiet. Many small writes in a row would send the whole
/// file with each: once a handle has sent several times its size, a write that closely follows
/// another is answered at once and published with its successors a tenth of a second later. A
/// publication is a compare-and-set over a known version: when another was faster the newest version is
/// read and the edits are applied to that, after a jittered pause, until it is done or the caller is to
/// end. While one is on its way further edits gather and become the next.
extension MountedTree {
    static let blockSize = 4_096
    static let quiet = Duration.seconds(1)
    /// How long a close waits for an ensemble that is away: the kernel tells of no signal during
    /// the flush of an exiting process, so it could not be killed.
    static let longestFlush = Duration.seconds(3)
    /// Room for the rest of a request beside path and data.
    static let requestOverhead = 128

    func dataLimit(_ path: ZnodePath) -> Int {
        max(0, settings.maximumRequestBytes - path.bytes.count - Self.requestOverhead)
    }

    mutating func write(
        _ request: FileRequestID,
        _ handle: FileHandle,
        _ offset: Int64,
        _ bytes: [UInt8]
    ) throws(Stop) -> FileReply {
        guard let id = files[handle]?.node, let flags = files[handle]?.file?.flags,
            flags.writes, let path = nodes[id]?.key.path
        else { throw .failed(.badDescriptor) }
        if files[handle]?.file?.isStale == true { throw .failed(.stale) }
        if let refusal = files[handle]?.file?.refusal { throw .failed(refusal) }
        guard offset >= 0 else { throw .failed(.invalidArgument) }
        if bytes.isEmpty { return .written(0) }
        let edit: Edit =
            flags.contains(.append)
            ? .append(bytes) : .write(offset: Int(offset), bytes: bytes)
        do {
            try checkLength(handle, id, edit, path)
        } catch {
            giveUpHeld(handle, error)
            throw error
        }
        if var content = nodes[id]?.detached {
            edit.apply(to: &content)
            nodes.setDetached(id, content: content)
            return .written(bytes.count)
        }
        try tellFailure(handle)
        let isSynchronous = flags.rawValue & 0o10000 != 0  // O_DSYNC, also part of O_SYNC
        let isBlock = bytes.count % Self.blockSize == 0 && !isSynchronous
        let isGrouped =
            !isBlock && !isSynchronous && files[handle]?.file?.isRapid(at: now.instant) == true
        let now = now.instant
        var deadline = now + Self.quiet
        files[handle]?.withFile {
            $0.add(edit, request: isBlock || isGrouped ? nil : request)
            if isGrouped {
                deadline = $0.groupEndsAt ?? now + $0.groupWindow
                $0.groupEndsAt = deadline
            } else {
                $0.quietAt = deadline
            }
        }
        if isBlock || isGrouped {
            noteDeadline(deadline)
            return .written(bytes.count)
        }
        wait(request, handle, .written(bytes.count))
        throw .held
    }

    /// EFBIG before anything is sent or changed.
    func checkLength(
        _ handle: FileHandle?,
        _ id: NodeID,
        _ edit: Edit,
        _ path: ZnodePath
    ) throws(Stop) {
        let present =
            nodes[id]?.detached?.count ?? handle.flatMap { files[$0]?.file?.view.count } ?? 0
        guard let length = edit.length(after: present), length <= dataLimit(path) else {
            throw .failed(.fileTooBig)
        }
    }

    /// A stream that cannot be whole leaves the old value whole: what it held is not published by its
    /// close, and no later write of this handle goes on from it.
    private mutating func giveUpHeld(_ handle: FileHandle, _ stop: Stop) {
        guard case .failed(let errno) = stop, let id = files[handle]?.node else { return }
        let isDeferred = nodes[id]?.deferred != nil
        let hasHeld = files[handle]?.withFile { $0.giveUpHeld(errno) } ?? false
        guard hasHeld || isDeferred else { return }
        if isDeferred, nodes[id]?.handles == [handle],
            files[handle]?.file?.publisher == nil
        {
            files[handle]?.withFile { $0.refusal = errno }
            giveUpCreation(id)
        }
        let path = nodes[id]?.key.path.description ?? "?"
        log(.error, "\(path): larger than the servers take; what was held of it is given up")
    }

    /// The failure of an earlier publication that nobody has heard of.
    private mutating func tellFailure(_ handle: FileHandle) throws(Stop) {
        guard let failure = files[handle]?.file?.failure else { return }
        files[handle]?.withFile { $0.failure = nil }
        throw .failed(failure)
    }

    /// Answers this request when the edits so far are on a quorum.
    private mutating func wait(
        _ request: FileRequestID,
        _ handle: FileHandle,
        _ reply: FileReply,
        isFlush: Bool = false
    ) {
        requests[request] = .publication(handle)
        files[handle]?.withFile {
            $0.waiters.append(
                PublicationWaiter(who: .request(request, reply), isFlush: isFlush)
            )
        }
        if isFlush, !isConnected { letFlushesGo(handle) }
        publishSoon(handle)
    }

    /// A close waits for what was written. A lone O_TRUNC or creation waits for the second close by
    /// the thread that opened the file: shells close a duplicate of the descriptor before the command
    /// runs, and the one that the command wrote to after it.
    mutating func flush(
        _ request: FileRequestID,
        _ handle: FileHandle,
        _ caller: Caller
    ) throws(Stop) -> FileReply {
        guard let file = files[handle]?.file else { return .done }
        var publishes = file.hasWrites
        if caller.thread == file.opener {
            files[handle]?.withFile { $0.openerFlushes += 1 }
            if file.openerFlushes > 0, needsPublication(handle) { publishes = true }
        }
        try tellFailure(handle)
        guard publishes else { return .done }
        wait(request, handle, .done, isFlush: true)
        throw .held
    }

    /// fsync: the edits, then ZooKeeper's sync, so that what is opened afterwards is at least as new
    /// as everything committed before.
    mutating func synchronize(_ job: inout Job, _ handle: FileHandle) throws(Stop) -> FileReply {
        guard let open = files[handle], let key = nodes[open.node]?.key else {
            throw .failed(.badDescriptor)
        }
        try awaitPublication(&job, of: [handle])
        try tellFailure(handle)
        if files[handle]?.file?.isStale == true { throw .failed(.stale) }
        let answers = try ask(&job, .sync(key.path))
        guard case .success = answers.first else { throw .failed(failure(answers.first)) }
        return .done
    }

    /// Goes on when the edits that are there now have been published, or fails as they did.
    mutating func awaitPublication(_ job: inout Job, of handles: [FileHandle]) throws(Stop) {
        switch job.publication {
        case .done: return
        case .failed(let errno): throw .failed(errno)
        case .awaited: throw .waiting
        case .notAwaited: break
        }
        // Only at the beginning: edits that come later are not this job's business.
        guard job.transcript.isEmpty else { return }
        guard let handle = handles.first(where: { needsPublication($0) }) else { return }
        job.publication = .awaited
        let waiter = PublicationWaiter(who: .job(job.id))
        files[handle]?.withFile { $0.waiters.append(waiter) }
        publishSoon(handle)
        throw .waiting
    }

    /// The same, however the publication ends.
    mutating func awaitEnd(_ job: inout Job, of handles: [FileHandle]) throws(Stop) {
        do {
            try awaitPublication(&job, of: handles)
        } catch {
            if case .failed = error { return }
            throw error
        }
    }
}
