internal import CFuse
internal import ZnodeFS

/// Sends invalidations to the kernel from a thread of its own.
///
/// The kernel may hold an invalidation back while a request in the same directory runs, so this thread
/// blocks now and then and nobody may wait for it. What waits here is bounded by what the kernel
/// remembers: of each node and each name no more than one invalidation is queued.
///
/// `@unchecked Sendable` is right because `session` is an opaque pointer that libfuse allows any
/// thread to notify through, and outlives the thread, which ``stop()`` joins.
@safe final class Notifier: @unchecked Sendable {
    private struct State {
        var queue: [KernelNotification] = []
        var queued: Set<KernelNotification> = []
        var isStopping = false
    }

    private let session: OpaquePointer
    private let state = Monitor(State())
    private let thread = Monitor<SystemThread?>(nil)

    init(session: OpaquePointer) { unsafe self.session = session }

    func start() {
        thread.change { $0 = SystemThread(name: "fuse notifier") { self.run() } }
    }

    func put(_ notification: KernelNotification) {
        state.change { state in
            guard !state.isStopping, state.queued.insert(notification).inserted else { return }
            state.queue.append(notification)
        }
    }

    /// Drops what waits and ends the thread.
    func stop() {
        state.change { state in
            state.isStopping = true
            state.queue = []
            state.queued = []
        }
        thread.change { $0.take() }?.join()
    }

    private func run() {
        while let batch = nextBatch() {
            for notification in batch {
                // After a stop the kernel forgets the mount anyway.
                if state.change({ $0.isStopping }) { return }
                send(notification)
            }
        }
    }

    private func nextBatch() -> [KernelNotification]? {
        state.wait { state -> [KernelNotification]?? in
            if state.isStopping { return .some(nil) }
            guard !state.queue.isEmpty else { return nil }
            var batch: [KernelNotification] = []
            swap(&batch, &state.queue)
            state.queued.removeAll(keepingCapacity: true)
            return batch
        }
    }

    /// Failures are of no interest: the kernel has forgotten the node or name, or the mount is gone.
    private func send(_ notification: KernelNotification) {
        switch notification {
        case .invalidateNode(let node, let withData):
            // A negative offset leaves the pages alone; length 0 means up to the end.
            unsafe fuse_lowlevel_notify_inval_inode(session, node.rawValue, withData ? 0 : -1, 0)
        case .invalidateEntry(let parent, let name):
            unsafe name.withUnsafeBytes { bytes in
                let text = unsafe bytes.bindMemory(to: CChar.self)
                unsafe fuse_lowlevel_notify_inval_entry(
                    session,
                    parent.rawValue,
                    text.baseAddress,
                    text.count
                )
            }
        case .wakePoll, .dropPoll:
            preconditionFailure("poll handles are the session's")
        }
    }
}
