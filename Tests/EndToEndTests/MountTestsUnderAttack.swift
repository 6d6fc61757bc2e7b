import Foundation
import Testing

/// Real mounts under hostile and unlucky use.
@Suite(.serialized, .enabled(if: Requirement.hasFuse, "no /dev/fuse, or not root"))
struct MountTestsUnderAttack {
    /// Runs a Python program with the two mount points as arguments; it asserts by itself.
    private func python(
        _ program: String,
        _ arguments: [String],
        limit: Double = 60
    ) -> CommandResult {
        run([Workspace.python, "-c", Self.helpers + program] + arguments, limit: limit)
    }

    private static let helpers = """
        import os, sys, time, random, errno, select, signal, subprocess
        M, N = sys.argv[1], sys.argv[2]
        # A test run in the background may have inherited that it is ignored.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        def fork(count, body):
            pids = []
            for index in range(count):
                pid = os.fork()
                if pid == 0:
                    try:
                        os._exit(body(index))
                    except BaseException as error:
                        print(repr(error), file=sys.stderr, flush=True)
                        os._exit(99)
                pids.append(pid)
            return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]

        """

    private func pair(
        _ kind: ServerProcess.Kind,
        _ workspace: Workspace
    ) throws -> (ServerProcess, MountProcess, MountProcess) {
        let server = try ServerProcess(kind, in: workspace)
        let one = try MountProcess(server.address, in: workspace, name: "one")
        let two = try MountProcess(server.address, in: workspace, name: "two")
        return (server, one, two)
    }

    @Test(arguments: MountTests.servers)
    func `races over two mounts have one winner and no half values`(
        kind: ServerProcess.Kind
    ) throws {
        let workspace = try Workspace()
        defer { workspace.tearDown() }
        let (_, one, two) = try pair(kind, workspace)
        let result = python(
            """
            # Exclusive creation, mkdir and symlink: exactly one of twenty.
            def create(path): os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            makers = dict(f=create, d=os.mkdir, l=lambda path: os.symlink("f", path))
            for name, make in makers.items():
                def race(index):
                    try:
                        make(f"{(M, N)[index % 2]}/{name}")
                        return 7
                    except FileExistsError:
                        return 0
                ends = fork(20, race)
                assert ends.count(7) == 1 and set(ends) == {0, 7}, (name, ends)

            # Readers of a big file see one version, whoever overwrites it.
            def value(letter): return bytes([letter]) * (900_000 - letter % 7 * 50_000)
            def overwrite(name, letter):
                with open(name, "wb", buffering=0) as file: file.write(value(letter))
            overwrite(f"{M}/big", 65)
            end = time.time() + 3
            def busy(index):
                while time.time() < end:
                    if index == 0:
                        overwrite(f"{M}/big", 65 + random.randrange(20))
                        continue
                    if index == 1:
                        letter = 48 + random.randrange(10)
                        with open(f"{M}/cfg.new", "wb") as file:
                            file.write(bytes([letter]) * random.choice([10, 1000, 100000]))
                        os.rename(f"{M}/cfg.new", f"{M}/cfg")
                        continue
                    if index in (2, 3):
                        file = os.open(f"{(M, N)[index % 2]}/big", os.O_RDONLY)
                        data = b"".join(iter(lambda: os.read(file, 100_000), b""))
                        os.close(file)
                        if data != value(data[0]): return 1
                        continue
                    data = open(f"{(M, N)[index % 2]}/cfg", "rb").read()
                    if len(set(data)) != 1 or len(data) not in (10, 1000, 100000): return 2
                return 0
            open(f"{M}/cfg", "wb").write(b"0" * 10)
            ends = fork(6, busy)
            assert ends == [0] * 6, ends

            # Appends from both mounts are all there, once.
            open(f"{M}/log", "w").close()
            def append(index):
                for step in range(25):
                    with open(f"{(M, N)[index % 2]}/log", "ab", buffering=0) as file:
                        file.write(b"%d-%d\\n" % (index, step))
                return 0
            assert fork(8, append) == [0] * 8
            lines = open(f"{N}/log").read().split()
            assert len(lines) == len(set(lines)) == 200, len(lines)
            """,
            [one.mountPoint, two.mountPoint],
            limit: 90
        )
        #expect(result.status == 0, "\(result.errors)\n\(one.child.log)")
    }

    @Test(arguments: MountTests.servers)
    func `files behave as programs expect`(kind: ServerProcess.Kind) throws {
        let workspace = try Workspace()
        defer { workspace.tearDown() }
        let (server, one, two) = try pair(kind, workspace)
        let result = python(
            """
            # Unlinked here: lives on in its handle. Deleted by another: reads go on, a write is stale.
            file = os.open(f"{M}/own", os.O_RDWR | os.O_CREAT); os.write(file, b"abc")
            os.unlink(f"{M}/own"); os.write(file, b"def")
            assert os.pread(file, 9, 0) == b"abcdef" and os.fstat(file).st_nlink == 0
            os.close(file); assert not os.path.exists(f"{M}/own")
            file = os.open(f"{M}/theirs", os.O_RDWR | os.O_CREAT); os.write(file, b"abc")
            os.unlink(f"{N}/theirs"); assert os.pread(file, 9, 0) == b"abc"
            try:
                os.write(file, b"def"); raise SystemExit("a write to a deleted file went well")
            except OSError as error: assert error.errno == errno.ESTALE, error
            assert not os.path.exists(f"{N}/theirs")

            # A stream that grows too large leaves the old value.
            open(f"{M}/keep", "w").write("old")
            for data in (b"x" * 3_000_000, b"y" * 4096 * 300):
                try:
                    with open(f"{M}/keep", "wb", buffering=131072) as out:
                        for at in range(0, len(data), 131072): out.write(data[at:at + 131072])
                    raise SystemExit("three megabytes went well")
                except OSError as error: assert error.errno == errno.EFBIG, error
                assert open(f"{N}/keep").read() == "old"

            # A file that is being made is not seen before it has its content.
            file = os.open(f"{M}/late", os.O_WRONLY | os.O_CREAT)
            assert "late" in os.listdir(M) and "late" not in os.listdir(N)
            os.write(file, b"z" * 4096); assert not os.path.exists(f"{N}/late")
            os.write(file, b"z"); assert os.path.getsize(f"{N}/late") == 4097
            os.close(file)

            # What a shell's redirection alone has done is there for the next command.
            for shell in ("bash", "dash"):
                for step in range(5):
                    done = subprocess.run(
                        [shell, "-c", 'echo full >"$1/r"; : >"$1/r"; : >"$1/n$3"; cat "$2/r"; '
                         'ls "$2"', "-", M, N, f"{shell}{step}"], capture_output=True, text=True)
                    assert f"n{shell}{step}" in done.stdout.split(), done
                    assert "full" not in done.stdout, done

            # Many small writes neither fill the servers' logs nor end a small server.
            subprocess.run(["dd", "if=/dev/zero", f"of={M}/many", "bs=1000", "count=800",
                            "status=none"], check=True)
            version = int(os.getxattr(f"{N}/many", "user.zk.version"))
            assert os.path.getsize(f"{N}/many") == 800_000 and version < 60, version
            """,
            [one.mountPoint, two.mountPoint]
        )
        #expect(result.status == 0, "\(result.errors)\n\(one.child.log)")
        #expect(server.fourLetterWord("ruok") == "imok")

        let shellResult = shell(
            """
            cd \(one.mountPoint)
            mkdir d; echo own > d@data; test -d d; ls d | grep -qx @data
            mkdir -p t/k; echo own > t@data; echo kid > t/k/f
            tar cf ../t.tar t; mkdir x; tar xf ../t.tar -C x
            test "$(cat x/t@data)" = own; test "$(cat x/t/k/f)" = kid; test -d \(two.path("x/t"))
            install -m 755 t/k/f inst; test "$(stat -c %a inst)" = 755
            chmod 600 inst 2>/dev/null && exit 1
            echo picture > ../logo@v2; cp ../logo@v2 .; cmp ../logo@v2 logo@v2; ls | grep -qx 'logo%40v2'
            flock -n inst true 2>/dev/null && exit 1
            getfattr -n user.zk.czxid inst >/dev/null
            git init -q repo; cd repo; git config user.email a@b; git config user.name n
            cp -a ../t .; git add -A; git commit -qm one; test -z "$(git status --porcelain)"
            cd ..; rm -r repo x t d
            """
        )
        #expect(shellResult.status == 0, "\(shellResult.errors)\n\(one.child.log)")
    }

    @Test func `blocked readers cost no thread and end at once`() throws {
        let workspace = try Workspace()
        defer { workspace.tearDown() }
        let (_, one, two) = try pair(.ours, workspace)
        let result = python(
            """
            file = os.open(f"{M}/w@watch", os.O_RDONLY | os.O_NONBLOCK)
            try: os.read(file, 100); raise SystemExit("nothing was read and nobody said so")
            except BlockingIOError: pass
            poll = select.poll(); poll.register(file, select.POLLIN); assert poll.poll(50) == []
            def expect(event):
                assert poll.poll(10_000), event
                line = os.read(file, 1000); assert line.startswith(event), (event, line)
            os.mkdir(f"{N}/w"); expect(b"created 0x")
            os.mkdir(f"{N}/w/kid"); expect(b"child 0x"); os.rmdir(f"{N}/w/kid"); expect(b"child")
            os.rmdir(f"{N}/w"); expect(b"deleted 0x")

            threads = lambda: len(os.listdir(f"/proc/{sys.argv[3]}/task"))
            before = threads()
            readers = [subprocess.Popen(["cat", f"{M}/many@watch"], stdout=subprocess.PIPE)
                       for _ in range(150)]
            for each in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
                for reader in readers[-10:]: reader.send_signal(each)
                begin = time.time()
                for reader in readers[-10:]: reader.wait(5)
                del readers[-10:]
            assert threads() == before, (before, threads())
            # Those who had not opened it yet report it when they do.
            while sum(line.startswith("open_files") and int(line.split("=")[1])
                      for line in open(f"{M}/@zkfs/status")) < len(readers): pass
            os.mkdir(f"{N}/many")
            for reader in readers: assert reader.stdout.readline().startswith(b"created")
            for reader in readers: reader.kill(); reader.wait(5)

            # Several processes on one descriptor.
            shared = os.open(f"{M}/many@watch", os.O_RDONLY)
            readers = [subprocess.Popen(["cat"], stdin=shared) for _ in range(5)]
            for reader in reversed(readers): reader.kill(); reader.wait(5)
            """,
            [one.mountPoint, two.mountPoint, "\(one.child.identifier)"]
        )
        #expect(result.status == 0, "\(result.errors)\n\(one.child.log)")
    }

    @Test func `nothing is lost or done twice while the server dies again and again`() throws {
        let workspace = try Workspace()
        defer { workspace.tearDown() }
        let (server, one, two) = try pair(.ours, workspace)
        let acknowledged = workspace.path("acknowledged")
        let loop = try ChildProcess(
            [
                "bash", "-c",
                """
                n=0
                while ! test -e "$2.stop"; do
                    n=$((n + 1))
                    if echo "line-$n" >> "$1/log"; then echo "line-$n" >> "$2"; fi
                    cat "$1/log" >/dev/null || echo "a read failed"
                done
                """, "-", one.mountPoint, acknowledged,
            ],
            log: workspace.path("loop.log")
        )
        workspace.adopt(loop)
        func count() -> Int {
            (try? String(contentsOfFile: acknowledged, encoding: .utf8))?
                .split(separator: "\n").count ?? 0
        }
        for _ in 0..<4 {
            let before = count()
            eventually("lines are written") { count() > before + 5 }
            server.kill()
            try server.launchAgain()
        }
        let before = count()
        eventually("lines are written after the last restart") { count() > before + 5 }
        _ = FileManager.default.createFile(atPath: acknowledged + ".stop", contents: nil)
        eventually("the loop ends") { !loop.isRunning }
        #expect(!loop.log.contains("a read failed"), "\(loop.log)")
        let result = shell(
            """
            sort \(two.path("log")) > \(workspace.path("there"))
            sort \(acknowledged) > \(workspace.path("said"))
            test -z "$(uniq -d \(workspace.path("there")))"
            comm -13 \(workspace.path("there")) \(workspace.path("said"))
            """
        )
        #expect(result.status == 0 && result.output == "", "\(result.output)\(result.errors)")
    }

    @Test func `an expired session is told and replaced`() throws {
        let workspace = try Workspace()
        defer { workspace.tearDown() }
        let server = try ServerProcess(.ours, in: workspace)
        let one = try MountProcess(
            server.address,
            in: workspace,
            name: "one",
            options: ["timeout=1"]
        )
        let two = try MountProcess(server.address, in: workspace, name: "two")
        #expect(shell("mkdir -m 1777 \(one.path("e")); mkdir \(one.path("e/me"))").status == 0)
        let watcher = try ChildProcess(
            ["cat", one.path("e@watch")],
            log: workspace.path("watch.log")
        )
        workspace.adopt(watcher)
        eventually("the watch is armed") {
            shell("grep -q watched_paths=1 \(one.path("@zkfs/status"))").status == 0
        }
        one.child.signal(SIGSTOP)
        eventually("its ephemeral is gone") { shell("test ! -e \(two.path("e/me"))").status == 0 }
        one.child.signal(SIGCONT)
        eventually("the stream says so") {
            let events = watcher.log.split(separator: "\n").map { $0.prefix { $0 != " " } }
            return events.prefix(3) == ["disconnected", "expired", "connected"]
                && events.contains("child")
        }
        #expect(shell("mkdir \(one.path("e/again")); ls \(two.path("e"))").output == "again\n")
    }

    @Test func `what cannot be is a sentence and an exit status`() throws {
        let workspace = try Workspace()
        defer { workspace.tearDown() }
        let server = try ServerProcess(.ours, in: workspace)
        let zkfs = try Workspace.program("zkfs")
        let point = try workspace.makeDirectory("point")
        let secret = workspace.path("secret")
        try "digest:bob:sesame\n".write(toFile: secret, atomically: true, encoding: .utf8)
        func fails(
            _ arguments: [String],
            _ status: Int32,
            _ words: String,
            sourceLocation: SourceLocation = #_sourceLocation
        ) {
            let result = run([zkfs] + arguments, limit: 20)
            #expect(
                result.status == status && result.errors.contains(words),
                "\(result.status): \(result.errors)",
                sourceLocation: sourceLocation
            )
        }
        fails([server.address + "/none", point], 1, "does not exist")
        fails([server.address, point, "-o", "nonsense"], 2, "no such option")
        fails([server.address, point + "-none"], 1, "No such file or directory")
        fails(["127.0.0.1:\(try Workspace.freePort())", point, "-o", "connect=1"], 1, "no server")
        _ = run(["chmod", "644", secret])
        fails([server.address, point, "-o", "auth=\(secret)"], 1, "0600")
        _ = run(["chmod", "600", secret])
        _ = run(["ln", "-s", secret, secret + "-link"])
        fails([server.address, point, "-o", "auth=\(secret)-link"], 1, "symbolic link")

        // As a daemon: back when the mount answers, away when it is unmounted.
        let log = workspace.path("daemon.log")
        workspace.adoptMount(point)
        let started = run(
            [
                zkfs, server.address + "/a/b", point, "-o",
                "mkchroot,auth=\(secret),log=\(log)",
            ],
            limit: 20
        )
        #expect(started.status == 0, "\(started.errors)")
        let result = shell(
            """
            echo key > \(point)/key; chmod 600 \(point)/key; test "$(stat -c %a \(point)/key)" = 600
            ! grep -q sesame \(log)
            sleep 60 < \(point)/key & holder=$!
            until readlink /proc/$holder/fd/0 | grep -q /key; do :; done
            umount \(point) 2>\(workspace.path("busy")) && exit 3
            grep -q busy \(workspace.path("busy"))
            kill $holder; wait $holder || true
            umount \(point)
            ! mountpoint -q \(point)
            """
        )
        #expect(result.status == 0, "\(result.status) \(result.errors)")
        let mount = try MountProcess(server.address, in: workspace, options: ["ro"])
        let refused = shell("cat \(mount.path("a/b/key"))")
        #expect(refused.status != 0 && refused.errors.contains("Permission denied"))
        let readOnly = shell("mkdir \(mount.path("d"))")
        #expect(readOnly.status != 0 && readOnly.errors.contains("Read-only file system"))
    }
}
