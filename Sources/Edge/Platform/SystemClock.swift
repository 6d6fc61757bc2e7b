import Glibc
package import ZooKeeperModel

/// The two clocks of this machine.
///
/// Deadlines use `CLOCK_BOOTTIME`: it also counts the time that the machine was suspended. With
/// `CLOCK_MONOTONIC` a client would wake after an hour's sleep, believe its session to be seconds
/// old, and act on a lock that the ensemble gave to somebody else long ago.
package enum SystemClock {
    package static func read() -> ClockReading {
        ClockReading(instant: now(), timestamp: timestamp())
    }

    package static func now() -> Instant {
        let time = read(CLOCK_BOOTTIME)
        return Instant(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    }

    /// The wall clock: it jumps, and serves ctime, mtime and TTLs alone.
    package static func timestamp() -> Timestamp {
        let time = read(CLOCK_REALTIME)
        return Timestamp(rawValue: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
    }

    private static func read(_ clock: clockid_t) -> timespec {
        var time = timespec()
        // Writes into the structure given. Both clocks exist on every Linux since 2.6.39.
        let result = unsafe clock_gettime(clock, &time)
        precondition(result == 0, "clock \(clock) cannot be read: errno \(errno)")
        return time
    }
}
