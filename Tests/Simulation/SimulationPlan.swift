/// What one seed draws: how many of everything, for how long, and how rough.
package struct SimulationPlan: Hashable, Sendable {
    package var seed: UInt64
    package var serverCount: Int
    package var clientCount: Int
    package var mountCount: Int
    /// Faults strike for this long…
    package var faultPhase: Duration
    /// …then the healed ensemble works for this long…
    package var healedPhase: Duration
    /// …and finishes what is under way.
    package var quietPhase: Duration
    /// The mean pause between two faults.
    package var faultInterval: Duration

    /// Transactions between two snapshots: small, so that snapshots are part of every run.
    package var snapshotCount: Int

    /// A fault of the edge that the checkers must find; nil in every honest run.
    package var planted: PlantedFault?

    /// What an edge could do wrong. They are planted in the world, not in the machines, so nothing
    /// of them is in a program that serves.
    package enum PlantedFault: CaseIterable, Hashable, Sendable {
        /// Answers `.persisted` before anything is written.
        case acknowledgesBeforeWriting
        /// The disk's syncs do nothing.
        case neverSyncs
        /// Bytes of one connection overtake one another.
        case reordersReplies
        /// One watch event in ten does not arrive.
        case losesEvents
    }

    /// The default workload: everything drawn from the seed.
    package init(seed: UInt64) {
        var random = SimulationRandom(seed: seed ^ 0x5EED)
        self.seed = seed
        serverCount = random.chance(2, in: 3) ? 3 : 1
        clientCount = 2 + random.below(3)
        mountCount = 1
        faultPhase = .seconds(40)
        healedPhase = .seconds(15)
        quietPhase = .seconds(20)
        snapshotCount = 20 + random.below(400)
        faultInterval = .milliseconds(800 + random.below(2000))
    }
}

/// What can go wrong.
enum Fault: Hashable, Sendable {
    /// Power loss: what was not synced is gone; the server starts again after the pause.
    case crash(server: Int, pause: Duration)
    case crashAll(pause: Duration)
    /// Two servers, or a server and a client, cannot reach each other until the heal.
    case cut(Host, Host)
    case healCuts
    /// One connection is reset.
    case reset
}
