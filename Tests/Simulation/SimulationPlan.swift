/// What one seed draws: how many of everything, for how long, and how rough.
package struct SimulationPlan: Sendable {
    package var seed: UInt64
    package var serverCount: Int
    /// The last so many of the servers are observers.
    package var observerCount: Int
    package var clientCount: Int
    package var mountCount: Int
    /// Faults strike for this long, and until there were enough…
    package var faultPhase: Duration
    /// …then the healed ensemble works for this long, and until there were enough writes…
    package var healedPhase: Duration
    /// …and finishes what is under way.
    package var quietPhase: Duration
    /// The mean pause between two faults.
    package var faultInterval: Duration

    /// Transactions between two snapshots: small, so that snapshots are part of every run.
    package var snapshotCount: Int

    /// A mistake that the checkers must find; nil in every honest run.
    package var planted: PlantedBug?

    /// What every seed reaches.
    package static let leastWrites = 500
    package static let leastFaults = 10

    package var voterCount: Int { serverCount - observerCount }

    /// The default workload: everything drawn from the seed.
    package init(seed: UInt64) {
        var random = SimulationRandom(seed: seed ^ 0x5EED)
        self.seed = seed
        // Three and five voters most of the time; an even number and seven now and then.
        let voters = [3, 3, 3, 3, 4, 5, 5, 7][random.below(8)]
        observerCount = voters < 7 && random.chance(1, in: 3) ? 1 : 0
        serverCount = voters + observerCount
        clientCount = 2 + random.below(3)
        mountCount = 1
        faultPhase = .seconds(35)
        healedPhase = .seconds(15)
        quietPhase = .seconds(15)
        snapshotCount = 20 + random.below(400)
        faultInterval = .milliseconds(500 + random.below(2000))
    }
}
