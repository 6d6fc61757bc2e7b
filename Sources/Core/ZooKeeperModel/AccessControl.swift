/// What an ACL entry allows. Unknown bits are kept, as Apache keeps them.
public struct Permissions: OptionSet, Hashable, Sendable {
    public var rawValue: Int32
    @inlinable public init(rawValue: Int32) { self.rawValue = rawValue }

    public static let read = Permissions(rawValue: 1)
    public static let write = Permissions(rawValue: 2)
    public static let create = Permissions(rawValue: 4)
    public static let delete = Permissions(rawValue: 8)
    public static let admin = Permissions(rawValue: 16)
    public static let all = Permissions(rawValue: 31)
}

/// Who: an authentication scheme and a name within it. Compared by bytes of their UTF-8.
public struct Identity: Hashable, Sendable {
    public var scheme: String
    public var id: String
    public init(scheme: String, id: String) {
        self.scheme = scheme
        self.id = id
    }
    public static let anyone = Identity(scheme: "world", id: "anyone")
}

/// One entry of an access control list.
public struct ACL: Hashable, Sendable {
    public var permissions: Permissions
    public var identity: Identity
    public init(permissions: Permissions, identity: Identity) {
        self.permissions = permissions
        self.identity = identity
    }
}

extension [ACL] {
    /// Everything for everyone: `world:anyone:cdrwa`.
    public static let open = [ACL(permissions: .all, identity: .anyone)]
    /// Everything for whoever the creating connection has authenticated as.
    public static let creator = [
        ACL(permissions: .all, identity: Identity(scheme: "auth", id: ""))
    ]
}
