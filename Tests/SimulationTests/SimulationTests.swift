import Foundation
import Simulation
import Testing
import ZooKeeperModel

/// A slice of the seeds, in every run of the tests; more with `zksim --seeds`.
struct SimulationTests {
    #if DEBUG
        /// Unoptimized a seed takes seconds, and too few of them meet every fault in every phase.
        private static let slice = ["--seeds", "1-6"]
    #else
        /// The rarest of the required cells is struck about four times in 300 seeds: with fewer, a
        /// change of the machines leaves one of them empty by chance.
        private static let slice = ["--seeds", "1-400", "--require-coverage"]
    #endif

    @Test func `every seed of the slice keeps every promise and no required cell is empty`() throws
    {
        let (status, output) = try Zksim.run(Self.slice)
        #expect(status == 0, "\(output.split(separator: "\n").suffix(80).joined(separator: "\n"))")
        #expect(output.contains(" 0 failed"))
    }

    /// Sets and dictionaries have another order in every process; the trace must not show it.
    @Test(arguments: [2, 5])
    func `one seed gives one trace in two processes`(seed: Int) throws {
        let first = try Zksim.run(["\(seed)", "--trace"])
        let second = try Zksim.run(["\(seed)", "--trace"])
        #expect(first.status == 0)
        #expect(first.output.split(separator: "\n").count > 1000)
        #expect(first.output == second.output)
    }

    @Test func `a seed is a minute of work with faults`() {
        let world = World(plan: SimulationPlan(seed: 3))
        world.run()
        #expect(world.now.nanoseconds >= 60_000_000_000)
        #expect(world.acknowledgedWrites >= SimulationPlan.leastWrites)
        #expect(world.faultCount >= SimulationPlan.leastFaults)
        #expect((3...8).contains(world.plan.serverCount))
    }

    @Test func `two seeds give two traces`() {
        let digests = [UInt64(1), 2].map { seed in
            let world = World(plan: SimulationPlan(seed: seed))
            world.run()
            return world.trace.digest
        }
        #expect(digests[0] != digests[1])
    }
}
