import Testing
import ZooKeeperModel

@testable import Zab

/// Voters whose disk holds nothing, or nothing that can be relied on.
struct SuffrageTests: ZabPhaseTesting {
    private static func id(_ number: Int64) -> ServerID { ServerID(rawValue: number) }

    private func notice(
        _ state: ElectionNotification.State = .looking,
        _ leader: Int64,
        _ zxid: Zxid,
        round: Int64 = 1,
        epoch: Int64 = 0
    ) -> ElectionNotification {
        ElectionNotification(
            state: state,
            leader: Self.id(leader),
            zxid: zxid,
            electionEpoch: round,
            peerEpoch: epoch
        )
    }

    /// Server 3 of three without a history, and what it has said at its start.
    private func newcomer(_ suffrage: Suffrage = .none) -> (bench: ZabBench, said: [ZabAction]) {
        var bench = ZabBench(me: 3, suffrage: suffrage)
        let said = bench.feed(.start)
        return (bench, said)
    }

    private func zxids(_ actions: [ZabAction]) -> [Zxid] {
        actions.compactMap { action in
            guard case .sendNotification(_, let notification) = action else { return nil }
            return notification.zxid
        }
    }

    // MARK: - New or wiped

    @Test func `an empty voter says that it has no vote`() {
        #expect(zxids(newcomer().said) == [.none, .none])
    }

    @Test func `once all voters hold nothing they vote`() {
        var (bench, _) = newcomer()
        for voter in [Self.id(1), Self.id(2)] {
            bench.feed(.electionConnected(voter))
            bench.feed(.notification(from: voter, notice(.looking, voter.rawValue, .none)))
        }
        #expect(bench.peer.suffrage == .none)
        bench.feed(.notification(from: Self.id(1), notice(.looking, 1, .none)))
        #expect(bench.peer.suffrage == .none)
        let said = bench.feed(.notification(from: Self.id(2), notice(.looking, 2, .none)))
        #expect(bench.peer.suffrage == .full)
        #expect(zxids(said) == [.zero, .zero])
        bench.feed(
            .notification(from: Self.id(1), notice(.looking, 3, .zero)),
            .notification(from: Self.id(2), notice(.looking, 3, .zero))
        )
        #expect(bench.peer.role == .preparing)
    }

    @Test func `a voter that needs no vote from others to be new counts as one that holds nothing`()
    {
        // Apache's servers vote with an empty disk, and pass over who does not.
        var (bench, _) = newcomer()
        for _ in 0..<2 {
            bench.feed(
                .notification(from: Self.id(1), notice(.looking, 2, .zero, round: 4)),
                .notification(from: Self.id(2), notice(.looking, 2, .zero, round: 4))
            )
        }
        #expect(bench.peer.suffrage == .full)
        #expect(bench.peer.role == .looking)
    }

    @Test func `the first word on a link may be an old one`() {
        var (bench, _) = newcomer()
        for _ in 0..<5 {
            for voter in [Self.id(1), Self.id(2)] {
                bench.feed(
                    .electionConnected(voter),
                    .notification(from: voter, notice(.looking, 2, .zero))
                )
            }
        }
        #expect(bench.peer.suffrage == .none)
    }

    private static let others: [(Zxid, Int64)] = [
        (Zxid(epoch: 1, counter: 1), 1), (Zxid(epoch: 0, counter: 1), 0), (.none, -1),
    ]

    @Test(arguments: others)
    func `while one voter holds something, or did, an empty one has no vote`(
        _ zxid: Zxid,
        _ epoch: Int64
    ) {
        var (bench, _) = newcomer()
        for _ in 0..<5 {
            bench.feed(
                .notification(from: Self.id(1), notice(.looking, 1, .none)),
                .notification(from: Self.id(2), notice(.looking, 2, zxid, epoch: epoch))
            )
        }
        #expect(bench.peer.suffrage == .none)
        #expect(bench.peer.role == .looking)
    }

    @Test func `a voter alone is new without asking`() {
        var bench = ZabBench(voters: 1, suffrage: .none)
        bench.feed(.start)
        #expect(bench.peer.role == .preparing)
    }

    @Test func `a damaged disk is never taken for a new one`() {
        var (bench, said) = newcomer(.lost)
        #expect(zxids(said) == [.none, .none])
        for _ in 0..<5 {
            bench.feed(
                .notification(from: Self.id(1), notice(.looking, 1, .none)),
                .notification(from: Self.id(2), notice(.looking, 2, .none))
            )
        }
        #expect(bench.peer.suffrage == .lost)
    }

    @Test func `who still follow an empty voter do not make it a leader`() {
        var (bench, _) = newcomer()
        for voter in [Self.id(1), Self.id(2)] {
            bench.feed(
                .notification(
                    from: voter,
                    notice(.following, 3, Self.zxid(4, 7), epoch: 4)
                )
            )
        }
        #expect(bench.peer.role == .looking)
    }

    // MARK: - Joining

    /// Server 3 has found server 2 leading epoch 5.
    private func joined(_ suffrage: Suffrage) -> (bench: ZabBench, answer: [ZabAction]) {
        var (bench, _) = newcomer(suffrage)
        let standing = notice(.leading, 2, Self.zxid(4, 7), epoch: 5)
        var follower = standing
        follower.state = .following
        bench.feed(
            .notification(from: Self.id(1), follower),
            .notification(from: Self.id(2), standing),
            .leaderConnected(Self.link),
            .fromLeader(Self.link, .leaderInfo(epoch: 5))
        )
        let answer = bench.feed(.epochStored(.accepted, 5))
        return (bench, answer)
    }

    @Test(arguments: [Suffrage.none, .lost])
    func `its promise is not to be counted, and it gets everything`(_ suffrage: Suffrage) {
        var (bench, answer) = joined(suffrage)
        #expect(answer == [.send(Self.link, .ackEpoch(lastZxid: .none, currentEpoch: nil))])
        bench.feed(
            .fromLeader(Self.link, .snapshot(Self.zxid(4, 7))),
            .fromLeader(Self.link, .snapshotSlice([1])),
            .fromLeader(Self.link, .snapshotEnd),
            .snapshotInstalled(Self.zxid(4, 7)),
            .fromLeader(Self.link, .newLeader(epoch: 5, configuration: nil))
        )
        #expect(bench.peer.suffrage == suffrage)
        let acknowledged = bench.feed(.epochStored(.current, 5))
        #expect(acknowledged == [.send(Self.link, .ack(Self.zxid(5, 0)))])
        #expect(bench.peer.suffrage == .full)
    }

    @Test func `a leader does not count the promise of a voter that has lost its own`() {
        var (bench, _) = Self.leader(
            log: Self.proposals(1, 1...2),
            epoch: 1,
            learnerLast: .none,
            learnerEpoch: 1
        )
        #expect(bench.feed(.wake) == [])
        let actions = bench.feed(
            .learnerConnected(Self.other),
            .fromLearner(
                Self.other,
                .learnerInfo(LearnerInfo(server: Self.id(2), isObserver: false, acceptedEpoch: 1))
            ),
            .fromLearner(Self.other, .ackEpoch(lastZxid: Self.zxid(1, 2), currentEpoch: 1))
        )
        #expect(actions.contains(.storeEpoch(.current, 2)))
        #expect(actions.contains(.send(Self.link, .snapshot(Self.zxid(1, 2)))))
    }

    @Test func `a synchronization that the disk finishes after its leader was left counts`() {
        var (bench, _) = joined(.lost)
        bench.feed(
            .fromLeader(Self.link, .snapshot(Self.zxid(4, 7))),
            .fromLeader(Self.link, .snapshotEnd),
            .snapshotInstalled(Self.zxid(4, 7)),
            .fromLeader(Self.link, .newLeader(epoch: 5, configuration: nil)),
            .leaderDisconnected(Self.link)
        )
        #expect(bench.peer.role == .looking && bench.peer.suffrage == .lost)
        let said = bench.feed(.epochStored(.current, 5))
        #expect(zxids(said) == [Self.zxid(4, 7), Self.zxid(4, 7)])
    }

    // MARK: - Whole ensembles

    private func settle(_ world: inout ZabWorld, steps: Int = 4000) {
        for _ in 0..<steps { world.step() }
    }

    @Test func `what a wiped voter acknowledged is not forgotten while another is down`() {
        for seed in 0..<UInt64(10) {
            var world = ZabWorld(seed: seed, voters: 3)
            for index in 0..<3 { world.start(index) }
            settle(&world)
            guard let leader = world.leader else {
                Issue.record("seed \(seed): three empty disks make no ensemble")
                return
            }
            let (behind, wiped) = ((leader + 1) % 3, (leader + 2) % 3)
            world.crash(behind)
            let before = world.agreed.count
            world.propose(at: leader)
            settle(&world, steps: 500)
            #expect(world.agreed.count == before + 1)
            world.crash(leader)
            world.wipe(wiped, isDamaged: seed % 2 == 0)
            world.start(wiped)
            world.start(behind)
            settle(&world)
            #expect(world.leader == nil, "seed \(seed): a quorum without what was committed")
            world.start(leader)
            settle(&world)
            #expect(world.leader != nil, "seed \(seed)")
            #expect(world.servers.allSatisfy { $0.tree.count == before + 1 }, "seed \(seed)")
            #expect(world.servers[wiped].suffrage == .full)
            #expect(world.failures == [])
        }
    }

    @Test func `faults with one disk at a time wiped or damaged lose nothing`() {
        var wipes = 0
        for seed in 0..<UInt64(120) {
            let outcome = ZabRandomRunTests.run(seed: seed, voters: 3, observers: 0, wipes: true)
            #expect(outcome.failures.isEmpty, "seed \(seed): \(outcome.failures)")
            #expect(outcome.isLive, "seed \(seed) does not recover")
            wipes += outcome.wipeCount
        }
        #expect(wipes > 60)
    }
}
