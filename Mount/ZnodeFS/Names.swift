/// What stands behind a `@` in a name: another view of the same znode. See Docs/Mount.md, Facets.
enum Facet: UInt8, Hashable, Sendable {
    /// The znode as the kind rule shows it.
    case itself = 0
    case data = 1
    case stat = 2
    case watch = 3
    /// The znode as a directory, also where it shows as a file.
    case directory = 4
    /// `/@zkfs` and what it holds.
    case control = 5
    case status = 6
    case log = 7
    /// `D/@dir`: the directory, seen from inside. A node of its own, since as a link it points
    /// elsewhere than `D@dir` does.
    case here = 8
}

/// A name as the kernel gave it, taken apart.
///
/// Shown names and znode names correspond one to one. A znode name is shown as it is, but for
/// - a `@` that would make it read as a facet: shown as `%40`,
/// - a `%` before `40`, `25` or `~`: shown as `%25`,
/// - a name over 255 bytes: its first 200 bytes in whole characters, `%~` and 16 digits of a hash.
///
/// A name that no znode is shown as (`a%40b`, since the znode `a@b` is shown as itself) is refused.
enum ParsedName: Hashable, Sendable {
    case plain([UInt8])
    /// An empty base, as in `D/@data`, means the directory itself.
    case facet(base: [UInt8], Facet)
    /// A facet that the design names and this build does not serve.
    case unservedFacet
    /// A view of one version of `base`, which this build does not serve; else, as long as there is no
    /// `base`, the name `plain` as it stands.
    case versionFacet(base: [UInt8], plain: [UInt8])
    /// Stands for a longer znode name of the same directory.
    case shortened
    case tooLong
    /// No znode is shown under this name.
    case refused

    static let longest = 255
    private static let shortenedPrefix = 200
    private static let hashDigits = 16

    init(_ name: [UInt8], facets: Bool) {
        guard name.count <= Self.longest else {
            self = .tooLong
            return
        }
        if facets, let (base, facet) = Self.splitFacet(name) {
            guard let facet else {
                let isVersion = name[base.count...].dropFirst().first == UInt8(ascii: "v")
                if isVersion, !base.isEmpty, Self.splitFacet(base) == nil,
                    let base = Self.unescape(base), let plain = Self.unescape(name)
                {
                    self = .versionFacet(base: base, plain: plain)
                } else {
                    self = .unservedFacet
                }
                return
            }
            // A base that reads as a facet itself is not how any znode is shown.
            guard base.isEmpty || Self.splitFacet(base) == nil, let base = Self.unescape(base)
            else {
                self = .refused
                return
            }
            self = .facet(base: base, facet)
            return
        }
        if Self.isShortened(name) {
            self = .shortened
        } else if !facets {
            self = .plain(name)
        } else if let plain = Self.unescape(name), Self.shown(plain, facets: true) == name {
            self = .plain(plain)
        } else {
            self = .refused
        }
    }

    /// How a znode's name is shown.
    static func shown(_ name: some Collection<UInt8>, facets: Bool) -> [UInt8] {
        let plain = Array(name)
        let escaped = facets ? escape(plain) : plain
        guard escaped.count > longest else { return escaped }
        var end = shortenedPrefix
        // Not inside a character: a continuation byte is 10xxxxxx.
        while end > 0, escaped[end] & 0xC0 == 0x80 { end -= 1 }
        var hash = StableHash()
        hash.combine(plain)
        let digits = String(hash.value, radix: 16)
        let padding = String(repeating: "0", count: hashDigits - digits.utf8.count)
        return Array(escaped[..<end]) + Array("%~\(padding)\(digits)".utf8)
    }

    private static func isShortened(_ name: [UInt8]) -> Bool {
        let digits = name.suffix(hashDigits)
        let mark = name.dropLast(hashDigits).suffix(2)
        return mark.elementsEqual(Array("%~".utf8))
            && digits.allSatisfy {
                ($0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9"))
                    || ($0 >= UInt8(ascii: "a") && $0 <= UInt8(ascii: "f"))
            }
    }

    /// The parts of a name that reads as a facet; the facet is nil where it is not served.
    private static func splitFacet(_ name: [UInt8]) -> (base: [UInt8], facet: Facet?)? {
        guard let at = name.lastIndex(of: UInt8(ascii: "@")) else { return nil }
        let base = Array(name[..<at])
        let word = name[(at + 1)...]
        switch String(decoding: word, as: UTF8.self) {
        case "data": return (base, .data)
        case "stat": return (base, .stat)
        case "watch": return (base, .watch)
        case "dir": return (base, .directory)
        case "zkfs": return base.isEmpty ? (base, .control) : nil
        case "local": return base.isEmpty ? (base, nil) : nil
        case "acl", "tree", "ephemeral", "new": return (base, nil)
        default:
            let isVersion =
                word.first == UInt8(ascii: "v")
                && word.dropFirst().allSatisfy {
                    $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9")
                }
            return isVersion ? (base, nil) : nil
        }
    }

    private static func escape(_ name: [UInt8]) -> [UInt8] {
        let facetSign = splitFacet(name) == nil ? nil : name.lastIndex(of: UInt8(ascii: "@"))
        guard facetSign != nil || name.contains(UInt8(ascii: "%")) else { return name }
        var result: [UInt8] = []
        for (index, byte) in name.enumerated() {
            if index == facetSign {
                result += Array("%40".utf8)
            } else if byte == UInt8(ascii: "%"), escapes(name[(index + 1)...]) {
                result += Array("%25".utf8)
            } else {
                result.append(byte)
            }
        }
        return result
    }

    private static func unescape(_ name: [UInt8]) -> [UInt8]? {
        guard name.contains(UInt8(ascii: "%")) else { return name }
        var result: [UInt8] = []
        var rest = name[...]
        while let byte = rest.first {
            if rest.starts(with: "%40".utf8) {
                result.append(UInt8(ascii: "@"))
                rest = rest.dropFirst(3)
            } else if rest.starts(with: "%25".utf8) {
                guard escapes(rest.dropFirst(3)) else { return nil }
                result.append(UInt8(ascii: "%"))
                rest = rest.dropFirst(3)
            } else {
                result.append(byte)
                rest = rest.dropFirst()
            }
        }
        return result
    }

    /// Whether a `%` before these bytes would be read as an escape.
    private static func escapes(_ rest: ArraySlice<UInt8>) -> Bool {
        rest.starts(with: "40".utf8) || rest.starts(with: "25".utf8) || rest.starts(with: "~".utf8)
    }
}

/// FNV-1a over 64 bits with a final mix: the same on every host and in every build, since inode
/// numbers and shortened names are compared across hosts.
struct StableHash {
    private(set) var state: UInt64 = 0xCBF2_9CE4_8422_2325

    mutating func combine(_ bytes: [UInt8]) {
        for byte in bytes { state = (state ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
    }

    mutating func combine(_ number: UInt64) {
        for shift in stride(from: UInt64(0), to: 64, by: 8) {
            state = (state ^ (number >> shift & 0xFF)) &* 0x0000_0100_0000_01B3
        }
    }

    var value: UInt64 {
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
