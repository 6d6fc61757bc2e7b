import Testing
import ZooKeeperModel

@testable import Replication

struct HistoryMarksTests {
    private func zxid(_ counter: Int) -> Zxid { Zxid(epoch: 7, counter: UInt32(counter)) }

    /// Marks of so many transactions from the first of an epoch on, each with a digest of its own.
    private func marks(_ count: Int) -> HistoryMarks {
        var marks = HistoryMarks()
        for counter in 1...count { marks.record(Int64(counter) * 31, at: zxid(counter)) }
        return marks
    }

    @Test func `without a transaction there is none`() {
        #expect(HistoryMarks().isEmpty)
        #expect(HistoryMarks().all.isEmpty)
        #expect(!marks(1).isEmpty)
    }

    @Test func `the newest 500 are all there, oldest first, each with its digest`() {
        let expected = (1...500).map { HistoryMark(zxid: zxid($0), digest: Int64($0) * 31) }
        #expect(marks(500).all == expected)
    }

    @Test func `before these stay powers of two and multiples of 128`() {
        let older = [
            1, 2, 4, 8, 16, 32, 64, 128, 256, 384, 512, 640, 768, 896, 1024, 1152, 1280, 1408,
        ]
        let expected = (older + Array(1501...2000)).map {
            HistoryMark(zxid: zxid($0), digest: Int64($0) * 31)
        }
        #expect(marks(2000).all == expected)
    }

    @Test func `of the older ones the newest 1024 stay`() {
        let count = 128 * 1100 + 500
        let all = marks(count).all
        #expect(all.count == 1024 + 500)
        #expect(all.last?.zxid == zxid(count))
        // The powers of two among them are multiples of 128 as well.
        #expect(all.first?.zxid == zxid(128 * (1100 - 1023)))
        #expect(zip(all, all.dropFirst()).allSatisfy { $0.zxid < $1.zxid })
    }

    /// The one that follows the last of an epoch has counter 1: of the epoch's own mark there is none.
    @Test func `a new epoch is counted from its begin`() {
        var marks = HistoryMarks()
        marks.record(1, at: Zxid(epoch: 1, counter: 3))
        for counter in 1...501 { marks.record(0, at: Zxid(epoch: 2, counter: UInt32(counter))) }
        // 3 is neither; 1 is a power of two.
        #expect(marks.all.map(\.zxid.counter) == [1] + Array(2...501))
    }
}
