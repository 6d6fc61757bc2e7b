internal import ZooKeeperModel

/// One line of data that says what a znode is to a mount: `#!zkfs …`, at most 1,024 bytes. Any
/// client can set it. Words of the design that this build does not serve (`ttl=`, `container`,
/// `ephemeral close`) are unknown directives, and a znode with an unknown directive is a file.
enum Directive: Hashable, Sendable {
    case directory
    /// Children are made as ephemerals of the creating mount's session.
    case ephemeralDirectory
    case symbolicLink([UInt8])

    static let longest = 1_024
    private static let prefix = Array("#!zkfs ".utf8)

    init?(_ data: [UInt8]) {
        guard data.count <= Self.longest, data.starts(with: Self.prefix) else { return nil }
        var line = data.dropFirst(Self.prefix.count)
        if line.last == UInt8(ascii: "\n") { line = line.dropLast() }
        guard !line.contains(UInt8(ascii: "\n")) else { return nil }
        if line.elementsEqual("dir".utf8) {
            self = .directory
        } else if line.elementsEqual("ephemeral".utf8) {
            self = .ephemeralDirectory
        } else if line.starts(with: "symlink ".utf8), line.count > 8 {
            self = .symbolicLink(Array(line.dropFirst(8)))
        } else {
            return nil
        }
    }

    var data: [UInt8] {
        switch self {
        case .directory: Array("#!zkfs dir\n".utf8)
        case .ephemeralDirectory: Array("#!zkfs ephemeral\n".utf8)
        case .symbolicLink(let target):
            Array("#!zkfs symlink ".utf8) + target + [UInt8(ascii: "\n")]
        }
    }
}

/// What the data of a znode means to the kind rule.
enum ContentKind: Hashable, Sendable {
    case null
    case empty
    case directive(Directive)
    case other
    /// The ACL does not let this mount read it.
    case unreadable

    init(_ data: [UInt8]?) {
        guard let data else {
            self = .null
            return
        }
        if data.isEmpty {
            self = .empty
        } else if let directive = Directive(data) {
            self = .directive(directive)
        } else {
            self = .other
        }
    }
}

/// A znode as this mount sees it at one moment.
struct Znode: Hashable, Sendable {
    var path: ZnodePath
    var stat: Stat
    var content: ContentKind
    /// What its ACL allows this mount, as far as the mount can tell.
    var permissions: Permissions

    /// The kind rule, in its order: a parent, a directive, null data, a file.
    func kind(root: ZnodePath, emptyIsDirectory: Bool) -> FileKind {
        if path == root || stat.numChildren > 0 || stat.cversion != 0 { return .directory }
        switch content {
        case .directive(.directory), .directive(.ephemeralDirectory): return .directory
        case .directive(.symbolicLink): return .symbolicLink
        case .null: return .directory
        case .empty: return emptyIsDirectory ? .directory : .regular
        case .other: return .regular
        case .unreadable: return stat.dataLength > 0 ? .regular : .directory
        }
    }

    var makesEphemerals: Bool { content == .directive(.ephemeralDirectory) }
    var isEphemeral: Bool { stat.ephemeralOwner != .none }
    /// Whether a directory of this content lists `@data`. Empty data is no content to carry: the
    /// root of every ensemble has it, and every directory that kazoo makes.
    var carriesOwnData: Bool {
        switch content {
        case .other: true
        case .null, .empty, .directive, .unreadable: false
        }
    }
}

extension Znode {
    /// The rights that an ACL gives, taken from the entries that can be judged from here: `world`,
    /// `auth`, and those that name one of the mount's identities (a digest that the server masked
    /// as `user:x` counts for its user). An `ip` entry is taken to mean this host, since the mount
    /// does not know the address that the server sees. Only modes are made of it: the servers
    /// decide.
    static func permissions(of acl: [ACL], for identities: [Identity]) -> Permissions {
        var result: Permissions = []
        for entry in acl {
            let identity = entry.identity
            let isOurs =
                switch identity.scheme {
                case "world", "ip": true
                case "auth": !identities.isEmpty
                case "digest":
                    identities.contains {
                        $0.scheme == "digest" && user($0.id) == user(identity.id)
                    }
                default: identities.contains(identity)
                }
            if isOurs { result.formUnion(entry.permissions) }
        }
        return result
    }

    private static func user(_ digest: String) -> [UInt8] {
        Array(digest.utf8.prefix { $0 != UInt8(ascii: ":") })
    }
}
