package import ClientCore
public import ZooKeeperModel

/// Where an ensemble is and where in its tree to start: `host:port,host:port/chroot`.
///
/// - Hosts are names, IPv4 addresses, or IPv6 addresses in brackets; the port is 2181 if left out.
///   Spaces around a host are ignored.
/// - The chroot is a path of the ensemble that becomes the root of all paths. It must exist.
///   Left out or `/`, it changes nothing.
public struct ConnectString: Hashable, Sendable {
    public static let defaultPort: UInt16 = 2181

    package var servers: [ServerAddress]
    /// The root if there is none.
    public var chroot: ZnodePath

    public init(_ text: String) throws(ConnectStringError) {
        let slash = text.firstIndex(of: "/") ?? text.endIndex
        chroot = slash == text.endIndex ? .root : ZnodePath(String(text[slash...]))
        if let reason = chroot.validate() {
            throw ConnectStringError(text, "the chroot: \(reason)")
        }
        servers = []
        for part in text[..<slash].split(separator: ",", omittingEmptySubsequences: false) {
            let trimmed = part.drop(while: \.isWhitespace)
            let end = trimmed.lastIndex { !$0.isWhitespace }
            guard let end else { throw ConnectStringError(text, "a server is empty") }
            servers.append(try Self.server(trimmed[...end], in: text))
        }
    }

    private static func server(
        _ part: Substring,
        in text: String
    ) throws(ConnectStringError) -> ServerAddress {
        let host: Substring
        let rest: Substring
        if part.first == "[" {
            guard let bracket = part.firstIndex(of: "]") else {
                throw ConnectStringError(text, "\(part) has no closing bracket")
            }
            host = part[part.index(after: part.startIndex)..<bracket]
            rest = part[part.index(after: bracket)...]
        } else {
            let colon = part.firstIndex(of: ":") ?? part.endIndex
            host = part[..<colon]
            rest = part[colon...]
            guard !rest.dropFirst().contains(":") else {
                throw ConnectStringError(text, "\(part) is an IPv6 address without brackets")
            }
        }
        guard !host.isEmpty else { throw ConnectStringError(text, "a server has no host") }
        guard !rest.isEmpty else {
            return ServerAddress(host: String(host), port: defaultPort)
        }
        guard rest.first == ":", let port = UInt16(rest.dropFirst()), port > 0 else {
            throw ConnectStringError(text, "\(part) has no valid port")
        }
        return ServerAddress(host: String(host), port: port)
    }
}

/// Why a connect string was not understood.
public struct ConnectStringError: Error, Hashable, Sendable, CustomStringConvertible {
    public let text: String
    public let reason: String
    init(_ text: String, _ reason: String) {
        self.text = text
        self.reason = reason
    }
    public var description: String { "\"\(text)\" is no list of servers: \(reason)" }
}

extension ZnodePath {
    /// The path on the server of what a user of this chroot calls `path`.
    func resolving(_ path: ZnodePath) -> ZnodePath {
        if isRoot { return path }
        return path.isRoot ? self : ZnodePath(bytes: bytes + path.bytes)
    }

    /// The other way round; nil for a path outside of this chroot.
    func relative(_ path: ZnodePath) -> ZnodePath? {
        if isRoot { return path }
        guard path.isEqualOrBelow(self) else { return nil }
        let rest = path.bytes[bytes.count...]
        return rest.isEmpty ? .root : ZnodePath(bytes: Array(rest))
    }
}
