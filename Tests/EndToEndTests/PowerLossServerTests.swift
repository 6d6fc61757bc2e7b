import Foundation
import PowerLoss
import Testing

/// The power fails at random moments, again and again, while clients write: whatever the server has
/// not synced is gone, torn or there.
@Suite(.serialized, .enabled(if: PowerLossMount.isPossible))
struct PowerLossServerTests {
    static let losses = 80

    /// Logs and snapshots apart, so that a sync of the one directory does not make up for the other;
    /// small files, so that logs roll and snapshots are written all the time.
    private func start(_ supply: PowerSupply, in workspace: Workspace) throws -> ServerProcess {
        try ServerProcess(
            .ours,
            in: workspace,
            dataDirectory: supply.path + "/data",
            extra: ["snapCount=500", "preAllocSize=16", "dataLogDir=\(supply.path)/log"]
        )
    }

    /// Up to so many power losses; what was found wrong ends it.
    private func run(
        _ server: ServerProcess,
        _ supply: PowerSupply,
        losses: Int,
        seed: UInt64
    ) -> KillRun {
        var run = KillRun(server: server, death: .powerLoss(supply), seed: seed)
        do {
            try run.prepare()
            for round in 1...losses where run.complaints.isEmpty {
                try run.round(round)
                if round.isMultiple(of: 20) { try run.verifyAll() }
            }
            if run.complaints.isEmpty { try run.verifyEnd() }
        } catch {
            run.complaints.append("\(error)")
        }
        return run
    }

    @Test func `what was acknowledged survives when the power fails`() throws {
        let seed = UInt64.random(in: 0...(.max))
        let workspace = try Workspace()
        defer { workspace.tearDown() }
        let supply = try PowerSupply(PowerLossMount())
        let server = try start(supply, in: workspace)
        let run = run(server, supply, losses: Self.losses, seed: seed)
        #expect(
            run.complaints.isEmpty,
            """
            seed \(seed), after \(run.kills) power losses; the server \
            \(server.child.isRunning ? "runs" : "is dead"):
            \(run.complaints.prefix(20).joined(separator: "\n"))
            \(server.child.log.suffix(3000))
            """
        )
        #expect(run.acknowledged > 2000, "there was hardly any load")
    }

    /// A sync that the server relies on, as ``PowerSupply/ignored`` has it.
    struct Reliance: CustomTestStringConvertible {
        var what: String
        var rule: String
        var testDescription: String { what }
    }
    static let reliances = [
        Reliance(what: "entries of the log", rule: "file log/*/log.*"),
        Reliance(what: "a new log's name", rule: "link log/*/log.*"),
        Reliance(what: "the bytes of an epoch", rule: "file data/*Epoch.tmp"),
        Reliance(what: "the name of an epoch", rule: "rename data/*Epoch"),
    ]

    /// Each sync that a single server's promises rest on, left out. The others show only where a
    /// leader cuts or replaces what a follower holds: see CrashPoints.
    @Test(arguments: reliances)
    func `without this sync a power loss takes what was acknowledged`(
        _ reliance: Reliance
    ) throws {
        let workspace = try Workspace()
        defer { workspace.tearDown() }
        let supply = try PowerSupply(PowerLossMount(), ignoring: [reliance.rule])
        let server = try start(supply, in: workspace)
        let run = run(server, supply, losses: 60, seed: .random(in: 0...(.max)))
        #expect(try supply.mount.report(supply.disk).ignored > 0, "the server made no such sync")
        #expect(!run.complaints.isEmpty, "nothing was lost in \(run.kills) power losses")
    }
}
