import Testing
import ZooKeeperModel

@testable import Zab

/// What went wrong in elections of ZooKeeper, replayed. The numbers are those of its issues; the table
/// is Docs/Histories.md.
struct HistoriesOfElectionTests: ZabPhaseTesting {
    private static func notice(
        _ state: ElectionNotification.State,
        _ leader: Int64,
        _ zxid: Zxid,
        round: Int64,
        epoch: Int64
    ) -> ElectionNotification {
        ElectionNotification(
            state: state,
            leader: ServerID(rawValue: leader),
            zxid: zxid,
            electionEpoch: round,
            peerEpoch: epoch
        )
    }
    private static func id(_ id: Int64) -> ServerID { ServerID(rawValue: id) }

    /// ZOOKEEPER-3537: followers that had not noticed the death of their leader sent others to it.
    @Test func `a leader that followers name is not joined before it says so itself`() {
        var bench = ZabBench(voters: 5)
        bench.feed(.start)
        for follower in 2...4 as ClosedRange<Int64> {
            let named = Self.notice(.following, 5, .zero, round: 7, epoch: 2)
            #expect(bench.feed(.notification(from: Self.id(follower), named)) == [])
        }
        #expect(bench.peer.role == .looking)
        let own = Self.notice(.leading, 5, .zero, round: 7, epoch: 2)
        let actions = bench.feed(.notification(from: Self.id(5), own))
        #expect(actions.last == .connectToLeader(Self.id(5)))
    }

    /// ZOOKEEPER-1514, 1818: members answered with the round and the zxid of the election that each
    /// had last seen; a server that compared these never joined.
    @Test func `an established leader is joined although its followers name other rounds`() {
        var bench = ZabBench(voters: 5)
        bench.feed(.start)
        let leading = Self.notice(.leading, 5, Self.zxid(1, 9), round: 3, epoch: 2)
        var mixed = bench
        bench.feed(.notification(from: Self.id(5), leading))
        let one = Self.notice(.following, 5, Self.zxid(1, 4), round: 7, epoch: 2)
        let other = Self.notice(.following, 5, Self.zxid(2, 8), round: 1, epoch: 2)
        #expect(bench.feed(.notification(from: Self.id(2), one)) == [])
        let actions = bench.feed(.notification(from: Self.id(3), other))
        #expect(actions.last == .connectToLeader(Self.id(5)))
        // What they must agree on is the leader and its epoch.
        let stale = Self.notice(.following, 5, Self.zxid(1, 4), round: 3, epoch: 1)
        mixed.feed(
            .notification(from: Self.id(5), leading),
            .notification(from: Self.id(2), stale),
            .notification(from: Self.id(3), stale)
        )
        #expect(mixed.peer.role == .looking)
    }

    /// ZOOKEEPER-769, 764: observers were counted in elections, and elected.
    @Test func `an observer is neither elected nor counted`() {
        var bench = ZabBench(voters: 3, observers: 3)
        bench.feed(.start)
        for observer in 4...6 as ClosedRange<Int64> {
            let itself = Self.notice(.looking, observer, Self.zxid(9, 9), round: 1, epoch: 9)
            let actions = bench.feed(.notification(from: Self.id(observer), itself))
            // It is told the vote, and that is all.
            guard case .sendNotification(let to, let answer)? = actions.first else {
                Issue.record("no answer to observer \(observer)")
                return
            }
            #expect(actions.count == 1 && to == Self.id(observer) && answer.leader == Self.id(1))
            let forMe = Self.notice(.looking, 1, .zero, round: 1, epoch: 0)
            bench.feed(.notification(from: Self.id(observer), forMe))
        }
        bench.now = bench.now + .seconds(1)
        bench.feed(.wake)
        #expect(bench.peer.role == .looking)
        // And where a voter says that an observer leads, nobody follows.
        bench.feed(
            .notification(
                from: Self.id(2),
                Self.notice(.following, 4, Self.zxid(9, 9), round: 1, epoch: 9)
            ),
            .notification(
                from: Self.id(4),
                Self.notice(.leading, 4, Self.zxid(9, 9), round: 1, epoch: 9)
            )
        )
        #expect(bench.peer.role == .looking)
    }

    /// ZOOKEEPER-2959: an observer's promise went into the choice of the new epoch, as its
    /// FOLLOWERINFO went into the quorum.
    @Test func `an observer's promise and presence say nothing about the new epoch`() {
        var bench = ZabBench(me: 3, observers: 1)
        bench.feed(.start)
        let vote = bench.vote(3, .zero, epoch: 0)
        func info(_ server: Int64, isObserver: Bool, accepted: Int64) -> LearnerMessage {
            .learnerInfo(
                LearnerInfo(
                    server: Self.id(server),
                    isObserver: isObserver,
                    acceptedEpoch: accepted
                )
            )
        }
        bench.feed(
            .notification(from: Self.id(1), vote),
            .notification(from: Self.id(2), vote),
            .learnerConnected(Self.other)
        )
        #expect(
            bench.feed(.fromLearner(Self.other, info(4, isObserver: true, accepted: 40))) == [],
            "no quorum yet"
        )
        bench.feed(.learnerConnected(Self.link))
        #expect(
            bench.feed(.fromLearner(Self.link, info(1, isObserver: false, accepted: 1)))
                == [.storeEpoch(.accepted, 2)]
        )
    }

    /// ZOOKEEPER-4247: a message of a member that had restarted with another configuration, in which
    /// it or its candidate is unknown here, stopped the listener.
    @Test(arguments: [
        ElectionNotification.State.looking, .following, .leading, .observing,
    ])
    func `a member of another configuration changes nothing`(state: ElectionNotification.State) {
        let stranger = Self.notice(state, 98, Self.zxid(9, 9), round: 50, epoch: 9)
        var looking = ZabBench()
        looking.feed(.start)
        for bench in [looking, Self.broadcasting(), Self.following()] {
            for sender in [2, 99] as [Int64] {
                var bench = bench
                let before = bench.peer.role
                let actions = bench.feed(.notification(from: Self.id(sender), stranger))
                #expect(bench.peer.role == before)
                #expect(
                    actions.allSatisfy {
                        guard case .sendNotification(let to, let answer) = $0 else { return false }
                        return to == Self.id(sender) && answer.leader != Self.id(98)
                    }
                )
            }
        }
    }

    /// ZOOKEEPER-3109: a voter changed its mind, and the one it had elected waited for it until
    /// initLimit. Nobody had a leader meanwhile.
    @Test func `an elected leader does not wait for voters that look again`() {
        var elected = ZabBench(me: 3)
        elected.feed(
            .electionConnected(Self.id(1)),
            .electionConnected(Self.id(2)),
            .start,
            .notification(from: Self.id(1), elected.vote(3, .zero, epoch: 0)),
            .notification(from: Self.id(2), elected.vote(3, .zero, epoch: 0))
        )
        #expect(elected.peer.role == .preparing)
        let again = { Self.notice(.looking, $0, .zero, round: 2, epoch: 0) }
        // One of them is enough, as long as the other may come.
        var bench = elected
        bench.feed(.notification(from: Self.id(1), again(1)))
        #expect(bench.peer.role == .preparing)
        bench.feed(.notification(from: Self.id(2), again(2)))
        #expect(bench.peer.role == .looking)
        // The other cannot be heard.
        bench = elected
        bench.feed(.notification(from: Self.id(1), again(1)))
        #expect(bench.peer.role == .preparing)
        bench.feed(.electionDisconnected(Self.id(2)))
        #expect(bench.peer.role == .looking)
        // It started anew: its rounds did too.
        bench = elected
        bench.feed(
            .electionDisconnected(Self.id(2)),
            .notification(from: Self.id(1), Self.notice(.looking, 1, .zero, round: 1, epoch: 0))
        )
        #expect(bench.peer.role == .looking)
    }

    @Test func `an elected leader waits for voters that repeat their votes, or come after all`() {
        var elected = ZabBench(me: 3)
        let vote = elected.vote(3, .zero, epoch: 0)
        elected.feed(
            .electionConnected(Self.id(1)),
            .start,
            .notification(from: Self.id(1), vote)
        )
        #expect(elected.peer.role == .preparing)
        elected.feed(.notification(from: Self.id(1), vote))
        #expect(elected.peer.role == .preparing)
        // It told another vote, came, and what it told is read only then.
        let info = LearnerInfo(server: Self.id(1), isObserver: false, acceptedEpoch: 0)
        elected.feed(
            .learnerConnected(Self.link),
            .fromLearner(Self.link, .learnerInfo(info)),
            .notification(
                from: Self.id(1),
                Self.notice(.looking, 1, .zero, round: 2, epoch: 0)
            )
        )
        #expect(elected.peer.role == .preparing)
        elected.feed(.learnerDisconnected(Self.link))
        #expect(elected.peer.role == .looking)
    }

    /// ZOOKEEPER-880, 1419: five servers, some of which came and went, never agreed.
    @Test func `five servers elect although two of them come and go meanwhile`() {
        for seed in 0..<UInt64(10) {
            var world = ZabWorld(seed: seed, voters: 5)
            for index in 0..<3 { world.start(index) }
            var steps = 0
            while world.leader == nil, steps < 20_000 {
                steps += 1
                switch steps % 40 {
                case 10: world.start(3)
                case 20: world.start(4)
                case 30: world.crash(3)
                case 0: world.crash(4)
                default: world.step()
                }
            }
            #expect(world.leader != nil && world.failures.isEmpty, "seed \(seed)")
        }
    }
}
