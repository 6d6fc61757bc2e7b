package import ZooKeeperModel

package enum AccessCheck {
    package static func allows(_ acl: [ACL], _ needed: Permissions, identities: [Identity]) -> Bool { fatalError() }
    /// The list as a create or setACL stores it; throws INVALIDACL.
    package static func fixedUp(_ acl: [ACL], identities: [Identity]) throws(ErrorCode) -> [ACL] { fatalError() }
    /// The list as getACL shows it to a caller: digests hidden unless it has ADMIN.
    package static func masked(_ acl: [ACL], identities: [Identity]) -> [ACL] { fatalError() }
}
