import ArgumentParser
import Foundation
import Simulation

/// Runs every so manieth seed of a range in this process and tells its parent line by line, so that
/// the parent knows which seed it was if this process dies of a broken invariant.
struct Worker {
    let range: ClosedRange<UInt64>
    let first: UInt64
    let step: UInt64
    let bug: String?

    init(range: ClosedRange<UInt64>, stride: String, bug: String?) throws {
        let parts = stride.split(separator: "/").compactMap { UInt64($0) }
        guard parts.count == 2, parts[1] > 0 else {
            throw ValidationError("--worker takes FIRST/STEP")
        }
        self.range = range
        first = parts[0]
        step = parts[1]
        self.bug = bug
    }

    func run() throws {
        var seed = first
        while seed <= range.upperBound {
            say("begin \(seed)")
            var plan = SimulationPlan(seed: seed)
            plan.planted = bug.flatMap(PlantedBug.named)
            let world = World(plan: plan)
            world.run()
            for part in world.coverage.keys.sorted() {
                say("part \(world.coverage[part, default: 0]) \(part)")
            }
            for kind in FaultKind.allCases {
                for phase in ProtocolPhase.allCases where world.faults.count(kind, phase) > 0 {
                    say(
                        "cell \(world.faults.count(kind, phase)) \(kind.rawValue)/\(phase.rawValue)"
                    )
                }
            }
            if let failure = world.failures.first {
                say("failed \(failure)")
            } else {
                say("passed \(world.summary)")
            }
            seed += step
        }
    }

    private func say(_ line: String) {
        FileHandle.standardOutput.write(Data((line + "\n").utf8))
    }
}
