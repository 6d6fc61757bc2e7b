import Journal
import Simulation
import Testing
import ZooKeeperModel
import ZooKeeperWire

/// What recovery accepts, repairs, passes over and refuses.
struct RecoveryTests {
    private static let configuration = JournalConfiguration(
        dataDirectory: "data",
        logDirectory: "log",
        preallocationKiB: 4
    )

    private func recovered(
        _ disk: SimulatedDisk,
        _ configuration: JournalConfiguration = configuration
    ) throws -> (journal: Journal, visitor: RecordingVisitor, summary: RecoverySummary) {
        let journal = Journal(disk: disk, configuration: configuration)
        var visitor = RecordingVisitor()
        let summary = try journal.recover(&visitor)
        return (journal, visitor, summary)
    }

    private func zxids(_ range: ClosedRange<UInt32>) -> [Zxid] {
        range.map { Zxid(epoch: 0, counter: $0) }
    }

    /// A disk whose log files hold these transactions of epoch 0.
    private func disk(_ files: [ClosedRange<UInt32>]) throws -> SimulatedDisk {
        let disk = SimulatedDisk()
        let journal = try recovered(disk).journal
        for file in files {
            try journal.append(zxids(file).map { proposal($0) })
            try journal.rollLog()
        }
        return disk
    }

    private func refusal(_ disk: SimulatedDisk) -> JournalError? {
        do {
            _ = try recovered(disk)
            return nil
        } catch {
            return error as? JournalError
        }
    }

    @Test func `an empty disk becomes what ZooKeeper begins with`() throws {
        let disk = SimulatedDisk()
        let (_, visitor, summary) = try recovered(disk)
        #expect(summary.isFresh)
        #expect(summary.lastZxid == .zero)
        #expect(visitor.sequence == [])
        let paths = visitor.elements.compactMap { element -> ZnodePath? in
            guard case .znode(let znode) = element else { return nil }
            return znode.path
        }
        #expect(paths == ["/", "/zookeeper", "/zookeeper/config", "/zookeeper/quota"])
        // Length and seals as Apache ZooKeeper 3.8.0 writes them.
        let bytes = try disk.read("data/snapshot.0", at: 0, count: 1000)
        #expect(bytes.count == 457)
        #expect(Array(bytes[411..<419]) == [0, 0, 0, 0, 0xB8, 0xA2, 0x3B, 0x49])
        #expect(Array(bytes[444..<452]) == [0, 0, 0, 0, 0x95, 0xB9, 0x3D, 0x59])
        #expect(try !recovered(disk).summary.isFresh)
    }

    @Test func `entries are the bytes that were proposed`() throws {
        let disk = try disk([1...3])
        #expect(try recovered(disk).visitor.encoded == zxids(1...3).map { proposal($0).bytes })
    }

    @Test func `a flipped bit in the log stops the start with file, offset and reason`() throws {
        for offset in [20, 40, 60, 100] {
            let disk = try disk([1...9])
            disk.flipBit("log/log.1", at: offset)
            guard case .damaged(let file, let place, _) = refusal(disk) else {
                Issue.record("offset \(offset): \(String(describing: refusal(disk)))")
                continue
            }
            #expect(file == "log/log.1")
            #expect(place == 16)
        }
    }

    @Test func `a flipped bit anywhere in the log never goes unnoticed`() throws {
        let pristine = try disk([1...3])
        let size = try #require(try pristine.size("log/log.1"))
        for offset in 0..<size where !(8..<16).contains(offset) {
            let disk = pristine.copy()
            disk.flipBit("log/log.1", at: offset, bit: offset % 8)
            do {
                let found = try recovered(disk)
                // A length that reaches beyond the end looks like a torn entry, and is said.
                #expect(!found.summary.notes.isEmpty, "offset \(offset)")
            } catch {
                #expect(error is JournalError)
            }
        }
    }

    @Test func `a file cut anywhere in its last entry loses just this entry`() throws {
        let pristine = try disk([1...3])
        let last = proposal(Zxid(epoch: 0, counter: 3)).bytes.count + 13
        let size = 16 + 3 * last
        for cut in (size - last)..<size {
            let disk = pristine.copy()
            try disk.truncate("log/log.1", to: cut)
            let (journal, visitor, summary) = try recovered(disk)
            #expect(visitor.sequence == zxids(1...2))
            #expect(summary.notes.isEmpty == (cut <= size - last + 4), "cut at \(cut)")
            try journal.append([proposal(Zxid(epoch: 0, counter: 3))])
            try journal.sync()
            #expect(try recovered(disk).visitor.sequence == zxids(1...3))
        }
    }

    @Test func `a lost sector in the last entries is a torn tail`() throws {
        let disk = SimulatedDisk()
        let journal = try recovered(disk).journal
        try journal.append([proposal(Zxid(epoch: 0, counter: 1), dataBytes: 3000)])
        try journal.append([proposal(Zxid(epoch: 0, counter: 2), dataBytes: 3000)])
        try journal.sync()
        try disk.write("log/log.1", at: 4096, [UInt8](repeating: 0, count: 512))
        let (_, visitor, summary) = try recovered(disk)
        #expect(visitor.sequence == zxids(1...1))
        #expect(summary.notes.contains { $0.contains("sector") })
    }

    @Test func `zeros with a whole group of entries behind them are damage`() throws {
        let configuration = JournalConfiguration(
            dataDirectory: "data",
            logDirectory: "log",
            preallocationKiB: 0,
            maximumEntryBytes: 1 << 20
        )
        let disk = SimulatedDisk()
        let journal = try recovered(disk, configuration).journal
        for counter in UInt32(1)...12 {
            try journal.append([proposal(Zxid(epoch: 0, counter: counter), dataBytes: 1_000_000)])
            try journal.sync()
        }
        try disk.write("log/log.1", at: 1024, [UInt8](repeating: 0, count: 512))
        #expect(throws: JournalError.self) { try recovered(disk, configuration) }
    }

    @Test func `a missing log file between others stops the start`() throws {
        let disk = try disk([1...3, 4...6, 7...9])
        try disk.remove("log/log.4")
        guard case .damaged(let file, _, let reason) = refusal(disk) else {
            Issue.record("not refused")
            return
        }
        #expect(file == "log/log.7")
        #expect(reason.contains("missing"))
    }

    @Test(arguments: [0, 7, 16, 40])
    func `a newest log without an entry is removed`(_ bytes: Int) throws {
        let disk = try disk([1...3])
        var content = FileHeader.log.bytes + [UInt8](repeating: 0, count: 24)
        content.removeLast(40 - bytes)
        try disk.write("log/log.4", at: 0, content)
        let (journal, visitor, summary) = try recovered(disk)
        #expect(visitor.sequence == zxids(1...3))
        #expect(summary.notes.count == 1)
        #expect(try disk.size("log/log.4") == nil)
        try journal.append([proposal(Zxid(epoch: 0, counter: 4))])
        try journal.sync()
        #expect(try recovered(disk).visitor.sequence == zxids(1...4))
    }

    @Test func `a bad snapshot is named, and an older one serves`() throws {
        let disk = try disk([1...3])
        let journal = try recovered(disk).journal
        for count in UInt32(3)...4 {
            try journal.beginSnapshot(zxid: Zxid(epoch: 0, counter: count))
            try journal.writeSnapshotSlice(snapshotBody(zxids(1...count)))
            _ = try journal.finishSnapshot(
                digestZxid: Zxid(epoch: 0, counter: count),
                digest: TreeDigestValue(value: 1)
            )
            try journal.append([proposal(Zxid(epoch: 0, counter: count + 1))])
            try journal.sync()
        }
        let size = try #require(try disk.size("data/snapshot.4"))
        for offset in [0, 30, size / 2, size - 40, size - 8, size - 1] {
            let bad = disk.copy()
            bad.flipBit("data/snapshot.4", at: offset)
            let (_, visitor, summary) = try recovered(bad)
            #expect(visitor.sequence == zxids(1...5), "offset \(offset)")
            #expect(summary.snapshotZxid == Zxid(epoch: 0, counter: 3))
            #expect(summary.notes.contains { $0.contains("data/snapshot.4 is bad") })
        }
        for name in ["data/snapshot.4", "data/snapshot.3", "data/snapshot.0"] {
            disk.flipBit(name, at: 100)
        }
        guard case .refused(let reason) = refusal(disk) else {
            Issue.record("not refused")
            return
        }
        #expect(reason.contains("no snapshot"))
    }

    /// Snapshots at 3 and 5; then the log loses its end, transactions 5 and what follows.
    private func diskThatLostItsEnd() throws -> SimulatedDisk {
        let disk = try disk([1...3])
        let journal = try recovered(disk).journal
        for (zxid, next) in [(3, 4...5), (5, 6...6)] as [(UInt32, ClosedRange<UInt32>)] {
            let zxid = Zxid(epoch: 0, counter: zxid)
            try journal.beginSnapshot(zxid: zxid)
            try journal.writeSnapshotSlice(snapshotBody(zxids(1...zxid.counter)))
            _ = try journal.finishSnapshot(digestZxid: zxid, digest: nil)
            try journal.append(zxids(next).map { proposal($0) })
            try journal.sync()
        }
        try disk.remove("log/log.6")
        let size = try #require(try disk.size("log/log.4"))
        try disk.truncate("log/log.4", to: 16 + (size - 16) / 2)
        return disk
    }

    @Test func `a hole between the log's end and a snapshot is never read across`() throws {
        let disk = try diskThatLostItsEnd()
        let (journal, visitor, summary) = try recovered(disk)
        #expect(visitor.sequence == zxids(1...5) && summary.lastZxid == zxids(5...5)[0])
        // Nothing tells this from the next epoch's first transaction.
        let next = Zxid(epoch: 1, counter: 1)
        try journal.append([proposal(next)])
        try journal.sync()
        for after in zxids(1...4) {
            let read = try journal.readLog(after: after, through: next, maxBytes: 1 << 20)
            #expect(read.proposals == nil, "after \(after)")
        }
        let read = try journal.readLog(after: zxids(5...5)[0], through: next, maxBytes: 1 << 20)
        #expect(read.proposals == [proposal(next)])
    }

    @Test func `a log that ends before a bad snapshot's zxid is refused`() throws {
        let disk = try diskThatLostItsEnd()
        disk.flipBit("data/snapshot.5", at: 60)
        guard case .refused(let reason) = refusal(disk) else {
            Issue.record("not refused")
            return
        }
        #expect(reason.contains("data/snapshot.5") && reason.contains("missing"))
    }

    @Test func `logs without a snapshot are refused unless trusted`() throws {
        let disk = try disk([1...3])
        try disk.remove("data/snapshot.0")
        guard case .refused = refusal(disk) else {
            Issue.record("not refused")
            return
        }
        var trusting = Self.configuration
        trusting.trustsMissingSnapshot = true
        #expect(try recovered(disk, trusting).visitor.sequence == zxids(1...3))
        #expect(try recovered(disk).visitor.sequence == zxids(1...3))
    }

    @Test func `mixed-up directories are refused`() throws {
        let disk = try disk([1...3])
        try disk.write("data/log.1", at: 0, [1])
        guard case .misplaced(let reason) = refusal(disk) else {
            Issue.record("not refused")
            return
        }
        #expect(reason.contains("data/log.1"))
    }

    @Test func `digests that differ are counted and named`() throws {
        let disk = SimulatedDisk()
        let journal = try recovered(disk).journal
        for counter in UInt32(1)...3 {
            let transaction = Transaction(
                session: SessionID(rawValue: 1),
                cxid: 1,
                zxid: Zxid(epoch: 0, counter: counter),
                time: Timestamp(rawValue: 1),
                body: .createSession(timeout: 1),
                digest: TreeDigestValue(value: counter == 2 ? 8 : 7)
            )
            try journal.append([
                Proposal(zxid: transaction.zxid, bytes: TransactionCodec.encode(transaction))
            ])
        }
        try journal.sync()
        var visitor = RecordingVisitor(treeDigest: TreeDigestValue(value: 7))
        var summary = try Journal(disk: disk, configuration: Self.configuration).recover(&visitor)
        #expect(summary.digestMismatches == 1)
        #expect(summary.notes.contains { $0.contains("digest") && $0.contains("0x2") })
        var unchecked = Self.configuration
        unchecked.checksDigests = false
        summary = try Journal(disk: disk, configuration: unchecked).recover(&visitor)
        #expect(summary.digestMismatches == 0)
    }

    // MARK: Epochs

    private func write(_ text: String, to name: String, on disk: SimulatedDisk) throws {
        try disk.write("data/" + name, at: 0, Array(text.utf8))
        try disk.truncate("data/" + name, to: text.utf8.count)
    }

    private func diskOfEpoch(_ epoch: Int64) throws -> SimulatedDisk {
        let disk = SimulatedDisk()
        let journal = try recovered(disk).journal
        try journal.storeEpoch(.accepted, epoch)
        try journal.storeEpoch(.current, epoch)
        try journal.append([proposal(Zxid(epoch: epoch, counter: 1))])
        try journal.sync()
        return disk
    }

    @Test func `missing epochs are those of the last transaction, and written`() throws {
        let disk = try diskOfEpoch(4)
        try disk.remove("data/acceptedEpoch")
        try disk.remove("data/currentEpoch")
        let summary = try recovered(disk).summary
        #expect(summary.acceptedEpoch == 4 && summary.currentEpoch == 4)
        #expect(try disk.read("data/acceptedEpoch", at: 0, count: 9) == Array("4".utf8))
        #expect(try disk.read("data/currentEpoch", at: 0, count: 9) == Array("4".utf8))
    }

    @Test func `an accepted epoch below the current one is refused`() throws {
        let disk = try diskOfEpoch(4)
        try write("3", to: "acceptedEpoch", on: disk)
        guard case .refused(let reason) = refusal(disk) else {
            Issue.record("not refused")
            return
        }
        #expect(reason.contains("acceptedEpoch holds 3"))
    }

    @Test func `a log beyond both epochs is refused`() throws {
        let disk = try diskOfEpoch(4)
        try write("3", to: "acceptedEpoch", on: disk)
        try write("3", to: "currentEpoch", on: disk)
        guard case .refused(let reason) = refusal(disk) else {
            Issue.record("not refused")
            return
        }
        #expect(reason.contains("currentEpoch holds 3"))
    }

    @Test func `a draft of the current epoch is completed`() throws {
        let disk = try diskOfEpoch(4)
        try write("3", to: "currentEpoch", on: disk)
        try write("4", to: "currentEpoch.tmp", on: disk)
        #expect(try recovered(disk).summary.currentEpoch == 4)
        #expect(try disk.read("data/currentEpoch", at: 0, count: 9) == Array("4".utf8))
    }

    @Test func `a synchronization cut short keeps the older current epoch`() throws {
        let disk = try diskOfEpoch(4)
        try write("3", to: "currentEpoch", on: disk)
        let summary = try recovered(disk).summary
        #expect(summary.currentEpoch == 3 && summary.acceptedEpoch == 4)
        #expect(summary.notes.count == 1)
    }

    @Test(arguments: ["", "x", "-1", "99999999999999999999"])
    func `an epoch that is no number is refused`(_ text: String) throws {
        let disk = try diskOfEpoch(4)
        try write(text, to: "acceptedEpoch", on: disk)
        guard case .refused = refusal(disk) else {
            Issue.record("not refused")
            return
        }
    }
}
