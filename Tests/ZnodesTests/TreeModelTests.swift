import Testing
import ZooKeeperModel
import ZooKeeperWire

@testable import Znodes

/// Random transactions, against a naive model and against the tree itself.
struct TreeModelTests {
    static let lists: [[ACL]] = [
        .open, [ACL(permissions: .read, identity: .anyone)],
        [ACL(permissions: .all, identity: Identity(scheme: "digest", id: "u:h"))],
        [
            ACL(permissions: .all, identity: Identity(scheme: "ip", id: "10.0.0.0/8")),
            ACL(permissions: .write, identity: Identity(scheme: "digest", id: "v:h")),
        ],
    ]
    static let names = [
        "a", "b", "c", "a-name-of-more-than-23-bytes", "lock-0000000001", "zookeeper",
    ]

    static func randomPath(_ random: inout SeededGenerator) -> ZnodePath {
        var path = ZnodePath.root
        for _ in 0..<Int.random(in: 1...4, using: &random) {
            path = path.appending(names[Int.random(in: 0..<names.count, using: &random)])
        }
        return path
    }

    @Test(arguments: [
        (seed: 1 as UInt64, hashMask: UInt32.max), (seed: 2, hashMask: 0x3), (seed: 3, hashMask: 0),
    ])
    func `the tree does as a dictionary of paths`(seed: UInt64, hashMask: UInt32) {
        var random = SeededGenerator(seed: seed)
        var tree = ZnodeTree(withoutZnodes: false, hashSeed: seed, hashMask: hashMask)
        tree.insertSystemZnodes()
        var model = NaiveTree()
        for step in 1...12_000 {
            let path = Self.randomPath(&random)
            let zxid = Zxid(rawValue: Int64(step))
            let time = Timestamp(rawValue: 1_000_000 + Int64(step))
            let body: TransactionBody
            let isDone: Bool
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<5:
                let data: [UInt8]? = Bool.random(using: &random) ? nil : [UInt8(step & 0xFF)]
                let acl = Self.lists[Int.random(in: 0..<4, using: &random)]
                let isEphemeral = Int.random(in: 0..<4, using: &random) == 0
                let cversion =
                    (path.parent.flatMap { model.znodes[$0]?.stat.cversion } ?? 0)
                    + Int32.random(in: -1...1, using: &random)
                // −1 asks the tree to count on.
                let counted =
                    cversion == -1
                    ? (path.parent.flatMap { model.znodes[$0]?.stat.cversion } ?? 0) + 1
                    : cversion
                body = creation(
                    path,
                    data: data,
                    acl: acl,
                    ephemeral: isEphemeral,
                    cversion: cversion
                )
                isDone = model.create(
                    path,
                    data: data,
                    acl: acl,
                    owner: isEphemeral ? firstSession.rawValue : 0,
                    cversion: counted,
                    zxid: zxid,
                    time: time
                )
            case 5..<7:
                body = .delete(path)
                isDone = model.delete(path, zxid: zxid)
            case 7..<9:
                body = .setData(path, data: [UInt8](repeating: 7, count: step % 20), version: 3)
                isDone = model.set(
                    path,
                    [UInt8](repeating: 7, count: step % 20),
                    version: 3,
                    zxid: zxid,
                    time: time
                )
            default:
                let acl = Self.lists[Int.random(in: 0..<4, using: &random)]
                body = .setACL(path, acl: acl, version: Int32(step))
                isDone = model.znodes[path] != nil
                model.znodes[path]?.acl = acl
                model.znodes[path]?.stat.aversion = Int32(step)
            }
            var changes: [TreeChange] = []
            let result = tree.apply(transaction(Int64(step), body), changes: &changes)
            if case .single(.failure) = result {
                #expect(!isDone, "step \(step): \(body)")
            } else {
                #expect(isDone, "step \(step): \(body)")
            }
            if step % 8 == 0, tree.find(path) != nil || model.znodes[path] != nil {
                #expect(tree.stat(path) == model.stat(of: path), "step \(step)")
            }
            guard step % 1500 == 0 else { continue }
            tree.checkInvariants()
            #expect(tree.count == model.znodes.count)
            #expect(tree.digest == model.digest, "step \(step)")
            for (path, znode) in model.znodes {
                guard let index = tree.find(path) else {
                    Issue.record("\(path) is missing at step \(step)")
                    continue
                }
                #expect(tree.persistedStat(of: index) == znode.stat)
                #expect(tree.data(of: index) == znode.data)
                #expect(tree.acl(of: index) == znode.acl)
                #expect(
                    tree.children(of: index).map { path.appending($0) }.sorted()
                        == model.children(of: path)
                )
            }
        }
    }

    /// Transactions as a leader makes them: each fits the state before it.
    static func history(seed: UInt64, count: Int, from tree: ZnodeTree) -> [Transaction] {
        var random = SeededGenerator(seed: seed)
        var tree = tree
        var history: [Transaction] = []
        while history.count < count {
            let path = randomPath(&random)
            guard var body = validBody(path, tree, &random) else { continue }
            let owner = Bool.random(using: &random) ? firstSession : otherSession
            if case .closeSession = body, Bool.random(using: &random) {
                // As logs list them since 3.6.
                body = .closeSession(tree.ephemerals(of: owner))
            }
            let next = transaction(tree.lastZxid.rawValue + 1, body, session: owner)
            var changes: [TreeChange] = []
            _ = tree.apply(next, changes: &changes)
            history.append(next)
        }
        return history
    }

    private static func validBody(
        _ path: ZnodePath,
        _ tree: ZnodeTree,
        _ random: inout SeededGenerator
    ) -> TransactionBody? {
        guard let parentPath = path.parent, let parent = tree.find(parentPath) else { return nil }
        if Int.random(in: 0..<60, using: &random) == 0 { return .closeSession(nil) }
        guard let index = tree.find(path) else {
            guard tree.stat(of: parent).ephemeralOwner == .none else { return nil }
            return creation(
                path,
                data: [UInt8](repeating: 9, count: Int.random(in: 0..<9, using: &random)),
                acl: lists[Int.random(in: 0..<4, using: &random)],
                ephemeral: Int.random(in: 0..<3, using: &random) == 0,
                cversion: tree.persistedStat(of: parent).cversion + 1
            )
        }
        let stat = tree.stat(of: index)
        switch Int.random(in: 0..<4, using: &random) {
        case 0: return stat.numChildren == 0 ? .delete(path) : nil
        case 1: return .setData(path, data: [1, 2, 3], version: stat.version + 1)
        case 2:
            return .setACL(
                path,
                acl: lists[Int.random(in: 0..<4, using: &random)],
                version: stat.aversion + 1
            )
        default:
            guard stat.numChildren == 0 else { return nil }
            // Gone and back under one zxid.
            return .multi([
                .delete(path),
                creation(path, cversion: tree.persistedStat(of: parent).cversion + 1),
            ])
        }
    }

    @Test(arguments: 10...17 as ClosedRange<UInt64>)
    func `a suffix applied again over a later state changes nothing`(seed: UInt64) {
        let history = Self.history(seed: seed, count: 1500, from: ZnodeTree())
        var tree = ZnodeTree()
        var changes: [TreeChange] = []
        for entry in history { _ = tree.apply(entry, changes: &changes) }
        let contents = tree.contents
        let digest = tree.digest
        for start in stride(from: 0, to: history.count, by: 250) {
            for entry in history[start...] { _ = tree.apply(entry, changes: &changes) }
            #expect(tree.digest == digest, "from \(start)")
            #expect(difference(tree.contents, contents).isEmpty, "from \(start)")
            tree.checkInvariants()
        }
    }

    @Test(arguments: 20...25 as ClosedRange<UInt64>)
    func `a dump is the tree as it was, and with the log the tree as it is`(
        seed: UInt64
    ) throws {
        let history = Self.history(seed: seed, count: 3000, from: ZnodeTree())
        var tree = ZnodeTree()
        var changes: [TreeChange] = []
        for entry in history[..<1000] { _ = tree.apply(entry, changes: &changes) }
        let then = tree.contents
        var dump = SnapshotDump(of: tree, sessions: [(firstSession, 4000), (otherSession, 6000)])
        var decoder = SnapshotBodyDecoder()
        var loader = SnapshotLoader(hashSeed: 77)
        var applied = 1000
        while let slice = dump.nextSlice(sizeBytes: 100) {
            #expect(slice.count < 1000)
            decoder.append(slice)
            while let element = try decoder.next() { try loader.insert(element) }
            for entry in history[applied..<min(applied + 50, 3000)] {
                _ = tree.apply(entry, changes: &changes)
            }
            applied = min(applied + 50, 3000)
        }
        while dump.release() {}
        #expect(decoder.isComplete)
        #expect(applied > 1000)
        #expect(loader.sessions.map(\.session) == [firstSession, otherSession])
        var loaded = try loader.finish(zxid: dump.zxid)
        loaded.checkInvariants()
        #expect(dump.zxid == Zxid(rawValue: 1000))
        #expect(difference(loaded.contents, then).isEmpty)
        #expect(dump.digest == TreeDigestValue(value: loaded.digest))
        #expect(
            loaded.ephemerals(of: firstSession).count + loaded.ephemerals(of: otherSession).count
                == loaded.ephemeralCount
        )
        for entry in history[1000..<applied] { _ = loaded.apply(entry, changes: &changes) }
        #expect(difference(loaded.contents, tree.contents).isEmpty)
        #expect(loaded.digest == tree.digest)
        tree.checkInvariants()
        loaded.checkInvariants()
    }
}
