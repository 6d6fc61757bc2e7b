import Foundation
import Journal
import Platform
import PowerLoss
import Simulation
import Testing

/// Real files, written and synced by ``PosixDisk``, when the power fails.
@Suite(.enabled(if: PowerLossMount.isPossible))
struct PowerLossTests {
    @Test(arguments: PowerLossContract.checks)
    func `real files are left as the contract allows`(_ check: PowerLossContract.Check) throws {
        let mount = try PowerLossMount()
        #expect(try check.run { try PowerLossDisk(on: mount) } == nil)
    }

    @Test func `a directory that was made is durable at once`() throws {
        let mount = try PowerLossMount()
        let path = try mount.makeDisk("a")
        // As a server does that finds nothing of its data directory's path.
        _ = try PosixDisk(root: path + "/some/where")
        let disk = try PosixDisk(root: path + "/some")
        try disk.createDirectory("other/deep")
        try mount.crash("a", seed: 0)
        for made in ["some/where", "some/other/deep"] {
            #expect(FileManager.default.fileExists(atPath: path + "/" + made), "\(made)")
        }
    }

    private func points(stride: Int = 1, seeds: Int = 6) throws -> CrashPoints {
        let mount = try PowerLossMount()
        var points = CrashPoints { try PowerLossDisk(on: mount) }
        points.stride = stride
        points.seeds = seeds
        return points
    }

    @Test func `whatever call the power fails at, real files have what was acknowledged`() throws {
        #expect(try points(stride: 2, seeds: 3).atEveryCall() == nil)
    }

    @Test func `a recovery of real files that the power interrupts can be repeated`() throws {
        #expect(try points(stride: 3).withinRecovery() == nil)
    }

    @Test func `without any one sync of real files some power loss takes what was acknowledged`()
        throws
    {
        let syncs = try points().needlessSyncs()
        #expect(syncs.tried > 50)
        // As on the simulated disk; and the first one finds that PosixDisk has made the directories
        // durable when it made them.
        #expect(
            syncs.names == [""] + CrashPoints.needlessAtFirst + ["data", "log", "data", "data"]
        )
    }

    @Test func `what is recovered from real files after a kill survives a power loss`() throws {
        let found = try points(stride: 2).afterKill()
        #expect(found.complaint == nil)
        #expect(found.needless == [], "left out without any harm")
    }

    @Test(arguments: [SimulatedDisk.Failure.inputOutput, .noSpace])
    func `after a failed call real files are left alone, and a restart loses nothing`(
        _ failure: SimulatedDisk.Failure
    ) throws {
        #expect(try points(stride: 2).afterFailure(failure) == nil)
    }
}
