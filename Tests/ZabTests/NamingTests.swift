import Testing
import ZooKeeperModel

@testable import Zab

/// Disks of another ensemble, and how an ensemble comes by its name.
struct NamingTests: ZabPhaseTesting {
    private static func id(_ number: Int64) -> ServerID { ServerID(rawValue: number) }
    private static let ours = EnsembleName(number: 5, isSettled: true)
    private static let theirs = EnsembleName(number: 6, isSettled: true)

    private func info(_ server: Int64, _ name: EnsembleName?) -> LearnerMessage {
        .learnerInfo(
            LearnerInfo(
                server: Self.id(server),
                isObserver: false,
                acceptedEpoch: 1,
                ensemble: name
            )
        )
    }

    /// Server 3 of three, elected with a history of epoch 1.
    private func elected(_ name: EnsembleName) -> ZabBench {
        var bench = ZabBench(
            me: 3,
            log: Self.proposals(1, 1...2),
            epoch: 1,
            ensemble: name
        )
        bench.feed(.start)
        let vote = bench.vote(3, Self.zxid(1, 2), epoch: 1)
        bench.feed(
            .notification(from: Self.id(1), vote),
            .notification(from: Self.id(2), vote),
            .learnerConnected(Self.link),
            .learnerConnected(Self.other)
        )
        return bench
    }

    /// Server 1 of three, which has been told by server 3 how its ensemble is called.
    private func learner(
        _ own: EnsembleName,
        told: EnsembleName?
    ) -> (bench: ZabBench, actions: [ZabAction]) {
        var bench = ZabBench(log: Self.proposals(1, 1...2), epoch: 1, ensemble: own)
        bench.feed(.start)
        let vote = bench.vote(3, Self.zxid(1, 9), epoch: 1)
        bench.feed(
            .notification(from: Self.id(2), vote),
            .notification(from: Self.id(3), vote),
            .leaderConnected(Self.link)
        )
        var actions: [ZabAction] = []
        if let told { actions = bench.feed(.fromLeader(Self.link, .ensemble(told, marks: []))) }
        return (bench, actions)
    }

    private func synchronize(_ bench: inout ZabBench) -> [ZabAction] {
        bench.feed(
            .fromLeader(Self.link, .leaderInfo(epoch: 2)),
            .epochStored(.accepted, 2),
            .fromLeader(Self.link, .diff(Self.zxid(1, 2))),
            .fromLeader(Self.link, Self.newLeader(2))
        )
    }

    private func halts(_ actions: [ZabAction]) -> [String] {
        actions.compactMap { if case .halt(let reason) = $0 { reason } else { nil } }
    }

    // MARK: - The learner

    @Test func `a member stores the leader's name before its epoch`() {
        var (bench, _) = learner(EnsembleName(), told: EnsembleName(number: 5))
        let actions = synchronize(&bench)
        #expect(
            actions.suffix(2) == [
                .storeEnsemble(EnsembleName(number: 5)), .storeEpoch(.current, 2),
            ]
        )
        bench.feed(.epochStored(.current, 2), .fromLeader(Self.link, .upToDate))
        let settled = bench.feed(.fromLeader(Self.link, .ensemble(Self.ours, marks: [])))
        #expect(settled == [.storeEnsemble(Self.ours)])
        #expect(bench.peer.ensemble == Self.ours)
    }

    @Test func `a member with another settled name stops, and says which`() {
        for told in [Self.theirs, EnsembleName(number: 6)] {
            let (_, actions) = learner(Self.ours, told: told)
            let sentences = halts(actions)
            #expect(sentences.count == 1)
            #expect(sentences.first?.contains("ensemble 5, but server 3 leads ensemble 6") == true)
        }
    }

    @Test func `a name that was never settled gives way`() {
        var (bench, actions) = learner(EnsembleName(number: 5), told: Self.theirs)
        #expect(halts(actions) == [])
        #expect(synchronize(&bench).contains(.storeEnsemble(Self.theirs)))
    }

    @Test func `under a leader that knows no names a settled one may be lost to others`() {
        var (bench, _) = learner(Self.ours, told: nil)
        #expect(synchronize(&bench).contains(.storeEnsemble(EnsembleName(number: 5))))
    }

    // MARK: - The leader

    @Test func `a leader draws a name, and it is settled once a quorum has stored it`() {
        var bench = elected(EnsembleName())
        bench.feed(.fromLearner(Self.link, info(1, EnsembleName())))
        let offered = bench.feed(.epochStored(.accepted, 2))
        #expect(
            Self.sent(offered) == [
                .ensemble(EnsembleName(number: 7), marks: []), .leaderInfo(epoch: 2),
            ]
        )
        let confirmed = bench.feed(
            .fromLearner(Self.link, .ackEpoch(lastZxid: Self.zxid(1, 2), currentEpoch: 1))
        )
        #expect(
            confirmed.prefix(2) == [
                .storeEnsemble(EnsembleName(number: 7)), .storeEpoch(.current, 2),
            ]
        )
        #expect(bench.feed(.epochStored(.current, 2)) == [])
        let settled = bench.feed(.fromLearner(Self.link, .ack(Self.zxid(2, 0))))
        let name = EnsembleName(number: 7, isSettled: true)
        #expect(settled.contains(.storeEnsemble(name)))
        #expect(Self.sent(settled).contains(.ensemble(name, marks: [])))
    }

    @Test func `members of another make are told no name, and settle none`() {
        var bench = elected(EnsembleName())
        bench.feed(.fromLearner(Self.link, info(1, nil)))
        let offered = bench.feed(.epochStored(.accepted, 2))
        #expect(Self.sent(offered) == [.leaderInfo(epoch: 2)])
        bench.feed(
            .fromLearner(Self.link, .ackEpoch(lastZxid: Self.zxid(1, 2), currentEpoch: 1)),
            .epochStored(.current, 2)
        )
        bench.feed(.fromLearner(Self.link, .ack(Self.zxid(2, 0))))
        #expect(bench.peer.role == .leading(epoch: 2))
        #expect(bench.peer.ensemble == EnsembleName(number: 7))
    }

    @Test func `a leader without a settled name takes that of a voter`() {
        for own in [EnsembleName(), EnsembleName(number: 9)] {
            var bench = elected(own)
            bench.feed(.fromLearner(Self.link, info(1, Self.ours)))
            let offered = bench.feed(.epochStored(.accepted, 2))
            #expect(Self.sent(offered).first == .ensemble(EnsembleName(number: 5), marks: []))
        }
    }

    @Test func `a voter of another ensemble does not help a leader, and is told once there is one`()
    {
        var bench = elected(Self.ours)
        let refused = bench.feed(.fromLearner(Self.link, info(1, Self.theirs)))
        #expect(refused.count == 1)
        guard case .close(Self.link, let reason)? = refused.first else {
            Issue.record("not refused: \(refused)")
            return
        }
        #expect(reason.contains("ensemble 5, that of server 1 to ensemble 6"))
        bench.feed(
            .fromLearner(Self.other, info(2, Self.ours)),
            .epochStored(.accepted, 2),
            .learnerConnected(Self.link)
        )
        let told = bench.feed(.fromLearner(Self.link, info(1, Self.theirs)))
        #expect(Self.sent(told).first == .ensemble(Self.ours, marks: []))
    }

    @Test func `a leader whose disk is of another ensemble than a quorum's stops`() {
        var bench = elected(Self.theirs)
        let first = bench.feed(.fromLearner(Self.link, info(1, Self.ours)))
        #expect(halts(first) == [])
        let second = bench.feed(.fromLearner(Self.other, info(2, Self.ours)))
        #expect(halts(second).count == 1)
    }

    // MARK: - Who knows each other says it once

    /// Proposals 1 to 3 of epoch 2, to a learner that follows.
    private func following(_ told: EnsembleName?) -> ZabBench {
        var (bench, _) = learner(Self.ours, told: told)
        _ = synchronize(&bench)
        bench.feed(.epochStored(.current, 2), .fromLeader(Self.link, .upToDate))
        for proposal in Self.proposals(2, 1...3) {
            bench.feed(.fromLeader(Self.link, .proposal(proposal)))
        }
        return bench
    }

    @Test(arguments: [true, false])
    func `one ACK tells one of ours of all, another make of each`(_ isOurs: Bool) {
        var bench = following(isOurs ? Self.ours : nil)
        let acks = bench.feed(.persisted(upTo: Self.zxid(2, 2)))
        let expected: [UInt32] = isOurs ? [2] : [1, 2]
        #expect(Self.sent(acks) == expected.map { .ack(Self.zxid(2, $0)) })
        #expect(
            Self.sent(bench.feed(.persisted(upTo: Self.zxid(2, 3)))) == [.ack(Self.zxid(2, 3))]
        )
    }

    @Test(arguments: [true, false])
    func `a COMMIT of one of ours is of all before it, of another make of its own`(_ isOurs: Bool) {
        var bench = following(isOurs ? Self.ours : nil)
        bench.feed(.persisted(upTo: Self.zxid(2, 3)))
        let actions = bench.feed(.fromLeader(Self.link, .commit(Self.zxid(2, 2))))
        let delivered = actions.compactMap { action in
            if case .deliver(let proposal) = action { proposal.zxid.counter } else { nil }
        }
        #expect(delivered == (isOurs ? [1, 2] : []))
        // Else it is out of order, and the leader is left.
        #expect((bench.peer.role == .looking) == !isOurs)
    }

    @Test func `a COMMIT of what was never proposed is out of order`() {
        var bench = following(Self.ours)
        let actions = bench.feed(.fromLeader(Self.link, .commit(Self.zxid(2, 4))))
        #expect(!actions.contains { if case .deliver = $0 { true } else { false } })
        #expect(bench.peer.role == .looking)
    }

    /// Server 3, with server 1 behind `link` and server 2 behind `other`.
    @Test(arguments: [true, false])
    func `a leader commits once to ours, one by one to others`(_ isOurs: Bool) throws {
        var bench = elected(Self.ours)
        let name = isOurs ? Self.ours : nil
        bench.feed(.fromLearner(Self.link, info(1, name)), .fromLearner(Self.other, info(2, nil)))
        bench.feed(.epochStored(.accepted, 2))
        for link in [Self.link, Self.other] {
            bench.feed(
                .fromLearner(link, .ackEpoch(lastZxid: Self.zxid(1, 2), currentEpoch: 1))
            )
        }
        bench.feed(.epochStored(.current, 2))
        for link in [Self.link, Self.other] {
            bench.feed(.fromLearner(link, .ack(Self.zxid(2, 0))))
        }
        for proposal in Self.proposals(2, 1...3) { bench.feed(.propose(proposal)) }
        bench.feed(.fromLearner(Self.link, .ack(Self.zxid(2, 3))))
        let actions = bench.feed(.fromLearner(Self.other, .ack(Self.zxid(2, 2))))
        func commits(_ link: ConnectionID) -> [UInt32] {
            actions.compactMap { action in
                guard case .send(link, .commit(let zxid)) = action else { return nil }
                return zxid.counter
            }
        }
        #expect(commits(Self.link) == (isOurs ? [2] : [1, 2]))
        #expect(commits(Self.other) == [1, 2])
        // Those of our make know before this leader's clients are answered.
        let delivered = try #require(
            actions.firstIndex { if case .deliver = $0 { true } else { false } }
        )
        let told = try #require(
            actions.firstIndex { if case .send(Self.link, .commit) = $0 { true } else { false } }
        )
        #expect(!isOurs || told < delivered)
    }

    // MARK: - Whole ensembles

    @Test func `an ensemble settles one name and keeps it`() {
        var world = ZabWorld(seed: 3, voters: 3)
        for index in 0..<3 { world.start(index) }
        for _ in 0..<4000 { world.step() }
        #expect(world.settledName != nil)
        #expect(world.servers.allSatisfy { $0.ensemble == world.settledName })
        #expect(world.failures == [])
    }
}
