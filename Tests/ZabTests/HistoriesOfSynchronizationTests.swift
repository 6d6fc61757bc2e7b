import Testing
import ZooKeeperModel

@testable import Zab

/// What went wrong in ZooKeeper between an election and the first commit, replayed one input at a
/// time. The numbers are those of its issues; the table is Docs/Histories.md.
struct HistoriesOfSynchronizationTests: ZabPhaseTesting {
    /// Introduces server 2 to server 3, which broadcasts epoch 1 with server 1; what its ACKEPOCH is
    /// answered with.
    private static func joined(_ bench: inout ZabBench, last: Zxid) -> [ZabAction] {
        bench.feed(
            .learnerConnected(other),
            .fromLearner(
                other,
                .learnerInfo(
                    LearnerInfo(server: ServerID(rawValue: 2), isObserver: false, acceptedEpoch: 0)
                )
            )
        )
        return bench.feed(.fromLearner(other, .ackEpoch(lastZxid: last, currentEpoch: 0)))
    }
    private static func sent(
        _ actions: [ZabAction],
        to connection: ConnectionID
    )
        -> [LearnerMessage]
    {
        actions.compactMap {
            if case .send(connection, let message) = $0 { message } else { nil }
        }
    }

    /// ZOOKEEPER-962, 783, 1136: a proposal under way while a follower was being synchronized was
    /// neither in what it was sent nor forwarded to it, or its commit came before it.
    @Test func `a proposal under way meets a joining follower once, and so does its commit`() {
        var bench = Self.broadcasting()
        let made = Self.proposals(1, 1...5)
        bench.feed(
            .propose(made[0]),
            .propose(made[1]),
            .persisted(upTo: made[1].zxid),
            .fromLearner(Self.link, .ack(made[1].zxid)),
            .propose(made[2])
        )
        var got = Self.sent(Self.joined(&bench, last: made[0].zxid), to: Self.other)
        got += Self.sent(
            bench.feed(
                .propose(made[3]),
                .persisted(upTo: made[3].zxid),
                .fromLearner(Self.link, .ack(made[3].zxid)),
                .fromLearner(Self.other, .ack(Self.zxid(1, 0))),
                .propose(made[4]),
                .persisted(upTo: made[4].zxid),
                .fromLearner(Self.link, .ack(made[4].zxid))
            ),
            to: Self.other
        )
        #expect(
            got == [
                .diff(made[1].zxid), .proposal(made[1]), .commit(made[1].zxid), .proposal(made[2]),
                Self.newLeader(1), .proposal(made[3]), .commit(made[2].zxid),
                .commit(made[3].zxid), .upToDate, .proposal(made[4]), .commit(made[4].zxid),
            ]
        )
    }

    /// ZOOKEEPER-3104: NEWLEADER left before the snapshot was whole, and was acknowledged while the
    /// snapshot was still missing what was committed meanwhile.
    @Test func `what is committed during a snapshot follows it, and NEWLEADER comes last`() {
        var bench = Self.broadcasting()
        let made = Self.proposals(1, 1...3)
        bench.feed(
            .propose(made[0]),
            .persisted(upTo: made[0].zxid),
            .fromLearner(Self.link, .ack(made[0].zxid)),
            .propose(made[1])
        )
        var actions = Self.joined(&bench, last: .zero)
        #expect(Self.sent(actions, to: Self.other) == [.snapshot(made[0].zxid)])
        actions = bench.feed(
            .snapshotSlice(Self.other, [1]),
            .persisted(upTo: made[1].zxid),
            .fromLearner(Self.link, .ack(made[1].zxid)),
            .propose(made[2])
        )
        #expect(Self.sent(actions, to: Self.other) == [.snapshotSlice([1])])
        #expect(
            Self.sent(bench.feed(.snapshotEnd(Self.other)), to: Self.other) == [
                .snapshotEnd, .proposal(made[1]), .commit(made[1].zxid), .proposal(made[2]),
                Self.newLeader(1),
            ]
        )
    }

    /// ZOOKEEPER-1551: an observer passed over what it was informed of between the snapshot and
    /// UPTODATE, and had a hole from then on.
    @Test func `an observer takes what comes between a snapshot and UPTODATE`() {
        var bench = Self.learner(me: 4, observers: 1)
        let made = Self.proposals(2, 1...3)
        bench.feed(
            .fromLeader(Self.link, .snapshot(Self.zxid(1, 9))),
            .fromLeader(Self.link, .snapshotEnd),
            // While its disk is still at work.
            .fromLeader(Self.link, .proposal(made[0])),
            .fromLeader(Self.link, .commit(made[0].zxid)),
            .fromLeader(Self.link, Self.newLeader(2)),
            .fromLeader(Self.link, .inform(made[1]))
        )
        #expect(
            bench.feed(.snapshotInstalled(Self.zxid(1, 9))) == [
                .append(made[0]), .append(made[1]),
            ]
        )
        bench.feed(.persisted(upTo: made[1].zxid), .epochStored(.current, 2))
        let actions = bench.feed(
            .fromLeader(Self.link, .inform(made[2])),
            .fromLeader(Self.link, .upToDate)
        )
        #expect(
            actions.filter { if case .deliver = $0 { true } else { false } }
                == made.map { .deliver($0) }
        )
        #expect(bench.peer.lastCommitted == made[2].zxid)
    }

    /// ZOOKEEPER-790: a server that had been elected, and failed to gather a quorum, called itself as
    /// new as the epoch it had wanted to found, and so won against those with more.
    @Test func `who fails to found an epoch goes into the next election no newer than before`()
        throws
    {
        let log = Self.proposals(1, 1...3)
        var (bench, _) = Self.leader(
            log: log,
            epoch: 1,
            learnerLast: log[2].zxid,
            learnerEpoch: 1
        )
        bench.feed(.learnerDisconnected(Self.link))
        var actions: [ZabAction] = []
        for _ in 0..<100 where bench.peer.role == .preparing { actions = try bench.wake() }
        let votes = actions.compactMap {
            if case .sendNotification(_, let notification) = $0 { notification } else { nil }
        }
        #expect(bench.peer.role == .looking && votes.count == 2)
        #expect(votes.allSatisfy { $0.zxid == log[2].zxid && $0.peerEpoch == 1 })
        #expect(bench.peer.acceptedEpoch == 2)
    }

    /// ZOOKEEPER-3598, 2678: what had been committed and not yet applied when a follower lost its
    /// leader was dropped from memory though it was in its log, or applied twice.
    @Test func `commits that had no time to be applied are applied once under the next leader`() {
        var bench = Self.learner()
        let made = Self.proposals(1, 1...2)
        bench.feed(
            .fromLeader(Self.link, .diff(made[1].zxid)),
            .fromLeader(Self.link, .proposal(made[0])),
            .fromLeader(Self.link, .commit(made[0].zxid)),
            .fromLeader(Self.link, .proposal(made[1])),
            .persisted(upTo: made[1].zxid)
        )
        let left = bench.feed(.leaderDisconnected(Self.link))
        let vote = left.compactMap {
            if case .sendNotification(_, let notification) = $0 { notification } else { nil }
        }.first
        #expect(vote?.zxid == made[1].zxid, "all of its log counts")
        let better = bench.vote(2, made[1].zxid, round: 2, epoch: 2)
        bench.feed(
            .notification(from: ServerID(rawValue: 2), better),
            .notification(from: ServerID(rawValue: 3), better),
            .leaderConnected(Self.other),
            .fromLeader(Self.other, .leaderInfo(epoch: 3)),
            .epochStored(.accepted, 3)
        )
        let actions = bench.feed(
            .fromLeader(Self.other, .diff(made[1].zxid)),
            .fromLeader(Self.other, Self.newLeader(3)),
            .epochStored(.current, 3),
            .fromLeader(Self.other, .upToDate)
        )
        #expect(
            actions.filter { if case .deliver = $0 { true } else { false } }
                == made.map { .deliver($0) }
        )
    }

    /// ZOOKEEPER-1413: a DIFF from the log on disk ended before the committed log in memory began,
    /// which had moved on while the file was read.
    @Test func `a DIFF read from disk goes on until it meets the committed log`() {
        let members = (1...3).map { EnsembleConfiguration.Member(id: ServerID(rawValue: $0)) }
        let log = Self.proposals(1, 1...6)
        var bench = ZabBench(me: 3, log: log, epoch: 1)
        bench.peer = ZabPeer(
            configuration: EnsembleConfiguration(me: ServerID(rawValue: 3), members: members),
            lastLoggedZxid: log[5].zxid,
            acceptedEpoch: 1,
            currentEpoch: 1,
            recent: Array(log.suffix(2)),
            committedLogCapacity: 2
        )
        bench.feed(.start)
        let vote = bench.vote(3, log[5].zxid, epoch: 1)
        func info(_ server: Int64) -> LearnerMessage {
            .learnerInfo(
                LearnerInfo(server: ServerID(rawValue: server), isObserver: false, acceptedEpoch: 1)
            )
        }
        bench.feed(
            .notification(from: ServerID(rawValue: 1), vote),
            .notification(from: ServerID(rawValue: 2), vote),
            .learnerConnected(Self.link),
            .fromLearner(Self.link, info(1)),
            .epochStored(.accepted, 2),
            .fromLearner(Self.link, .ackEpoch(lastZxid: log[5].zxid, currentEpoch: 1)),
            .epochStored(.current, 2),
            .fromLearner(Self.link, .ack(Self.zxid(2, 0)))
        )
        #expect(bench.peer.role == .leading(epoch: 2))
        bench.feed(.learnerConnected(Self.other), .fromLearner(Self.other, info(2)))
        let asked = bench.feed(
            .fromLearner(Self.other, .ackEpoch(lastZxid: log[1].zxid, currentEpoch: 1))
        )
        #expect(asked.count == 1)
        // The file is read up to 1/6; meanwhile the committed log has become 2/2 and 2/3.
        let made = Self.proposals(2, 1...3)
        for proposal in made {
            bench.feed(
                .propose(proposal),
                .persisted(upTo: proposal.zxid),
                .fromLearner(Self.link, .ack(proposal.zxid))
            )
        }
        let whole = log + made
        var sent: [LearnerMessage] = []
        var actions = bench.feed(.logRead(Array(log[1...]), isComplete: true))
        while !actions.isEmpty {
            sent += Self.sent(actions, to: Self.other)
            var answers: [ZabInput] = []
            for action in actions {
                if case .readLog(let after, let through, _) = action {
                    let part = whole.filter { $0.zxid > after && $0.zxid <= through }
                    answers.append(.logRead(part, isComplete: true))
                } else if case .reportDrained(let id) = action {
                    answers.append(.learnerDrained(id))
                }
            }
            actions = answers.flatMap { bench.feed($0) }
        }
        #expect(
            Array(sent.dropFirst())
                == whole[2...].flatMap { [.proposal($0), .commit($0.zxid)] }
                + [Self.newLeader(2)]
        )
        guard case .diff = sent.first else {
            Issue.record("no DIFF: \(sent)")
            return
        }
    }

    /// ZOOKEEPER-4352, 3642: a server that holds everything by a snapshot has no committed log. It
    /// took the empty one for the beginning of history, and sent a DIFF without what came before.
    @Test func `a leader without a committed log sends no DIFF that it cannot vouch for`() {
        let log = Self.proposals(1, 1...9)
        for (last, expected) in [
            (Zxid.zero, "snapshot"), (Self.zxid(0, 7), "readLog"), (Self.zxid(1, 4), "readLog"),
            (Self.zxid(1, 0), "readLog"),
        ] {
            var (bench, actions) = Self.leader(
                log: log,
                epoch: 1,
                learnerLast: last,
                learnerEpoch: 0,
                recentCount: 0
            )
            if case .readLog? = actions.last {
                #expect(expected == "readLog")
                // A snapshot is all its disk has, too.
                actions = bench.feed(.logRead(nil, isComplete: true))
            }
            #expect(
                actions.suffix(2) == [
                    .send(Self.link, .snapshot(log[8].zxid)), .startSnapshot(Self.link),
                ],
                "a learner at \(last)"
            )
        }
    }

    /// ZOOKEEPER-1277: once the 32 bits of the counter were used up, nothing was served any more.
    @Test func `an ensemble goes on in a new epoch, again and again, where the counter ends`() {
        var world = ZabWorld(seed: 5, voters: 3)
        for index in world.servers.indices {
            world.start(index)
            world.servers[index].peer?.lastUsableCounter = 4
        }
        var steps = 0
        while world.agreed.count < 20, world.failures.isEmpty, steps < 60_000 {
            steps += 1
            if let leader = world.leader, world.servers[leader].peer?.pendingProposalCount == 0 {
                world.propose(at: leader)
            }
            world.step()
        }
        #expect(world.failures.isEmpty)
        #expect(world.agreed.count >= 20)
        #expect(Set(world.agreed.map(\.zxid.epoch)).count >= 5)
        #expect(world.agreed.allSatisfy { $0.zxid.counter <= 4 })
    }
}
