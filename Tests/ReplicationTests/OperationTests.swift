import Replication
import Testing
import ZooKeeperModel

@Suite struct OperationTests {
    struct Row: CustomTestStringConvertible {
        var operation: Operation
        var code: ErrorCode
        var testDescription: String { "\(operation) → \(code)" }
        init(_ operation: Operation, _ code: ErrorCode) {
            self.operation = operation
            self.code = code
        }
    }
    private static let secret = [
        ACL(permissions: .all, identity: Identity(scheme: "digest", id: "x:y"))
    ]
    private static func create(
        _ path: ZnodePath,
        acl: [ACL] = .open,
        flags: Int32 = 0,
        kind: CreateKind = .create
    ) -> Operation {
        .create(CreateRequest(kind: kind, path: path, data: nil, acl: acl, flags: flags))
    }

    /// In each row everything that is checked later would fail too, where that can be.
    static let rows: [Row] = [
        Row(create("nothing", flags: 7), .badArguments),
        Row(create("/t", flags: 5), .unimplemented),
        Row(create("/t", kind: .timeToLive(-1)), .unimplemented),
        Row(create("/t", flags: 5, kind: .timeToLive(1000)), .unimplemented),
        Row(create("/c", flags: 4), .unimplemented),
        Row(create("/c", flags: 4, kind: .container), .unimplemented),
        Row(create("nothing", acl: []), .badArguments),
        Row(create("", acl: []), .badArguments),
        Row(create("/a/\0", acl: []), .badArguments),
        Row(create("/none/x", acl: []), .invalidACL),
        Row(create("/none//x"), .noNode),
        Row(create("/a//b"), .noNode),
        Row(create("/a/./b"), .noNode),
        Row(create("/locked/."), .noAuth),
        Row(create("/a/."), .badArguments),
        Row(create("/a/"), .badArguments),
        Row(create("/a"), .nodeExists),
        Row(create("/"), .nodeExists),
        Row(create("/e/x"), .noChildrenForEphemerals),
        Row(.delete("a", version: 9), .badArguments),
        Row(.delete("", version: 9), .badArguments),
        Row(.delete("/", version: 9), .badArguments),
        Row(.delete("/zookeeper/config", version: 9), .badArguments),
        Row(.delete("/none/x", version: 9), .noNode),
        Row(.delete("/locked/none", version: 9), .noAuth),
        Row(.delete("/none", version: 9), .noNode),
        Row(.delete("/a", version: 9), .badVersion),
        Row(.delete("/a", version: -5), .badVersion),
        Row(.delete("/a", version: 0), .notEmpty),
        Row(.setData("/none/", data: nil, version: 9), .badArguments),
        Row(.setData("", data: nil, version: 9), .badArguments),
        Row(.setData("/none", data: nil, version: 9), .noNode),
        Row(.setData("/locked", data: nil, version: 9), .noAuth),
        Row(.setData("/a", data: nil, version: 9), .badVersion),
        Row(.setACL("/none/", acl: [], version: 9), .badArguments),
        Row(.setACL("/none", acl: [], version: 9), .invalidACL),
        Row(.setACL("/none", acl: .creator, version: 9), .invalidACL),
        Row(.setACL("/none", acl: .open, version: 9), .noNode),
        Row(.setACL("/locked", acl: .open, version: 9), .noAuth),
        Row(.setACL("/a", acl: .open, version: 9), .badVersion),
        Row(.malformed(code: OperationCode.create.rawValue), .marshallingError),
        Row(.malformed(code: OperationCode.getData.rawValue), .marshallingError),
        Row(.getData("/none", watch: false), .noNode),
        Row(.getData("/locked", watch: false), .noAuth),
        Row(.getData("", watch: false), .ok),
        Row(.exists("/locked", watch: false), .ok),
        Row(.exists("/no\0ne", watch: false), .badArguments),
        Row(.getChildren("/locked", watch: false), .noAuth),
        Row(.getChildren2("/none", watch: false), .noNode),
        Row(.getACL("/locked"), .noAuth),
        Row(.addWatch("/a", mode: 2), .marshallingError),
        Row(.checkWatches("/a", type: 9), .marshallingError),
        Row(.checkWatches("/a", type: 3), .noWatcher),
        Row(.removeWatches("/a", type: 1), .noWatcher),
    ]

    @Test(arguments: rows)
    func `checks come in the order that Apache's server keeps`(row: Row) throws {
        let ensemble = try Ensemble.standalone()
        let client = try ensemble.connect(one)
        _ = try client.create("/a")
        _ = try client.create("/a/child")
        _ = try client.create("/e", mode: .ephemeral)
        _ = try client.create("/locked", acl: Self.secret)
        let before = try #require(ensemble.status(one)?.lastZxid)
        let reply = try client.call(row.operation)
        #expect((reply.failure ?? .ok) == row.code)
        let after = try #require(ensemble.status(one)?.lastZxid)
        #expect(
            after == (row.operation.isWrite ? before.next : before),
            "a refused write takes a zxid, a read does not"
        )
        #expect(reply.zxid == after)
    }

    @Test func `a check outside of a multi and unknown operations close the connection`() throws {
        let ensemble = try Ensemble.standalone()
        for operation: Operation in [
            .check("/", version: -1), .unsupported(code: 20), .unsupported(code: -10),
        ] {
            let client = try ensemble.connect(one)
            let before = ensemble.status(one)?.lastZxid
            let reply = try client.call(operation)
            #expect(reply.failure == .unimplemented)
            #expect(reply.zxid == .none)
            #expect(ensemble.status(one)?.lastZxid == before, "nothing is proposed")
            ensemble.settle()
            #expect(client.isClosed)
        }
    }

    @Test func `stats tell of creation, versions and children`() throws {
        let ensemble = try Ensemble.standalone()
        let client = try ensemble.connect(one)
        let created = try client.call(
            .create(CreateRequest(kind: .create2, path: "/n", data: [1, 2], mode: .persistent))
        )
        let stat = try #require(created.stat)
        #expect(stat.czxid == created.zxid && stat.mzxid == created.zxid)
        #expect(stat.dataLength == 2 && stat.version == 0)
        let set = try #require(try client.call(.setData("/n", data: [3], version: 0)).stat)
        #expect(set.version == 1 && set.mzxid == created.zxid.next)
        let acl = try #require(try client.call(.setACL("/n", acl: .open, version: 0)).stat)
        #expect(acl.aversion == 1 && acl.mzxid == set.mzxid)
        _ = try client.create("/n/c")
        let read = try client.call(.getData("/n", watch: false))
        #expect(read.data == [3])
        #expect(read.stat?.numChildren == 1 && read.stat?.cversion == 1)
        #expect(try client.code(.delete("/n/c", version: 0)) == .ok)
        #expect(try client.call(.exists("/n", watch: false)).stat?.cversion == 2)
    }

    @Test func `sequence numbers count all creations, those under way too`() throws {
        let ensemble = try Ensemble.standalone()
        let client = try ensemble.connect(one)
        _ = try client.create("/q")
        _ = try client.create("/q/plain")
        ensemble.node(one).isDiskHeld = true
        for _ in 0..<3 {
            client.send(
                .create(
                    CreateRequest(
                        kind: .create,
                        path: "/q/s",
                        data: nil,
                        mode: .persistentSequential
                    )
                )
            )
        }
        ensemble.settle()
        ensemble.node(one).isDiskHeld = false
        ensemble.settle()
        let paths = ensemble.replies(client.connection).suffix(3).map(\.result)
        #expect(
            paths == [
                .success(.created("/q/s0000000001")), .success(.created("/q/s0000000002")),
                .success(.created("/q/s0000000003")),
            ]
        )
    }

    @Test func `a pending create and a pending delete count for what follows`() throws {
        let ensemble = try Ensemble.standalone()
        let client = try ensemble.connect(one)
        ensemble.node(one).isDiskHeld = true
        client.send(.create(CreateRequest(path: "/p", data: nil)))
        client.send(.create(CreateRequest(path: "/p/c", data: nil)))
        client.send(.delete("/p", version: -1))
        client.send(.delete("/p/c", version: -1))
        client.send(.delete("/p", version: -1))
        client.send(.create(CreateRequest(path: "/p/d", data: nil)))
        ensemble.settle()
        #expect(client.codes == [], "nothing is answered before the disk has it")
        ensemble.node(one).isDiskHeld = false
        ensemble.settle()
        #expect(client.codes == [.ok, .ok, .notEmpty, .ok, .ok, .noNode])
    }

    @Test func `a transaction that members could not read is refused`() throws {
        let ensemble = try Ensemble.standalone { $0.maximumTransactionBytes = 200 }
        let client = try ensemble.connect(one)
        let big = [UInt8](repeating: 7, count: 300)
        #expect(
            try client.code(.create(CreateRequest(path: "/big", data: big))) == .badArguments
        )
        #expect(try client.code(.create(CreateRequest(path: "/big", data: nil))) == .ok)
        for index in 0..<20 {
            _ = try client.create(ZnodePath("/ephemeral\(index)"), mode: .ephemeral)
        }
        #expect(try client.code(.closeSession) == .ok)
        #expect(ensemble.status(one)?.ephemeralCount == 0, "although their list was too long")
    }
}
