import ClientCore
import NIOCore
import NIOPosix
import ZnodeFS

/// Asks a server how much it holds, with ZooKeeper's words of four letters: `mntr`, or where that is not
/// on the server's list, `srvr`, which Apache's servers answer unless told otherwise.
enum ServerMeasure {
    /// What a server says at most; Apache's `mntr` is about 10 KiB.
    static let limitBytes = 1 << 16
    /// How long all of it may take.
    static let limit = TimeAmount.seconds(1)

    /// `done` is called once, on `loop`, with nil where nothing can be learned.
    static func ask(
        _ server: ServerAddress,
        on loop: any EventLoop,
        done: @escaping (EnsembleMeasure?) -> Void
    ) {
        let deadline = NIODeadline.now() + limit
        answer(to: "mntr", of: server, on: loop, until: deadline)
            .flatMap { text -> EventLoopFuture<EnsembleMeasure?> in
                if let measure = EnsembleMeasure(report: text) {
                    return loop.makeSucceededFuture(measure)
                }
                return answer(to: "srvr", of: server, on: loop, until: deadline)
                    .map { EnsembleMeasure(report: $0) }
            }
            .assumeIsolated()
            .whenComplete { result in done((try? result.get()) ?? nil) }
    }

    /// All that comes before the server closes or time is up; nothing where there is no connection.
    private static func answer(
        to word: String,
        of server: ServerAddress,
        on loop: any EventLoop,
        until deadline: NIODeadline
    ) -> EventLoopFuture<String> {
        let promise = loop.makePromise(of: String.self)
        let left = max(.milliseconds(1), deadline - .now())
        ClientBootstrap(group: loop)
            .connectTimeout(left)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        ReportHandler(word: word, until: deadline, promise: promise)
                    )
                }
            }
            .connect(host: server.host, port: Int(server.port))
            .whenFailure { _ in promise.succeed("") }
        return promise.futureResult
    }
}

extension EnsembleMeasure {
    /// From the lines of `mntr` (`name`, tab, value) or `srvr` (`name: value`); nil where they say neither.
    init?(report: String) {
        self.init()
        for line in report.split(separator: "\n") {
            guard let separator = line.firstIndex(where: { $0 == "\t" || $0 == ":" }) else {
                continue
            }
            let value = line[line.index(after: separator)...].drop { $0 == " " }
            switch line[..<separator] {
            case "zk_znode_count", "Node count": znodes = UInt64(value)
            case "zk_approximate_data_size": dataBytes = UInt64(value)
            default: continue
            }
        }
        if znodes == nil, dataBytes == nil { return nil }
    }
}

private final class ReportHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let word: String
    private let deadline: NIODeadline
    private let promise: EventLoopPromise<String>
    private var received = ByteBuffer()
    private var timer: Scheduled<Void>?

    init(word: String, until deadline: NIODeadline, promise: EventLoopPromise<String>) {
        self.word = word
        self.deadline = deadline
        self.promise = promise
    }

    func channelActive(context: ChannelHandlerContext) {
        let channel = context.channel
        timer = context.eventLoop.scheduleTask(deadline: deadline) { channel.close(promise: nil) }
        context.writeAndFlush(NIOAny(ByteBuffer(string: word)), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        received.writeBuffer(&bytes)
        if received.readableBytes > ServerMeasure.limitBytes { context.close(promise: nil) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        timer?.cancel()
        promise.succeed(String(buffer: received))
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}
