import Testing
import ZooKeeperModel

@testable import Zab

/// The learner's side: one input, then the actions.
struct LearningTests: ZabPhaseTesting {
    @Test func `a promise is durable before it is acknowledged, and a lower epoch is refused`() {
        var bench = ZabBench(epoch: 4)
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
            ) == made.map(ZabAction.append)
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

    @Test func `a follower acknowledges what is durable and delivers what is committed`() {
        var bench = Self.following()
        let made = Self.proposals(2, 1...2)
        #expect(
            bench.feed(
                .fromLeader(Self.link, .proposal(made[0])),
                .fromLeader(Self.link, .proposal(made[1]))
            ) == made.map(ZabAction.append)
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
                == made.map(ZabAction.append)
        )
        #expect(bench.feed(.persisted(upTo: made[0].zxid)) == [.storeEpoch(.current, 2)])
    }

    @Test(arguments: [Self.zxid(1, 5), Self.zxid(1, 6), Self.zxid(2, 0), Zxid(rawValue: -1)])
    func `a cut that would cut nothing ends the attempt`(_ place: Zxid) {
        var bench = Self.learner(log: Self.proposals(1, 1...5))
        let actions = bench.feed(.fromLeader(Self.link, .truncate(place)))
        #expect(!actions.contains { if case .truncate = $0 { true } else { false } })
        #expect(bench.peer.role == .looking && bench.peer.lastLogged == Self.zxid(1, 5))
    }

    @Test func `a log that ends below the cut ends the attempt`() {
        var bench = Self.learner(log: Self.proposals(1, 1...5))
        bench.feed(.fromLeader(Self.link, .truncate(Self.zxid(1, 3))))
        bench.feed(.truncated(lastZxid: Self.zxid(1, 2), recent: Self.proposals(1, 1...2)))
        #expect(bench.peer.role == .looking && bench.peer.lastLogged == Self.zxid(1, 2))
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
                .append(made[0]), .deliver(made[0]),
            ]
        )
    }
}
