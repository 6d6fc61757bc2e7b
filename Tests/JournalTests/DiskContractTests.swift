import Journal
import Simulation
import Testing

struct SimulatedDiskContractTests {
    @Test(arguments: DiskContract.checks)
    func `the simulated disk keeps the contract`(_ check: DiskContract.Check) throws {
        #expect(try check.run(SimulatedDisk()) == nil)
    }

    @Test(arguments: PowerLossContract.checks)
    func `the simulated disk forgets what the contract allows`(
        _ check: PowerLossContract.Check
    ) throws {
        #expect(try check.run { SimulatedDisk() } == nil)
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
