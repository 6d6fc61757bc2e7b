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
        /// Is there room now for what waits for it?
        case resume
    }
    enum Answer: Sendable {
        /// And how long the disk had them. `notes` are for the operator.
        case results([StorageResult], after: Duration, notes: [String])
        /// The disk has no room for the rest: only `resume` is due.
        case waiting([StorageResult], because: String)
        case recovered(RecoveredState)
        /// The names of the files that were removed.
        case purged([String])
        /// The log cannot be cut there; nothing was changed.
        case truncationRefused
    }

    private let pool: NIOThreadPool
    private let storage: Storage

    /// Takes over `journal`, which nobody else may touch any more.
    init(journal: PatientJournal, extendedTypes: Bool) {
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

extension DiskThread.Answer {
    fileprivate static func failed(_ reason: String) -> Self {
        .results([.failed(reason)], after: .zero, notes: [])
    }

    fileprivate init(_ answer: PatientJournal.Answer, after duration: Duration) {
        self =
            if let reason = answer.waitsBecause {
                .waiting(answer.results, because: reason)
            } else {
                .results(answer.results, after: duration, notes: answer.notes)
            }
    }
}

/// The journal, confined to the pool's only thread: that is what makes sending it there safe.
private final class Storage: @unchecked Sendable {
    private let patient: PatientJournal
    private let extendedTypes: Bool
    init(journal: PatientJournal, extendedTypes: Bool) {
        patient = journal
        self.extendedTypes = extendedTypes
    }

    func perform(_ work: DiskThread.Work) -> DiskThread.Answer {
        switch work {
        case .requests(let requests):
            let start = SystemClock.now()
            let answer = patient.perform(batch: requests)
            return DiskThread.Answer(answer, after: SystemClock.now() - start)
        case .resume:
            return DiskThread.Answer(patient.resume(), after: .zero)
        case .truncate(let zxid):
            do {
                try patient.journal.truncate(to: zxid)
                return .recovered(
                    try patient.journal.recoveredState(extendedTypes: extendedTypes).state
                )
            } catch JournalError.notInLog {
                return .truncationRefused
            } catch {
                return .failed("\(error)")
            }
        case .purge:
            do {
                return .purged(try patient.journal.purge())
            } catch {
                return .failed("\(error)")
            }
        }
    }
}
