import Simulation
import Testing
import ZooKeeperModel

/// What the checker of commits says of planted histories.
struct CommitCheckerTests {
    private func zxid(_ epoch: Int64, _ counter: UInt32) -> Zxid {
        Zxid(epoch: epoch, counter: counter)
    }

    @Test func `two transactions under one zxid are seen`() {
        var checker = CommitChecker()
        #expect(checker.appended(zxid(1, 1), content: 5, server: 0) == nil)
        #expect(checker.appended(zxid(1, 1), content: 5, server: 1) == nil)
        #expect(checker.appended(zxid(1, 1), content: 6, server: 2) != nil)
    }

    @Test func `two leaders of one epoch are seen`() {
        var checker = CommitChecker()
        #expect(checker.established(epoch: 3, leader: 0, history: .zero) == nil)
        #expect(checker.established(epoch: 3, leader: 1, history: .zero) != nil)
    }

    @Test func `two trees at one zxid are seen`() {
        var checker = CommitChecker()
        #expect(checker.delivered(zxid(1, 4), digest: 9, server: 0) == nil)
        #expect(checker.delivered(zxid(1, 4), digest: 8, server: 1) != nil)
    }

    @Test func `a leader without what is committed is seen`() {
        var checker = CommitChecker()
        #expect(checker.delivered(zxid(1, 4), digest: 9, server: 0) == nil)
        #expect(checker.established(epoch: 2, leader: 1, history: zxid(1, 3)) != nil)
    }

    @Test func `a deposed leader that commits more than its successor has is seen`() {
        var checker = CommitChecker()
        #expect(checker.established(epoch: 2, leader: 1, history: zxid(1, 3)) == nil)
        #expect(checker.delivered(zxid(1, 3), digest: 9, server: 0) == nil)
        #expect(checker.delivered(zxid(1, 4), digest: 7, server: 0) != nil)
    }

    @Test func `a commit that too few disks hold is seen`() {
        let checker = CommitChecker()
        #expect(checker.quorumFailure(zxid(1, 1), holders: 2, voters: 3) == nil)
        #expect(checker.quorumFailure(zxid(1, 1), holders: 2, voters: 4) != nil)
    }
}
