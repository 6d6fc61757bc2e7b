import Foundation
import Testing

/// Servers of one ensemble, each on a host of its own in a private network.
final class EnsembleWorkspace {
    /// Short, so that what takes ticks takes little time.
    static let tickMilliseconds = 500
    static let syncLimit = 4
    static let clientPort = 2181

    let workspace: Workspace
    let network: Network
    let size: Int
    private(set) var members: [Member] = []

    /// Starts all servers, without waiting. `directory` says where a member keeps its data; named
    /// members know each other by names that each host resolves for itself.
    init(
        size: Int,
        isNamed: Bool = false,
        extra: [String] = [],
        directory: ((Int) throws -> String)? = nil
    ) throws {
        self.size = size
        workspace = try Workspace()
        network = try Network()
        for number in 1...size { try network.addHost(number) }
        if isNamed { for number in 1...size { try resolveRightly(on: number) } }
        let servers = (1...size).map { number in
            let host = isNamed ? Self.hostName(number) : network.address(number)
            return "server.\(number)=\(host):2888:3888"
        }
        for number in 1...size {
            let data = try directory?(number) ?? workspace.makeDirectory("data-\(number)")
            try FileManager.default.createDirectory(
                atPath: data,
                withIntermediateDirectories: true
            )
            try "\(number)\n".write(toFile: data + "/myid", atomically: false, encoding: .utf8)
            let configuration = workspace.path("server-\(number).cfg")
            let lines =
                [
                    "tickTime=\(Self.tickMilliseconds)", "initLimit=10",
                    "syncLimit=\(Self.syncLimit)", "dataDir=\(data)",
                    "clientPort=\(Self.clientPort)", "4lw.commands.whitelist=*",
                    "maxClientCnxns=0", "minSessionTimeout=1000", "maxSessionTimeout=60000",
                ] + servers + extra
            try (lines.joined(separator: "\n") + "\n").write(
                toFile: configuration,
                atomically: false,
                encoding: .utf8
            )
            members.append(
                Member(number, network, workspace, configuration: configuration, data: data)
            )
        }
        for member in members { try member.start() }
    }

    func tearDown() {
        for member in members { member.end() }
        workspace.tearDown()
    }

    static func hostName(_ number: Int) -> String { "zk\(number).test" }

    /// On this host each member's name stands for that member.
    func resolveRightly(on host: Int) throws {
        try network.setNames(
            (1...size).map { (Self.hostName($0), network.address($0)) },
            on: host
        )
    }

    var addresses: [String] { members.map(\.address) }

    subscript(number: Int) -> Member { members[number - 1] }

    /// Who leads, by its own word.
    var leader: Member? { members.first { $0.mode == "leader" } }

    /// The leader of those that run and can be reached, with as many followers as can be.
    @discardableResult
    func waitForLeader(among numbers: [Int]? = nil, limit: Double = 60) throws -> Member {
        let some = members.filter { numbers?.contains($0.number) ?? true }
        var found: Member?
        eventually("\(some.map(\.number)) have a leader\n\(logs)", limit: limit) {
            let modes = some.map(\.mode)
            found = zip(some, modes).first { $0.1 == "leader" }?.0
            return modes.count { $0 == "leader" } == 1
                && modes.allSatisfy { $0 == "leader" || $0 == "follower" }
        }
        return try #require(found)
    }

    /// The end of each member's log, for a failure's text.
    var logs: String {
        members.map { "--- server \($0.number)\n\($0.log.suffix(1500))" }.joined(separator: "\n")
    }

    /// One server of the ensemble.
    final class Member {
        let number: Int
        let address: String
        let dataDirectory: String
        private let network: Network
        private let workspace: Workspace
        private let configuration: String
        private(set) var child: ChildProcess?
        private(set) var starts = 0
        /// Of the lives before this one.
        private var earlierLogs = ""

        fileprivate init(
            _ number: Int,
            _ network: Network,
            _ workspace: Workspace,
            configuration: String,
            data: String
        ) {
            self.number = number
            self.network = network
            self.workspace = workspace
            self.configuration = configuration
            dataDirectory = data
            address = network.address(number)
        }

        func start() throws {
            if let child { earlierLogs += child.log }
            starts += 1
            let started = try ChildProcess(
                network.command(on: number) + [Workspace.program("zkserver"), configuration],
                log: workspace.path("server-\(number)-\(starts).log")
            )
            workspace.adopt(started)
            child = started
        }

        var isRunning: Bool { child?.isRunning ?? false }
        var log: String { earlierLogs + (child?.log ?? "") }

        func kill() { child?.kill() }
        func terminate() { child?.terminate() }
        func pause() { child?.signal(SIGSTOP) }
        func resume() { child?.signal(SIGCONT) }
        func handOver() { child?.signal(SIGUSR1) }

        /// A stopped process takes no SIGTERM, but SIGKILL.
        fileprivate func end() { child?.kill() }

        /// `leader`, `follower`, `standalone`; "" while it does not serve.
        var mode: String {
            let answer = fourLetterWord("srvr")
            guard let line = answer.split(separator: "\n").first(where: { $0.hasPrefix("Mode: ") })
            else { return "" }
            return String(line.dropFirst(6))
        }

        func fourLetterWord(_ word: String, limit: Double = 2) -> String {
            guard isRunning, let client = RawClient(host: address, port: clientPort) else {
                return ""
            }
            client.send(Array(word.utf8))
            return String(decoding: client.receiveToEnd(limit: limit), as: UTF8.self)
        }
    }
}
