import ClientCore
import Fuse
import ZnodeFS
import ZooKeeperModel

/// What one run of the command is to do: the command line checked, its files read, its paths absolute.
struct MountPlan {
    enum Servers {
        case remote(MountSource)
        /// One server inside, with its data in this directory.
        case embedded(directory: String)
    }

    var servers: Servers
    var mountPoint: String
    var options: MountOptions
    var credentials: Credentials?
    var staysInForeground: Bool
    var log: LogWriter

    /// Throws ``OptionError`` or ``MountFailure``.
    init(_ command: MountCommand) throws {
        options = try MountOptions(command.options)
        staysInForeground = command.foreground
        var words = command.words
        if let directory = command.embedded {
            guard words.count == 1 else {
                throw OptionError("with --embedded DIR, give the mount point alone")
            }
            servers = .embedded(directory: try ProcessFacts.absolute(directory))
        } else {
            guard words.count == 2 else {
                throw OptionError("give the servers, as HOST:PORT, and the mount point")
            }
            servers = .remote(try MountSource(words.removeFirst()))
        }
        credentials = try options.authenticationFile.map { path in
            try Credentials(file: try ProcessFacts.absolute(path))
        }
        log = try LogWriter(to: try Self.destination(command, options))
        mountPoint = try MountPoint.prepare(words[0])
    }

    private static func destination(
        _ command: MountCommand,
        _ options: MountOptions
    ) throws -> LogWriter.Destination {
        if let path = options.logFile { return .file(try ProcessFacts.absolute(path)) }
        return command.foreground ? .standardError : .system
    }
}

extension MountPlan {
    /// Shown as the mount's source.
    var sourceText: String {
        switch servers {
        case .remote(let source): source.text
        case .embedded(let directory): directory
        }
    }

    var kernelOptions: KernelOptions {
        KernelOptions(
            source: sourceText,
            isReadOnly: options.isReadOnly,
            allowsExecution: options.allowsExecution,
            access: options.allowsEveryone
                ? .everyone : options.allowsRoot ? .mountingUserAndRoot : .mountingUser
        )
    }

    func settings(root: ZnodePath) -> MountSettings {
        var settings = MountSettings()
        settings.root = root
        settings.user = options.user ?? ProcessFacts.user
        settings.group = options.group ?? ProcessFacts.group
        settings.umask = options.umask
        settings.hold = options.hold
        settings.facets = options.facets
        settings.emptyIsDirectory = options.emptyIsDirectory
        settings.acl = options.acl
        settings.identities = credentials?.identities ?? []
        settings.readOnly = options.isReadOnly
        settings.linearizableReads = options.linearizableReads
        settings.ignoresPermissions = options.ignoresPermissions
        settings.randomSeed = .random(in: 0...(.max))
        return settings
    }

    func clientConfiguration(servers: [ServerAddress]) -> ClientConfiguration {
        ClientConfiguration(
            servers: servers,
            sessionTimeout: options.sessionTimeout,
            credentials: credentials?.presented ?? [],
            seed: .random(in: 0...(.max))
        )
    }
}
