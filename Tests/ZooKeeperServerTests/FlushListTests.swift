import Testing

@testable import ZooKeeperServer

struct FlushListTests {
    private func list(_ marked: [Int]) -> FlushList<Int> {
        let list = FlushList<Int>()
        for connection in marked { list.mark(connection) }
        return list
    }

    @Test func `each is sent to once, in order`() {
        let list = list([3, 1, 2])
        var sent: [Int] = []
        list.flush { sent.append($0) }
        list.flush { sent.append($0) }
        #expect(sent == [3, 1, 2])
    }

    @Test func `what is marked by a flush is sent by it`() {
        let list = list([1, 2])
        var sent: [Int] = []
        list.flush {
            sent.append($0)
            if $0 < 10 { list.mark($0 + 10) }
        }
        #expect(sent == [1, 2, 11, 12])
    }

    /// The second of three ends: that flushes the others, and then something is sent to one more.
    @Test func `a flush in the midst of another loses nobody and sends to nobody twice`() {
        let list = list([1, 2, 3])
        var sent: [Int] = []
        list.flush {
            sent.append($0)
            guard $0 == 2 else { return }
            list.mark(4)
            list.flush { sent.append($0) }
            list.mark(5)
        }
        #expect(sent.sorted() == [1, 2, 3, 4, 5])
    }
}
