internal import CFuse
internal import Glibc
internal import Synchronization
package import ZnodeFS

/// One mount as the kernel sees it: requests come out as values, replies and notifications go in.
///
/// The problem: libfuse hands each request to a C callback and offers a multi-threaded loop in which
/// callbacks block. A mount that waits for an ensemble would need a thread for every waiting caller.
/// Here one thread reads requests, copies them into values and goes on reading; the owner answers
/// each by its ``FileRequestID`` whenever it can, from its own thread.
///
/// ```
/// kernel ── /dev/fuse ──▶ reader thread ──▶ inbox ──(wake)──▶ owner's event loop
///    ▲                                                          │ reply(_:_:)
///    ├──────────────────────────────────────────────────────────┤ notify(.wakePoll)
///    └──── notifier thread ◀── one of each node and name ◀──────┘ notify(.invalidate…)
/// ```
///
/// Rules kept:
/// - Every request is answered exactly once; the table of requests forgets it with its answer, so a
///   second answer changes nothing.
/// - No pointer of libfuse's outlives a callback but the request itself and poll handles, each of
///   which stands in one table until its one use.
/// - Invalidations are sent from the notifier thread alone: the kernel may hold one back for as long
///   as a request in the same directory runs, so neither the reader nor the owner may send it.
/// - Nothing is decided here.
///
/// Source: fuse_lowlevel.h of libfuse 3.14, linux/fuse.h.
///
/// `@unchecked Sendable` is right because all that changes lies in monitors, and what libfuse shares
/// between threads it locks by itself.
@safe package final class FuseSession: @unchecked Sendable {
    /// A request that has not been answered.
    @safe struct Pending {
        let request: fuse_req_t
        /// Room in the caller's buffer: reads, listings and extended attributes.
        let room: Int
        /// What an open that the kernel gave up on must be closed for.
        let node: NodeID
        /// The caller.
        let thread: Int32
    }

    /// Safe to share: pointers in it are opaque, and used only by who took them out.
    @safe struct State: @unchecked Sendable {
        var inbox: [MountInput] = []
        var pending: [FileRequestID: Pending] = [:]
        var polls: [PollHandle: OpaquePointer] = unsafe [:]
        /// Requests that still come are refused by the reader.
        var isEnding = false
        var readerHasEnded = false
    }

    /// The reader stops reading while this many inputs wait for the owner.
    static let inboxLimit = 16_384
    static let writeLimitBytes: UInt32 = 1 << 20
    /// Requests the kernel sends without a waiting caller, such as read-ahead and release.
    static let backgroundLimit: UInt32 = 512
    /// Wakes the reader at the end; the handler does nothing.
    private static let wakeSignal = SIGURG

    let state = Monitor(State())
    private let session: OpaquePointer
    /// What callbacks find this object by; set as soon as there is an object.
    private let cell: UnsafeMutablePointer<Unmanaged<FuseSession>?>
    private let notifier: Notifier
    private let reader = Monitor<SystemThread?>(nil)
    /// Where this session's mount was put, and its device; set by ``mount(at:)``.
    private let place = Monitor<MountTable.Entry?>(nil)
    private let wake: @Sendable () -> Void
    private let ended: @Sendable (_ failure: String?) -> Void
    /// The last number given to a request or poll handle.
    private let lastNumber = Atomic<UInt64>(0)

    /// - Parameters:
    ///   - wake: Called by the reader thread when the inbox turns from empty to not empty.
    ///   - ended: Called by a thread of the session when the kernel sends no more, or when the mount
    ///     is gone, as after `umount`; with a sentence if that is a failure. It may come twice.
    ///     ``end()`` is still due.
    package init(
        options: KernelOptions,
        wake: @escaping @Sendable () -> Void,
        ended: @escaping @Sendable (_ failure: String?) -> Void
    ) throws(MountFailure) {
        self.wake = wake
        self.ended = ended
        var arguments = unsafe fuse_args()
        defer { unsafe fuse_opt_free_args(&arguments) }
        let words = ["zkfs", "-o", options.text]
        let status = words.reduce(into: Int32(0)) { status, word in
            status |= unsafe fuse_opt_add_arg(&arguments, word)
        }
        guard status == 0 else { throw MountFailure("out of memory") }
        var operations = FuseSession.callbacks
        unsafe cell = .allocate(capacity: 1)
        unsafe cell.initialize(to: nil)
        guard
            let session = unsafe fuse_session_new(
                &arguments,
                &operations,
                MemoryLayout<fuse_lowlevel_ops>.size,
                cell
            )
        else {
            unsafe cell.deallocate()
            throw MountFailure("libfuse refused the options \(options.text)")
        }
        unsafe self.session = session
        unsafe notifier = Notifier(session: session)
        unsafe cell.pointee = Unmanaged.passUnretained(self)
    }

    /// The session that `request` belongs to.
    static func of(_ request: fuse_req_t) -> FuseSession {
        let cell = unsafe fuse_req_userdata(request)
            .assumingMemoryBound(to: Unmanaged<FuseSession>?.self)
        guard let session = unsafe cell.pointee else {
            preconditionFailure("a request came before its session was complete")
        }
        return unsafe session.takeUnretainedValue()
    }

    /// Attaches to `path`, a directory. The session must be kept until ``end()`` has returned.
    package func mount(at path: String) throws(MountFailure) {
        let messages = LibraryMessages.collect { unsafe fuse_session_mount(session, path) }
        guard messages.result == 0 else {
            throw MountFailure(
                "cannot mount at \(path): "
                    + (messages.text.isEmpty ? "the system refused it" : messages.text)
            )
        }
        let entry = MountTable.read()?.topmost(at: path)
        place.change { $0 = entry }
        guard let entry else { return }
        let ended = ended
        MountTable.whenGone(device: entry.device) { ended(nil) }
    }

    /// libfuse unmounts by path, where by now another file system may be mounted.
    private var isStillMounted: Bool {
        guard let entry = place.change({ $0 }) else { return true }
        return MountTable.read()?.topmost(at: entry.path)?.device == entry.device
    }

    /// Starts to serve.
    package func start() {
        var action = sigaction()
        unsafe action.__sigaction_handler.sa_handler = { _ in }
        unsafe sigaction(Self.wakeSignal, &action, nil)
        notifier.start()
        reader.change { thread in
            thread = SystemThread(name: "fuse reader") { self.readRequests() }
        }
    }

    /// The requests that came since the last call, in the kernel's order.
    package func takeInputs() -> [MountInput] {
        state.change { state in
            var inputs: [MountInput] = []
            swap(&inputs, &state.inbox)
            return inputs
        }
    }

    /// Tells the kernel something unasked. Never waits.
    package func notify(_ notification: KernelNotification) {
        switch notification {
        case .wakePoll(let handle):
            // Takes no lock of the kernel's that a request could hold.
            guard let poll = unsafe state.change({ unsafe $0.polls.removeValue(forKey: handle) })
            else { return }
            unsafe fuse_lowlevel_notify_poll(poll)
            unsafe fuse_pollhandle_destroy(poll)
        case .dropPoll(let handle):
            guard let poll = unsafe state.change({ unsafe $0.polls.removeValue(forKey: handle) })
            else { return }
            unsafe fuse_pollhandle_destroy(poll)
        case .invalidateNode, .invalidateEntry:
            notifier.put(notification)
        }
    }

    /// Says which signals the caller of a request has, if that still waits.
    package func lookAtCaller(_ id: FileRequestID) {
        guard let thread = state.change({ $0.pending[id]?.thread }) else { return }
        post([.interrupted(id, CallerSignals(of: thread))])
    }

    /// Answers what is left, unmounts and lets go of everything. Blocks; call it once, from a thread
    /// that serves nothing, when nobody calls ``reply(_:_:)`` and ``notify(_:)`` any more.
    package func end() {
        state.change { $0.isEnding = true }
        refusePending()
        // An invalidation may wait for a request that has just been refused.
        notifier.stop()
        unsafe fuse_session_exit(session)
        let thread = reader.change { $0.take() }
        if let thread {
            // A signal between the reader's last look and its read would be lost, so it is repeated.
            while state.wait(atMost: .milliseconds(5), { $0.readerHasEnded ? true : nil }) == nil {
                thread.interrupt(with: Self.wakeSignal)
            }
            thread.join()
        }
        refusePending()
        let polls = unsafe state.change { state in
            defer { unsafe state.polls.removeAll() }
            return unsafe Array(state.polls.values)
        }
        unsafe polls.forEach { unsafe fuse_pollhandle_destroy($0) }
        if isStillMounted {
            _ = LibraryMessages.collect {
                unsafe fuse_session_unmount(session)
                return 0
            }
        }
        // The connection ends with the descriptor, for copies in other namespaces too.
        unsafe fuse_session_destroy(session)
        unsafe cell.deallocate()
    }

    private func refusePending() {
        let pending = state.change { state in
            defer { state.pending.removeAll() }
            return Array(state.pending.values)
        }
        for entry in pending { unsafe fuse_reply_err(entry.request, ENODEV) }
    }
}

// MARK: - The reader

extension FuseSession {
    private func readRequests() {
        // A process inherits the signal mask of whoever started it, and a blocked signal ends no read.
        var wake = sigset_t()
        unsafe sigemptyset(&wake)
        unsafe sigaddset(&wake, Self.wakeSignal)
        unsafe pthread_sigmask(SIG_UNBLOCK, &wake, nil)
        var buffer = unsafe fuse_buf()
        var failure: String?
        while unsafe fuse_session_exited(session) == 0 {
            let count = unsafe fuse_session_receive_buf(session, &buffer)
            if count == -EINTR { continue }
            if count < 0 {
                failure =
                    unsafe "reading from /dev/fuse failed: " + String(cString: strerror(-count))
            }
            if count <= 0 { break }
            unsafe fuse_session_process_buf(session, &buffer)
        }
        unsafe free(buffer.mem)
        state.change { $0.readerHasEnded = true }
        ended(failure)
    }

    /// Takes over `request`, which a callback was handed; ``reply(_:_:)`` ends it.
    func accept(
        _ request: fuse_req_t,
        node: fuse_ino_t,
        room: Int = 0,
        _ operation: FileOperation
    ) {
        let number = nextNumber()
        let id = FileRequestID(rawValue: number)
        let caller = unsafe caller(of: request)
        // Before anybody else can answer, and so free, the request.
        unsafe fuse_req_interrupt_func(
            request,
            FuseSession.interrupted,
            UnsafeMutableRawPointer(bitPattern: UInt(number))
        )
        let wasInterrupted = unsafe fuse_req_interrupted(request) != 0
        let pending = unsafe Pending(
            request: request,
            room: room,
            node: NodeID(rawValue: node),
            thread: caller.thread
        )
        let outcome: InboxOutcome = state.wait { state in
            if state.isEnding { return .refused }
            guard state.inbox.count < Self.inboxLimit else { return nil }
            state.pending[id] = pending
            let wasEmpty = state.inbox.isEmpty
            state.inbox.append(.kernel(id, operation, caller))
            if wasInterrupted {
                state.inbox.append(.interrupted(id, CallerSignals(of: caller.thread)))
            }
            return wasEmpty ? .first : .further
        }
        switch outcome {
        case .refused: unsafe fuse_reply_err(request, ENODEV)
        case .first: wake()
        case .further: break
        }
    }

    private enum InboxOutcome { case refused, first, further }

    /// For what wants no answer: forgets, interrupts, and the undoing of replies nobody took.
    func post(_ inputs: [MountInput]) {
        guard !inputs.isEmpty else { return }
        let wasEmpty = state.change { state in
            defer { state.inbox.append(contentsOf: inputs) }
            return state.inbox.isEmpty
        }
        if wasEmpty { wake() }
    }

    /// An input whose answer goes nowhere.
    func unanswered(_ operation: FileOperation) -> MountInput {
        let nobody = Caller(user: 0, group: 0, thread: 0, umask: 0)
        return .kernel(FileRequestID(rawValue: nextNumber()), operation, nobody)
    }

    func keep(_ poll: OpaquePointer?) -> PollHandle? {
        guard let poll = unsafe poll else { return nil }
        let handle = PollHandle(rawValue: nextNumber())
        state.change { unsafe $0.polls[handle] = poll }
        return handle
    }

    private func nextNumber() -> UInt64 {
        lastNumber.wrappingAdd(1, ordering: .relaxed).newValue
    }

    private func caller(of request: fuse_req_t) -> Caller {
        guard let context = unsafe fuse_req_ctx(request) else {
            return Caller(user: 0, group: 0, thread: 0, umask: 0)
        }
        return unsafe Caller(
            user: context.pointee.uid,
            group: context.pointee.gid,
            thread: context.pointee.pid,
            umask: context.pointee.umask
        )
    }

    /// Runs in the reader thread with a lock of the request held, so it must not answer.
    private static let interrupted: fuse_interrupt_func_t = { request, number in
        guard let request = unsafe request else { return }
        let id = FileRequestID(rawValue: UInt64(UInt(bitPattern: number)))
        unsafe FuseSession.of(request).lookAtCaller(id)
    }
}
