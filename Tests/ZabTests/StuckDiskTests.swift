import Testing
import ZooKeeperModel

@testable import Zab

/// A member whose disk takes nothing more, and what it takes from a leader.
struct StuckDiskTests: ZabPhaseTesting {
    private static let three = ServerID(rawValue: 3)

    /// Others follow server 3, and it says so itself.
    private static func tellOfLeader(_ bench: inout ZabBench, epoch: Int64) -> [ZabAction] {
        var actions: [ZabAction] = []
        for (server, state) in [(2, ElectionNotification.State.following), (3, .leading)] {
            var notification = bench.vote(3, zxid(epoch, 0), round: 1, epoch: epoch)
            notification.state = state
            actions += bench.feed(
                .notification(from: ServerID(rawValue: Int64(server)), notification)
            )
        }
        return actions
    }

    @Test func `a voter without room follows no leader that others have, until it has room`() throws
    {
        var bench = ZabBench(log: Self.proposals(1, 1...2), epoch: 1)
        bench.feed(.diskFull(true), .start)
        for _ in 0..<20 {
            #expect(!Self.tellOfLeader(&bench, epoch: 2).contains(.connectToLeader(Self.three)))
            #expect(bench.peer.role == .looking)
            // It asks on, at most so often as any that look.
            let before = bench.now
            let told = try bench.wake()
            #expect(bench.now - before <= .seconds(2))
            #expect(told.contains { if case .sendNotification = $0 { true } else { false } })
        }
        bench.feed(.diskFull(false))
        #expect(Self.tellOfLeader(&bench, epoch: 2).contains(.connectToLeader(Self.three)))
    }

    @Test func `a voter without room votes, and does not go where its vote has led`() throws {
        var bench = ZabBench(log: Self.proposals(1, 1...2), epoch: 1)
        bench.feed(
            .electionConnected(ServerID(rawValue: 2)),
            .electionConnected(Self.three),
            .diskFull(true),
            .start
        )
        let vote = bench.vote(3, Self.zxid(1, 2), epoch: 1)
        let told = bench.feed(
            .notification(from: Self.three, vote),
            .notification(from: ServerID(rawValue: 2), vote)
        )
        #expect(
            told.contains {
                if case .sendNotification(_, let mine) = $0 {
                    mine.leader == Self.three
                } else {
                    false
                }
            }
        )
        for _ in 0..<10 { #expect(!(try bench.wake()).contains(.connectToLeader(Self.three))) }
        // Nobody has to be heard once more.
        bench.feed(.diskFull(false))
        #expect(try bench.wake().contains(.connectToLeader(Self.three)))
    }

    @Test func `a voter whose disk is silent follows nobody, until it answers`() throws {
        var bench = Self.following()
        let made = Self.proposals(2, 1...1)
        bench.feed(.fromLeader(Self.link, .proposal(made[0])))
        while bench.peer.role != .looking { try bench.wake() }
        #expect(bench.now == Instant(nanoseconds: 0) + .seconds(10))
        #expect(!Self.tellOfLeader(&bench, epoch: 2).contains(.connectToLeader(Self.three)))
        bench.feed(.persisted(upTo: made[0].zxid))
        #expect(Self.tellOfLeader(&bench, epoch: 2).contains(.connectToLeader(Self.three)))
    }

    @Test func `an observer without room leaves before too much waits in its memory`() {
        var bench = Self.learner(me: 4, observers: 1)
        bench.feed(
            .fromLeader(Self.link, .diff(.zero)),
            .fromLeader(Self.link, Self.newLeader(2)),
            .epochStored(.current, 2),
            .fromLeader(Self.link, .upToDate),
            .diskFull(true)
        )
        #expect(bench.peer.role == .observing(leader: Self.three, Self.link))
        let large = [UInt8](repeating: 0, count: 8 << 20)
        for counter in 1...8 as ClosedRange<UInt32> {
            #expect(bench.peer.role == .observing(leader: Self.three, Self.link), "\(counter)")
            bench.feed(
                .fromLeader(
                    Self.link,
                    .inform(Proposal(zxid: Self.zxid(2, counter), bytes: large))
                )
            )
        }
        #expect(bench.peer.role == .looking)
    }

    @Test func `a learner whose disk is only slow is sent all it misses`() {
        var bench = Self.learner()
        bench.feed(.fromLeader(Self.link, .diff(.zero)))
        let large = [UInt8](repeating: 0, count: 8 << 20)
        for counter in 1...9 as ClosedRange<UInt32> {
            let made = Proposal(zxid: Self.zxid(2, counter), bytes: large)
            bench.feed(
                .fromLeader(Self.link, .proposal(made)),
                .fromLeader(Self.link, .commit(made.zxid))
            )
        }
        bench.feed(.fromLeader(Self.link, Self.newLeader(2)))
        #expect(
            bench.feed(.persisted(upTo: Self.zxid(2, 9))) == [.storeEpoch(.current, 2)]
        )
    }
}
