import ClientCore
import Logging
import NIOCore
import NIOPosix
import Testing
import ZooKeeperClient
import ZooKeeperModel

@Suite(.enabled(if: ApacheServer.isAvailable, "Debian's zookeeper is not installed"))
struct `A runner on its loop` {
    /// Submits everything before the first connection stands and collects what comes, on the loop.
    private final class Collector {
        let runner: ClientRunner
        let done: EventLoopPromise<[String]>
        var answers: [String] = []
        var zxids: [Zxid] = []

        init(port: Int, on loop: any EventLoop, _ done: EventLoopPromise<[String]>) {
            self.done = done
            let configuration = ClientConfiguration(
                servers: [ServerAddress(host: "localhost", port: UInt16(port))],
                seed: 1
            )
            runner = ClientRunner(
                configuration: configuration,
                eventLoop: loop,
                logger: Logger(label: "test")
            )
        }

        func start(root: String, count: Int) {
            runner.onState = { [self] state in
                if state == .closed {
                    #expect(zxids == zxids.sorted())
                    done.succeed(answers)
                    runner.onState = { _ in }
                }
            }
            runner.start()
            for number in 0..<count {
                let request = CreateRequest(
                    kind: .create,
                    path: ZnodePath("\(root)/\(number)"),
                    data: nil
                )
                runner.submit(.create(request)) { [self] result, zxid in
                    if case .success(.created(let path)) = result { answers.append("\(path)") }
                    zxids.append(zxid)
                    // Asked from within a callback.
                    if answers.count == count { runner.close() }
                }
            }
        }
    }

    @Test func `thousands of requests in flight are answered in their order`() async throws {
        try await withTree { _, server, root in
            let loop = MultiThreadedEventLoopGroup.singleton.next()
            let done = loop.makePromise(of: [String].self)
            loop.execute {
                Collector(port: server.port, on: loop, done).start(root: root, count: 2_000)
            }
            let answers = try await done.futureResult.get()
            #expect(answers == (0..<2_000).map { "\(root)/\($0)" })
        }
    }
}
