import Testing
import ZooKeeperModel

@testable import Zab

/// A learner far behind its leader: what it misses is sent as fast as it leaves, and held nowhere.
struct CatchingUpTests: ZabPhaseTesting {
    private static func large(_ counters: ClosedRange<UInt32>) -> [Proposal] {
        counters.map {
            Proposal(zxid: zxid(1, $0), bytes: [UInt8](repeating: UInt8($0), count: 1 << 20))
        }
    }
    private static func counters(_ actions: [ZabAction]) -> [UInt32] {
        sent(actions).compactMap {
            if case .proposal(let proposal) = $0 { proposal.zxid.counter } else { nil }
        }
    }

    @Test func `a DIFF waits for what was sent before to leave`() {
        let log = Self.large(1...12)
        var (bench, actions) = Self.leader(
            log: log,
            epoch: 1,
            learnerLast: Self.zxid(1, 1),
            learnerEpoch: 1
        )
        #expect(Self.counters(actions) == [2, 3, 4, 5])
        #expect(actions.filter { $0 == .reportDrained(Self.link) }.count == 1)
        // The first answer stands for what had been sent when it was asked for.
        actions = bench.feed(.learnerDrained(Self.link))
        #expect(Self.counters(actions) == [6])
        actions = bench.feed(.learnerDrained(Self.link))
        #expect(Self.counters(actions) == [7, 8, 9])
        actions = bench.feed(.learnerDrained(Self.link), .learnerDrained(Self.link))
        #expect(Self.counters(actions) == [10, 11, 12])
        #expect(Self.sent(actions).last == Self.newLeader(2))
    }

    @Test func `the log on disk is read piece by piece, each when there is room`() {
        let log = Self.large(1...40)
        var (bench, actions) = Self.leader(
            log: log,
            epoch: 1,
            learnerLast: Self.zxid(1, 1),
            learnerEpoch: 1,
            recentCount: 3
        )
        var sent: [LearnerMessage] = []
        var reads = 0
        var isAsked = false
        var sinceAnswer = 0
        while true {
            for action in actions where action == .reportDrained(Self.link) {
                isAsked = true
            }
            sent += Self.sent(actions)
            sinceAnswer += Self.counters(actions).count
            #expect(sinceAnswer <= 5, "a window, and the piece that was being read")
            if case .readLog(let after, _, _)? = actions.last {
                reads += 1
                actions = bench.feed(.logRead([log[Int(after.counter)]], isComplete: false))
            } else if isAsked {
                isAsked = false
                sinceAnswer = 0
                actions = bench.feed(.learnerDrained(Self.link))
            } else {
                break
            }
        }
        #expect(reads == 37)
        #expect(
            sent == [.diff(Self.zxid(1, 40))]
                + log[1...].flatMap { [.proposal($0), .commit($0.zxid)] } + [Self.newLeader(2)]
        )
    }

    @Test func `what is proposed during a SNAP is sent after it and not held`() {
        var bench = Self.broadcasting()
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
            )
        )
        let made = Self.proposals(1, 1...600)
        for proposal in made[..<10] {
            bench.feed(.propose(proposal), .persisted(upTo: proposal.zxid))
            bench.feed(.fromLearner(Self.link, .ack(proposal.zxid)))
        }
        var actions = bench.feed(
            .fromLearner(Self.other, .ackEpoch(lastZxid: .zero, currentEpoch: 0))
        )
        #expect(actions.last == .startSnapshot(Self.other))
        for proposal in made[10..<599] {
            actions = bench.feed(.propose(proposal), .persisted(upTo: proposal.zxid))
            actions += bench.feed(.fromLearner(Self.link, .ack(proposal.zxid)))
            #expect(!actions.contains { if case .send(Self.other, _) = $0 { true } else { false } })
        }
        bench.feed(.propose(made[599]))
        // The first of them are not in memory any more.
        actions = bench.feed(.snapshotEnd(Self.other))
        #expect(
            actions == [
                .send(Self.other, .snapshotEnd),
                .readLog(
                    after: made[9].zxid,
                    through: made[598].zxid,
                    maxBytes: Leadership.logReadLimitBytes
                ),
            ]
        )
        actions = bench.feed(.logRead(Array(made[10..<400]), isComplete: false))
        #expect(
            Self.sent(actions)
                == made[10..<599].flatMap { [.proposal($0), .commit($0.zxid)] }
                + [.proposal(made[599]), Self.newLeader(1)]
        )
    }

    @Test func `slices are wanted while there is room, and again when they have left`() {
        var (bench, _) = Self.leader(
            log: Self.proposals(1, 1...3),
            epoch: 1,
            learnerLast: .zero,
            learnerEpoch: 0
        )
        let slice = [UInt8](repeating: 0, count: 1 << 20)
        var count = 0
        while bench.peer.hasRoom(for: Self.link) {
            bench.feed(.snapshotSlice(Self.link, slice))
            count += 1
        }
        #expect(count == 4)
        bench.feed(.learnerDrained(Self.link))
        #expect(bench.peer.hasRoom(for: Self.link))
    }

    @Test func `a learner whose missing part is purged meanwhile is left, to come again`() {
        var (bench, _) = Self.leader(
            log: Self.large(1...9),
            epoch: 1,
            learnerLast: Self.zxid(1, 2),
            learnerEpoch: 1,
            recentCount: 1
        )
        bench.feed(.logRead(Self.large(3...4), isComplete: false))
        let actions = bench.feed(.logRead(nil, isComplete: true))
        #expect(
            actions == [
                .close(Self.link, reason: "the log does not reach back to 0x100000004 any more")
            ]
        )
    }

    @Test func `a follower that does not take what it is sent is dropped`() throws {
        var bench = HandOverTests.leading()
        let large = [UInt8](repeating: 0, count: 16 << 20)
        for counter in 1...17 as ClosedRange<UInt32> {
            let proposal = Proposal(zxid: Self.zxid(1, counter), bytes: large)
            bench.feed(.propose(proposal), .persisted(upTo: proposal.zxid))
            bench.feed(
                .fromLearner(Self.link, .ack(proposal.zxid)),
                .learnerDrained(Self.link),
                .learnerDrained(Self.link)
            )
        }
        let actions = try bench.wake()
        #expect(
            actions.contains(.close(Self.other, reason: "does not take what it is sent"))
        )
        #expect(bench.peer.role == .leading(epoch: 1) && bench.peer.syncedFollowerCount == 1)
    }
}
