import Foundation
import Testing

/// One script on our server and on Apache's 3.8.0; each line of what they answer must be the same.
///
/// Where our server answers differently on purpose, Docs/Protocol.md says so and the script leaves
/// it out.
@Suite(.serialized, .enabled(if: Requirement.hasApache))
struct ApacheComparisonTests {
    @Test func `our server answers a script as Apache's does`() throws {
        let workspace = try Workspace()
        defer { workspace.tearDown() }
        let ours = try ServerProcess(.ours, in: workspace, name: "ours")
        let apache = try ServerProcess(.apache, in: workspace, name: "apache")
        var answers: [[String]] = []
        for server in [ours, apache] {
            let transcript = Transcript(of: server)
            ComparisonScript(transcript).run(on: server)
            answers.append(transcript.lines)
        }
        #expect(answers[0].count > 250)
        for (index, (mine, theirs)) in zip(answers[0], answers[1]).enumerated()
        where mine != theirs {
            Issue.record("line \(index)\n  ours:   \(mine)\n  Apache: \(theirs)")
        }
        #expect(answers[0].count == answers[1].count)
    }
}

/// The script, by subject.
struct ComparisonScript {
    let t: Transcript

    init(_ transcript: Transcript) { t = transcript }

    func run(on server: ServerProcess) {
        let counted = server.fourLetterWord("srvr").split(separator: "\n")
            .filter { $0.hasPrefix("Node count:") || $0.hasPrefix("Mode:") }
        t.note("fresh: " + counted.joined(separator: ", "))
        sessions()
        freshTree()
        creates()
        reads()
        writes()
        paths()
        accessControl()
        multis()
        watches()
        reconnections()
        oddRequests()
        ends()
        t.note("done: " + server.fourLetterWord("ruok"))
    }

    private func sessions() {
        t.open("short", timeout: 1)
        t.open("long", timeout: 10_000_000)
        t.open("negative", timeout: -5)
        t.open("old", hasReadOnlyFlag: false)
        t.open("a")
        t.open("b")
        for name in ["short", "long", "negative", "old"] {
            t.settle(name)
            t.ask(name, .closeSession)
            t.expectEnd(name)
        }
        t.open("wrong", again: "a", password: Array(repeating: 7, count: 16))
        t.expectEnd("wrong")
        t.open("gone", again: "short")
        t.expectEnd("gone")
        t.open("ahead", lastZxid: 1 << 40)
        // Apache's has closed "a" for the wrong password; ours protects it.
        t.drop("a")
        t.open("a", again: "a")
        t.settle("a")
    }

    private func freshTree() {
        for path in ["/", "", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"] {
            t.ask("a", .exists(path))
            t.ask("a", .getData(path))
            t.ask("a", .getACL(path))
            t.ask("a", .getChildren(path))
            t.ask("a", .getChildren(path, code: 12))
        }
        t.ask("a", .delete("/"))
        t.ask("a", .delete("/zookeeper"))
        t.ask("a", .delete("/zookeeper/quota"))
        t.ask("a", .delete("/zookeeper/config"))
        t.ask("a", .setData("/zookeeper/config", [1]))
        t.ask("a", .create("/zookeeper/config/x"))
        t.ask("a", .create("/zookeeper/mine", [1]))
        t.ask("a", .delete("/zookeeper/mine"))
        t.ask("a", .create("/", [1]))
    }

    private func creates() {
        t.ask("a", .create("/c", [1, 2, 3]))
        t.ask("a", .create("/c", [4]))
        t.ask("a", .create("/c/null", nil))
        t.ask("a", .create("/c/empty", []))
        t.ask("a", .create("/c/two", [9], code: 15))
        t.ask("a", .create("/c/two", [9], code: 15))
        t.ask("a", .create("/no/parent", []))
        for flags: Int32 in 0...3 {
            t.ask("a", .create("/c/kind\(flags)-", [1], flags: flags, code: 15))
            t.ask("a", .create("/c/kind\(flags)-", [1], flags: flags))
        }
        for flags: Int32 in [-1, 7, 8, 100, .max, .min] {
            t.ask("a", .create("/c/bad", flags: flags))
        }
        t.ask("a", .create("/c/", [], flags: 2))
        t.ask("a", .create("/c/kind1-/kid"))
        t.ask("a", .create("/c/kind1-/", [], flags: 2))
        t.ask("b", .create("/c/other", [], flags: 1))
        t.ask("a", .exists("/c/other"))
        t.ask("a", .getChildren("/c", code: 12))
        t.ask("a", .createTTL("/c/ttl", flags: 5, ttl: 1000))
        t.ask("a", .create("/c/none", acl: []))
        t.ask("a", .create("/c/none", acl: nil))
    }

    private func reads() {
        for name in ["null", "empty", "two", "kind0-", "kind1-", "missing"] {
            let path = "/c/" + name
            t.ask("a", .getData(path))
            t.ask("b", .exists(path))
            t.ask("b", .getACL(path))
            t.ask("a", .getChildren(path))
            t.ask("b", .getChildren(path, code: 12))
            t.ask("b", .sync(path))
        }
    }

    private func writes() {
        t.ask("a", .setData("/c", [5]))
        t.ask("b", .setData("/c", [6, 6], version: 1))
        t.ask("b", .setData("/c", [7], version: 1))
        t.ask("b", .setData("/c", [7], version: -5))
        t.ask("b", .setData("/c", nil, version: 2))
        t.ask("a", .getData("/c"))
        t.ask("b", .setData("/c", []))
        t.ask("a", .getData("/c"))
        t.ask("a", .setData("/missing", []))
        t.ask("a", .delete("/c"))
        t.ask("a", .delete("/c/two", version: 4))
        t.ask("a", .delete("/c/two", version: 0))
        t.ask("a", .delete("/c/two"))
        t.ask("a", .delete("/missing/too"))
        t.ask("a", .exists("/c"))
        t.ask("a", .create("/c/after-", flags: 2))
        t.ask("a", .exists("/c"))
        t.ask("a", .setACL("/c", RawACL.open, version: 0))
        t.ask("a", .setACL("/c", RawACL.open, version: 0))
        t.ask("a", .setACL("/c", RawACL.open))
        t.ask("a", .setACL("/missing", RawACL.open))
        t.ask("a", .exists("/c"))
    }

    private func paths() {
        t.ask("a", .create("/p"))
        let odd: [String?] = [
            nil, "", "relative", "//", "/p/", "/p//x", "/p/.", "/p/..", "/p/./x", "/p/...", "/p/.b",
            "/p/\u{0}", "/p/\u{1}", "/p/\u{1f}", "/p/\u{7f}", "/p/\u{9f}", "/p/\u{a0}",
            "/p/\u{2028}", "/p/\u{e000}", "/p/\u{f8ff}", "/p/\u{f900}", "/p/\u{fff0}",
            "/p/\u{ffef}", "/p/\u{1f600}", "/p/é", "/p/a b",
        ]
        for path in odd {
            t.ask("a", .create(path))
            t.ask("a", .exists(path))
            t.ask("a", .setData(path, [1]))
            t.ask("a", .delete(path))
        }
        for path: String? in [nil, "", "relative", "//", "/p/", "/p//x", "/p/.", "/p/\u{0}"] {
            t.ask("a", .getData(path))
            t.ask("a", .getChildren(path))
            t.ask("a", .getACL(path))
            t.ask("a", .setACL(path, RawACL.open))
            if path != nil { t.ask("a", .sync(path)) }
            t.ask("a", .create(path, flags: 2))
        }
        t.ask("a", .getChildren("/p", code: 12))
    }

    private func accessControl() {
        func acl(_ permissions: Int32, _ scheme: String, _ id: String) -> [RawACL] {
            [RawACL(permissions: permissions, scheme: scheme, id: id)]
        }
        t.ask("a", .create("/acl"))
        let lists: [[RawACL]] = [
            acl(31, "world", "someone"), acl(31, "nobody", "x"), acl(31, "auth", ""),
            acl(31, "digest", "u"), acl(31, "digest", "a:"), acl(31, "digest", "a:b:c"),
            acl(31, "digest", "u:x"), acl(31, "ip", "127.0.0.1"), acl(31, "ip", "127.0.0.0/8"),
            acl(31, "ip", "127.0.0.0/33"), acl(31, "ip", "1.2.3"), acl(31, "ip", "1.2.3.256"),
            acl(0, "world", "anyone"), acl(255, "world", "anyone"),
            acl(31, "super", ""), acl(31, "", ""), RawACL.open + RawACL.open,
            acl(1, "world", "anyone") + acl(31, "digest", "u:x"),
        ]
        for (index, list) in lists.enumerated() {
            t.ask("a", .create("/acl/n\(index)", acl: list))
            t.ask("a", .getACL("/acl/n\(index)"))
            t.ask("a", .getData("/acl/n\(index)"))
        }
        t.ask("a", .auth("digest", "u:p"))
        t.ask("a", .create("/acl/mine", acl: acl(31, "auth", "ignored")))
        t.ask("a", .getACL("/acl/mine"))
        t.ask("b", .getACL("/acl/mine"))
        t.ask("b", .getData("/acl/mine"))
        t.ask("b", .setData("/acl/mine", []))
        t.ask("b", .getChildren("/acl/mine"))
        t.ask("b", .exists("/acl/mine"))
        t.ask("b", .create("/acl/mine/x"))
        t.ask("b", .setACL("/acl/mine", RawACL.open))
        t.ask("a", .create("/acl/mine/x"))
        t.ask("b", .delete("/acl/mine/x"))
        t.ask("b", .multi([.check("/acl/mine", version: -1)]))
        t.ask("a", .setACL("/acl/mine", acl(1, "world", "anyone")))
        t.ask("a", .getACL("/acl/mine"))
        t.ask("a", .setData("/acl/mine", []))
        t.ask("a", .setACL("/acl/mine", RawACL.open))
        t.ask("b", .auth("ip", "anything"))
        t.open("unknown")
        t.ask("unknown", .auth("nobody", "u:p"))
        t.expectEnd("unknown")
        t.open("world")
        t.ask("world", .auth("world", "anyone"))
        t.expectEnd("world")
    }

    private func multis() {
        t.ask("a", .create("/m"))
        t.ask("a", .multi([]))
        t.ask("a", .multi([.create("/m/1"), .setData("/m", [1]), .check("/m", version: 1)]))
        t.ask("a", .multi([.create("/m/2"), .create("/m/1"), .delete("/m/1")]))
        t.ask("a", .multi([.create("/m/s-", flags: 2), .create("/m/s-", flags: 2)]))
        t.ask("a", .multi([.delete("/m/1"), .create("/m/1", [1]), .setData("/m/1", [2])]))
        t.ask("a", .multi([.check("/missing", version: -1)]))
        t.ask("a", .multi([.create("/m/e", flags: 1), .delete("/m/e")]))
        t.ask("a", .multi([.create("/m/e", flags: 1), .create("/m/e/x"), .delete("/m/e")]))
        t.ask("a", .multi([.delete("/m")]))
        t.ask("a", .multi([.setData("/m", [], version: 77), .create("/m/never")]))
        t.ask("a", .multi([.create("relative")]))
        t.ask("a", .multi([.setACL("/m", RawACL.open)]))
        t.ask("a", .multi([.getData("/m")]))
        t.ask("a", .multi([.multi([])]))
        t.ask("a", .multi([RawRequest(99)]))
        t.ask("a", RawRequest(14, JuteBytes().int(1).bool(false)), as: "a multi without an end")
        t.ask("a", .getChildren("/m", code: 12))
        t.ask("a", .create("/m/after-", flags: 2))
    }

    private func watches() {
        t.ask("a", .create("/w"))
        // One-shot ones, on what is there and on what is not.
        t.ask("a", .getData("/w", watch: true))
        t.ask("a", .exists("/w/x", watch: true))
        t.ask("a", .getData("/w/y", watch: true))
        t.ask("a", .getChildren("/w", watch: true))
        t.ask("a", .getChildren("/w/y", watch: true))
        t.ask("b", .create("/w/x"))
        t.settle("a")
        t.ask("b", .create("/w/y"))
        t.ask("b", .setData("/w", [1]))
        t.settle("a")
        t.ask("b", .setData("/w", [2]))
        t.settle("a")
        // Its own write: the event comes before the reply.
        t.ask("a", .exists("/w/x", watch: true))
        t.ask("a", .getChildren("/w/x", watch: true, code: 12))
        t.ask("a", .getChildren("/w", watch: true))
        t.ask("a", .delete("/w/x"))
        t.ask("a", .getChildren("/", watch: true))
        t.ask("b", .create("/w2"))
        t.settle("a")
        t.ask("b", .setACL("/w", RawACL.open))
        // In a multi, each part in turn; in a failed one, none.
        t.ask("a", .getData("/w", watch: true))
        t.ask("a", .exists("/w/m", watch: true))
        t.ask("b", .multi([.create("/w/m"), .check("/w", version: 99)]))
        t.settle("a")
        t.ask("b", .multi([.create("/w/m"), .setData("/w", []), .delete("/w/m")]))
        t.settle("a")
        // Persistent ones.
        t.ask("a", .addWatch("/w", mode: 0))
        t.ask("a", .addWatch("/w2", mode: 1))
        t.ask("a", .addWatch("/w", mode: 2))
        t.ask("a", .addWatch("/later", mode: 0))
        for _ in 0..<2 {
            t.ask("b", .setData("/w", [3]))
            t.ask("b", .create("/w/k"))
            t.ask("b", .delete("/w/k"))
            t.ask("b", .create("/w2/k"))
            t.ask("b", .create("/w2/k/deep"))
            t.ask("b", .setData("/w2/k/deep", [1]))
            t.ask("b", .delete("/w2/k/deep"))
            t.ask("b", .delete("/w2/k"))
            t.ask("b", .create("/later"))
            t.ask("b", .delete("/later"))
            t.settle("a")
        }
        for type: Int32 in [0, 3, 4, 6] {
            t.ask("a", .watcher(17, "/w", type: type))
            t.ask("a", .watcher(17, "/none", type: type))
        }
        t.ask("a", .watcher(18, "/none", type: 3))
        t.ask("a", .watcher(18, "/w", type: 3))
        t.ask("a", .watcher(18, "/w", type: 3))
        t.ask("a", .watcher(18, "/w2", type: 3))
        t.ask("b", .setData("/w", []))
        t.ask("b", .create("/w2/k"))
        t.settle("a")
        t.ask("a", .exists("/w", watch: true))
        t.ask("a", .watcher(17, "/w", type: 2))
        t.ask("a", .watcher(17, "/w", type: 1))
        t.ask("a", .watcher(18, "/w", type: 1))
        t.ask("a", .watcher(18, "/w", type: 2))
        t.ask("a", .watcher(17, "/w", type: 2))
    }

    private func reconnections() {
        t.open("c")
        t.ask("c", .create("/r"))
        t.ask("c", .create("/r/kept", flags: 1))
        t.ask("c", .getData("/r", watch: true))
        t.drop("c")
        t.open("c", again: "c")
        t.ask("c", .exists("/r/kept"))
        // Connection a stays: its session is taken over by another connection.
        t.open("c2", again: "c")
        t.expectEnd("c")
        t.ask("b", .setData("/r", [1]))
        t.settle("c2")
        t.ask(
            "c2",
            .setWatches(
                0,
                data: ["/r", "/gone"],
                exist: ["/r", "/gone"],
                child: ["/r", "/gone"]
            )
        )
        t.ask(
            "c2",
            .setWatches(
                .max,
                data: ["/r"],
                exist: ["/gone"],
                child: ["/r"],
                persistent: ["/w"],
                recursive: ["/w2"]
            )
        )
        t.ask("b", .setData("/r", [2]))
        t.ask("b", .create("/r/x"))
        t.ask("b", .create("/gone"))
        t.ask("b", .setData("/w", [2]))
        t.ask("b", .create("/w2/again"))
        t.settle("c2")
        t.ask("c2", .closeSession)
        t.expectEnd("c2")
        t.ask("b", .exists("/r/kept"))
        t.ask("b", .exists("/r"))
    }

    private func oddRequests() {
        // A body that is too short, or that says it is longer than it is.
        for code: Int32 in [1, 2, 5, 7, 14, 15] {
            t.ask("b", RawRequest(code), as: "\(code) without a body")
            t.ask("b", RawRequest(code, JuteBytes().int(1000)), as: "\(code) with a long string")
            t.ask("b", RawRequest(code, JuteBytes().int(-7)), as: "\(code) with a negative length")
        }
        for code: Int32 in [3, 4, 6, 8, 9, 12, 17, 18, 101, 105, 106] {
            t.ask("b", RawRequest(code), as: "\(code) without a body")
            t.ask("b", RawRequest(code, JuteBytes().int(1000)), as: "\(code) with a long string")
        }
        t.ask("b", RawRequest(3, RawRequest.exists("/").body.raw([1, 2, 3])), as: "too many bytes")
        t.ask("b", RawRequest(3, JuteBytes().string("/").raw([9])), as: "an odd boolean")
        for code: Int32 in [10, 23, 99, 1000, 0, -1, .min] {
            t.open("x")
            t.ask("x", RawRequest(code))
            t.expectEnd("x")
            t.drop("x")
        }
        t.settle("b")
    }

    private func ends() {
        t.ask("b", .create("/end-watch", flags: 1))
        t.ask("a", .exists("/end-watch", watch: true))
        t.ask("a", .getChildren("/", watch: true))
        t.ask("b", .closeSession)
        t.settle("a")
        t.ask("a", .getChildren("/", code: 12))
        t.ask("a", .closeSession)
        t.open("last")
        t.ask("last", .getChildren("/c", code: 12))
        t.ask("last", .closeSession)
    }
}
