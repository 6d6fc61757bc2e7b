import Foundation
import Testing

/// A server that runs as a user of its own, as packages start it.
@Suite(.enabled(if: geteuid() == 0 || Requirement.requireAll))
struct ServiceUserTests {
    /// Not one of the system's own users, and not root.
    private static let user = "65534"

    private func launch(_ workspace: Workspace) throws -> ChildProcess {
        let child = try ChildProcess(
            [
                "setpriv", "--reuid=\(Self.user)", "--regid=\(Self.user)", "--clear-groups",
                workspace.path("zkserver"), workspace.path("server.cfg"),
            ],
            log: workspace.path("user.log")
        )
        workspace.adopt(child)
        return child
    }

    @Test func `what is only read may be read-only, and what is written to says so`() throws {
        let workspace = try Workspace()
        defer { workspace.tearDown() }
        let server = try ServerProcess(.ours, in: workspace, extra: ["snapCount=10"])
        let client = try RawClient.connected(to: server.port)
        for number in 0..<40 {
            try #require(client.ask(.create("/s\(number)", [1]))?.error == 0)
        }
        server.terminate()
        // A copy, since the build may lie where others cannot go.
        let program = try Workspace.program("zkserver")
        let prepared = shell(
            """
            cp \(program) \(workspace.path("zkserver"))
            cd \(server.dataDirectory)
            chown -R \(Self.user):\(Self.user) .
            newest=$(ls -t version-2/snapshot.* | head -1)
            test "$newest" != version-2/snapshot.0
            chown 0:0 $newest
            chmod 444 $newest
            """
        )
        try #require(prepared.status == 0, "\(prepared.errors)")

        let user = try launch(workspace)
        eventually("it serves: \(user.log)") {
            server.fourLetterWord("srvr").contains("Mode: standalone")
        }
        let reader = try RawClient.connected(to: server.port)
        #expect(reader.ask(.exists("/s39"))?.error == 0)
        #expect(reader.ask(.create("/more"))?.error == 0)
        user.terminate()

        let locked = shell(
            """
            cd \(server.dataDirectory)/version-2
            newest=$(ls -t log.* | head -1)
            chown 0:0 $newest
            chmod 444 $newest
            """
        )
        try #require(locked.status == 0, "\(locked.errors)")
        let refused = try launch(workspace)
        eventually("it ends") { !refused.isRunning }
        #expect(refused.log.contains("cannot open for reading and writing"), "\(refused.log)")
        #expect(refused.log.contains("Permission denied"), "\(refused.log)")
    }
}
