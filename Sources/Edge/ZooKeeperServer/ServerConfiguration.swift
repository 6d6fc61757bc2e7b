package import ZooKeeperModel

/// What `zoo.cfg` says, with ZooKeeper's names, units and defaults.
///
/// A key that Apache takes as the Java property `zookeeper.K` may stand as `K` or as `zookeeper.K`.
/// A key that means nothing here is named in ``warnings``; a value that cannot be is an error with
/// file, line and reason, as is a key whose neglect would leave a door open that its writer believes
/// shut.
package struct ServerConfiguration: Sendable {
    package var dataDirectory = ""
    /// Nil: the same as the data directory.
    package var logDirectory: String?
    package var clientPort: Int = 0
    /// Nil: all addresses.
    package var clientPortAddress: String?
    package var listenBacklog: Int32 = 128
    package var tickTime: Duration = .milliseconds(3000)
    package var initLimit = 10
    package var syncLimit = 5
    /// Per source address; 0 means no limit.
    package var maxClientConnections = 60
    /// In all; 0 means no limit.
    package var maxConnections = 0
    private var givenMinSessionTimeout: Duration?
    private var givenMaxSessionTimeout: Duration?
    package var fourLetterWords: FourLetterWordList = .some(["srvr"])
    package var maxFrameBytes = 1_048_575
    package var globalOutstandingLimit = 1000
    package var snapshotTransactionCount = 100_000
    package var snapshotSizeBytes = 4_194_304 * 1024
    package var preallocationBytes = 65_536 * 1024
    /// Nil: no limit.
    package var logSizeLimitBytes: Int?
    package var retainedSnapshots = 3
    /// Nil: never purge.
    package var purgeInterval: Duration?
    package var trustsEmptySnapshot = false
    package var skipsACL = false
    package var superDigest: String?
    package var extendedTypes = false
    package var digestEnabled = true
    package var warnings: [String] = []

    package var minSessionTimeout: Duration { givenMinSessionTimeout ?? tickTime * 2 }
    package var maxSessionTimeout: Duration { givenMaxSessionTimeout ?? tickTime * 20 }
    package var serverID = ServerID(rawValue: 1)

    package enum FourLetterWordList: Hashable, Sendable {
        case all
        case some([String])
        package func allows(_ word: String) -> Bool {
            switch self {
            case .all: true
            case .some(let words): words.contains(word)
            }
        }
    }
}

/// A configuration that cannot be run: the sentence names file, line and reason.
package struct ConfigurationError: Error, Hashable, Sendable, CustomStringConvertible {
    package var description: String
    package init(_ description: String) { self.description = description }
}

extension ServerConfiguration {
    /// Reads the text of `zoo.cfg`; `file` is its name, for messages.
    package init(text: String, file: String) throws(ConfigurationError) {
        var clientPortSeen = false
        var servers: [PropertiesFile.Entry] = []
        for entry in PropertiesFile(text).entries {
            let context = EntryContext(file: file, entry: entry)
            let key =
                entry.key.hasPrefix("zookeeper.")
                ? String(entry.key.dropFirst("zookeeper.".count)) : entry.key
            if key.hasPrefix("server.") {
                servers.append(entry)
                continue
            }
            if key == "clientPort" { clientPortSeen = true }
            try apply(key, context)
        }
        guard !dataDirectory.isEmpty else {
            throw ConfigurationError("\(file): dataDir is missing")
        }
        guard clientPortSeen || servers.contains(where: { $0.value.contains(";") }) else {
            throw ConfigurationError("\(file): clientPort is missing")
        }
        try apply(servers, file: file)
        guard minSessionTimeout <= maxSessionTimeout else {
            throw ConfigurationError(
                "\(file): minSessionTimeout is larger than maxSessionTimeout"
            )
        }
    }

    /// One voter alone is a standalone server, as Apache has it; more need the quorum ports.
    private mutating func apply(
        _ servers: [PropertiesFile.Entry],
        file: String
    ) throws(ConfigurationError) {
        guard let first = servers.first else { return }
        guard servers.count == 1 else {
            throw ConfigurationError(
                "\(file), line \(servers[1].line): \(servers.count) servers are configured;"
                    + " this version serves alone and cannot join an ensemble yet"
            )
        }
        let context = EntryContext(file: file, entry: first)
        guard let id = Int64(first.key.drop { $0 != "." }.dropFirst()), id >= 0 else {
            throw context.error("the server's number is not a number")
        }
        serverID = ServerID(rawValue: id)
        guard let semicolon = first.value.firstIndex(of: ";") else { return }
        let client = first.value[first.value.index(after: semicolon)...]
        guard let portText = client.split(separator: ":").last, let port = Int(portText),
            (1...65535).contains(port)
        else { throw context.error("the client port is not a port number") }
        clientPort = port
    }

    private mutating func apply(
        _ key: String,
        _ context: EntryContext
    ) throws(ConfigurationError) {
        switch key {
        case "dataDir": dataDirectory = try context.text()
        case "dataLogDir": logDirectory = try context.text()
        case "clientPort": clientPort = try context.integer(in: 1...65535)
        case "clientPortAddress": clientPortAddress = try context.text()
        case "clientPortListenBacklog":
            let backlog = try context.integer(in: -1...65535)
            if backlog > 0 { listenBacklog = Int32(backlog) }
        case "tickTime":
            tickTime = .milliseconds(try context.integer(in: 1...10_000_000))
        case "initLimit": initLimit = try context.integer(in: 1...1_000_000)
        case "syncLimit": syncLimit = try context.integer(in: 1...1_000_000)
        case "maxClientCnxns": maxClientConnections = try context.integer(in: 0...10_000_000)
        case "maxCnxns": maxConnections = try context.integer(in: 0...10_000_000)
        case "minSessionTimeout": givenMinSessionTimeout = try context.milliseconds()
        case "maxSessionTimeout": givenMaxSessionTimeout = try context.milliseconds()
        case "4lw.commands.whitelist": fourLetterWords = Self.whitelist(context.entry.value)
        case "jute.maxbuffer": maxFrameBytes = try context.integer(in: 1024...0x7FFF_0000)
        case "globalOutstandingLimit":
            globalOutstandingLimit = try context.integer(in: 1...10_000_000)
        case "snapCount":
            snapshotTransactionCount = max(2, try context.integer(in: 0...Int(Int32.max)))
        case "snapSizeLimitInKb":
            let kilobytes = try context.integer(in: -1...(1 << 40))
            snapshotSizeBytes = kilobytes <= 0 ? .max : kilobytes * 1024
        case "preAllocSize":
            preallocationBytes = max(0, try context.integer(in: -1...(1 << 22))) * 1024
        case "txnLogSizeLimitInKb":
            let kilobytes = try context.integer(in: -1...(1 << 40))
            logSizeLimitBytes = kilobytes <= 0 ? nil : kilobytes * 1024
        case "autopurge.snapRetainCount":
            retainedSnapshots = max(3, try context.integer(in: 0...1_000_000))
        case "autopurge.purgeInterval":
            let hours = try context.integer(in: 0...1_000_000)
            purgeInterval = hours == 0 ? nil : .seconds(hours * 3600)
        case "snapshot.trust.empty": trustsEmptySnapshot = try context.boolean()
        case "skipACL": skipsACL = try context.yesOrNo()
        case "forceSync":
            if try !context.yesOrNo() {
                warnings.append(
                    context.sentence("has no effect: what is acknowledged is always synced")
                )
            }
        case "DigestAuthenticationProvider.superDigest": superDigest = try context.text()
        case "extendedTypesEnabled": extendedTypes = try context.boolean()
        case "digest.enabled": digestEnabled = try context.boolean()
        case "secureClientPort", "secureClientPortAddress", "client.portUnification",
            "sslQuorum", "enforce.auth.enabled", "enforce.auth.schemes",
            "sessionRequireClientSASLAuth", "quorum.auth.enableSasl":
            guard context.entry.value.lowercased() != "false" else { return }
            throw context.error(
                "it guards access in a way that this version does not know yet;"
                    + " remove the line only if you can do without it"
            )
        case let key where Self.withoutEffectYet(key):
            warnings.append(context.sentence("is not supported yet and has no effect"))
        default:
            warnings.append(context.sentence("is not a key that is known; it has no effect"))
        }
    }

    private static func whitelist(_ value: String) -> FourLetterWordList {
        let words = value.split { $0 == "," || $0 == " " }.map(String.init)
        return words.contains("*") ? .all : .some(words)
    }

    /// Keys of Apache's that parts of this server which are still to come will read.
    private static func withoutEffectYet(_ key: String) -> Bool {
        let names: Set = [
            "peerType", "electionAlg", "leaderServes", "cnxTimeout", "standaloneEnabled",
            "reconfigEnabled", "dynamicConfigFile", "syncEnabled", "observerMasterPort",
            "localSessionsEnabled", "localSessionsUpgradingEnabled", "quorumListenOnAllIPs",
            "commitLogCount", "snapshotSizeFactor", "fsync.warningthresholdms", "enforceQuota",
            "readonlymode.enabled", "serverCnxnFactory", "tcpKeepAlive", "clientTcpKeepAlive",
            "flushDelay", "maxBatchSize", "snapshot.compression.method",
            "connectToLearnerMasterLimit", "db.autocreate", "datadir.autocreate",
        ]
        let prefixes = [
            "admin.", "metricsProvider.", "audit.", "ssl.", "authProvider.", "group.", "weight.",
            "znode.container.", "quorum.", "connection", "watch", "fastleader.", "jvm.",
        ]
        return names.contains(key) || prefixes.contains { key.hasPrefix($0) }
    }
}

/// One entry where it stands, for reading its value and for complaining about it.
private struct EntryContext {
    var file: String
    var entry: PropertiesFile.Entry

    func sentence(_ reason: String) -> String {
        "\(file), line \(entry.line): \(entry.key) \(reason)"
    }
    func error(_ reason: String) -> ConfigurationError {
        ConfigurationError("\(file), line \(entry.line): \(entry.key)=\(entry.value): \(reason)")
    }
    func text() throws(ConfigurationError) -> String {
        guard !entry.value.isEmpty else { throw error("the value is empty") }
        return entry.value
    }
    func integer(in range: ClosedRange<Int>) throws(ConfigurationError) -> Int {
        guard let number = Int(entry.value) else { throw error("not a whole number") }
        guard range.contains(number) else {
            throw error("not between \(range.lowerBound) and \(range.upperBound)")
        }
        return number
    }
    /// −1 stands for the default.
    func milliseconds() throws(ConfigurationError) -> Duration? {
        let number = try integer(in: -1...Int(Int32.max))
        return number == -1 ? nil : .milliseconds(number)
    }
    func boolean() throws(ConfigurationError) -> Bool {
        switch entry.value.lowercased() {
        case "true": return true
        case "false": return false
        default: throw error("neither true nor false")
        }
    }
    func yesOrNo() throws(ConfigurationError) -> Bool {
        switch entry.value.lowercased() {
        case "yes", "true": return true
        case "no", "false": return false
        default: throw error("neither yes nor no")
        }
    }
}
