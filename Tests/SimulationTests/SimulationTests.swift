import Foundation
import Simulation
import Testing

/// A slice of the seeds, in every run of the tests; more with `zksim --seeds`.
struct SimulationTests {
    @Test(arguments: 1...40)
    func `a seed keeps every promise`(seed: Int) {
        let world = World(plan: SimulationPlan(seed: UInt64(seed)))
        world.run()
        #expect(
            world.failures.isEmpty,
            """
            zksim \(seed): \(world.failures.joined(separator: "; "))
            \(world.trace.lines.suffix(40).joined(separator: "\n"))
            """
        )
        #expect(world.acknowledgedCount > 300, "\(world.summary)")
    }

    /// Sets and dictionaries have another order in every process; the trace must not show it.
    @Test(arguments: [2, 5])
    func `one seed gives one trace in two processes`(seed: Int) throws {
        let first = try Self.trace(of: seed)
        let second = try Self.trace(of: seed)
        #expect(first.count > 1000)
        #expect(first == second)
    }

    /// What the seeds are for must be in them.
    @Test func `the slice meets every way in which a learner is brought up to date`() {
        var missing: Set = [
            "DIFF", "TRUNC", "SNAP", "new epoch", "forwarded request", "session move", "snapshot",
            "power loss", "expiry",
        ]
        for seed in UInt64(1)...40 where !missing.isEmpty {
            let world = World(plan: SimulationPlan(seed: seed))
            world.run()
            missing.subtract(world.coverage.keys)
        }
        #expect(missing.isEmpty)
    }

    @Test func `two seeds give two traces`() {
        let digests = [UInt64(1), 2].map { seed in
            let world = World(plan: SimulationPlan(seed: seed))
            world.run()
            return world.trace.digest
        }
        #expect(digests[0] != digests[1])
    }

    private static func trace(of seed: Int) throws -> [Substring] {
        let directory =
            ProcessInfo.processInfo.environment["ZKFS_BIN"].map(URL.init(fileURLWithPath:))
            ?? URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
        let process = Process()
        process.executableURL = directory.appendingPathComponent("zksim")
        process.arguments = ["\(seed)", "--trace"]
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        let output = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        return String(decoding: output, as: UTF8.self).split(separator: "\n")
    }
}
