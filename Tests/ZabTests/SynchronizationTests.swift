import Testing
import ZooKeeperModel

@testable import Zab

/// What a leader sends to bring a learner to its history: one input, then the actions.
struct SynchronizationTests: ZabPhaseTesting {
    @Test func `a learner with the same history gets an empty DIFF`() {
        let log = Self.proposals(1, 1...5)
        let (_, actions) = Self.leader(
            log: log,
            epoch: 1,
            learnerLast: Self.zxid(1, 5),
            learnerEpoch: 1
        )
        #expect(
            actions == [
                .storeEpoch(.current, 2), .send(Self.link, .diff(Self.zxid(1, 5))),
                .send(Self.link, Self.newLeader(2)),
            ]
        )
    }

    @Test func `a learner with less gets a DIFF with what follows`() {
        let log = Self.proposals(1, 1...5)
        let (_, actions) = Self.leader(
            log: log,
            epoch: 1,
            learnerLast: Self.zxid(1, 3),
            learnerEpoch: 1
        )
        #expect(
            Self.sent(actions) == [
                .diff(Self.zxid(1, 5)), .proposal(log[3]), .commit(log[3].zxid),
                .proposal(log[4]), .commit(log[4].zxid), Self.newLeader(2),
            ]
        )
    }

    @Test func `a learner with a tail of its own is truncated`() {
        let log = Self.proposals(1, 1...3) + Self.proposals(2, 1...2)
        let (_, actions) = Self.leader(
            log: log,
            epoch: 2,
            learnerLast: Self.zxid(1, 5),
            learnerEpoch: 1
        )
        #expect(
            Self.sent(actions) == [
                .truncate(Self.zxid(1, 3)), .proposal(log[3]), .commit(log[3].zxid),
                .proposal(log[4]), .commit(log[4].zxid), Self.newLeader(3),
            ]
        )
    }

    @Test func `an empty learner gets a snapshot, and what happens meanwhile after it`() {
        let log = Self.proposals(1, 1...3)
        var (bench, actions) = Self.leader(
            log: log,
            epoch: 1,
            learnerLast: .zero,
            learnerEpoch: 0
        )
        #expect(
            actions.suffix(2) == [
                .send(Self.link, .snapshot(Self.zxid(1, 3))), .startSnapshot(Self.link),
            ]
        )
        actions = bench.feed(.snapshotSlice(Self.link, [1]), .snapshotEnd(Self.link))
        #expect(Self.sent(actions) == [.snapshotSlice([1]), .snapshotEnd, Self.newLeader(2)])
    }

    @Test func `a learner from before the committed log gets a DIFF from the log on disk`() {
        let log = Self.proposals(1, 1...9)
        var (bench, actions) = Self.leader(
            log: log,
            epoch: 1,
            learnerLast: Self.zxid(1, 4),
            learnerEpoch: 1,
            recentCount: 3
        )
        #expect(
            actions.last
                == .readLog(
                    after: Self.zxid(1, 4),
                    through: Self.zxid(1, 9),
                    maxBytes: Leadership.logReadLimitBytes
                )
        )
        var unreadable = bench
        actions = bench.feed(.logRead(Array(log[4...]), isComplete: true))
        #expect(
            Self.sent(actions)
                == [.diff(Self.zxid(1, 9))]
                + log[4...].flatMap { [.proposal($0), .commit($0.zxid)] } + [Self.newLeader(2)]
        )
        // A log that does not hold the learner's last one says nothing about its history.
        actions = unreadable.feed(.logRead(nil, isComplete: true))
        #expect(actions.last == .startSnapshot(Self.link))
    }

    @Test func `a learner with a newer history than the leader's is refused`() {
        let (_, actions) = Self.leader(
            log: Self.proposals(1, 1...3),
            epoch: 1,
            learnerLast: Self.zxid(1, 4),
            learnerEpoch: 1
        )
        #expect(actions == [.close(Self.link, reason: "its history is newer than the leader's")])
    }

    @Test func `a promise given before does not count again`() {
        var (bench, _) = Self.leader(
            log: Self.proposals(1, 1...3),
            epoch: 1,
            learnerLast: Self.zxid(1, 4),
            learnerEpoch: 1
        )
        bench.feed(
            .learnerConnected(Self.other),
            .fromLearner(
                Self.other,
                .learnerInfo(
                    LearnerInfo(
                        server: ServerID(rawValue: 2),
                        isObserver: false,
                        acceptedEpoch: 2
                    )
                )
            )
        )
        #expect(
            bench.feed(
                .fromLearner(
                    Self.other,
                    .ackEpoch(lastZxid: Self.zxid(1, 3), currentEpoch: nil)
                )
            ) == []
        )
    }
}
