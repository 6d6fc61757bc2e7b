/// The cyclic redundancy check of zlib and Ethernet (polynomial 0x04C11DB7, reflected), over bytes
/// that come in pieces. The tree's digest is a sum of these.
///
/// Eight bytes a step by eight tables ("slicing by 8", Kounavis and Berry 2005), the rest by one.
package struct CRC32: Hashable, Sendable {
    /// The running remainder, from which a later check may go on.
    package private(set) var register: UInt32 = .max

    package init() {}
    package init(register: UInt32) { self.register = register }

    package var value: UInt32 { ~register }

    package mutating func update(_ bytes: [UInt8]) { update(bytes.span) }
    package mutating func update(_ bytes: ArraySlice<UInt8>) { update(bytes.span) }

    package mutating func update(_ bytes: Span<UInt8>) {
        let tables = Self.tables
        var register = register
        var index = 0
        while bytes.count - index >= 8 {
            let low =
                UInt32(bytes[index]) | UInt32(bytes[index + 1]) << 8
                | UInt32(bytes[index + 2]) << 16 | UInt32(bytes[index + 3]) << 24
            let high =
                UInt32(bytes[index + 4]) | UInt32(bytes[index + 5]) << 8
                | UInt32(bytes[index + 6]) << 16 | UInt32(bytes[index + 7]) << 24
            register = tables.advance(register, low, high)
            index += 8
        }
        while index < bytes.count {
            register = tables.advance(register, bytes[index])
            index += 1
        }
        self.register = register
    }

    /// The bytes of big-endian numbers, which need not be laid out for it, and of half a one.
    package mutating func update<let count: Int>(
        bigEndian numbers: InlineArray<count, Int64>,
        _ half: Int32
    ) {
        let tables = Self.tables
        var register = register
        for index in numbers.indices {
            let bytes = UInt64(bitPattern: numbers[index]).byteSwapped
            register = tables.advance(
                register,
                UInt32(truncatingIfNeeded: bytes),
                UInt32(truncatingIfNeeded: bytes >> 32)
            )
        }
        register = tables.advance(register, UInt8(truncatingIfNeeded: half >> 24))
        register = tables.advance(register, UInt8(truncatingIfNeeded: half >> 16))
        register = tables.advance(register, UInt8(truncatingIfNeeded: half >> 8))
        self.register = tables.advance(register, UInt8(truncatingIfNeeded: half))
    }

    package static func checksum(of bytes: [UInt8]) -> UInt32 {
        var check = CRC32()
        check.update(bytes)
        return check.value
    }

    private static let tables = CRC32Tables()
}

/// Entry `256 × k + b` advances byte `b` over `k` zero bytes. In a class, so that they lie in one
/// place; of a fixed size, so that no index into them need be checked.
private final class CRC32Tables: Sendable {
    private let entries: InlineArray<2048, UInt32>

    init() {
        var entries = InlineArray<2048, UInt32>(repeating: 0)
        for byte in 0..<256 {
            var value = UInt32(byte)
            for _ in 0..<8 { value = value & 1 == 0 ? value >> 1 : value >> 1 ^ 0xEDB8_8320 }
            entries[byte] = value
        }
        for index in 256..<2048 {
            let previous = entries[index - 256]
            entries[index] = previous >> 8 ^ entries[Int(previous & 0xFF)]
        }
        self.entries = entries
    }

    /// Over eight bytes, the first of them the lowest of `low`.
    @inline(__always)
    func advance(_ register: UInt32, _ low: UInt32, _ high: UInt32) -> UInt32 {
        let low = register ^ low
        return entries[0x700 | Int(low & 0xFF)]
            ^ entries[0x600 | Int(low >> 8 & 0xFF)]
            ^ entries[0x500 | Int(low >> 16 & 0xFF)]
            ^ entries[0x400 | Int(low >> 24)]
            ^ entries[0x300 | Int(high & 0xFF)]
            ^ entries[0x200 | Int(high >> 8 & 0xFF)]
            ^ entries[0x100 | Int(high >> 16 & 0xFF)]
            ^ entries[Int(high >> 24)]
    }

    @inline(__always)
    func advance(_ register: UInt32, _ byte: UInt8) -> UInt32 {
        register >> 8 ^ entries[Int((register ^ UInt32(byte)) & 0xFF)]
    }
}
