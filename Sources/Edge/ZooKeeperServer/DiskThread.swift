internal import Journal
internal import NIOCore
internal import NIOPosix
internal import Platform
internal import Replication
internal import ZooKeeperModel

/// Runs the journal on a thread of its own, one batch of requests at a time.
///
/// While a batch is being made durable the next one grows on the event loop: group commit (see
/// ``CommitGroup``). Everything but ``submit`` and the answer runs on the disk's thread.
final class DiskThread: Sendable {
    enum Work: Sendable {
        case requests([StorageRequest])
        /// Cut the log, and recover what is left.
        case truncate(to: Zxid)
        /// Remove old snapshots, and logs that none of the rest needs.
        case purge
    }
    enum Answer: Sendable {
        /// And how long the disk had them.
        case results([StorageResult], after: Duration)
        case recovered(RecoveredState)
        /// The names of the files that were removed.
        case purged([String])
        /// The log cannot be cut there; nothing was changed.
        case truncationRefused
    }

    private let pool: NIOThreadPool
    private let storage: Storage

    /// Takes over `journal`, which nobody else may touch any more.
    init(journal: Journal, extendedTypes: Bool) {
        pool = NIOThreadPool(numberOfThreads: 1)
        storage = Storage(journal: journal, extendedTypes: extendedTypes)
        pool.start()
    }

    /// The answer arrives on `loop`.
    func submit(
        _ work: Work,
        on loop: any EventLoop,
        answer: @escaping @Sendable (Answer) -> Void
    ) {
        pool.submit { [storage] state in
            guard case .active = state else { return }
            let result = storage.perform(work)
            loop.execute { answer(result) }
        }
    }

    func stop() { pool.shutdownGracefully { _ in } }
}

/// The journal, confined to the pool's only thread: that is what makes sending it there safe.
private final class Storage: @unchecked Sendable {
    private let journal: Journal
    private let extendedTypes: Bool
    init(journal: Journal, extendedTypes: Bool) {
        self.journal = journal
        self.extendedTypes = extendedTypes
    }

    func perform(_ work: DiskThread.Work) -> DiskThread.Answer {
        switch work {
        case .requests(let requests):
            let start = SystemClock.now()
            let results = journal.perform(batch: requests)
            return .results(results, after: SystemClock.now() - start)
        case .truncate(let zxid):
            do {
                try journal.truncate(to: zxid)
                return .recovered(
                    try journal.recoveredState(extendedTypes: extendedTypes).state
                )
            } catch JournalError.notInLog {
                return .truncationRefused
            } catch {
                return .results([.failed("\(error)")], after: .zero)
            }
        case .purge:
            do {
                return .purged(try journal.purge())
            } catch {
                return .results([.failed("\(error)")], after: .zero)
            }
        }
    }
}
