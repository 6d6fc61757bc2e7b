import Foundation
import Testing

/// Local sessions and read-only servers, ours beside Apache's: the same script, the same answers.
@Suite(.serialized, .enabled(if: Requirement.hasApache))
struct SessionKindTests {
    private func zxid(_ server: ServerProcess) throws -> Int64 {
        let text = server.fourLetterWord("srvr")
        let line = text.split(separator: "\n").first { $0.hasPrefix("Zxid: 0x") }
        return try #require(
            line.flatMap { Int64($0.dropFirst(8), radix: 16) },
            "no zxid in \(text)"
        )
    }

    /// What a client of each server sees of local sessions, in words.
    private func localScript(_ ensemble: Ensemble) throws -> [String] {
        var seen: [String] = []
        for role in ["leader", "follower", "observer"] {
            let index = try #require(
                ensemble.members.firstIndex { ensemble.mode(of: $0) == role }
            )
            let server = ensemble.members[index]
            let other = ensemble.members[(index + 1) % 3]
            let client = try RawClient.connected(to: server.port)
            func say(_ what: String, _ reply: RawReply?) {
                seen.append("\(role), \(what): \(reply.map { "\($0.error)" } ?? "nothing")")
            }
            say("create", client.ask(.create("/\(role)")))
            let before = try zxid(server)
            say("ephemeral", client.ask(.create("/e\(role)", flags: 1)))
            seen.append("\(role), transactions: \(try zxid(server) - before)")
            say("sequential ephemeral", client.ask(.create("/f\(role)", flags: 3)))
            say("set", client.ask(.setData("/\(role)", [1])))
            let sessions = server.fourLetterWord("mntr").split(separator: "\n").filter {
                $0.hasPrefix("zk_local_sessions") || $0.hasPrefix("zk_global_sessions")
            }
            seen.append("\(role), \(sessions)")
            let stranger = try #require(RawClient(port: other.port))
            let moved = stranger.open(session: client.session)
            seen.append("\(role), moved: \(moved.map { $0.isAlive } ?? false)")
            let back = try #require(RawClient(port: server.port))
            seen.append("\(role), back: \(back.open(session: client.session)?.isAlive ?? false)")
            let end = try zxid(server)
            say("close", back.ask(.closeSession))
            eventually("the close is there") {
                RawClient(port: server.port)?.open(session: client.session)?.isAlive == false
            }
            seen.append("\(role), transactions of the close: \(try zxid(server) - end)")
        }
        return seen
    }

    @Test(arguments: [false, true])
    func `local sessions are made, upgraded, moved and closed as Apache's`(upgrading: Bool) throws {
        var seen: [[String]] = []
        for kind in ServerProcess.Kind.allCases {
            let workspace = try Workspace()
            defer { workspace.tearDown() }
            let ensemble = try Ensemble(
                [kind, kind, kind],
                in: workspace,
                observers: [3],
                extra: [
                    "localSessionsEnabled=true", "localSessionsUpgradingEnabled=\(upgrading)",
                ]
            )
            seen.append(try localScript(ensemble))
        }
        #expect(seen[0] == seen[1])
        #expect(seen[0].contains("follower, ephemeral: \(upgrading ? 0 : -120)"))
    }

    /// What a server says that has lost the others.
    private func readOnlyScript(_ ensemble: Ensemble) throws -> [String] {
        var seen: [String] = []
        let leader = try #require(ensemble.leader)
        let follower = 1 - leader
        let server = ensemble.members[follower]
        let member = try RawClient.connected(to: server.port)
        #expect(member.ask(.create("/a", [7]))?.error == 0)
        // It makes the session one of the whole ensemble.
        #expect(member.ask(.create("/mine", flags: 1))?.error == 0)
        ensemble.members[leader].kill()
        eventually("it serves read-only") { server.fourLetterWord("isro") == "ro" }
        func open(_ what: String, _ request: [UInt8]) throws {
            let client = try #require(RawClient(port: server.port))
            client.send(request)
            seen.append("\(what): \(client.receive() == .closed ? "closed" : "an answer")")
        }
        try open("plain", RawClient.connectRequest(timeout: 9000))
        try open("old", RawClient.connectRequest(timeout: 9000, hasReadOnlyFlag: false))
        try open(
            "a session of the ensemble",
            RawClient.connectRequest(timeout: 9000, session: member.session, readOnly: true)
        )
        let client = try #require(RawClient(port: server.port))
        let session = try #require(client.open(timeout: 9000, readOnly: true))
        seen.append("session: \(session.timeout) \(session.isReadOnly)")
        let requests: [(String, RawRequest)] = [
            ("getData", .getData("/a", watch: true)), ("exists", .exists("/b", watch: true)),
            ("getChildren", .getChildren("/")), ("create", .create("/b")),
            ("ephemeral", .create("/b", flags: 1)), ("setData", .setData("/a", nil)),
            ("delete", .delete("/a")), ("sync", .sync("/a")), ("check", .check("/a", version: -1)),
            ("multi", .multi([.check("/a", version: -1)])), ("addWatch", .addWatch("/a", mode: 0)),
            ("auth", .auth("digest", "u:p")),
        ]
        for (name, request) in requests {
            let reply = client.ask(request)
            seen.append("\(name): \(reply.map { "\($0.error)" } ?? "nothing")")
        }
        let text = server.fourLetterWord("srvr").split(separator: "\n")
        seen.append(text.dropFirst().first.map(String.init) ?? "")
        seen.append(text.first { $0.hasPrefix("Mode:") }.map(String.init) ?? "")
        let again = try #require(RawClient(port: server.port))
        let back = again.open(timeout: 9000, session: session, readOnly: true)
        seen.append("back: \(back?.id == session.id)")
        seen.append("close: \(again.ask(.closeSession)?.error ?? 1)")
        let last = try #require(RawClient(port: server.port))
        let lastSession = try #require(last.open(timeout: 30_000, readOnly: true))
        try ensemble.members[leader].launchAgain()
        seen.append("with a leader: \(last.receive(limit: 30) == .closed)")
        ensemble.waitUntilServing()
        let late = try #require(RawClient(port: server.port))
        let lateSession = late.open(session: lastSession, readOnly: true)
        seen.append("the read-only session later: \(lateSession?.isAlive ?? true)")
        let home = try #require(RawClient(port: server.port))
        seen.append(
            "the ensemble's session: \(home.open(session: member.session)?.isAlive ?? false)"
        )
        return seen
    }

    @Test func `a server that has lost the others serves read-only as Apache's`() throws {
        var seen: [[String]] = []
        for kind in ServerProcess.Kind.allCases {
            let workspace = try Workspace()
            defer { workspace.tearDown() }
            // Without local sessions Apache's answers a read-only client with a broken frame.
            let ensemble = try Ensemble(
                [kind, kind, kind],
                in: workspace,
                observers: [3],
                extra: [
                    "readonlymode.enabled=true", "localSessionsEnabled=true",
                    "localSessionsUpgradingEnabled=true",
                ]
            )
            seen.append(try readOnlyScript(ensemble))
        }
        #expect(seen[0] == seen[1])
        #expect(seen[0].contains("create: -119"))
        #expect(seen[0].last == "the ensemble's session: true")
    }
}
