import Journal
import Simulation
import Testing
import ZooKeeperModel
import ZooKeeperWire

/// What ZooKeeper's files lost or no server would read any more, replayed. The numbers are those of
/// its issues; the table is Docs/Histories.md.
struct HistoriesOfStorageTests {
    private let disk = SimulatedDisk()

    private func recovered(
        trusting: Bool = false
    ) throws -> (
        journal: Journal, sequence: [Zxid], summary: RecoverySummary
    ) {
        let journal = Journal(
            disk: disk,
            configuration: JournalConfiguration(
                dataDirectory: "data",
                logDirectory: "log",
                preallocationKiB: 4,
                trustsMissingSnapshot: trusting
            )
        )
        var visitor = RecordingVisitor()
        let summary = try journal.recover(&visitor)
        return (journal, visitor.sequence, summary)
    }
    private func zxids(_ epoch: Int64, _ range: ClosedRange<UInt32>) -> [Zxid] {
        range.map { Zxid(epoch: epoch, counter: $0) }
    }
    private func append(_ journal: Journal, _ zxids: [Zxid]) throws {
        for kind in [EpochKind.accepted, .current] {
            try journal.storeEpoch(kind, zxids[0].epoch)
        }
        try journal.append(zxids.map { proposal($0) })
        try journal.sync()
    }
    private func snapshot(_ journal: Journal, _ sequence: [Zxid]) throws {
        let zxid = sequence.last ?? .zero
        try journal.beginSnapshot(zxid: zxid)
        try journal.writeSnapshotSlice(snapshotBody(sequence))
        _ = try journal.finishSnapshot(digestZxid: zxid, digest: nil)
    }
    private func crash(_ seed: UInt64) {
        var generator = SimulationRandom(seed: seed)
        disk.crash(using: &generator)
    }

    /// ZOOKEEPER-1489: a log was cut, and what was appended after that came behind what was left of
    /// the cut end: at the next start it was not read.
    @Test func `what is appended after a cut is what follows it at the next start`() throws {
        for cut in UInt32(1)...8 {
            var (journal, before, _) = try recovered()
            let kept = before.isEmpty ? [] : before
            let epoch = Int64(cut)
            try append(journal, zxids(epoch, 1...9))
            let place = Zxid(epoch: epoch, counter: cut)
            try journal.truncate(to: place)
            (journal, before, _) = try recovered()
            #expect(before == kept + zxids(epoch, 1...cut))
            let next = Zxid(epoch: epoch, counter: cut + 1)
            try append(journal, [next])
            crash(UInt64(cut))
            let after = try recovered()
            #expect(after.sequence == kept + zxids(epoch, 1...(cut + 1)))
            #expect(after.summary.lastZxid == next)
        }
    }

    /// ZOOKEEPER-2325, 3056, 3644, 3781: with logs and no snapshot a server started empty; trusted to
    /// start all the same, it did not read the logs, or had to be trusted at every start again.
    @Test func `a server without its snapshot is not empty`() throws {
        try append(try recovered().journal, zxids(1, 1...5))
        for name in try disk.list("data") where name.hasPrefix("snapshot.") {
            try disk.remove("data/" + name)
        }
        #expect(throws: JournalError.self) { try recovered() }
        #expect(try recovered(trusting: true).sequence == zxids(1, 1...5))
        crash(1)
        #expect(try recovered().sequence == zxids(1, 1...5), "it has a snapshot now")
    }

    /// ZOOKEEPER-3231: the newest snapshots were not whole; purging counted them, and removed the logs
    /// that the one before them needed.
    @Test(arguments: ["cut", "empty"])
    func `purging leaves the logs that the newest sound snapshots need`(damage: String) throws {
        let journal = try recovered().journal
        var sequence: [Zxid] = []
        for counter in UInt32(1)...8 {
            sequence.append(Zxid(epoch: 1, counter: counter))
            try append(journal, [sequence[sequence.count - 1]])
            try snapshot(journal, sequence)
        }
        for counter in 5...8 {
            let name = "data/snapshot.10000000\(counter)"
            let size = try #require(try disk.size(name))
            try disk.truncate(name, to: damage == "cut" ? size - 20 : 0)
        }
        let purged = try journal.purge()
        #expect(purged.contains("snapshot.100000001") && !purged.contains("snapshot.100000002"))
        let after = try recovered()
        #expect(after.sequence == sequence)
        #expect(after.summary.snapshotZxid == Zxid(epoch: 1, counter: 4))
        // Down to the oldest of those that were kept.
        for counter in 3...4 { try disk.truncate("data/snapshot.10000000\(counter)", to: 0) }
        #expect(try recovered().sequence == sequence)
    }

    /// ZOOKEEPER-2307, 4269: the draft of an epoch could not be renamed, or was left behind; the server
    /// did not start any more, or took the draft for the promise.
    @Test func `drafts of epochs that were left behind stop nobody and promise nothing`() throws {
        var journal = try recovered().journal
        try journal.storeEpoch(.accepted, 3)
        try journal.storeEpoch(.current, 3)
        try append(journal, zxids(3, 1...2))
        for text in ["", "x", "2", "9"] {
            for name in ["data/acceptedEpoch.tmp", "data/currentEpoch.tmp"] {
                try disk.write(name, at: 0, Array(text.utf8))
                try disk.truncate(name, to: text.utf8.count)
            }
            let found = try recovered()
            #expect(found.summary.acceptedEpoch == 3 && found.summary.currentEpoch == 3)
            #expect(found.sequence == zxids(3, 1...2))
            journal = found.journal
        }
        try journal.storeEpoch(.accepted, 4)
        crash(7)
        #expect(try recovered().summary.acceptedEpoch == 4)
    }
}
