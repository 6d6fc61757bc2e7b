import ArgumentParser
import Foundation
import Simulation

/// Replays seeds: `zksim 7`, `zksim --seeds 1-300`.
@main
struct SimulationCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "zksim",
        abstract: "Runs an ensemble, its clients and a mount in one thread, from a seed.",
        discussion: """
            With --seeds prints one line a seed, and at the end the failing ones, how often each \
            kind of fault struck in each phase of the protocol, and what else was met. A seed gives \
            the same trace, byte for byte, in every process of one build.

            Exit status: 0 when every seed passed, 1 otherwise. With --bug the other way round: 0 \
            when the bug was seen.
            """
    )

    @Argument(help: "The seed to run.")
    var seed: UInt64?

    @Option(help: "A range of seeds, A-B.")
    var seeds: String?

    @Option(help: "How many processes run seeds at the same time.")
    var jobs = ProcessInfo.processInfo.activeProcessorCount

    @Flag(help: "Print the whole trace.")
    var trace = false

    @Flag(help: "Print what clients asked and were told, in the form that --judge reads.")
    var history = false

    @Flag(help: "Fail where a required cell of the coverage table stays empty.")
    var requireCoverage = false

    @Option(help: "Plant this bug; with --seeds stop at the first seed that sees it.")
    var bug: String?

    @Flag(help: "Look for every planted bug from seed 1 on (or in --seeds) and print the table.")
    var bugs = false

    @Flag(help: "Run every planted bug at its recorded seed; look further where it is not seen.")
    var recordedBugs = false

    @Option(help: "Judge a recorded history: is it linearizable?")
    var judge: String?

    @Option(help: .hidden)
    var worker: String?

    func validate() throws {
        if let bug, PlantedBug.named(bug) == nil {
            let names = PlantedBug.all.map(\.name).joined(separator: ", ")
            throw ValidationError("There is no bug \(bug). There are: \(names).")
        }
    }

    func run() throws {
        if let judge { return try judgeHistory(judge) }
        if bugs || recordedBugs { return try lookForBugs() }
        if let seed { return try runOne(seed) }
        let range = try range() ?? 1...1
        if let worker { return try Worker(range: range, stride: worker, bug: bug).run() }
        var fleet = Fleet(range: range, jobs: jobs, bug: bug)
        fleet.run { Self.say($0) }
        if let bug {
            guard let found = fleet.failures.first else {
                say("\(bug) was not seen")
                throw ExitCode(1)
            }
            say("\(bug): seed \(found.seed): \(found.reason)")
            return
        }
        try report(fleet)
    }

    private func report(_ fleet: Fleet) throws {
        for line in fleet.faults.table { say(line) }
        for part in fleet.coverage.keys.sorted() {
            say("\(part): \(fleet.coverage[part, default: 0])")
        }
        var failed = false
        for failure in fleet.failures {
            failed = true
            say("FAILED seed \(failure.seed): \(failure.reason)")
        }
        if requireCoverage {
            for (kind, phase) in fleet.faults.emptyRequiredCells {
                failed = true
                say("EMPTY \(kind.rawValue) in \(phase.rawValue)")
            }
        }
        say("\(fleet.passed) seeds passed, \(fleet.failures.count) failed")
        if failed { throw ExitCode(1) }
    }

    private func runOne(_ seed: UInt64) throws {
        var plan = SimulationPlan(seed: seed)
        plan.planted = bug.flatMap(PlantedBug.named)
        let world = World(plan: plan, keepsTrace: trace)
        world.run()
        if history {
            for line in world.history.lines { say(line) }
            return
        }
        if trace { for line in world.trace.lines { say(line) } }
        if !world.failures.isEmpty {
            say("FAILED seed \(seed)")
            for failure in world.failures { say("  \(failure)") }
            if !trace { for line in world.trace.lines.suffix(60) { say("    \(line)") } }
        }
        say(world.summary)
        if world.failures.isEmpty == (bug != nil) { throw ExitCode(1) }
    }

    private func lookForBugs() throws {
        var missed = 0
        for bug in PlantedBug.all {
            var seen: (seed: UInt64, reason: String)?
            if recordedBugs, let seed = bug.recordedSeed {
                seen = Fleet.look(for: bug, in: seed...seed, jobs: 1)
            }
            let isRecorded = seen != nil
            if seen == nil { seen = Fleet.look(for: bug, in: try range() ?? 1...500, jobs: jobs) }
            guard let seen else {
                missed += 1
                say("MISSED \(bug.name)")
                continue
            }
            let mark = recordedBugs && !isRecorded ? " (recorded: \(bug.recordedSeed ?? 0))" : ""
            say("| \(bug.name) | \(bug.mistake) | \(seen.seed)\(mark) | \(seen.reason) |")
        }
        if missed > 0 { throw ExitCode(1) }
    }

    private func judgeHistory(_ file: String) throws {
        let text = try String(contentsOfFile: file, encoding: .utf8)
        let history = try History(lines: text.split(separator: "\n").map(String.init))
        var failed = false
        let verdicts = Linearizability.judge(history, steps: 5_000_000)
        for key in verdicts.keys.sorted() {
            switch verdicts[key] {
            case .linearizable: say("\(key): linearizable")
            case .undecided:
                failed = true
                say("\(key): undecided")
            case .violated(let stuck):
                failed = true
                say("\(key): NOT linearizable: \(stuck)")
            case nil: break
            }
        }
        if failed { throw ExitCode(1) }
    }

    private func say(_ line: String) { Self.say(line) }

    /// At once: what is found must not be lost with a run that is ended.
    private static func say(_ line: String) {
        FileHandle.standardOutput.write(Data((line + "\n").utf8))
    }

    private func range() throws -> ClosedRange<UInt64>? {
        guard let seeds else {
            if bugs || recordedBugs { return nil }
            throw ValidationError("Give a seed, or --seeds A-B.")
        }
        let ends = seeds.split(separator: "-").compactMap { UInt64($0) }
        guard ends.count == 2, ends[0] <= ends[1] else {
            throw ValidationError("--seeds takes two numbers, A-B.")
        }
        return ends[0]...ends[1]
    }
}
