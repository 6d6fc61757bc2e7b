import Testing
import ZooKeeperModel
import ZooKeeperWire

@testable import Znodes

/// Snapshots that were written while the tree changed, and logs replayed over them: what ZooKeeper
/// made of them when it went wrong. This server writes none of that kind, but reads them where
/// ZooKeeper wrote them, from disk or from a leader. The numbers are those of its issues; the table
/// is Docs/Histories.md.
struct HistoriesOfReplayTests {
    private func stat(
        _ zxid: Int64,
        cversion: Int32 = 0,
        pzxid: Int64 = 0,
        owner: Int64 = 0
    )
        -> PersistedStat
    {
        PersistedStat(
            czxid: Zxid(rawValue: zxid),
            mzxid: Zxid(rawValue: zxid),
            ctime: Timestamp(rawValue: zxid),
            mtime: Timestamp(rawValue: zxid),
            version: 0,
            cversion: cversion,
            aversion: 0,
            ephemeralOwner: owner,
            pzxid: Zxid(rawValue: max(zxid, pzxid))
        )
    }
    private func znode(
        _ path: ZnodePath,
        _ stat: PersistedStat,
        acl: Int64 = -1
    )
        -> SnapshotElement
    {
        .znode(SnapshotZnode(path: path, data: [1], aclID: acl, stat: stat))
    }
    private func tree(_ zxid: Int64, _ elements: [SnapshotElement]) throws -> ZnodeTree {
        var loader = SnapshotLoader()
        for element in elements { try loader.insert(element) }
        return try loader.finish(zxid: Zxid(rawValue: zxid))
    }
    private func replay(
        _ tree: inout ZnodeTree,
        _ zxid: Int64,
        _ body: TransactionBody
    )
        -> [TreeChange]
    {
        var changes: [TreeChange] = []
        _ = tree.apply(transaction(zxid, body), changes: &changes)
        tree.checkInvariants()
        return changes
    }

    private static let secret = [
        ACL(permissions: .all, identity: Identity(scheme: "digest", id: "x:y"))
    ]

    /// ZOOKEEPER-3306, 4846: a snapshot lists the access control lists first. A znode that was made
    /// while it was written names one that came later: the snapshot did not load, or the znode was
    /// open to all or to none.
    @Test func `a list that a snapshot lacks lets nobody in until the log names it`() throws {
        var tree = try tree(
            5,
            [
                .acl(id: 1, .creator), znode("/", stat(0)), znode("/old", stat(3), acl: 1),
                znode("/made", stat(7), acl: 2), znode("/changed", stat(4), acl: 3),
            ]
        )
        tree.checkInvariants()
        let anyone = [
            Identity(scheme: "world", id: "anyone"), Identity(scheme: "digest", id: "x:y"),
        ]
        for path in ["/made", "/changed"] as [ZnodePath] {
            let acl = tree.acl(of: try #require(tree.find(path)))
            for needed in [.read, .write, .create, .delete, .admin] as [Permissions] {
                #expect(!AccessCheck.allows(acl, needed, identities: anyone))
            }
            let administrator = [Identity(scheme: "super", id: "")]
            #expect(AccessCheck.allows(acl, .admin, identities: administrator))
        }
        _ = replay(&tree, 6, .setACL("/changed", acl: Self.secret, version: 1))
        _ = replay(&tree, 7, creation("/made", acl: Self.secret, cversion: 3))
        for path in ["/made", "/changed"] as [ZnodePath] {
            #expect(tree.acl(of: try #require(tree.find(path))) == Self.secret)
        }
        #expect(tree.acl(of: try #require(tree.find("/old"))) == .creator)
    }

    /// ZOOKEEPER-1573, 1090: a create whose parent was deleted before the snapshot came to it was an
    /// error that ended the start.
    @Test func `a create below what is gone already is passed over`() throws {
        var tree = try tree(5, [znode("/", stat(0, cversion: 9, pzxid: 8)), znode("/b", stat(2))])
        #expect(replay(&tree, 6, creation("/gone/child", cversion: 1)).isEmpty)
        #expect(replay(&tree, 7, .delete("/gone/child")).isEmpty)
        #expect(replay(&tree, 8, .delete("/gone")).isEmpty)
        #expect(replay(&tree, 9, creation("/b/child", cversion: 1)).count == 1)
    }

    /// ZOOKEEPER-1046, 3249: replayed over a snapshot that held later changes, a create set the
    /// parent's counter and pzxid back to what they were after it.
    @Test func `a parent's counters never go back`() throws {
        var tree = try tree(
            5,
            [
                znode("/", stat(0)), znode("/p", stat(1, cversion: 7, pzxid: 9)),
                znode("/p/n6", stat(6)),
            ]
        )
        for (zxid, body) in [
            (6, creation("/p/n6", cversion: 6)), (7, creation("/p/n7", cversion: 7)),
            (8, .delete("/p/n7")),
        ] as [(Int64, TransactionBody)] {
            _ = replay(&tree, zxid, body)
            let stat = tree.persistedStat(of: try #require(tree.find("/p")))
            #expect(stat.cversion == 7 && stat.pzxid == Zxid(rawValue: 9), "after \(zxid)")
        }
    }

    /// ZOOKEEPER-3145: the ephemerals were gone from the snapshot when the end of their session was
    /// replayed, so that the parent's pzxid stayed behind: a client that set its child watch again
    /// heard nothing.
    @Test func `the end of a session moves its parents' pzxid though its ephemerals are gone`()
        throws
    {
        var tree = try tree(5, [znode("/", stat(0)), znode("/p", stat(1, cversion: 1, pzxid: 4))])
        #expect(replay(&tree, 6, .closeSession(["/p/e"])).isEmpty)
        #expect(tree.stat("/p")?.pzxid == Zxid(rawValue: 6))
    }

    /// ZOOKEEPER-3127: a snapshot was named by a multi of which it held one half; the replay began
    /// after it, and the other half was never there.
    @Test func `the half of a multi in a snapshot becomes the whole`() throws {
        let multi = TransactionBody.multi([
            creation("/a", cversion: 1), creation("/b", cversion: 2),
            .setData("/a", data: [2], version: 1), .delete("/c"),
        ])
        var whole = try tree(5, [znode("/", stat(0)), znode("/c", stat(1))])
        _ = replay(&whole, 6, multi)
        #expect(whole.lastZxid == Zxid(rawValue: 6))
        var half = try tree(
            5,
            [
                znode("/", stat(0, cversion: 1, pzxid: 6)), znode("/a", stat(6)),
                znode("/c", stat(1)),
            ]
        )
        _ = replay(&half, 6, multi)
        for path in ["/", "/a", "/b"] as [ZnodePath] {
            let (left, right) = (half.stat(path), whole.stat(path))
            #expect(left?.cversion == right?.cversion && left?.pzxid == right?.pzxid)
            #expect(left?.version == right?.version && left?.dataLength == right?.dataLength)
        }
        #expect(half.find("/c") == nil && whole.find("/c") == nil)
    }
}
