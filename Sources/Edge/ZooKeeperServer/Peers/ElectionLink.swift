internal import NIOCore
internal import ZooKeeperModel
internal import ZooKeeperWire

/// One connection of the election channel.
///
/// Whoever dials says who it is, in one write, since Apache's servers read it in one call; then both
/// sides send notifications in frames. What a link sends is written at once: messages are few.
final class ElectionLink: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private enum Phase {
        /// Accepted: the other side has not said yet who it is.
        case greeting([UInt8])
        case established(ServerID)
        case closed
    }

    private unowned let port: ElectionPort
    private var phase: Phase
    private var decoder = FrameDecoder(maxFrameBytes: ElectionCodec.maxFrameBytes)
    private var context: ChannelHandlerContext?
    private var greetingTimeout: Scheduled<Void>?
    /// The newest notification that the connection had no room for: older ones are worthless.
    private var waiting: ElectionNotification?
    /// As messages print it.
    private(set) var address = "?"

    static let greetingLimit = TimeAmount.seconds(5)

    /// `peer`: who was dialled; nil for a connection that came in.
    init(port: ElectionPort, peer: ServerID?) {
        self.port = port
        phase = peer.map(Phase.established) ?? .greeting([])
    }

    // MARK: Channel

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func channelActive(context: ChannelHandlerContext) {
        address = context.remoteAddress.map { "\($0)" } ?? "?"
        guard case .greeting = phase else { return }
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        greetingTimeout = context.eventLoop.scheduleTask(in: Self.greetingLimit) {
            bound.value.close("it does not say who it is")
        }
    }

    func channelInactive(context: ChannelHandlerContext) { ended() }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { close("\(error)") }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        receive(Array(unwrapInboundIn(data).readableBytesView))
    }

    func channelReadComplete(context: ChannelHandlerContext) { port.finishTurn() }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        guard context.channel.isWritable, let waiting else { return }
        self.waiting = nil
        send(waiting)
    }

    // MARK: Input

    private func receive(_ bytes: [UInt8]) {
        do throws(WireError) {
            switch phase {
            case .greeting(let earlier):
                let all = earlier + bytes
                guard let (greeting, count) = try ElectionGreeting.decode(all) else {
                    phase = .greeting(all)
                    return
                }
                greetingTimeout?.cancel()
                guard port.greeted(greeting, on: self) else { return }
                phase = .established(greeting.server)
                port.established(self, with: greeting.server)
                decoder.append(Array(all[count...]))
            case .established: decoder.append(bytes)
            case .closed: return
            }
            try decodeFrames()
        } catch {
            close("\(error)")
        }
    }

    private func decodeFrames() throws(WireError) {
        while case .established(let peer) = phase, var frame = try decoder.next() {
            do throws(WireError) {
                port.received(try ElectionCodec.decode(&frame), from: peer)
            } catch {
                port.dropped("a notification of server \(peer) cannot be read: \(error)")
            }
        }
    }

    // MARK: Output

    func send(_ greeting: ElectionGreeting) { write(greeting.bytes) }

    func send(_ notification: ElectionNotification) {
        guard let context else { return }
        guard context.channel.isWritable else {
            waiting = notification
            return
        }
        var writer = JuteWriter()
        ElectionCodec.encode(notification, into: &writer)
        write(writer.bytes)
    }

    /// Says who this is and ends: the other side is to dial. What is written to a connection that
    /// has just come about leaves a little later, so the end waits for that.
    func sendAndClose(_ greeting: ElectionGreeting, reason: String) {
        guard let context else { return }
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        let promise = context.eventLoop.makePromise(of: Void.self)
        promise.futureResult.whenComplete { _ in bound.value.close(reason) }
        write(greeting.bytes, promise)
    }

    private func write(_ bytes: [UInt8], _ promise: EventLoopPromise<Void>? = nil) {
        guard let context else { return }
        var buffer = context.channel.allocator.buffer(capacity: bytes.count)
        buffer.writeBytes(bytes)
        context.writeAndFlush(wrapOutboundOut(buffer), promise: promise)
    }

    // MARK: End

    func close(_ reason: String) {
        guard let context else { return }
        port.closing("the election connection with \(address) ends: \(reason)")
        // `ended` first: whoever asks for this peer next must not find this link.
        ended()
        context.close(promise: nil)
    }

    private func ended() {
        greetingTimeout?.cancel()
        context = nil
        guard case .established(let peer) = phase else {
            phase = .closed
            return
        }
        phase = .closed
        port.ended(self, with: peer)
    }
}
