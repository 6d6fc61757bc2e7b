import Foundation
import Testing

/// Real servers on hosts of their own, with what happens to hosts and networks.
@Suite(.serialized, .enabled(if: Network.isPossible))
struct EnsembleFaultTests {
    enum Cut: CaseIterable, Sendable {
        case bothWays
        /// The leader hears nobody, but is heard.
        case leaderIsDeaf
        /// Nobody hears the leader.
        case leaderIsMute
    }

    @Test(arguments: Cut.allCases)
    func `a leader that is cut off stops serving, and the others go on`(_ cut: Cut) throws {
        let ensemble = try EnsembleWorkspace(size: 3)
        defer { ensemble.tearDown() }
        let old = try ensemble.waitForLeader()
        let load = try ensemble.startLoad()
        let others = ensemble.members.map(\.number).filter { $0 != old.number }
        for other in others {
            if cut != .leaderIsMute { try ensemble.network.cut(from: other, to: old.number) }
            if cut != .leaderIsDeaf { try ensemble.network.cut(from: old.number, to: other) }
        }
        eventually("the leader that is cut off stops serving\n\(ensemble.logs)") {
            old.mode != "leader"
        }
        try ensemble.waitForLeader(among: others)
        load.waitForProgress()
        #expect(old.mode != "leader")
        try ensemble.network.heal()
        try ensemble.waitForLeader()
        load.waitForProgress()
        try ensemble.verify(load)
    }

    /// Requests wait in the sockets of a stopped leader, and its successor is at work when it wakes.
    @Test func `a leader that was stopped for long never answers a write as if it still led`()
        throws
    {
        let ensemble = try EnsembleWorkspace(size: 3)
        defer { ensemble.tearDown() }
        let old = try ensemble.waitForLeader()
        let load = try ensemble.startLoad()
        let stale = try #require(RawClient(host: old.address, port: EnsembleWorkspace.clientPort))
        try #require(stale.open(timeout: 60_000)?.isAlive == true)
        old.pause()
        stale.send(RawRequest.create("/load/stale").frame(xid: stale.nextXid()))
        let others = ensemble.members.map(\.number).filter { $0 != old.number }
        try ensemble.waitForLeader(among: others)
        load.waitForProgress()
        old.resume()
        // An answer is good only where the write is.
        var isAcknowledged = false
        if case .frame(let frame) = stale.receive(), let reply = RawReply(frame) {
            isAcknowledged = reply.error == 0
        }
        try ensemble.waitForLeader()
        load.waitForProgress()
        if isAcknowledged {
            for member in ensemble.members {
                let missing = try SteadyLoad.missing(
                    ["/load/stale"],
                    on: member.address,
                    port: EnsembleWorkspace.clientPort
                )
                #expect(missing == [], "a deposed leader answered\n\(ensemble.logs)")
            }
        }
        try ensemble.verify(load)
    }

    @Test func `five servers go on without two, stop without three, and lose nothing`() throws {
        let ensemble = try EnsembleWorkspace(size: 5)
        defer { ensemble.tearDown() }
        let first = try ensemble.waitForLeader()
        let load = try ensemble.startLoad()
        first.kill()
        var left = ensemble.members.map(\.number).filter { $0 != first.number }
        let second = try ensemble.waitForLeader(among: left)
        load.waitForProgress()
        second.kill()
        left.removeAll { $0 == second.number }
        let third = try ensemble.waitForLeader(among: left)
        load.waitForProgress()
        third.kill()
        left.removeAll { $0 == third.number }
        eventually("two of five do not serve\n\(ensemble.logs)") {
            left.allSatisfy { ensemble[$0].mode == "" }
        }
        for member in [first, second, third] { try member.start() }
        try ensemble.waitForLeader()
        load.waitForProgress()
        try ensemble.verify(load)
    }
}
