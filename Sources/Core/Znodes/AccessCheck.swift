package import ZooKeeperModel

/// Who may do what: pure functions over a list and the identities of a connection.
///
/// Schemes served here: `world`, `auth` (only as asked for, replaced before it is stored), `digest`
/// and `ip`. A connection with an identity of the scheme `super` may do everything. Which identity
/// a credential proves is decided elsewhere.
package enum AccessCheck {
    /// The scheme of an identity that passes every check. No ACL may name it.
    package static let superScheme = "super"

    /// An empty list allows everything, as do `identities` with a super user.
    package static func allows(
        _ acl: [ACL],
        _ needed: Permissions,
        identities: [Identity]
    ) -> Bool {
        if acl.isEmpty { return true }
        for entry in acl where !entry.permissions.isDisjoint(with: needed) {
            if entry.identity.isAnyone { return true }
            for identity in identities where matches(entry.identity, identity) { return true }
        }
        return identities.contains { $0.scheme.hasSameBytes(as: superScheme) }
    }

    private static func matches(_ listed: Identity, _ presented: Identity) -> Bool {
        guard listed.scheme.hasSameBytes(as: presented.scheme) else { return false }
        guard listed.scheme.hasSameBytes(as: "ip") else {
            return listed.id.hasSameBytes(as: presented.id)
        }
        guard let prefix = AddressPrefix(listed.id), let address = AddressPrefix(presented.id)
        else { return false }
        return prefix.contains(address)
    }

    /// The list as a create or setACL stores it: duplicates removed, `auth` replaced by what the
    /// connection has authenticated as. Throws INVALIDACL.
    package static func fixedUp(
        _ acl: [ACL],
        identities: [Identity]
    ) throws(ErrorCode) -> [ACL] {
        // The one list that nearly every create sends.
        if acl.count == 1, acl[0].identity.isAnyone { return acl }
        var result: [ACL] = []
        for entry in acl {
            switch entry.identity.scheme {
            case "world":
                guard entry.identity.isAnyone else { throw .invalidACL }
                append(entry, to: &result)
            case "auth":
                let authenticated = identities.filter { provesWho($0.scheme) }
                if authenticated.isEmpty { throw .invalidACL }
                for identity in authenticated {
                    append(ACL(permissions: entry.permissions, identity: identity), to: &result)
                }
            case "digest":
                guard isDigestID(entry.identity.id) else { throw .invalidACL }
                append(entry, to: &result)
            case "ip":
                guard AddressPrefix(entry.identity.id) != nil else { throw .invalidACL }
                append(entry, to: &result)
            default:
                throw .invalidACL
            }
        }
        if result.isEmpty { throw .invalidACL }
        return result
    }

    /// Keeps the first of entries that are alike to the byte.
    private static func append(_ entry: ACL, to result: inout [ACL]) {
        let isListed = result.contains {
            $0.permissions == entry.permissions
                && $0.identity.scheme.hasSameBytes(as: entry.identity.scheme)
                && $0.identity.id.hasSameBytes(as: entry.identity.id)
        }
        if !isListed { result.append(entry) }
    }

    /// Whether an identity says who someone is, not merely where from. A super user's mark is no
    /// identity of its own: what proved it stands beside it.
    private static func provesWho(_ scheme: String) -> Bool {
        switch scheme {
        case "digest", "sasl", "x509": true
        default: false
        }
    }

    /// `user:hash`: exactly two parts once empty ones at the end are left out.
    private static func isDigestID(_ id: String) -> Bool {
        let parts = id.utf8.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        let trailing = parts.reversed().prefix { $0.isEmpty }.count
        return parts.count - trailing == 2
    }

    /// The list as getACL shows it: without ADMIN on it, a caller does not see password hashes.
    package static func masked(_ acl: [ACL], identities: [Identity]) -> [ACL] {
        if allows(acl, .admin, identities: identities) { return acl }
        return acl.map { entry in
            guard entry.identity.scheme.hasSameBytes(as: "digest"),
                let colon = entry.identity.id.utf8.firstIndex(of: UInt8(ascii: ":"))
            else { return entry }
            var shown = entry
            shown.identity.id = entry.identity.id[..<colon] + ":x"
            return shown
        }
    }
}

extension Identity {
    /// `world:anyone`. Nothing else is canonically equivalent to lower-case ASCII letters, so that
    /// strings may be compared here, which takes two words where bytes take a loop.
    var isAnyone: Bool { scheme == "world" && id == "anyone" }
}

extension String {
    /// Equality of bytes, where `==` would take two spellings of one accented letter for equal.
    fileprivate func hasSameBytes(as other: String) -> Bool { utf8.elementsEqual(other.utf8) }
}
