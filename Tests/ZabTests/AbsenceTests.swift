import Testing
import ZooKeeperModel

@testable import Zab

/// A process that was away, and finds the deadlines of others long past.
struct AbsenceTests: ZabPhaseTesting {
    @Test func `a leader that was away reads what its followers sent before it drops them`() throws
    {
        var bench = Self.broadcasting()
        let made = Self.proposals(1, 1...1)
        bench.feed(.propose(made[0]), .persisted(upTo: made[0].zxid))
        let actions = try bench.wake(late: .seconds(60))
        #expect(actions == [.send(Self.link, .ping(made[0].zxid, touched: []))])
        // It had answered all the time.
        bench.feed(.fromLearner(Self.link, .ack(made[0].zxid)))
        for _ in 0..<6 { try bench.wake() }
        #expect(bench.peer.role == .leading(epoch: 1))
    }

    @Test func `a follower that says nothing after an absence either is dropped a tick later`()
        throws
    {
        var bench = Self.broadcasting()
        try bench.wake(late: .seconds(60))
        let back = bench.now
        while bench.peer.role == .leading(epoch: 1) { try bench.wake() }
        #expect(bench.now - back <= .seconds(4))
    }

    @Test func `a leader that is away again and again is none`() throws {
        var bench = Self.broadcasting()
        var wakes = 0
        while bench.peer.role == .leading(epoch: 1) {
            try bench.wake(late: .seconds(11))
            wakes += 1
        }
        #expect(wakes <= 3)
    }

    @Test func `a leader that is late before it broadcasts goes on for a tick`() throws {
        var (bench, _) = Self.leader(log: [], epoch: 0, learnerLast: .zero, learnerEpoch: 0)
        bench.feed(.epochStored(.current, 1))
        try bench.wake(late: .seconds(60))
        #expect(bench.peer.role == .preparing)
        bench.feed(.fromLearner(Self.link, .ack(Self.zxid(1, 0))))
        #expect(bench.peer.role == .leading(epoch: 1))
    }

    @Test func `a follower that was away reads what its leader sent before it leaves`() throws {
        var bench = Self.following()
        try bench.wake(late: .seconds(30))
        #expect(bench.peer.role == .following(leader: ServerID(rawValue: 3), Self.link))
        var heard = bench
        heard.feed(.fromLeader(Self.link, .ping(Self.zxid(2, 0), touched: [])))
        #expect(heard.peer.nextDeadline == heard.now + .seconds(10))
        // Nothing was there to be read.
        let back = bench.now
        try bench.wake()
        #expect(bench.now - back == .seconds(2) && bench.peer.role == .looking)
    }

    @Test func `a follower that is away twice in a row leaves`() throws {
        var bench = Self.following()
        try bench.wake(late: .seconds(30))
        try bench.wake(late: .seconds(30))
        #expect(bench.peer.role == .looking)
    }

    @Test func `a disk is not called silent for the time in which its server was away`() throws {
        var bench = HandOverTests.leading()
        let made = Self.proposals(1, 1...1)
        bench.feed(.propose(made[0]))
        bench.feed(
            .fromLearner(Self.link, .ack(made[0].zxid)),
            .fromLearner(Self.other, .ack(made[0].zxid))
        )
        try bench.wake(late: .seconds(60))
        #expect(bench.peer.role == .leading(epoch: 1) && bench.peer.takesProposals)
    }
}
