import Testing
import ZooKeeperModel

@testable import Znodes

struct ZnodeTreeTests {
    @Test func `a fresh tree is as Apache's`() throws {
        let tree = ZnodeTree()
        tree.checkInvariants()
        #expect(tree.digest == 0x51c6_d660)
        #expect(tree.count == 4)
        #expect(tree.approximateDataSize == 44)
        #expect(tree.stat("/")?.cversion == -1)
        #expect(tree.stat("/zookeeper")?.cversion == -2)
        let config = try #require(tree.find("/zookeeper/config"))
        #expect(tree.stat(of: config).aversion == -1)
        #expect(tree.acl(of: config) == [ACL(permissions: .read, identity: .anyone)])
        #expect(!tree.isOpenToAll(config))
        #expect(tree.isOpenToAll(.root))
        #expect(tree.data(of: config) == [])
    }

    @Test func `the empty path is the root, and other odd paths miss`() {
        var tree = ZnodeTree()
        tree.apply(creation("/a"))
        #expect(tree.find("") == .root)
        #expect(tree.find("/") == .root)
        for path: ZnodePath in ["a", "//a", "/a/", "/a//", "/zookeeper/a", "//", "/\0", "/b"] {
            #expect(tree.find(path) == nil, "\(path)")
        }
    }

    @Test func `a create counts in its parent`() {
        var tree = ZnodeTree()
        guard case .single(.created("/a", let stat)) = tree.apply(creation("/a", cversion: 1))
        else { Issue.record("not created"); return }
        #expect(stat.czxid == Zxid(rawValue: 1) && stat.pzxid == stat.czxid)
        #expect(stat.numChildren == 0 && stat.dataLength == 1 && stat.cversion == 0)
        #expect(tree.stat("/")?.cversion == 0)
        #expect(tree.stat("/")?.pzxid == Zxid(rawValue: 1))
        #expect(tree.stat("/")?.numChildren == 2)
    }

    @Test func `the counter of creations sticks at its end`() throws {
        var tree = ZnodeTree()
        tree.apply(creation("/a", cversion: .max))
        tree.apply(creation("/b", cversion: .min))
        #expect(tree.persistedStat(of: .root).cversion == .max)
        #expect(tree.persistedStat(of: .root).pzxid == Zxid(rawValue: 1))
        tree.checkInvariants()
    }

    @Test func `null data stays null and is no bytes long`() throws {
        var tree = ZnodeTree()
        tree.apply(creation("/a", data: nil))
        let index = try #require(tree.find("/a"))
        #expect(tree.data(of: index) == nil)
        #expect(tree.stat(of: index).dataLength == 0)
    }

    @Test func `a delete of a missing znode still moves the parent's pzxid`() {
        var tree = ZnodeTree()
        #expect(tree.apply(.delete("/gone")) == .single(.failure(.noNode)))
        #expect(tree.stat("/")?.pzxid == Zxid(rawValue: 1))
        tree.checkInvariants()
    }

    @Test func `the root can neither be created nor deleted`() {
        var tree = ZnodeTree()
        #expect(tree.apply(creation("/")) == .single(.failure(.nodeExists)))
        #expect(tree.apply(.delete("/")) == .single(.failure(.badArguments)))
        #expect(tree.apply(creation("//")) == .single(.failure(.nodeExists)) || tree.count == 4)
        #expect(tree.apply(creation("/a/")) == .single(.failure(.noNode)))
        #expect(tree.apply(creation("a")) == .single(.failure(.noNode)))
        #expect(tree.count == 4)
        tree.checkInvariants()
    }

    @Test func `a multi with an error applies nothing and says so for each part`() {
        var tree = ZnodeTree()
        let before = tree.contents
        let result = tree.apply(
            .multi([
                creation("/a"), .error(.badVersion), .error(.runtimeInconsistency),
                creation("/b"),
            ])
        )
        #expect(
            result
                == .multi([
                    .failure(.ok), .failure(.badVersion), .failure(.runtimeInconsistency),
                    .failure(.runtimeInconsistency),
                ])
        )
        #expect(tree.contents == before)
        #expect(tree.lastZxid == Zxid(rawValue: 1))
    }

    @Test func `the parts of a multi see each other`() {
        var tree = ZnodeTree()
        let changes = tree.changes(
            of: .multi([
                creation("/a"), creation("/a/b"), .check("/a", version: 0),
                .setData("/a/b", data: [2], version: 1), .delete("/a/b"),
            ])
        )
        #expect(
            changes == ["created /a", "created /a/b", "dataChanged /a/b", "deleted /a/b"]
        )
        #expect(tree.stat("/a")?.numChildren == 0)
        tree.checkInvariants()
    }

    @Test func `a session takes its ephemerals along, the listed ones first`() {
        var tree = ZnodeTree()
        tree.apply(creation("/x"))
        for name in ["/x/c", "/x/a", "/x/b", "/x/d"] as [ZnodePath] {
            tree.apply(creation(name, ephemeral: true))
        }
        tree.apply(creation("/x/other", ephemeral: true), session: otherSession)
        #expect(tree.ephemerals(of: firstSession) == ["/x/a", "/x/b", "/x/c", "/x/d"])
        #expect(tree.ephemeralOwners == [firstSession, otherSession])
        #expect(tree.ephemeralCount == 5)
        let changes = tree.changes(of: .closeSession(["/x/d", "/x/gone", "/x/b"]))
        #expect(changes == ["deleted /x/d", "deleted /x/b", "deleted /x/a", "deleted /x/c"])
        #expect(tree.ephemerals(of: firstSession).isEmpty)
        #expect(tree.stat("/x/other")?.ephemeralOwner == otherSession)
        tree.checkInvariants()
    }

    @Test func `only sessions show as owners`() throws {
        var tree = ZnodeTree(extendedTypes: true)
        tree.apply(creation("/container", kind: .container))
        tree.apply(creation("/ttl", kind: .timeToLive(500)))
        tree.apply(creation("/e", ephemeral: true))
        #expect(tree.stat("/container")?.ephemeralOwner == SessionID.none)
        #expect(tree.stat("/ttl")?.ephemeralOwner == SessionID.none)
        #expect(tree.stat("/e")?.ephemeralOwner == firstSession)
        #expect(tree.ephemeralCount == 1)
        #expect(tree.owner(of: try #require(tree.find("/container"))) == .container)
        #expect(tree.owner(of: try #require(tree.find("/ttl"))) == .timeToLive(500))
        tree.checkInvariants()
    }

    @Test func `used containers and outlived znodes are reclaimable`() {
        var tree = ZnodeTree(extendedTypes: true)
        for path: ZnodePath in ["/new", "/used", "/full"] {
            tree.apply(creation(path, kind: .container))
        }
        tree.apply(creation("/ttl", kind: .timeToLive(500)))
        tree.apply(creation("/used/x"))
        tree.apply(.delete("/used/x"))
        tree.apply(creation("/full/x"))
        func sweep(_ now: Int64) -> [ZnodePath] {
            var found: [ZnodePath] = []
            var next: ZnodeIndex? = .root
            while let start = next {
                next = tree.reclaimable(
                    from: start,
                    limit: 3,
                    now: Timestamp(rawValue: now),
                    paths: &found
                )
            }
            return found.sorted()
        }
        #expect(sweep(1_000_504) == ["/used"])
        #expect(sweep(1_000_505) == ["/ttl", "/used"])
        #expect(sweep(.min) == ["/used"])
    }

    @Test func `setting data or the ACL moves just its own fields`() throws {
        var tree = ZnodeTree()
        tree.apply(creation("/a"))
        #expect(tree.changes(of: .setData("/a", data: [1, 2], version: 1)) == ["dataChanged /a"])
        let reader = [ACL(permissions: .read, identity: .anyone)]
        #expect(tree.changes(of: .setACL("/a", acl: reader, version: 1)).isEmpty)
        let stat = try #require(tree.stat("/a"))
        #expect(stat.version == 1 && stat.mzxid == Zxid(rawValue: 2) && stat.dataLength == 2)
        #expect(stat.aversion == 1 && stat.czxid == Zxid(rawValue: 1))
        #expect(tree.acl(of: try #require(tree.find("/a"))) == reader)
        tree.checkInvariants()
    }

    @Test func `a tree that is not to tell its changes makes them all the same`() {
        var told = ZnodeTree()
        var silent = ZnodeTree()
        silent.tellsChanges = false
        for body in [
            creation("/a"), creation("/a/b"), .setData("/a", data: [1, 2], version: 1),
            .delete("/a/b"),
        ] {
            #expect(told.changes(of: body).count == 1)
            #expect(silent.changes(of: body).isEmpty)
        }
        #expect(silent.digest == told.digest)
        #expect(silent.count == told.count)
    }

    @Test func `ACLs that differ in spelling alone stay apart`() throws {
        var tree = ZnodeTree()
        let lists = ["e\u{301}:x", "\u{e9}:x"].map {
            [ACL(permissions: .all, identity: Identity(scheme: "digest", id: $0))]
        }
        tree.apply(creation("/a", acl: lists[0]))
        tree.apply(creation("/b", acl: lists[1]))
        let stored = try ["/a", "/b"].map { path in
            Array(tree.acl(of: try #require(tree.find(ZnodePath(path))))[0].identity.id.utf8)
        }
        #expect(stored == lists.map { Array($0[0].identity.id.utf8) })
    }

    @Test func `the configuration is set outside transactions`() throws {
        var tree = ZnodeTree()
        var changes: [TreeChange] = []
        tree.setConfiguration(
            [0x78],
            version: Zxid(rawValue: 0x100),
            time: Timestamp(rawValue: 5),
            changes: &changes
        )
        let stat = try #require(tree.stat("/zookeeper/config"))
        #expect(stat.version == -1 && stat.mzxid == Zxid(rawValue: 0x100))
        #expect(changes.map(\.path) == ["/zookeeper/config"])
        #expect(tree.digest == 0x51c6_d660, "it is not in the digest")
        #expect(tree.lastZxid == .zero)
    }

    @Test(arguments: [1, 22, 23, 24, 255, 5000])
    func `names of any length are kept`(length: Int) throws {
        var tree = ZnodeTree()
        let path = ZnodePath.root.appending([UInt8](repeating: 0x61, count: length))
        let below = path.appending("child")
        tree.apply(creation(path))
        tree.apply(creation(below))
        tree.checkInvariants()
        #expect(tree.path(of: try #require(tree.find(below))) == below)
        #expect(tree.find(ZnodePath(bytes: path.bytes + [0x61])) == nil)
        #expect(tree.find(ZnodePath(bytes: path.bytes.dropLast())) == (length == 1 ? .root : nil))
        tree.apply(.delete(below))
        tree.apply(.delete(path))
        tree.checkInvariants()
        #expect(tree.digest != 0 && tree.count == 4)
    }
}
