import DequeModule
package import ZooKeeperModel

/// The tree's digest at every 128th zxid: equal on members that hold the same data, so an operator
/// can compare them without stopping anything.
package struct DigestLog: Sendable {
    package struct Entry: Hashable, Sendable {
        package var zxid: Zxid
        package var digest: Int64
    }
    /// ZooKeeper's numbers.
    private static let interval: Int64 = 128
    private static let limit = 1024

    /// Oldest first.
    package private(set) var entries = Deque<Entry>()

    mutating func record(_ digest: Int64, at zxid: Zxid) {
        guard zxid.rawValue % Self.interval == 0 else { return }
        if entries.count == Self.limit { entries.removeFirst() }
        entries.append(Entry(zxid: zxid, digest: digest))
    }
}
