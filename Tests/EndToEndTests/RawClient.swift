import Foundation
import Testing

/// A client that speaks ZooKeeper's protocol by hand over a plain blocking socket: between a test and
/// the bytes stands no code of the product.
final class RawClient {
    enum Received: Equatable {
        case frame([UInt8])
        /// The server has closed the connection.
        case closed
        /// Nothing has come within the limit.
        case nothing
    }
    struct Session: Equatable {
        var id: Int64 = 0
        var password = [UInt8](repeating: 0, count: 16)
        /// Milliseconds, as negotiated; 0 when the server has refused the session.
        var timeout: Int32 = 0
        var isReadOnly = false
        var isAlive: Bool { timeout > 0 }
    }

    let descriptor: Int32
    private(set) var session = Session()
    private var received: [UInt8] = []
    private var position = 0
    private var lastXid: Int32 = 0

    /// Connects; nil while nobody listens. Another host than this one has a second to answer, for
    /// this and for each send.
    init?(host: String = "127.0.0.1", port: Int, receiveBufferBytes: Int32? = nil) {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        if var size = receiveBufferBytes {
            _ = unsafe setsockopt(
                descriptor,
                SOL_SOCKET,
                SO_RCVBUF,
                &size,
                socklen_t(MemoryLayout<Int32>.size)
            )
        }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        guard unsafe inet_pton(AF_INET, host, &address.sin_addr) == 1 else {
            preconditionFailure("\(host) is no address")
        }
        if host != "127.0.0.1" {
            var limit = timeval(tv_sec: 1, tv_usec: 0)
            _ = unsafe setsockopt(
                descriptor,
                SOL_SOCKET,
                SO_SNDTIMEO,
                &limit,
                socklen_t(MemoryLayout<timeval>.size)
            )
        }
        let isConnected = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                unsafe connect(
                    descriptor,
                    generic,
                    socklen_t(MemoryLayout<sockaddr_in>.size)
                ) == 0
            }
        }
        var on: Int32 = 1
        _ = unsafe setsockopt(
            descriptor,
            Int32(IPPROTO_TCP),
            TCP_NODELAY,
            &on,
            socklen_t(MemoryLayout<Int32>.size)
        )
        if !isConnected { return nil }
    }
    deinit { _ = Foundation.close(descriptor) }

    // MARK: Bytes

    /// False when the connection is gone.
    @discardableResult func send(_ bytes: [UInt8]) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let count = unsafe bytes.withUnsafeBytes { buffer in
                unsafe Foundation.send(
                    descriptor,
                    buffer.baseAddress?.advanced(by: sent),
                    buffer.count - sent,
                    Int32(MSG_NOSIGNAL)
                )
            }
            if count <= 0 { return false }
            sent += count
        }
        return true
    }

    /// What the socket takes at once; −1 when the connection is gone.
    func sendWithoutWaiting(_ bytes: ArraySlice<UInt8>) -> Int {
        let count = unsafe bytes.withUnsafeBytes { buffer in
            unsafe Foundation.send(
                descriptor,
                buffer.baseAddress,
                buffer.count,
                Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT)
            )
        }
        return count < 0 && errno == EAGAIN ? 0 : count
    }

    /// Ends this side of the connection; the other may still send.
    func finishSending() { _ = shutdown(descriptor, Int32(SHUT_WR)) }

    /// Takes what has come; false when the connection is gone.
    func receiveWhatIsThere() -> Bool {
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = unsafe recv(descriptor, &chunk, chunk.count, Int32(MSG_DONTWAIT))
            if count < 0 { return errno == EAGAIN }
            if count == 0 { return false }
            if position > 0, position == received.count {
                received.removeAll(keepingCapacity: true)
                position = 0
            }
            received += chunk[..<count]
            if count < chunk.count { return true }
        }
    }

    /// A frame that is here already.
    func frameAtHand() -> [UInt8]? {
        guard received.count - position >= 4 else { return nil }
        let length = Int(JuteBytes.int(received, at: position))
        guard received.count - position - 4 >= length else { return nil }
        let start = position + 4
        position = start + length
        return Array(received[start..<position])
    }

    /// Everything until the server closes the connection, or until `limit` seconds have passed.
    func textUntilClosed(limit: Double) -> String {
        let end = Date(timeIntervalSinceNow: limit)
        while receiveWhatIsThere() {
            let left = end.timeIntervalSinceNow
            var poller = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard left > 0, unsafe poll(&poller, 1, Int32(left * 1000) + 1) > 0 else { break }
        }
        return String(decoding: received[position...], as: UTF8.self)
    }

    func receive(limit: Double = 20) -> Received {
        let end = Date(timeIntervalSinceNow: limit)
        while true {
            if let frame = frameAtHand() { return .frame(frame) }
            let left = end.timeIntervalSinceNow
            var poller = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard left > 0, unsafe poll(&poller, 1, Int32(left * 1000) + 1) > 0 else {
                return .nothing
            }
            if !receiveWhatIsThere() {
                return frameAtHand().map(Received.frame) ?? .closed
            }
        }
    }

    /// All that comes until the other side closes, or the limit is over.
    func receiveToEnd(limit: Double) -> [UInt8] {
        let end = Date(timeIntervalSinceNow: limit)
        var poller = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        while end.timeIntervalSinceNow > 0 {
            let left = Int32(end.timeIntervalSinceNow * 1000) + 1
            guard unsafe poll(&poller, 1, left) > 0, receiveWhatIsThere() else { break }
        }
        defer { position = received.count }
        return Array(received[position...])
    }

    // MARK: Sessions

    static func connectRequest(
        timeout: Int32,
        session: Session = Session(),
        lastZxid: Int64 = 0,
        hasReadOnlyFlag: Bool = true,
        readOnly: Bool = false
    ) -> [UInt8] {
        var body = JuteBytes().int(0).long(lastZxid).int(timeout).long(session.id)
            .buffer(session.password)
        if hasReadOnlyFlag { body = body.bool(readOnly) }
        return body.frame
    }

    /// Asks for a session; a refused one has no timeout. Nil when the server closed instead.
    @discardableResult
    func open(
        timeout: Int32 = 30_000,
        session old: Session = Session(),
        readOnly: Bool = false
    ) -> Session? {
        guard send(Self.connectRequest(timeout: timeout, session: old, readOnly: readOnly)) else {
            return nil
        }
        return takeSession()
    }

    /// The answer to a request for a session.
    func takeSession(limit: Double = 20) -> Session? {
        guard case .frame(let frame) = receive(limit: limit), frame.count >= 36 else { return nil }
        session = Session(
            id: JuteBytes.long(frame, at: 8),
            password: Array(frame[20..<36]),
            timeout: JuteBytes.int(frame, at: 4)
        )
        session.isReadOnly = frame.count > 36 && frame[36] != 0
        return session
    }

    /// A connection with a session, made as soon as the server serves.
    static func connected(
        to port: Int,
        timeout: Int32 = 30_000,
        receiveBufferBytes: Int32? = nil
    ) throws -> RawClient {
        let client = try #require(
            RawClient(port: port, receiveBufferBytes: receiveBufferBytes),
            "nobody listens"
        )
        let session = try #require(client.open(timeout: timeout), "closed instead of a session")
        try #require(session.isAlive)
        return client
    }

    // MARK: Requests

    func nextXid() -> Int32 {
        lastXid += 1
        return lastXid
    }

    /// Sends a request and returns its reply, past whatever events come before it.
    func ask(_ request: RawRequest, limit: Double = 20) -> RawReply? {
        let xid = request.xid ?? nextXid()
        guard send(request.frame(xid: xid)) else { return nil }
        while case .frame(let frame) = receive(limit: limit) {
            guard let reply = RawReply(frame) else { return nil }
            if reply.xid == xid { return reply }
        }
        return nil
    }

    /// Whether a request of its own is answered: the server is well.
    var isServed: Bool { ask(.exists("/"))?.error == 0 }

    func close(sessionToo: Bool) {
        if sessionToo { _ = ask(.closeSession) }
        _ = shutdown(descriptor, Int32(SHUT_RDWR))
    }
}

/// A reply's header, and the bytes behind it.
struct RawReply: Equatable {
    var xid: Int32
    var zxid: Int64
    var error: Int32
    var body: [UInt8]

    init?(_ frame: [UInt8]) {
        guard frame.count >= 16 else { return nil }
        xid = JuteBytes.int(frame, at: 0)
        zxid = JuteBytes.long(frame, at: 4)
        error = JuteBytes.int(frame, at: 12)
        body = Array(frame[16...])
    }

    /// The data of a getData.
    var data: [UInt8]? {
        guard error == 0, body.count >= 4 else { return nil }
        let length = Int(JuteBytes.int(body, at: 0))
        guard length >= 0, body.count >= 4 + length else { return nil }
        return Array(body[4..<(4 + length)])
    }

    /// The names of a getChildren.
    var names: [String] {
        guard error == 0, body.count >= 4 else { return [] }
        var names: [String] = []
        var position = 4
        for _ in 0..<max(0, JuteBytes.int(body, at: 0)) {
            guard position + 4 <= body.count else { return names }
            let end = position + 4 + Int(JuteBytes.int(body, at: position))
            guard end >= position + 4, end <= body.count else { return names }
            names.append(String(decoding: body[(position + 4)..<end], as: UTF8.self))
            position = end
        }
        return names
    }
}
