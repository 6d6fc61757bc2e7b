package import ZooKeeperModel

/// The mounted tree: file-system semantics over znodes.
///
/// The problem: the kernel asks for files and directories, ZooKeeper keeps nodes that have data and
/// children, versions and watches, and both sides answer late, in any order, or not at all. This type
/// decides every answer. It is a value: kernel requests, answers of the ensemble and the time arrive
/// as inputs, replies and operations leave as actions.
///
/// Rules kept (Docs/Mount.md has each promise with its state):
/// - Every request gets exactly one reply. Nothing is held longer than `hold` for an ensemble that is
///   away, and a request whose caller is to end does so at once, except that a write on its way is
///   waited for while there is a connection: its answer says what happened.
/// - A reply of success means that a quorum has it. What is not known to be done or undone is said to
///   be so: EIO, and "outcome unknown" in the log. No write is ever repeated blindly.
/// - Bytes shown together belong to one version of one znode.
/// - No cache: attributes and entries are given to the kernel with a validity of zero, and every read
///   of the tree asks the server over the one session, so that ZooKeeper's order is the mount's.
///   What is remembered of a znode (its kind, its ACL) is bound to the version it came from, and what
///   was seen a moment ago (``RecentLooks``) to there being no sign of anything newer.
/// - Locks and anything else that could say yes without being sure is refused.
///
/// It never touches the kernel, a socket, a clock or a thread. Sources: the FUSE protocol
/// (linux/fuse.h), open(2), rename(2), and ZooKeeper's programmer's guide on sessions and watches.
package struct MountedTree: Sendable {
    let settings: MountSettings
    /// The time of the present input.
    var now: ClockReading
    /// The actions of the present input.
    var output: [MountAction] = []

    var nodes: NodeTable
    var files: [FileHandle: OpenFile] = [:]
    /// The open regular files of each path, so that a watch event finds them.
    var filesByPath: [ZnodePath: [FileHandle]] = [:]
    var lastHandle: UInt64 = 0

    var link = Link.connecting
    var lastZxid = Zxid.zero

    var jobs: [JobID: Job] = [:]
    var lastJob: UInt64 = 0
    /// Jobs with something new to look at. Empty between inputs.
    var ready: [JobID] = []
    var outstanding: [OperationToken: Outstanding] = [:]
    var lastToken: UInt64 = 0
    /// When to ask again what got no answer although the session stands.
    var retryLostAt: Instant?
    /// Who owes the reply to each request of the kernel.
    var requests: [FileRequestID: RequestHolder] = [:]
    /// Those that go on after a signal; all of them stand in `requests`.
    var patient: [FileRequestID: PatientCaller] = [:]
    /// Not later than the first moment at which something must happen; nil for never.
    private var earliest: Instant?

    var watched: [ZnodePath: WatchedPath] = [:]
    var facts = KnownFacts()
    var recent = RecentLooks()
    var statistics = Statistics()
    var remembered = RememberedAttributes()
    var journal = MessageRing()
    var counters = Counters()
    var random: Jitter

    package init(settings: MountSettings, now: ClockReading) {
        self.settings = settings
        self.now = now
        nodes = NodeTable(root: settings.root)
        random = Jitter(seed: settings.randomSeed)
    }

    package mutating func handle(
        _ input: MountInput,
        at now: ClockReading,
        actions: inout [MountAction]
    ) {
        self.now = now
        swap(&output, &actions)
        defer { swap(&output, &actions) }
        switch input {
        case .kernel(let request, let operation, let caller):
            receive(request, operation, caller)
        case .interrupted(let request, let signals): interrupt(request, signals)
        case .completed(let token, let outcome): complete(token, outcome)
        case .event(let event): receive(event)
        case .session(let change): receive(change)
        case .measured(let measure): measured(measure)
        case .wake: wake()
        case .unmounting: endAll()
        }
        runReady()
    }

    /// When to send the next `.wake`. May be early, never late.
    package var nextDeadline: Instant? { earliest }

    mutating func noteDeadline(_ at: Instant) {
        earliest = earliest.map { min($0, at) } ?? at
    }

    private mutating func wake() {
        guard let at = earliest, at <= now.instant else { return }
        wakeJobs()
        wakeFiles()
        lookAtCallers()
        runReady()
        earliest = nil
        if let at = earliestJobDeadline() { noteDeadline(at) }
        if let at = earliestFileDeadline() { noteDeadline(at) }
        if let at = earliestLook() { noteDeadline(at) }
    }
}

/// The client session, as far as the tree knows.
enum Link: Hashable, Sendable {
    case connecting
    case connected(SessionID)
    /// The connection is gone, the session may be saved.
    case disconnected(SessionID)
    /// The session is gone, the next one is being made.
    case expired
    /// No session can be had.
    case refused
}

enum RequestHolder: Hashable, Sendable {
    case job(JobID)
    /// Waits for a publication of this file.
    case publication(FileHandle)
    /// A blocking read of a watch stream.
    case stream(FileHandle)
    /// Waits for what the servers say of themselves.
    case measure
}

// MARK: Requests of the kernel

extension MountedTree {
    private mutating func receive(
        _ request: FileRequestID,
        _ operation: FileOperation,
        _ caller: Caller
    ) {
        if case .forget(let node, let count) = operation {
            nodes.forget(node, count: count)
            return
        }
        counters.requests += 1
        let job = start(.kernel(request, operation, caller))
        requests[request] = .job(job)
        let asked: NodeID? = if case .getAttributes(let node, _) = operation { node } else { nil }
        jobs[job]?.seen = recent.takeNamed(asked, by: caller.thread, at: now.instant)
    }

    mutating func reply(_ request: FileRequestID, _ reply: FileReply) {
        guard requests.removeValue(forKey: request) != nil else { return }
        patient[request] = nil
        if case .failed = reply { counters.failures += 1 }
        output.append(.reply(request, reply))
    }

    /// The job is over.
    mutating func finish(_ job: Job, _ result: Result<FileReply, Errno>) {
        switch job.cause {
        case .kernel(let request, _, _):
            switch result {
            case .success(let answer): reply(request, answer)
            case .failure(let errno): reply(request, .failed(errno))
            }
        case .publish(let handle):
            switch result {
            case .success: published(handle, failure: nil)
            case .failure(let errno): published(handle, failure: errno)
            }
        case .renewWatch(let path):
            if case .failure = result { watchFailed(path) }
        }
    }

    mutating func perform(_ job: inout Job) throws(Stop) -> FileReply {
        switch job.cause {
        case .kernel(let request, let operation, let caller):
            try serve(&job, request, operation, caller)
        case .publish(let handle): try publish(&job, handle)
        case .renewWatch(let path): try renewWatch(&job, path)
        }
    }

    private mutating func serve(
        _ job: inout Job,
        _ request: FileRequestID,
        _ operation: FileOperation,
        _ caller: Caller
    ) throws(Stop) -> FileReply {
        if settings.readOnly, operation.changesTheTree { throw .failed(.readOnlyFileSystem) }
        switch operation {
        case .forget: return .done
        case .lookup(let parent, let name): return try lookup(&job, parent, name, caller)
        case .getAttributes(let node, let handle):
            return try getAttributes(&job, node, handle)
        case .setAttributes(let node, let change, let handle):
            return try setAttributes(&job, node, change, handle, caller)
        case .readLink(let node): return try readLink(&job, node)
        case .makeNode(let parent, let name, let mode):
            return try makeNode(&job, parent, name, mode, caller)
        case .makeDirectory(let parent, let name, let mode):
            return try makeDirectory(&job, parent, name, mode, caller)
        case .unlink(let parent, let name): return try unlink(&job, parent, name)
        case .removeDirectory(let parent, let name):
            return try removeDirectory(&job, parent, name)
        case .symbolicLink(let parent, let name, let target):
            return try makeSymbolicLink(&job, parent, name, target, caller)
        case .rename(let parent, let name, let newParent, let newName, let flags):
            return try rename(&job, parent, name, newParent, newName, flags)
        case .link: throw .failed(.notPermitted)
        case .open(let node, let flags): return try open(&job, node, flags, caller)
        case .create(let parent, let name, let mode, let flags):
            return try create(&job, parent, name, mode, flags, caller)
        case .read(_, let handle, let offset, let size):
            return try read(&job, request, handle, offset, size)
        case .write(_, let handle, let offset, let bytes):
            return try write(request, handle, offset, bytes)
        case .flush(_, let handle, _): return try flush(request, handle, caller)
        case .release(_, let handle): return release(handle)
        case .sync(_, let handle, _): return try synchronize(&job, handle)
        case .openDirectory(let node): return try openDirectory(&job, node)
        case .readDirectory(_, let handle, let offset, let size, let withAttributes):
            return try readDirectory(&job, handle, offset, size, withAttributes)
        case .releaseDirectory(_, let handle): return release(handle)
        case .syncDirectory(let node, _): return try synchronizeDirectory(&job, node)
        case .statistics: return try showStatistics(request)
        case .getExtendedAttribute(let node, let name):
            return try getExtendedAttribute(&job, node, name)
        case .listExtendedAttributes(let node): return try listExtendedAttributes(&job, node)
        case .setExtendedAttribute: throw .failed(.notSupported)
        case .removeExtendedAttribute: throw .failed(.notSupported)
        // A lock that is not real must not say yes.
        case .getLock, .setLock, .flock: throw .failed(.noLocks)
        case .poll(_, let handle, let events, let wake): return poll(handle, events, wake)
        case .allocate: throw .failed(.notSupported)
        }
    }

    /// The mount goes away: whoever waits is told so.
    private mutating func endAll() {
        for id in jobs.keys.sorted() {
            guard let job = jobs.removeValue(forKey: id) else { continue }
            if mayHaveChanged(job) {
                log(.error, "unmounted, outcome unknown: \(describe(job.cause))")
            }
            finish(job, .failure(.connectionAborted))
        }
        for request in requests.keys.sorted() { reply(request, .failed(.connectionAborted)) }
    }
}

extension FileOperation {
    /// Whether a read-only mount refuses it. Opening for writing is refused at open.
    var changesTheTree: Bool {
        switch self {
        case .setAttributes, .makeNode, .makeDirectory, .unlink, .removeDirectory, .symbolicLink,
            .rename, .link, .create, .write, .allocate, .setExtendedAttribute,
            .removeExtendedAttribute:
            true
        case .lookup, .forget, .getAttributes, .readLink, .open, .read, .flush, .release, .sync,
            .openDirectory, .readDirectory, .releaseDirectory, .syncDirectory, .statistics,
            .getExtendedAttribute, .listExtendedAttributes, .getLock, .setLock, .flock, .poll:
            false
        }
    }
}

// MARK: The session

extension MountedTree {
    var isConnected: Bool { if case .connected = link { true } else { false } }

    var session: SessionID? {
        switch link {
        case .connected(let session), .disconnected(let session): session
        case .connecting, .expired, .refused: nil
        }
    }

    private mutating func receive(_ change: SessionChange) {
        recent.drop()
        switch change {
        case .connected(let session, let isNew):
            let wasConnected = isConnected
            link = .connected(session)
            log(.info, "connected, session \(session)\(isNew ? " (new)" : "")")
            if isNew { watchesAreGone() }
            if !wasConnected { tellStreams("connected") }
            sendWaiting()
            filesMayGoOn()
        case .disconnected:
            guard case .connected(let session) = link else { return }
            link = .disconnected(session)
            log(.warning, "disconnected, session \(session)")
            tellStreams("disconnected")
            noteDisconnection()
        case .expired:
            let ended = session
            link = .expired
            log(.error, "session \(ended.map(\.description) ?? "") expired")
            if let ended { filesLostSession(ended) }
            tellStreams("expired")
        case .authenticationFailed:
            link = .refused
            log(.error, "the servers refused a credential of this mount")
            for id in jobs.keys.sorted() {
                guard let job = jobs.removeValue(forKey: id) else { continue }
                finish(job, .failure(.accessDenied))
            }
        }
    }

    private mutating func receive(_ event: WatchEvent) {
        counters.events += 1
        // Servers before 3.9 do not say which change it was.
        recent.drop()
        see(event.zxid)
        for handle in filesByPath[event.path] ?? [] {
            files[handle]?.withFile { $0.isCurrent = false }
        }
        watchFired(event)
    }
}

extension MountedTree {
    /// Stops the process where a rule of the tree's own data is broken. Called by tests and the
    /// simulation after every input.
    package func checkInvariants() {
        nodes.checkInvariants()
        precondition(ready.isEmpty, "a job was left ready")
        for (handle, file) in files {
            precondition(
                nodes[file.node]?.handles.contains(handle) == true,
                "handle \(handle.rawValue) is not known to its node"
            )
            file.checkInvariants()
        }
        for (request, holder) in requests {
            switch holder {
            case .job(let id):
                precondition(jobs[id] != nil, "request \(request.rawValue) waits for no job")
            case .publication(let handle):
                precondition(
                    files[handle]?.file?.owes(request) == true,
                    "request \(request.rawValue) waits for no publication"
                )
            case .measure:
                precondition(
                    statistics.isBeingMeasured && statistics.waiting.contains(request),
                    "request \(request.rawValue) waits for no measure"
                )
            case .stream(let handle):
                precondition(
                    files[handle]?.stream?.waiting.contains { $0.request == request } == true,
                    "request \(request.rawValue) waits for no stream"
                )
            }
        }
        for request in patient.keys {
            precondition(requests[request] != nil, "a caller is looked at who waits for nothing")
        }
        for (path, handles) in filesByPath {
            precondition(!handles.isEmpty, "an empty list is kept for \(path)")
        }
        for job in jobs.values {
            if case .kernel(let request, _, _) = job.cause {
                precondition(requests[request] == .job(job.id), "a job nobody waits for")
            }
        }
        for (path, watch) in watched {
            precondition(!watch.readers.isEmpty, "\(path) is watched for nobody")
        }
    }
}
