import Foundation
import Testing

/// Other people's clients on our server, and on Apache's where the answer to compare with is theirs.
@Suite(.serialized)
struct OtherClientsTests {
    @Test(.enabled(if: Requirement.hasKazoo, "kazoo is not there"))
    func `kazoo works on our server as on any`() throws {
        let workspace = try Workspace()
        defer { workspace.tearDown() }
        let server = try ServerProcess(.ours, in: workspace)
        let script = """
            import sys, threading
            from kazoo.client import KazooClient
            from kazoo.exceptions import *
            from kazoo.protocol.states import EventType
            from kazoo.security import make_digest_acl
            zk = KazooClient(hosts=sys.argv[1], timeout=5)
            zk.start(timeout=10)
            assert zk.create("/a", b"one") == "/a"
            data, stat = zk.get("/a")
            assert data == b"one" and stat.version == 0, (data, stat)
            stat = zk.set("/a", b"two", version=0)
            assert stat.version == 1
            try:
                zk.set("/a", b"three", version=0); assert False
            except BadVersionError: pass
            zk.ensure_path("/deep/er/path")
            assert zk.get_children("/deep") == ["er"]
            names = [zk.create("/deep/s-", b"", sequence=True) for _ in range(3)]
            assert names == ["/deep/s-%010d" % n for n in (1, 2, 3)], names
            zk.create("/deep/eph", b"x", ephemeral=True)
            assert zk.exists("/deep/eph").ephemeralOwner == zk.client_id[0]
            try:
                zk.create("/deep/eph/kid"); assert False
            except NoChildrenForEphemeralsError: pass
            try:
                zk.delete("/deep"); assert False
            except NotEmptyError: pass
            seen = threading.Event(); events = []
            def watch(event): events.append(event); seen.set()
            assert zk.get("/a", watch=watch)[0] == b"two"
            zk.set("/a", b"four")
            assert seen.wait(5) and events[0].type == EventType.CHANGED and events[0].path == "/a"
            t = zk.transaction()
            t.create("/t1", b"1"); t.check("/a", 99); t.create("/t2", b"2")
            results = t.commit()
            assert isinstance(results[0], RolledBackError) and isinstance(results[1], BadVersionError)
            assert isinstance(results[2], RuntimeInconsistency), results
            assert zk.exists("/t1") is None
            t = zk.transaction()
            t.create("/t1", b"1"); t.set_data("/a", b"five"); t.delete("/t1")
            results = t.commit()
            assert results[0] == "/t1" and results[1].version == 3 and results[2] is True, results
            zk.add_auth("digest", "u:p")
            zk.create("/secret", b"s", acl=[make_digest_acl("u", "p", all=True)])
            other = KazooClient(hosts=sys.argv[1]); other.start(timeout=10)
            try:
                other.get("/secret"); assert False
            except NoAuthError: pass
            assert other.sync("/a") == "/a"
            assert other.get("/a")[0] == b"five"
            zk.stop()
            assert other.exists("/deep/eph") is None
            acls, stat = other.get_acls("/a")
            assert acls[0].perms == 31 and acls[0].id.scheme == "world"
            other.delete("/deep", recursive=True)
            assert other.exists("/deep") is None
            lock = other.Lock("/lock", "me")
            with lock: assert len(other.get_children("/lock")) == 1
            other.stop(); print("fine")
            """
        let result = run([Workspace.python, "-c", script, server.address])
        #expect(result.output == "fine\n", "\(result.errors)\n\(server.child.log)")
    }

    @Test(.enabled(if: Requirement.hasApache, "Debian's zookeeper is not there"))
    func `Apache's own shell works on our server`() throws {
        let workspace = try Workspace()
        defer { workspace.tearDown() }
        let server = try ServerProcess(.ours, in: workspace)
        let commands = """
            create /shell hello
            create -s /shell/n- x
            create -e /shell/e y
            get /shell
            stat /shell/e
            set /shell bye
            ls /shell
            getAcl /shell
            setAcl /shell world:anyone:cdrwa
            sync /shell
            deleteall /shell
            ls /
            quit
            """
        let result = run(
            [
                "java", "-cp", "/usr/share/java/*", "org.apache.zookeeper.ZooKeeperMain",
                "-server", server.address,
            ],
            input: commands + "\n"
        )
        let text = result.output + result.errors
        for expected in [
            "Created /shell\n", "Created /shell/n-0000000000", "Created /shell/e", "hello",
            "ephemeralOwner = 0x1", "[e, n-0000000000]", "'world,'anyone", "Sync is OK",
            "[zookeeper]",
        ] {
            #expect(text.contains(expected), "\(expected) is missing in:\n\(text)")
        }
    }

    @Test(arguments: ["ruok", "srvr", "stat", "mntr"])
    func `four-letter words answer as monitoring expects`(word: String) throws {
        let workspace = try Workspace()
        defer { workspace.tearDown() }
        let server = try ServerProcess(.ours, in: workspace)
        let answer = server.fourLetterWord(word)
        switch word {
        case "ruok": #expect(answer == "imok")
        case "mntr":
            #expect(answer.contains("zk_server_state\tstandalone\n"))
            #expect(answer.contains("zk_znode_count\t"))
        default:
            #expect(answer.contains("Zookeeper version: "))
            #expect(answer.contains("Mode: standalone\n"))
            #expect(answer.contains("Node count: "))
        }
    }

    @Test func `wrong and unknown lines of the configuration are named`() throws {
        let workspace = try Workspace()
        defer { workspace.tearDown() }
        let file = workspace.path("bad.cfg")
        let program = try Workspace.program("zkserver")
        try "dataDir=/tmp\nclientPort=2181\ntickTime=soon\n".write(
            toFile: file,
            atomically: true,
            encoding: .utf8
        )
        let wrong = run([program, file])
        #expect(wrong.status == 2)
        #expect(wrong.errors.contains("\(file), line 3: tickTime=soon"), "\(wrong.errors)")
        let server = try ServerProcess(.ours, in: workspace, extra: ["sumthing=1"])
        #expect(server.child.log.contains("sumthing is not a key that is known"))
        #expect(server.terminate() == 0)
    }
}
