import Foundation
import Testing

/// A network of one test: a namespace for each host, all on one bridge, and the test's own process
/// as one more host on it.
///
/// Everything lies in namespaces, the bridge too, and goes with them. Names carry the process that made
/// them, so that what a crashed test has left is found and removed by the next.
final class Network {
    private static let prefix = "zkt-"

    private let name: String
    private let subnet: String
    private(set) var hosts: [Int] = []

    /// Whether this machine lets a test make namespaces.
    static var isPossible: Bool {
        Requirement.requireAll
            || (geteuid() == 0 && run(["unshare", "--net", "true"]).status == 0
                && run(["iptables", "-V"]).status == 0)
    }

    init() throws {
        Self.removeLeftovers()
        let number = UInt16.random(in: 0...(.max))
        name = Self.prefix + "\(getpid())-\(number)"
        // Set aside for tests of networks (RFC 2544): nobody's real addresses.
        subnet = "198.\(18 + Int(number >> 15)).\(number >> 7 & 0xFF)"
        let hub = name + "-hub"
        let outer = "zkt\(number)"
        try Self.succeed(
            """
            ip netns add \(hub)
            ip -n \(hub) link add bridge type bridge
            ip -n \(hub) link set bridge up
            ip link add \(outer) type veth peer name tests netns \(hub)
            ip -n \(hub) link set tests master bridge up
            ip addr add \(subnet).254/24 dev \(outer)
            ip link set \(outer) up
            """
        )
    }

    deinit { Self.remove { $0.hasPrefix(name) } }

    private static func succeed(_ script: String) throws {
        let result = shell(script)
        try #require(result.status == 0, "\(script)\n\(result.errors)")
    }

    private static func remove(_ isMeant: (Substring) -> Bool) {
        for line in run(["ip", "netns", "list"]).output.split(separator: "\n") {
            let namespace = line.prefix { $0 != " " }
            if namespace.hasPrefix(prefix), isMeant(namespace) {
                run(["ip", "netns", "delete", String(namespace)])
                try? FileManager.default.removeItem(atPath: namesDirectory(of: namespace))
            }
        }
    }

    /// Of processes that are no more.
    private static func removeLeftovers() {
        remove { namespace in
            let words = namespace.split(separator: "-")
            guard words.count > 1, let owner = Int32(words[1]) else { return false }
            return Foundation.kill(owner, 0) != 0
        }
    }

    // MARK: Hosts

    func address(_ host: Int) -> String { "\(subnet).\(host)" }
    private func namespace(_ host: Int) -> String { name + "-\(host)" }

    /// `host` is 1 to 253.
    func addHost(_ host: Int) throws {
        let own = namespace(host)
        try Self.succeed(
            """
            ip netns add \(own)
            ip -n \(own) link set lo up
            ip link add host\(host) netns \(name)-hub type veth peer name eth0 netns \(own)
            ip -n \(name)-hub link set host\(host) master bridge up
            ip -n \(own) addr add \(address(host))/24 dev eth0
            ip -n \(own) link set eth0 up
            """
        )
        hosts.append(host)
    }

    /// What to put before a command that is to run on the host; it keeps its process.
    func command(on host: Int) -> [String] {
        FileManager.default.fileExists(atPath: Self.namesDirectory(of: namespace(host)))
            ? ["ip", "netns", "exec", namespace(host)]
            : ["nsenter", "--net=/run/netns/" + namespace(host)]
    }

    // MARK: Names

    /// Files there stand in the place of those in /etc for what `ip netns exec` begins.
    private static func namesDirectory(of namespace: some StringProtocol) -> String {
        "/etc/netns/" + namespace
    }

    /// What this host makes of these names, from now on. The first time before anything runs there.
    func setNames(_ names: [(name: String, address: String)], on host: Int) throws {
        let directory = Self.namesDirectory(of: namespace(host))
        try FileManager.default.createDirectory(
            atPath: directory,
            withIntermediateDirectories: true
        )
        let lines = ["127.0.0.1 localhost"] + names.map { "\($0.address) \($0.name)" }
        // In place: what is mounted over /etc/hosts is this file, not its name.
        try (lines.joined(separator: "\n") + "\n").write(
            toFile: directory + "/hosts",
            atomically: false,
            encoding: .utf8
        )
    }

    /// The test's own process on this network.
    var ownAddress: String { subnet + ".254" }

    // MARK: Faults

    /// Nothing that `sender` sends reaches `receiver`, not even the end of a connection.
    func cut(from sender: Int, to receiver: Int) throws {
        try Self.succeed(
            "ip netns exec \(namespace(receiver)) "
                + "iptables -w -A INPUT -s \(address(sender)) -j DROP"
        )
    }

    /// Neither direction, between this host and all others; the test's process still reaches it.
    func isolate(_ host: Int) throws {
        for other in hosts where other != host {
            try cut(from: host, to: other)
            try cut(from: other, to: host)
        }
    }

    /// All packets pass again.
    func heal() throws {
        for host in hosts {
            try Self.succeed("ip netns exec \(namespace(host)) iptables -w -F INPUT")
        }
    }
}
