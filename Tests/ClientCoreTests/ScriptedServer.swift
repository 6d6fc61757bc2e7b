import ClientCore
import Testing
import ZooKeeperModel
import ZooKeeperWire

/// A session under test with the server at its other end played by the test: what the session
/// sends is decoded, what the server says is encoded.
struct ScriptedServer {
    var session: ClientSession
    var now = Instant(nanoseconds: 1_000_000_000)
    private(set) var actions: [ClientAction] = []
    private var sent = FrameDecoder(maxFrameBytes: 1 << 30)
    private(set) var attempt = ConnectionAttempt(rawValue: 0)
    private(set) var attempts: [ServerAddress] = []
    private var lastToken: UInt64 = 1_000_000

    static let servers = (1...3).map { ServerAddress(host: "zk\($0)", port: 2181) }
    static let password: [UInt8] = Array(1...16)
    static let sessionID = SessionID(rawValue: 0x100_0000_0000_0001)

    init(_ configure: (inout ClientConfiguration) -> Void = { _ in }) {
        var configuration = ClientConfiguration(
            servers: Self.servers,
            sessionTimeout: .seconds(9),
            seed: 7
        )
        configure(&configuration)
        session = ClientSession(configuration: configuration, now: now)
    }

    /// A session that is connected, with the actions up to there forgotten.
    static func connected(
        _ configure: (inout ClientConfiguration) -> Void = { _ in }
    ) throws -> ScriptedServer {
        var server = ScriptedServer(configure)
        server.handle(.start)
        _ = try server.acceptConnection()
        server.answerConnect()
        server.forget()
        return server
    }

    mutating func handle(_ input: ClientInput) {
        var new: [ClientAction] = []
        session.handle(input, at: now, actions: &new)
        session.checkInvariants()
        for action in new {
            switch action {
            case .connect(let address, let attempt):
                self.attempt = attempt
                attempts.append(address)
                sent = FrameDecoder(maxFrameBytes: 1 << 30)
            case .send(let attempt, let bytes):
                #expect(attempt == self.attempt, "bytes for a connection that is gone")
                sent.append(bytes)
            case .disconnect, .complete, .event, .state, .log: break
            }
        }
        actions += new
    }

    mutating func submit(_ token: UInt64, _ operation: Operation) {
        handle(.submit(RequestToken(rawValue: token), operation))
    }

    /// Far from the tokens that tests choose.
    mutating func nextToken() -> UInt64 {
        lastToken += 1
        return lastToken
    }

    /// Takes the connection and returns the connect request.
    mutating func acceptConnection() throws -> ConnectRequest {
        handle(.connected(attempt))
        var frame = try #require(try sent.next())
        return try ConnectCodec.decodeRequest(&frame)
    }

    /// All requests sent and not yet taken.
    mutating func takeRequests() throws -> [Request] {
        var requests: [Request] = []
        while var frame = try sent.next() { requests.append(try RequestCodec.decode(&frame)) }
        return requests
    }

    mutating func answerConnect(
        timeout: Int32 = 9_000,
        session: SessionID = ScriptedServer.sessionID
    ) {
        let response = ConnectResponse(
            timeout: timeout,
            session: session,
            password: Self.password
        )
        var writer = JuteWriter()
        ConnectCodec.encode(response, into: &writer)
        handle(.received(attempt, writer.bytes))
    }

    mutating func reply(
        _ xid: Int32,
        _ result: Result<Response, ErrorCode> = .success(.empty),
        zxid: Int64 = 1
    ) {
        handle(.received(attempt, Self.bytes(xid, result, zxid: zxid)))
    }

    static func bytes(
        _ xid: Int32,
        _ result: Result<Response, ErrorCode>,
        zxid: Int64 = 1
    ) -> [UInt8] {
        var writer = JuteWriter()
        ReplyCodec.encode(
            Reply(xid: xid, zxid: Zxid(rawValue: zxid), result: result),
            into: &writer
        )
        return writer.bytes
    }

    static func bytes(_ event: WatchEvent) -> [UInt8] {
        var writer = JuteWriter()
        ReplyCodec.encode(event, into: &writer)
        return writer.bytes
    }

    mutating func send(_ event: WatchEvent) {
        handle(.received(attempt, Self.bytes(event)))
    }

    mutating func hangUp() { handle(.disconnected(attempt, reason: "reset")) }

    /// Lets the clock reach the session's deadline and wakes it.
    mutating func wakeAtDeadline() throws {
        now = max(now, try #require(session.nextDeadline))
        handle(.wake)
    }

    mutating func forget() { actions = [] }

    var completions: [Completion] {
        actions.compactMap { action in
            guard case .complete(let token, let result, _) = action else { return nil }
            return Completion(token: token.rawValue, result: result)
        }
    }
    var states: [SessionState] {
        actions.compactMap { if case .state(let state) = $0 { state } else { nil } }
    }
    var events: [WatchEvent] {
        actions.compactMap { if case .event(let event) = $0 { event } else { nil } }
    }
    var disconnects: [ConnectionAttempt] {
        actions.compactMap { if case .disconnect(let attempt) = $0 { attempt } else { nil } }
    }

    struct Completion: Equatable {
        var token: UInt64
        var result: Result<Response, ErrorCode>
        init(token: UInt64, result: Result<Response, ErrorCode>) {
            self.token = token
            self.result = result
        }
        init(_ token: UInt64, _ error: ErrorCode) {
            self.init(token: token, result: .failure(error))
        }
        init(_ token: UInt64, _ response: Response) {
            self.init(token: token, result: .success(response))
        }
    }

    static let stat = Stat(
        czxid: Zxid(rawValue: 1),
        mzxid: Zxid(rawValue: 1),
        ctime: Timestamp(rawValue: 5),
        mtime: Timestamp(rawValue: 5),
        version: 0,
        cversion: 0,
        aversion: 0,
        ephemeralOwner: .none,
        dataLength: 1,
        numChildren: 0,
        pzxid: Zxid(rawValue: 1)
    )
}
