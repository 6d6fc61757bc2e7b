internal import ZooKeeperModel

/// Which server to try next, and after what pause.
///
/// The order is shuffled once, so that the clients of an ensemble spread over it. Every server is
/// tried once without a pause; after a full round without success each further try waits, longer
/// with every round up to a bound, and by chance, so that the clients of a failed server do not all
/// come back at the same moment.
struct ServerList {
    /// The longest pause of the first full round; doubled with each further one.
    static let firstPause = Duration.milliseconds(50)
    static let longestPause = Duration.seconds(1)

    private let servers: [ServerAddress]
    private var index = 0
    /// Tries since a server last served.
    private var failures = 0
    private var random: SplitMix64

    init(_ servers: [ServerAddress], seed: UInt64) {
        precondition(!servers.isEmpty, "a session needs at least one server")
        random = SplitMix64(state: seed)
        self.servers = servers.shuffled(using: &random)
    }

    var current: ServerAddress { servers[index] }
    var count: Int { servers.count }

    /// A reply has come: the server not only accepts connections but serves.
    mutating func succeeded() { failures = 0 }

    /// Turns to the next server; returns how long to wait before trying it.
    mutating func advance() -> Duration {
        index = (index + 1) % servers.count
        failures += 1
        let rounds = (failures - 1) / servers.count
        guard rounds > 0 else { return .zero }
        let bound = min(Self.longestPause, Self.firstPause * (1 << min(rounds - 1, 10)))
        let half = bound.wholeNanoseconds / 2
        return .nanoseconds(half + Int64.random(in: 0...half, using: &random))
    }
}

/// A small generator of well-spread numbers from one seed (Steele, Lea and Flood, "Fast splittable
/// pseudorandom number generators").
struct SplitMix64: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
