import Replication
import Testing
import Zab
import ZooKeeperModel

/// A server that has lost the others, and clients that take what it has.
@Suite struct ReadOnlyTests {
    private let readOnly = ConnectRequest(
        lastZxidSeen: .zero,
        timeout: 10_000,
        session: .none,
        password: nil,
        readOnly: true
    )

    /// Three servers with some data, of which the last but one is cut off and looks for a leader.
    private func lonely(
        configure: @escaping (inout ReplicaConfiguration) -> Void = { _ in }
    ) throws -> (Ensemble, ServerID) {
        let ensemble = try Ensemble.ofThree {
            $0.readOnlyMode = true
            configure(&$0)
        }
        let (leader, others) = try ensemble.roles()
        let writer = try ensemble.connect(leader)
        _ = try writer.create("/a", [7])
        try #require(
            ensemble.run {
                ensemble.status(others[0])?.lastZxid == ensemble.status(leader)?.lastZxid
            }
        )
        ensemble.cut(others[0])
        ensemble.settle()
        return (ensemble, others[0])
    }
    private func alone(
        configure: @escaping (inout ReplicaConfiguration) -> Void = { _ in }
    ) throws -> (Ensemble, ServerID) {
        let (ensemble, server) = try lonely(configure: configure)
        ensemble.advance(.seconds(2))
        try #require(ensemble.status(server)?.mode == .readOnly)
        return (ensemble, server)
    }

    @Test func `read-only clients are served after two seconds without a leader, others never`()
        throws
    {
        let (ensemble, server) = try lonely()
        ensemble.advance(.milliseconds(1900))
        #expect(ensemble.status(server)?.mode == .looking)
        #expect(ensemble.answer(of: server, to: readOnly) == [.closed])
        ensemble.advance(.milliseconds(100))
        #expect(ensemble.status(server)?.mode == .readOnly)
        var plain = readOnly
        plain.readOnly = false
        #expect(ensemble.answer(of: server, to: plain) == [.closed])
        plain.hasReadOnlyFlag = false
        #expect(ensemble.answer(of: server, to: plain) == [.closed])
        var ahead = readOnly
        ahead.lastZxidSeen = Zxid(rawValue: .max)
        #expect(ensemble.answer(of: server, to: ahead) == [.closed])
        let client = try ensemble.connect(server, readOnly: true)
        #expect(client.response.readOnly && client.response.timeout == 10_000)
        let (leader, _) = try ensemble.roles()
        #expect(try !ensemble.connect(leader, readOnly: true).response.readOnly)
    }

    @Test func `a slow tick makes it wait as long`() throws {
        let (ensemble, server) = try lonely { $0.ensemble.tickTime = .seconds(5) }
        ensemble.advance(.milliseconds(4900))
        #expect(ensemble.status(server)?.mode == .looking)
        ensemble.advance(.milliseconds(100))
        #expect(ensemble.status(server)?.mode == .readOnly)
    }

    @Test func `without being allowed to a server alone serves nobody`() throws {
        let (ensemble, server) = try lonely { $0.readOnlyMode = false }
        ensemble.advance(.seconds(60))
        #expect(ensemble.status(server)?.mode == .looking)
        #expect(ensemble.answer(of: server, to: readOnly) == [.closed])
    }

    @Test(arguments: [false, true])
    func `reads are answered, what needs a leader is refused`(localSessions: Bool) throws {
        let (ensemble, server) = try alone { $0.localSessions = localSessions }
        let client = try ensemble.connect(server, readOnly: true)
        let last = try ensemble.lastZxid(server)
        #expect(try client.call(.getData("/a", watch: true)).data == [7])
        #expect(try client.code(.exists("/b", watch: true)) == .noNode)
        #expect(try client.code(.getChildren("/", watch: true)) == .ok)
        #expect(try client.code(.addWatch("/a", mode: 1)) == .ok)
        #expect(try client.code(.auth(scheme: "digest", credential: Array("u:p".utf8))) == .ok)
        let refused: [Operation] = [
            .create(CreateRequest(path: "/b", data: nil)),
            .create(CreateRequest(path: "/b", data: nil, mode: .ephemeral)),
            .setData("/a", data: nil, version: -1), .delete("/a", version: -1),
            .setACL("/a", acl: .open, version: -1), .sync("/a"), .check("/a", version: -1),
            .multi([.check("/a", version: -1)]),
            .malformed(code: OperationCode.create.rawValue),
            .unsupported(code: OperationCode.reconfig.rawValue),
        ]
        for operation in refused {
            let reply = try client.call(operation)
            #expect(reply.failure == .notReadOnly, "\(operation)")
            #expect(reply.zxid == last)
        }
        #expect(try client.code(.ping) == .ok)
        #expect(try client.code(.closeSession) == .ok)
        #expect(client.isClosed)
        #expect(ensemble.status(server)?.localSessionCount == 0)
    }

    @Test func `ZOOKEEPER-3526: a read-only server writes nothing, and joins by what it missed`()
        throws
    {
        let (ensemble, server) = try alone()
        let entries = ensemble.node(server).disk.log.count
        let digest = ensemble.node(server).replica?.treeDigest
        let last = try ensemble.lastZxid(server)
        for _ in 0..<3 {
            let client = try ensemble.connect(server, timeout: 4000, readOnly: true)
            client.send(.create(CreateRequest(path: "/b", data: nil, mode: .ephemeral)))
            client.send(.closeSession)
            ensemble.settle()
            _ = try ensemble.connect(server, timeout: 4000, readOnly: true)
            ensemble.advance(.seconds(7))
        }
        #expect(ensemble.status(server)?.localSessionCount == 0)
        #expect(ensemble.node(server).disk.log.count == entries)
        #expect(ensemble.node(server).replica?.treeDigest == digest)
        #expect(try ensemble.lastZxid(server) == last)
        let (leader, _) = try ensemble.roles()
        let writer = try ensemble.connect(leader)
        _ = try writer.create("/meanwhile")
        ensemble.heal(server)
        try #require(
            ensemble.run { ensemble.status(server)?.lastZxid == ensemble.status(leader)?.lastZxid }
        )
        #expect(ensemble.node(server).disk.snapshotsStored == 0)
        ensemble.expectSameTrees()
    }

    @Test
    func `read-only clients are closed when a leader is in sight, and find a server that writes`()
        throws
    {
        let (ensemble, server) = try alone()
        let client = try ensemble.connect(server, readOnly: true)
        ensemble.heal(server)
        try #require(ensemble.run { client.isClosed })
        #expect(ensemble.status(server)?.mode != .readOnly)
        try #require(ensemble.run { ensemble.status(server)?.mode == .follower })
        #expect(
            try ensemble.reconnect(client, to: server, readOnly: true).response.timeout == 0,
            "its session was that server's alone"
        )
        let again = try ensemble.connect(server, readOnly: true)
        #expect(!again.response.readOnly)
        #expect(try again.code(.create(CreateRequest(path: "/b", data: nil))) == .ok)
    }

    @Test func `a read-only server does not speak for sessions of the ensemble`() throws {
        let ensemble = try Ensemble.ofThree { $0.readOnlyMode = true }
        let (_, others) = try ensemble.roles()
        let client = try ensemble.connect(others[0], timeout: 40_000)
        _ = try client.create("/e", mode: .ephemeral)
        ensemble.cut(others[0])
        ensemble.advance(.seconds(3))
        try #require(ensemble.status(others[0])?.mode == .readOnly)
        for password in [client.response.password, [UInt8](repeating: 1, count: 16)] {
            var request = readOnly
            request.session = client.response.session
            request.password = password
            #expect(ensemble.answer(of: others[0], to: request) == [.closed])
        }
        let moved = try ensemble.reconnect(client, to: others[1])
        #expect(moved.response.session == client.response.session)
        #expect(try moved.code(.exists("/e", watch: false)) == .ok)
    }

    @Test func `a read-only session comes back to its server, and ends with its client's silence`()
        throws
    {
        let (ensemble, server) = try alone()
        let client = try ensemble.connect(server, readOnly: true)
        let back = try ensemble.reconnect(client, to: server, readOnly: true)
        #expect(back.response.session == client.response.session && back.response.readOnly)
        #expect(client.isClosed)
        ensemble.advance(.seconds(13))
        #expect(back.isClosed)
        var request = readOnly
        request.session = client.response.session
        request.password = client.response.password
        #expect(ensemble.answer(of: server, to: request) == [.closed])
    }

    @Test func `a leader that loses its quorum serves read-only too, from what it had agreed on`()
        throws
    {
        let ensemble = try Ensemble.ofThree { $0.readOnlyMode = true }
        let (leader, others) = try ensemble.roles()
        let writer = try ensemble.connect(leader)
        _ = try writer.create("/agreed")
        for other in others { ensemble.cut(other) }
        writer.send(.create(CreateRequest(path: "/alone", data: nil)))
        try #require(ensemble.run { ensemble.status(leader)?.mode == .readOnly })
        let client = try ensemble.connect(leader, readOnly: true)
        #expect(try client.code(.exists("/agreed", watch: false)) == .ok)
        #expect(try client.code(.exists("/alone", watch: false)) == .noNode)
    }
}
