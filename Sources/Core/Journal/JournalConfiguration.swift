/// Where the journal lives and how large its pieces are. Directories are relative to the disk's
/// root, without a slash at either end.
package struct JournalConfiguration: Hashable, Sendable {
    /// Holds snapshots and epoch files: ZooKeeper's `dataDir/version-2`.
    package var dataDirectory: String
    /// Holds transaction logs: ZooKeeper's `dataLogDir/version-2`. May be the same directory.
    package var logDirectory: String
    /// The log grows ahead of its entries by at most this much zero padding; 0 or less: no padding.
    package var preallocationKiB: Int
    /// A file larger than this is closed and the next one begun; 0 or less: no limit.
    package var logSizeLimitKiB: Int
    /// How many snapshots ``Journal/purge()`` keeps, at least 3.
    package var retainedSnapshots: Int
    /// Compare the tree's digest with those in snapshot and log while recovering.
    package var checksDigests: Bool
    /// Start from an empty tree where logs have no snapshot below them, as after an upgrade from
    /// ZooKeeper 3.4 (`snapshot.trust.empty`).
    package var trustsMissingSnapshot: Bool
    /// Others hold what this server holds: damaged files are put aside, and a leader is asked for
    /// everything. Otherwise damage ends the start.
    package var isMember: Bool
    /// Where the operator says that an empty disk is a new one; looked for in members only, and
    /// removed.
    package var initializeFile: String?
    /// An entry said to be longer than this is damage.
    package var maximumEntryBytes: Int
    /// A disk that was full is used again once so much can be written, and synced, in each directory.
    package var roomBytes: Int

    package init(
        dataDirectory: String = "version-2",
        logDirectory: String = "version-2",
        preallocationKiB: Int = 65536,
        logSizeLimitKiB: Int = 0,
        retainedSnapshots: Int = 3,
        checksDigests: Bool = true,
        trustsMissingSnapshot: Bool = false,
        isMember: Bool = false,
        initializeFile: String? = nil,
        maximumEntryBytes: Int = 64 << 20,
        roomBytes: Int = 4 << 20
    ) {
        self.dataDirectory = dataDirectory
        self.logDirectory = logDirectory
        self.preallocationKiB = preallocationKiB
        self.logSizeLimitKiB = logSizeLimitKiB
        self.retainedSnapshots = max(3, retainedSnapshots)
        self.checksDigests = checksDigests
        self.trustsMissingSnapshot = trustsMissingSnapshot
        self.isMember = isMember
        self.initializeFile = initializeFile
        self.maximumEntryBytes = maximumEntryBytes
        self.roomBytes = roomBytes
    }
}
