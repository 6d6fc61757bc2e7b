import PowerLoss

/// How a server ends in the midst of its work.
enum Death {
    /// kill -9: the system keeps what was written.
    case kill
    /// All that was not synced may be gone, in part or as a whole.
    case powerLoss(PowerSupply)

    /// Whether the server may notice before it is killed.
    var endsServing: Bool {
        switch self {
        case .kill: false
        case .powerLoss: true
        }
    }

    /// May arrange for the end to come by itself, after at most so many calls to the disk.
    func prepare(_ random: inout SeededRandom, calls: Int) throws {
        guard case .powerLoss(let supply) = self, Bool.random(using: &random) else { return }
        try supply.cut(afterCalls: Int.random(in: 0..<calls, using: &random))
    }

    /// Ends the server.
    func strike(_ server: ServerProcess) throws {
        // From one call to the next nothing reaches the disk any more.
        if case .powerLoss(let supply) = self { try supply.cut(afterCalls: 0) }
        server.kill()
    }

    /// Afterwards the disk is as the server's next start finds it.
    func leave(_ random: inout SeededRandom) throws {
        guard case .powerLoss(let supply) = self else { return }
        try supply.restore(seed: random.next())
    }
}

/// A disk of a ``PowerLossMount``, for as long as one test lasts.
struct PowerSupply {
    let mount: PowerLossMount
    let disk: String
    /// Syncs that answer as if they had happened: `KIND GLOB`, see Tests/powerlossfs/main.c.
    let ignored: [String]

    init(_ mount: PowerLossMount, disk: String = "disk", ignoring ignored: [String] = []) throws {
        self.mount = mount
        self.disk = disk
        self.ignored = ignored
        try mount.makeDisk(disk)
        try ignore()
    }

    var path: String { mount.path(disk) }

    private func ignore() throws {
        for rule in ignored { try mount.tell("ignore \(disk) \(rule)") }
    }

    func cut(afterCalls calls: Int) throws { try mount.tell("off \(disk) \(calls)") }

    func restore(seed: UInt64) throws {
        try mount.crash(disk, seed: seed)
        try ignore()
    }
}
