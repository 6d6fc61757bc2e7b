internal import ZooKeeperModel

/// How one publication goes about it.
enum PublicationPlan: Hashable, Sendable {
    /// The file does not exist yet.
    case create
    /// Over the version that the handle knows, or over the newest.
    case change(onBase: Bool)
}

/// Writing: from edits in a handle to versions on a quorum.
///
/// A write whose length is no multiple of 4096 publishes what its handle holds and is answered when a
/// quorum has it; one that is a multiple is part of a stream of blocks and answered at once, held until
/// such a write, fsync, close or a second of quiet. Many small writes in a row would send the whole
/// file with each: once a handle has sent several times its size, a write that closely follows
/// another is answered at once and published with its successors a tenth of a second later. A publication is a compare-and-set over a known
/// version: when another was faster the newest version is read and the edits are applied to that, after
/// a jittered pause, until it is done or interrupted. While one is on its way further edits gather
/// and become the next.
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

    func needsPublication(_ handle: FileHandle) -> Bool {
        guard let open = files[handle], let file = open.file, let node = nodes[open.node],
            !node.isUnlinked
        else { return false }
        return file.isUnpublished || node.deferred != nil || file.publisher != nil
    }

    mutating func publishSoon(_ handle: FileHandle) {
        guard files[handle]?.file?.publisher == nil, files[handle]?.file != nil else { return }
        let job = start(.publish(handle))
        files[handle]?.withFile {
            $0.publisher = job
            $0.flight = $0.edits
            $0.edits = []
            $0.flightWaiters = $0.waiters
            $0.waiters = []
            $0.quietAt = nil
            $0.groupEndsAt = nil
        }
    }

    // MARK: One publication

    mutating func publish(_ job: inout Job, _ handle: FileHandle) throws(Stop) -> FileReply {
        guard let open = files[handle], let file = open.file, let node = nodes[open.node],
            // What was unlinked meanwhile lives in its node, these edits included.
            !node.isUnlinked
        else { return .done }
        if file.isStale { throw .failed(.stale) }
        if job.plan == nil {
            job.places = [Place(path: node.key.path, facet: node.key.facet)]
            job.plan =
                node.deferred != nil
                ? .create : .change(onBase: job.attempts == 0 && file.isCurrent)
        }
        switch job.plan {
        case .create?: try publishCreation(&job, handle, open.node, file)
        case .change(let onBase)?:
            if file.flight.isEmpty { return .done }
            do {
                try publishChange(&job, handle, open.node, file, onBase: onBase)
            } catch {
                // Renamed through this mount while the question was on its way: not gone, moved.
                if error == .failed(.stale), let key = nodes[open.node]?.key,
                    key.path != job.places[0].path
                {
                    throw .again
                }
                throw error
            }
        case nil: break
        }
        return .done
    }

    private mutating func publishCreation(
        _ job: inout Job,
        _ handle: FileHandle,
        _ id: NodeID,
        _ file: RegularFile
    ) throws(Stop) {
        let path = job.places[0].path
        var data: [UInt8] = []
        for pending in file.flight { pending.edit.apply(to: &data) }
        let creation = nodes[id]?.deferred
        let outcome = try makeZnode(
            &job,
            path,
            data: data,
            isEphemeral: creation?.isEphemeral ?? false
        )
        switch outcome {
        case .made(let stat):
            if let creation { own(path, stat, creation.caller) }
            adopt(id, stat)
            landed(handle, Snapshot(data: data, stat: stat), isCurrent: false)
        case .existed:
            // Another was faster, and O_EXCL was not asked for: the edits go to what is there.
            guard nodes[id]?.deferred != nil else { throw .again }
            guard let znode = try inspect(&job, path) else { throw .again }
            guard kind(znode) == .regular else { throw .failed(.isDirectory) }
            adopt(id, znode.stat)
            throw .again
        }
    }

    /// A deferred file has become this znode.
    private mutating func adopt(_ id: NodeID, _ stat: Stat) {
        guard var key = nodes[id]?.key else { return }
        key.czxid = stat.czxid
        nodes.settleCreation(of: id)
        nodes.rekey(id, to: key)
        nodes.update(id) { $0.stat = stat }
    }

    private mutating func publishChange(
        _ job: inout Job,
        _ handle: FileHandle,
        _ id: NodeID,
        _ file: RegularFile,
        onBase: Bool
    ) throws(Stop) {
        guard var key = nodes[id]?.key else { throw .failed(.stale) }
        let path = job.places[0].path
        key.path = path
        // What an O_TRUNC starts from does not matter, only its version.
        let startsEmpty = file.flight.first?.edit == .truncate(0) && key.facet != .data
        let base =
            onBase ? file.base : try newest(&job, key, watch: true, onlyVersion: startsEmpty)
        guard let before = base.stat else { throw .failed(.inputOutput) }
        // Not once it is sent: then its answer counts, whatever became of the session since.
        if let pinned = file.pinnedVersion, before.version != pinned,
            !job.transcript.contains(where: \.isWrite)
        {
            log(.error, "\(path): changed while the session was lost, unsent data given up")
            throw .failed(.stale)
        }
        var data = base.bytes
        for pending in file.flight { pending.edit.apply(to: &data) }
        guard data.count <= dataLimit(path) else { throw .failed(.fileTooBig) }
        // The second question arms the watch again that the first one fires.
        let answers = try ask(
            &job,
            [
                setting(key.facet, path, before: base.data, before, to: data),
                .exists(path, watch: true),
            ]
        )
        let stat: Stat
        switch Self.changed(answers.first) {
        case .success(.stat(let changed)): stat = changed
        case .failure(.badVersion): throw file.pinnedVersion == nil ? .again : .failed(.stale)
        case .failure(.noNode): throw .failed(.stale)
        case .failure(let code) where code.leavesOutcomeUnknown:
            let appends = file.flight.contains {
                if case .append = $0.edit { true } else { false }
            }
            stat = try settleChange(
                &job,
                path,
                before: before,
                data: data,
                isIdempotent: !appends
            )
        case let other: throw .failed(failure(other))
        }
        if stat.czxid != key.czxid, nodes[id]?.key.czxid == key.czxid {
            log(.error, "\(path): was deleted and made again by another while it was written")
            throw .failed(.stale)
        }
        var isCurrent = false
        if case .success(.stat(let after))? = answers.outcomes.last?.result {
            isCurrent = after.version == stat.version && after.czxid == stat.czxid
        }
        landed(handle, Snapshot(data: data, stat: stat), isCurrent: isCurrent)
        nodes.update(id) { $0.stat = stat }
    }

    private mutating func landed(_ handle: FileHandle, _ base: Snapshot, isCurrent: Bool) {
        counters.publications += 1
        let now = now.instant
        files[handle]?.withFile {
            $0.landedAt = now
            $0.publishedBytes += base.bytes.count
            $0.base = base
            $0.flight = []
            $0.isCurrent = isCurrent
            $0.pinnedVersion = nil
            $0.rebuildView()
        }
    }

    /// A publication is over: tells those who wait, and begins the next.
    mutating func published(_ handle: FileHandle, failure: Errno?) {
        guard let open = files[handle] else { return }
        var waiters: [PublicationWaiter] = []
        let quietAt = now.instant + Self.quiet
        files[handle]?.withFile {
            waiters = $0.flightWaiters
            $0.flightWaiters = []
            $0.publisher = nil
            $0.flight = []
            $0.interrupted = []
            if failure != nil {
                $0.rebuildView()
                // What is shown from here on is asked for anew.
                $0.isCurrent = false
                $0.sawEnd = true
                if waiters.isEmpty { $0.failure = failure }
            }
            if $0.edits.contains(where: { !$0.isOpening }), $0.quietAt == nil,
                $0.groupEndsAt == nil
            {
                $0.quietAt = quietAt
            }
        }
        if let failure {
            let path = nodes[open.node]?.key.path.description ?? "?"
            log(.error, "\(path): a write failed with errno \(failure.rawValue)")
            if failure != .timedOut || open.file?.isReleased == true {
                giveUpCreation(open.node)
            }
        }
        for waiter in waiters { tell(waiter, failure) }
        noteDeadline(quietAt)
        let wantsMore = files[handle]?.file.map { !$0.waiters.isEmpty || $0.isReleased } ?? false
        if wantsMore, needsPublication(handle) {
            publishSoon(handle)
        } else {
            endWaiting(handle)
            if files[handle]?.file?.isReleased == true { removeFile(handle) }
        }
    }

    /// A creation that was refused is not tried again by each later close.
    private mutating func giveUpCreation(_ id: NodeID) {
        guard let node = nodes[id], node.deferred != nil else { return }
        let content = node.handles.last.flatMap { files[$0]?.file?.view } ?? []
        nodes.detach(id, content: content)
        nodes.collect(id)
    }

    private mutating func tell(_ waiter: PublicationWaiter, _ failure: Errno?) {
        switch waiter.who {
        case .request(let request, let answer):
            reply(request, failure.map { .failed($0) } ?? answer)
        case .job(let id):
            guard jobs[id]?.publication == .awaited else { return }
            jobs[id]?.publication = failure.map { .failed($0) } ?? .done
            ready.append(id)
        }
    }

    /// Nothing is left to publish: whoever waits is done.
    mutating func endWaiting(_ handle: FileHandle) {
        var waiters: [PublicationWaiter] = []
        files[handle]?.withFile {
            guard $0.publisher == nil else { return }
            waiters = $0.waiters
            $0.waiters = []
        }
        for waiter in waiters { tell(waiter, nil) }
    }

    // MARK: Signals, time and the session

    /// The caller of a held write, flush or fsync got a signal.
    mutating func interruptWriter(_ request: FileRequestID, _ handle: FileHandle) {
        guard let file = files[handle]?.file else { return }
        let isInFlight = file.flightWaiters.contains {
            if case .request(let id, _) = $0.who { id == request } else { false }
        }
        let isSent =
            isInFlight
            && (file.publisher.flatMap {
                jobs[$0]?.transcript.contains { $0.isWrite && $0.isSent }
            } ?? false)
        if !isSent {
            files[handle]?.withFile { $0.takeBack(request) }
            reply(request, .failed(.interrupted))
            if isInFlight, let id = file.publisher, jobs[id]?.transcript.last?.isWrite == true {
                // The question that waits for a connection still holds what was taken back.
                jobs[id]?.transcript.removeLast()
                ready.append(id)
            }
        } else if isConnected {
            // Its answer is the truth, and it comes.
            files[handle]?.withFile { $0.interrupted.append(request) }
        } else {
            leaveUnknown(request, handle)
        }
    }

    private mutating func leaveUnknown(_ request: FileRequestID, _ handle: FileHandle) {
        log(.error, "interrupted, outcome unknown: \(describe(.publish(handle)))")
        files[handle]?.withFile { file in
            file.flightWaiters.removeAll {
                if case .request(let id, _) = $0.who { id == request } else { false }
            }
            file.interrupted.removeAll { $0 == request }
        }
        reply(request, .failed(.inputOutput))
    }

    mutating func takeBackInterrupted(_ handle: FileHandle) {
        for request in files[handle]?.file?.interrupted ?? [] {
            files[handle]?.withFile { $0.takeBack(request) }
            reply(request, .failed(.interrupted))
        }
    }

    private mutating func letFlushesGo(_ handle: FileHandle) {
        let at = now.instant + min(Self.longestFlush, settings.hold)
        files[handle]?.withFile { if $0.flushesEndAt == nil { $0.flushesEndAt = at } }
        noteDeadline(at)
    }

    mutating func noteDisconnection() {
        for handle in files.keys.sorted() {
            guard let file = files[handle]?.file else { continue }
            if (file.flightWaiters + file.waiters).contains(where: \.isFlush) {
                letFlushesGo(handle)
            }
            for request in file.interrupted { leaveUnknown(request, handle) }
        }
    }

    mutating func filesMayGoOn() {
        for handle in files.keys.sorted() {
            files[handle]?.withFile { $0.flushesEndAt = nil }
        }
    }

    /// Handles on the ended session's ephemerals must not pretend; other unsent data may only go
    /// over the version it began from.
    mutating func filesLostSession(_ session: SessionID) {
        for handle in files.keys.sorted() {
            guard let open = files[handle] else { continue }
            let owner = nodes[open.node]?.stat?.ephemeralOwner
            let isUnlinked = nodes[open.node]?.isUnlinked ?? false
            files[handle]?.withFile {
                $0.isCurrent = false
                if owner == session, session != .none, !isUnlinked {
                    $0.isStale = true
                } else if $0.isUnpublished, let version = $0.base.stat?.version {
                    $0.pinnedVersion = $0.pinnedVersion ?? version
                }
            }
        }
    }

    mutating func wakeFiles() {
        for handle in files.keys.sorted() {
            guard let file = files[handle]?.file else { continue }
            let isQuiet = file.quietAt.map { $0 <= now.instant } ?? false
            let hasGathered = file.groupEndsAt.map { $0 <= now.instant } ?? false
            if isQuiet || hasGathered {
                files[handle]?.withFile {
                    $0.quietAt = nil
                    $0.groupEndsAt = nil
                }
                if file.hasWrites { publishSoon(handle) }
            }
            if let at = file.flushesEndAt, at <= now.instant {
                files[handle]?.withFile { $0.flushesEndAt = nil }
                endFlushes(handle)
            }
        }
    }

    private mutating func endFlushes(_ handle: FileHandle) {
        guard !isConnected, let file = files[handle]?.file else { return }
        let flushes = (file.flightWaiters + file.waiters).filter(\.isFlush)
        guard !flushes.isEmpty else { return }
        log(
            .error,
            "a close was not held for the ensemble; \(describe(.publish(handle))) is queued"
        )
        files[handle]?.withFile {
            $0.flightWaiters.removeAll(where: \.isFlush)
            $0.waiters.removeAll(where: \.isFlush)
        }
        for flush in flushes { tell(flush, .timedOut) }
    }

    func earliestFileDeadline() -> Instant? {
        var earliest: Instant?
        for open in files.values {
            guard let file = open.file else { continue }
            for case let at? in [file.quietAt, file.groupEndsAt, file.flushesEndAt] {
                earliest = min(earliest ?? at, at)
            }
        }
        return earliest
    }
}
