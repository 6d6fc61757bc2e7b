import Journal
import Simulation
import Testing

/// The power fails, or the process dies, at every single call to the simulated disk.
struct CrashPointTests {
    private let points = CrashPoints { SimulatedDisk() }

    @Test func `whatever call the power fails at, what was acknowledged is there and nothing else`()
        throws
    {
        #expect(try points.atEveryCall() == nil)
    }

    @Test func `a recovery that the power interrupts can be repeated`() throws {
        #expect(try points.withinRecovery() == nil)
    }

    @Test func `without any one sync some power loss takes what was acknowledged`() throws {
        let syncs = try points.needlessSyncs()
        #expect(syncs.tried > 50)
        // Purging makes sure that old snapshots are gone before their logs: it shows only where all
        // newer snapshots are bad as well. The last installation replaces a log that has nothing
        // newer, and the epoch stored next syncs the same directory.
        #expect(
            syncs.names == CrashPoints.needlessAtFirst + ["data", "log", "data", "data"]
        )
    }

    @Test func `what is recovered after a kill survives a power loss right afterwards`() throws {
        let found = try points.afterKill()
        #expect(found.complaint == nil)
        #expect(found.needless == [], "left out without any harm")
    }

    @Test(arguments: [SimulatedDisk.Failure.inputOutput, .noSpace])
    func `after a failed call nothing is answered any more, and a restart loses nothing`(
        _ failure: SimulatedDisk.Failure
    ) throws {
        #expect(try points.afterFailure(failure) == nil)
    }
}
