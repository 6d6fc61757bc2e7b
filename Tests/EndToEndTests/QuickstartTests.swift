import Foundation
import Testing

/// The first command of the README, as a new user pastes it.
@Suite(.serialized, .enabled(if: Requirement.hasFuse, "no /dev/fuse, or not root"))
struct QuickstartTests {
    private static let script = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Mount/quickstart").path

    /// The lines that quickstart prints between "Try these" and the text after them.
    private static func pastedLines(_ output: String) -> [String] {
        output.split(separator: "\n", omittingEmptySubsequences: false)
            .drop { !$0.hasPrefix("Try these") }.dropFirst(2)
            .prefix { $0.hasPrefix("  ") }.map { $0.trimmingCharacters(in: .whitespaces) }
    }

    @Test func `it starts, its five lines work, it stops, and the data stays`() throws {
        let workspace = try Workspace()
        defer { workspace.tearDown() }
        let bin = URL(fileURLWithPath: try Workspace.program("zkserver"))
            .deletingLastPathComponent().path
        // In zoo.cfg a backslash escapes, in a list of options a comma parts.
        let directory = workspace.path("st\\ate, 1")
        let mountPoint = workspace.path("zk")
        workspace.adoptMount(mountPoint)
        func quickstart(_ arguments: String...) -> CommandResult {
            run(
                [Self.script] + arguments,
                limit: 120,
                environment: ["ZKFS_BIN": bin, "HOME": workspace.directory.path]
            )
        }
        defer { _ = quickstart("stop", directory) }
        let started = quickstart(directory, mountPoint)
        try #require(started.status == 0, "\(started.output)\(started.errors)")
        let lines = Self.pastedLines(started.output)
        #expect(lines.count == 5)
        for line in lines {
            let pasted = run(["bash", "-c", line], limit: 30)
            #expect(pasted.status == 0, "\(line)\n\(pasted.output)\(pasted.errors)")
            #expect(!pasted.output.isEmpty, "\(line)")
        }
        // One of the three goes, and nobody notices; run again, it comes back, and no harm is done.
        #expect(shell("kill -9 $(cat '\(directory)/2/zkserver.pid')").status == 0)
        #expect(shell("cat \(mountPoint)/app.conf").output == "host=db2\n")
        let again = quickstart(directory, mountPoint)
        #expect(again.status == 0, "\(again.output)\(again.errors)")
        #expect(shell("cat \(mountPoint)/app.conf").output == "host=db2\n")
        // The place is taken, which is said before three more servers are started.
        let other = quickstart(workspace.path("other"), mountPoint)
        #expect(other.status == 1)
        #expect(other.errors.contains("something else is mounted at"), "\(other.errors)")
        #expect(shell("test ! -e \(workspace.path("other"))/1").status == 0)
        let stopped = quickstart("stop", directory)
        #expect(stopped.status == 0, "\(stopped.output)\(stopped.errors)")
        #expect(run(["mountpoint", "-q", mountPoint]).status != 0)
        // The data is there next time; the ephemeral is not.
        #expect(quickstart(directory, mountPoint).status == 0)
        #expect(shell("cat \(mountPoint)/app.conf").output == "host=db2\n")
        #expect(shell("test ! -e \(mountPoint)/election/leader").status == 0)
        #expect(quickstart("stop", directory).status == 0)
    }

    @Test(
        arguments: [
            ("full", "full", "would hide the data in"),
            ("full/inside", "full", "would hide the data in"),
            ("full", ".", "would hide the data in"),
            ("full", "full/2/data", "is a server's own"),
        ]
    )
    func `a mount over the data is refused, and nothing is made`(
        directory: String,
        mountPoint: String,
        reason: String
    ) throws {
        let workspace = try Workspace()
        defer { workspace.tearDown() }
        let bin = URL(fileURLWithPath: try Workspace.program("zkserver"))
            .deletingLastPathComponent().path
        let refused = run(
            ["bash", "-c", "cd \(workspace.directory.path) && \"$@\"", "bash"]
                + [Self.script, directory, mountPoint],
            environment: ["ZKFS_BIN": bin]
        )
        #expect(refused.status == 1)
        #expect(refused.errors.contains(reason), "\(refused.errors)")
        #expect(shell("test ! -e \(workspace.path("full"))").status == 0)
    }

    @Test func `without programs, and asked for help, it starts nothing`() throws {
        let workspace = try Workspace()
        defer { workspace.tearDown() }
        let home = workspace.directory.path
        let refused = run(
            [Self.script, workspace.path("state"), workspace.path("zk")],
            environment: ["ZKFS_BIN": home, "HOME": home]
        )
        #expect(refused.status == 1)
        #expect(refused.errors.contains("there is no program zkserver in it"))
        for word in ["help", "-h", "--help"] {
            let help = run(
                ["bash", "-c", "cd \(home) && \(Self.script) \(word)"],
                environment: ["ZKFS_BIN": home, "HOME": home]
            )
            #expect(help.status == 0)
            #expect(help.output.contains("quickstart stop [DIR]"), "\(help.output)")
        }
        #expect(shell("cd \(home) && ls -d state zk help 2>/dev/null").output.isEmpty)
    }
}
