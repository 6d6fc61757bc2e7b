package import ZooKeeperModel

/// What a mount was asked for on its command line. Fixed for the life of a ``MountedTree``.
package struct MountSettings: Sendable {
    /// The znode that is the mount's root, as an absolute path; it must exist.
    package var root: ZnodePath = .root
    /// Who owns what nobody created through this mount.
    package var user: UInt32 = 0
    package var group: UInt32 = 0
    /// Cut from every mode that is shown.
    package var umask: UInt32 = 0o022
    /// How long a request waits for an ensemble that is away, then ETIMEDOUT.
    package var hold: Duration = .seconds(30)
    /// `NAME@facet` names; off makes `@` and `%` plain characters.
    package var facets = true
    /// `empty=dir`: a znode with zero-length data is a directory, not a file.
    package var emptyIsDirectory = false
    /// The ACL of what this mount creates.
    package var acl: [ACL] = .open
    /// Whom the mount authenticates as; decides the modes shown, never what is allowed.
    package var identities: [Identity] = []
    package var readOnly = false
    /// `reads=linearizable`: a ZooKeeper sync before every open and stat.
    package var linearizableReads = false
    /// `perms=ignore`: a chmod to owner-only is remembered instead of refused.
    package var ignoresPermissions = false
    /// The largest request that the servers take (jute.maxbuffer).
    package var maximumRequestBytes = 1_048_575
    /// Seeds the jitter between attempts of a contended write; differs between mounts.
    package var randomSeed: UInt64 = 0
    package init() {}
}
