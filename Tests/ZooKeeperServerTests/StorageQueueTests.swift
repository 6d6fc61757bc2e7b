import Testing
import ZooKeeperModel

@testable import ZooKeeperServer

struct StorageQueueTests {
    private func proposal(_ counter: UInt32) -> Proposal {
        Proposal(zxid: Zxid(epoch: 1, counter: counter), bytes: [UInt8(counter)])
    }

    /// Each work as text, in the order in which the disk would get them.
    private func drained(_ queue: inout StorageQueue) -> [String] {
        var works: [String] = []
        while !queue.isEmpty {
            switch queue.next() {
            case .requests(let requests): works += requests.map(described)
            case .truncate(let zxid): works.append("cut to \(zxid.counter)")
            case .purge: works.append("purge")
            case .resume: works.append("resume")
            }
            works.append("|")
        }
        return works
    }

    private func described(_ request: StorageRequest) -> String {
        switch request {
        case .append(let proposals): "\(proposals.map(\.zxid.counter))"
        case .storeEpoch(_, let epoch): "epoch \(epoch)"
        case .snapshotSlice(let bytes): "slice of \(bytes.count)"
        default: "\(request)"
        }
    }

    @Test func `appends in a row are one request, and keep their place`() {
        var queue = StorageQueue()
        #expect(queue.isEmpty)
        queue.append(proposal(1))
        queue.append(proposal(2))
        queue.append(.storeEpoch(.accepted, 7))
        queue.append(proposal(3))
        queue.append(.snapshotSlice([0, 0]))
        queue.append(proposal(4))
        queue.append(proposal(5))
        #expect(drained(&queue) == ["[1, 2]", "epoch 7", "[3]", "slice of 2", "[4, 5]", "|"])
    }

    @Test func `what is appended before a cut is not behind it, nor the other way`() {
        var queue = StorageQueue()
        queue.append(proposal(1))
        queue.appendTruncation(to: Zxid(epoch: 1, counter: 0))
        queue.append(proposal(2))
        queue.append(.storeEpoch(.current, 2))
        #expect(drained(&queue) == ["[1]", "|", "cut to 0", "|", "[2]", "epoch 2", "|"])
    }

    @Test func `a queue of one append is not empty`() {
        var queue = StorageQueue()
        queue.append(proposal(1))
        #expect(!queue.isEmpty)
        #expect(drained(&queue) == ["[1]", "|"])
        #expect(queue.isEmpty)
    }
}
