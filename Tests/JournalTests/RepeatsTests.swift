import Journal
import Simulation
import Testing
import ZooKeeperModel
import ZooKeeperWire

/// Logs as Apache's servers leave them: with stretches that were logged twice after a synchronization,
/// or with an entry torn by a kill.
struct RepeatsTests {
    private static let configuration = JournalConfiguration(
        dataDirectory: "data",
        logDirectory: "log",
        preallocationKiB: 4
    )

    private func recovered(
        _ disk: SimulatedDisk
    ) throws -> (journal: Journal, visitor: RecordingVisitor, summary: RecoverySummary) {
        let journal = Journal(disk: disk, configuration: Self.configuration)
        var visitor = RecordingVisitor()
        let summary = try journal.recover(&visitor)
        return (journal, visitor, summary)
    }

    private func zxids(_ range: ClosedRange<UInt32>) -> [Zxid] {
        range.map { Zxid(epoch: 0, counter: $0) }
    }

    /// A disk whose files hold these stretches, one after the other, and zeros behind them.
    private func disk(
        _ files: [(name: String, stretches: [ClosedRange<UInt32>])],
        dataBytes: (Int) -> Int = { _ in 40 }
    ) throws -> SimulatedDisk {
        let disk = SimulatedDisk()
        _ = try recovered(disk)
        for file in files {
            var bytes = FileHeader.log.bytes
            for (index, stretch) in file.stretches.enumerated() {
                for zxid in zxids(stretch) {
                    let entry = proposal(zxid, dataBytes: dataBytes(index)).bytes
                    var header = JuteWriter(capacityBytes: 12)
                    header.int64(Int64(Adler32.checksum(of: entry)))
                    header.int32(Int32(entry.count))
                    bytes += header.bytes + entry + [0x42]
                }
            }
            try disk.write("log/" + file.name, at: 0, bytes + [UInt8](repeating: 0, count: 512))
        }
        return disk
    }

    @Test func `what was logged twice counts once`() throws {
        let disk = try disk([
            ("log.1", [1...3]), ("log.4", [4...9, 4...6, 4...4, 4...12, 13...14]),
        ])
        let (journal, visitor, summary) = try recovered(disk)
        #expect(visitor.sequence == zxids(1...14))
        #expect(summary.lastZxid == zxids(14...14)[0])
        #expect(summary.notes.contains("log/log.4 holds 10 transactions that the log has already"))
        // Learners are sent each once, from wherever they stand.
        for after in 0..<UInt32(14) {
            let read = try journal.readLog(
                after: Zxid(epoch: 0, counter: after),
                through: summary.lastZxid,
                maxBytes: 1 << 20
            )
            #expect(read.proposals?.map(\.zxid) == zxids((after + 1)...14), "after \(after)")
        }
        try journal.append([proposal(Zxid(epoch: 0, counter: 15))])
        try journal.sync()
        #expect(try recovered(disk).visitor.sequence == zxids(1...15))
    }

    @Test func `a log with repetitions is cut where it is told to be`() throws {
        let pristine = try disk([("log.1", [1...3]), ("log.4", [4...9, 4...6, 4...12])])
        for last in 2...12 as ClosedRange<UInt32> {
            let disk = pristine.copy()
            let journal = try recovered(disk).journal
            try journal.truncate(to: Zxid(epoch: 0, counter: last))
            #expect(try recovered(disk).visitor.sequence == zxids(1...last), "cut after \(last)")
        }
    }

    @Test func `a file may repeat the end of the one before`() throws {
        let pristine = try disk([("log.1", [1...9]), ("log.4", [4...5, 4...12])])
        let (journal, visitor, summary) = try recovered(pristine)
        #expect(visitor.sequence == zxids(1...12))
        #expect(
            try journal.readLog(
                after: Zxid(epoch: 0, counter: 9),
                through: summary.lastZxid,
                maxBytes: 1 << 20
            ).proposals?.map(\.zxid) == zxids(10...12)
        )
        // Of what lies before, no file alone has all: the whole tree is sent instead.
        #expect(
            try journal.readLog(
                after: Zxid(epoch: 0, counter: 7),
                through: summary.lastZxid,
                maxBytes: 1 << 20
            ).proposals == nil
        )
        for last in 2...12 as ClosedRange<UInt32> {
            let disk = pristine.copy()
            let journal = try recovered(disk).journal
            try journal.truncate(to: Zxid(epoch: 0, counter: last))
            #expect(try recovered(disk).visitor.sequence == zxids(1...last), "cut after \(last)")
        }
    }

    /// As a kill of Apache's process leaves the log: what its buffer held of the last entry is missing.
    @Test func `an entry that ends between two of its pieces is torn where only zeros follow`()
        throws
    {
        let pristine = try disk([("log.1", [1...3])])
        let length = proposal(Zxid(epoch: 0, counter: 3)).bytes.count
        let start = FileHeader.log.bytes.count + 2 * (12 + length + 1)
        let size = try #require(try pristine.size("log/log.1"))
        for piece in [8, 11, 12, 12 + length] {
            let disk = pristine.copy()
            try disk.truncate("log/log.1", to: start + piece)
            try disk.write(
                "log/log.1",
                at: start + piece,
                [UInt8](repeating: 0, count: size - start - piece)
            )
            let damaged = disk.copy()
            let (journal, visitor, summary) = try recovered(disk)
            #expect(visitor.sequence == zxids(1...2), "after \(piece) bytes")
            #expect(summary.notes.contains { $0.contains("ends at offset \(start)") })
            try journal.append([proposal(Zxid(epoch: 0, counter: 3))])
            try journal.sync()
            #expect(try recovered(disk).visitor.sequence == zxids(1...3))
            // With anything behind it, it was whole once.
            try damaged.write("log/log.1", at: size - 1, [1])
            #expect(throws: JournalError.self, "after \(piece) bytes") { try recovered(damaged) }
        }
    }

    @Test func `what comes again and is not the same is damage`() throws {
        let other = try disk([("log.1", [1...9, 4...12])], dataBytes: { $0 == 0 ? 40 : 41 })
        #expect(throws: JournalError.self) { try recovered(other) }
        // 5 was never there.
        let hole = try disk([("log.1", [1...4, 6...9, 5...5])])
        #expect(throws: JournalError.self) { try recovered(hole) }
    }
}
