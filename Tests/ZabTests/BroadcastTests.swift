import Testing
import ZooKeeperModel

@testable import Zab

/// The leader's broadcast: one input, then the actions.
struct BroadcastTests: ZabPhaseTesting {
    @Test func `a proposal leaves before the leader's own disk is asked, and needs a quorum`() {
        var bench = Self.broadcasting()
        let made = Self.proposals(1, 1...2)
        #expect(
            bench.feed(.propose(made[0])) == [
                .send(Self.link, .proposal(made[0])), .append(made[0]),
            ]
        )
        bench.feed(.propose(made[1]))
        #expect(bench.feed(.persisted(upTo: made[1].zxid)) == [])
        #expect(
            bench.feed(.fromLearner(Self.link, .ack(made[0].zxid))) == [
                .deliver(made[0]), .send(Self.link, .commit(made[0].zxid)),
            ]
        )
    }

    @Test func `a leader's own disk counts only once it has stored the epoch`() {
        var (bench, _) = Self.leader(log: [], epoch: 0, learnerLast: .zero, learnerEpoch: 0)
        bench.feed(
            .learnerConnected(Self.other),
            .fromLearner(
                Self.other,
                .learnerInfo(
                    LearnerInfo(
                        server: ServerID(rawValue: 2),
                        isObserver: false,
                        acceptedEpoch: 0
                    )
                )
            ),
            .fromLearner(Self.other, .ackEpoch(lastZxid: .zero, currentEpoch: 0)),
            .fromLearner(Self.other, .ack(Self.zxid(1, 0))),
            .fromLearner(Self.link, .ack(Self.zxid(1, 0)))
        )
        #expect(bench.peer.role == .leading(epoch: 1))
        let made = Self.proposals(1, 1...1)
        bench.feed(.propose(made[0]), .persisted(upTo: made[0].zxid))
        #expect(bench.feed(.fromLearner(Self.link, .ack(made[0].zxid))) == [])
        #expect(
            bench.feed(.epochStored(.current, 1)) == [
                .deliver(made[0]), .send(Self.link, .commit(made[0].zxid)),
                .send(Self.other, .commit(made[0].zxid)),
            ]
        )
    }

    @Test func `a leader that loses its quorum steps down`() throws {
        var bench = Self.broadcasting()
        bench.feed(.learnerDisconnected(Self.link))
        #expect(bench.peer.role == .leading(epoch: 1))
        for _ in 0..<2 {
            bench.now = try #require(bench.peer.nextDeadline)
            bench.feed(.wake)
        }
        #expect(bench.peer.role == .looking)
    }

    @Test func `late words of a closed connection change nothing`() {
        var bench = Self.broadcasting()
        let made = Self.proposals(1, 1...1)
        bench.feed(.propose(made[0]), .persisted(upTo: made[0].zxid))
        bench.feed(.learnerDisconnected(Self.link))
        #expect(bench.feed(.fromLearner(Self.link, .ack(made[0].zxid))) == [])
    }

    @Test func `a voter that has promised a later epoch makes the leader found a later one`() {
        var bench = Self.broadcasting()
        bench.feed(
            .learnerConnected(Self.other),
            .fromLearner(
                Self.other,
                .learnerInfo(
                    LearnerInfo(
                        server: ServerID(rawValue: 2),
                        isObserver: false,
                        acceptedEpoch: 7
                    )
                )
            )
        )
        #expect(bench.peer.role == .looking)
    }

    @Test func `an observer gets committed proposals whole and counts for nothing`() {
        var bench = ZabBench(me: 1, voters: 1, observers: 1)
        bench.feed(.start, .epochStored(.accepted, 1), .epochStored(.current, 1))
        let actions = bench.feed(
            .learnerConnected(Self.link),
            .fromLearner(
                Self.link,
                .learnerInfo(
                    LearnerInfo(
                        server: ServerID(rawValue: 2),
                        isObserver: true,
                        acceptedEpoch: 0
                    )
                )
            ),
            .fromLearner(Self.link, .ackEpoch(lastZxid: .zero, currentEpoch: 0)),
            .fromLearner(Self.link, .ack(Self.zxid(1, 0)))
        )
        #expect(
            Self.sent(actions) == [
                .leaderInfo(epoch: 1), .diff(.zero), Self.newLeader(1), .upToDate,
            ]
        )
        let made = Self.proposals(1, 1...1)
        #expect(bench.feed(.propose(made[0])) == [.append(made[0])])
        #expect(
            bench.feed(.persisted(upTo: made[0].zxid)) == [
                .deliver(made[0]), .send(Self.link, .inform(made[0])),
            ]
        )
    }
}
