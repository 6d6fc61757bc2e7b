internal import ZooKeeperModel
internal import ZooKeeperWire

/// Writes a snapshot under a name that no reader looks at, piece by piece between appends to the
/// log; its owner gives it its name once it is whole and durable.
struct SnapshotWriter {
    /// Smaller slices are gathered into one write.
    private static let writeBytes = 1 << 20
    /// Synced so often because the log waits meanwhile: its next sync, and all clients with it, for
    /// as long as the disk takes to write this much.
    private static let syncBytes = 2 << 20

    let zxid: Zxid
    /// The tree came from the leader: it replaces log and snapshots.
    let isInstall: Bool
    let file: String
    private let disk: any Disk
    private var sum = Adler32()
    private var pending: [UInt8] = []
    private var position = 0
    private var unsyncedBytes = 0

    init(
        disk: any Disk,
        directory: String,
        zxid: Zxid,
        isInstall: Bool
    ) throws(DiskError) {
        self.disk = disk
        self.zxid = zxid
        self.isInstall = isInstall
        file = directory + "/" + FileNames.partial(zxid)
        // What an earlier attempt left would show behind a shorter file's end.
        if try disk.size(file) != nil { try disk.remove(file) }
        try write(FileHeader.snapshot.bytes)
        // From here on the file exists: it can be removed.
        try flush()
    }

    mutating func write(_ bytes: [UInt8]) throws(DiskError) {
        sum.update(bytes)
        pending.append(contentsOf: bytes)
        if pending.count >= Self.writeBytes { try flush() }
    }

    private mutating func flush() throws(DiskError) {
        try disk.write(file, at: position, pending)
        position += pending.count
        unsyncedBytes += pending.count
        pending.removeAll(keepingCapacity: pending.count <= 4 * Self.writeBytes)
        guard unsyncedBytes >= Self.syncBytes else { return }
        try disk.syncFile(file)
        unsyncedBytes = 0
    }

    /// Seals the file and makes its bytes durable; its size.
    mutating func finish(digest: SnapshotDigest?) throws(DiskError) -> Int {
        try write(SnapshotSeal.bytes(sum))
        if let digest {
            try write(digest.bytes)
            try write(SnapshotSeal.bytes(sum))
        }
        try flush()
        try disk.syncFile(file)
        return position
    }

    /// The body of a tree that nobody has written to, byte for byte as ZooKeeper 3.8 begins with.
    static func emptyBody() -> [UInt8] {
        func stat(aversion: Int32) -> PersistedStat {
            PersistedStat(
                czxid: .zero,
                mzxid: .zero,
                ctime: Timestamp(rawValue: 0),
                mtime: Timestamp(rawValue: 0),
                version: 0,
                cversion: 0,
                aversion: aversion,
                ephemeralOwner: 0,
                pzxid: .zero
            )
        }
        let readOnly: Int64 = 1
        var encoder = SnapshotBodyEncoder()
        encoder.begin(
            sessions: [],
            acls: [(readOnly, [ACL(permissions: .read, identity: .anyone)])]
        )
        let nodes: [(ZnodePath, Int64, Int32)] = [
            (.root, SnapshotZnode.openACL, 0),
            ("/zookeeper", SnapshotZnode.openACL, 0),
            ("/zookeeper/config", readOnly, -1),
            ("/zookeeper/quota", SnapshotZnode.openACL, 0),
        ]
        for (path, acl, aversion) in nodes {
            encoder.add(path: path, data: [], aclID: acl, stat: stat(aversion: aversion))
        }
        encoder.finish()
        return encoder.takeSlice()
    }

    /// ZooKeeper writes zeros there, since nothing was applied yet; readers pass over zxid 0.
    static let emptyDigest = SnapshotDigest(zxid: .zero, digest: TreeDigestValue(value: 0))
}
