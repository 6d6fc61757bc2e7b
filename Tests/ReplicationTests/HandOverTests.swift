import Replication
import Testing
import ZooKeeperModel

/// A leader that makes way, seen by its clients.
@Suite struct HandOverTests {
    private func roles(_ ensemble: Ensemble) throws -> (leader: ServerID, [ServerID]) {
        let leader = try #require(ensemble.leader)
        return (leader, ensemble.ids.filter { $0 != leader })
    }

    private func settled(_ ensemble: Ensemble) -> Bool {
        ensemble.ids.allSatisfy { ensemble.status($0)?.isServing == true }
    }

    @Test func `on command another server leads, without a wait, and sessions go on`() throws {
        let ensemble = try Ensemble.ofThree()
        let (leader, others) = try roles(ensemble)
        let client = try ensemble.connect(leader)
        let writer = try ensemble.connect(others[0])
        _ = try client.create("/e", [1], mode: .ephemeral)
        let before = ensemble.now.instant
        ensemble.command(leader, .handOver)
        ensemble.settle()
        #expect(ensemble.now.instant == before, "nobody had to wait for a clock")
        #expect(settled(ensemble) && ensemble.leader != leader && ensemble.leader != nil)
        #expect(client.isClosed && writer.isClosed)
        let back = try ensemble.connect(
            leader,
            session: client.response.session,
            password: client.response.password
        )
        #expect(back.response.session == client.response.session)
        #expect(try back.code(.setData("/e", data: [2], version: 0)) == .ok)
        for id in ensemble.ids { #expect(ensemble.node(id).halted == nil) }
    }

    @Test func `requests that come meanwhile are held, and proposed if it comes to nothing`() throws
    {
        let ensemble = try Ensemble.ofThree()
        let (leader, others) = try roles(ensemble)
        let client = try ensemble.connect(leader)
        let remote = try ensemble.connect(others[0])
        // Nobody can have everything.
        for other in others { ensemble.node(other).isDiskHeld = true }
        client.send(.create(CreateRequest(path: "/before", data: nil)))
        ensemble.settle()
        ensemble.command(leader, .handOver)
        ensemble.settle()
        client.send(.create(CreateRequest(path: "/held", data: nil)))
        remote.send(.create(CreateRequest(path: "/held/too", data: nil)))
        let late = ensemble.open(leader)
        ensemble.send(
            late,
            .connectRequest(
                late,
                ConnectRequest(
                    lastZxidSeen: .zero,
                    timeout: 10_000,
                    session: .none,
                    password: nil
                )
            )
        )
        ensemble.settle()
        #expect(ensemble.node(leader).disk.log.count == ensemble.node(others[0]).disk.log.count + 1)
        ensemble.advance(.seconds(3))
        #expect(ensemble.leader == leader && !client.isClosed)
        for other in others { ensemble.node(other).isDiskHeld = false }
        ensemble.settle()
        #expect(client.codes == [.ok, .ok] && remote.codes == [.ok])
        guard case .connected? = ensemble.sent[late]?.first else {
            Issue.record("no session was made of the held request")
            return
        }
    }

    @Test func `a follower has nothing to hand over`() throws {
        let ensemble = try Ensemble.ofThree()
        let (leader, others) = try roles(ensemble)
        ensemble.command(others[0], .handOver)
        ensemble.advance(.seconds(3))
        #expect(ensemble.leader == leader)
    }

    @Test func `a leader whose disk is full makes way for servers with room`() throws {
        let ensemble = try Ensemble.ofThree()
        let (leader, others) = try roles(ensemble)
        ensemble.command(leader, .diskFull(true))
        ensemble.settle()
        let next = try #require(ensemble.leader)
        #expect(next != leader && others.allSatisfy { ensemble.status($0)?.isServing == true })
        #expect(ensemble.status(leader)?.isServing == false, "it could not log")
        ensemble.command(leader, .diskFull(false))
        try #require(ensemble.run { settled(ensemble) })
        // And again another one takes it from there.
        ensemble.command(next, .diskFull(true))
        let rest = ensemble.ids.filter { $0 != next }
        try #require(
            ensemble.run {
                ensemble.leader.map { rest.contains($0) } == true
                    && rest.allSatisfy { ensemble.status($0)?.isServing == true }
            }
        )
    }

    @Test func `a leader whose disk hangs makes way, and what it told is kept`() throws {
        let ensemble = try Ensemble.ofThree()
        let (leader, others) = try roles(ensemble)
        let client = try ensemble.connect(others[0], timeout: 40_000)
        ensemble.node(leader).isDiskHeld = true
        _ = try client.create("/a", [1])
        ensemble.advance(.seconds(14))
        let next = try #require(ensemble.leader)
        #expect(next != leader && client.isClosed)
        let back = try ensemble.connect(
            next,
            session: client.response.session,
            password: client.response.password
        )
        #expect(try back.call(.getData("/a", watch: false)).data == [1])
        _ = try back.create("/b", [])
        ensemble.node(leader).isDiskHeld = false
        try #require(ensemble.run { settled(ensemble) })
        #expect(Set(ensemble.ids.compactMap { ensemble.node($0).replica?.treeDigest }).count == 1)
    }
}
