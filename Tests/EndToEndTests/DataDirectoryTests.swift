import Foundation
import Testing

/// Our server on Apache's data directory, and Apache's on ours.
@Suite(.serialized, .enabled(if: Requirement.hasApache && Requirement.hasKazoo))
struct DataDirectoryTests {
    static let fill = """
        import sys
        from kazoo.client import KazooClient
        zk = KazooClient(hosts=sys.argv[1]); zk.start(timeout=15)
        tag = sys.argv[2].encode()
        for n in range(300):
            zk.create("/%s-%d" % (sys.argv[2], n), tag + b"-%d" % n)
        for n in range(0, 300, 3): zk.set("/%s-%d" % (sys.argv[2], n), b"changed")
        for n in range(0, 300, 5): zk.delete("/%s-%d" % (sys.argv[2], n))
        zk.create("/%s-dir/s-" % sys.argv[2], b"", sequence=True, makepath=True)
        zk.stop()
        """
    static let check = """
        import sys
        from kazoo.client import KazooClient
        zk = KazooClient(hosts=sys.argv[1]); zk.start(timeout=15)
        tag = sys.argv[2].encode()
        for n in range(300):
            found = zk.exists("/%s-%d" % (sys.argv[2], n))
            if n % 5 == 0: assert found is None, n
            else:
                data = zk.get("/%s-%d" % (sys.argv[2], n))[0]
                assert data == (b"changed" if n % 3 == 0 else tag + b"-%d" % n), (n, data)
        name = zk.create("/%s-dir/s-" % sys.argv[2], b"", sequence=True)
        assert name.endswith("0000000001"), name
        zk.delete(name); zk.stop(); print("fine")
        """

    @Test(arguments: [ServerProcess.Kind.ours, .apache])
    func `one server goes on where the other was killed`(first: ServerProcess.Kind) throws {
        let workspace = try Workspace()
        defer { workspace.tearDown() }
        let second: ServerProcess.Kind = first == .ours ? .apache : .ours
        // A small snapCount, so that both log and snapshots are handed over.
        let extra = ["snapCount=100", "preAllocSize=64"]
        let before = try ServerProcess(first, in: workspace, name: "first", extra: extra)
        let filled = run([Workspace.python, "-c", Self.fill, before.address, "one"])
        try #require(filled.status == 0, "\(filled.errors)")
        before.kill()

        let after = try ServerProcess(
            second,
            in: workspace,
            name: "second",
            dataDirectory: before.dataDirectory,
            extra: extra
        )
        let checked = run([Workspace.python, "-c", Self.check, after.address, "one"])
        #expect(checked.output == "fine\n", "\(checked.errors)\n\(after.child.log)")
        _ = run([Workspace.python, "-c", Self.fill, after.address, "two"])
        after.kill()

        // And back again.
        let again = try ServerProcess(
            first,
            in: workspace,
            name: "again",
            dataDirectory: before.dataDirectory,
            extra: extra
        )
        let rechecked = run([Workspace.python, "-c", Self.check, again.address, "two"])
        #expect(rechecked.output == "fine\n", "\(rechecked.errors)\n\(again.child.log)")
    }
}
