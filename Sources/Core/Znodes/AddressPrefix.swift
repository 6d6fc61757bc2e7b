/// An IPv4 or IPv6 address and how many of its first bits count: the ids of the scheme `ip`.
///
/// Written `10.1.2.3`, `10.0.0.0/8`, `2001:db8::/32`. All bits count where no number is given. An
/// IPv4 address in IPv6's clothes (`::ffff:10.1.2.3`) is the IPv4 address.
struct AddressPrefix: Hashable, Sendable {
    /// 4 or 16 bytes.
    private var address: [UInt8]
    private var bits: Int

    /// Nil for anything else.
    init?(_ text: String) {
        let parts = Array(text.utf8).split(
            separator: UInt8(ascii: "/"),
            maxSplits: 1,
            omittingEmptySubsequences: false
        )
        guard let first = parts.first,
            let address = Self.version4(first) ?? Self.version6(first)
        else { return nil }
        self.address = address
        bits = address.count * 8
        if parts.count == 2 {
            guard let number = Self.decimal(parts[1], maximum: bits) else { return nil }
            bits = number
        }
        if address.count == 16, bits >= 96,
            address[..<10].allSatisfy({ $0 == 0 }), address[10] == 0xFF, address[11] == 0xFF
        {
            self.address = Array(address[12...])
            bits -= 96
        }
    }

    func contains(_ other: AddressPrefix) -> Bool {
        guard address.count == other.address.count, bits <= other.bits else { return false }
        let whole = bits / 8
        guard address[..<whole] == other.address[..<whole] else { return false }
        let rest = bits % 8
        return rest == 0 || (address[whole] ^ other.address[whole]) >> (8 - rest) == 0
    }

    private static func version4(_ text: ArraySlice<UInt8>) -> [UInt8]? {
        let parts = text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var address: [UInt8] = []
        for part in parts {
            guard let number = decimal(part, maximum: 255) else { return nil }
            address.append(UInt8(number))
        }
        return address
    }

    private static func version6(_ text: ArraySlice<UInt8>) -> [UInt8]? {
        // At most one gap, `::`, stands for as many zeros as are missing.
        var before: [UInt8] = []
        var after: [UInt8]?
        let groups = text.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        guard (3...9).contains(groups.count) else { return nil }
        for (position, group) in groups.enumerated() {
            var bytes: [UInt8] = []
            if group.isEmpty {
                // The text's own ends are empty beside a gap there, as in `::1` and `1::`.
                if position == 0, groups[1].isEmpty { continue }
                if position == groups.count - 1, groups[position - 1].isEmpty, after != nil {
                    continue
                }
                guard after == nil, position > 0, position < groups.count - 1 else { return nil }
                after = []
                continue
            } else if position == groups.count - 1, let embedded = version4(group) {
                bytes = embedded
            } else {
                guard let number = hexadecimal(group) else { return nil }
                bytes = [UInt8(number >> 8), UInt8(number & 0xFF)]
            }
            if after == nil { before += bytes } else { after? += bytes }
        }
        guard let after else { return before.count == 16 ? before : nil }
        let missing = 16 - before.count - after.count
        guard missing > 0 else { return nil }
        return before + [UInt8](repeating: 0, count: missing) + after
    }

    private static func decimal(_ digits: ArraySlice<UInt8>, maximum: Int) -> Int? {
        guard (1...3).contains(digits.count) else { return nil }
        var value = 0
        for digit in digits {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
            value = value * 10 + Int(digit - UInt8(ascii: "0"))
        }
        return value <= maximum ? value : nil
    }

    private static func hexadecimal(_ digits: ArraySlice<UInt8>) -> Int? {
        guard (1...4).contains(digits.count) else { return nil }
        var value = 0
        for digit in digits {
            guard let number = Character(UnicodeScalar(digit)).hexDigitValue else { return nil }
            value = value << 4 | number
        }
        return value
    }
}
