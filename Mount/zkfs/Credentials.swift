import ClientCore
import Crypto
import Fuse
import ZooKeeperModel

/// What the `auth=` file holds: a line `scheme:credential` for each identity. Blank lines and lines that
/// begin with `#` say nothing.
struct Credentials {
    var presented: [ClientConfiguration.Credential] = []
    /// As they stand in ACLs, as far as they can be told from here.
    var identities: [Identity] = []

    /// No message ever repeats a line.
    init(file path: String) throws(MountFailure) {
        let bytes = try SecretFile.read(path)
        let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        for (index, line) in lines.enumerated() {
            var line = line
            if line.last == UInt8(ascii: "\r") { line.removeLast() }
            guard !line.isEmpty, line.first != UInt8(ascii: "#") else { continue }
            guard let colon = line.firstIndex(of: UInt8(ascii: ":")), colon > line.startIndex,
                let scheme = String(validating: line[..<colon], as: UTF8.self)
            else { throw MountFailure("\(path), line \(index + 1): not scheme:credential") }
            let credential = Array(line[(colon + 1)...])
            presented.append(ClientConfiguration.Credential(scheme: scheme, bytes: credential))
            if let identity = Self.identity(scheme, credential) { identities.append(identity) }
        }
        guard !presented.isEmpty else { throw MountFailure("\(path) holds no credential") }
    }

    /// The digest scheme knows `user:password` as `user:` and the base 64 of its SHA-1.
    private static func identity(_ scheme: String, _ credential: [UInt8]) -> Identity? {
        guard scheme == "digest",
            let user = String(
                validating: credential.prefix { $0 != UInt8(ascii: ":") },
                as: UTF8.self
            )
        else { return nil }
        let digest = Array(Insecure.SHA1.hash(data: credential))
        return Identity(scheme: scheme, id: user + ":" + base64(digest))
    }

    private static func base64(_ bytes: [UInt8]) -> String {
        let alphabet = Array(
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8
        )
        var text: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            var bits = group.reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            bits <<= UInt32(8 * (3 - group.count))
            for index in 0..<4 {
                let isPadding = index > group.count
                let value = Int(bits >> UInt32(18 - 6 * index)) & 63
                text.append(isPadding ? UInt8(ascii: "=") : alphabet[value])
            }
        }
        return String(decoding: text, as: UTF8.self)
    }
}
