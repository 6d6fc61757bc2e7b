import ArgumentParser
import ClientCore
import Logging
import NIOCore
import NIOPosix
import ZooKeeperClient
import ZooKeeperModel

/// Measures what a ZooKeeper server does under a steady load from one machine.
///
/// Every connection keeps `--depth` requests under way: as one is answered the next is sent. So the
/// latency shown is that of a loaded server and contains the time requests queue behind one another
/// in their own connection; use `--depth 1` for that of a single request. What counts is what was
/// answered between the end of the warm-up and the end of the time. Client and server share the
/// machine if both run on it, and then neither has all of it.
@main
struct ZkBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "zkbench",
        abstract: "Measure reads and writes per second and their latency.",
        discussion: """
            Reads are getData and writes are setData, on one znode for each connection, of which \
            --path is the parent. It is made if need be; the znodes are removed at the end.
            """
    )

    @Option(help: "Where the ensemble is: host:port,host:port/chroot.")
    var servers = "127.0.0.1:2181"
    @Option(help: "Sessions, each with one connection.")
    var connections = 8
    @Option(help: "Requests under way on each connection.")
    var depth = 32
    @Option(help: "How long to measure, in seconds.")
    var seconds = 10
    @Option(help: "How long to run before measuring, in seconds.")
    var warmup = 2
    @Option(help: "How many of 100 requests are reads.")
    var reads = 100
    @Option(help: "Bytes of data in each znode.")
    var size = 100
    @Option(help: "Threads that drive the connections.")
    var threads = 1
    @Option(help: "Instead of a load, hold so many sessions that do nothing, for --seconds.")
    var idle = 0
    @Option(
        help: "Instead of a load, make so many znodes of --size bytes below --path, and keep them."
    )
    var fill = 0
    @Option(help: "The parent of the znodes used.")
    var path = "/zkbench"

    func validate() throws {
        guard (1...10_000).contains(connections), (1...10_000).contains(depth),
            (1...86_400).contains(seconds), (0...86_400).contains(warmup),
            (0...100).contains(reads), (0...1_000_000).contains(size), (1...64).contains(threads),
            (0...100_000).contains(idle), (0...100_000_000).contains(fill)
        else { throw ValidationError("A number is outside of what makes sense.") }
    }

    func run() async throws {
        let target = try ConnectString(servers)
        guard idle == 0 else { return try await holdIdle(target.servers) }
        let setup = try await ZooKeeper.connect(servers)
        let data = [UInt8](repeating: 0x2A, count: size)
        if fill > 0 {
            try await Fill(client: setup, path: path, data: data).run(count: fill)
            return await setup.close()
        }
        if try await setup.exists(path) == nil { try await setup.create(path, data: nil) }
        var paths: [String] = []
        for _ in 0..<connections {
            paths.append(
                try await setup.create(path + "/", data: data, mode: .persistentSequential).path
            )
        }

        let group = MultiThreadedEventLoopGroup(numberOfThreads: threads)
        let start = NIODeadline.now() + .seconds(Int64(warmup))
        let end = start + .seconds(Int64(seconds))
        let logger = Logger(label: "zkbench")
        let running = paths.enumerated().map { number, path in
            let loop = group.next()
            let done = loop.makePromise(of: Measurement.self)
            let configuration = ClientConfiguration(
                servers: target.servers,
                sessionTimeout: .seconds(30),
                seed: UInt64(number)
            )
            let znode = ZnodePath(target.chroot.isRoot ? path : target.chroot.description + path)
            let load = Load(
                path: znode,
                data: data,
                readPercent: reads,
                depth: depth,
                start: start,
                end: end
            )
            loop.execute {
                Connection(configuration, load, on: loop, logger: logger, done).start()
            }
            return done.futureResult
        }
        var total = Measurement()
        for future in running { total.add(try await future.get()) }
        report(total)

        for path in paths { try await setup.delete(path) }
        await setup.close()
        try await group.shutdownGracefully()
        guard total.errors.isEmpty else { throw ExitCode.failure }
    }

    private func holdIdle(_ servers: [ServerAddress]) async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let logger = Logger(label: "zkbench")
        let allConnected = loop.makePromise(of: Void.self)
        let count = idle
        loop.execute {
            IdleSessions(
                servers: servers,
                count: count,
                on: loop,
                logger: logger,
                allConnected: allConnected
            ).start()
        }
        try await allConnected.futureResult.get()
        logger.notice("\(count) sessions are idle")
        try await Task.sleep(for: .seconds(seconds))
        // The sessions end with the process: their servers expire them.
    }

    private func report(_ total: Measurement) {
        print(
            "\(connections) connections, \(depth) deep, \(reads) % reads, \(size) bytes, "
                + "\(seconds) s"
        )
        for (name, histogram) in [("reads", total.reads), ("writes", total.writes)]
        where histogram.count > 0 {
            let rate = Double(histogram.count) / Double(seconds)
            let latencies = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)].map {
                "\($0) \(milliseconds(histogram.value(at: $1)))"
            }
            print(
                "\(name): \(Int(rate.rounded())) per second, in ms: "
                    + latencies.joined(separator: ", ") + ", max \(milliseconds(histogram.largest))"
            )
        }
        for (code, count) in total.errors.sorted(by: { $0.key.rawValue > $1.key.rawValue }) {
            print("failed with \(code): \(count)")
        }
        print(summary(total))
    }

    /// The line that scripts read; microseconds.
    private func summary(_ total: Measurement) -> String {
        var all = total.reads
        all.add(total.writes)
        let failed = total.errors.values.reduce(0, +)
        let rate = Int((Double(all.count) / Double(seconds)).rounded())
        return "ops/s=\(rate) reads=\(total.reads.count) writes=\(total.writes.count) "
            + "errors=\(failed) p50_us=\(all.value(at: 0.5) / 1_000) "
            + "p99_us=\(all.value(at: 0.99) / 1_000) max_us=\(all.largest / 1_000) "
            + "gap_us=\(total.longestGap.nanoseconds / 1_000)"
    }

    /// With three digits after the point.
    private func milliseconds(_ nanoseconds: Int64) -> String {
        let microseconds = (nanoseconds + 500) / 1_000
        let fraction = String(microseconds % 1_000)
        let zeros = String(repeating: "0", count: 3 - fraction.count)
        return "\(microseconds / 1_000).\(zeros)\(fraction)"
    }
}

/// What every connection does.
struct Load: Sendable {
    var path: ZnodePath
    var data: [UInt8]
    var readPercent: Int
    var depth: Int
    var start: NIODeadline
    var end: NIODeadline
}

/// What one connection or all have seen.
struct Measurement: Sendable {
    var reads = LatencyHistogram()
    var writes = LatencyHistogram()
    var errors: [ErrorCode: Int] = [:]
    /// The longest time in which a connection had no write acknowledged.
    var longestGap = TimeAmount.zero

    mutating func add(_ other: Measurement) {
        reads.add(other.reads)
        writes.add(other.writes)
        errors.merge(other.errors, uniquingKeysWith: +)
        longestGap = max(longestGap, other.longestGap)
    }
}

/// One session that is kept busy, confined to its loop.
private final class Connection {
    private let runner: ClientRunner
    private let load: Load
    private let done: EventLoopPromise<Measurement>
    private var measurement = Measurement()
    private var underWay = 0
    private var isStarted = false
    private var lastWrite: NIODeadline?
    /// A fixed sequence in 0..<100 that visits every number: reads and writes are mixed evenly.
    private var turn = 0

    init(
        _ configuration: ClientConfiguration,
        _ load: Load,
        on loop: any EventLoop,
        logger: Logger,
        _ done: EventLoopPromise<Measurement>
    ) {
        self.load = load
        self.done = done
        runner = ClientRunner(configuration: configuration, eventLoop: loop, logger: logger)
    }

    func start() {
        runner.onState = { [self] state in
            switch state {
            case .connected:
                guard !isStarted else { return }
                isStarted = true
                for _ in 0..<load.depth { ask() }
            case .closed: finish()
            case .authenticationFailed, .disconnected, .expired: break
            }
        }
        runner.start()
        // A session that never connects ends as well.
        runner.eventLoop.assumeIsolated().scheduleTask(deadline: load.end) { [self] in
            if !isStarted { runner.close() }
        }
    }

    private func finish() {
        if !isStarted { measurement.errors[.connectionLoss, default: 0] += load.depth }
        done.succeed(measurement)
        // Lets go of itself.
        runner.onState = { _ in }
    }

    private func ask() {
        underWay += 1
        turn = (turn + 37) % 100
        let isRead = turn < load.readPercent
        let operation: Operation =
            isRead
            ? .getData(load.path, watch: false)
            : .setData(load.path, data: load.data, version: -1)
        let asked = NIODeadline.now()
        runner.submit(operation) { [self] result, _ in
            underWay -= 1
            let now = NIODeadline.now()
            if now >= load.start && now < load.end {
                switch result {
                case .success:
                    let nanoseconds = (now - asked).nanoseconds
                    if isRead {
                        measurement.reads.record(nanoseconds)
                    } else {
                        measurement.writes.record(nanoseconds)
                        if let lastWrite {
                            measurement.longestGap = max(measurement.longestGap, now - lastWrite)
                        }
                        lastWrite = now
                    }
                case .failure(let code): measurement.errors[code, default: 0] += 1
                }
            }
            if now < load.end {
                ask()
            } else if underWay == 0 {
                runner.close()
            }
        }
    }
}
