import Journal
import Simulation
import Testing

struct SimulatedDiskContractTests {
    @Test(arguments: DiskContract.checks)
    func `the simulated disk keeps the contract`(_ check: DiskContract.Check) throws {
        #expect(try check.run(SimulatedDisk()) == nil)
    }

    @Test func `unsynced bytes may be lost, torn or kept`() throws {
        var outcomes: Set<[UInt8]> = []
        for seed in 0..<64 {
            let disk = SimulatedDisk()
            try disk.write("a", at: 0, [UInt8](repeating: 1, count: 1024))
            try disk.syncFile("a")
            try disk.syncDirectory("")
            try disk.write("a", at: 0, [UInt8](repeating: 2, count: 1024))
            var generator = SplitMix(seed: UInt64(seed))
            disk.crash(using: &generator)
            let bytes = try disk.read("a", at: 0, count: 2000)
            #expect(bytes.count == 1024)
            outcomes.insert([bytes[0], bytes[512]])
        }
        #expect(outcomes == [[1, 1], [1, 2], [2, 1], [2, 2]])
    }

    @Test func `an unsynced name may be lost although its bytes were synced`() throws {
        var found = 0
        for seed in 0..<32 {
            let disk = SimulatedDisk()
            try disk.write("a", at: 0, [1])
            try disk.syncFile("a")
            var generator = SplitMix(seed: UInt64(seed))
            disk.crash(using: &generator)
            if try disk.size("a") != nil { found += 1 }
        }
        #expect(found > 0 && found < 32)
    }

    @Test func `bytes that a failed sync gave up never become durable`() throws {
        for seed in 0..<16 {
            let disk = SimulatedDisk()
            try disk.write("a", at: 0, [1])
            try disk.syncFile("a")
            try disk.syncDirectory("")
            try disk.write("a", at: 0, [2])
            disk.failingCall = (disk.callCount, .inputOutput)
            #expect(throws: DiskError.self) { try disk.syncFile("a") }
            try disk.syncFile("a")
            #expect(try disk.read("a", at: 0, count: 1) == [2])
            var generator = SplitMix(seed: UInt64(seed))
            disk.crash(using: &generator)
            #expect(try disk.read("a", at: 0, count: 1) == [1])
        }
    }

    @Test func `a full disk refuses what would not fit`() throws {
        let disk = SimulatedDisk()
        disk.capacityBytes = 1000
        try disk.write("a", at: 0, [UInt8](repeating: 1, count: 1000))
        let error = #expect(throws: DiskError.self) { try disk.write("a", at: 1000, [1]) }
        #expect(error?.isNoSpace == true)
        try disk.write("a", at: 0, [2])
    }
}
