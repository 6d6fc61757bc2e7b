/// The checksum of log entries and snapshots (RFC 1950), over bytes that come in pieces.
package struct Adler32: Hashable, Sendable {
    private var low: UInt32 = 1
    private var high: UInt32 = 0

    private static let modulus: UInt32 = 65_521
    /// So many bytes can be summed in 32 bits before the modulus is due (zlib's NMAX).
    private static let runBytes = 5552

    package init() {}

    package var value: UInt32 { high << 16 | low }

    package mutating func update(_ bytes: [UInt8]) { update(bytes.span) }
    package mutating func update(_ bytes: ArraySlice<UInt8>) { update(bytes.span) }

    package mutating func update(_ bytes: Span<UInt8>) {
        var low = low
        var high = high
        var index = 0
        while index < bytes.count {
            let end = min(index + Self.runBytes, bytes.count)
            // Cannot overflow within a run, which spares the checks.
            while index < end {
                low &+= UInt32(bytes[index])
                high &+= low
                index &+= 1
            }
            low %= Self.modulus
            high %= Self.modulus
        }
        self.low = low
        self.high = high
    }

    package static func checksum(of bytes: [UInt8]) -> UInt32 {
        var sum = Adler32()
        sum.update(bytes)
        return sum.value
    }
}
