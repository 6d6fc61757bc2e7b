internal import ZooKeeperModel

/// The names in a data directory. ZooKeeper looks only at `log.*`, `snapshot.*` and the epoch
/// files; ours besides begin otherwise, so that it passes over them.
enum FileNames {
    static func log(_ zxid: Zxid) -> String { "log." + zxid.hexadecimal }
    static func snapshot(_ zxid: Zxid) -> String { "snapshot." + zxid.hexadecimal }
    /// Being written; worthless after a crash.
    static func partial(_ zxid: Zxid) -> String { partialPrefix + zxid.hexadecimal }
    /// Complete and durable, and meant to replace everything else; see ``Journal/beginInstall(zxid:)``.
    static func install(_ zxid: Zxid) -> String { installPrefix + zxid.hexadecimal }

    /// Written to see whether there is room, and removed.
    static let roomProbe = partialPrefix + "room"

    static let partialPrefix = "partial-snapshot."
    static let installPrefix = "install-snapshot."
    /// What could not be relied on, kept for the operator.
    static let damagedPrefix = "damaged."

    static func logZxid(_ name: String) -> Zxid? { zxid(in: name, after: "log.") }
    static func installZxid(_ name: String) -> Zxid? { zxid(in: name, after: installPrefix) }
    /// Of a plain snapshot; nil for a compressed one.
    static func snapshotZxid(_ name: String) -> Zxid? { zxid(in: name, after: "snapshot.") }
    static func isCompressedSnapshot(_ name: String) -> Bool {
        compressedSnapshotZxid(name) != nil
    }
    static func compressedSnapshotZxid(_ name: String) -> Zxid? {
        for suffix in [".gz", ".snappy"] where name.hasSuffix(suffix) {
            return snapshotZxid(String(name.dropLast(suffix.utf8.count)))
        }
        return nil
    }

    private static func zxid(in name: String, after prefix: String) -> Zxid? {
        guard name.hasPrefix(prefix) else { return nil }
        let digits = name.dropFirst(prefix.count)
        guard !digits.isEmpty, digits.allSatisfy(\.isHexDigit),
            let value = UInt64(digits, radix: 16)
        else { return nil }
        return Zxid(rawValue: Int64(bitPattern: value))
    }
}
