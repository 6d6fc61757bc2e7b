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
                register
                ^ (UInt32(bytes[index]) | UInt32(bytes[index + 1]) << 8
                    | UInt32(bytes[index + 2]) << 16 | UInt32(bytes[index + 3]) << 24)
            register =
                tables[0x700 | Int(low & 0xFF)]
                ^ tables[0x600 | Int(low >> 8 & 0xFF)]
                ^ tables[0x500 | Int(low >> 16 & 0xFF)]
                ^ tables[0x400 | Int(low >> 24)]
                ^ tables[0x300 | Int(bytes[index + 4])]
                ^ tables[0x200 | Int(bytes[index + 5])]
                ^ tables[0x100 | Int(bytes[index + 6])]
                ^ tables[Int(bytes[index + 7])]
            index += 8
        }
        while index < bytes.count {
            register = register >> 8 ^ tables[Int((register ^ UInt32(bytes[index])) & 0xFF)]
            index += 1
        }
        self.register = register
    }

    package static func checksum(of bytes: [UInt8]) -> UInt32 {
        var check = CRC32()
        check.update(bytes)
        return check.value
    }

    /// Entry `256 × k + b` advances byte `b` over `k` zero bytes.
    private static let tables: [UInt32] = {
        var tables: [UInt32] = []
        tables.reserveCapacity(8 * 256)
        for byte in 0..<256 as Range<UInt32> {
            var value = byte
            for _ in 0..<8 { value = value & 1 == 0 ? value >> 1 : value >> 1 ^ 0xEDB8_8320 }
            tables.append(value)
        }
        for index in 256..<(8 * 256) {
            let previous = tables[index - 256]
            tables.append(previous >> 8 ^ tables[Int(previous & 0xFF)])
        }
        return tables
    }()
}
