import Replication
import Testing
import ZooKeeperModel
import ZooKeeperWire

/// Requests between a learner and its leader, one of which may be of another make.
@Suite struct ForwardingTests {
    private func requests(_ ensemble: Ensemble) -> [ForwardedRequest] {
        ensemble.forwarded.compactMap {
            if case .request(let request) = $0.message { request } else { nil }
        }
    }
    private func packet(_ request: ForwardedRequest) -> [UInt8] {
        var writer = JuteWriter()
        LearnerCodec.encode(.request(request), from: .learner, into: &writer)
        return writer.bytes
    }
    private func body(_ write: (inout JuteWriter) -> Void) -> [UInt8] {
        var writer = JuteWriter()
        write(&writer)
        return writer.bytes
    }
    /// The newest transaction on every server, which must be the same one.
    private func newest(_ ensemble: Ensemble) throws -> Transaction {
        let entries = try ensemble.ids.map { try #require(ensemble.node($0).disk.log.last) }
        #expect(Set(entries).count == 1)
        return try TransactionCodec.decode(entries[0].bytes)
    }

    @Test func `every request that a client asks for carries who it is, and only those do`() throws
    {
        let ensemble = try Ensemble.ofThree()
        let (_, others) = try ensemble.roles()
        let client = try ensemble.connect(others[0], address: "10.0.0.7")
        #expect(try client.code(.auth(scheme: "digest", credential: Array("u:p".utf8))) == .ok)
        _ = try client.create("/a")
        #expect(try client.code(.sync("/a")) == .ok)
        #expect(try client.code(.closeSession) == .ok)
        let sent = requests(ensemble)
        #expect(
            sent.map(\.operationCode) == [-10, 1, 9, -11],
            "createSession, create, sync, closeSession"
        )
        let identities = [
            Identity(scheme: "ip", id: "10.0.0.7"),
            Identity(scheme: "digest", id: "u:Jq7wMyA/w2Vd5WIDAKdu4OIIFEQ="),
        ]
        for request in sent.dropFirst() { #expect(request.identities == identities) }
        // Apache's own servers send no list with a new session; any other must have one.
        #expect(sent[0].identities == [] && packet(sent[0]).suffix(4) == [255, 255, 255, 255])
        #expect(sent[3].body == [], "closeSession has no record")
        var anonymous = sent[1]
        anonymous.identities = []
        #expect(packet(anonymous).suffix(4) == [0, 0, 0, 0], "an empty list is one")
    }

    @Test func `a leader takes requests without identities as those of nobody`() throws {
        let ensemble = try Ensemble.ofThree()
        let (leader, others) = try ensemble.roles()
        let owner = try ensemble.connect(others[0])
        #expect(try owner.code(.auth(scheme: "digest", credential: Array("u:p".utf8))) == .ok)
        _ = try owner.create("/mine", acl: .creator)
        func ask(_ operation: Operation) throws -> TransactionBody {
            let (code, body) = RequestCodec.encodeBody(operation)
            ensemble.forward(
                ForwardedRequest(
                    session: owner.response.session,
                    cxid: 77,
                    operationCode: code,
                    body: body,
                    identities: []
                ),
                from: others[0]
            )
            ensemble.settle()
            let transaction = try newest(ensemble)
            #expect(transaction.session == owner.response.session && transaction.cxid == 77)
            return transaction.body
        }
        #expect(
            try ask(.setData("/mine", data: nil, version: -1)) == .error(.noAuth)
        )
        #expect(
            try ask(.create(CreateRequest(path: "/b", data: nil, acl: .creator)))
                == .error(.invalidACL)
        )
        guard case .create = try ask(.create(CreateRequest(path: "/c", data: nil))) else {
            Issue.record("an open znode needs nobody")
            return
        }
        #expect(ensemble.leader == leader)
        ensemble.expectSameTrees()
    }

    @Test func `what would poison a log becomes an error, whoever forwards it`() throws {
        let ensemble = try Ensemble.ofThree()
        let (leader, others) = try ensemble.roles()
        let client = try ensemble.connect(others[0])
        _ = try client.create("/a")
        let create = body {
            $0.path("/t")
            $0.buffer([])
            $0.acl(.open)
            $0.int32(0)
            $0.int64(-1)
        }
        let version = body {
            $0.path("/a")
            $0.int32(-1)
        }
        let rows: [(code: Int32, body: [UInt8], error: ErrorCode)] = [
            (13, version, .unimplemented),  // check
            (21, create, .unimplemented),  // createTTL of an ordinary znode
            (19, create, .unimplemented),  // createContainer of an ordinary znode
            (20, body { $0.path("/a") }, .unimplemented),  // deleteContainer
            (16, [], .unimplemented),  // reconfig
            (4, version, .unimplemented),  // getData
            (99, [1, 2, 3], .unimplemented),
            (1, [1, 2, 3], .marshallingError),
            (14, [255], .marshallingError),
            (-10, [], .marshallingError),  // createSession
        ]
        for (index, row) in rows.enumerated() {
            let before = try ensemble.lastZxid(leader)
            ensemble.forward(
                ForwardedRequest(
                    session: client.response.session,
                    cxid: Int32(100 + index),
                    operationCode: row.code,
                    body: row.body,
                    identities: [Identity(scheme: "ip", id: "127.0.0.1")]
                ),
                from: others[0]
            )
            ensemble.settle()
            let transaction = try newest(ensemble)
            // Its sender waits for it, under its number.
            #expect(transaction.zxid == before.next && transaction.cxid == Int32(100 + index))
            #expect(transaction.body == .error(row.error), "operation \(row.code)")
        }
        #expect(try client.code(.exists("/a", watch: false)) == .ok)
        ensemble.expectSameTrees()
    }

    @Test
    func `create2 inside a multi is logged as create, and answered with its Stat all the same`()
        throws
    {
        let ensemble = try Ensemble.ofThree()
        let (leader, others) = try ensemble.roles()
        for server in [leader, others[0]] {
            let client = try ensemble.connect(server)
            let path = ZnodePath("/of\(server)")
            let reply = try client.call(
                .multi([.create(CreateRequest(kind: .create2, path: path, data: [1]))])
            )
            guard case .success(.multi(let results)) = reply.result,
                case .success(.createdWithStat(path, let stat))? = results.first
            else {
                Issue.record("no Stat: \(reply)")
                return
            }
            #expect(stat.dataLength == 1 && stat.czxid == reply.zxid)
            ensemble.settle()
            guard case .multi(let parts) = try newest(ensemble).body,
                case .create(let part)? = parts.first
            else {
                Issue.record("no multi was logged")
                return
            }
            #expect(part.kind == .create, "servers before 3.8.2 would not apply the other")
        }
        ensemble.expectSameTrees()
    }
}
