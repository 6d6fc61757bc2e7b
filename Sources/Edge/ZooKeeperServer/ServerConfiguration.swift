internal import Platform
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
    package var ensemble = EnsembleLines()
    /// Listen for the other members on all addresses, not only on those of the own line.
    package var listensOnAllAddresses = false
    /// How often the ports for the other members are tried at the start, a second apart; 0: for ever.
    package var portBindAttempts = 3
    /// How long one attempt to reach another member may take. Shorter than Apache's 5 s: an attempt
    /// into a partition is given up, and made anew, soon after the partition has healed.
    package var connectTimeout: Duration = .seconds(2)
    private var dynamicConfigFile: String?
    package var localSessions = false
    package var localSessionsUpgrading = false
    package var readOnlyMode = false
    package var warnings: [String] = []

    package var minSessionTimeout: Duration { givenMinSessionTimeout ?? tickTime * 2 }
    package var maxSessionTimeout: Duration { givenMaxSessionTimeout ?? tickTime * 20 }
    package var serverID: ServerID { ensemble.me }

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
    /// Reads the text of `zoo.cfg`; `file` is its name, for messages. `readFile` reads the files that it
    /// refers to: `myid`, and where it has one the file of the members' lines.
    package init(
        text: String,
        file: String,
        readFile: (String) throws -> String = { try TextFile.read($0, limitBytes: 1 << 20) }
    ) throws(ConfigurationError) {
        var clientPortEntry: PropertiesFile.Entry?
        var members = EnsembleLines.Reader(file: file)
        for entry in PropertiesFile(text, file: file).entries {
            let context = EntryContext(file: file, entry: entry)
            let key =
                entry.key.hasPrefix("zookeeper.")
                ? String(entry.key.dropFirst("zookeeper.".count)) : entry.key
            if try members.take(key, entry) { continue }
            if key == "clientPort" { clientPortEntry = entry }
            try apply(key, context)
        }
        guard !dataDirectory.isEmpty else {
            throw ConfigurationError("\(file): dataDir is missing")
        }
        if let dynamicConfigFile {
            let text = try Self.read(dynamicConfigFile, readFile)
            for entry in PropertiesFile(text, file: dynamicConfigFile).entries
            where try !members.take(entry.key, entry) {
                warnings.append(
                    "\(dynamicConfigFile), line \(entry.line): \(entry.key) says nothing of the"
                        + " members; it has no effect"
                )
            }
        }
        let identityFile = dataDirectory + "/myid"
        ensemble = try members.lines(
            identityFile: identityFile,
            warnings: &warnings
        ) { () throws(ConfigurationError) in try Self.read(identityFile, readFile) }
        try applyClientPort(of: ensemble.mine, given: clientPortEntry, file: file)
        guard minSessionTimeout <= maxSessionTimeout else {
            throw ConfigurationError(
                "\(file): minSessionTimeout is larger than maxSessionTimeout"
            )
        }
    }

    private static func read(
        _ path: String,
        _ readFile: (String) throws -> String
    ) throws(ConfigurationError) -> String {
        do {
            return try readFile(path)
        } catch {
            throw ConfigurationError("\(error)")
        }
    }

    private mutating func applyClientPort(
        of member: MemberLine?,
        given entry: PropertiesFile.Entry?,
        file: String
    ) throws(ConfigurationError) {
        guard let client = member?.client else {
            guard entry != nil else {
                throw ConfigurationError("\(file): clientPort is missing")
            }
            return
        }
        if let entry, clientPort != client.port {
            throw ConfigurationError(
                "\(file), line \(entry.line): clientPort=\(clientPort): the line of server"
                    + " \(serverID) says \(client.port)"
            )
        }
        clientPort = client.port
        if client.host != "0.0.0.0" { clientPortAddress = client.host }
    }

    private mutating func apply(
        _ key: String,
        _ context: EntryContext
    ) throws(ConfigurationError) {
        switch key {
        case "dataDir": dataDirectory = try context.text()
        case "dataLogDir": logDirectory = try context.text()
        case "clientPort": clientPort = try context.integer(in: 1...65535)
        case "clientPortAddress":
            // In brackets or not, as IPv6 addresses are written elsewhere in this file.
            let text = try context.text()
            let isBracketed = text.hasPrefix("[") && text.hasSuffix("]")
            clientPortAddress = isBracketed ? String(text.dropFirst().dropLast()) : text
        case "clientPortListenBacklog":
            let backlog = try context.integer(in: -1...65535)
            if backlog > 0 { listenBacklog = Int32(backlog) }
        case "tickTime":
            tickTime = .milliseconds(try context.integer(in: 1...10_000_000))
        case "initLimit": initLimit = try context.integer(in: 1...1_000_000)
        case "syncLimit": syncLimit = try context.integer(in: 1...1_000_000)
        case "quorumListenOnAllIPs": listensOnAllAddresses = try context.boolean()
        case "electionPortBindRetry":
            portBindAttempts = try context.integer(in: 0...1_000_000)
        case "cnxTimeout":
            connectTimeout = .milliseconds(try context.integer(in: 1...3_600_000))
        case "electionAlg":
            guard try context.integer(in: 0...3) == 3 else {
                throw context.error("only 3, the fast leader election, is there")
            }
        case "dynamicConfigFile": dynamicConfigFile = try context.text()
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
        case "localSessionsEnabled": localSessions = try context.boolean()
        case "localSessionsUpgradingEnabled": localSessionsUpgrading = try context.boolean()
        case "readonlymode.enabled": readOnlyMode = try context.boolean()
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
            "leaderServes", "standaloneEnabled", "reconfigEnabled", "syncEnabled",
            "observerMasterPort", "commitLogCount", "snapshotSizeFactor",
            "fsync.warningthresholdms", "enforceQuota", "serverCnxnFactory", "tcpKeepAlive",
            "clientTcpKeepAlive", "flushDelay", "maxBatchSize", "snapshot.compression.method",
            "connectToLearnerMasterLimit", "db.autocreate", "datadir.autocreate",
        ]
        let prefixes = [
            "admin.", "metricsProvider.", "audit.", "ssl.", "authProvider.",
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
