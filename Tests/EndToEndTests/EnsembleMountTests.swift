import Foundation
import Testing

/// One mount of three servers, which die.
@Suite(.serialized, .enabled(if: Requirement.hasFuse, "no /dev/fuse, or not root"))
struct EnsembleMountTests {
    @Test(arguments: MountTests.servers)
    func `a loop of cat and echo sees no error while three servers die one after another`(
        kind: ServerProcess.Kind
    ) throws {
        let workspace = try Workspace()
        defer { workspace.tearDown() }
        let ensemble = try Ensemble([kind, kind, kind], in: workspace)
        let mount = try MountProcess(
            ensemble.addresses,
            in: workspace,
            options: ["timeout=20", "hold=60"]
        )
        let said = workspace.path("said")
        let loop = try ChildProcess(
            [
                "bash", "-c",
                """
                cd "$1"; mkdir new; n=0
                while ! test -e "$2.stop"; do
                    n=$((n + 1))
                    echo "value-$n" > value || echo "write $n failed"
                    got=$(cat value) || echo "read $n failed"
                    test "$got" = "value-$n" || echo "wrote value-$n, read $got"
                    echo "new-$n" > "new/$n" || echo "creation $n failed"
                    echo "$n" >> "$2"
                done
                """, "-", mount.mountPoint, said,
            ],
            log: workspace.path("loop.log")
        )
        workspace.adopt(loop)
        func count() -> Int {
            (try? String(contentsOfFile: said, encoding: .utf8))?.split(separator: "\n").count ?? 0
        }
        func goesOn(_ when: String) {
            let before = count()
            eventually("the loop goes on \(when)", limit: 90) { count() > before + 5 }
        }
        goesOn("at first")
        for (index, member) in ensemble.members.enumerated() {
            member.kill()
            goesOn("without server \(index + 1)")
            try member.launchAgain()
            ensemble.waitUntilServing()
            goesOn("with server \(index + 1) again")
        }
        _ = FileManager.default.createFile(atPath: said + ".stop", contents: nil)
        eventually("the loop ends") { !loop.isRunning }
        #expect(loop.log == "", "\(loop.log)\n\(mount.child.log)")
        // Whatever the loop was told is on every server.
        let last = count()
        for member in ensemble.members {
            let other = try MountProcess(
                member.address,
                in: workspace,
                name: "other-\(member.port)"
            )
            let result = shell(
                """
                cd \(other.mountPoint); sync value
                test "$(cat value)" = value-\(last)
                for n in $(seq \(last)); do echo "new-$n"; done > \(workspace.path("expected"))
                for n in $(seq \(last)); do cat "new/$n"; done | cmp - \(workspace.path("expected"))
                test "$(ls new | wc -l)" = \(last)
                """,
                limit: 120
            )
            #expect(result.status == 0, "\(member.port): \(result.output)\(result.errors)")
            other.terminate()
        }
    }
}
