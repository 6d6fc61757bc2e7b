import ClientCore
import ZooKeeperModel

/// `HOST:PORT[,HOST:PORT…][/CHROOT]`: where the servers are, and which znode is the mount's root.
struct MountSource: Equatable {
    static let defaultPort: UInt16 = 2181

    var servers: [ServerAddress]
    var root: ZnodePath
    /// As given; shown as the source of the mount.
    var text: String

    init(_ text: String) throws(OptionError) {
        self.text = text
        let hosts = text.prefix { $0 != "/" }
        var chroot = text[hosts.endIndex...]
        while chroot.count > 1, chroot.last == "/" { chroot.removeLast() }
        root = chroot.isEmpty ? .root : ZnodePath(String(chroot))
        if let reason = root.validate() { throw OptionError("\(text): \(reason)") }
        servers = []
        for host in hosts.split(separator: ",", omittingEmptySubsequences: false) {
            servers.append(try Self.server(host))
        }
    }

    private static func server(_ text: Substring) throws(OptionError) -> ServerAddress {
        var host = text
        var port: Substring?
        if text.first == "[" {
            guard let bracket = text.firstIndex(of: "]") else {
                throw OptionError("\(text): ] is missing")
            }
            host = text[text.index(after: text.startIndex)..<bracket]
            let rest = text[text.index(after: bracket)...]
            guard rest.isEmpty || rest.first == ":" else {
                throw OptionError("\(text): a port is expected after ]")
            }
            port = rest.isEmpty ? nil : rest.dropFirst()
        } else if let colon = text.lastIndex(of: ":") {
            guard text.firstIndex(of: ":") == colon else {
                throw OptionError("\(text): write an IPv6 address as [ADDRESS]:PORT")
            }
            host = text[..<colon]
            port = text[text.index(after: colon)...]
        }
        guard !host.isEmpty else { throw OptionError("\(text): a server's name is missing") }
        guard let port else { return ServerAddress(host: String(host), port: defaultPort) }
        guard let number = UInt16(port), number > 0 else {
            throw OptionError("\(text): \(port) is not a port")
        }
        return ServerAddress(host: String(host), port: number)
    }
}
