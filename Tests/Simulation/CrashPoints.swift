internal import Journal
internal import ZooKeeperModel

/// The power fails, or the process dies, at every single call of a journal to its disk: the same on
/// the simulated disk and on real files. Each function returns what is wrong, or nil.
package struct CrashPoints {
    package let makeDisk: () throws -> any CrashableDisk
    /// Every so manieth moment is tried. Real files are slow.
    package var stride = 1
    /// Each with so many outcomes.
    package var seeds = 6

    package init(_ makeDisk: @escaping () throws -> any CrashableDisk) {
        self.makeDisk = makeDisk
    }

    /// The workload as it is just before each of its calls to the disk, by the call's number.
    private func moments(
        ignoringSync: Int? = nil,
        in calls: Range<Int> = 0..<Int.max,
        stride: Int = 1
    ) throws -> [(call: Int, workload: JournalWorkload)] {
        let workload = JournalWorkload(disk: try makeDisk())
        var moments: [(call: Int, workload: JournalWorkload)] = []
        workload.disk.ignoredSync = ignoringSync
        workload.disk.powerOffAfter = calls.upperBound
        workload.disk.beforeCall = { call in
            if calls.contains(call), call.isMultiple(of: stride) {
                moments.append((call, workload.copy()))
            }
        }
        _ = workload.run()
        workload.disk.beforeCall = nil
        return moments
    }

    private func crash(_ workload: JournalWorkload, seed: Int) {
        var generator = SimulationRandom(seed: UInt64(seed))
        workload.disk.crash(using: &generator)
    }

    /// The whole workload without a fault.
    private func whole() throws -> JournalWorkload {
        let workload = JournalWorkload(disk: try makeDisk())
        guard workload.run() else { throw JournalWorkload.Violation(description: workload.failure) }
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

    /// Whatever call the power fails at, what was acknowledged is there and nothing else.
    package func atEveryCall() throws -> String? {
        guard try whole().purged.count >= 2 else { return "hardly anything was purged" }
        let moments = try moments(stride: stride)
        guard moments.count > 200 / stride else { return "only \(moments.count) moments" }
        for (call, moment) in moments {
            for seed in 0..<seeds {
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
                    return "call \(call), seed \(seed): \(error)"
                }
            }
        }
        return nil
    }

    /// A recovery that the power interrupts can be repeated.
    package func withinRecovery() throws -> String? {
        for (call, moment) in try moments(stride: 13 * stride) {
            for second in 0..<200 {
                let workload = moment.copy()
                crash(workload, seed: call)
                workload.disk.powerOffAfter = second
                let isDone = (try? workload.recoverAndCheck()) != nil
                crash(workload, seed: second)
                do {
                    try workload.recoverAndCheck()
                } catch {
                    return "calls \(call) and \(second): \(error)"
                }
                if isDone { break }
            }
        }
        return nil
    }

    /// Which syncs can be left out, each alone, without a power loss that takes what was
    /// acknowledged: what they sync, in order. `tried` counts all that were left out.
    package func needlessSyncs() throws -> (names: [String], tried: Int) {
        let reference = try whole()
        var needless: [String] = []
        var tried = 0
        // Of recoveries the first one, which makes a server's first files, is tried; the others are
        // for ``afterKill()``.
        let first = JournalWorkload(disk: try makeDisk())
        try first.perform(.restart)
        let firstSyncs = first.disk.syncCount
        for (sync, place) in reference.disk.syncs.enumerated()
        where sync < firstSyncs || !reference.recoverySyncs.contains(sync) {
            // Later syncs make up for it, so the power fails soon after.
            let moments = try moments(
                ignoringSync: sync,
                in: (place.call + 1)..<(place.call + 80)
            )
            tried += 1
            let isSeen = moments.contains { call, moment in
                (0..<24).contains { seed in
                    let workload = moment.copy()
                    crash(workload, seed: call * 100 + seed)
                    return (try? workload.recoverAndCheck()) == nil
                }
            }
            if !isSeen { needless.append(place.name) }
        }
        return (needless, tried)
    }

    /// After a mere kill the system still has what no power loss would leave. The recovery vouches
    /// for it, so it has to make it durable first. Returns what was wrong, and which kinds of its
    /// syncs were left out without any harm.
    package func afterKill() throws -> (complaint: String?, needless: Set<String>) {
        /// What the recovery must sync, by the kind of file.
        var needed: Set<String> = ["data", "log", "log/log"]
        for (call, moment) in try moments(stride: stride) {
            for sync in -1..<20 {
                let workload = moment.copy()
                workload.disk.ignoredSync = sync
                do {
                    try workload.recoverAndCheck()
                } catch {
                    return ("call \(call): \(error)", needed)
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
                    guard let kind else { return ("call \(call): \(error)", needed) }
                    needed.remove(kind)
                }
            }
        }
        return (nil, needed)
    }

    /// Of a server's first start: nothing was promised before it is over, and what it syncs at last
    /// covers the rest.
    package static let needlessAtFirst = ["data", "data/snapshot.0", "log", "data", "data", "data"]

    /// After a failed call nothing is answered any more, and a restart loses nothing.
    package func afterFailure(_ failure: SimulatedDisk.Failure) throws -> String? {
        let calls = try whole().disk.callCount
        for call in Swift.stride(from: 0, to: calls, by: 3 * stride) {
            let workload = JournalWorkload(disk: try makeDisk())
            workload.disk.failingCall = (call, failure)
            var costsASnapshot = false
            workload.disk.beforeCall = { [unowned workload] number in
                if number == call { costsASnapshot = workload.isWritingSnapshot }
            }
            let hasGoneOn = workload.run()
            if hasGoneOn, failure != .noSpace || !costsASnapshot {
                return "call \(call) failed, and all went on"
            }
            let asked = workload.disk.callCount
            if workload.hasJournal, !hasGoneOn {
                if (try? workload.perform(.append(1))) != nil {
                    return "call \(call) failed, and an append was acknowledged"
                }
                if workload.disk.callCount != asked {
                    return "call \(call) failed, and the disk was called again"
                }
            }
            do {
                workload.disk.restart()
                try workload.recoverAndCheck()
                crash(workload, seed: call)
                try workload.recoverAndCheck()
            } catch {
                return "call \(call): \(error)"
            }
        }
        return nil
    }
}
