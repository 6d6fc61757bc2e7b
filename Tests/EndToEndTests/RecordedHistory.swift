import Foundation
import Simulation

/// Clients that write, read and delete a few znodes at the same time, on threads of their own, and
/// write down what they asked, when, and what they were told: a history for the checker that judges
/// the simulation's.
///
/// Each keeps its session when a connection is lost and asks the next server. What was not answered
/// is not asked again: it stands in the history as lost.
final class RecordedHistory: @unchecked Sendable {
    static let root = "/history"

    // Shared with the threads, under `lock`.
    private let lock = NSLock()
    private var recorded = History()
    private var lastValue = 0
    private var answered = 0
    private var complaints: [String] = []
    private var isStopping = false

    private let servers: [String]
    private let port: Int
    private let keys: [String]
    private let clients: Int
    private let finished = DispatchSemaphore(value: 0)

    init(_ servers: [String], port: Int, clients: Int = 5, keys: Int = 4) throws {
        self.servers = servers
        self.port = port
        self.clients = clients
        self.keys = (0..<keys).map { "\(Self.root)/\($0)" }
        let first = SteadyClient(servers, port: port)
        try first.create(Self.root)
        first.close()
        for client in 0..<clients {
            let thread = Thread { [self] in
                Recorder(client, self).run()
                finished.signal()
            }
            thread.start()
        }
    }

    /// Waits until so many more operations are answered.
    func waitForProgress(_ count: Int = 150, limit: Double = 60) {
        let goal = lock.withLock { answered } + count
        eventually(
            "\(count) more operations are answered; \(lock.withLock { complaints })",
            limit: limit
        ) {
            lock.withLock { answered } >= goal
        }
    }

    func stop() -> (history: History, complaints: [String]) {
        lock.withLock { isStopping = true }
        for _ in 0..<clients { finished.wait() }
        return lock.withLock { (recorded, complaints) }
    }

    /// One client, on its thread.
    private final class Recorder {
        private let number: Int
        private let history: RecordedHistory
        private var next: Int
        private var connection: RawClient?
        private var session = RawClient.Session()
        private var lastZxid: Int64 = 0
        private var versions: [String: Int32] = [:]
        private var random: SystemRandomNumberGenerator

        init(_ number: Int, _ history: RecordedHistory) {
            self.number = number
            self.history = history
            next = number
            random = SystemRandomNumberGenerator()
        }

        func run() {
            while !history.lock.withLock({ history.isStopping }) {
                guard let connection = connected() else { continue }
                let key = history.keys[Int.random(in: 0..<history.keys.count, using: &random)]
                let call = draw(key)
                let called = Self.now()
                let outcome = perform(call, key, on: connection)
                let returned = outcome == .lost ? nil : Self.now()
                if outcome == .lost {
                    connection.close(sessionToo: false)
                    self.connection = nil
                }
                history.lock.withLock {
                    if outcome != .lost { history.answered += 1 }
                    history.recorded.operations.append(
                        History.Operation(
                            called: called,
                            returned: returned,
                            client: number,
                            session: session.id,
                            key: key,
                            call: call,
                            outcome: outcome
                        )
                    )
                }
                // As much as can be judged; nothing waits for it.
                Thread.sleep(forTimeInterval: 0.005)
            }
            connection?.close(sessionToo: true)
        }

        private static func now() -> Int64 { Int64(DispatchTime.now().uptimeNanoseconds) }

        private func draw(_ key: String) -> History.Call {
            func value() -> Int {
                history.lock.withLock {
                    history.lastValue += 1
                    return history.lastValue
                }
            }
            let version = versions[key]
            switch Int.random(in: 0..<20, using: &random) {
            case 0..<10: return .read
            case 10..<13: return .write(value: value(), version: nil)
            case 13..<17 where version != nil: return .write(value: value(), version: version)
            case 17: return .delete(version: Bool.random(using: &random) ? version : nil)
            default: return .create(value: value())
            }
        }

        private func perform(
            _ call: History.Call,
            _ key: String,
            on connection: RawClient
        ) -> History.Outcome {
            func data(_ value: Int) -> [UInt8] { Array("\(value)".utf8) }
            let request: RawRequest
            switch call {
            case .create(let value): request = .create(key, data(value))
            case .write(let value, let version):
                request = .setData(key, data(value), version: version ?? -1)
            case .delete(let version): request = .delete(key, version: version ?? -1)
            case .read:
                guard let synced = connection.ask(.sync(key), limit: 3), synced.error == 0 else {
                    return .lost
                }
                request = .getData(key)
            }
            guard let reply = connection.ask(request, limit: 3) else { return .lost }
            lastZxid = max(lastZxid, reply.zxid)
            switch reply.error {
            case 0: return outcome(of: call, key, reply)
            case -101: return .noNode
            case -110: return .nodeExists
            case -103: return .badVersion
            default: return .lost
            }
        }

        private func outcome(
            of call: History.Call,
            _ key: String,
            _ reply: RawReply
        ) -> History.Outcome {
            // Of a stat the version is what follows two zxids and two times.
            switch call {
            case .create: return .created
            case .delete: return .deleted
            case .write:
                guard reply.body.count >= 36 else { return complain("a short stat") }
                let version = JuteBytes.int(reply.body, at: 32)
                versions[key] = version
                return .version(version)
            case .read:
                guard let data = reply.data, reply.body.count >= 4 + data.count + 36,
                    let value = Int(String(decoding: data, as: UTF8.self))
                else { return complain("a value that nobody wrote: \(reply.body)") }
                let version = JuteBytes.int(reply.body, at: 4 + data.count + 32)
                versions[key] = version
                return .value(value, version: version)
            }
        }

        private func complain(_ what: String) -> History.Outcome {
            history.lock.withLock { history.complaints.append("client \(number): \(what)") }
            return .lost
        }

        private func connected() -> RawClient? {
            if let connection { return connection }
            let server = history.servers[next % history.servers.count]
            next += 1
            guard let client = RawClient(host: server, port: history.port),
                client.send(
                    RawClient.connectRequest(
                        timeout: 20_000,
                        session: session,
                        lastZxid: lastZxid
                    )
                ),
                let opened = client.takeSession(limit: 3)
            else {
                // Only paces the attempts.
                Thread.sleep(forTimeInterval: 0.02)
                return nil
            }
            guard opened.isAlive else {
                _ = complain("session 0x\(String(session.id, radix: 16)) has expired")
                session = RawClient.Session()
                return nil
            }
            session = opened
            connection = client
            return client
        }
    }
}
