import Foundation
import Testing

/// The four-letter words of our servers beside Apache's, in every role.
@Suite(.serialized, .enabled(if: Requirement.hasApache))
struct FourLetterWordTests {
    /// Counters of Apache's that are left out, as Docs/Operating.md says; all summaries are too.
    private let leftOut: Set = [
        "zk_outstanding_changes_removed", "zk_throttled_ops", "zk_stale_requests_dropped",
        "zk_large_requests_rejected", "zk_insecure_admin_count", "zk_dead_watchers_queued",
        "zk_stale_requests", "zk_dead_watchers_cleared", "zk_response_packet_cache_hits",
        "zk_add_dead_watcher_stall_time", "zk_request_throttle_wait_count",
        "zk_requests_not_forwarded_to_commit_processor", "zk_response_packet_cache_misses",
        "zk_ensemble_auth_success", "zk_prep_processor_request_queued", "zk_stale_replies",
        "zk_ensemble_auth_fail", "zk_response_packet_get_children_cache_misses",
        "zk_quit_leading_due_to_disloyal_voter", "zk_unrecoverable_error_count",
        "zk_unsuccessful_handshake", "zk_response_packet_get_children_cache_hits",
        "zk_sync_processor_request_queued", "zk_outstanding_changes_queued",
        "zk_request_commit_queued", "zk_ensemble_auth_skip",
        "zk_skip_learner_request_to_next_processor_count", "zk_tls_handshake_exceeded",
    ]
    private let ours: Set = ["zk_process_resident_bytes"]

    /// Gauges of the same look are none.
    private func isSummary(_ key: String) -> Bool {
        let gauges: Set = [
            "zk_avg_latency", "zk_min_latency", "zk_max_latency", "zk_min_proposal_size",
            "zk_max_proposal_size", "zk_max_client_response_size", "zk_min_client_response_size",
            "zk_max_file_descriptor_count",
        ]
        return !gauges.contains(key)
            && ["avg", "min", "max", "cnt", "sum", "p50", "p95", "p99", "p999"].contains {
                key.hasPrefix("zk_\($0)_")
            }
    }

    /// A client with an ephemeral and watches, on each server the same.
    private func client(of server: ServerProcess, number: Int) throws -> RawClient {
        let client = try RawClient.connected(to: server.port)
        #expect(client.ask(.create("/n\(number)", [1]))?.error == 0)
        #expect(client.ask(.create("/e\(number)", flags: 1))?.error == 0)
        #expect(client.ask(.getData("/n\(number)", watch: true))?.error == 0)
        #expect(client.ask(.exists("/none", watch: true))?.error == -101)
        return client
    }

    private func lines(_ text: String) -> [String] {
        text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    }

    /// A line without what differs from run to run.
    private func shape(_ line: String) -> String {
        for head in ["Zookeeper version: ", "zk_version\t"] where line.hasPrefix(head) {
            return head + "#"
        }
        var line = line
        for (pattern, replacement) in [
            ("/tmp/[^ ]*/server[0-9]*-data", "DIR"), ("expire at .*:$", "expire at DATE:"),
            ("0x[0-9a-f]+", "0x#"), ("-?[0-9]+(\\.[0-9]+)?", "#"),
        ] {
            line = line.replacingOccurrences(
                of: pattern,
                with: replacement,
                options: .regularExpression
            )
        }
        return line
    }

    private func keys(_ server: ServerProcess) -> [String] {
        lines(server.fourLetterWord("mntr")).dropLast().map {
            String($0.prefix { $0 != "\t" })
        }
    }

    private func compare(_ mine: ServerProcess, _ apaches: ServerProcess, _ role: String) throws {
        let printed = keys(mine)
        let expected = keys(apaches)
        let both = Set(printed).intersection(expected)
        #expect(printed.filter(both.contains) == expected.filter(both.contains), "\(role)")
        #expect(Set(printed).subtracting(both) == ours, "\(role)")
        let missing = Set(expected).subtracting(both).filter { !isSummary($0) }
        #expect(missing == leftOut, "\(role)")
        for word in ["srvr", "stat", "conf", "isro", "ruok", "gtmk", "stmk", "hash"] {
            let (one, other) = (mine.fourLetterWord(word), apaches.fourLetterWord(word))
            #expect(lines(one).map(shape) == lines(other).map(shape), "\(word), \(role)")
        }
        // When sets of sessions end differs by a moment, and so does how many there are.
        for word in ["dump", "cons", "wchs", "wchc", "wchp", "dirs", "crst", "srst"] {
            let (one, other) = (mine.fourLetterWord(word), apaches.fourLetterWord(word))
            #expect(Set(lines(one).map(shape)) == Set(lines(other).map(shape)), "\(word), \(role)")
        }
        let environment = lines(apaches.fourLetterWord("envi")).map { $0.prefix { $0 != "=" } }
        let own = lines(mine.fourLetterWord("envi")).map { $0.prefix { $0 != "=" } }
        #expect(own == environment.filter { !$0.hasPrefix("java.") && !$0.hasPrefix("os.memory") })
        let text = mine.fourLetterWord("srvr")
        #expect(text.contains("Mode: \(role)\n"))
    }

    @Test func `a server alone answers as Apache's does`() throws {
        let workspace = try Workspace()
        defer { workspace.tearDown() }
        let mine = try ServerProcess(.ours, in: workspace, name: "server1")
        let apaches = try ServerProcess(.apache, in: workspace, name: "server2")
        let clients = try [mine, apaches].map { try client(of: $0, number: 1) }
        try compare(mine, apaches, "standalone")
        for client in clients { client.close(sessionToo: true) }
    }

    @Test func `leader, follower and observer answer as Apache's do`() throws {
        // The members have the same names in both.
        let workspaces = [ServerProcess.Kind.ours: try Workspace(), .apache: try Workspace()]
        defer { for workspace in workspaces.values { workspace.tearDown() } }
        var servers: [ServerProcess.Kind: [String: ServerProcess]] = [:]
        var clients: [RawClient] = []
        for kind in ServerProcess.Kind.allCases {
            let ensemble = try Ensemble(
                [kind, kind, kind],
                in: try #require(workspaces[kind]),
                observers: [3]
            )
            for (index, member) in ensemble.members.enumerated() {
                clients.append(try client(of: member, number: index))
                let mode = try #require(ensemble.mode(of: member))
                servers[kind, default: [:]][mode] = member
            }
        }
        for role in ["leader", "follower", "observer"] {
            let mine = try #require(servers[.ours]?[role])
            let apaches = try #require(servers[.apache]?[role])
            try compare(mine, apaches, role)
        }
        for client in clients { client.close(sessionToo: true) }
    }

    @Test func `only words that are allowed are answered, and srvr always is`() throws {
        let workspace = try Workspace()
        defer { workspace.tearDown() }
        let line = "4lw.commands.whitelist=mntr, ruok"
        let servers = try ServerProcess.Kind.allCases.map {
            try ServerProcess($0, in: workspace, name: "\($0)", extra: [line])
        }
        for word in ["srvr", "mntr", "ruok", "isro", "conf", "stat", "RUOK", "none"] {
            let answers = servers.map { lines($0.fourLetterWord(word)).first.map(shape) }
            #expect(answers[0] == answers[1], "\(word)")
        }
    }

    @Test func `a member without a leader answers as Apache's does`() throws {
        let workspace = try Workspace()
        defer { workspace.tearDown() }
        var lonely: [ServerProcess] = []
        for kind in ServerProcess.Kind.allCases {
            let lines = try (1...3).map { number in
                "server.\(number)=127.0.0.1:\(try Workspace.freePort())"
                    + ":\(try Workspace.freePort())"
            }
            let data = try workspace.makeDirectory("\(kind)-data")
            try "1".write(toFile: data + "/myid", atomically: true, encoding: .utf8)
            lonely.append(
                try ServerProcess(
                    kind,
                    in: workspace,
                    name: "\(kind)",
                    dataDirectory: data,
                    isMember: true,
                    extra: lines + ["initLimit=10", "syncLimit=5"]
                )
            )
        }
        for server in lonely {
            eventually("\(server.kind) answers") { server.fourLetterWord("ruok") == "imok" }
        }
        for word in [
            "conf", "cons", "crst", "dirs", "dump", "gtmk", "hash", "isro", "mntr", "ruok", "srst",
            "srvr", "stat", "stmk", "wchc", "wchp", "wchs",
        ] {
            let answers = lonely.map { $0.fourLetterWord(word) }
            #expect(answers[0] == answers[1], "\(word)")
        }
    }
}
