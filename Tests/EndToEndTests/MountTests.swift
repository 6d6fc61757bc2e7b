import Foundation
import Testing

/// Real mounts on real servers, ours and Apache's.
@Suite(.serialized, .enabled(if: Requirement.hasFuse, "no /dev/fuse, or not root"))
struct MountTests {
    static let servers: [ServerProcess.Kind] =
        Requirement.hasApache ? [.ours, .apache] : [.ours]

    @Test(arguments: servers)
    func `config written by echo on one mount is read elsewhere`(
        kind: ServerProcess.Kind
    ) throws {
        let workspace = try Workspace()
        defer { workspace.tearDown() }
        let server = try ServerProcess(kind, in: workspace)
        let one = try MountProcess(server.address, in: workspace, name: "one")
        let two = try MountProcess(server.address, in: workspace, name: "two")
        #expect(shell("echo host=db1 > \(one.path("app.conf"))").status == 0)
        #expect(shell("cat \(two.path("app.conf"))").output == "host=db1\n")
        let kazoo = run([
            Workspace.python, "-c",
            """
            import sys
            from kazoo.client import KazooClient
            zk = KazooClient(hosts=sys.argv[1]); zk.start(timeout=10)
            data, stat = zk.get("/app.conf"); print(data, stat.version)
            zk.set("/app.conf", b"host=db2\\n"); zk.stop()
            """, server.address,
        ])
        #expect(kazoo.output == "b'host=db1\\n' 0\n", "\(kazoo.errors)")
        eventually("both mounts show what kazoo wrote") {
            shell("cat \(one.path("app.conf")) \(two.path("app.conf"))").output
                == "host=db2\nhost=db2\n"
        }
    }

    @Test(arguments: servers)
    func `a script elects by mkdir and fails over when a mount is killed`(
        kind: ServerProcess.Kind
    ) throws {
        let workspace = try Workspace()
        defer { workspace.tearDown() }
        let server = try ServerProcess(kind, in: workspace)
        let one = try MountProcess(
            server.address,
            in: workspace,
            name: "one",
            options: ["timeout=1"]
        )
        let two = try MountProcess(
            server.address,
            in: workspace,
            name: "two",
            options: ["timeout=1"]
        )
        #expect(shell("mkdir -m 1777 \(one.path("election"))").status == 0)
        let elect = "mkdir \"$1/election/leader\" 2>/dev/null && echo won || echo lost"
        let first = run(["bash", "-c", elect, "-", one.mountPoint])
        let second = run(["bash", "-c", elect, "-", two.mountPoint])
        #expect(first.output == "won\n", "\(one.child.log)")
        #expect(second.output == "lost\n")
        one.kill()
        // Apache's server ends a session in four seconds or more, and when its disk lets it.
        eventually("the other mount wins after the session's end: \(two.child.log)", limit: 120) {
            run(["bash", "-c", elect, "-", two.mountPoint]).output == "won\n"
        }
    }

    @Test(arguments: servers)
    func `a blocked read of a watch wakes with the change`(kind: ServerProcess.Kind) throws {
        let workspace = try Workspace()
        defer { workspace.tearDown() }
        let server = try ServerProcess(kind, in: workspace)
        let mount = try MountProcess(server.address, in: workspace)
        #expect(shell("echo 1 > \(mount.path("x"))").status == 0)
        let result = shell(
            """
            exec 3<\(mount.path("x@watch"))
            echo 2 > \(mount.path("x"))
            timeout 10 head -n 1 <&3
            """
        )
        #expect(result.status == 0, "\(result.errors)")
        #expect(result.output.hasPrefix("changed "), "\(result.output)")
        #expect(result.output.hasSuffix(" x\n") || result.output.hasSuffix(" /x\n"))
        let interrupted = shell("timeout 1 cat \(mount.path("x@watch"))", limit: 10)
        #expect(interrupted.status == 124, "a signal ends a blocked read")
    }

    @Test(arguments: servers)
    func `the tools of every day work`(kind: ServerProcess.Kind) throws {
        let workspace = try Workspace()
        defer { workspace.tearDown() }
        let server = try ServerProcess(kind, in: workspace)
        let mount = try MountProcess(server.address, in: workspace)
        let result = shell(
            """
            cd \(mount.mountPoint)
            mkdir d; echo one > d/f; echo two >> d/f
            test "$(cat d/f)" = "$(printf 'one\\ntwo')"
            sed -i s/two/three/ d/f; grep -q three d/f
            cp -r d e; diff -r d e
            mv e/f e/g; test ! -e e/f; test -s e/g
            tar cf - d | tar xf - -C e; cmp d/f e/d/f
            : > empty; test -f empty; test ! -s empty
            touch new; test -f new
            dd if=/dev/zero of=big bs=4096 count=100 status=none; test $(stat -c %s big) = 409600
            printf X | dd of=big bs=1 seek=5 conv=notrunc status=none
            test $(stat -c %s big) = 409600
            truncate -s 10 big; test $(stat -c %s big) = 10
            ( set -C; ! echo again > d/f ) 2>/dev/null
            rmdir d 2>/dev/null && exit 1
            rm -r d e; test ! -e d
            ln -s empty link; test "$(readlink link)" = empty
            grep -q version= new@stat
            df . >/dev/null; find . >/dev/null
            test -z "$(find . -name '.fuse_hidden*' -o -name '.zk*')"
            """
        )
        #expect(result.status == 0, "\(result.errors)\n\(mount.child.log)")
    }

    @Test func `a clean unmount takes the ephemerals along at once`() throws {
        let workspace = try Workspace()
        defer { workspace.tearDown() }
        let server = try ServerProcess(.ours, in: workspace)
        let one = try MountProcess(
            server.address,
            in: workspace,
            name: "one",
            options: ["timeout=30"]
        )
        let two = try MountProcess(server.address, in: workspace, name: "two")
        #expect(shell("mkdir -m 1777 \(one.path("e")); mkdir \(one.path("e/a"))").status == 0)
        #expect(shell("test -d \(two.path("e/a"))").status == 0)
        #expect(one.terminate() == 0)
        #expect(run(["mountpoint", "-q", one.mountPoint]).status != 0)
        eventually("the ephemeral is gone long before its session's timeout", limit: 10) {
            shell("test ! -e \(two.path("e/a"))").status == 0
        }
    }

    /// A container or a service with private mounts holds a copy of the mount: the kernel keeps it.
    @Test
    func `an unmounted mount ends though another namespace has it, and leaves the next alone`()
        throws
    {
        let workspace = try Workspace()
        defer { workspace.tearDown() }
        let server = try ServerProcess(.ours, in: workspace)
        let mount = try MountProcess(server.address, in: workspace, options: ["timeout=30"])
        let two = try MountProcess(server.address, in: workspace, name: "two")
        #expect(shell("mkdir -m 1777 \(mount.path("e")); mkdir \(mount.path("e/a"))").status == 0)
        let holder = try ChildProcess(
            [
                "unshare", "-m", "--propagation", "private", "sh", "-c",
                "echo here; exec sleep 1000",
            ],
            log: workspace.path("holder.log")
        )
        workspace.adopt(holder)
        eventually("the other namespace is there") { holder.log.contains("here") }
        // It learns of the end only when the next mount is there already.
        let old = mount.child
        old.signal(SIGSTOP)
        #expect(run(["umount", "-l", "-i", mount.mountPoint]).status == 0)
        try mount.mountAgain()
        old.signal(SIGCONT)
        eventually("the old daemon ends") { !old.isRunning }
        eventually("its ephemeral is gone long before its session's timeout", limit: 10) {
            shell("test ! -e \(two.path("e/a"))").status == 0
        }
        #expect(run(["mountpoint", "-q", mount.mountPoint]).status == 0)
        #expect(shell("test -d \(mount.path("e"))").status == 0)
    }

    @Test func `a killed daemon's mount point is taken over by the next`() throws {
        let workspace = try Workspace()
        defer { workspace.tearDown() }
        let server = try ServerProcess(.ours, in: workspace)
        let mount = try MountProcess(server.address, in: workspace)
        #expect(shell("echo kept > \(mount.path("f"))").status == 0)
        mount.kill()
        try mount.mountAgain()
        #expect(shell("cat \(mount.path("f"))").output == "kept\n")
    }

    @Test(arguments: servers)
    func `a thousand appends from two mounts leave a thousand lines`(
        kind: ServerProcess.Kind
    ) throws {
        let workspace = try Workspace()
        defer { workspace.tearDown() }
        let server = try ServerProcess(kind, in: workspace)
        let one = try MountProcess(server.address, in: workspace, name: "one")
        let two = try MountProcess(server.address, in: workspace, name: "two")
        let result = shell(
            """
            : > \(one.path("log"))
            # Ordinary shells: the end of each of their children is a signal.
            for n in $(seq 500); do echo one-$n >> \(one.path("log")); /bin/true & done &
            for n in $(seq 500); do echo two-$n >> \(two.path("log")); /bin/true & done
            wait
            sort \(one.path("log")) | uniq | wc -l; wc -l < \(two.path("log"))
            """,
            limit: 120
        )
        #expect(result.output == "1000\n1000\n", "\(result.errors)")
    }

    @Test func `a mount outlives a restart of its server`() throws {
        let workspace = try Workspace()
        defer { workspace.tearDown() }
        let server = try ServerProcess(.ours, in: workspace)
        let mount = try MountProcess(
            server.address,
            in: workspace,
            options: ["timeout=20"]
        )
        #expect(
            shell("mkdir -m 1777 \(mount.path("e")); mkdir \(mount.path("e/me"))").status == 0
        )
        server.kill()
        try server.launchAgain()
        // Held until the server is back, not refused.
        let written = shell("echo after > \(mount.path("f")) && cat \(mount.path("f"))")
        #expect(written.output == "after\n", "\(written.errors)\n\(mount.child.log)")
        #expect(shell("test -d \(mount.path("e/me"))").status == 0, "the session was kept")
    }
}
