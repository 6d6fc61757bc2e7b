package import ZooKeeperModel

/// The 16 bytes at the beginning of logs and snapshots.
package struct FileHeader: Hashable, Sendable {
    /// "ZKLG"
    package static let logMagic: Int32 = 0x5A4B_4C47
    /// "ZKSN"
    package static let snapshotMagic: Int32 = 0x5A4B_534E
    package static let version: Int32 = 2
    package static let size = 16

    package static let log = FileHeader(magic: logMagic, databaseID: 0)
    package static let snapshot = FileHeader(magic: snapshotMagic, databaseID: -1)

    package var magic: Int32
    package var databaseID: Int64
    package init(magic: Int32, databaseID: Int64) {
        self.magic = magic
        self.databaseID = databaseID
    }

    package var bytes: [UInt8] {
        var writer = JuteWriter(capacityBytes: Self.size)
        writer.int32(magic)
        writer.int32(Self.version)
        writer.int64(databaseID)
        return writer.bytes
    }

    /// Refuses other magic numbers and versions; the database's id says nothing.
    package static func decode(
        _ reader: inout JuteReader,
        magic: Int32
    ) throws(WireError) -> FileHeader {
        guard try reader.int32() == magic else {
            throw WireError(.wrongMark, at: 0, reading: "a file's magic number")
        }
        guard try reader.int32() == version else {
            throw WireError(.unknownValue, at: 4, reading: "a file's version")
        }
        return FileHeader(magic: magic, databaseID: try reader.int64())
    }
}

/// What closes each part of a snapshot file: the Adler-32 of everything before it, earlier seals
/// included, and the string "/".
/// ```
/// header | body | seal | [zxid, digest version, digest | seal] | [last zxid | seal]
/// ```
/// The optional parts are written by 3.6 and 3.9 onwards.
package enum SnapshotSeal {
    package static let size = 13
    /// The last bytes of every sound uncompressed snapshot.
    package static let ending: [UInt8] = [0, 0, 0, 1, 0x2F]

    /// `sum` is over everything before the seal; the seal's bytes then go into it too.
    package static func bytes(_ sum: Adler32) -> [UInt8] {
        var writer = JuteWriter(capacityBytes: size)
        writer.int64(Int64(sum.value))
        writer.path(.root)
        return writer.bytes
    }

    /// Reads a seal and compares it with `sum`, which is over everything before it.
    package static func verify(
        _ reader: inout JuteReader,
        sum: Adler32
    ) throws(WireError) {
        let offset = reader.offset
        let value = try reader.int64()
        guard try reader.path() == .root else {
            throw WireError(.wrongMark, at: offset + 8, reading: "a snapshot's seal")
        }
        guard value == Int64(sum.value) else {
            throw WireError(.wrongChecksum, at: offset, reading: "a snapshot's seal")
        }
    }
}

/// The digest of the tree at a zxid, as snapshot files carry it behind the first seal.
package struct SnapshotDigest: Hashable, Sendable {
    package static let size = 20
    package var zxid: Zxid
    package var digest: TreeDigestValue
    package init(zxid: Zxid, digest: TreeDigestValue) {
        self.zxid = zxid
        self.digest = digest
    }

    package var bytes: [UInt8] {
        var writer = JuteWriter(capacityBytes: Self.size)
        writer.zxid(zxid)
        writer.int32(digest.version)
        writer.int64(digest.value)
        return writer.bytes
    }

    package static func decode(_ reader: inout JuteReader) throws(WireError) -> SnapshotDigest {
        SnapshotDigest(
            zxid: try reader.zxid(),
            digest: TreeDigestValue(version: try reader.int32(), value: try reader.int64())
        )
    }
}
