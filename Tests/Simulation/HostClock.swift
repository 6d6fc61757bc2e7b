internal import ZooKeeperModel

/// One host's clocks: how they differ from the world's.
///
/// The monotonic clock starts anywhere and runs a little fast or slow; the wall clock is off besides
/// and can be set. Nothing the machines promise may depend on either.
struct HostClock: Sendable {
    /// In millionths: how much faster than the world the monotonic clock runs.
    private var rate: Int64
    private var worldAnchor: Instant
    private var localAnchor: Instant
    /// Milliseconds to be added to the world's wall clock.
    private(set) var wallOffset: Int64

    static let greatestRate: Int64 = 20_000
    private static let wallEpoch: Int64 = 1_600_000_000_000

    init(now: Instant, random: inout SimulationRandom) {
        rate = Self.drawRate(&random)
        worldAnchor = now
        localAnchor = Instant(nanoseconds: random.duration(1...1_000_000_000_000).wholeNanoseconds)
        wallOffset = Int64(random.below(20_000)) - 10_000
    }

    private static func drawRate(_ random: inout SimulationRandom) -> Int64 {
        Int64(random.below(Int(2 * greatestRate))) - greatestRate
    }

    /// The wall clock is set, and the crystal grows warmer or colder.
    mutating func disturb(now: Instant, random: inout SimulationRandom) {
        localAnchor = local(now)
        worldAnchor = now
        rate = Self.drawRate(&random)
        wallOffset = Int64(random.below(1_200_000)) - 600_000
    }

    /// A computer that starts counts from anywhere again.
    mutating func restart(now: Instant, random: inout SimulationRandom) {
        localAnchor = Instant(nanoseconds: random.duration(1...1_000_000_000_000).wholeNanoseconds)
        worldAnchor = now
    }

    private func local(_ world: Instant) -> Instant {
        let passed = (world - worldAnchor).wholeNanoseconds
        return Instant(nanoseconds: localAnchor.nanoseconds + passed + passed * rate / 1_000_000)
    }

    /// The first moment at which the clock shows at least this.
    func world(_ shown: Instant) -> Instant {
        let wanted = (shown - localAnchor).wholeNanoseconds
        // A deadline in the far future need not be exact.
        guard wanted < 1 << 42 else { return worldAnchor + .nanoseconds(wanted) }
        var world = worldAnchor + .nanoseconds(wanted * 1_000_000 / (1_000_000 + rate))
        while local(world) < shown { world = world + .nanoseconds(1) }
        return world
    }

    func reading(at now: Instant) -> ClockReading {
        ClockReading(
            instant: local(now),
            timestamp: Timestamp(
                rawValue: Self.wallEpoch + now.nanoseconds / 1_000_000 + wallOffset
            )
        )
    }

    /// The true time: where session ids must not repeat.
    static func trueMilliseconds(_ now: Instant) -> Int64 {
        wallEpoch + now.nanoseconds / 1_000_000
    }
}
