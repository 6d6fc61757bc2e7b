import Simulation
import Testing

/// The checkers must see what they are there to see.
struct CheckerTests {
    @Test(arguments: SimulationPlan.PlantedFault.allCases)
    func `a planted fault is found within a few seeds`(fault: SimulationPlan.PlantedFault) {
        let found = (1...40).first { seed in
            var plan = SimulationPlan(seed: UInt64(seed))
            plan.planted = fault
            let world = World(plan: plan)
            world.run()
            return !world.failures.isEmpty
        }
        #expect(found != nil)
    }
}
