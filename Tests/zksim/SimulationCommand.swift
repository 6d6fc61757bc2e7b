import ArgumentParser
import Simulation

/// Replays seeds: `zksim 7`, `zksim --seeds 1-300`.
@main
struct SimulationCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "zksim",
        abstract: "Runs servers, clients and a mount in one thread, from a seed.",
        discussion: """
            Prints one line a seed, and how often each part of the protocol was met; for a failing one first its seed, then what is wrong and the \
            end of its trace. A seed gives the same trace, byte for byte, in every process of one \
            build.

            Exit status: 0 when every seed passed, 1 otherwise.
            """
    )

    @Argument(help: "The seed to run.")
    var seed: UInt64?

    @Option(help: "A range of seeds, A-B.")
    var seeds: String?

    @Flag(help: "Print the whole trace.")
    var trace = false

    func run() throws {
        var failed = 0
        var coverage: [String: Int] = [:]
        for seed in try range() {
            let world = World(plan: SimulationPlan(seed: seed), keepsTrace: trace)
            world.run()
            coverage.merge(world.coverage) { $0 + $1 }
            if trace { for line in world.trace.lines { print(line) } }
            if world.failures.isEmpty {
                print(world.summary)
                continue
            }
            failed += 1
            print("FAILED seed \(seed)")
            for failure in world.failures { print("  \(failure)") }
            if !trace { for line in world.trace.lines.suffix(60) { print("    \(line)") } }
            print(world.summary)
        }
        for part in coverage.keys.sorted() {
            print("\(part): \(coverage[part, default: 0])")
        }
        if failed > 0 { throw ExitCode(1) }
    }

    private func range() throws -> ClosedRange<UInt64> {
        if let seed { return seed...seed }
        guard let seeds else { throw ValidationError("Give a seed, or --seeds A-B.") }
        let ends = seeds.split(separator: "-").compactMap { UInt64($0) }
        guard ends.count == 2, ends[0] <= ends[1] else {
            throw ValidationError("--seeds takes two numbers, A-B.")
        }
        return ends[0]...ends[1]
    }
}
