/// The kernel's random numbers, as the generator that pure code takes as an argument.
package struct SystemRandom: RandomNumberGenerator, Sendable {
    private var generator = SystemRandomNumberGenerator()

    package init() {}

    package mutating func next() -> UInt64 { generator.next() }

    /// For session ids, passwords and the like.
    package mutating func bytes(_ count: Int) -> [UInt8] {
        (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
    }
}
