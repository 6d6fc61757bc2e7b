import Foundation
import PowerLoss
import Testing

/// The power of some or all servers of an ensemble fails: whatever was not synced may be gone.
@Suite(.serialized, .enabled(if: Network.isPossible && PowerLossMount.isPossible))
struct EnsemblePowerLossTests {
    /// Rounds of load and power losses of some servers; what is missing afterwards.
    private func missing(
        _ powered: PoweredEnsemble,
        rounds: Int,
        of numbers: (Int) -> [Int]
    ) throws -> [String] {
        let ensemble = powered.ensemble
        try ensemble.waitForLeader()
        let load = try ensemble.startLoad()
        for round in 1...rounds {
            load.waitForProgress(200)
            try powered.losePower(of: numbers(round))
            try ensemble.waitForLeader()
        }
        load.waitForProgress()
        let (acknowledged, complaints) = load.stop()
        var missing = complaints
        for member in ensemble.members {
            missing += try SteadyLoad.missing(
                acknowledged,
                on: member.address,
                port: EnsembleWorkspace.clientPort
            ).map { "\($0) on server \(member.number)" }
        }
        return missing
    }

    @Test func `three servers that lose power at once have what was acknowledged`() throws {
        let powered = try PoweredEnsemble()
        defer { powered.tearDown() }
        let missing = try missing(powered, rounds: 6) { _ in [1, 2, 3] }
        #expect(missing == [], "\(powered.ensemble.logs)")
    }

    @Test func `servers that lose power one after the other have what was acknowledged`() throws {
        let powered = try PoweredEnsemble()
        defer { powered.tearDown() }
        // Followers and leaders.
        let missing = try missing(powered, rounds: 6) { [$0 % 3 + 1] }
        #expect(missing == [], "\(powered.ensemble.logs)")
    }
}
