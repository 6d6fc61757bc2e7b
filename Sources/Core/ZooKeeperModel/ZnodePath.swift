/// The name of a znode: UTF-8 bytes as a client sent them, valid or not.
///
/// Bytes and not `String`, because Swift compares strings by canonical equivalence: `é` written as
/// one scalar and as two are equal strings, but two znodes. Reads accept any bytes and just find
/// nothing; writes call ``validate()`` first.
public struct ZnodePath: Hashable, Comparable, Sendable {
    public var bytes: [UInt8]

    @inlinable public init(bytes: [UInt8]) { self.bytes = bytes }
    @inlinable public init(_ string: String) { bytes = Array(string.utf8) }

    public static let root = ZnodePath(bytes: [slash])
    @usableFromInline static let slash = UInt8(ascii: "/")

    /// `/` and also the empty path, which reads treat as the root.
    @inlinable public var isRoot: Bool {
        bytes.isEmpty || (bytes.count == 1 && bytes[0] == Self.slash)
    }

    /// The text before the last slash, `/` for a child of the root, nil without any slash and for
    /// the root itself.
    public var parent: ZnodePath? {
        guard !isRoot, let index = bytes.lastIndex(of: Self.slash) else { return nil }
        return index == 0 ? .root : ZnodePath(bytes: Array(bytes[..<index]))
    }

    /// The bytes after the last slash; all bytes where there is none.
    public var name: ArraySlice<UInt8> {
        guard let index = bytes.lastIndex(of: Self.slash) else { return bytes[...] }
        return bytes[(index + 1)...]
    }

    /// This path with one more element.
    public func appending(_ name: some Collection<UInt8>) -> ZnodePath {
        var result = isRoot ? [] : bytes
        result.reserveCapacity(result.count + 1 + name.count)
        result.append(Self.slash)
        result.append(contentsOf: name)
        return ZnodePath(bytes: result)
    }
    public func appending(_ name: String) -> ZnodePath { appending(Array(name.utf8)) }

    /// Whether this path is `other` or below it. `/ab` is not below `/a`.
    public func isEqualOrBelow(_ other: ZnodePath) -> Bool {
        if other.isRoot { return true }
        guard bytes.starts(with: other.bytes) else { return false }
        return bytes.count == other.bytes.count || bytes[other.bytes.count] == Self.slash
    }

    /// Eight bytes at a time, folded to one word by multiplying: the hasher takes many times as long
    /// for each. Which paths collide differs from process to process, as it does for the hasher.
    public func hash(into hasher: inout Hasher) {
        var state = Self.hashSeed ^ UInt64(bytes.count)
        var word: UInt64 = 0
        var filled = 0
        for byte in bytes {
            word = word << 8 | UInt64(byte)
            filled += 1
            guard filled == 8 else { continue }
            state = Self.fold(state, word)
            word = 0
            filled = 0
        }
        if filled > 0 { state = Self.fold(state, word) }
        hasher.combine(state)
    }

    private static func fold(_ state: UInt64, _ word: UInt64) -> UInt64 {
        let product = (state ^ word).multipliedFullWidth(by: 0x9E37_79B9_7F4A_7C15)
        return product.high ^ product.low ^ hashSeed
    }
    private static let hashSeed = UInt64(truncatingIfNeeded: Hasher().finalize())

    public static func < (left: ZnodePath, right: ZnodePath) -> Bool {
        left.bytes.lexicographicallyPrecedes(right.bytes)
    }
}

extension ZnodePath {
    /// Why ZooKeeper would refuse this path in a write with BADARGUMENTS, or nil if it would not.
    /// The rules are those of Apache 3.8.0, observed.
    public func validate() -> String? {
        guard !bytes.isEmpty else { return "the path is empty" }
        guard bytes[0] == Self.slash else { return "the path does not begin with /" }
        if bytes.count == 1 { return nil }
        if bytes[bytes.count - 1] == Self.slash { return "the path ends with /" }
        var elementStart = 1
        for index in 1...bytes.count where index == bytes.count || bytes[index] == Self.slash {
            let length = index - elementStart
            if length == 0 { return "the path has an empty element" }
            if length <= 2, bytes[elementStart] == 0x2E, bytes[index - 1] == 0x2E {
                return "the path has an element . or .."
            }
            elementStart = index + 1
        }
        return Self.refusedScalar(in: bytes)
    }

    private static func refusedScalar(in bytes: [UInt8]) -> String? {
        // Most paths are printable ASCII: one pass without decoding.
        if bytes.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }) { return nil }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            return "the path is not valid UTF-8"
        }
        for scalar in text.unicodeScalars {
            switch scalar.value {
            case 0...0x1F, 0x7F...0x9F, 0xD800...0xF8FF, 0xFFF0...0xFFFF, 0x10000...:
                return "the path has the character U+"
                    + String(scalar.value, radix: 16, uppercase: true)
            default: continue
            }
        }
        return nil
    }
}

extension ZnodePath: CustomStringConvertible {
    public var description: String { String(decoding: bytes, as: UTF8.self) }
}

extension ZnodePath: ExpressibleByStringLiteral {
    public init(stringLiteral value: String) { self.init(value) }
}
