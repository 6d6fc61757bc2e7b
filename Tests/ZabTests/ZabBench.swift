import Testing
import ZooKeeperModel

@testable import Zab

/// One peer, its clock, and short words for what happens to it.
struct ZabBench {
    var peer: ZabPeer
    var now = Instant(nanoseconds: 0)

    init(
        me: Int64 = 1,
        voters: Int64 = 3,
        observers: Int64 = 0,
        log: [Proposal] = [],
        epoch: Int64 = 0,
        suffrage: Suffrage = .full,
        ensemble: EnsembleName? = nil,
        recentCount: Int = 500
    ) {
        let members = (1...(voters + observers)).map {
            EnsembleConfiguration.Member(id: ServerID(rawValue: $0), isObserver: $0 > voters)
        }
        peer = ZabPeer(
            configuration: EnsembleConfiguration(
                me: ServerID(rawValue: me),
                members: members
            ),
            lastLoggedZxid: log.last?.zxid ?? .zero,
            acceptedEpoch: epoch,
            currentEpoch: epoch,
            suffrage: suffrage,
            ensemble: ensemble,
            freshEnsemble: 7,
            recent: Array(log.suffix(recentCount))
        )
    }

    /// Time passes to the next deadline, or beyond it, and the peer is woken.
    @discardableResult
    mutating func wake(late: Duration = .zero) throws -> [ZabAction] {
        now = max(now, try #require(peer.nextDeadline)) + late
        return feed(.wake)
    }

    @discardableResult
    mutating func feed(_ inputs: ZabInput...) -> [ZabAction] {
        var actions: [ZabAction] = []
        for input in inputs {
            peer.handle(input, at: now, actions: &actions)
            peer.checkInvariants()
        }
        return actions
    }

    /// What a voter says who has joined this vote.
    func vote(
        _ leader: Int64,
        _ zxid: Zxid,
        round: Int64 = 1,
        epoch: Int64
    ) -> ElectionNotification {
        ElectionNotification(
            state: .looking,
            leader: ServerID(rawValue: leader),
            zxid: zxid,
            electionEpoch: round,
            peerEpoch: epoch
        )
    }
}

/// What tests of a phase by hand share: ready states, and short words for messages.
protocol ZabPhaseTesting {}

extension ZabPhaseTesting {
    static var link: ConnectionID { ConnectionID(rawValue: 1) }
    static var other: ConnectionID { ConnectionID(rawValue: 2) }

    static func zxid(_ epoch: Int64, _ counter: UInt32) -> Zxid {
        Zxid(epoch: epoch, counter: counter)
    }
    static func proposals(_ epoch: Int64, _ counters: ClosedRange<UInt32>) -> [Proposal] {
        counters.map { Proposal(zxid: zxid(epoch, $0), bytes: [UInt8(truncatingIfNeeded: $0)]) }
    }

    /// Server 3 of three with this log, elected, its epoch confirmed by server 1 with `learnerLast`.
    /// Returns what that ACKEPOCH made it send.
    static func leader(
        log: [Proposal],
        epoch: Int64,
        learnerLast: Zxid,
        learnerEpoch: Int64,
        recentCount: Int = 500
    ) -> (bench: ZabBench, actions: [ZabAction]) {
        var bench = ZabBench(me: 3, log: log, epoch: epoch, recentCount: recentCount)
        bench.feed(.start)
        let vote = bench.vote(3, log.last?.zxid ?? .zero, epoch: epoch)
        bench.feed(
            .notification(from: ServerID(rawValue: 1), vote),
            .notification(from: ServerID(rawValue: 2), vote),
            .learnerConnected(link),
            .fromLearner(
                link,
                .learnerInfo(
                    LearnerInfo(
                        server: ServerID(rawValue: 1),
                        isObserver: false,
                        acceptedEpoch: epoch
                    )
                )
            ),
            .epochStored(.accepted, epoch + 1)
        )
        let actions = bench.feed(
            .fromLearner(link, .ackEpoch(lastZxid: learnerLast, currentEpoch: learnerEpoch))
        )
        return (bench, actions)
    }

    /// Server 1 of three (or an observer), which has sent ACKEPOCH to server 3 for `epoch` + 1.
    static func learner(
        me: Int64 = 1,
        observers: Int64 = 0,
        log: [Proposal] = [],
        epoch: Int64 = 1
    ) -> ZabBench {
        var bench = ZabBench(me: me, observers: observers, log: log, epoch: epoch)
        bench.feed(.start)
        let vote = bench.vote(3, zxid(epoch, 9), epoch: epoch)
        for voter in 1...3 as ClosedRange<Int64> where voter != me {
            bench.feed(.notification(from: ServerID(rawValue: voter), vote))
        }
        bench.feed(
            .leaderConnected(link),
            .fromLeader(link, .leaderInfo(epoch: epoch + 1)),
            .epochStored(.accepted, epoch + 1)
        )
        return bench
    }

    static func sent(_ actions: [ZabAction]) -> [LearnerMessage] {
        actions.compactMap {
            if case .send(_, let message) = $0 { message } else { nil }
        }
    }
    static func newLeader(_ epoch: Int64) -> LearnerMessage {
        .newLeader(epoch: epoch, configuration: [])
    }

    /// Server 3 of three, broadcasting epoch 1 with server 1 alone.
    static func broadcasting() -> ZabBench {
        var (bench, _) = leader(log: [], epoch: 0, learnerLast: .zero, learnerEpoch: 0)
        bench.feed(.epochStored(.current, 1))
        #expect(bench.peer.role == .preparing)
        let actions = bench.feed(.fromLearner(link, .ack(zxid(1, 0))))
        #expect(actions == [.roleChanged(.leading(epoch: 1)), .send(link, .upToDate)])
        return bench
    }

    /// A further follower joins a leader that broadcasts epoch 1 and has proposed nothing.
    static func join(_ server: Int64, over id: ConnectionID, _ bench: inout ZabBench) {
        bench.feed(
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
            .fromLearner(id, .ackEpoch(lastZxid: .zero, currentEpoch: 0)),
            .fromLearner(id, .ack(zxid(1, 0)))
        )
    }

    /// Server 1 of three, following server 3 in epoch 2.
    static func following() -> ZabBench {
        var bench = learner()
        bench.feed(
            .fromLeader(link, .diff(.zero)),
            .fromLeader(link, newLeader(2)),
            .epochStored(.current, 2),
            .fromLeader(link, .upToDate)
        )
        return bench
    }
}
