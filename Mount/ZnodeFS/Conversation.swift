internal import ZooKeeperModel

/// One piece of work that talks to the ensemble: a request of the kernel, the publication of a file's
/// edits, or the renewal of a watch.
///
/// A job is a plain function over its *transcript*, the questions asked so far with their answers.
/// Whenever an answer arrives the function runs from its start: it finds the earlier answers in the
/// transcript, asks the next question and stops there. So each request reads from top to bottom, and
/// everything that is pending is a value. Three rules make that right:
/// - Effects on the tree come after the last question, or are guarded by a field of the job.
/// - Paths are resolved once and kept in the job, since a rename may move nodes meanwhile.
/// - The answer to a write is never dropped: only questions that change nothing are asked again.
struct Job: Sendable {
    let id: JobID
    let cause: JobCause
    var transcript: [Exchange] = []
    /// How many exchanges the present run has used.
    var cursor = 0
    /// When the job is given up; moved on by every question.
    var deadline: Instant
    /// How often it began anew because others were faster.
    var attempts = 0
    var isInterrupted = false
    /// What the names of the request mean, resolved once.
    var places: [Place] = []
    /// Whether the edits that were there at the beginning have been published, and how that ended.
    var publication: Publication = .notAwaited
    /// How a publication goes about it; decided once, since the tree may change meanwhile.
    var plan: PublicationPlan?
    /// Whether an effect that must not happen twice has happened.
    var isApplied = false
    /// What a look a moment ago has found; then nothing is asked.
    var seen: Znode?
    /// Whether an unlink fetches the content for open handles; decided once.
    var wantsContent: Bool?

    enum Publication: Hashable, Sendable {
        case notAwaited
        case awaited
        case done
        case failed(Errno)
    }
}

struct JobID: RawRepresentable, Hashable, Comparable, Sendable {
    var rawValue: UInt64
    static func < (left: JobID, right: JobID) -> Bool { left.rawValue < right.rawValue }
}

enum JobCause: Sendable {
    case kernel(FileRequestID, FileOperation, Caller)
    case publish(FileHandle)
    case renewWatch(ZnodePath)
}

/// A burst of questions, sent together and answered when the last answer is there.
struct Exchange: Sendable {
    var operations: [Operation]
    var outcomes: [OperationOutcome?]
    /// The token of each question on the wire; nil while it is not sent, or has been answered.
    var tokens: [OperationToken?]
    /// A pause instead of questions.
    var until: Instant?
    var isWrite: Bool
    /// What ``MountedTree/inspect(_:_:after:)`` made of its answers. Kept in their place, since it
    /// depends on facts that may be forgotten before the next run.
    var conclusion: [Znode?]?
    /// No answer that the conclusion rests on is older than this.
    var conclusionZxid: Zxid?
    /// What this mount had seen when the burst was sent: no later change is older than this.
    var zxidBefore: Zxid
    var sessionBefore: SessionID?

    var isAnswered: Bool { until == nil && !outcomes.contains { $0 == nil } }
    var isSent: Bool { zip(tokens, outcomes).contains { $0 != nil || $1 != nil } }
    var hasUnknownOutcome: Bool {
        isWrite
            && outcomes.contains {
                if case .failure(let code)? = $0?.result {
                    code.leavesOutcomeUnknown
                } else {
                    false
                }
            }
    }
}

/// Why a job stops before its end.
enum Stop: Error, Hashable {
    /// For an answer or a pause.
    case waiting
    /// Others were faster: everything from the start, after a jittered pause. Only thrown where it
    /// is certain that nothing has been changed.
    case again
    /// The request is answered elsewhere: by a publication or a watch stream.
    case held
    case failed(Errno)
}

/// The answers of one burst.
struct Answers {
    var outcomes: [OperationOutcome]
    var zxidBefore: Zxid
    var sessionBefore: SessionID?
    var first: Result<Response, ErrorCode> { outcomes[0].result }
}

/// What is remembered of a question on its way.
struct Outstanding: Sendable {
    var job: JobID
    var exchange: Int
    var position: Int
}

extension MountedTree {
    /// Between two attempts at least this, doubled with each up to 64 times, and as much again of
    /// jitter.
    static let shortestPause = Duration.milliseconds(1)
    /// Where a read got no answer though the session stands, before it is asked again.
    static let lostAnswerPause = Duration.milliseconds(50)

    mutating func start(_ cause: JobCause) -> JobID {
        lastJob += 1
        let id = JobID(rawValue: lastJob)
        let deadline = now.instant + settings.hold
        jobs[id] = Job(id: id, cause: cause, deadline: deadline)
        noteDeadline(deadline)
        ready.append(id)
        return id
    }

    /// Runs whatever can run. Jobs may make others ready.
    mutating func runReady() {
        var next = 0
        while next < ready.count {
            let id = ready[next]
            next += 1
            guard let job = jobs.removeValue(forKey: id) else { continue }
            run(job)
        }
        ready.removeAll(keepingCapacity: true)
    }

    private mutating func run(_ job: Job) {
        var job = job
        job.cursor = 0
        let stop: Stop
        do throws(Stop) {
            finish(job, .success(try perform(&job)))
            return
        } catch {
            stop = error
        }
        switch stop {
        case .waiting: jobs[job.id] = job
        case .held:
            // The reply is owed by whoever holds it now.
            break
        case .again:
            if case .publish(let handle) = job.cause {
                // Nothing was done: what was interrupted meanwhile can be taken back.
                job.isInterrupted = false
                takeBackInterrupted(handle)
            }
            if job.isInterrupted {
                finish(job, .failure(.interrupted))
            } else {
                beginAgain(job)
            }
        case .failed(let errno): finish(job, .failure(errno))
        }
    }

    private mutating func beginAgain(_ job: Job) {
        var job = job
        let step = Self.shortestPause * (1 << min(job.attempts, 6))
        let jitter = Duration.nanoseconds(
            Int64(random.next() % UInt64(max(1, step.wholeNanoseconds)))
        )
        job.attempts += 1
        job.publication = .notAwaited
        job.plan = nil
        let until = now.instant + step + jitter
        job.transcript = [
            Exchange(
                operations: [],
                outcomes: [],
                tokens: [],
                until: until,
                isWrite: false,
                zxidBefore: lastZxid,
                sessionBefore: nil
            )
        ]
        job.deadline = now.instant + settings.hold
        noteDeadline(until)
        jobs[job.id] = job
    }

    /// The answers to these questions: from the transcript, or by asking. Connection loss is dealt
    /// with here for reads, which are asked again once there is a connection; for a write it is the
    /// answer, and the caller settles it.
    mutating func ask(_ job: inout Job, _ operations: [Operation]) throws(Stop) -> Answers {
        if job.cursor < job.transcript.count {
            let exchange = job.transcript[job.cursor]
            guard exchange.isAnswered else { throw .waiting }
            // A job may see the tree changed since it asked, and want to know something else.
            let rest = job.transcript[job.cursor...]
            if exchange.operations == operations || rest.contains(where: \.isWrite) {
                precondition(
                    exchange.isWrite == operations.contains(where: \.isWrite)
                        && exchange.operations.count == operations.count,
                    "\(describe(job.cause)) asks another question than it did"
                )
                job.cursor += 1
                return Answers(
                    outcomes: exchange.outcomes.compactMap { $0 },
                    zxidBefore: exchange.zxidBefore,
                    sessionBefore: exchange.sessionBefore
                )
            }
            job.transcript.removeLast(job.transcript.count - job.cursor)
        }
        if job.isInterrupted {
            if job.transcript.contains(where: \.hasUnknownOutcome) {
                log(.error, "interrupted, outcome unknown: \(describe(job.cause))")
                throw .failed(.inputOutput)
            }
            if !job.transcript.contains(where: \.isWrite) { throw .failed(.interrupted) }
        }
        if case .refused = link { throw .failed(.accessDenied) }
        job.transcript.append(
            Exchange(
                operations: operations,
                outcomes: Array(repeating: nil, count: operations.count),
                tokens: Array(repeating: nil, count: operations.count),
                until: nil,
                isWrite: operations.contains(where: \.isWrite),
                zxidBefore: lastZxid,
                sessionBefore: nil
            )
        )
        job.deadline = now.instant + settings.hold
        noteDeadline(job.deadline)
        send(&job)
        throw .waiting
    }

    mutating func ask(_ job: inout Job, _ operation: Operation) throws(Stop) -> Answers {
        try ask(&job, [operation])
    }

    /// Sends what of the last burst has neither been sent nor answered.
    private mutating func send(_ job: inout Job) {
        guard case .connected(let session) = link, let index = job.transcript.indices.last else {
            return
        }
        guard job.transcript[index].until == nil else { return }
        if !job.transcript[index].isSent {
            job.transcript[index].zxidBefore = lastZxid
            job.transcript[index].sessionBefore = session
        }
        for position in job.transcript[index].operations.indices {
            guard job.transcript[index].outcomes[position] == nil,
                job.transcript[index].tokens[position] == nil
            else { continue }
            lastToken += 1
            let token = OperationToken(rawValue: lastToken)
            outstanding[token] = Outstanding(job: job.id, exchange: index, position: position)
            job.transcript[index].tokens[position] = token
            output.append(.submit(token, job.transcript[index].operations[position]))
        }
    }

    mutating func complete(_ token: OperationToken, _ outcome: OperationOutcome) {
        see(outcome.zxid)
        guard let place = outstanding.removeValue(forKey: token) else { return }
        // The job may be over: interrupted, or out of time.
        guard place.exchange < jobs[place.job]?.transcript.count ?? 0 else { return }
        // In place: a copy of a long burst for each of its answers would take the square of its length.
        jobs[place.job]?.transcript[place.exchange].tokens[place.position] = nil
        let isWrite =
            jobs[place.job]?.transcript[place.exchange].operations[place.position].isWrite == true
        if case .failure(let code) = outcome.result, !isWrite, code.isLostAnswer {
            // Asked again at the next connection. Where the session stands after all, soon.
            if isConnected {
                let at = now.instant + Self.lostAnswerPause
                retryLostAt = retryLostAt.map { min($0, at) } ?? at
                noteDeadline(at)
            }
            return
        }
        jobs[place.job]?.transcript[place.exchange].outcomes[place.position] = outcome
        if jobs[place.job]?.transcript[place.exchange].isAnswered == true {
            ready.append(place.job)
        }
    }

    /// Sends what waits for a connection.
    mutating func sendWaiting() {
        guard isConnected else { return }
        retryLostAt = nil
        for id in jobs.keys.sorted() {
            guard var job = jobs[id], let last = job.transcript.last, last.until == nil,
                !last.isAnswered
            else { continue }
            send(&job)
            job.deadline = max(job.deadline, now.instant + settings.hold)
            jobs[id] = job
        }
    }

    /// Ends pauses and jobs whose time has come.
    mutating func wakeJobs() {
        if let at = retryLostAt, at <= now.instant {
            // Without a connection the next one sends everything.
            retryLostAt = nil
            sendWaiting()
        }
        for id in jobs.keys.sorted() {
            guard var job = jobs[id] else { continue }
            if let until = job.transcript.last?.until {
                if until <= now.instant {
                    job.transcript.removeLast()
                    jobs[id] = job
                    ready.append(id)
                }
            } else if job.deadline <= now.instant, !job.transcript.isEmpty,
                job.publication != .awaited
            {
                jobs[id] = nil
                if mayHaveChanged(job) {
                    log(.error, "no answer in time, outcome unknown: \(describe(job.cause))")
                }
                finish(job, .failure(.timedOut))
            }
        }
    }

    /// Whether a write of this job is on its way, or its outcome unknown.
    func mayHaveChanged(_ job: Job) -> Bool {
        job.transcript.contains {
            $0.isWrite && ($0.hasUnknownOutcome || ($0.isSent && !$0.isAnswered))
        }
    }

    /// The earliest moment at which a job may want to run.
    func earliestJobDeadline() -> Instant? {
        var earliest = retryLostAt
        for job in jobs.values {
            let at = job.transcript.last?.until ?? job.deadline
            if job.publication != .awaited { earliest = min(earliest ?? at, at) }
        }
        return earliest
    }

    /// For the log: what a job was doing, without values.
    func describe(_ cause: JobCause) -> String {
        switch cause {
        case .kernel(_, let operation, _):
            switch operation {
            case .makeDirectory(let parent, let name, _): "mkdir \(shown(parent, name))"
            case .makeNode(let parent, let name, _), .create(let parent, let name, _, _):
                "create \(shown(parent, name))"
            case .unlink(let parent, let name): "unlink \(shown(parent, name))"
            case .removeDirectory(let parent, let name): "rmdir \(shown(parent, name))"
            case .symbolicLink(let parent, let name, _): "symlink \(shown(parent, name))"
            case .rename(let parent, let name, let newParent, let newName, _):
                "rename \(shown(parent, name)) to \(shown(newParent, newName))"
            case .setAttributes(let node, _, _): "setattr \(path(of: node))"
            default: "a request"
            }
        case .publish(let handle):
            "write \(files[handle].map { path(of: $0.node) } ?? "of a closed file")"
        case .renewWatch(let path): "watch \(path)"
        }
    }

    private func path(of node: NodeID) -> String { nodes[node]?.key.path.description ?? "?" }
    private func shown(_ parent: NodeID, _ name: [UInt8]) -> String {
        (nodes[parent]?.key.path ?? .root).appending(name).description
    }
}

extension ErrorCode {
    /// No server answered: a read is simply asked again.
    var isLostAnswer: Bool {
        switch self {
        case .connectionLoss, .sessionExpired, .sessionMoved, .unknownSession, .operationTimeout,
            .requestTimeout, .throttledOperation:
            true
        default: false
        }
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): small, seeded, good enough for jitter.
struct Jitter: Sendable {
    private var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
