import Journal
import Simulation
import Testing
import ZooKeeperModel

/// A full disk is waited for: nothing is answered that is not there, and nothing is forgotten.
struct PatientJournalTests {
    private static func zxid(_ counter: UInt32) -> Zxid { Zxid(epoch: 0, counter: counter) }
    private static func proposals(_ range: ClosedRange<UInt32>) -> [Proposal] {
        range.map { proposal(zxid($0), dataBytes: 300) }
    }
    private static func zxids(_ range: ClosedRange<UInt32>) -> [Zxid] { range.map(zxid) }

    /// Everything a replica may ask for; transactions 1 to 12, and at last a leader's tree.
    private static let batches: [[StorageRequest]] = {
        let own = snapshotBody(zxids(1...7))
        return [
            [.storeEpoch(.accepted, 1), .append(proposals(1...3))],
            [
                .append(proposals(4...4)), .append(proposals(5...6)), .storeEpoch(.accepted, 2),
                .append(proposals(7...7)),
            ],
            [
                .beginSnapshot(zxid: zxid(7)), .snapshotSlice(Array(own[..<20])),
                .append(proposals(8...8)), .snapshotSlice(Array(own[20...])),
                .append(proposals(9...9)),
            ],
            [
                .append(proposals(10...10)),
                .finishSnapshot(digestZxid: zxid(7), digest: nil), .append(proposals(11...12)),
                .readLog(after: zxid(9), through: zxid(11), maxBytes: 1000),
            ],
            [.beginInstall(zxid: zxid(20)), .snapshotSlice(snapshotBody(zxids(1...20)))],
            [.finishSnapshot(digestZxid: zxid(20), digest: nil)],
        ]
    }()

    /// One life of a journal over a disk that is full at some moment.
    private final class Run {
        let disk = SimulatedDisk()
        private(set) var results: [StorageResult] = []
        private(set) var waits = 0
        var failure: String? {
            if case .failed(let reason)? = results.last { reason } else { nil }
        }
        /// Called when it waits: has to make room.
        var makesRoom: (PatientJournal) -> PatientJournal.Answer = { $0.resume() }
        /// What a replica has appended, and what it was told to be durable.
        private(set) var attempted: [Zxid] = []
        private(set) var vouched = Zxid.zero
        private(set) var epoch: Int64 = 0
        private(set) var isInstalled = false

        init() {}

        func start() throws -> PatientJournal {
            let journal = Journal(
                disk: disk,
                configuration: JournalConfiguration(preallocationKiB: 4, roomBytes: 8192)
            )
            var visitor = RecordingVisitor()
            _ = try journal.recover(&visitor)
            return PatientJournal(journal, on: disk)
        }

        func work(_ journal: PatientJournal) {
            for batch in PatientJournalTests.batches {
                for case .append(let proposals) in batch { attempted += proposals.map(\.zxid) }
                take(journal.perform(batch: batch))
                if journal.isWaiting {
                    waits += 1
                    take(makesRoom(journal))
                }
                guard failure == nil, !journal.isWaiting else { return }
            }
        }

        private func take(_ answer: PatientJournal.Answer) {
            results += answer.results
            for result in answer.results {
                switch result {
                case .persisted(let zxid): vouched = zxid
                case .epochStored(.accepted, let value): epoch = value
                case .snapshotStored(let zxid) where zxid == PatientJournalTests.zxid(20):
                    isInstalled = true
                default: break
                }
            }
        }

        /// What a power loss leaves.
        func check(seed: UInt64) throws {
            var generator = SimulationRandom(seed: seed)
            disk.crash(using: &generator)
            var visitor = RecordingVisitor()
            let journal = Journal(
                disk: disk,
                configuration: JournalConfiguration(preallocationKiB: 4)
            )
            let summary = try journal.recover(&visitor)
            let found = visitor.sequence
            let tree = PatientJournalTests.zxids(1...20)
            if found == tree && tree != attempted { return }
            try #require(!isInstalled, "the leader's tree is gone: \(found)")
            let promised = attempted.prefix { $0 <= vouched }
            try #require(found.starts(with: promised), "\(found), \(vouched) was promised")
            try #require(attempted.starts(with: found), "\(found) of \(attempted)")
            try #require(summary.acceptedEpoch >= epoch)
        }
    }

    private func calls() throws -> Range<Int> {
        let run = Run()
        let journal = try run.start()
        let first = run.disk.callCount
        run.work(journal)
        try #require(run.results.count == 14 && run.failure == nil, "\(run.results)")
        return first..<run.disk.callCount
    }

    /// Answers but for those of appends, which may come in more parts or fewer.
    private func others(_ results: [StorageResult]) -> [StorageResult] {
        results.filter { if case .persisted = $0 { false } else { true } }
    }

    @Test func `whatever call finds no room, all is answered once there is some, and durable`()
        throws
    {
        let reference = Run()
        reference.work(try reference.start())
        var waits = 0
        var losses = 0
        var ends = 0
        for call in try calls() {
            let run = Run()
            let journal = try run.start()
            run.disk.failingCall = (call, .noSpace)
            run.work(journal)
            waits += run.waits
            if let failure = run.failure {
                // Only where a leader's tree had its name already: no memory fits such a disk.
                try #require(failure.contains("no space"), "call \(call): \(failure)")
                try #require(others(run.results).count == others(reference.results).count)
                ends += 1
            } else {
                try #require(run.vouched == Self.zxid(12), "call \(call): \(run.results)")
                let wanted = others(reference.results)
                let found = others(run.results)
                try #require(found.count == wanted.count, "call \(call): \(run.results)")
                for (one, other) in zip(found, wanted) where one != other {
                    guard case .snapshotLost(let zxid) = one, case .snapshotStored(zxid) = other
                    else {
                        Issue.record("call \(call): \(one) in place of \(other)")
                        return
                    }
                    losses += 1
                }
            }
            try run.check(seed: UInt64(call))
        }
        #expect(waits > 20 && losses > 5 && ends > 2, "\(waits) \(losses) \(ends)")
    }

    @Test func `with no room at all nothing is answered, however often it is asked`() throws {
        var waits = 0
        for bytes in stride(from: 0, to: 12_000, by: 97) {
            let run = Run()
            let journal = try run.start()
            run.disk.fill(leaving: bytes)
            run.makesRoom = { journal in
                for _ in 0..<3 {
                    let answer = journal.resume()
                    #expect(answer.results == [] && answer.waitsBecause != nil && journal.isWaiting)
                }
                // Of what it tried nothing is left.
                #expect(!run.disk.fileNames.contains { $0.contains("partial") })
                run.disk.capacityBytes = nil
                return journal.resume()
            }
            run.work(journal)
            #expect(run.failure == nil && run.vouched == Self.zxid(12), "\(bytes): \(run.results)")
            waits += run.waits
            try run.check(seed: UInt64(bytes))
        }
        #expect(waits > 50)
    }

    @Test func `a power loss while there is no room, or right when there is, takes nothing`() throws
    {
        for call in try calls() {
            for later in 0..<25 {
                let run = Run()
                let journal = try run.start()
                run.disk.failingCall = (call, .noSpace)
                run.makesRoom = { journal in
                    run.disk.powerOffAfter = run.disk.callCount + later
                    return journal.resume()
                }
                run.work(journal)
                if run.waits == 0 { break }
                try run.check(seed: UInt64(call * 100 + later))
            }
        }
    }

    @Test func `a sync that finds no room is not tried again on the same bytes`() throws {
        let run = Run()
        let journal = try run.start()
        _ = journal.perform(batch: [.append(Self.proposals(1...2))])
        // The write and its padding go well.
        run.disk.failingCall = (run.disk.callCount + 1, .noSpace)
        let answer = journal.perform(batch: [.append(Self.proposals(3...4))])
        #expect(answer.results == [] && answer.waitsBecause?.contains("sync") == true)
        let syncs = run.disk.syncs.count
        #expect(journal.resume().results == [.persisted(upTo: Self.zxid(4))])
        #expect(run.disk.syncs.count > syncs)
        var generator = SimulationRandom(seed: 1)
        run.disk.crash(using: &generator)
        var visitor = RecordingVisitor()
        let again = Journal(disk: run.disk, configuration: JournalConfiguration())
        _ = try again.recover(&visitor)
        #expect(visitor.sequence == Self.zxids(1...4))
    }

    @Test func `another failure is final`() throws {
        let run = Run()
        let journal = try run.start()
        run.disk.failingCall = (run.disk.callCount, .inputOutput)
        let answer = journal.perform(batch: [.append(Self.proposals(1...1))])
        guard case .failed? = answer.results.last else {
            Issue.record("\(answer)")
            return
        }
        #expect(answer.waitsBecause == nil && !journal.isWaiting && journal.hasFailed)
    }

    @Test func `a log that lost what was durable while there was no room is not gone on with`()
        throws
    {
        let run = Run()
        let journal = try run.start()
        _ = journal.perform(batch: [.append(Self.proposals(1...5))])
        run.disk.fill(leaving: 0)
        #expect(journal.perform(batch: [.storeEpoch(.accepted, 7)]).waitsBecause != nil)
        run.disk.capacityBytes = nil
        let log = try #require(run.disk.fileNames.first { $0.contains("/log.") })
        try run.disk.truncate(log, to: 700)
        guard case .failed(let reason)? = journal.resume().results.last else {
            Issue.record("it went on")
            return
        }
        #expect(reason == "the log ends at 0x1, but 0x5 was on disk")
        #expect(journal.hasFailed)
    }
}
