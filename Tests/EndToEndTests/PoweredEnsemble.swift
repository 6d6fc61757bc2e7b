import PowerLoss
import Testing

/// Three servers, each with a disk of its own that can lose power, be full or hang.
struct PoweredEnsemble {
    let ensemble: EnsembleWorkspace
    let supplies: [PowerSupply]

    init(ignoring ignored: [String] = []) throws {
        // A mount for each: one that hangs does not hold up the others.
        let supplies = try (1...3).map { _ in
            try PowerSupply(PowerLossMount(), ignoring: ignored)
        }
        self.supplies = supplies
        // Small files, so that logs roll and snapshots are written all the time.
        ensemble = try EnsembleWorkspace(size: 3, extra: ["snapCount=500", "preAllocSize=64"]) {
            supplies[$0 - 1].path + "/data"
        }
        // What an operator has put there before the first start is durable.
        for member in ensemble.members {
            let directory = member.dataDirectory
            for name in [directory + "/myid", directory, directory + "/.."] {
                let result = run(["sync", name])
                try #require(result.status == 0, "\(result.errors)")
            }
        }
    }

    func tearDown() {
        for supply in supplies { supply.mount.resume() }
        ensemble.tearDown()
    }

    func losePower(of numbers: [Int]) throws {
        for number in numbers { try supplies[number - 1].cut(afterCalls: 0) }
        for number in numbers { ensemble[number].kill() }
        for number in numbers {
            try supplies[number - 1].restore(seed: .random(in: 1...(.max)))
        }
        for number in numbers { try ensemble[number].start() }
    }

    /// Nearly all of a member's disk is taken by something else.
    func fillDisk(of number: Int) throws {
        let supply = supplies[number - 1]
        let used = try supply.mount.report(supply.disk).usedBytes
        try supply.mount.tell("capacity \(supply.disk) \(used + 50_000)")
    }

    func freeDisk(of number: Int) throws {
        let supply = supplies[number - 1]
        try supply.mount.tell("capacity \(supply.disk) 0")
    }
}
