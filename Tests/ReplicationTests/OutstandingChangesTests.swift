import Testing
import ZooKeeperModel

@testable import Replication
@testable import Znodes

struct OutstandingChangesTests {
    private func zxid(_ counter: UInt32) -> Zxid { Zxid(epoch: 1, counter: counter) }
    private func path(_ counter: UInt32) -> ZnodePath { ZnodePath("/n\(counter)") }

    /// One change of a znode of its own for each zxid, of which all but the newest ten are applied.
    private func changes(_ count: UInt32) -> OutstandingChanges {
        var changes = OutstandingChanges()
        for counter in 1...count {
            changes.beginRequest()
            changes.record(
                OutstandingChanges.Znode(version: Int32(counter)),
                at: path(counter),
                zxid: zxid(counter)
            )
            if counter > 10 { changes.applied(upTo: zxid(counter - 10)) }
            changes.checkInvariants()
        }
        return changes
    }

    @Test(arguments: [11, 1034, 1200, 3100] as [UInt32])
    func `what is applied counts as absent, what is not is found`(count: UInt32) {
        let tree = ZnodeTree()
        let changes = changes(count)
        for counter in 1...count {
            let found = changes.find(path(counter), in: tree)
            #expect(found?.version == (counter > count - 10 ? Int32(counter) : nil))
        }
        #expect(!changes.isEmpty)
    }

    @Test func `with the last one applied nothing is outstanding`() {
        let tree = ZnodeTree()
        var changes = changes(40)
        changes.applied(upTo: zxid(40))
        changes.checkInvariants()
        #expect(changes.isEmpty)
        for counter in 1...40 as ClosedRange<UInt32> {
            #expect(changes.find(path(counter), in: tree) == nil)
        }
    }

    @Test func `a request taken back leaves what was outstanding before it`() {
        let tree = ZnodeTree()
        var changes = changes(12)
        changes.beginRequest()
        // Of the first only what is applied is left, the other is outstanding.
        for counter in [1, 12] as [UInt32] {
            changes.record(
                OutstandingChanges.Znode(version: 99),
                at: path(counter),
                zxid: zxid(13)
            )
            #expect(changes.find(path(counter), in: tree)?.version == 99)
        }
        changes.rollBack()
        changes.checkInvariants()
        #expect(changes.find(path(1), in: tree) == nil)
        #expect(changes.find(path(12), in: tree)?.version == 12)
    }
}
