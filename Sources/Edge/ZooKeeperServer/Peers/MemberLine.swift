package import ZooKeeperModel

/// A host name or address and a port, as configurations write them; IPv6 addresses in brackets.
package struct HostPort: Hashable, Sendable, CustomStringConvertible {
    package var host: String
    package var port: Int
    package init(host: String, port: Int) {
        self.host = host
        self.port = port
    }
    package var description: String {
        host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
}

/// One line `server.N=host:quorumPort:electionPort[:role][;[clientHost:]clientPort]`.
///
/// A member with several network addresses has one `host:quorumPort:electionPort` for each, separated
/// by `|`. The names are resolved anew at every attempt to reach them.
package struct MemberLine: Hashable, Sendable {
    package struct Address: Hashable, Sendable {
        package var host: String
        package var quorumPort: Int
        package var electionPort: Int
        package var quorum: HostPort { HostPort(host: host, port: quorumPort) }
        package var election: HostPort { HostPort(host: host, port: electionPort) }
    }
    package var id: ServerID
    /// At least one.
    package var addresses: [Address]
    package var isObserver = false
    /// Nil: `clientPort` says it.
    package var client: HostPort?

    /// `value` is what stands behind `server.N=`. The error is a reason without a place.
    package init(id: ServerID, value: String) throws(ConfigurationError) {
        self.id = id
        addresses = []
        let parts = value.split(separator: ";", omittingEmptySubsequences: false)
        guard parts.count <= 2 else {
            throw ConfigurationError("a secure client port is not supported yet")
        }
        for text in parts[0].split(separator: "|", omittingEmptySubsequences: false) {
            try addAddress(String(text))
        }
        if parts.count == 2 { client = try Self.client(String(parts[1])) }
    }

    private mutating func addAddress(_ text: String) throws(ConfigurationError) {
        guard let (host, rest) = Self.splitHost(text), !host.isEmpty else {
            throw ConfigurationError("not of the form host:quorumPort:electionPort")
        }
        let fields = rest.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard fields.count == 2 || fields.count == 3, let quorum = Self.port(fields[0]),
            let election = Self.port(fields[1])
        else { throw ConfigurationError("not of the form host:quorumPort:electionPort") }
        guard quorum != election else {
            throw ConfigurationError("the quorum port and the election port are the same")
        }
        addresses.append(Address(host: host, quorumPort: quorum, electionPort: election))
        guard fields.count == 3 else { return }
        switch fields[2].lowercased() {
        case "participant": isObserver = false
        case "observer": isObserver = true
        default: throw ConfigurationError("the role is neither participant nor observer")
        }
    }

    private static func client(_ text: String) throws(ConfigurationError) -> HostPort {
        if let port = port(text) { return HostPort(host: "0.0.0.0", port: port) }
        guard let (host, rest) = splitHost(text), !host.isEmpty, let port = port(rest) else {
            throw ConfigurationError("the client port is not a port number")
        }
        return HostPort(host: host, port: port)
    }

    /// The host and what follows its colon.
    private static func splitHost(_ text: String) -> (host: String, rest: String)? {
        if text.hasPrefix("[") {
            guard let end = text.firstIndex(of: "]") else { return nil }
            let host = text[text.index(after: text.startIndex)..<end]
            let rest = text[text.index(after: end)...]
            guard rest.first == ":" else { return nil }
            return (String(host), String(rest.dropFirst()))
        }
        guard let colon = text.firstIndex(of: ":") else { return nil }
        return (String(text[..<colon]), String(text[text.index(after: colon)...]))
    }

    private static func port(_ text: String) -> Int? {
        guard let number = Int(text), (1...65535).contains(number) else { return nil }
        return number
    }

    /// As members tell it to each other: always with the role.
    package var text: String {
        let places = addresses.map { address in
            address.host.contains(":")
                ? "[\(address.host)]:\(address.quorumPort):\(address.electionPort)"
                : "\(address.host):\(address.quorumPort):\(address.electionPort)"
        }
        let role = isObserver ? "observer" : "participant"
        let client = client.map { ";\($0)" } ?? ""
        return "server.\(id)=\(places.joined(separator: "|")):\(role)\(client)"
    }
}
