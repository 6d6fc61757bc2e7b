package import Journal
package import ZooKeeperModel

/// Drives a journal step by step and knows at each moment what a crash may leave.
package final class JournalWorkload {
    package enum Step {
        /// So many transactions, durable together.
        case append(Int)
        /// Appended and written, then the process is killed: the system still has them.
        case appendAndKill(Int)
        case epoch(EpochKind, Int64)
        /// With so many transactions appended between its slices.
        case snapshot(appending: Int)
        case abandonedSnapshot
        /// A tree of so many transactions of the epoch arrives from a leader.
        case install(epoch: Int64, Int)
        /// The newest so many transactions are cut.
        case truncate(Int)
        case restart
        case purge
    }

    package static let configuration = JournalConfiguration(
        dataDirectory: "data",
        logDirectory: "log",
        preallocationKiB: 4
    )

    package static let steps: [Step] = [
        .restart, .epoch(.accepted, 1), .epoch(.current, 1), .append(1), .append(3),
        .snapshot(appending: 2), .append(2), .appendAndKill(2), .append(2), .truncate(3),
        .append(1),
        .abandonedSnapshot, .snapshot(appending: 0), .append(9), .snapshot(appending: 1),
        .snapshot(appending: 1), .purge, .appendAndKill(1), .append(1),
        // Trees that are older than the log's end, and nothing between them and the next append.
        .install(epoch: 1, 5), .append(2), .epoch(.accepted, 2), .epoch(.current, 2), .append(9),
        .snapshot(appending: 1), .install(epoch: 2, 4), .append(2), .append(1),
        // A newer one, whose epoch is promised only afterwards.
        .epoch(.accepted, 3), .install(epoch: 3, 5), .epoch(.current, 3), .append(2), .restart,
        .append(2), .restart,
    ]

    package let disk: any CrashableDisk
    private var journal: Journal?
    /// What must be there, in order, after any crash; what may be there; and what may be there
    /// instead of all that.
    private(set) var vouched: [Zxid] = []
    private(set) var attempted: [Zxid] = []
    private var alternative: [Zxid]?
    private var epochs: [EpochKind: Set<Int64>] = [:]
    private var epoch: Int64 = 1
    /// The newest snapshot that was answered for.
    private var storedSnapshot = Zxid.zero
    /// Syncs made while recovering: most of them find nothing to do.
    package private(set) var recoverySyncs: Set<Int> = []
    /// Why the workload ended before its end.
    package private(set) var failure = ""
    package private(set) var purged: [String] = []
    /// This server's own tree is being written: of that, want of room costs no more than that.
    package private(set) var isWritingSnapshot = false
    package private(set) var summary: RecoverySummary?

    package init(disk: any CrashableDisk) { self.disk = disk }

    /// This workload at the moment at which the process dies: an independent disk, and no journal.
    package func copy() -> JournalWorkload {
        let other = JournalWorkload(disk: disk.copy())
        other.vouched = vouched
        other.attempted = attempted
        other.alternative = alternative
        other.epochs = epochs
        other.epoch = epoch
        other.storedSnapshot = storedSnapshot
        return other
    }

    package var hasJournal: Bool { journal != nil }

    /// Until the disk fails; whether it got to the end.
    package func run(_ steps: [Step] = JournalWorkload.steps) -> Bool {
        do {
            for step in steps { try perform(step) }
            return true
        } catch {
            failure = "\(error)"
            return false
        }
    }

    package struct Violation: Error, CustomStringConvertible {
        package var description: String
    }

    /// Recovers with a new journal and says what is wrong with what is found.
    package func recoverAndCheck() throws {
        journal = nil
        var visitor = RecordingVisitor()
        let journal = Journal(disk: disk, configuration: Self.configuration)
        let firstSync = disk.syncCount
        let summary = try journal.recover(&visitor)
        recoverySyncs.formUnion(firstSync..<disk.syncCount)
        let found = visitor.sequence
        let isBetween = found.starts(with: vouched) && attempted.starts(with: found)
        guard isBetween || found == alternative else {
            throw Violation(
                description: "found \(found), vouched for \(vouched), attempted \(attempted)"
            )
        }
        guard summary.lastZxid == found.last ?? .zero, journal.lastZxid == summary.lastZxid else {
            throw Violation(description: "found \(found), but the last is \(summary.lastZxid)")
        }
        guard found == alternative || summary.snapshotZxid >= storedSnapshot else {
            throw Violation(description: "snapshot \(storedSnapshot) is gone: \(summary.notes)")
        }
        for (kind, value) in [
            (EpochKind.accepted, summary.acceptedEpoch), (.current, summary.currentEpoch),
        ] {
            // Without a file the epoch is that of the last transaction.
            guard let allowed = epochs[kind], !allowed.contains(value) else { continue }
            throw Violation(description: "\(kind) epoch \(value), not of \(allowed.sorted())")
        }
        self.journal = journal
        self.summary = summary
        vouched = found
        attempted = found
        alternative = nil
        storedSnapshot = summary.snapshotZxid
        epochs = [.accepted: [summary.acceptedEpoch], .current: [summary.currentEpoch]]
        epoch = max(1, summary.lastZxid.epoch)
    }

    private func ready() throws -> Journal {
        guard let journal else { throw Violation(description: "not recovered") }
        return journal
    }

    private func nextProposals(_ count: Int) -> [Proposal] {
        var result: [Proposal] = []
        for index in 0..<count {
            let last = attempted.last ?? .zero
            let zxid = last.epoch == epoch ? last.next : Zxid(epoch: epoch, counter: 1)
            attempted.append(zxid)
            result.append(proposal(zxid, dataBytes: 40 + index * 200))
        }
        return result
    }

    private func append(_ count: Int) throws {
        let proposals = nextProposals(count)
        switch try ready().perform(.append(proposals)) {
        case .persisted(let upTo):
            guard upTo == attempted.last else { throw Violation(description: "up to \(upTo)") }
            vouched = attempted
        case let other: throw Violation(description: "\(String(describing: other))")
        }
    }

    private func ask(_ request: StorageRequest) throws {
        if case .failed(let reason) = try ready().perform(request) {
            throw Violation(description: reason)
        }
    }

    package func perform(_ step: Step) throws {
        switch step {
        case .append(let count): try append(count)
        case .appendAndKill(let count):
            let journal = try ready()
            try journal.append(nextProposals(count))
            // Writes what is buffered, without a sync.
            _ = try journal.readLog(after: journal.lastZxid, through: journal.lastZxid, maxBytes: 1)
            try recoverAndCheck()
        case .epoch(let kind, let value):
            epochs[kind, default: [0, value]].insert(value)
            try ask(.storeEpoch(kind, value))
            epochs[kind] = [value]
            epoch = kind == .current ? value : epoch
        case .snapshot(let count):
            let sequence = vouched
            isWritingSnapshot = true
            defer { isWritingSnapshot = false }
            try ask(.beginSnapshot(zxid: sequence.last ?? .zero))
            let body = snapshotBody(sequence)
            try ask(.snapshotSlice(Array(body[..<20])))
            if count > 0 { try append(count) }
            try ask(.snapshotSlice(Array(body[20...])))
            let end = sequence.last ?? .zero
            switch try ready().perform(.finishSnapshot(digestZxid: end, digest: nil)) {
            case .snapshotStored: storedSnapshot = end
            case .snapshotLost: break
            case let other: throw Violation(description: "\(String(describing: other))")
            }
        case .abandonedSnapshot:
            isWritingSnapshot = true
            defer { isWritingSnapshot = false }
            try ask(.beginSnapshot(zxid: vouched.last ?? .zero))
            try ask(.snapshotSlice([1, 2, 3]))
            try ask(.abandonSnapshot)
        case .install(let epoch, let count):
            let sequence = (1...UInt32(count)).map { Zxid(epoch: epoch, counter: $0) }
            alternative = sequence
            try ask(.beginInstall(zxid: sequence[count - 1]))
            try ask(.snapshotSlice(snapshotBody(sequence)))
            try ask(.finishSnapshot(digestZxid: sequence[count - 1], digest: nil))
            alternative = nil
            storedSnapshot = sequence[count - 1]
            vouched = sequence
            attempted = sequence
        case .truncate(let count):
            // A moment at which the power may fail with all of it still vouched for.
            _ = try ready().readLog(
                after: vouched[vouched.count - 2],
                through: vouched[vouched.count - 1],
                maxBytes: 1
            )
            vouched.removeLast(count)
            try ready().truncate(to: vouched[vouched.count - 1])
            attempted = vouched
            storedSnapshot = min(storedSnapshot, vouched.last ?? .zero)
            var visitor = RecordingVisitor()
            let firstSync = disk.syncCount
            _ = try ready().recover(&visitor)
            recoverySyncs.formUnion(firstSync..<disk.syncCount)
            guard visitor.sequence == vouched else {
                throw Violation(description: "cut to \(visitor.sequence), not \(vouched)")
            }
        case .restart: try recoverAndCheck()
        case .purge: purged = try ready().purge()
        }
    }
}
