import Testing
import ZooKeeperModel

@testable import Zab

/// A leader that asks whether it still leads.
struct ConfirmationTests: ZabPhaseTesting {
    static func ping(_ zxid: Zxid = zxid(1, 0)) -> LearnerMessage { .ping(zxid, touched: []) }

    @Test func `a quorum's answers to a PING sent afterwards confirm, no earlier ones`() throws {
        var bench = Self.broadcasting()
        // The tick's PING leaves before the question; its answer comes after it.
        #expect(try bench.wake() == [.send(Self.link, Self.ping())])
        #expect(bench.feed(.confirmLeadership(1)) == [.send(Self.link, Self.ping())])
        #expect(bench.feed(.fromLearner(Self.link, Self.ping())) == [])
        #expect(
            bench.feed(.fromLearner(Self.link, Self.ping())) == [.leadershipConfirmed(1)]
        )
    }

    @Test func `all that ask during a round share the next one`() {
        var bench = Self.broadcasting()
        bench.feed(.confirmLeadership(1))
        #expect(bench.feed(.confirmLeadership(2), .confirmLeadership(3)) == [])
        #expect(
            bench.feed(.fromLearner(Self.link, Self.ping()))
                == [.leadershipConfirmed(1), .send(Self.link, Self.ping())]
        )
        #expect(
            bench.feed(.fromLearner(Self.link, Self.ping())) == [.leadershipConfirmed(3)]
        )
    }

    @Test func `one voter needs nobody`() {
        var bench = ZabBench(voters: 1)
        bench.feed(.start, .epochStored(.accepted, 1), .epochStored(.current, 1))
        #expect(bench.feed(.confirmLeadership(1)) == [.leadershipConfirmed(1)])
    }

    @Test func `a follower that comes back confirms by the tick's PING`() throws {
        var bench = Self.broadcasting()
        bench.feed(.confirmLeadership(1), .learnerDisconnected(Self.link))
        Self.join(1, over: Self.other, &bench)
        #expect(try bench.wake() == [.send(Self.other, Self.ping())])
        #expect(
            bench.feed(.fromLearner(Self.other, Self.ping())) == [.leadershipConfirmed(1)]
        )
    }

    @Test func `PINGs before UPTODATE are not counted, for they are not answered`() throws {
        var bench = ZabBench(me: 3, voters: 5)
        bench.feed(.start)
        let vote = bench.vote(3, .zero, epoch: 0)
        for voter in [1, 2, 4, 5] as [Int64] {
            bench.feed(.notification(from: ServerID(rawValue: voter), vote))
        }
        func introduce(_ server: Int64, _ id: ConnectionID) -> [ZabInput] {
            [
                .learnerConnected(id),
                .fromLearner(
                    id,
                    .learnerInfo(
                        LearnerInfo(
                            server: ServerID(rawValue: server),
                            isObserver: false,
                            acceptedEpoch: 0
                        )
                    )
                ),
            ]
        }
        for input in introduce(1, Self.link) + introduce(2, Self.other) { bench.feed(input) }
        bench.feed(
            .epochStored(.accepted, 1),
            .fromLearner(Self.link, .ackEpoch(lastZxid: .zero, currentEpoch: 0)),
            .fromLearner(Self.other, .ackEpoch(lastZxid: .zero, currentEpoch: 0)),
            .epochStored(.current, 1),
            .fromLearner(Self.link, .ack(Self.zxid(1, 0)))
        )
        // Server 1 waits for the others, and is pinged meanwhile.
        #expect(try bench.wake().contains(.send(Self.link, Self.ping())))
        bench.feed(.fromLearner(Self.other, .ack(Self.zxid(1, 0))))
        #expect(bench.peer.role == .leading(epoch: 1))
        bench.feed(.confirmLeadership(1))
        #expect(bench.feed(.fromLearner(Self.link, Self.ping())) == [])
        #expect(
            bench.feed(.fromLearner(Self.other, Self.ping())) == [.leadershipConfirmed(1)]
        )
    }

    @Test func `whoever answers more PINGs than it got is left`() {
        var bench = Self.broadcasting()
        let actions = bench.feed(.fromLearner(Self.link, Self.ping()))
        #expect(
            actions == [.close(Self.link, reason: "an answer to a PING that was not sent")]
        )
    }

    @Test func `sessions touched are carried from the answers`() {
        var bench = Self.broadcasting()
        bench.feed(.confirmLeadership(1))
        let answer = LearnerMessage.ping(
            Self.zxid(1, 0),
            touched: [TouchedSession(session: SessionID(rawValue: 7), timeout: 5)]
        )
        #expect(
            bench.feed(.fromLearner(Self.link, answer))
                == [.leadershipConfirmed(1), .carried(Self.link, answer)]
        )
    }
}
