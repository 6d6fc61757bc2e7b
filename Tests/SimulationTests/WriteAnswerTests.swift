import Simulation
import Testing
import ZooKeeperModel

/// Answers to writes tell of what was made since they were asked for, and of nothing else.
struct WriteAnswerTests {
    private static let list = [
        ACL(permissions: .all, identity: .anyone), ACL(permissions: .read, identity: .anyone),
    ]

    /// At 2 `/a`, at 3 new data, at 4 another list, at 5 its end.
    private static let model = ZnodeModelTests.model([
        ZnodeModelTests.create("/a", number: 1),
        .setData("/a", data: [9], version: 1),
        .setACL("/a", acl: list, version: 1),
        .delete("/a"),
    ]).model

    private func judge(
        _ operation: Operation,
        _ response: Response,
        after: UInt32,
        at counter: UInt32
    ) -> String? {
        var checker = AnswerChecker(identities: [])
        var question = checker.question(operation)
        question.after = ZnodeModelTests.zxid(after)
        return checker.judge(
            question,
            .success(response),
            at: ZnodeModelTests.zxid(counter),
            Self.model
        )
    }

    private func stat(_ counter: UInt32) throws -> Stat {
        try #require(Self.model.znode("/a", at: ZnodeModelTests.zxid(counter))).stat
    }

    @Test func `a create's`() throws {
        let create = Operation.create(
            CreateRequest(path: "/a", data: [1, 2], mode: .persistent)
        )
        let answer = Response.createdWithStat("/a", try stat(2))
        #expect(judge(create, answer, after: 1, at: 2) == nil)
        #expect(judge(create, answer, after: 1, at: 4) == nil)
        #expect(judge(create, answer, after: 2, at: 4) != nil, "it was there before")
        #expect(judge(create, answer, after: 0, at: 1) != nil, "it is not there yet")
    }

    @Test func `a setData's`() throws {
        let answer = Response.stat(try stat(3))
        func set(_ data: [UInt8], _ version: Int32) -> Operation {
            .setData("/a", data: data, version: version)
        }
        #expect(judge(set([9], 0), answer, after: 2, at: 3) == nil)
        #expect(judge(set([9], -1), answer, after: 2, at: 4) == nil)
        #expect(judge(set([9], 0), answer, after: 3, at: 4) != nil, "it was set before")
        #expect(judge(set([9], 0), answer, after: 1, at: 2) != nil, "it is not set yet")
        #expect(judge(set([9], 1), answer, after: 2, at: 3) != nil, "of another version")
        #expect(judge(set([8], 0), answer, after: 2, at: 3) != nil, "other data")
    }

    @Test func `a setACL's`() throws {
        let answer = Response.stat(try stat(4))
        #expect(judge(.setACL("/a", acl: Self.list, version: 0), answer, after: 3, at: 4) == nil)
        #expect(judge(.setACL("/a", acl: .open, version: 0), answer, after: 3, at: 4) != nil)
        #expect(
            judge(.setACL("/a", acl: Self.list, version: 0), answer, after: 2, at: 3) != nil,
            "it is not set yet"
        )
    }

    @Test func `a delete's`() {
        #expect(judge(.delete("/a", version: -1), .empty, after: 4, at: 5) == nil)
        #expect(judge(.delete("/a", version: -1), .empty, after: 3, at: 4) != nil, "it is there")
    }

    @Test func `a new session has no watches that an answer could come before`() throws {
        var checker = AnswerChecker(identities: [])
        func exists(_ watch: Bool, at counter: UInt32) throws -> String? {
            checker.judge(
                checker.question(.exists("/a", watch: watch)),
                .success(.stat(try stat(counter))),
                at: ZnodeModelTests.zxid(counter),
                Self.model
            )
        }
        #expect(try exists(true, at: 2) == nil)
        checker.sessionRenewed()
        #expect(try exists(true, at: 3) == nil)
        checker.forget()
        #expect(try exists(true, at: 2) == nil)
        #expect(try exists(true, at: 3) != nil, "its event has not come")
    }
}
