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
        let stopped = quickstart("stop", directory)
        #expect(stopped.status == 0, "\(stopped.output)\(stopped.errors)")
        #expect(run(["mountpoint", "-q", mountPoint]).status != 0)
        // The data is there next time; the ephemeral is not.
        #expect(quickstart(directory, mountPoint).status == 0)
        #expect(shell("cat \(mountPoint)/app.conf").output == "host=db2\n")
        #expect(shell("test ! -e \(mountPoint)/election/leader").status == 0)
        #expect(quickstart("stop", directory).status == 0)
    }
}
