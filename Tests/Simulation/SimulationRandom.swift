/// The one source of chance in a simulation: SplitMix64 (Steele, Lea, Flood 2014), so that a seed
/// means the same run on every machine.
package struct SimulationRandom: RandomNumberGenerator, Sendable {
    private var state: UInt64

    package init(seed: UInt64) { state = seed }

    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    package mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }

    package mutating func chance(_ numerator: Int, in denominator: Int) -> Bool {
        below(denominator) < numerator
    }

    package mutating func duration(_ range: ClosedRange<Int64>) -> Duration {
        let width = UInt64(range.upperBound - range.lowerBound + 1)
        return .nanoseconds(range.lowerBound + Int64(next() % width))
    }

    /// An independent source, for a part whose draws must not shift those of others.
    package mutating func split() -> SimulationRandom { SimulationRandom(seed: next()) }
}
