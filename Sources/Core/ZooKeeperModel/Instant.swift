/// A point on a monotonic clock, for deadlines. Its zero is arbitrary; two processes share nothing.
public struct Instant: Hashable, Comparable, Sendable {
    public var nanoseconds: Int64
    @inlinable public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    @inlinable public static func < (left: Instant, right: Instant) -> Bool {
        left.nanoseconds < right.nanoseconds
    }
    @inlinable public static func + (left: Instant, right: Duration) -> Instant {
        Instant(nanoseconds: left.nanoseconds &+ right.wholeNanoseconds)
    }
    @inlinable public static func - (left: Instant, right: Duration) -> Instant {
        Instant(nanoseconds: left.nanoseconds &- right.wholeNanoseconds)
    }
    @inlinable public static func - (left: Instant, right: Instant) -> Duration {
        .nanoseconds(left.nanoseconds &- right.nanoseconds)
    }
}

/// Wall-clock time in milliseconds since 1970, as transactions and Stat carry it. Never used for
/// deadlines, since it jumps.
public struct Timestamp: RawRepresentable, Hashable, Comparable, Sendable {
    public var rawValue: Int64
    @inlinable public init(rawValue: Int64) { self.rawValue = rawValue }

    @inlinable public static func < (left: Timestamp, right: Timestamp) -> Bool {
        left.rawValue < right.rawValue
    }
}

/// Both clocks, read once when an input arrives, so that one step of a state machine sees one time.
public struct ClockReading: Hashable, Sendable {
    public var instant: Instant
    public var timestamp: Timestamp
    @inlinable public init(instant: Instant, timestamp: Timestamp) {
        self.instant = instant
        self.timestamp = timestamp
    }
}

extension Duration {
    /// Saturates at the ends of `Int64`: about 292 years.
    @inlinable public var wholeNanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (scaled, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        guard !overflow else { return seconds < 0 ? .min : .max }
        let (sum, carry) = scaled.addingReportingOverflow(attoseconds / 1_000_000_000)
        guard !carry else { return seconds < 0 ? .min : .max }
        return sum
    }
    @inlinable public var wholeMilliseconds: Int64 { wholeNanoseconds / 1_000_000 }
}
