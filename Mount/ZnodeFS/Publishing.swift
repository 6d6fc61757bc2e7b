internal import ZooKeeperModel

/// How one publication goes about it.
enum PublicationPlan: Hashable, Sendable {
    /// The file does not exist yet.
    case create
    /// Over the version that the handle knows, or over the newest.
    case change(onBase: Bool)
}

/// One publication: the edits of a handle, as one create or one compare-and-set.
extension MountedTree {
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
            isEphemeral: creation?.isEphemeral ?? false,
            isIdempotent: !file.flight.contains(where: \.edit.isAppend)
        )
        switch outcome {
        case .made(let stat):
            if let creation { own(path, stat, creation.caller) }
            adopt(id, stat)
            landed(handle, Snapshot(data: data, stat: stat), isCurrent: false)
        case .existed:
            // Another was faster, and O_EXCL was not asked for: the edits go to what is there. Where it
            // may have been this very creation, whose answer was lost, nobody is told that nothing is done.
            if job.transcript.contains(where: \.hasUnknownOutcome) {
                for request in file.interrupted { leaveUnknown(request, handle) }
            }
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
            let appends = file.flight.contains(where: \.edit.isAppend)
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
    mutating func giveUpCreation(_ id: NodeID) {
        guard let node = nodes[id], node.deferred != nil else { return }
        let content = node.handles.last.flatMap { files[$0]?.file?.view } ?? []
        nodes.detach(id, content: content)
        nodes.collect(id)
    }

    mutating func tell(_ waiter: PublicationWaiter, _ failure: Errno?) {
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
}
