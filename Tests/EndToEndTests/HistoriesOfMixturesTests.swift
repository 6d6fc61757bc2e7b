import Foundation
import Testing
import ZooKeeperClient
import ZooKeeperModel

/// What can go wrong between our servers and Apache's in one ensemble, tried on real processes. The
/// table is Docs/Histories.md.
@Suite(.serialized, .enabled(if: Requirement.hasApache))
struct HistoriesOfMixturesTests {
    // MARK: Sessions

    @Test func `a session keeps all that is its own from Apache's leader to ours and back`()
        async throws
    {
        let workspace = try Workspace()
        defer { workspace.tearDown() }
        let ensemble = try Ensemble([.apache, .ours, .apache], in: workspace)
        var configuration = ZooKeeper.Configuration()
        configuration.sessionTimeout = .seconds(60)
        let zooKeeper = try await ZooKeeper.connect(
            ensemble.addresses,
            configuration: configuration
        )
        for path in ["/q", "/w"] { try await zooKeeper.create(path, data: [1]) }
        try await zooKeeper.create("/mine", data: nil, mode: .ephemeral)
        let owner = try #require(try await zooKeeper.exists("/mine")?.ephemeralOwner)
        for (round, leader) in [1, 2, 0, 1].enumerated() {
            let data = try await zooKeeper.getDataAndWatch("/w").events
            let children = try await zooKeeper.getChildrenAndWatch("/q").events
            let missing = try await zooKeeper.existsAndWatch("/new-\(round)").events
            ensemble.makeLead(leader)
            let other = try await ZooKeeper.connect(ensemble.members[0].address)
            let (name, _) = try await other.create("/q/n-", data: nil, mode: .persistentSequential)
            #expect(name == "/q/n-000000000\(round)")
            #expect(try await other.setData("/w", [2]).version == Int32(round) + 1)
            try await other.create("/new-\(round)", data: nil)
            #expect(try await data.only()?.kind == .dataChanged)
            #expect(try await children.only()?.kind == .childrenChanged)
            #expect(try await missing.only()?.kind == .created)
            try await other.delete(name)
            #expect(try await other.exists("/mine")?.ephemeralOwner == owner)
            await other.close()
        }
        ensemble.expectAlike()
        await zooKeeper.close()
        for member in ensemble.members {
            let reader = try await ZooKeeper.connect(member.address)
            try await reader.sync()
            #expect(try await reader.exists("/mine") == nil)
            await reader.close()
        }
    }

    // MARK: Whole databases

    /// The learner is stopped while it is sent the tree, so that the leader goes on writing it while
    /// everything in it changes.
    @Test(arguments: [ServerProcess.Kind.apache, .ours])
    func `a snapshot of a leader of either kind is whole whatever changes meanwhile`(
        leader: ServerProcess.Kind
    ) throws {
        let workspace = try Workspace()
        defer { workspace.tearDown() }
        let learner: ServerProcess.Kind = leader == .ours ? .apache : .ours
        let ensemble = try Ensemble([leader, leader, learner], in: workspace)
        let late = ensemble.members[2]
        late.kill()
        eventually("a leader among the rest", limit: 60) { (ensemble.leader ?? 2) < 2 }
        let client = try RawClient.connected(to: ensemble.members[0].port)
        let directories = 100
        for number in 0..<directories {
            let directory = "/d\(number)"
            let children = (0..<100).map {
                RawRequest.create("\(directory)/c\($0)", [UInt8](repeating: 7, count: 2000))
            }
            #expect(client.ask(.multi([.create(directory, nil)] + children))?.error == 0)
        }
        #expect(client.ask(.create("/many", nil))?.error == 0)
        for start in stride(from: 0, to: 100_000, by: 2000) {
            let names = (start..<(start + 2000)).map { RawRequest.create("/many/\($0)") }
            #expect(client.ask(.multi(names))?.error == 0)
        }
        try FileManager.default.removeItem(atPath: late.dataDirectory + "/version-2")
        try late.launchAgain()
        // Apache's says nothing here; what is sent to it was frozen when the sending began.
        if learner == .ours {
            eventually("the snapshot begins", limit: 60) {
                late.child.log.contains("whole database")
            }
            late.child.signal(SIGSTOP)
        }
        func list(_ user: Int) -> [RawACL] {
            [
                RawACL(permissions: 31, scheme: "digest", id: "u\(user):secret"),
                RawACL(permissions: 1, scheme: "world", id: "anyone"),
            ]
        }
        for number in 0..<directories {
            let directory = "/d\(number)"
            #expect(client.ask(.delete("\(directory)/c99"))?.error == 0)
            #expect(client.ask(.setACL(directory, list(number)))?.error == 0)
            #expect(client.ask(.setData("\(directory)/c0", nil))?.error == 0)
            let made = client.ask(.create("/many/new\(number)", nil, acl: list(1000 + number)))
            #expect(made?.error == 0)
        }
        late.child.signal(SIGCONT)
        ensemble.waitUntilServing()
        #expect(!late.child.log.contains("cannot be used"))
        ensemble.expectAlike()
        // From its own disk, too; and every list is what it should be, on each of them.
        late.kill()
        try late.launchAgain()
        ensemble.waitUntilServing()
        ensemble.expectAlike()
        for member in ensemble.members {
            let reader = try RawClient.connected(to: member.port)
            #expect(reader.ask(.sync("/"))?.error == 0)
            for number in 0..<directories {
                let data = reader.ask(.getData("/d\(number)/c0"))
                #expect(data.map { JuteBytes.int($0.body, at: 0) } == -1, "null stays null")
                let changed = reader.ask(.getACL("/d\(number)"))?.body ?? []
                #expect(changed.contains("u\(number):"), "\(member.kind), /d\(number)")
                let made = reader.ask(.getACL("/many/new\(number)"))?.body ?? []
                #expect(made.contains("u\(1000 + number):"), "\(member.kind), /many/new\(number)")
            }
            reader.close(sessionToo: true)
        }
    }

    // MARK: A history that nobody else has

    /// The leader logs a write while the others are stopped, and dies with it; what it had sent them
    /// dies with them. Those of the other kind elect one of theirs, and the old leader must give the
    /// write up: by TRUNC, for its history and theirs part in the middle of its log.
    @Test(arguments: [ServerProcess.Kind.apache, .ours])
    func `a write that the old leader alone has logged is cut off by a leader of the other kind`(
        old: ServerProcess.Kind
    ) throws {
        let workspace = try Workspace()
        defer { workspace.tearDown() }
        let others: ServerProcess.Kind = old == .ours ? .apache : .ours
        let ensemble = try Ensemble([old, others, others], in: workspace)
        ensemble.makeLead(0)
        ensemble.write("/kept", through: ensemble.members)
        let client = try RawClient.connected(to: ensemble.members[0].port)
        for follower in ensemble.members[1...] {
            follower.child.signal(SIGSTOP)
            eventually("it stands still", limit: 20) { follower.child.isStopped }
        }
        #expect(client.send(RawRequest.create("/lost-for-good").frame(xid: client.nextXid())))
        eventually("the leader has logged it", limit: 20) {
            ensemble.members[0].hasLogged("/lost-for-good")
        }
        for member in ensemble.members { member.kill() }
        for follower in ensemble.members[1...] {
            #expect(!follower.hasLogged("/lost-for-good"), "it had been read already")
            try follower.launchAgain()
        }
        eventually("one of the others leads", limit: 60) { (ensemble.leader ?? 0) > 0 }
        // Apache's leader sends its whole tree once it has something of its own epoch, ours does not.
        if others == .ours {
            ensemble.write("/after", through: Array(ensemble.members[1...]))
        }
        try ensemble.members[0].launchAgain()
        ensemble.waitUntilServing()
        ensemble.write("/after", through: Array(ensemble.members[1...]))
        ensemble.expectAlike()
        // From its own disk, too.
        ensemble.members[0].kill()
        try ensemble.members[0].launchAgain()
        ensemble.waitUntilServing()
        ensemble.expectAlike()
        let reader = try RawClient.connected(to: ensemble.members[0].port)
        #expect(reader.ask(.sync("/"))?.error == 0)
        #expect(reader.ask(.exists("/lost-for-good"))?.error == -101)
        #expect(reader.ask(.exists("/kept"))?.error == 0)
        #expect(reader.ask(.exists("/after"))?.error == 0)
    }

    // MARK: Transactions and configuration

    /// Apache's members here believe in reconfiguration, ours do not know it; each sends its text of
    /// the configuration with every vote.
    @Test func `every kind of write through every member is the same on all, under either leader`()
        throws
    {
        let workspace = try Workspace()
        defer { workspace.tearDown() }
        let ensemble = try Ensemble(
            [.ours, .apache, .ours],
            in: workspace,
            extra: ["reconfigEnabled=true"]
        )
        for leader in [0, 1] {
            ensemble.makeLead(leader)
            for (number, member) in ensemble.members.enumerated() {
                let client = try RawClient.connected(to: member.port)
                let base = "/t\(leader)\(number)"
                #expect(client.ask(.create(base, nil))?.error == 0)
                #expect(client.ask(.create(base + "/two", [1], code: 15))?.error == 0)
                let container = client.ask(.create(base + "/box", nil, flags: 4, code: 19))
                if leader == 1 {
                    #expect(container?.error == 0, "Apache's leader makes containers")
                }
                // Times to live are off: refused, by whoever leads.
                let outlived = client.ask(.createTTL(base + "/ttl", flags: 5, ttl: 1000))
                #expect(outlived?.error == -6)
                #expect(
                    client.ask(
                        .multi([
                            .create(base + "/in", [1], code: 15), .check(base, version: 0),
                            .setData(base + "/two", nil), .create(base + "/eph", nil, flags: 1),
                        ])
                    )?.error == 0
                )
                let failed = client.ask(
                    .multi([.create(base + "/never"), .check(base, version: 77)])
                )
                #expect(failed != nil)
                #expect(client.ask(.setACL(base, RawACL.open))?.error == 0)
                #expect(client.ask(.delete(base + "/in"))?.error == 0)
                #expect(client.ask(.exists(base + "/never"))?.error == -101)
                client.close(sessionToo: true)
            }
            ensemble.expectAlike()
        }
        // Apache's leader gives the configuration a version of its own where reconfiguration is on;
        // ours is that of the file.
        let texts = try ensemble.members.map { member in
            let reader = try RawClient.connected(to: member.port)
            defer { reader.close(sessionToo: true) }
            let data = reader.ask(.getData("/zookeeper/config"))?.data ?? []
            return String(decoding: data, as: UTF8.self).split(separator: "\n").dropLast()
        }
        #expect(Set(texts).count == 1 && texts[0].count == 3, "\(texts)")
    }
}

extension Ensemble {
    /// Of three: the others lack what is written meanwhile, so this one is elected.
    fileprivate func makeLead(_ wanted: Int) {
        let behind = members[(wanted + 1) % 3]
        let gone = members[(wanted + 2) % 3]
        behind.kill()
        write("/lead-\(UInt32.random(in: 0...(.max)))", through: [members[wanted], gone])
        gone.kill()
        do {
            try behind.launchAgain()
            eventually("server \(wanted + 1) leads", limit: 60) { leader == wanted }
            try gone.launchAgain()
        } catch { Issue.record(error) }
        waitUntilServing()
    }

    fileprivate func write(_ path: String, through members: [ServerProcess]) {
        eventually("\(path) is written", limit: 60) {
            members.contains { member in
                guard let client = RawClient(port: member.port), client.open()?.isAlive == true
                else { return false }
                defer { client.close(sessionToo: true) }
                let answer = client.ask(.create(path))?.error
                return answer == 0 || answer == -110
            }
        }
    }

    /// All members count the same, and none has found a tree other than a transaction's writer had.
    fileprivate func expectAlike(sourceLocation: SourceLocation = #_sourceLocation) {
        func figures(_ member: ServerProcess) -> [Substring] {
            member.fourLetterWord("mntr").split(separator: "\n").filter { line in
                ["zk_znode_count", "zk_ephemerals_count", "zk_digest_mismatches_count"].contains {
                    line.hasPrefix($0)
                }
            }.sorted()
        }
        var seen: [[Substring]] = []
        eventually("all members are alike", limit: 30) {
            seen = members.map(figures)
            return seen.allSatisfy { $0.count == 3 && $0 == seen[0] }
        }
        for (member, figures) in zip(members, seen) {
            #expect(
                figures.contains("zk_digest_mismatches_count\t0"),
                "\(member.kind): \(figures)",
                sourceLocation: sourceLocation
            )
        }
    }
}

extension ChildProcess {
    /// Every thread of it: the last to hear of a SIGSTOP may read from a socket until then.
    fileprivate var isStopped: Bool {
        let tasks = "/proc/\(process.processIdentifier)/task"
        let threads = (try? FileManager.default.contentsOfDirectory(atPath: tasks)) ?? []
        return !threads.isEmpty
            && threads.allSatisfy { thread in
                let file = "\(tasks)/\(thread)/status"
                let status = try? String(contentsOfFile: file, encoding: .utf8)
                return status?.contains("State:\tT") ?? false
            }
    }
}

extension ServerProcess {
    /// Whether a log of it holds this text.
    fileprivate func hasLogged(_ text: String) -> Bool {
        let directory = dataDirectory + "/version-2"
        let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
        return names.filter { $0.hasPrefix("log.") }.contains { name in
            FileManager.default.contents(atPath: directory + "/" + name)?
                .range(of: Data(text.utf8)) != nil
        }
    }
}

extension WatchStream {
    /// The one event of a one-shot watch, after which its stream ends.
    fileprivate func only() async throws -> WatchEvent? {
        var events: [WatchEvent] = []
        for try await event in self { events.append(event) }
        #expect(events.count <= 1)
        return events.first
    }
}

extension [UInt8] {
    fileprivate func contains(_ text: String) -> Bool {
        String(decoding: self, as: UTF8.self).contains(text)
    }
}
