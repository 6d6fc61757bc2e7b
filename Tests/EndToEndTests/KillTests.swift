import Foundation
import Testing

/// The server's process is killed at random moments, again and again, while clients write.
///
/// A killed process keeps what the kernel has of its files, so this finds what is acknowledged before
/// it is written, torn ends of logs, half snapshots and recovery that itself is cut short. What is
/// written but not yet on the disk is for ``PowerLossServerTests``.
@Suite(.serialized)
struct KillTests {
    static let kills = 200
    static let writers = 3

    @Test func `what was acknowledged survives two hundred kills`() throws {
        let seed = UInt64.random(in: 0...(.max))
        let workspace = try Workspace()
        defer { workspace.tearDown() }
        // Small files, so that logs roll and snapshots are written all the time.
        let server = try ServerProcess(
            .ours,
            in: workspace,
            extra: ["snapCount=500", "preAllocSize=16"]
        )
        var run = KillRun(server: server, seed: seed)
        do {
            try run.prepare()
            for round in 1...Self.kills where run.complaints.isEmpty {
                try run.round(round)
                if round.isMultiple(of: 20) { try run.verifyAll() }
            }
            if run.complaints.isEmpty { try run.verifyEnd() }
        } catch {
            run.complaints.append("\(error)")
        }
        #expect(
            run.complaints.isEmpty,
            """
            seed \(seed), after \(run.kills) kills; the server \
            \(server.child.isRunning ? "runs" : "is dead"):
            \(run.complaints.prefix(20).joined(separator: "\n"))
            \(server.child.log.suffix(3000))
            """
        )
        #expect(run.acknowledged > 10_000, "there was hardly any load")
        let files = try FileManager.default.contentsOfDirectory(
            atPath: server.dataDirectory + "/version-2"
        )
        #expect(files.count { $0.hasPrefix("snapshot.") } > 10, "hardly any snapshot was written")
    }
}

/// One server, its deaths, and what it has promised.
struct KillRun {
    let server: ServerProcess
    let death: Death
    var random: SeededRandom
    var tree = PromisedTree(writers: KillTests.writers)
    var complaints: [String] = []
    private(set) var kills = 0
    private(set) var acknowledged = 0
    /// The session that goes on over all restarts, and owns an ephemeral.
    private var lasting = RawClient.Session()
    private var deletable: [[(round: Int, path: String)]]

    static let lastingEphemeral = "lasting"

    init(server: ServerProcess, death: Death = .kill, seed: UInt64) {
        self.server = server
        self.death = death
        random = SeededRandom(seed: seed)
        deletable = Array(repeating: [], count: KillTests.writers)
    }

    mutating func prepare() throws {
        let client = try RawClient.connected(to: server.port, timeout: 60_000)
        lasting = client.session
        try #require(client.ask(.create("/kill"))?.error == 0)
        try #require(client.ask(.create("/ephemerals"))?.error == 0)
        try #require(
            client.ask(.create("/ephemerals/" + Self.lastingEphemeral, flags: 1))?.error == 0
        )
        for writer in 0..<KillTests.writers {
            let path = PromisedTree.register(of: writer)
            try #require(
                client.ask(.create(path, PromisedTree.content(of: 0)))?.error == 0
            )
        }
        client.close(sessionToo: false)
    }

    /// Load, a kill in the midst of it, a restart, and the look at what was left open.
    mutating func round(_ round: Int) throws {
        let keeper = try reconnected()
        let directory = PromisedTree.directory(of: round)
        try need(try ask(.create(directory), keeper).error == 0, "\(directory) cannot be made")
        tree.rounds[round] = [:]
        let before = tree
        var writers: [PipelinedWriter] = []
        for number in 0..<KillTests.writers {
            // They end by expiry, while later rounds go on.
            let client = try RawClient.connected(to: server.port, timeout: 1500)
            let name = "/ephemerals/\(round)-\(number)"
            try need(client.ask(.create(name, flags: 1))?.error == 0, "\(name) cannot be made")
            let own = try RawClient.connected(to: server.port, timeout: 1500)
            writers.append(
                PipelinedWriter(
                    number: number,
                    client: own,
                    round: round,
                    value: tree.registers[number],
                    deletable: deletable[number]
                )
            )
        }
        try death.prepare(&random, calls: 400)
        load(writers, milliseconds: Int.random(in: 0...150, using: &random))
        try death.strike(server)
        kills += 1
        // What the server had sent by then counts.
        for writer in writers { _ = writer.takeReplies(into: &tree) }
        acknowledged += writers.reduce(0) { $0 + $1.answered }
        complaints += writers.flatMap(\.complaints)

        try death.leave(&random)
        // Now and then recovery itself is cut short.
        while Int.random(in: 0..<8, using: &random) == 0 {
            try death.prepare(&random, calls: 40)
            try server.launchAgain()
            Thread.sleep(
                forTimeInterval: Double(Int.random(in: 0...60, using: &random)) / 1000
            )
            try death.strike(server)
            kills += 1
            try death.leave(&random)
        }
        try server.launchAgain()
        let reader = try reconnected()
        for writer in writers { try settle(writer, reader) }
        try verify(round, reader)
        try verifyRegisters(reader)
        chooseDeletable(before: before, round: round)
        reader.close(sessionToo: false)
    }

    /// Whatever is there of the last round may be deleted in the next, and some of it stays.
    private mutating func chooseDeletable(before: PromisedTree, round: Int) {
        let paths = tree.rounds[round, default: [:]].keys.sorted()
        for number in 0..<KillTests.writers {
            deletable[number] = paths.filter {
                $0.hasPrefix(PromisedTree.directory(of: round) + "/\(number)-")
            }.shuffled(using: &random).prefix(40).map { (round, $0) }
        }
    }

    private mutating func load(_ writers: [PipelinedWriter], milliseconds: Int) {
        let end = Date(timeIntervalSinceNow: Double(milliseconds) / 1000)
        var pollers = writers.map {
            pollfd(fd: $0.client.descriptor, events: Int16(POLLIN), revents: 0)
        }
        while true {
            for writer in writers {
                guard writer.fill(&random), writer.takeReplies(into: &tree),
                    writer.complaints.isEmpty
                else {
                    if !death.endsServing {
                        complaints.append("the server closed the connection of a writer")
                    }
                    return
                }
            }
            let left = end.timeIntervalSinceNow
            if left <= 0 { return }
            _ = unsafe poll(&pollers, nfds_t(pollers.count), Int32(left * 1000) + 1)
        }
    }

    /// A connection that goes on with the lasting session, as soon as the server is there.
    private func reconnected() throws -> RawClient {
        let end = Date(timeIntervalSinceNow: 30)
        while Date() < end {
            // Until it serves, it closes connections without an answer.
            if let client = RawClient(port: server.port),
                let session = client.open(timeout: 60_000, session: lasting)
            {
                try need(session.id == lasting.id, "the lasting session is gone")
                return client
            }
            guard server.child.isRunning else { throw ServerEnded(log: server.child.log) }
            Thread.sleep(forTimeInterval: 0.002)
        }
        throw ServerNeverCame()
    }
    private struct ServerNeverCame: Error {}
    private struct ServerEnded: Error { var log: String }

    // MARK: Looking

    /// A promise that was not kept. Thrown and not recorded: where a sync is left out on purpose, it is
    /// what the test looks for.
    private struct Lost: Error { var what: String }

    private func need(_ holds: Bool, _ what: String) throws {
        guard holds else { throw Lost(what: what) }
    }

    private struct NoAnswer: Error {
        var request: String
        var connection: RawClient.Received
    }

    private func ask(_ request: RawRequest, _ client: RawClient) throws -> RawReply {
        guard let reply = client.ask(request) else {
            throw NoAnswer(
                request: "\(request.code) \(readable(request.body.bytes))",
                connection: client.receive(limit: 1)
            )
        }
        return reply
    }

    /// Finds out what became of the requests without an answer.
    private mutating func settle(_ writer: PipelinedWriter, _ reader: RawClient) throws {
        let number = writer.number
        let register = try value(of: number, reader)
        var missing: Effect?
        for effect in writer.unanswered {
            let happened: Bool
            switch effect {
            case .refused: continue
            case .create(_, let path, _): happened = try exists(path, reader)
            case .delete(_, let path): happened = try !exists(path, reader)
            case .set(let value): happened = register >= value
            case .both(_, let path, _, let value):
                happened = register >= value
                if try exists(path, reader) != happened {
                    complaints.append("half of a transaction is there: \(effect)")
                }
            }
            if happened {
                if let missing { complaints.append("\(effect) is there without \(missing)") }
                tree.take(effect, writer: number)
            } else if missing == nil {
                missing = effect
            }
        }
    }

    private func exists(_ path: String, _ reader: RawClient) throws -> Bool {
        try ask(.exists(path), reader).error == 0
    }

    private func value(of writer: Int, _ reader: RawClient) throws -> Int {
        guard let data = try ask(.getData(PromisedTree.register(of: writer)), reader).data else {
            throw Lost(what: "register \(writer) is gone")
        }
        let text = String(decoding: data, as: UTF8.self)
        guard text.hasPrefix("value "), let value = Int(text.dropFirst(6)) else {
            throw Lost(what: "a register holds \(text)")
        }
        return value
    }

    private mutating func verifyRegisters(_ reader: RawClient) throws {
        for writer in 0..<KillTests.writers {
            let found = try value(of: writer, reader)
            if found != tree.registers[writer] {
                complaints.append(
                    "register \(writer) is at \(found), not at \(tree.registers[writer])"
                )
            }
        }
    }

    /// One round's directory holds what it must, and nothing else.
    private mutating func verify(_ round: Int, _ reader: RawClient) throws {
        let directory = PromisedTree.directory(of: round)
        let promised = tree.rounds[round, default: [:]]
        let names = try children(of: directory, reader)
        let paths = Set(names.map { directory + "/" + $0 })
        for path in promised.keys.sorted() where !paths.contains(path) {
            complaints.append("\(path) was acknowledged and is gone")
        }
        for path in paths.sorted() where promised[path] == nil {
            complaints.append("\(path) is there and should not be")
        }
        let present = promised.keys.filter(paths.contains).sorted()
        for start in stride(from: 0, to: present.count, by: 200) {
            let some = present[start..<min(start + 200, present.count)]
            reader.send(some.flatMap { RawRequest.getData($0).frame(xid: reader.nextXid()) })
            for path in some {
                guard case .frame(let frame) = reader.receive(), let reply = RawReply(frame)
                else { return complaints.append("\(path) is not answered") }
                if reply.data != promised[path] {
                    complaints.append("\(path) holds other data: \(reply)")
                }
            }
        }
    }

    private func children(of path: String, _ reader: RawClient) throws -> [String] {
        let reply = try ask(.getChildren(path), reader)
        try need(reply.error == 0, "\(path): \(reply.error)")
        return reply.names
    }

    mutating func verifyAll() throws {
        let reader = try reconnected()
        for round in tree.rounds.keys.sorted() { try verify(round, reader) }
        try verifyRegisters(reader)
        reader.close(sessionToo: false)
    }

    /// The sessions of the killed connections end, and their ephemerals with them; the one that went
    /// on keeps its own.
    mutating func verifyEnd() throws {
        let reader = try reconnected()
        try eventually("only the lasting session's ephemeral is left") {
            try children(of: "/ephemerals", reader) == [Self.lastingEphemeral]
        }
        let rounds = try children(of: "/kill", reader).sorted()
        if rounds != tree.rounds.keys.map(String.init).sorted() {
            complaints.append("the rounds that are there: \(rounds)")
        }
        reader.close(sessionToo: true)
    }
}
