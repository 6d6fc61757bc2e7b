import Journal
import Simulation
import Testing
import ZooKeeperModel
import ZooKeeperWire

/// What is torn and what is damaged, and what a member of an ensemble makes of the latter.
struct DamageTests {
    private static let alone = JournalConfiguration(
        dataDirectory: "data",
        logDirectory: "log",
        preallocationKiB: 4
    )
    private static let member = JournalConfiguration(
        dataDirectory: "data",
        logDirectory: "log",
        preallocationKiB: 4,
        isMember: true,
        initializeFile: "data/initialize"
    )

    private func recovered(
        _ disk: SimulatedDisk,
        _ configuration: JournalConfiguration = member
    ) throws -> (journal: Journal, visitor: RecordingVisitor, summary: RecoverySummary) {
        let journal = Journal(disk: disk, configuration: configuration)
        var visitor = RecordingVisitor()
        let summary = try journal.recover(&visitor)
        return (journal, visitor, summary)
    }

    /// Groups of three transactions each, every group synced before the next, in an open file; and
    /// where each group ends.
    private func groups(_ count: UInt32) throws -> (disk: SimulatedDisk, ends: [Int]) {
        let disk = SimulatedDisk()
        let journal = try recovered(disk, Self.alone).journal
        var ends = [16]
        for group in 0..<count {
            let proposals = (1...3).map { (index: UInt32) in
                proposal(
                    Zxid(epoch: 0, counter: group * 3 + index),
                    dataBytes: 300 + Int(index) * 100
                )
            }
            _ = journal.perform(.append(proposals))
            ends.append(proposals.reduce(ends[ends.count - 1]) { $0 + $1.bytes.count + 13 })
        }
        return (disk, ends)
    }

    // MARK: - What cannot be read

    @Test(arguments: [alone, member])
    func `without the compressed snapshot that is needed nothing is changed`(
        _ configuration: JournalConfiguration
    ) throws {
        let pristine = try groups(2).disk
        try pristine.rename("data/snapshot.0", to: "data/snapshot.3.gz")
        // With a log that begins behind it, with one that it cuts in two, and without any.
        let behind = pristine.copy()
        try behind.rename("log/log.1", to: "log/log.4")
        let without = pristine.copy()
        try without.remove("log/log.1")
        let first = pristine.copy()
        try first.rename("data/snapshot.3.gz", to: "data/snapshot.0.gz")
        for disk in [pristine, behind, without, first] {
            let before = try disk.list("data") + disk.list("log")
            let error = #expect(throws: JournalError.self) { try recovered(disk, configuration) }
            #expect(error?.description.contains(".gz is newer") == true)
            #expect(try disk.list("data") + disk.list("log") == before)
        }
    }

    @Test func `a compressed snapshot that is not needed is passed over`() throws {
        let disk = try groups(2).disk
        try disk.write("data/snapshot.3.gz", at: 0, [0x1F, 0x8B])
        let (_, visitor, summary) = try recovered(disk)
        #expect(visitor.sequence.count == 6)
        #expect(summary.notes.contains("data/snapshot.3.gz was passed over: it is compressed"))
    }

    @Test func `damage is damage beside a compressed snapshot that is no newer`() throws {
        let (disk, ends) = try groups(6)
        try disk.write("data/snapshot.0.gz", at: 0, [0x1F, 0x8B])
        disk.flipBit("log/log.1", at: ends[2] + 40, bit: 1)
        let error = #expect(throws: JournalError.self) { try recovered(disk, Self.alone) }
        guard case .damaged? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    // MARK: - Torn or damaged

    @Test func `a sector that reads as zeros is torn in the last group, and damage before it`()
        throws
    {
        let (pristine, ends) = try groups(6)
        let lastStart = ends[5]
        for sector in 0..<((ends[6] + 511) / 512) {
            let disk = pristine.copy()
            try disk.write("log/log.1", at: sector * 512, [UInt8](repeating: 0, count: 512))
            let found = try? recovered(disk, Self.alone)
            if sector * 512 < lastStart {
                #expect(found == nil, "sector \(sector)")
            } else {
                let count = try #require(found?.visitor.sequence.count, "sector \(sector)")
                #expect((15...18).contains(count), "sector \(sector)")
                #expect(count == 18 || found?.summary.notes.isEmpty == false)
            }
        }
    }

    @Test func `a bit that flips in any entry of an open file is damage, in the last group too`()
        throws
    {
        let (pristine, ends) = try groups(3)
        // Not the database's id, at which nobody looks.
        for offset in Array(0..<8) + Array(16..<ends[3]) {
            let disk = pristine.copy()
            disk.flipBit("log/log.1", at: offset, bit: offset % 8)
            #expect(throws: JournalError.self, "offset \(offset)") {
                try recovered(disk, Self.alone)
            }
        }
    }

    @Test func `zeros that are not a whole sector are damage`() throws {
        let (pristine, ends) = try groups(3)
        for offset in stride(from: ends[2], to: ends[3] - 60, by: 7) {
            let disk = pristine.copy()
            let length = min(20, 512 - offset % 512 - 1)
            guard length > 12 else { continue }
            let before = try disk.read("log/log.1", at: offset, count: length + 40)
            try disk.write("log/log.1", at: offset, [UInt8](repeating: 0, count: length))
            let after = try disk.read("log/log.1", at: offset, count: length + 40)
            guard before != after, after.dropFirst(length).contains(where: { $0 != 0 }) else {
                continue
            }
            #expect(throws: JournalError.self, "offset \(offset)") {
                try recovered(disk, Self.alone)
            }
        }
    }

    @Test func `what was recovered once is durable: zeros in it are damage at the next start`()
        throws
    {
        let (disk, ends) = try groups(2)
        _ = try recovered(disk, Self.alone)
        let sector = ends[1] / 512 + 1
        try disk.write("log/log.1", at: sector * 512, [UInt8](repeating: 0, count: 512))
        #expect(throws: JournalError.self) { try recovered(disk, Self.alone) }
    }

    /// A length that reaches beyond the file's end looks like an entry that was cut short.
    @Test func `a length that flips after a start and a power loss is damage all the same`() throws
    {
        for seed in 1...20 {
            var random = SimulationRandom(seed: UInt64(seed))
            let (pristine, ends) = try groups(2)
            pristine.crash(using: &random)
            _ = try recovered(pristine, Self.alone)
            pristine.crash(using: &random)
            // After eight bytes of checksum.
            for offset in [16, ends[1]].flatMap({ ($0 + 9)..<($0 + 11) }) {
                for bit in 0..<8 {
                    let disk = pristine.copy()
                    disk.flipBit("log/log.1", at: offset, bit: bit)
                    #expect(throws: JournalError.self, "seed \(seed), bit \(bit) of \(offset)") {
                        try recovered(disk, Self.alone)
                    }
                }
            }
        }
    }

    // MARK: - New, wiped, or synchronized

    @Test func `a member's empty disk has no vote until an epoch is its own`() throws {
        let disk = SimulatedDisk()
        #expect(try recovered(disk).summary.suffrage == .none)
        let journal = try recovered(disk).journal
        try journal.storeEpoch(.accepted, 4)
        // The synchronization gets as far as this, and no further.
        try journal.append([proposal(Zxid(epoch: 4, counter: 1))])
        try journal.sync()
        let second = try recovered(disk)
        #expect(second.summary.suffrage == .none)
        try second.journal.storeEpoch(.current, 4)
        #expect(try recovered(disk).summary.suffrage == .full)
        #expect(try recovered(SimulatedDisk(), Self.alone).summary.suffrage == .full)
    }

    @Test func `a history without epochs is one of a server alone, and votes`() throws {
        let disk = SimulatedDisk()
        let journal = try recovered(disk).journal
        try journal.append([proposal(Zxid(epoch: 0, counter: 1))])
        try journal.sync()
        #expect(try recovered(disk).summary.suffrage == .full)
    }

    @Test func `the file initialize lets an empty disk vote, and is removed`() throws {
        let disk = SimulatedDisk()
        _ = try recovered(disk)
        try disk.write("data/initialize", at: 0, [])
        try disk.write("data/initialize", at: 0, [0x0A])
        #expect(try recovered(disk).summary.suffrage == .full)
        #expect(try disk.size("data/initialize") == nil)
        let again = try recovered(disk)
        #expect(again.summary.suffrage == .full)
        try again.journal.storeEpoch(.accepted, 1)
        try again.journal.storeEpoch(.current, 1)
        #expect(try recovered(disk).summary.suffrage == .full)
        // Used up: it says nothing about the next disk.
        #expect(try disk.size("data/zkfs") == nil)
    }

    // MARK: - Damaged

    /// Epoch 4, in which seven transactions were logged, and epoch 6 promised.
    private func history() throws -> SimulatedDisk {
        let disk = SimulatedDisk()
        let journal = try recovered(disk).journal
        try journal.storeEpoch(.accepted, 4)
        try journal.storeEpoch(.current, 4)
        for counter in UInt32(1)...7 {
            _ = journal.perform(.append([proposal(Zxid(epoch: 4, counter: counter))]))
        }
        try journal.storeEpoch(.accepted, 6)
        return disk
    }

    private func checkAnew(_ disk: SimulatedDisk, promised: Int64 = 6) throws {
        let first = try recovered(disk)
        #expect(first.summary.suffrage == .lost)
        #expect(first.summary.lastZxid == .zero && first.visitor.sequence == [])
        #expect(first.summary.acceptedEpoch >= promised && first.summary.currentEpoch == 0)
        // A restart changes nothing about it.
        let second = try recovered(disk)
        #expect(second.summary.suffrage == .lost)
        #expect(second.summary.acceptedEpoch == first.summary.acceptedEpoch)
        let zxid = Zxid(epoch: 6, counter: 3)
        try second.journal.storeEpoch(.accepted, 7)
        try second.journal.beginInstall(zxid: zxid)
        try second.journal.writeSnapshotSlice(snapshotBody([zxid]))
        _ = try second.journal.finishSnapshot(digestZxid: zxid, digest: nil)
        #expect(try recovered(disk).summary.suffrage == .lost)
        let last = try recovered(disk)
        try last.journal.storeEpoch(.current, 7)
        let synchronized = try recovered(disk)
        #expect(synchronized.summary.suffrage == .full)
        #expect(synchronized.visitor.sequence == [zxid])
    }

    @Test func `a member puts damaged files aside, names them and votes after a synchronization`()
        throws
    {
        let disk = try history()
        disk.flipBit("log/log.400000001", at: 60)
        let notes = try recovered(disk.copy()).summary.notes
        #expect(notes.contains { $0.contains("log/log.400000001 is damaged at offset 16") })
        #expect(notes.contains { $0.contains("damaged.*") && $0.contains("no vote") })
        try checkAnew(disk)
        #expect(try disk.size("log/damaged.log.400000001") != nil)
        #expect(try disk.size("data/damaged.snapshot.0") != nil)
    }

    @Test(arguments: ["acceptedEpoch", "currentEpoch"])
    func `without one of its epochs a member has no vote, and keeps what it can know`(
        _ name: String
    ) throws {
        for isRemoved in [true, false] {
            let disk = try history()
            if isRemoved {
                try disk.remove("data/" + name)
            } else {
                try disk.write("data/" + name, at: 0, [0x78])
            }
            // With its promise lost, the epoch of its history is what is left of it.
            try checkAnew(disk, promised: name == "acceptedEpoch" ? 4 : 6)
        }
    }

    @Test func `the operator may say that missing epochs were never there`() throws {
        let disk = try history()
        try disk.remove("data/acceptedEpoch")
        try disk.remove("data/currentEpoch")
        try disk.write("data/initialize", at: 0, [0x0A])
        let summary = try recovered(disk).summary
        #expect(summary.suffrage == .full && summary.lastZxid == Zxid(epoch: 4, counter: 7))
    }

    @Test func `only the latest damage is kept`() throws {
        let disk = try history()
        disk.flipBit("log/log.400000001", at: 60)
        let journal = try recovered(disk).journal
        try journal.storeEpoch(.accepted, 7)
        try journal.storeEpoch(.current, 7)
        try journal.append([proposal(Zxid(epoch: 7, counter: 1))])
        try journal.sync()
        disk.flipBit("log/log.700000001", at: 60)
        #expect(try recovered(disk).summary.suffrage == .lost)
        let kept = try disk.list("log").filter { $0.hasPrefix("damaged") }
        #expect(kept == ["damaged.log.700000001"])
    }

    @Test func `putting aside survives a power loss at every call`() throws {
        let pristine = try history()
        pristine.flipBit("log/log.400000001", at: 60)
        var calls = 0
        while true {
            let disk = pristine.copy()
            disk.powerOffAfter = calls
            let isDone = (try? recovered(disk)) != nil
            for seed in 0..<4 {
                let after = disk.copy()
                var generator = SimulationRandom(seed: UInt64(calls * 10 + seed))
                after.crash(using: &generator)
                let summary = try recovered(after).summary
                #expect(summary.suffrage == .lost, "call \(calls)")
                #expect(summary.acceptedEpoch == 6, "call \(calls)")
                #expect(summary.lastZxid == .zero, "call \(calls)")
            }
            if isDone { break }
            calls += 1
        }
        #expect(calls > 30)
    }

    @Test func `the ensemble's name is kept, whatever happens to the rest`() throws {
        let disk = try history()
        let name = EnsembleName(number: -9, isSettled: true)
        let journal = try recovered(disk).journal
        #expect(journal.perform(.storeEnsemble(EnsembleName(number: -9))) == nil)
        #expect(try recovered(disk).summary.ensemble == EnsembleName(number: -9))
        let second = try recovered(disk)
        #expect(second.journal.perform(.storeEnsemble(name)) == nil)
        #expect(try recovered(disk).summary.ensemble == name)
        disk.flipBit("log/log.400000001", at: 60)
        let damaged = try recovered(disk).summary
        #expect(damaged.suffrage == .lost && damaged.ensemble == name)
        let text = try disk.read("data/zkfs", at: 0, count: 100)
        #expect(
            String(decoding: text, as: UTF8.self)
                == "zkfs 1\ndisk damaged\nensemble fffffffffffffff7 settled\n"
        )
    }

    @Test(arguments: [
        "", "zkfs 1", "zkfs 2\n", "zkfs 1\ndisk new\n", "zkfs 1\nensemble 5\n",
        "zkfs 1\nensemble x settled\n", "zkfs 1\nother\n", "\n\n",
    ])
    func `a side file that cannot be read takes the vote from a disk without an epoch`(
        _ text: String
    ) throws {
        let disk = SimulatedDisk()
        _ = try recovered(disk)
        try disk.write("data/zkfs", at: 0, Array(text.utf8))
        #expect(try recovered(disk).summary.suffrage == .lost)
    }

    @Test func `mixed-up directories are a mistake, not damage`() throws {
        let disk = try history()
        try disk.write("data/log.1", at: 0, [1])
        #expect(throws: JournalError.self) { try recovered(disk) }
        #expect(try disk.size("log/log.400000001") != nil)
    }
}
