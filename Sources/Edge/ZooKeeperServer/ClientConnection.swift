internal import Logging
internal import NIOCore
internal import Platform
internal import Replication
internal import ZooKeeperModel
internal import ZooKeeperWire

/// One client's channel: frames in, frames out. Decides nothing but what a frame is.
///
/// Confined to the server's event loop. Output gathers in ``output`` and leaves in one write at the
/// end of the loop's turn.
final class ClientConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    let id: ConnectionID
    let address: String
    /// `/ip:port`, as the four-letter words print it.
    let printedAddress: String
    /// Held strongly, since every request uses it; the runner lets go of a connection that has ended.
    private let runner: ReplicaRunner
    private var context: ChannelHandlerContext?
    private var decoder: FrameDecoder
    private var phase = Phase.greeting([])
    private var handshakeTimeout: Scheduled<Void>?
    private var output = JuteWriter()
    private var isDirty = false
    private var isPaused = false
    /// The replica has paused it and waits to hear that what it sent has left.
    private var owesDrained = false
    private var readsAutomatically = true

    enum Phase {
        /// Nothing but these bytes has come: it may be a four-letter word.
        case greeting([UInt8])
        case connectRequest
        /// The request is with the replica; what follows waits.
        case connecting
        case established
        case closing
    }

    /// What may wait for a client that does not read before its connection is closed.
    static let outputLimitBytes = 64 << 20
    /// A client that has not asked for a session by then is closed (Apache's default).
    static let handshakeLimit = TimeAmount.seconds(10)

    init(id: ConnectionID, address: String, printedAddress: String, runner: ReplicaRunner) {
        self.id = id
        self.address = address
        self.printedAddress = printedAddress
        self.runner = runner
        decoder = FrameDecoder(maxFrameBytes: runner.configuration.maxFrameBytes)
    }

    // MARK: Channel

    func channelActive(context: ChannelHandlerContext) {
        self.context = context
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        handshakeTimeout = context.eventLoop.scheduleTask(in: Self.handshakeLimit) {
            bound.value.closeUnlessEstablished()
        }
        runner.connectionOpened(self)
    }

    func channelInactive(context: ChannelHandlerContext) {
        handshakeTimeout?.cancel()
        if case .closing = phase {} else { runner.figures.droppedByClients += 1 }
        phase = .closing
        self.context = nil
        runner.connectionClosed(self)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        close("\(error)")
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let buffer = unwrapInboundIn(data)
        receive(Array(buffer.readableBytesView))
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        runner.finishRead()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable {
            owesDrained = false
            runner.connectionDrained(self)
            decodeFrames()
            runner.finishTurn()
        }
        updateReading()
    }

    // MARK: Input

    private func receive(_ bytes: [UInt8]) {
        runner.figures.receivedBytes += Int64(bytes.count)
        switch phase {
        case .greeting(let earlier):
            let all = earlier.isEmpty ? bytes : earlier + bytes
            guard all.count >= 4 else {
                phase = .greeting(all)
                return
            }
            if let word = FourLetterWord(bytes: all.prefix(4)) {
                phase = .closing
                answer(word, argument: all.dropFirst(4))
                return
            }
            phase = .connectRequest
            decoder.append(all)
        case .connectRequest, .connecting, .established:
            decoder.append(bytes)
        case .closing:
            return
        }
        decodeFrames()
        updateReading()
    }

    /// Hands complete frames to the replica while it takes them.
    private func decodeFrames() {
        guard canTakeFrame else { return }
        // All that one read brought has come now.
        let now = SystemClock.read()
        do throws(WireError) {
            while canTakeFrame {
                guard var frame = try decoder.next() else { return }
                if case .connectRequest = phase {
                    phase = .connecting
                    runner.receive(
                        .connectRequest(id, try ConnectCodec.decodeRequest(&frame)),
                        at: now
                    )
                } else {
                    runner.receive(.request(id, try RequestCodec.decode(&frame)), at: now)
                }
            }
        } catch {
            close("\(error)")
        }
    }

    private var canTakeFrame: Bool {
        switch phase {
        case .connectRequest: !isPaused
        case .established: !isPaused && context?.channel.isWritable == true
        case .greeting, .connecting, .closing: false
        }
    }

    func setPaused(_ paused: Bool) {
        isPaused = paused
        if paused {
            owesDrained = true
            markDirty()
        } else {
            decodeFrames()
        }
        updateReading()
    }

    /// Stops taking bytes off the socket while frames that came already cannot be handed on.
    private func updateReading() {
        guard let context else { return }
        let wanted: Bool
        switch phase {
        case .greeting, .connectRequest: wanted = true
        case .connecting: wanted = decoder.bufferedBytes < runner.configuration.maxFrameBytes
        case .established: wanted = canTakeFrame
        case .closing: wanted = true
        }
        guard wanted != readsAutomatically else { return }
        readsAutomatically = wanted
        do {
            try context.channel.syncOptions?.setOption(.autoRead, value: wanted)
        } catch {
            close("\(error)")
        }
    }

    // MARK: Output

    func send(_ response: ConnectResponse) {
        phase = .established
        handshakeTimeout?.cancel()
        ConnectCodec.encode(response, into: &output)
        markDirty()
        decodeFrames()
        updateReading()
    }

    func send(_ reply: Reply) {
        let start = output.bytes.count
        ReplyCodec.encode(reply, into: &output)
        runner.figures.replied(
            bytes: output.bytes.count - start - 4,
            isPing: reply.xid == Request.pingXid
        )
        markDirty()
    }

    func send(_ event: WatchEvent) {
        let start = output.bytes.count
        ReplyCodec.encode(event, into: &output)
        runner.figures.notified(bytes: output.bytes.count - start - 4)
        markDirty()
    }

    private func markDirty() {
        guard !isDirty else { return }
        isDirty = true
        runner.markDirty(self)
    }

    /// Writes what has gathered, in one piece.
    func flush() {
        isDirty = false
        guard let context else { return }
        if !output.bytes.isEmpty {
            var buffer = context.channel.allocator.buffer(capacity: output.bytes.count)
            buffer.writeBytes(output.bytes)
            output.bytes.removeAll(keepingCapacity: output.bytes.capacity <= 1 << 18)
            context.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
        }
        if !context.channel.isWritable {
            checkBacklog(context)
        } else if owesDrained {
            owesDrained = false
            runner.connectionDrained(self)
        }
    }

    private func checkBacklog(_ context: ChannelHandlerContext) {
        updateReading()
        guard let waiting = try? context.channel.syncOptions?.getOption(.bufferedWritableBytes),
            waiting > Self.outputLimitBytes
        else { return }
        runner.logger.warning(
            "closing \(printedAddress): it does not read, and \(waiting) bytes wait for it"
        )
        phase = .closing
        context.close(promise: nil)
    }

    private func answer(_ word: FourLetterWord, argument: ArraySlice<UInt8>) {
        runner.answer(word, argument: argument, asker: id) { text in
            guard let context = self.context else { return }
            if let text {
                var buffer = context.channel.allocator.buffer(capacity: text.utf8.count)
                buffer.writeString(text)
                context.writeAndFlush(self.wrapOutboundOut(buffer), promise: nil)
            }
            context.close(promise: nil)
        }
    }

    // MARK: End

    /// Closes once what was sent has left.
    func close(_ reason: String) {
        guard let context else { return }
        runner.logger.debug("closing \(printedAddress): \(reason)")
        flush()
        phase = .closing
        context.close(promise: nil)
    }

    private func closeUnlessEstablished() {
        if case .established = phase { return }
        runner.figures.sessionlessExpired += 1
        close("no session was asked for in time")
    }
}
