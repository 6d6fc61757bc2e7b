internal import ZooKeeperModel
internal import ZooKeeperWire

/// The version 2 digest of a tree: a sum that every member can compare after every transaction.
///
/// A znode's digest is the CRC-32 of its path, its data and 60 bytes of its Stat; the tree's is the
/// wrapping 64-bit sum over all znodes but those below `/zookeeper/`. The root's path counts as
/// empty. A change of one znode therefore costs one subtraction and one addition.
///
/// The CRC's register after path and data is kept with each znode: a change of the Stat alone, which
/// every create and delete makes to the parent, does not read a megabyte of data again.
enum TreeDigest {
    /// The CRC's register after path and data.
    static func contentState(path: [UInt8], data: [UInt8]?) -> UInt32 {
        var checksum = CRC32()
        if !PathTable.isRoot(path, upTo: path.count) { checksum.update(path) }
        if let data { checksum.update(data) }
        return checksum.register
    }

    /// What a znode adds to the tree's digest. The order of the fields is not the snapshot's.
    static func znodeDigest(contentState: UInt32, stat: PersistedStat) -> Int64 {
        var checksum = CRC32(register: contentState)
        checksum.update(
            bigEndian: [
                stat.czxid.rawValue, stat.mzxid.rawValue, stat.pzxid.rawValue,
                stat.ctime.rawValue, stat.mtime.rawValue, pair(stat.version, stat.cversion),
                pair(stat.aversion, Int32(stat.ephemeralOwner >> 32)),
            ],
            Int32(truncatingIfNeeded: stat.ephemeralOwner)
        )
        return Int64(checksum.value)
    }

    /// Two fields in one step.
    private static func pair(_ first: Int32, _ second: Int32) -> Int64 {
        Int64(first) << 32 | Int64(UInt32(bitPattern: second))
    }

    /// Whether the digest leaves a path out.
    static func excludes(_ path: [UInt8]) -> Bool { path.starts(with: systemPrefix) }
    private static let systemPrefix = Array("/zookeeper/".utf8)
}
