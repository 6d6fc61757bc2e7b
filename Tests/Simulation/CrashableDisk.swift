package import Journal

/// A disk on which power losses and failures can be tried: the simulated one, and real files on a
/// file system that forgets what was not synced. The same tests run on both.
package protocol CrashableDisk: Disk {
    /// How many calls were made, and how many of them were syncs of a file or a directory.
    var callCount: Int { get }
    var syncCount: Int { get }
    /// What was synced, in order: a file's or a directory's path, and the call's number.
    var syncs: [(name: String, call: Int)] { get }
    /// After so many calls the power is off: every further call fails without effect.
    var powerOffAfter: Int? { get set }
    /// This sync, counted from 0, answers as if it had happened.
    var ignoredSync: Int? { get set }
    /// This call, counted from 0, fails as given.
    var failingCall: (number: Int, failure: SimulatedDisk.Failure)? { get set }
    /// Called before each call takes effect, with its number: the moment for a copy.
    var beforeCall: ((Int) -> Void)? { get set }

    /// What is left when the power comes back. Faults are cleared, counters begin again.
    func crash(using generator: inout some RandomNumberGenerator)
    /// The process dies and the system lives on: nothing is lost. Faults are cleared.
    func restart()
    /// An independent disk in the same state.
    func copy() -> Self
}

extension SimulatedDisk: CrashableDisk {}
