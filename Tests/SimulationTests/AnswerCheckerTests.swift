import Simulation
import Testing
import ZooKeeperModel

/// Wrong answers and late events are seen, and right ones are not.
struct AnswerCheckerTests {
    private static let me = Identity(scheme: "digest", id: "me:x")
    private static let closed = [
        ACL(permissions: .all, identity: Identity(scheme: "digest", id: "other:hash")),
        ACL(permissions: .read, identity: Identity(scheme: "ip", id: "10.0.0.1")),
    ]

    /// At 2 `/a`, at 3 its child `b`, at 4 new data, at 5 the child's end, at 6 `/closed`.
    private static let model = ZnodeModelTests.model([
        ZnodeModelTests.create("/a", number: 1),
        ZnodeModelTests.create("/a/b", number: 1),
        .setData("/a", data: [9], version: 1),
        .delete("/a/b"),
        ZnodeModelTests.create("/closed", number: 2, acl: closed),
    ]).model

    private static func zxid(_ counter: UInt32) -> Zxid { ZnodeModelTests.zxid(counter) }

    private static func stat(
        _ path: ZnodePath,
        _ counter: UInt32,
        _ change: (inout Stat) -> Void = { _ in }
    ) -> Stat {
        guard var stat = model.znode(path, at: zxid(counter))?.stat else {
            preconditionFailure("\(path) is not there at \(counter)")
        }
        change(&stat)
        return stat
    }

    private func judge(
        _ operation: Operation,
        _ result: Result<Response, ErrorCode>,
        at counter: UInt32,
        identities: [Identity] = [me]
    ) -> String? {
        var checker = AnswerChecker(identities: identities)
        return checker.judge(
            checker.question(operation),
            result,
            at: Self.zxid(counter),
            Self.model
        )
    }

    @Test func `a read of what is so is right at its own zxid alone`() {
        let answer = Response.data([9], Self.stat("/a", 4))
        #expect(judge(.getData("/a", watch: false), .success(answer), at: 4) == nil)
        #expect(judge(.getData("/a", watch: false), .success(answer), at: 3) != nil)
        #expect(judge(.getData("/a", watch: false), .success(answer), at: 5) != nil)
        #expect(judge(.getData("/a", watch: false), .failure(.noNode), at: 1) == nil)
        #expect(judge(.getData("/a", watch: false), .failure(.noNode), at: 2) != nil)
    }

    @Test func `every field of a Stat counts`() {
        let changes: [@Sendable (inout Stat) -> Void] = [
            { $0.czxid = .zero }, { $0.mzxid = .zero }, { $0.pzxid = $0.czxid },
            { $0.version += 1 }, { $0.cversion += 1 }, { $0.aversion += 1 },
            { $0.numChildren += 1 }, { $0.dataLength += 1 },
            { $0.ephemeralOwner = ZnodeModelTests.session }, { $0.ctime.rawValue += 1 },
            { $0.mtime.rawValue += 1 },
        ]
        for change in changes {
            let stat = Self.stat("/a", 5, change)
            #expect(judge(.exists("/a", watch: false), .success(.stat(stat)), at: 5) != nil)
        }
        let stat = Self.stat("/a", 5)
        #expect(judge(.exists("/a", watch: false), .success(.stat(stat)), at: 5) == nil)
    }

    @Test func `the names of children are those of that moment`() {
        let names = [Array("b".utf8)]
        #expect(judge(.getChildren("/a", watch: false), .success(.children(names)), at: 4) == nil)
        #expect(judge(.getChildren("/a", watch: false), .success(.children(names)), at: 5) != nil)
        #expect(judge(.getChildren("/a", watch: false), .success(.children([])), at: 4) != nil)
        let twice = names + names
        #expect(judge(.getChildren("/a", watch: false), .success(.children(twice)), at: 4) != nil)
    }

    @Test func `what is closed to a client must be refused, and nothing else`() {
        let data = Response.data([1, 2], Self.stat("/closed", 6))
        let read = Operation.getData("/closed", watch: false)
        #expect(judge(read, .success(data), at: 6) != nil)
        #expect(judge(read, .failure(.noAuth), at: 6) == nil)
        let near = [Identity(scheme: "ip", id: "10.0.0.1")]
        #expect(judge(read, .success(data), at: 6, identities: near) == nil)
        #expect(judge(read, .failure(.noAuth), at: 6, identities: near) != nil)
        #expect(judge(.getData("/a", watch: false), .failure(.noAuth), at: 6) != nil)
        let write = Operation.setData("/closed", data: nil, version: -1)
        #expect(judge(write, .failure(.noAuth), at: 6, identities: near) == nil)
    }

    @Test func `a list of rights is the one that was set`() {
        let stat = Self.stat("/closed", 6)
        let near = [Identity(scheme: "ip", id: "10.0.0.1")]
        let ask = Operation.getACL("/closed")
        var masked = Self.closed
        masked[0].identity.id = "other:x"
        #expect(judge(ask, .success(.acl(masked, stat)), at: 6, identities: near) == nil)
        #expect(judge(ask, .success(.acl(Self.closed, stat)), at: 6, identities: near) != nil)
        #expect(judge(ask, .success(.acl(.open, stat)), at: 6, identities: near) != nil)
    }

    @Test func `a refused write must have had a reason at some moment since it was asked for`() {
        #expect(judge(.setData("/a", data: nil, version: 3), .failure(.badVersion), at: 5) == nil)
        #expect(judge(.setData("/a", data: nil, version: -1), .failure(.noNode), at: 5) == nil)
        #expect(judge(.delete("/a", version: -1), .failure(.notEmpty), at: 5) == nil)
        var checker = AnswerChecker(identities: [])
        let stat = Response.stat(Self.stat("/a", 5))
        let first = checker.question(.exists("/a", watch: false))
        #expect(checker.judge(first, .success(stat), at: Self.zxid(5), Self.model) == nil)
        for (operation, code) in [
            (Operation.setData("/a", data: nil, version: -1), ErrorCode.noNode),
            (.delete("/a", version: -1), .notEmpty),
            (.delete("/a", version: 1), .badVersion),
            (.create(CreateRequest(path: "/c", data: nil)), .nodeExists),
        ] {
            let question = checker.question(operation)
            #expect(checker.judge(question, .failure(code), at: Self.zxid(6), Self.model) != nil)
        }
    }

    @Test func `a sequential create has the next number of its parent`() throws {
        let model = ZnodeModelTests.model([
            ZnodeModelTests.create("/a", number: 1),
            ZnodeModelTests.create("/a/n-0000000000", number: 1),
            .delete("/a/n-0000000000"),
            ZnodeModelTests.create("/a/n-0000000001", number: 2),
            ZnodeModelTests.create("/a/n-0000000000", number: 3),
        ]).model
        let request = CreateRequest(path: "/a/n-", data: [1, 2], mode: .persistentSequential)
        for (path, counter, isRight) in [
            ("/a/n-0000000001", 5, true), ("/a/n-0000000000", 6, false),
        ] as [(ZnodePath, UInt32, Bool)] {
            var checker = AnswerChecker(identities: [])
            let stat = try #require(model.znode(path, at: Self.zxid(counter))).stat
            let failure = checker.judge(
                checker.question(.create(request)),
                .success(.createdWithStat(path, stat)),
                at: Self.zxid(counter),
                model
            )
            #expect((failure == nil) == isRight)
        }
    }

    @Test(
        arguments: [
            (WatchEvent.Kind.created, "/a", 2, true), (.created, "/a", 3, false),
            (.dataChanged, "/a", 4, true), (.dataChanged, "/a", 5, false),
            (.childrenChanged, "/a", 5, true), (.childrenChanged, "/a", 4, false),
            (.deleted, "/a/b", 5, true), (.deleted, "/a/b", 4, false),
        ] as [(WatchEvent.Kind, ZnodePath, UInt32, Bool)]
    )
    func `an event tells what its transaction has done`(
        kind: WatchEvent.Kind,
        path: ZnodePath,
        counter: UInt32,
        isTrue: Bool
    ) {
        var checker = AnswerChecker(identities: [])
        checker.saw(WatchEvent(kind: kind, path: path, zxid: Self.zxid(counter)))
        let failure = checker.judge(
            checker.question(.sync("/")),
            .success(.synced("/")),
            at: Self.zxid(6),
            Self.model
        )
        #expect((failure == nil) == isTrue)
    }

    @Test(
        arguments: [
            (Operation.getData("/a", watch: true), 3, 4, WatchEvent.Kind.dataChanged),
            (.getChildren("/a", watch: true), 3, 5, .childrenChanged),
            (.getChildren("/a", watch: true), 2, 3, .childrenChanged),
            (.exists("/a/b", watch: true), 3, 5, .deleted),
        ] as [(Operation, UInt32, UInt32, WatchEvent.Kind)]
    )
    func `an event comes before an answer that is as new`(
        operation: Operation,
        set: UInt32,
        changed: UInt32,
        kind: WatchEvent.Kind
    ) {
        func judged(sees event: Bool, at counter: UInt32) -> String? {
            var checker = AnswerChecker(identities: [])
            let path: ZnodePath = kind == .deleted ? "/a/b" : "/a"
            let stat = Self.stat(path, set)
            let names = Array(Self.model.children(path, at: Self.zxid(set)))
            let data = Self.model.znode(path, at: Self.zxid(set))?.data
            let answer: Response =
                switch operation {
                case .getData: .data(data, stat)
                case .getChildren: .children(names)
                default: .stat(stat)
                }
            let first = checker.judge(
                checker.question(operation),
                .success(answer),
                at: Self.zxid(set),
                Self.model
            )
            #expect(first == nil)
            if event { checker.saw(WatchEvent(kind: kind, path: path)) }
            return checker.judge(
                checker.question(.sync("/")),
                .success(.synced("/")),
                at: Self.zxid(counter),
                Self.model
            )
        }
        #expect(judged(sees: false, at: changed) != nil)
        #expect(judged(sees: false, at: changed - 1) == nil)
        #expect(judged(sees: true, at: changed) == nil)
    }
}
