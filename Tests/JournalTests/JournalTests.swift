import Journal
import Simulation
import Testing
import ZooKeeperModel
import ZooKeeperWire

/// What a running journal answers.
struct JournalTests {
    private let disk = SimulatedDisk()

    private func journal(
        preallocationKiB: Int = 4,
        logSizeLimitKiB: Int = 0
    ) throws -> Journal {
        let journal = Journal(
            disk: disk,
            configuration: JournalConfiguration(
                preallocationKiB: preallocationKiB,
                logSizeLimitKiB: logSizeLimitKiB
            )
        )
        var visitor = RecordingVisitor()
        _ = try journal.recover(&visitor)
        return journal
    }

    private func zxid(_ counter: UInt32) -> Zxid { Zxid(epoch: 0, counter: counter) }

    private func proposals(_ range: ClosedRange<UInt32>) -> [Proposal] {
        range.map { proposal(zxid($0)) }
    }

    private var logs: [String] {
        get throws { try disk.list("version-2").filter { $0.hasPrefix("log.") } }
    }

    @Test func `appends that follow each other are synced once and answered once`() throws {
        let journal = try journal()
        _ = journal.perform(.append(proposals(1...1)))
        let syncs = disk.syncCount
        let outcome = journal.perform(batch: [
            .append(proposals(2...3)), .append(proposals(4...4)), .storeEpoch(.accepted, 1),
            .append(proposals(5...5)), .append(proposals(6...6)),
        ])
        #expect(
            outcome.results == [
                .persisted(upTo: zxid(4)), .epochStored(.accepted, 1), .persisted(upTo: zxid(6)),
            ]
        )
        // Two of the log, two of the epoch.
        #expect(disk.syncCount - syncs == 4)
    }

    /// The log waits for each of them.
    @Test func `a snapshot is synced in small pieces`() throws {
        let journal = try journal()
        _ = journal.perform(.append(proposals(1...1)))
        try journal.beginSnapshot(zxid: zxid(1))
        let begun = disk.syncCount
        for _ in 0..<96 {
            try journal.writeSnapshotSlice([UInt8](repeating: 7, count: 128 << 10))
        }
        // Twelve MiB by then, of which two wait at most.
        #expect(disk.syncCount - begun >= 5)
    }

    @Test func `the log is read in pages that fit together`() throws {
        let journal = try journal()
        for start in stride(from: UInt32(1), to: 60, by: 20) {
            _ = journal.perform(.append(proposals(start...(start + 19))))
            try journal.rollLog()
        }
        var read: [Proposal] = []
        var after = zxid(7)
        var pages = 0
        while true {
            guard
                case .logRead(let page?, let isComplete) = journal.perform(
                    .readLog(after: after, through: zxid(55), maxBytes: 400)
                )
            else {
                Issue.record("no page after \(after)")
                return
            }
            read += page
            pages += 1
            if isComplete { break }
            after = try #require(page.last).zxid
        }
        #expect(read == proposals(8...55))
        #expect(pages > 8)
        #expect(
            journal.perform(.readLog(after: zxid(60), through: zxid(99), maxBytes: 1))
                == .logRead([], isComplete: true)
        )
        #expect(
            journal.perform(.readLog(after: .zero, through: zxid(1), maxBytes: 1))
                == .logRead(proposals(1...1), isComplete: true)
        )
    }

    @Test func `what is not in this history cannot be read on from`() throws {
        let journal = try journal()
        let second = Zxid(epoch: 2, counter: 1)
        _ = journal.perform(.append(proposals(1...3) + [proposal(second)]))
        func read(_ after: Zxid) -> StorageResult? {
            journal.perform(.readLog(after: after, through: second, maxBytes: 1000))
        }
        // Never logged here, ahead of the log, and the mark of an epoch's beginning.
        #expect(read(zxid(4)) == .logRead(nil, isComplete: true))
        #expect(read(Zxid(epoch: 3, counter: 1)) == .logRead(nil, isComplete: true))
        #expect(
            read(Zxid(epoch: 2, counter: 0)) == .logRead([proposal(second)], isComplete: true)
        )
    }

    @Test func `slices of a snapshot do not part what becomes durable together`() throws {
        let journal = try journal()
        _ = journal.perform(.append(proposals(1...1)))
        _ = journal.perform(.beginSnapshot(zxid: zxid(1)))
        let body = snapshotBody([zxid(1)])
        let before = disk.syncCount
        let outcome = journal.perform(batch: [
            .append(proposals(2...2)), .snapshotSlice(Array(body[..<9])),
            .append(proposals(3...3)), .snapshotSlice(Array(body[9...])),
            .append(proposals(4...4)),
        ])
        #expect(
            outcome.results == [
                .snapshotSliceWritten, .snapshotSliceWritten, .persisted(upTo: zxid(4)),
            ]
        )
        // The new file and its directory.
        #expect(disk.syncCount - before == 2)
    }

    @Test func `an installed tree forgets the log before it`() throws {
        let journal = try journal()
        _ = journal.perform(.append(proposals(1...3)))
        #expect(journal.perform(.beginInstall(zxid: zxid(2))) == nil)
        #expect(
            journal.perform(.snapshotSlice(snapshotBody([zxid(1), zxid(2)])))
                == .snapshotSliceWritten
        )
        #expect(
            journal.perform(.finishSnapshot(digestZxid: zxid(2), digest: nil))
                == .snapshotStored(zxid: zxid(2))
        )
        #expect(
            try disk.list("version-2").sorted() == ["acceptedEpoch", "currentEpoch", "snapshot.2"]
        )
        #expect(
            journal.perform(.readLog(after: zxid(1), through: zxid(9), maxBytes: 1))
                == .logRead(nil, isComplete: true)
        )
        #expect(journal.perform(.append(proposals(3...4))) == .persisted(upTo: zxid(4)))
        #expect(
            journal.perform(.readLog(after: zxid(2), through: zxid(9), maxBytes: 1000))
                == .logRead(proposals(3...4), isComplete: true)
        )
    }

    @Test func `a cut needs the exact transaction, and a failed one changes nothing`() throws {
        let journal = try journal()
        let later = Zxid(epoch: 1, counter: 2)
        _ = journal.perform(.append(proposals(1...5)))
        _ = journal.perform(
            .append([proposal(Zxid(epoch: 1, counter: 1)), proposal(later)])
        )
        #expect(throws: JournalError.notInLog(zxid(6))) { try journal.truncate(to: zxid(6)) }
        #expect(throws: JournalError.notInLog(later.next)) { try journal.truncate(to: later.next) }
        #expect(journal.lastZxid == later)
        try journal.truncate(to: zxid(3))
        #expect(journal.lastZxid == zxid(3))
        var visitor = RecordingVisitor()
        #expect(try journal.recover(&visitor).lastZxid == zxid(3))
        #expect(visitor.sequence == [zxid(1), zxid(2), zxid(3)])
        #expect(journal.perform(.append(proposals(4...4))) == .persisted(upTo: zxid(4)))
        try journal.truncate(to: .zero)
        #expect(try journal.recover(&visitor).lastZxid == .zero)
    }

    @Test func `a cut drops snapshots that hold what is cut`() throws {
        let journal = try journal()
        _ = journal.perform(.append(proposals(1...5)))
        for (name, digest) in [(UInt32(2), UInt32(2)), (3, 5), (5, 5)] {
            _ = journal.perform(.beginSnapshot(zxid: zxid(name)))
            _ = journal.perform(.snapshotSlice(snapshotBody((1...name).map(zxid))))
            _ = journal.perform(
                .finishSnapshot(digestZxid: zxid(digest), digest: TreeDigestValue(value: 1))
            )
        }
        try journal.truncate(to: zxid(4))
        let snapshots = try disk.list("version-2").filter { $0.hasPrefix("snapshot") }.sorted()
        #expect(snapshots == ["snapshot.0", "snapshot.2"])
        var visitor = RecordingVisitor()
        #expect(try journal.recover(&visitor).snapshotZxid == zxid(2))
        #expect(visitor.sequence == (1...4).map(zxid))
    }

    @Test func `the log goes on in a new file after a start, a snapshot and at its limit`() throws {
        var journal = try journal()
        _ = journal.perform(.append(proposals(1...2)))
        _ = journal.perform(.append(proposals(3...3)))
        #expect(try logs == ["log.1"])
        _ = journal.perform(.beginSnapshot(zxid: zxid(3)))
        _ = journal.perform(.append(proposals(4...4)))
        #expect(try logs == ["log.1", "log.4"])
        journal = try self.journal(logSizeLimitKiB: 1)
        _ = journal.perform(.append(proposals(5...25)))
        _ = journal.perform(.append(proposals(26...26)))
        #expect(try logs == ["log.1", "log.1a", "log.4", "log.5"])
    }

    /// Twelve zeros and the mark of the last group.
    private let tailBytes = 12 + 33

    @Test func `padding is zeros but for one mark, and is cut when the file is closed`() throws {
        let journal = try journal(preallocationKiB: 64)
        _ = journal.perform(.append(proposals(1...1)))
        #expect(try disk.size("version-2/log.1") == 65536)
        let used = 16 + 13 + proposals(1...1)[0].bytes.count
        let padding = try disk.read("version-2/log.1", at: used, count: 70000)
        #expect(padding.prefix(12).allSatisfy { $0 == 0 })
        #expect(padding.dropFirst(tailBytes).allSatisfy { $0 == 0 })
        try journal.rollLog()
        #expect(try disk.size("version-2/log.1") == used + tailBytes)
    }

    @Test func `without padding a file ends with the mark of its last group`() throws {
        let journal = try journal(preallocationKiB: 0)
        _ = journal.perform(.append(proposals(1...1)))
        #expect(
            try disk.size("version-2/log.1")
                == 16 + 13 + proposals(1...1)[0].bytes.count + tailBytes
        )
    }

    @Test func `purging keeps the newest snapshots and the logs they need`() throws {
        let journal = try journal()
        for counter in UInt32(1)...6 {
            _ = journal.perform(.append(proposals((counter * 2 - 1)...(counter * 2))))
            _ = journal.perform(.beginSnapshot(zxid: zxid(counter * 2 - 1)))
            _ = journal.perform(.snapshotSlice(snapshotBody([])))
            _ = journal.perform(.finishSnapshot(digestZxid: .zero, digest: nil))
        }
        let removed = try journal.purge()
        #expect(
            removed.sorted() == [
                "log.1", "log.3", "log.5", "snapshot.0", "snapshot.1", "snapshot.3", "snapshot.5",
            ]
        )
        // Snapshot 7 is followed by transaction 8, which is in the file that begins with 7.
        #expect(try logs == ["log.7", "log.9", "log.b"].sorted())
        #expect(try journal.purge() == [])
        #expect(
            journal.perform(.readLog(after: zxid(3), through: zxid(9), maxBytes: 1))
                == .logRead(nil, isComplete: true)
        )
    }

    @Test func `zxids that do not increase are refused`() throws {
        let journal = try journal()
        _ = journal.perform(.append(proposals(1...2)))
        guard case .failed(let reason) = journal.perform(.append(proposals(2...2))) else {
            Issue.record("it was accepted")
            return
        }
        #expect(reason.contains("0x2"))
        guard case .failed = journal.perform(.append(proposals(3...3))) else {
            Issue.record("it went on after a failure")
            return
        }
    }

    @Test func `nothing works before recovery`() {
        let journal = Journal(disk: disk, configuration: JournalConfiguration())
        guard case .failed = journal.perform(.append(proposals(1...1))) else {
            Issue.record("it was accepted")
            return
        }
        #expect(disk.callCount == 0)
    }
}
