internal import NIOCore
internal import Platform
internal import Replication
internal import ZooKeeperModel
internal import ZooKeeperWire

/// One connection of the learner protocol, at either end: messages in, messages out.
///
/// Output gathers and leaves in one write at the end of the loop's turn, so that the proposals and
/// commits of one turn cost one system call.
final class LearnerConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// Who is at the other end.
    enum Peer: Hashable {
        case learner
        case leader
    }

    let id: ConnectionID
    let peer: Peer
    /// Lets go of a connection that has ended.
    private let port: QuorumPort
    private var decoder: LearnerStreamDecoder
    private var context: ChannelHandlerContext?
    private var output = JuteWriter()
    private var isDirty = false
    private var isPaused = false
    private var isDrainAwaited = false
    private(set) var address = "?"

    /// What may wait for a peer that does not read before it is given up. A snapshot is sent in slices
    /// that are spaced in time, so this is met by peers that do not read at all.
    static let outputLimitBytes = 256 << 20

    init(id: ConnectionID, peer: Peer, port: QuorumPort) {
        self.id = id
        self.peer = peer
        self.port = port
        decoder = LearnerStreamDecoder(from: peer == .leader ? .leader : .learner)
    }

    // MARK: Channel

    // A dialled connection is handed on before it is told that it is active.
    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func channelActive(context: ChannelHandlerContext) {
        address = context.remoteAddress.map { "\($0)" } ?? "?"
        if peer == .learner { port.accepted(self) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.context = nil
        port.ended(self)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { close("\(error)") }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        decoder.append(Array(unwrapInboundIn(data).readableBytesView))
        decodeMessages()
    }

    /// What was sent has left, but for a little.
    func channelWritabilityChanged(context: ChannelHandlerContext) {
        answerDrained()
        port.finishTurn()
    }

    func channelReadComplete(context: ChannelHandlerContext) { port.finishRead() }

    private func decodeMessages() {
        // All that one read brought has come now.
        let now = SystemClock.read()
        do throws(WireError) {
            while context != nil, !isPaused, let message = try decoder.next() {
                port.received(message, on: self, at: now)
            }
        } catch {
            close("what it sends cannot be read: \(error)")
        }
    }

    /// Takes nothing off the socket while this server has more than it can deal with.
    func setPaused(_ paused: Bool) {
        guard paused != isPaused, let context else { return }
        isPaused = paused
        do {
            try context.channel.syncOptions?.setOption(.autoRead, value: !paused)
        } catch {
            close("\(error)")
        }
        if !paused { decodeMessages() }
    }

    // MARK: Output

    func send(_ message: LearnerMessage) {
        LearnerCodec.encode(
            message,
            from: peer == .leader ? .learner : .leader,
            into: &output
        )
        guard !isDirty else { return }
        isDirty = true
        port.markDirty(self)
    }

    /// Asked at the next flush, when all that was sent before has been handed to the channel.
    func reportDrained() {
        isDrainAwaited = true
        guard !isDirty else { return }
        isDirty = true
        port.markDirty(self)
    }

    private func answerDrained() {
        guard isDrainAwaited, let context, context.channel.isWritable else { return }
        isDrainAwaited = false
        port.drained(self)
    }

    func flush() {
        isDirty = false
        defer { answerDrained() }
        guard let context, !output.bytes.isEmpty else { return }
        var buffer = context.channel.allocator.buffer(capacity: output.bytes.count)
        buffer.writeBytes(output.bytes)
        output.bytes.removeAll(keepingCapacity: output.bytes.capacity <= 1 << 20)
        context.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
        guard !context.channel.isWritable,
            let waiting = try? context.channel.syncOptions?.getOption(.bufferedWritableBytes),
            waiting > Self.outputLimitBytes
        else { return }
        close("it does not read, and \(waiting) bytes wait for it")
    }

    /// Closes once what was sent has been handed to the system.
    func close(_ reason: String) {
        guard let context else { return }
        port.closing(self, reason)
        flush()
        self.context = nil
        context.close(promise: nil)
        port.ended(self)
    }
}
