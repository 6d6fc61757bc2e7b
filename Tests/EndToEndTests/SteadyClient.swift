import Foundation

/// A client as applications have them: it keeps its session over lost connections, moves from server
/// to server, and asks again what was not answered.
final class SteadyClient {
    struct Failure: Error, CustomStringConvertible { var description: String }

    private let servers: [String]
    private let port: Int
    private let timeout: Int32
    private var next: Int
    private var connection: RawClient?
    private(set) var session = RawClient.Session()
    private var lastZxid: Int64 = 0
    /// How often it came to another server, or again to the same.
    private(set) var connects = 0

    init(_ servers: [String], port: Int, startingAt first: Int = 0, timeout: Int32 = 20_000) {
        self.servers = servers
        self.port = port
        self.timeout = timeout
        next = first
    }

    /// The answer, after as many attempts as it takes. `wasRetried` says that an earlier one may
    /// have had its effect.
    func ask(
        _ request: RawRequest,
        patience: Double = 60
    ) throws -> (reply: RawReply, wasRetried: Bool) {
        let end = Date(timeIntervalSinceNow: patience)
        var attempts = 0
        while Date() < end {
            guard let connection = try connected(until: end) else { continue }
            attempts += 1
            if let reply = connection.ask(request, limit: 5) {
                lastZxid = max(lastZxid, reply.zxid)
                return (reply, attempts > 1)
            }
            connection.close(sessionToo: false)
            self.connection = nil
        }
        throw Failure(
            description: "no answer in \(patience) s to operation \(request.code), "
                + "session 0x\(String(session.id, radix: 16))"
        )
    }

    /// Creates; that it is there after an attempt without an answer is as good.
    func create(_ path: String, _ data: [UInt8] = [], flags: Int32 = 0) throws {
        let (reply, wasRetried) = try ask(.create(path, data, flags: flags))
        guard reply.error == 0 || (reply.error == -110 && wasRetried) else {
            throw Failure(description: "create \(path): error \(reply.error)")
        }
    }

    func close() {
        connection?.close(sessionToo: true)
        connection = nil
    }

    private func connected(until end: Date) throws -> RawClient? {
        if let connection { return connection }
        let server = servers[next % servers.count]
        next += 1
        guard let client = RawClient(host: server, port: port),
            client.send(
                RawClient.connectRequest(timeout: timeout, session: session, lastZxid: lastZxid)
            ),
            let opened = client.takeSession(limit: 3)
        else {
            // Only paces the attempts.
            Thread.sleep(forTimeInterval: 0.02)
            return nil
        }
        guard opened.isAlive else {
            throw Failure(description: "session 0x\(String(session.id, radix: 16)) has expired")
        }
        connects += 1
        session = opened
        connection = client
        return client
    }
}

/// Clients that create znodes one after the other, on threads of their own, until told to stop.
final class SteadyLoad: @unchecked Sendable {
    // Shared with the threads, under `lock`.
    private let lock = NSLock()
    private var acknowledgedPaths: [String] = []
    private var complaints: [String] = []
    private var isStopping = false
    private var running: Int
    private let finished = DispatchSemaphore(value: 0)

    private let servers: [String]
    private let port: Int
    private let writers: Int

    init(_ servers: [String], port: Int, writers: Int = 3) throws {
        self.servers = servers
        self.port = port
        self.writers = writers
        running = writers
        let first = SteadyClient(servers, port: port)
        try first.create("/load")
        first.close()
        for writer in 0..<writers {
            let thread = Thread { [self] in write(writer) }
            thread.start()
        }
    }

    private func write(_ writer: Int) {
        let client = SteadyClient(servers, port: port, startingAt: writer)
        var number = 0
        do {
            while !lock.withLock({ isStopping }) {
                number += 1
                let path = "/load/\(writer)-\(number)"
                try client.create(path, Array(path.utf8))
                lock.withLock { acknowledgedPaths.append(path) }
            }
            client.close()
        } catch {
            lock.withLock { complaints.append("writer \(writer) at \(number): \(error)") }
        }
        finished.signal()
    }

    var acknowledged: Int { lock.withLock { acknowledgedPaths.count } }

    /// Waits until so many more are acknowledged: the ensemble works.
    func waitForProgress(_ count: Int = 50, limit: Double = 60) {
        let goal = acknowledged + count
        eventually(
            "\(count) more writes are acknowledged; \(lock.withLock { complaints })",
            limit: limit
        ) {
            acknowledged >= goal
        }
    }

    /// Ends all clients; what was acknowledged, and the failures that a client has seen.
    func stop() -> (acknowledged: [String], complaints: [String]) {
        lock.withLock { isStopping = true }
        while running > 0 {
            finished.wait()
            running -= 1
        }
        return lock.withLock { (acknowledgedPaths, complaints) }
    }

    /// What of these a server lacks, asked after a sync.
    static func missing(
        _ paths: [String],
        on server: String,
        port: Int
    ) throws -> [String] {
        let client = SteadyClient([server], port: port)
        defer { client.close() }
        _ = try client.ask(.sync("/load"))
        let names = Set(try client.ask(.getChildren("/load")).reply.names)
        return paths.filter { !names.contains(String($0.dropFirst("/load/".count))) }
    }
}
