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
        var fields = StatBytes()
        fields.append(stat.czxid.rawValue)
        fields.append(stat.mzxid.rawValue)
        fields.append(stat.pzxid.rawValue)
        fields.append(stat.ctime.rawValue)
        fields.append(stat.mtime.rawValue)
        fields.append(stat.version)
        fields.append(stat.cversion)
        fields.append(stat.aversion)
        fields.append(stat.ephemeralOwner)
        var checksum = CRC32(register: contentState)
        checksum.update(fields.bytes.span)
        return Int64(checksum.value)
    }

    /// Whether the digest leaves a path out.
    static func excludes(_ path: [UInt8]) -> Bool { path.starts(with: systemPrefix) }
    private static let systemPrefix = Array("/zookeeper/".utf8)
}

/// 60 bytes filled from the front with big-endian numbers, without the heap.
private struct StatBytes {
    var bytes = InlineArray<60, UInt8>(repeating: 0)
    private var count = 0

    // Inlined, so that every place is known.
    @inline(__always)
    mutating func append(_ number: Int64) {
        append(Int32(truncatingIfNeeded: number >> 32))
        append(Int32(truncatingIfNeeded: number))
    }

    @inline(__always)
    mutating func append(_ number: Int32) {
        bytes[count] = UInt8(truncatingIfNeeded: number >> 24)
        bytes[count + 1] = UInt8(truncatingIfNeeded: number >> 16)
        bytes[count + 2] = UInt8(truncatingIfNeeded: number >> 8)
        bytes[count + 3] = UInt8(truncatingIfNeeded: number)
        count += 4
    }
}
