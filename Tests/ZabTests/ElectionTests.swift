import Testing
import ZooKeeperModel

@testable import Zab

/// The election, and a voter alone: one input, then the actions.
struct ElectionTests: ZabPhaseTesting {
    // MARK: - Election
    @Test func `a quorum waits a moment for the better vote of a linked voter`() throws {
        var bench = ZabBench(me: 3)
        bench.feed(
            .electionConnected(ServerID(rawValue: 1)),
            .electionConnected(ServerID(rawValue: 2)),
            .start
        )
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

    @Test func `a quorum does not wait for a voter that cannot be heard`() {
        var bench = ZabBench(me: 3)
        bench.feed(.electionConnected(ServerID(rawValue: 1)), .start)
        let vote = bench.vote(3, .zero, epoch: 0)
        bench.feed(.notification(from: ServerID(rawValue: 1), vote))
        #expect(bench.peer.role == .preparing)
    }

    @Test func `the wait ends with the link of the voter that is waited for`() {
        var bench = ZabBench(me: 3)
        bench.feed(
            .electionConnected(ServerID(rawValue: 1)),
            .electionConnected(ServerID(rawValue: 2)),
            .start,
            .notification(from: ServerID(rawValue: 1), bench.vote(3, .zero, epoch: 0))
        )
        #expect(bench.peer.role == .looking)
        bench.feed(.electionDisconnected(ServerID(rawValue: 2)))
        #expect(bench.peer.role == .preparing)
    }

    @Test func `the longer log wins over the higher id`() {
        var bench = ZabBench(me: 3, log: Self.proposals(1, 1...2), epoch: 1)
        bench.feed(
            .electionConnected(ServerID(rawValue: 1)),
            .electionConnected(ServerID(rawValue: 2)),
            .start
        )
        let better = bench.vote(1, Self.zxid(1, 3), epoch: 1)
        let actions = bench.feed(
            .notification(from: ServerID(rawValue: 1), better),
            .notification(from: ServerID(rawValue: 2), better)
        )
        #expect(actions.last == .connectToLeader(ServerID(rawValue: 1)))
    }

    // MARK: - One voter
    @Test func `one voter leads without waiting and commits what its disk confirms`() {
        var bench = ZabBench(voters: 1)
        #expect(
            bench.feed(.start) == [.roleChanged(.preparing), .storeEpoch(.accepted, 1)]
        )
        #expect(bench.feed(.epochStored(.accepted, 1)) == [.storeEpoch(.current, 1)])
        #expect(bench.feed(.epochStored(.current, 1)) == [.roleChanged(.leading(epoch: 1))])
        let made = Self.proposals(1, 1...3)
        #expect(bench.peer.nextZxid == Self.zxid(1, 1))
        #expect(
            bench.feed(.propose(made[0]), .propose(made[1]), .propose(made[2]))
                == made.map(ZabAction.append)
        )
        #expect(bench.peer.lastCommitted == .zero)
        #expect(bench.peer.pendingProposalCount == 3)
        #expect(
            bench.feed(.persisted(upTo: made[1].zxid)) == [.deliver(made[0]), .deliver(made[1])]
        )
        #expect(bench.feed(.persisted(upTo: made[2].zxid)) == [.deliver(made[2])])
    }

    @Test func `a leader begins a new epoch before its counter is exhausted`() {
        var bench = ZabBench(voters: 1)
        bench.peer.lastUsableCounter = 2
        bench.feed(.start, .epochStored(.accepted, 1), .epochStored(.current, 1))
        let made = Self.proposals(1, 1...2)
        bench.feed(.propose(made[0]))
        #expect(
            bench.feed(.propose(made[1])) == [
                .append(made[1]), .roleChanged(.looking), .roleChanged(.preparing),
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
}
