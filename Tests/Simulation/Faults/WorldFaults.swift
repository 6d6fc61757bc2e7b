internal import Journal
internal import Replication
internal import Zab
internal import ZooKeeperModel

/// A fault that waits for a member to enter a phase.
struct ArmedFault: Sendable {
    var kind: FaultKind
    var phase: ProtocolPhase
    var until: Instant
}

/// What strikes, whom, and when.
///
/// Half of the faults strike at a random moment, the others lie in wait for a member that enters a
/// phase drawn beforehand and strike it there: phases that last a few milliseconds are hardly ever
/// met by chance.
extension World {
    func planNextFault() {
        let mean = plan.faultInterval.wholeNanoseconds
        agenda.plan(.faultDue, at: now + random.duration(mean / 2...mean * 3 / 2))
    }

    func faultDue() {
        guard faultsAreOn else { return }
        if random.chance(1, in: 2) {
            let kinds = FaultKind.allCases
            armed.append(
                ArmedFault(
                    kind: kinds[random.below(kinds.count)],
                    phase: drawPhase(),
                    until: now + .seconds(20)
                )
            )
            // Some phases come only with trouble: one fault prepares another.
            if armed.count > 4 { armed.removeFirst() }
            if random.chance(1, in: 2) { strike(drawKind(), drawVictim()) }
        } else {
            strike(drawKind(), drawVictim())
        }
        // A client that stands still longer than its session lives.
        if random.chance(1, in: 5) { pause(drawClient()) }
        if random.chance(1, in: 5) { commandHandOver() }
        if random.chance(1, in: 8) { clientDies(random.below(plan.clientCount)) }
        planNextFault()
    }

    /// No fault: an operator wants another leader, and may well ask the wrong server.
    private func commandHandOver() {
        let index = drawVictim()
        note("server \(index) is told to hand over")
        if case .leading = servers[index].process?.seenRole { cover("told to hand over") }
        feed(index, servers[index].life, .handOver)
    }

    /// The leader more often than another: most phases begin with its fall.
    private func drawVictim() -> Int {
        let leader = servers.firstIndex { server in
            if case .leading = server.process?.seenRole { true } else { false }
        }
        if let leader, random.chance(1, in: 3) { return leader }
        return random.below(servers.count)
    }

    /// The rare ones more often.
    private func drawPhase() -> ProtocolPhase {
        let phases: [ProtocolPhase] = [
            .election, .diff, .truncation, .truncation, .truncation, .snapshot, .snapshot,
            .snapshot, .epochChange, .expiry, .expiry, .expiry, .sessionMove, .sessionMove,
            .oldProposals, .oldProposals,
        ]
        return phases[random.below(phases.count)]
    }

    private func drawKind() -> FaultKind {
        switch random.below(30) {
        case 0..<5: .powerLoss
        case 5, 6: .powerLossOfAll
        case 7..<10: .kill
        case 10..<13: .partition
        case 13, 14: .oneWay
        case 15, 16: .flapping
        case 17, 18: .reset
        case 19..<22: .pause
        case 22: .clock
        case 23: .diskError
        case 24, 25: .diskStall
        case 26: .diskFull
        case 27: .bitFlip
        default: .wipe
        }
    }

    /// A member is in a phase that some fault waits for.
    func entersPhases(_ phases: Set<ProtocolPhase>, _ index: Int) {
        guard faultsAreOn, !armed.isEmpty else { return }
        armed.removeAll { $0.until < now }
        guard let found = armed.firstIndex(where: { phases.contains($0.phase) }) else { return }
        let fault = armed.remove(at: found)
        // At once, or while the phase's messages and syncs are under way.
        let delay = random.chance(1, in: 3) ? .zero : random.duration(1...2_500_000)
        agenda.plan(.fault(fault.kind, index), at: now + delay)
    }

    func strike(_ wanted: FaultKind, _ victim: Int) {
        guard faultsAreOn else { return }
        // Within the budget, or something that needs none.
        let kind =
            (wanted == .wipe || wanted == .bitFlip) && !mayLosePromises(victim)
            ? FaultKind.powerLoss : wanted
        let stopped = random.chance(1, in: 4) ? drawClient() : .server(victim)
        let group: [Int]
        switch kind {
        case .pause where stopped != .server(victim): group = []
        case .powerLossOfAll: group = Array(servers.indices)
        case .partition, .oneWay, .flapping: group = drawGroup(with: victim)
        case .powerLoss, .kill, .reset, .pause, .clock, .diskError, .diskStall, .diskFull,
            .bitFlip, .wipe:
            group = [victim]
        }
        note("fault \(kind) at \(group)")
        faultCount += 1
        for member in group {
            for phase in servers[member].process?.phases.sorted(by: { $0.rawValue < $1.rawValue })
                ?? []
            {
                faults.add(kind, phase)
            }
        }
        switch kind {
        case .powerLoss, .kill: die(victim, kind == .kill ? .kill : .powerLoss)
        case .powerLossOfAll:
            let pause = random.duration(100_000_000...3_000_000_000)
            for index in servers.indices {
                stop(index, .powerLoss)
                agenda.plan(.restart(index), at: now + pause)
            }
        case .partition, .oneWay, .flapping: cut(kind, group)
        case .reset: resetConnection(of: victim)
        case .pause: pause(stopped)
        case .clock: disturbClock(victim)
        case .diskError: breakDisk(victim)
        case .diskStall: servers[victim].stall = random.duration(500_000_000...5_000_000_000)
        case .diskFull: fillDisk(victim)
        case .bitFlip: flipBit(victim)
        case .wipe: wipe(victim)
        }
    }

    private func drawClient() -> Host { .client(random.below(clients.count)) }

    /// A member alone, or with others, but not all.
    private func drawGroup(with victim: Int) -> [Int] {
        var group = [victim]
        for other in servers.indices
        where other != victim && group.count < servers.count - 1 && random.chance(1, in: 4) {
            group.append(other)
        }
        return group.sorted()
    }

    private func drawAbsence() -> Duration {
        // Now and then so long that the others' logs have moved on when it comes back.
        random.chance(1, in: 6)
            ? random.duration(5_000_000_000...15_000_000_000)
            : random.duration(100_000_000...3_000_000_000)
    }

    private func die(_ index: Int, _ death: SimulatedServer.Death) {
        cover(death == .powerLoss ? "power loss" : "kill")
        if servers[index].process != nil, random.chance(1, in: 3) {
            // In the middle of what the next inputs lead to. The restart comes with it.
            servers[index].actionsToLive = (random.below(8), death)
            agenda.plan(.restartDead(index), at: now + .seconds(1) + drawAbsence())
        } else {
            stop(index, death)
            agenda.plan(.restart(index), at: now + drawAbsence())
        }
    }

    private func disturbClock(_ index: Int) {
        servers[index].clock.disturb(now: now, random: &random)
        servers[index].process?.plannedWake = nil
        if let process = servers[index].process {
            planServerWake(process, index, servers[index].life)
        }
    }

    // MARK: Disks

    /// The fault budget: may this server's disk lose what it has promised?
    ///
    /// One at a time, until it has caught up; and of voters only while every other one has finished
    /// its first synchronization: those that have not have no vote either.
    func mayLosePromises(_ victim: Int) -> Bool {
        guard !servers.contains(where: { $0.isImpaired }) else { return false }
        guard victim < plan.voterCount else { return true }
        return servers[..<plan.voterCount].allSatisfy { $0.log.currentEpoch > 0 }
    }

    private func breakDisk(_ index: Int) {
        guard servers[index].process != nil else { return }
        let disk = servers[index].disk
        servers[index].isDiskFailing = true
        disk.failingCall = (disk.callCount + random.below(6), .inputOutput)
    }

    private func fillDisk(_ index: Int) {
        servers[index].isDiskFull = true
        let disk = servers[index].disk
        disk.fill(leaving: random.below(20_000))
        // It may show at a sync, too.
        if random.chance(1, in: 3) {
            disk.failingCall = (disk.callCount + random.below(6), .noSpace)
        }
        agenda.plan(.freeDisk(index), at: now + random.duration(1_000_000_000...6_000_000_000))
    }

    func freeDisk(_ index: Int) {
        servers[index].isDiskFull = false
        servers[index].disk.capacityBytes = nil
        servers[index].disk.failingCall = nil
        // What has failed already fails for good: the process may still have to stop for it.
        servers[index].isDiskFailing = servers[index].process?.journal.hasFailed == true
    }

    private func wipe(_ index: Int) {
        cover("wipe")
        stop(index, .powerLoss)
        wipeDisk(index)
        agenda.plan(.restart(index), at: now + drawAbsence())
    }

    /// Not in the epochs' files: they are a digit or two without a checksum.
    private func flipBit(_ index: Int) {
        stop(index, .powerLoss)
        agenda.plan(.restart(index), at: now + drawAbsence())
        let disk = servers[index].disk
        // What the next start reads: damage further back would show long after it was budgeted for.
        let names = disk.fileNames
        let files = [Self.newest("log.", names), Self.newest("snapshot.", names)]
            .compactMap { $0 }.map { (name: $0, bytes: disk.size(of: $0)) }
            .filter { $0.bytes > 0 }
        guard !files.isEmpty else { return }
        cover("bit flip")
        servers[index].impair()
        let file = files[random.below(files.count)]
        let offset = random.below(file.bytes)
        note("bit flips in \(file.name) at \(offset)")
        disk.flipBit(file.name, at: offset, bit: random.below(8))
    }

    private static func newest(_ prefix: String, _ names: [String]) -> String? {
        names.compactMap { name -> (zxid: Int64, name: String)? in
            guard let range = name.lastIndex(of: "/") else { return nil }
            let file = name[name.index(after: range)...]
            guard file.hasPrefix(prefix), let zxid = Int64(file.dropFirst(prefix.count), radix: 16)
            else { return nil }
            return (zxid, name)
        }.max { $0.zxid < $1.zxid }?.name
    }

    // MARK: Healing

    /// The end of the fault phase: everybody is up and can reach everybody.
    func heal() {
        note("healed")
        faultsAreOn = false
        armed = []
        for cut in cuts.keys.sorted() { endCut(cut) }
        for host in held.keys.sorted(by: { "\($0)" < "\($1)" }) { resume(host) }
        for index in servers.indices {
            servers[index].actionsToLive = nil
            servers[index].stall = nil
            freeDisk(index)
        }
        for index in servers.indices { startServer(index) }
    }
}
