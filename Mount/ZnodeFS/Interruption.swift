internal import ZooKeeperModel

/// The signals of a request's caller while it waits, as /proc/TID/status shows them: bit n − 1 stands
/// for signal n.
package struct CallerSignals: Hashable, Sendable {
    /// Pending for the thread or for its process.
    package var pending: UInt64
    package var blocked: UInt64
    package var ignored: UInt64
    package var caught: UInt64
    package init(pending: UInt64, blocked: UInt64 = 0, ignored: UInt64 = 0, caught: UInt64 = 0) {
        self.pending = pending
        self.blocked = blocked
        self.ignored = ignored
        self.caught = caught
    }

    /// Whether the caller dies of what is pending, or has a handler for one of the signals by which
    /// people and programs end what takes too long. All else (children that end, timers of profilers and
    /// collectors, a window that changes its size) interrupts no call on a disk either.
    var endTheCall: Bool {
        let due = pending & ~blocked & ~ignored
        return due & ~caught & ~Self.notFatal != 0 || due & Self.endings != 0
    }

    private static func bits(_ numbers: Int...) -> UInt64 {
        numbers.reduce(0) { $0 | 1 << UInt64($1 - 1) }
    }
    /// What kills nobody who has not asked for it: CHLD, CONT, STOP, TSTP, TTIN, TTOU, URG, WINCH.
    private static let notFatal = bits(17, 18, 19, 20, 21, 22, 23, 28)
    /// HUP, INT, QUIT, KILL, ALRM, TERM, and the one by which the C library cancels a thread.
    private static let endings = bits(1, 2, 3, 9, 14, 15, 32)
}

/// A request that goes on although its caller has a signal pending.
struct PatientCaller: Hashable, Sendable {
    var since: Instant
    var lookAt: Instant
}

/// Signals: the kernel tells of the first one that a waiting caller gets, not which it is, and of no
/// later one.
///
/// So the edge says what is pending. A signal that is to end the call, or one that cannot be seen, ends
/// the request at once; after any other the request goes on, and the edge looks again every tenth of a
/// second, since the next signal may be Ctrl-C. A handler is not kept waiting for ever: after `hold`
/// any signal ends the request. A blocking read of a watch stream, which may last for days, ends with
/// every signal.
extension MountedTree {
    static let lookInterval = Duration.milliseconds(100)
    /// A look costs some twenty microseconds, so many callers are looked at less often.
    static let lookIntervalOfEach = Duration.milliseconds(1)

    mutating func interrupt(_ request: FileRequestID, _ signals: CallerSignals?) {
        guard let holder = requests[request] else { return }
        if case .stream(let handle) = holder {
            files[handle]?.withStream { $0.stopWaiting(request) }
            reply(request, .failed(.interrupted))
            return
        }
        let since = patient[request]?.since ?? now.instant
        if let signals, !signals.endTheCall, now.instant < since + settings.hold {
            let lookAt = now.instant + lookPause
            patient[request] = PatientCaller(since: since, lookAt: lookAt)
            noteDeadline(lookAt)
            return
        }
        patient[request] = nil
        end(request, holder)
    }

    /// What has not been sent is given up; a write on its way is waited for while there is a
    /// connection, since only its answer can be told truthfully.
    private mutating func end(_ request: FileRequestID, _ holder: RequestHolder) {
        switch holder {
        case .job(let id):
            guard var job = jobs[id] else { return }
            if mayHaveChanged(job) {
                if isConnected {
                    job.isInterrupted = true
                    jobs[id] = job
                    return
                }
                log(.error, "interrupted, outcome unknown: \(describe(job.cause))")
                jobs[id] = nil
                finish(job, .failure(.inputOutput))
            } else {
                jobs[id] = nil
                finish(job, .failure(.interrupted))
            }
        case .publication(let handle): interruptWriter(request, handle)
        case .measure: reply(request, .failed(.interrupted))
        case .stream: preconditionFailure("a read of a stream goes on after a signal")
        }
    }

    private var lookPause: Duration {
        max(Self.lookInterval, Self.lookIntervalOfEach * patient.count)
    }

    /// Has the edge look at the callers whose turn it is.
    mutating func lookAtCallers() {
        let due = patient.filter { $0.value.lookAt <= now.instant }.keys.sorted()
        let next = now.instant + lookPause
        for request in due {
            patient[request]?.lookAt = next
            output.append(.lookAtCaller(request))
        }
    }

    func earliestLook() -> Instant? { patient.values.map(\.lookAt).min() }
}
