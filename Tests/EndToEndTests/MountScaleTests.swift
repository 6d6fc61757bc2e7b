import Foundation
import Testing

/// Many of everything, on real mounts of our server and Apache's.
@Suite(
    .serialized,
    .enabled(if: Requirement.hasFuse && Requirement.hasKazoo, "no /dev/fuse, not root, or no kazoo")
)
struct MountScaleTests {
    @Test(arguments: MountTests.servers)
    func `a directory of ten thousand is listed whole`(kind: ServerProcess.Kind) throws {
        let workspace = try Workspace()
        defer { workspace.tearDown() }
        let server = try ServerProcess(kind, in: workspace)
        let mount = try MountProcess(server.address, in: workspace)
        let made = run(
            [
                Workspace.python, "-c",
                """
                import sys
                from kazoo.client import KazooClient
                client = KazooClient(sys.argv[1], timeout=60); client.start()
                client.create("/many")
                for begin in range(0, 10_000, 1_000):
                    names = range(begin, begin + 1_000)
                    made = [client.create_async(f"/many/f{n:05}", b"x" * (n % 97)) for n in names]
                    for each in made: each.get(30)
                client.stop()
                """, server.address,
            ],
            limit: 120
        )
        try #require(made.status == 0, "\(made.errors)")
        let result = shell(
            """
            cd \(mount.mountPoint)
            seq -f f%05g 0 9999 > \(workspace.path("names"))
            ls many | cmp - \(workspace.path("names"))
            ls -U many | sort | cmp - \(workspace.path("names"))
            test "$(find many -type f | wc -l)" = 10000
            # Every size, with a stat of each.
            ls -l many | awk 'NR > 1 { if ($5 != substr($9, 2) % 97) exit 1; n++ } END { exit n != 10000 }'
            test "$(find many -type f -size +0c -printf '%s\\n' | awk '{ s += $1 } END { print s }')" = \
                "$(seq 0 9999 | awk '{ s += $1 % 97 } END { print s }')"
            rm many/f0[0-9]00[0-9]
            test "$(ls many | wc -l)" = 9900
            """,
            limit: 240
        )
        #expect(result.status == 0, "\(result.output)\(result.errors)\n\(mount.child.log)")
    }

    @Test(arguments: MountTests.servers)
    func `two thousand readers wait, hear, and end`(kind: ServerProcess.Kind) throws {
        let workspace = try Workspace()
        defer { workspace.tearDown() }
        let server = try ServerProcess(kind, in: workspace)
        let mount = try MountProcess(server.address, in: workspace, options: ["timeout=40"])
        let result = run(
            [
                Workspace.python, "-c",
                """
                import os, sys, threading, time
                M, daemon = sys.argv[1], sys.argv[2]
                threading.stack_size(1 << 17)
                tasks = lambda: len(os.listdir(f"/proc/{daemon}/task"))
                before = tasks()
                os.mkdir(f"{M}/one")
                heard = []
                # Half of them on one path, the others each on its own, which does not exist yet.
                paths = [f"{M}/one"] * 1000 + [f"{M}/each{n}" for n in range(1000)]
                files = [os.open(path + "@watch", os.O_RDONLY) for path in paths]
                def read(file):
                    line = os.read(file, 1000)
                    heard.append(line.split()[0])
                readers = [threading.Thread(target=read, args=(file,)) for file in files]
                for reader in readers: reader.start()
                def waiting():
                    lines = open(f"{M}/@zkfs/status").read().split()
                    return next(int(l.split("=")[1]) for l in lines if l.startswith("waiting_requests"))
                while waiting() < 2001: time.sleep(0.05)  # with the one that asks
                assert tasks() == before, (before, tasks())
                assert os.listdir(f"{M}/one") == []
                os.mkdir(f"{M}/one/child")
                while len(heard) < 1000: time.sleep(0.05)
                for n in range(1000): os.mkdir(f"{M}/each{n}")
                for reader in readers: reader.join(60)
                assert sorted(set(heard)) == [b"child", b"created"] and len(heard) == 2000, len(heard)
                for file in files: os.close(file)
                """, mount.mountPoint, "\(mount.child.identifier)",
            ],
            limit: 240
        )
        #expect(result.status == 0, "\(result.errors)\n\(mount.child.log)")
        // Blocked ones end with their process.
        let killed = shell(
            """
            (for n in $(seq 20); do cat \(mount.path("one@watch")) & done; wait) & group=$!
            until grep -q waiting_requests=21 \(mount.path("@zkfs/status")); do :; done
            kill -9 $(pgrep -P $group); wait $group || true
            until grep -q waiting_requests=1 \(mount.path("@zkfs/status")); do :; done
            """,
            limit: 60
        )
        #expect(killed.status == 0, "\(killed.errors)\n\(mount.child.log)")
    }

    @Test(arguments: MountTests.servers)
    func `rsync copies there and back, and finds nothing to do again`(
        kind: ServerProcess.Kind
    ) throws {
        let workspace = try Workspace()
        defer { workspace.tearDown() }
        let server = try ServerProcess(kind, in: workspace)
        let mount = try MountProcess(server.address, in: workspace)
        let result = shell(
            """
            cd \(workspace.directory.path)
            mkdir -p src/deep/er src/empty
            for n in $(seq 200); do echo "value $n" > src/deep/f$n; done
            head -c 300000 /dev/urandom > src/deep/er/big
            : > src/nothing
            ln -s deep/f1 src/link
            chmod 755 src/deep/f2
            touch -d '2020-02-02 02:02:02' src/deep/f3
            rsync -a src/ mnt/dst/
            diff -r src mnt/dst
            test "$(readlink mnt/dst/link)" = deep/f1
            # Nothing is sent twice.
            test -z "$(rsync -ai src/ mnt/dst/ | grep '^[<>c]')"
            rsync -a mnt/dst/ back/
            diff -r src back
            test "$(stat -c %Y back/deep/f3)" = "$(stat -c %Y src/deep/f3)"
            test -z "$(rsync -ai mnt/dst/ back/ | grep '^[<>c]')"
            # A change and a deletion go both ways, by replacement and in place.
            echo changed > src/deep/f4; rm src/deep/f5
            rsync -a --delete src/ mnt/dst/; diff -r src mnt/dst
            echo here > mnt/dst/deep/f6; rm mnt/dst/deep/f7
            rsync -a --inplace --delete mnt/dst/ back/; diff -r mnt/dst back
            """,
            limit: 180
        )
        #expect(result.status == 0, "\(result.output)\(result.errors)\n\(mount.child.log)")
    }
}
