import Foundation
import Journal
import Simulation
import Testing
import ZooKeeperModel
import ZooKeeperWire

/// Files that Apache ZooKeeper 3.8.0 wrote; see Tests/Golden/README.md.
struct ApacheFilesTests {
    private func golden(_ name: String) throws -> [UInt8] {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("Golden/apache-3.8.0/" + name)
        let digits = try String(contentsOf: file, encoding: .utf8).split(separator: "\n")
            .filter { !$0.hasPrefix("#") }.joined().compactMap(\.hexDigitValue)
        return stride(from: 0, to: digits.count - 1, by: 2).map {
            UInt8(digits[$0] << 4 | digits[$0 + 1])
        }
    }

    private func recovered(
        _ disk: SimulatedDisk
    ) throws -> (visitor: RecordingVisitor, summary: RecoverySummary) {
        var visitor = RecordingVisitor()
        let summary = try Journal(disk: disk, configuration: JournalConfiguration())
            .recover(&visitor)
        return (visitor, summary)
    }

    @Test func `a log of Apache's is replayed whole, with its padding and without`() throws {
        let log = try golden("log.hex")
        for padding in [0, 70_000] {
            let disk = SimulatedDisk()
            _ = try recovered(disk)
            try disk.write("version-2/log.1", at: 0, log)
            try disk.truncate("version-2/log.1", to: log.count + padding)
            let (visitor, summary) = try recovered(disk)
            #expect(visitor.sequence.first == Zxid(rawValue: 1))
            #expect(visitor.sequence.count > 10)
            #expect(
                visitor.sequence == (1...Int64(visitor.sequence.count)).map(Zxid.init(rawValue:))
            )
            #expect(summary.notes == [])
        }
    }

    @Test func `a snapshot of Apache's is loaded, and every cut of it is passed over`() throws {
        let snapshot = try golden("snapshot.hex")
        let log = try golden("log.hex")
        let disk = SimulatedDisk()
        _ = try recovered(disk)
        try disk.write("version-2/log.1", at: 0, log)
        let last = try recovered(disk).summary.lastZxid
        let name = "version-2/snapshot.\(last.hexadecimal)"
        try disk.write(name, at: 0, snapshot)
        let (visitor, summary) = try recovered(disk)
        #expect(summary.snapshotZxid == last)
        #expect(summary.snapshotBytes == snapshot.count)
        #expect(visitor.sequence == [])
        let sessions = visitor.elements.filter { element in
            if case .session = element { true } else { false }
        }
        #expect(sessions.count == 1)
        for size in stride(from: 0, to: snapshot.count, by: 7) {
            let cut = disk.copy()
            try cut.truncate(name, to: size)
            let (visitor, summary) = try recovered(cut)
            #expect(visitor.sequence.last == last)
            #expect(summary.notes.count == 1)
        }
    }
}
