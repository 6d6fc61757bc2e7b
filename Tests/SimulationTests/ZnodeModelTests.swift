import Simulation
import Testing
import ZooKeeperModel

/// What the model of znodes makes of transactions, and what it finds wrong with them.
struct ZnodeModelTests {
    static let session = SessionID(rawValue: 7)

    static func zxid(_ counter: UInt32) -> Zxid { Zxid(epoch: 1, counter: counter) }

    static func create(
        _ path: ZnodePath,
        number: Int32,
        acl: [ACL] = .open,
        isEphemeral: Bool = false
    ) -> TransactionBody {
        .create(
            CreateTransaction(
                path: path,
                data: [1, 2],
                acl: acl,
                isEphemeral: isEphemeral,
                parentCVersion: number
            )
        )
    }

    /// The first transaction begins the session; the others are its requests 1, 2, 3…
    static func model(
        _ bodies: [TransactionBody],
        requests: [Int32]? = nil
    ) -> (model: ZnodeModel, failure: String?) {
        var model = ZnodeModel()
        let all = [TransactionBody.createSession(timeout: 5000)] + bodies
        for (index, body) in all.enumerated() {
            model.logged(
                Transaction(
                    session: session,
                    cxid: index == 0 ? 0 : requests?[index - 1] ?? Int32(index),
                    zxid: zxid(UInt32(index + 1)),
                    time: Timestamp(rawValue: Int64(index)),
                    body: body
                )
            )
        }
        let failure = model.advance(to: zxid(UInt32(all.count))) { _ in false }
        return (model, failure)
    }

    @Test func `a znode is at every zxid what the transactions up to it have made`() throws {
        let (model, failure) = Self.model([
            Self.create("/a", number: 1),
            Self.create("/a/b", number: 1, isEphemeral: true),
            .setData("/a", data: [5], version: 1),
            .delete("/a/b"),
        ])
        #expect(failure == nil)
        #expect(model.znode("/a", at: Self.zxid(1)) == nil)
        let first = try #require(model.znode("/a", at: Self.zxid(2)))
        #expect(first.stat.numChildren == 0 && first.stat.dataLength == 2)
        #expect(model.children("/a", at: Self.zxid(4)) == [Array("b".utf8)])
        let owned = try #require(model.znode("/a/b", at: Self.zxid(4)))
        #expect(owned.stat.ephemeralOwner == Self.session)
        let last = try #require(model.znode("/a", at: Self.zxid(5)))
        #expect(last.stat.version == 1 && last.stat.mzxid == Self.zxid(4))
        #expect(last.stat.pzxid == Self.zxid(5) && last.stat.cversion == 2)
        #expect(last.stat.numChildren == 0 && last.data == [5])
        #expect(model.children("/a", at: Self.zxid(5)).isEmpty)
        #expect(model.liveSessions == [Self.session])
    }

    @Test func `a session's end takes its ephemerals`() {
        let (model, failure) = Self.model([
            Self.create("/e", number: 1, isEphemeral: true),
            .closeSession(["/e"]),
        ])
        #expect(failure == nil)
        #expect(model.znode("/e", at: Self.zxid(3)) == nil)
        #expect(model.liveSessions.isEmpty)
    }

    @Test func `what a later epoch's history lacks is not applied`() {
        var model = ZnodeModel()
        for (zxid, body) in [
            (Zxid(epoch: 1, counter: 1), TransactionBody.createSession(timeout: 1)),
            (Zxid(epoch: 1, counter: 2), Self.create("/lost", number: 1)),
            (Zxid(epoch: 2, counter: 1), Self.create("/kept", number: 1)),
        ] {
            model.logged(
                Transaction(
                    session: Self.session,
                    cxid: Int32(zxid.epoch),
                    zxid: zxid,
                    time: Timestamp(rawValue: 0),
                    body: body
                )
            )
        }
        let end = Zxid(epoch: 2, counter: 1)
        #expect(model.advance(to: end) { $0 == Zxid(epoch: 1, counter: 2) } == nil)
        #expect(model.znode("/lost", at: end) == nil)
        #expect(model.znode("/kept", at: end) != nil)
    }

    @Test(
        arguments: [
            // What is there is created, what is not is set or deleted.
            [Self.create("/a", number: 1), Self.create("/a", number: 2)],
            [Self.create("/a/b", number: 1)],
            [.setData("/a", data: nil, version: 1)],
            [.setACL("/a", acl: .open, version: 1)],
            [.delete("/a")],
            [.check("/a", version: 0)],
            // A parent goes before its child.
            [Self.create("/a", number: 1), Self.create("/a/b", number: 1), .delete("/a")],
            // A version or a number is left out.
            [Self.create("/a", number: 1), .setData("/a", data: nil, version: 2)],
            [Self.create("/a", number: 1), .setACL("/a", acl: .open, version: 0)],
            [Self.create("/a", number: 2)],
            // The end of a session forgets an ephemeral, takes what is not one, or is not the end.
            [Self.create("/a", number: 1, isEphemeral: true), .closeSession([])],
            [Self.create("/a", number: 1), .closeSession(["/a"])],
            [.closeSession([]), Self.create("/a", number: 1)],
        ] as [[TransactionBody]]
    )
    func `a transaction that cannot be is seen`(bodies: [TransactionBody]) {
        #expect(Self.model(bodies).failure != nil)
    }

    @Test func `a request that takes effect twice or out of turn is seen`() {
        let bodies = [
            Self.create("/a", number: 1), .setData("/a", data: nil, version: 1),
            .setData("/a", data: nil, version: 2),
        ]
        #expect(Self.model(bodies, requests: [3, 5, 9]).failure == nil)
        #expect(Self.model(bodies, requests: [3, 5, 5]).failure != nil)
        #expect(Self.model(bodies, requests: [3, 5, 4]).failure != nil)
    }
}
