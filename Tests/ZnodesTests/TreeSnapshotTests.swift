import Testing
import ZooKeeperModel
import ZooKeeperWire

@testable import Znodes

struct TreeSnapshotTests {
    private func znode(_ path: ZnodePath, acl: Int64 = -1) -> SnapshotElement {
        .znode(SnapshotZnode(path: path, data: nil, aclID: acl, stat: .zero))
    }

    private func reason(_ elements: [SnapshotElement]) -> String? {
        var loader = SnapshotLoader()
        do throws(TreeSnapshotError) {
            for element in elements { try loader.insert(element) }
            _ = try loader.finish(zxid: .zero)
            return nil
        } catch {
            return error.reason
        }
    }

    @Test func `the snapshot of a fresh tree has Apache's checksum`() {
        var dump = SnapshotDump(of: ZnodeTree(), sessions: [])
        let body = dump.nextSlice(sizeBytes: 1 << 20) ?? []
        #expect(dump.nextSlice(sizeBytes: 1 << 20) == nil)
        #expect(Adler32.checksum(of: FileHeader.snapshot.bytes + body) == 0xb8a2_3b49)
    }

    @Test func `what is no tree is refused with a sentence`() {
        #expect(reason([]) == "the snapshot holds no znode")
        #expect(reason([znode("/a")]) == "/a comes without its parent")
        #expect(reason([znode("/"), znode("/a/b")]) == "/a/b comes without its parent")
        #expect(reason([znode("/"), znode("a")]) == "a comes without its parent")
        #expect(reason([znode("/"), znode("/a/")]) == "/a/ comes without its parent")
        #expect(reason([znode("/"), znode("/a"), znode("/a")]) == "/a is there twice")
        #expect(reason([znode("/"), znode("/")]) == "the root is there twice")
        #expect(
            reason([.acl(id: 5, .open), .acl(id: 5, .open)]) == "the ACL 5 is listed twice"
        )
        #expect(reason([.acl(id: -1, .open)]) == "the ACL -1 is listed twice")
    }

    @Test func `what old snapshots lack is added, and unused ACLs are dropped`() throws {
        var loader = SnapshotLoader()
        let list = [ACL(permissions: .read, identity: Identity(scheme: "digest", id: "u:h"))]
        try loader.insert(.acl(id: 900, list))
        try loader.insert(.acl(id: 7, list))
        try loader.insert(.acl(id: 8, .creator))
        try loader.insert(znode("/"))
        try loader.insert(znode("/a", acl: 900))
        try loader.insert(znode("/a/b", acl: 7))
        let tree = try loader.finish(zxid: Zxid(rawValue: 9))
        tree.checkInvariants()
        #expect(tree.count == 6)
        #expect(tree.lastZxid == Zxid(rawValue: 9))
        #expect(tree.acl(of: try #require(tree.find("/a/b"))) == list)
        #expect(tree.find("/zookeeper/quota") != nil)
    }

    @Test func `a tree can be let go piece by piece`() {
        var tree = ZnodeTree()
        for number in 0..<10_000 { tree.apply(creation(ZnodePath("/\(number)"))) }
        let kept = tree
        var pieces = 0
        while tree.release() { pieces += 1 }
        #expect(pieces > 3)
        kept.checkInvariants()
    }
}
