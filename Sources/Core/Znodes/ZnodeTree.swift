package import ZooKeeperModel

/// A znode's place in the tree's storage. Good until the next change of the tree.
package struct ZnodeIndex: RawRepresentable, Hashable, Sendable {
    package var rawValue: UInt32
    @inlinable package init(rawValue: UInt32) { self.rawValue = rawValue }
    package static let root = ZnodeIndex(rawValue: 0)
}

package struct ZnodeTree: Sendable {
    package private(set) var lastZxid = Zxid.zero
    /// The version 2 digest of all znodes outside `/zookeeper/`.
    package private(set) var digest: Int64 = 0
    package private(set) var count = 0
    package private(set) var ephemeralCount = 0
    /// Bytes of all paths and all data.
    package private(set) var approximateDataSize = 0

    /// - Parameter extendedTypes: whether owners are read as times to live; equal on all members.
    package init(extendedTypes: Bool = false, hashSeed: UInt64 = 0) {}

    package func find(_ path: ZnodePath) -> ZnodeIndex? { fatalError() }
    package func path(of index: ZnodeIndex) -> ZnodePath { fatalError() }
    package func stat(of index: ZnodeIndex) -> Stat { fatalError() }
    package func persistedStat(of index: ZnodeIndex) -> PersistedStat { fatalError() }
    package func data(of index: ZnodeIndex) -> [UInt8]? { fatalError() }
    package func acl(of index: ZnodeIndex) -> [ACL] { fatalError() }
    package func owner(of index: ZnodeIndex) -> ZnodeOwner { fatalError() }
    package func parent(of index: ZnodeIndex) -> ZnodeIndex? { fatalError() }
    package func childCount(of index: ZnodeIndex) -> Int { fatalError() }
    /// The names of the children, in no particular order.
    package func children(of index: ZnodeIndex) -> [[UInt8]] { fatalError() }
    /// Sorted by path.
    package func ephemerals(of session: SessionID) -> [ZnodePath] { fatalError() }
    /// Sessions that own ephemerals, sorted.
    package var ephemeralOwners: [SessionID] { fatalError() }
    package mutating func apply(_ transaction: Transaction, changes: inout [TreeChange]) -> ApplyResult { fatalError() }
    /// Sets `/zookeeper/config` outside any transaction, as members do when they start.
    package mutating func setConfiguration(_ text: [UInt8], version: Zxid, time: Timestamp, changes: inout [TreeChange]) { fatalError() }
    package func checkInvariants() {}
}
