import Testing
import ZooKeeperModel

@testable import Zab

/// A leader that makes way, and one that should.
struct HandOverTests: ZabPhaseTesting {
    /// Server 3 of three, broadcasting with both others.
    static func leading() -> ZabBench {
        var bench = broadcasting()
        join(2, over: other, &bench)
        return bench
    }

    private static func votes(_ actions: [ZabAction]) -> [ServerID] {
        actions.compactMap {
            if case .sendNotification(_, let notification) = $0 { notification.leader } else { nil }
        }
    }

    /// What it proposes while nobody is heard.
    private static func votes(of bench: inout ZabBench, for time: Duration) throws -> [ServerID] {
        let end = bench.now + time
        var votes: [ServerID] = []
        while bench.now < end { votes += Self.votes(try bench.wake()) }
        return votes
    }

    @Test func `a leader makes way once a follower has everything, and votes for it`() {
        var bench = Self.leading()
        let made = Self.proposals(1, 1...2)
        bench.feed(.propose(made[0]), .propose(made[1]), .persisted(upTo: made[1].zxid))
        bench.feed(.fromLearner(Self.other, .ack(made[0].zxid)))
        #expect(bench.feed(.handOver) == [] && !bench.peer.takesProposals)
        let actions = bench.feed(.fromLearner(Self.other, .ack(made[1].zxid)))
        #expect(
            actions.prefix(3) == [
                .deliver(made[1]), .send(Self.link, .commit(made[1].zxid)),
                .send(Self.other, .commit(made[1].zxid)),
            ]
        )
        #expect(bench.peer.role == .looking)
        // Server 1 may have less, server 2 has all.
        #expect(
            Self.votes(actions) == [ServerID(rawValue: 2), ServerID(rawValue: 2)]
        )
        // Its successor needs nobody else to be sure.
        let vote = bench.vote(2, made[1].zxid, round: 2, epoch: 1)
        #expect(
            bench.feed(
                .notification(from: ServerID(rawValue: 1), vote),
                .notification(from: ServerID(rawValue: 2), vote)
            ).contains(.connectToLeader(ServerID(rawValue: 2)))
        )
    }

    @Test func `of several followers the one that would win the election follows`() {
        var bench = Self.leading()
        let actions = bench.feed(.handOver)
        #expect(Set(Self.votes(actions)) == [ServerID(rawValue: 2)])
    }

    @Test func `a successor that does not come forward is waited for one tick`() throws {
        var bench = Self.leading()
        bench.feed(.handOver)
        let told = try Self.votes(of: &bench, for: .seconds(4))
        #expect(told.first == ServerID(rawValue: 2) && told.last == ServerID(rawValue: 3))
    }

    @Test func `without a follower that has everything a leader stays, after a tick`() throws {
        var bench = Self.leading()
        let made = Self.proposals(1, 1...1)
        bench.feed(.propose(made[0]), .persisted(upTo: made[0].zxid), .handOver)
        #expect(!bench.peer.takesProposals)
        var actions: [ZabAction] = []
        for _ in 0..<2 { actions += try bench.wake() }
        #expect(
            actions.suffix(2) == [
                .handOverGivenUp("no follower has acknowledged everything in time"),
                .proposalsWelcome,
            ]
        )
        #expect(bench.peer.role == .leading(epoch: 1) && bench.peer.takesProposals)
    }

    @Test func `alone, a leader stays`() {
        var bench = ZabBench(voters: 1)
        bench.feed(.start, .epochStored(.accepted, 1), .epochStored(.current, 1))
        #expect(bench.feed(.handOver) == [.handOverGivenUp("no follower could take over")])
        #expect(bench.peer.takesProposals)
    }

    @Test func `long before its counter ends a leader makes way of itself`() {
        var bench = ZabBench(me: 3)
        bench.peer.plannedCounter = 2
        Self.lead(&bench)
        let made = Self.proposals(1, 1...2)
        bench.feed(.propose(made[0]))
        #expect(bench.peer.takesProposals)
        bench.feed(.propose(made[1]))
        #expect(!bench.peer.takesProposals && bench.peer.role == .leading(epoch: 1))
        bench.feed(.persisted(upTo: made[1].zxid))
        let actions = bench.feed(.fromLearner(Self.link, .ack(made[1].zxid)))
        #expect(Set(Self.votes(actions)) == [ServerID(rawValue: 1)])
    }

    private static func lead(_ bench: inout ZabBench) {
        bench.feed(.start)
        let vote = bench.vote(3, .zero, epoch: 0)
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
                        acceptedEpoch: 0
                    )
                )
            ),
            .epochStored(.accepted, 1),
            .fromLearner(link, .ackEpoch(lastZxid: .zero, currentEpoch: 0)),
            .epochStored(.current, 1),
            .fromLearner(link, .ack(zxid(1, 0)))
        )
        #expect(bench.peer.role == .leading(epoch: 1))
    }

    // MARK: - The leader's own disk

    @Test func `a leader whose disk does not answer for syncLimit makes way`() throws {
        var bench = Self.leading()
        let made = Self.proposals(1, 1...1)
        bench.feed(.propose(made[0]))
        bench.feed(
            .fromLearner(Self.link, .ack(made[0].zxid)),
            .fromLearner(Self.other, .ack(made[0].zxid))
        )
        #expect(bench.peer.lastCommitted == made[0].zxid, "the followers are a quorum")
        let began = bench.now
        while bench.peer.role == .leading(epoch: 1) {
            try bench.wake()
            for id in [Self.link, Self.other] {
                bench.feed(.fromLearner(id, .ping(made[0].zxid, touched: [])))
            }
        }
        #expect(bench.now == began + .seconds(10))
        // Nor does it stand in the elections after the first.
        #expect(bench.peer.role == .looking)
        #expect(
            Set(try Self.votes(of: &bench, for: .seconds(6))) == [
                ServerID(rawValue: 2), ServerID(rawValue: .min),
            ]
        )
        // Once its disk has answered it may lead again.
        bench.feed(.persisted(upTo: made[0].zxid))
        #expect(try Self.votes(of: &bench, for: .seconds(3)).last == ServerID(rawValue: 3))
    }

    @Test func `a leader whose disk answers slowly but steadily stays`() throws {
        var bench = Self.leading()
        let made = Self.proposals(1, 1...5)
        for proposal in made {
            bench.feed(
                .propose(proposal),
                .fromLearner(Self.link, .ack(proposal.zxid)),
                .fromLearner(Self.other, .ack(proposal.zxid))
            )
        }
        for proposal in made {
            for _ in 0..<8 {
                try bench.wake()
                for id in [Self.link, Self.other] {
                    bench.feed(.fromLearner(id, .ping(made[4].zxid, touched: [])))
                }
            }
            bench.feed(.persisted(upTo: proposal.zxid))
        }
        #expect(bench.peer.role == .leading(epoch: 1))
    }

    @Test func `a leader whose disk is full makes way at once, and does not stand again`() throws {
        var bench = Self.leading()
        let actions = bench.feed(.diskFull(true))
        #expect(Set(Self.votes(actions)) == [ServerID(rawValue: 2)])
        #expect(
            Set(try Self.votes(of: &bench, for: .seconds(4))).isSubset(
                of: [ServerID(rawValue: 2), ServerID(rawValue: .min)]
            )
        )
        // Whoever else stands is taken, whatever its round.
        let vote = bench.vote(1, .zero, round: 1, epoch: 0)
        let taken = bench.feed(.notification(from: ServerID(rawValue: 1), vote))
        #expect(Set(Self.votes(taken)) == [ServerID(rawValue: 1)])
    }

    @Test func `a full disk does not keep a server alone from leading`() {
        var bench = ZabBench(voters: 1)
        bench.feed(.diskFull(true), .start)
        bench.feed(.epochStored(.accepted, 1), .epochStored(.current, 1))
        #expect(bench.peer.role == .leading(epoch: 1))
    }

    @Test func `what waits for the leader's disk is bounded in bytes`() {
        var bench = Self.leading()
        let large = [UInt8](repeating: 0, count: 8 << 20)
        var last = Zxid.zero
        for counter in 1...8 as ClosedRange<UInt32> {
            #expect(bench.peer.takesProposals)
            last = Self.zxid(1, counter)
            bench.feed(
                .propose(Proposal(zxid: last, bytes: large)),
                .fromLearner(Self.link, .ack(last)),
                .fromLearner(Self.other, .ack(last))
            )
        }
        #expect(!bench.peer.takesProposals && bench.peer.lastCommitted == last)
        #expect(bench.feed(.persisted(upTo: Self.zxid(1, 1))) == [.proposalsWelcome])
        #expect(bench.peer.takesProposals)
    }

    @Test func `a follower that cannot log acknowledges nothing, whatever is committed`() throws {
        var bench = Self.following()
        let made = Self.proposals(2, 1...3)
        for proposal in made {
            let actions = bench.feed(
                .fromLeader(Self.link, .proposal(proposal)),
                .fromLeader(Self.link, .commit(proposal.zxid)),
                .fromLeader(Self.link, .ping(proposal.zxid, touched: []))
            )
            #expect(Self.sent(actions) == [])
        }
        // Nor for another leader: NEWLEADER waits for the same disk.
        bench.feed(.leaderDisconnected(Self.link))
        let vote = bench.vote(3, made[2].zxid, round: 2, epoch: 2)
        let actions = bench.feed(
            .notification(from: ServerID(rawValue: 2), vote),
            .notification(from: ServerID(rawValue: 3), vote),
            .leaderConnected(Self.other),
            .fromLeader(Self.other, .leaderInfo(epoch: 3)),
            .epochStored(.accepted, 3),
            .fromLeader(Self.other, .diff(made[2].zxid)),
            .fromLeader(Self.other, Self.newLeader(3)),
            .persisted(upTo: made[1].zxid)
        )
        #expect(!Self.sent(actions).contains { if case .ack = $0 { true } else { false } })
        #expect(!actions.contains(.storeEpoch(.current, 3)))
        #expect(bench.feed(.persisted(upTo: made[2].zxid)) == [.storeEpoch(.current, 3)])
    }
}
