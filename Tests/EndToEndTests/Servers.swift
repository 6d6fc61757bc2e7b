import Foundation
import Testing

/// A ZooKeeper server as a process: ours or Apache's, on the same kind of configuration.
final class ServerProcess {
    enum Kind: String, CaseIterable, Sendable { case ours, apache }

    private(set) var kind: Kind
    let port: Int
    let dataDirectory: String
    private let workspace: Workspace
    private let configurationPath: String
    private let name: String
    private let lines: [String]
    private(set) var child: ChildProcess

    var address: String { "127.0.0.1:\(port)" }

    /// Starts the server and, unless it is the member of an ensemble, waits until it answers.
    init(
        _ kind: Kind,
        in workspace: Workspace,
        name: String = "server",
        dataDirectory: String? = nil,
        port: Int? = nil,
        isMember: Bool = false,
        extra: [String] = []
    ) throws {
        self.kind = kind
        self.workspace = workspace
        self.name = name
        self.port = try port ?? Workspace.freePort()
        self.dataDirectory = try dataDirectory ?? workspace.makeDirectory(name + "-data")
        configurationPath = workspace.path(name + ".cfg")
        lines =
            [
                "tickTime=500", "dataDir=\(self.dataDirectory)", "clientPort=\(self.port)",
                "clientPortAddress=127.0.0.1", "4lw.commands.whitelist=*", "maxClientCnxns=0",
                "minSessionTimeout=1000", "maxSessionTimeout=60000",
            ] + extra
        try Self.configure(kind, lines, configurationPath)
        child = try Self.launch(kind, configurationPath, lines, workspace, name)
        if !isMember { try waitUntilServing() }
    }

    private static func configure(_ kind: Kind, _ lines: [String], _ path: String) throws {
        let own = kind == .apache ? ["admin.enableServer=false"] : []
        try ((lines + own).joined(separator: "\n") + "\n").write(
            toFile: path,
            atomically: true,
            encoding: .utf8
        )
    }

    private static func launch(
        _ kind: Kind,
        _ configuration: String,
        _ lines: [String],
        _ workspace: Workspace,
        _ name: String
    ) throws -> ChildProcess {
        // Apache's server does not look for this one in its configuration.
        let properties = lines.filter { $0.hasPrefix("readonlymode.") }.map { "-D" + $0 }
        let arguments =
            switch kind {
            case .ours: [try Workspace.program("zkserver"), configuration]
            case .apache:
                ["java", "-Xmx512m"] + properties + [
                    "-cp", "/etc/zookeeper/conf:/usr/share/java/*",
                    "org.apache.zookeeper.server.quorum.QuorumPeerMain", configuration,
                ]
            }
        let child = try ChildProcess(arguments, log: workspace.path(name + ".log"))
        workspace.adopt(child)
        return child
    }

    func waitUntilServing() throws {
        eventually("\(kind.rawValue) server answers on port \(port)") {
            fourLetterWord("srvr").contains("Mode:")
        }
    }

    /// Empty while nobody listens.
    func fourLetterWord(_ word: String) -> String {
        guard let client = RawClient(port: port), client.send(Array(word.utf8)) else { return "" }
        return client.textUntilClosed(limit: 5)
    }

    func kill() { child.kill() }
    @discardableResult func terminate() -> Int32 { child.terminate() }

    /// Starts again on the same data, and waits until it answers.
    func restart() throws {
        child.kill()
        child = try Self.launch(kind, configurationPath, lines, workspace, name)
        try waitUntilServing()
    }
    /// As ``restart()``, without waiting; perhaps as the other kind, on the same data.
    func launchAgain(as other: Kind? = nil) throws {
        if let other {
            kind = other
            try Self.configure(kind, lines, configurationPath)
        }
        child = try Self.launch(kind, configurationPath, lines, workspace, name)
    }
}

/// What this machine lacks for a kind of test; nil when it can run. Where everything is required, a
/// lack is a failure and not a skip.
enum Requirement {
    static let requireAll = ProcessInfo.processInfo.environment["ZKFS_REQUIRE_ALL"] != nil

    static var hasFuse: Bool {
        unsafe requireAll || (access("/dev/fuse", R_OK | W_OK) == 0 && geteuid() == 0)
    }
    static var hasApache: Bool {
        requireAll || FileManager.default.fileExists(atPath: "/usr/share/java/zookeeper.jar")
    }
    static var hasKazoo: Bool {
        requireAll || run([Workspace.python, "-c", "import kazoo"]).status == 0
    }
}

/// A mount as a process, in the foreground of its own.
final class MountProcess {
    let mountPoint: String
    private(set) var child: ChildProcess
    private let arguments: [String]
    private let workspace: Workspace
    private let name: String

    /// Mounts and waits until the mount answers.
    init(
        _ servers: String,
        in workspace: Workspace,
        name: String = "mnt",
        options: [String] = []
    ) throws {
        self.workspace = workspace
        self.name = name
        mountPoint = try workspace.makeDirectory(name)
        arguments =
            [try Workspace.program("zkfs"), servers, mountPoint, "-f"]
            + options.flatMap { ["-o", $0] }
        child = try ChildProcess(arguments, log: workspace.path(name + ".log"))
        workspace.adopt(child)
        workspace.adoptMount(mountPoint)
        waitUntilMounted()
    }

    func waitUntilMounted() {
        eventually("\(mountPoint) is mounted; its log: \(child.log)") {
            run(["mountpoint", "-q", mountPoint], limit: 5).status == 0
                && run(["stat", mountPoint + "/."], limit: 5).status == 0
        }
    }

    func path(_ name: String) -> String { mountPoint + "/" + name }

    func kill() { child.kill() }
    @discardableResult func terminate() -> Int32 { child.terminate() }

    /// Starts a new daemon over the same mount point.
    func mountAgain() throws {
        child = try ChildProcess(arguments, log: workspace.path(name + ".log"))
        workspace.adopt(child)
        waitUntilMounted()
    }
}
