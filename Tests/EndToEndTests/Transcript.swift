import Foundation
import Testing

/// What a server answered to a script, as text that two servers can be compared by.
///
/// Every byte of every reply stands in it. Only what must differ is told by what it means: a session
/// by who opened it, a time by whether there is one, children in sorted order, a zxid by its counter:
/// on a fresh server the same requests, failed ones too, must count alike. (The epoch of Apache's
/// standalone server is 0; ours is one more than at its last start.)
final class Transcript {
    private(set) var lines: [String] = []
    private let server: ServerProcess
    private var clients: [String: RawClient] = [:]
    private var sessionNames: [Int64: String] = [:]
    private var sessions: [String: RawClient.Session] = [:]

    init(of server: ServerProcess) { self.server = server }

    // MARK: Steps

    /// Connects `name` and opens a session, or goes on with `again`, the session of that name.
    func open(
        _ name: String,
        timeout: Int32 = 30_000,
        again: String? = nil,
        password: [UInt8]? = nil,
        lastZxid: Int64 = 0,
        hasReadOnlyFlag: Bool = true
    ) {
        guard let client = RawClient(port: server.port) else {
            return lines.append("\(name) cannot connect")
        }
        clients[name] = client
        var session = again.flatMap { sessions[$0] } ?? RawClient.Session()
        if let password { session.password = password }
        client.send(
            RawClient.connectRequest(
                timeout: timeout,
                session: session,
                lastZxid: lastZxid,
                hasReadOnlyFlag: hasReadOnlyFlag
            )
        )
        switch client.receive() {
        case .closed: lines.append("\(name) opens: closed")
        case .nothing: lines.append("\(name) opens: nothing")
        case .frame(let frame):
            guard frame.count >= 36 else { return lines.append("\(name) opens: \(hex(frame))") }
            let id = JuteBytes.long(frame, at: 8)
            if sessionNames[id] == nil, id != 0 { sessionNames[id] = name }
            sessions[name] = RawClient.Session(
                id: id,
                password: Array(frame[20..<36]),
                timeout: JuteBytes.int(frame, at: 4)
            )
            let isZero = frame[20..<36].allSatisfy { $0 == 0 }
            lines.append(
                "\(name) opens: version \(JuteBytes.int(frame, at: 0)) timeout "
                    + "\(JuteBytes.int(frame, at: 4)) session \(sessionName(id)) password of "
                    + "\(JuteBytes.int(frame, at: 16)) \(isZero ? "zeros" : "bytes") "
                    + hex(Array(frame[36...]))
            )
        }
    }

    /// Sends a request and writes down all that comes up to its reply.
    func ask(_ name: String, _ request: RawRequest, as what: String? = nil) {
        guard let client = clients[name] else { return lines.append("\(name) is not there") }
        let xid = request.xid ?? client.nextXid()
        let title = "\(name) \(what ?? describe(request)):"
        guard client.send(request.frame(xid: xid)) else { return lines.append("\(title) gone") }
        while true {
            switch client.receive() {
            case .closed: return lines.append("\(title) closed")
            case .nothing: return lines.append("\(title) no answer")
            case .frame(let frame):
                guard let reply = RawReply(frame) else {
                    return lines.append("\(title) \(hex(frame))")
                }
                guard reply.xid == xid else {
                    lines.append("\(name) is told: " + event(reply))
                    continue
                }
                return lines.append(
                    "\(title) zxid \(counter(reply.zxid)) error \(reply.error) "
                        + Self.shape(of: request.code, reply, session: sessionName)
                )
            }
        }
    }

    /// Whatever came for `name` until now.
    func settle(_ name: String) { ask(name, .ping) }

    /// What becomes of the connection when nothing more is sent.
    func expectEnd(_ name: String) {
        switch clients[name]?.receive() {
        case .closed: lines.append("\(name) is closed")
        case .frame(let frame): lines.append("\(name) gets \(hex(frame))")
        case .nothing, nil: lines.append("\(name) hears nothing")
        }
    }

    func drop(_ name: String) { clients[name] = nil }

    func note(_ line: String) { lines.append(line) }

    // MARK: Words for bytes

    private func describe(_ request: RawRequest) -> String {
        "\(request.code) \(readable(request.body.bytes))"
    }

    private func event(_ reply: RawReply) -> String {
        // The zxid of events is −1 up to 3.8; ours says which transaction it was, as 3.9 does.
        "xid \(reply.xid) error \(reply.error) \(readable(reply.body))"
    }

    private func sessionName(_ id: Int64) -> String {
        id == 0 ? "none" : sessionNames[id] ?? String(id, radix: 16)
    }

    private static func shape(
        of code: Int32,
        _ reply: RawReply,
        session: @escaping (Int64) -> String
    ) -> String {
        var reader = ReplyReader(bytes: reply.body, session: session)
        if reply.error == 0 {
            switch code {
            case 1, 9: reader.string()
            case 15, 19, 21:
                reader.string()
                reader.stat()
            case 3, 5, 7: reader.stat()
            case 4:
                reader.buffer()
                reader.stat()
            case 6:
                reader.acl()
                reader.stat()
            case 8: reader.names()
            case 12:
                reader.names()
                reader.stat()
            case 14: reader.multi()
            default: break
            }
        }
        return reader.finish()
    }
}

func hex(_ bytes: [UInt8]) -> String {
    bytes.map { String(format: "%02x", $0) }.joined()
}

/// Printable characters as they are, others in hexadecimal.
func readable(_ bytes: [UInt8]) -> String {
    bytes.map { (33..<127).contains($0) ? String(UnicodeScalar($0)) : String(format: "<%02x>", $0) }
        .joined().replacingOccurrences(of: "<00>", with: ".")
}

/// A zxid without its epoch.
private func counter(_ zxid: Int64) -> Int64 { zxid > 0 ? zxid & 0xFFFF_FFFF : zxid }

/// Reads a reply's record field by field into words; what does not fit is told as it is.
private struct ReplyReader {
    private let bytes: [UInt8]
    private let session: (Int64) -> String
    private var position = 0
    private var words: [String] = []
    private var isBroken = false

    init(bytes: [UInt8], session: @escaping (Int64) -> String) {
        self.bytes = bytes
        self.session = session
    }

    private mutating func take(_ count: Int) -> [UInt8]? {
        guard !isBroken, count >= 0, bytes.count - position >= count else {
            isBroken = true
            return nil
        }
        position += count
        return Array(bytes[(position - count)..<position])
    }
    private mutating func int() -> Int32 { take(4).map { JuteBytes.int($0, at: 0) } ?? 0 }
    private mutating func long() -> Int64 { take(8).map { JuteBytes.long($0, at: 0) } ?? 0 }
    private mutating func field() -> String {
        let length = int()
        if length == -1 { return "null" }
        return "'" + readable(take(Int(length)) ?? []) + "'"
    }

    mutating func string() { words.append(field()) }
    mutating func buffer() { words.append("data \(field())") }

    mutating func names() {
        let count = int()
        var names: [String] = []
        for _ in 0..<max(0, count) where !isBroken { names.append(field()) }
        words.append("\(count) names \(names.sorted().joined(separator: " "))")
    }

    mutating func acl() {
        let count = int()
        for _ in 0..<max(0, count) where !isBroken {
            words.append("acl \(int()) \(field()) \(field())")
        }
    }

    mutating func stat() {
        let zxids = "czxid \(counter(long())) mzxid \(counter(long()))"
        let ctime = long()
        let mtime = long()
        let times = "ctime \(ctime == 0 ? "0" : "set") mtime \(mtime == 0 ? "0" : "set")"
        let versions = "versions \(int()) \(int()) \(int())"
        let owner = session(long())
        words.append(
            "\(zxids) \(times) \(versions) owner \(owner) length \(int()) children \(int()) "
                + "pzxid \(counter(long()))"
        )
    }

    mutating func multi() {
        while !isBroken {
            let type = int()
            let isEnd = take(1) == [1]
            let error = int()
            words.append("[\(type) \(isEnd ? "end" : "part") \(error)]")
            if isEnd { return }
            switch type {
            case 1: string()
            case 5: stat()
            case 15:
                string()
                stat()
            case -1: words.append("code \(int())")
            default: break
            }
        }
    }

    mutating func finish() -> String {
        if isBroken { return "broken: " + hex(bytes) }
        if position < bytes.count { words.append("and " + hex(Array(bytes[position...]))) }
        return words.joined(separator: ", ")
    }
}
