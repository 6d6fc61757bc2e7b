import Journal
import Simulation
import Testing
import ZooKeeperModel

/// The power fails, or the process dies, at every single call to the disk.
struct CrashPointTests {
    /// The workload as it is just before each of its calls to the disk, by the call's number.
    private func moments(
        ignoringSync: Int? = nil,
        in calls: Range<Int> = 0..<Int.max
    ) -> [(call: Int, workload: JournalWorkload)] {
        let workload = JournalWorkload(disk: SimulatedDisk())
        var moments: [(call: Int, workload: JournalWorkload)] = []
        workload.disk.ignoredSync = ignoringSync
        workload.disk.powerOffAfter = calls.upperBound
        workload.disk.beforeCall = { call in
            if calls.contains(call) { moments.append((call, workload.copy())) }
        }
        _ = workload.run()
        workload.disk.beforeCall = nil
        return moments
    }

    private func crash(_ workload: JournalWorkload, seed: Int) {
        var generator = SplitMix(seed: UInt64(seed))
        workload.disk.crash(using: &generator)
    }

    /// The whole workload without a fault.
    private func whole() throws -> JournalWorkload {
        let workload = JournalWorkload(disk: SimulatedDisk())
        try #require(workload.run(), "\(workload.failure)")
        return workload
    }

    /// Goes on as a server would.
    private func work(_ workload: JournalWorkload) throws {
        let epoch = max(1, workload.summary?.acceptedEpoch ?? 0)
        try workload.perform(.epoch(.accepted, epoch))
        try workload.perform(.epoch(.current, epoch))
        try workload.perform(.append(2))
        try workload.perform(.snapshot(appending: 1))
    }

    @Test func `whatever call the power fails at, what was acknowledged is there and nothing else`()
        throws
    {
        #expect(try whole().purged.count >= 2)
        let moments = moments()
        try #require(moments.count > 200)
        for (call, moment) in moments {
            for seed in 0..<6 {
                let workload = moment.copy()
                do {
                    crash(workload, seed: call * 100 + seed)
                    try workload.recoverAndCheck()
                    guard seed == 0 else { continue }
                    // It goes on from there, and that holds as well.
                    try work(workload)
                    crash(workload, seed: call)
                    try workload.recoverAndCheck()
                } catch {
                    Issue.record("call \(call), seed \(seed): \(error)")
                    return
                }
            }
        }
    }

    @Test func `a recovery that the power interrupts can be repeated`() {
        for (call, moment) in moments() where call % 13 == 0 {
            for second in 0..<200 {
                let workload = moment.copy()
                crash(workload, seed: call)
                workload.disk.powerOffAfter = second
                let isDone = (try? workload.recoverAndCheck()) != nil
                crash(workload, seed: second)
                do {
                    try workload.recoverAndCheck()
                } catch {
                    Issue.record("calls \(call) and \(second): \(error)")
                    return
                }
                if isDone { break }
            }
        }
    }

    @Test func `without any one sync some power loss takes what was acknowledged`() throws {
        let reference = try whole()
        var unseen: [String] = []
        for (sync, place) in reference.disk.syncs.enumerated()
        // The first of all makes the directories themselves durable.
        where sync == 0 || !reference.recoverySyncs.contains(sync) {
            // Later syncs make up for it, so the power fails soon after.
            let moments = moments(ignoringSync: sync, in: (place.call + 1)..<(place.call + 60))
            let isSeen = moments.contains { call, moment in
                (0..<8).contains { seed in
                    let workload = moment.copy()
                    crash(workload, seed: call * 100 + seed)
                    return (try? workload.recoverAndCheck()) == nil
                }
            }
            if !isSeen { unseen.append("\(sync): \(place.name) at call \(place.call)") }
        }
        // Purging makes sure that old snapshots are gone before their logs: it shows only where all
        // newer snapshots are bad as well. The last installation replaces a log that has nothing
        // newer, and the epoch stored next syncs the same directory.
        let names = unseen.map { $0.split(separator: " ")[1] }
        #expect(names == ["data", "log", "data", "data"], "\(unseen)")
    }

    /// After a mere kill the system still has what no power loss would leave. The recovery vouches
    /// for it, so it has to make it durable first.
    @Test func `what is recovered after a kill survives a power loss right afterwards`() {
        /// What the recovery must sync, by the kind of file.
        var needed: Set<String> = ["data", "log", "log/log"]
        for (call, moment) in moments() {
            for sync in -1..<20 {
                let workload = moment.copy()
                workload.disk.ignoredSync = sync
                do {
                    try workload.recoverAndCheck()
                } catch {
                    Issue.record("call \(call): \(error)")
                    return
                }
                let syncs = workload.disk.syncs
                guard sync < syncs.count else { break }
                var kind: String?
                if sync >= 0 {
                    kind = syncs[sync].name.split(separator: ".").first.map(String.init) ?? ""
                }
                // Once shown to be needed, a kind is not tried again.
                if let kind, !needed.contains(kind) { continue }
                crash(workload, seed: call * 31 + sync + 1)
                do {
                    try workload.recoverAndCheck()
                } catch {
                    guard let kind else {
                        Issue.record("call \(call): \(error)")
                        return
                    }
                    needed.remove(kind)
                }
            }
        }
        #expect(needed == [], "left out without any harm")
    }

    @Test(arguments: [SimulatedDisk.Failure.inputOutput, .noSpace])
    func `after a failed call nothing is answered any more, and a restart loses nothing`(
        _ failure: SimulatedDisk.Failure
    ) throws {
        let calls = try whole().disk.callCount
        for call in stride(from: 0, to: calls, by: 3) {
            let workload = JournalWorkload(disk: SimulatedDisk())
            workload.disk.failingCall = (call, failure)
            #expect(!workload.run(), "call \(call) failed, and all went on")
            let asked = workload.disk.callCount
            if workload.hasJournal {
                #expect(throws: (any Error).self, "call \(call)") {
                    try workload.perform(.append(1))
                }
                #expect(workload.disk.callCount == asked, "call \(call)")
            }
            do {
                workload.disk.restart()
                try workload.recoverAndCheck()
                crash(workload, seed: call)
                try workload.recoverAndCheck()
            } catch {
                Issue.record("call \(call): \(error)")
                return
            }
        }
    }
}
