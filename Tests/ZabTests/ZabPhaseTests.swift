import Testing
import ZooKeeperModel

@testable import Zab

/// Each phase by hand: one input, then the actions.
struct ZabPhaseTests {
    static let link = ConnectionID(rawValue: 1)
    static let other = ConnectionID(rawValue: 2)

    /// One peer, its clock, and short words for what happens to it.
    struct Bench {
        var peer: ZabPeer
        var now = Instant(nanoseconds: 0)

        init(
            me: Int64 = 1,
            voters: Int64 = 3,
            observers: Int64 = 0,
            log: [Proposal] = [],
            epoch: Int64 = 0,
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
                recent: Array(log.suffix(recentCount))
            )
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
    ) -> (bench: Bench, actions: [ZabAction]) {
        var bench = Bench(me: 3, log: log, epoch: epoch, recentCount: recentCount)
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
    ) -> Bench {
        var bench = Bench(me: me, observers: observers, log: log, epoch: epoch)
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

    // MARK: - One voter

    @Test func `one voter leads without waiting and commits what its disk confirms`() {
        var bench = Bench(voters: 1)
        #expect(
            bench.feed(.start) == [.roleChanged(.preparing), .storeEpoch(.accepted, 1)]
        )
        #expect(bench.feed(.epochStored(.accepted, 1)) == [.storeEpoch(.current, 1)])
        #expect(bench.feed(.epochStored(.current, 1)) == [.roleChanged(.leading(epoch: 1))])
        let made = Self.proposals(1, 1...3)
        #expect(bench.peer.nextZxid == Self.zxid(1, 1))
        #expect(
            bench.feed(.propose(made[0]), .propose(made[1]), .propose(made[2]))
                == made.map { .append([$0]) }
        )
        #expect(bench.peer.lastCommitted == .zero)
        #expect(bench.peer.pendingProposalCount == 3)
        #expect(
            bench.feed(.persisted(upTo: made[1].zxid)) == [.deliver(made[0]), .deliver(made[1])]
        )
        #expect(bench.feed(.persisted(upTo: made[2].zxid)) == [.deliver(made[2])])
    }

    @Test func `a leader begins a new epoch before its counter is exhausted`() {
        var bench = Bench(voters: 1)
        bench.peer.lastUsableCounter = 2
        bench.feed(.start, .epochStored(.accepted, 1), .epochStored(.current, 1))
        let made = Self.proposals(1, 1...2)
        bench.feed(.propose(made[0]))
        #expect(
            bench.feed(.propose(made[1])) == [
                .append([made[1]]), .roleChanged(.looking), .roleChanged(.preparing),
                .storeEpoch(.accepted, 2),
            ]
        )
        // The tail is durable before the epoch that names it, and delivered as the new epoch's past.
        #expect(bench.feed(.epochStored(.accepted, 2)) == [])
        #expect(bench.feed(.persisted(upTo: made[1].zxid)) == [.storeEpoch(.current, 2)])
        #expect(
            bench.feed(.epochStored(.current, 2)) == [
                .deliver(made[0]), .deliver(made[1]), .roleChanged(.leading(epoch: 2)),
            ]
        )
        #expect(bench.peer.nextZxid == Self.zxid(2, 1))
    }

    // MARK: - Election

    @Test func `a quorum waits a moment for a better vote, all voters do not`() throws {
        var bench = Bench(me: 3)
        bench.feed(.start)
        let vote = bench.vote(3, .zero, epoch: 0)
        bench.feed(.notification(from: ServerID(rawValue: 1), vote))
        #expect(bench.peer.role == .looking)
        var patient = bench
        bench.feed(.notification(from: ServerID(rawValue: 2), vote))
        #expect(bench.peer.role == .preparing)
        patient.now = try #require(patient.peer.nextDeadline)
        patient.feed(.wake)
        #expect(patient.peer.role == .preparing)
    }

    @Test func `the longer log wins over the higher id`() {
        var bench = Bench(me: 3, log: Self.proposals(1, 1...2), epoch: 1)
        bench.feed(.start)
        let better = bench.vote(1, Self.zxid(1, 3), epoch: 1)
        let actions = bench.feed(
            .notification(from: ServerID(rawValue: 1), better),
            .notification(from: ServerID(rawValue: 2), better)
        )
        #expect(actions.last == .connectToLeader(ServerID(rawValue: 1)))
    }

    // MARK: - What a leader sends

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
                    after: Self.zxid(1, 3),
                    through: Self.zxid(1, 9),
                    maxBytes: Leadership.logReadLimitBytes
                )
        )
        var unreadable = bench
        actions = bench.feed(.logRead(Array(log[3...]), isComplete: true))
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

    // MARK: - The leader's broadcast

    static func broadcasting() -> Bench {
        var (bench, _) = leader(log: [], epoch: 0, learnerLast: .zero, learnerEpoch: 0)
        bench.feed(.epochStored(.current, 1))
        #expect(bench.peer.role == .preparing)
        let actions = bench.feed(.fromLearner(link, .ack(zxid(1, 0))))
        #expect(actions == [.roleChanged(.leading(epoch: 1)), .send(link, .upToDate)])
        return bench
    }

    @Test func `a proposal leaves before the leader's own disk is asked, and needs a quorum`() {
        var bench = Self.broadcasting()
        let made = Self.proposals(1, 1...2)
        #expect(
            bench.feed(.propose(made[0])) == [
                .send(Self.link, .proposal(made[0])), .append([made[0]]),
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
        var bench = Bench(me: 1, voters: 1, observers: 1)
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
        #expect(bench.feed(.propose(made[0])) == [.append([made[0]])])
        #expect(
            bench.feed(.persisted(upTo: made[0].zxid)) == [
                .deliver(made[0]), .send(Self.link, .inform(made[0])),
            ]
        )
    }

    // MARK: - The learner

    @Test func `a promise is durable before it is acknowledged, and a lower epoch is refused`() {
        var bench = Bench(epoch: 4)
        bench.feed(.start)
        let vote = bench.vote(3, .zero, epoch: 4)
        bench.feed(
            .notification(from: ServerID(rawValue: 2), vote),
            .notification(from: ServerID(rawValue: 3), vote),
            .leaderConnected(Self.link)
        )
        var refusing = bench
        #expect(
            bench.feed(.fromLeader(Self.link, .leaderInfo(epoch: 5)))
                == [.storeEpoch(.accepted, 5)]
        )
        #expect(
            bench.feed(.epochStored(.accepted, 5))
                == [.send(Self.link, .ackEpoch(lastZxid: .zero, currentEpoch: 4))]
        )
        let actions = refusing.feed(.fromLeader(Self.link, .leaderInfo(epoch: 3)))
        #expect(
            actions.first == .close(Self.link, reason: "epoch 3 after a promise of 4")
        )
        #expect(refusing.peer.role == .looking)
    }

    @Test func `NEWLEADER is acknowledged only after history and epoch are durable`() {
        var bench = Self.learner()
        let made = Self.proposals(1, 1...2)
        #expect(
            bench.feed(
                .fromLeader(Self.link, .diff(made[1].zxid)),
                .fromLeader(Self.link, .proposal(made[0])),
                .fromLeader(Self.link, .commit(made[0].zxid)),
                .fromLeader(Self.link, .proposal(made[1])),
                .fromLeader(Self.link, .commit(made[1].zxid)),
                .fromLeader(Self.link, Self.newLeader(2))
            ) == made.map { .append([$0]) }
        )
        #expect(bench.feed(.persisted(upTo: made[0].zxid)) == [])
        #expect(bench.feed(.persisted(upTo: made[1].zxid)) == [.storeEpoch(.current, 2)])
        #expect(
            bench.feed(.epochStored(.current, 2)) == [.send(Self.link, .ack(Self.zxid(2, 0)))]
        )
        #expect(
            bench.feed(.fromLeader(Self.link, .upToDate)) == [
                .deliver(made[0]), .deliver(made[1]), .send(Self.link, .ack(Self.zxid(2, 0))),
                .roleChanged(.following(leader: ServerID(rawValue: 3), Self.link)),
            ]
        )
    }

    static func following() -> Bench {
        var bench = learner()
        bench.feed(
            .fromLeader(link, .diff(.zero)),
            .fromLeader(link, newLeader(2)),
            .epochStored(.current, 2),
            .fromLeader(link, .upToDate)
        )
        return bench
    }

    @Test func `a follower acknowledges what is durable and delivers what is committed`() {
        var bench = Self.following()
        let made = Self.proposals(2, 1...2)
        #expect(
            bench.feed(
                .fromLeader(Self.link, .proposal(made[0])),
                .fromLeader(Self.link, .proposal(made[1]))
            ) == made.map { .append([$0]) }
        )
        // The others may have it before this disk does.
        #expect(
            bench.feed(.fromLeader(Self.link, .commit(made[0].zxid))) == [.deliver(made[0])]
        )
        #expect(
            bench.feed(.persisted(upTo: made[1].zxid))
                == made.map { .send(Self.link, .ack($0.zxid)) }
        )
    }

    @Test func `gaps and commits out of order end the connection`() {
        let made = Self.proposals(2, 1...3)
        for messages: [LearnerMessage] in [
            [.proposal(made[0]), .proposal(made[2])],
            [.proposal(made[1])],
            [.proposal(made[0]), .proposal(made[1]), .commit(made[1].zxid)],
            [.commit(made[0].zxid)],
            [.ack(made[0].zxid)],
        ] {
            var bench = Self.following()
            for message in messages { bench.feed(.fromLeader(Self.link, message)) }
            #expect(bench.peer.role == .looking)
        }
    }

    @Test func `a follower looks again when its leader is silent`() throws {
        var bench = Self.following()
        bench.now = try #require(bench.peer.nextDeadline)
        #expect(bench.now == Instant(nanoseconds: 0) + .seconds(10))
        bench.feed(.wake)
        #expect(bench.peer.role == .looking)
    }

    @Test func `messages wait while the log is truncated`() {
        var bench = Self.learner(log: Self.proposals(1, 1...5))
        let made = Self.proposals(2, 1...1)
        #expect(
            bench.feed(
                .fromLeader(Self.link, .truncate(Self.zxid(1, 3))),
                .fromLeader(Self.link, .proposal(made[0])),
                .fromLeader(Self.link, .commit(made[0].zxid)),
                .fromLeader(Self.link, Self.newLeader(2))
            ) == [.truncate(to: Self.zxid(1, 3))]
        )
        #expect(
            bench.feed(
                .truncated(lastZxid: Self.zxid(1, 3), recent: Self.proposals(1, 1...3))
            )
                == [.append(made)]
        )
        #expect(bench.feed(.persisted(upTo: made[0].zxid)) == [.storeEpoch(.current, 2)])
    }

    @Test func `a learner whose disk cannot be cut asks the same leader for everything`() {
        var bench = Self.learner(log: Self.proposals(1, 1...5))
        bench.feed(.fromLeader(Self.link, .truncate(Self.zxid(1, 3))))
        let actions = bench.feed(.truncationRefused)
        #expect(actions.contains { if case .close(Self.link, _) = $0 { true } else { false } })
        #expect(bench.peer.role == .preparing && bench.peer.lastLogged == Self.zxid(1, 5))
        bench.now = bench.now + .milliseconds(100)
        let leader = bench.feed(.wake)
        guard case .connectToLeader? = leader.first else {
            Issue.record("no second attempt, but \(leader)")
            return
        }
        bench.feed(.leaderConnected(Self.other))
        // The epoch is promised already: this answer counts for nothing, and may say "nothing".
        #expect(
            bench.feed(.fromLeader(Self.other, .leaderInfo(epoch: 2)))
                == [.send(Self.other, .ackEpoch(lastZxid: .zero, currentEpoch: nil))]
        )
    }

    @Test func `a promise to a new epoch tells the truth about an uncuttable log`() {
        var bench = Self.learner(log: Self.proposals(1, 1...5))
        bench.feed(.fromLeader(Self.link, .truncate(Self.zxid(1, 3))), .truncationRefused)
        bench.now = bench.now + .milliseconds(100)
        bench.feed(.wake, .leaderConnected(Self.other))
        bench.feed(.fromLeader(Self.other, .leaderInfo(epoch: 3)))
        #expect(
            bench.feed(.epochStored(.accepted, 3))
                == [.send(Self.other, .ackEpoch(lastZxid: Self.zxid(1, 5), currentEpoch: 1))]
        )
    }

    @Test func `a refused snapshot leaves the database, and its leader is looked for again`() {
        var bench = Self.learner(log: Self.proposals(1, 1...5))
        bench.feed(
            .fromLeader(Self.link, .snapshot(Self.zxid(1, 9))),
            .fromLeader(Self.link, .snapshotEnd)
        )
        bench.feed(.installRefused)
        #expect(bench.peer.role == .looking && bench.peer.lastLogged == Self.zxid(1, 5))
    }

    @Test func `an election waits for a truncation under way`() {
        var bench = Self.learner(log: Self.proposals(1, 1...5))
        bench.feed(.fromLeader(Self.link, .truncate(Self.zxid(1, 3))))
        #expect(bench.feed(.leaderDisconnected(Self.link)) == [.roleChanged(.looking)])
        let actions = bench.feed(
            .truncated(lastZxid: Self.zxid(1, 3), recent: Self.proposals(1, 1...3))
        )
        guard case .sendNotification(_, let notification)? = actions.first else {
            Issue.record("no election after \(actions)")
            return
        }
        #expect(notification.zxid == Self.zxid(1, 3))
    }

    @Test func `a snapshot replaces everything, unless the leader leaves before its end`() {
        var bench = Self.learner(log: Self.proposals(1, 1...2))
        let begun = bench.feed(
            .fromLeader(Self.link, .snapshot(Self.zxid(1, 9))),
            .fromLeader(Self.link, .snapshotSlice([7]))
        )
        #expect(begun == [.beginInstall(Self.zxid(1, 9)), .installSlice([7])])
        var left = bench
        #expect(bench.feed(.fromLeader(Self.link, .snapshotEnd)) == [.finishInstall])
        bench.feed(.snapshotInstalled(Self.zxid(1, 9)))
        #expect(bench.peer.lastCommitted == Self.zxid(1, 9))
        #expect(left.feed(.leaderDisconnected(Self.link)).first == .abandonInstall)
        #expect(left.peer.lastCommitted == Self.zxid(1, 2))
    }

    @Test func `an observer logs and delivers what it is informed of, and acknowledges none`() {
        var bench = Self.learner(me: 4, observers: 1)
        bench.feed(
            .fromLeader(Self.link, .diff(.zero)),
            .fromLeader(Self.link, Self.newLeader(2)),
            .epochStored(.current, 2)
        )
        let actions = bench.feed(.fromLeader(Self.link, .upToDate))
        #expect(
            actions.last == .roleChanged(.observing(leader: ServerID(rawValue: 3), Self.link))
        )
        let made = Self.proposals(2, 1...1)
        #expect(
            bench.feed(
                .fromLeader(Self.link, .inform(made[0])),
                .persisted(upTo: made[0].zxid)
            ) == [
                .append([made[0]]), .deliver(made[0]),
            ]
        )
    }
}
