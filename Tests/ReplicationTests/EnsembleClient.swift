import Replication
import Testing
import Zab
import ZooKeeperModel

/// A client of one server, as a test drives it: a call, or requests whose replies are looked at later.
final class EnsembleClient {
    let ensemble: Ensemble
    let connection: ConnectionID
    let response: ConnectResponse
    private var xid: Int32 = 0

    init(_ ensemble: Ensemble, connection: ConnectionID, response: ConnectResponse) {
        self.ensemble = ensemble
        self.connection = connection
        self.response = response
    }

    /// Sends without waiting. Returns the xid.
    @discardableResult
    func send(_ operation: Operation) -> Int32 {
        xid += 1
        ensemble.request(connection, xid, operation)
        return xid
    }

    /// Waits for the reply.
    func call(
        _ operation: Operation,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> Reply {
        let xid = send(operation)
        let expected = operation == .ping ? Request.pingXid : xid
        let before = ensemble.replies(connection).count
        ensemble.run { ensemble.replies(connection).count > before }
        let replies = ensemble.replies(connection)
        return try #require(
            replies.dropFirst(before).first { $0.xid == xid || $0.xid == expected },
            "no reply to \(operation)",
            sourceLocation: sourceLocation
        )
    }

    /// The error code, `.ok` for success.
    func code(
        _ operation: Operation,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> ErrorCode {
        switch try call(operation, sourceLocation: sourceLocation).result {
        case .success: .ok
        case .failure(let code): code
        }
    }

    /// The path that a create made.
    func create(
        _ path: ZnodePath,
        _ data: [UInt8]? = [],
        acl: [ACL] = .open,
        mode: CreateMode = .persistent,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> ZnodePath {
        let reply = try call(
            .create(CreateRequest(kind: .create, path: path, data: data, acl: acl, mode: mode)),
            sourceLocation: sourceLocation
        )
        guard case .success(.created(let path)) = reply.result else {
            throw try #require(reply.failure, sourceLocation: sourceLocation)
        }
        return path
    }

    var events: [WatchEvent] {
        (ensemble.sent[connection] ?? []).compactMap {
            if case .event(let event) = $0 { event } else { nil }
        }
    }
    var isClosed: Bool { ensemble.isClosed(connection) }
    /// `.ok` for success.
    var codes: [ErrorCode] { ensemble.replies(connection).map { $0.failure ?? .ok } }
}

extension Reply {
    var failure: ErrorCode? {
        if case .failure(let code) = result { code } else { nil }
    }
    var stat: Stat? {
        switch result {
        case .success(.stat(let stat)), .success(.data(_, let stat)),
            .success(.createdWithStat(_, let stat)), .success(.acl(_, let stat)),
            .success(.childrenWithStat(_, let stat)):
            stat
        default: nil
        }
    }
    var data: [UInt8]? {
        if case .success(.data(let data, _)) = result { data } else { nil }
    }
}

extension Ensemble {
    func connect(
        _ server: ServerID,
        timeout: Int32 = 10_000,
        session: SessionID = .none,
        password: [UInt8]? = nil,
        lastZxidSeen: Zxid = .zero,
        readOnly: Bool = false,
        address: String = "127.0.0.1",
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> EnsembleClient {
        let connection = open(server, address: address)
        ask(
            connection,
            ConnectRequest(
                lastZxidSeen: lastZxidSeen,
                timeout: timeout,
                session: session,
                password: password,
                readOnly: readOnly
            )
        )
        run { sent[connection]?.isEmpty == false }
        guard case .connected(let response)? = sent[connection]?.first else {
            throw try #require(
                nil as ConnectionRefused?,
                "no session on server \(server)",
                sourceLocation: sourceLocation
            )
        }
        return EnsembleClient(self, connection: connection, response: response)
    }

    func ask(_ connection: ConnectionID, _ request: ConnectRequest) {
        send(connection, .connectRequest(connection, request))
    }

    /// Comes back to a session of `client` on another connection; its timeout is 0 where it is gone.
    func reconnect(
        _ client: EnsembleClient,
        to server: ServerID,
        readOnly: Bool = false,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> EnsembleClient {
        try connect(
            server,
            timeout: client.response.timeout,
            session: client.response.session,
            password: client.response.password,
            readOnly: readOnly,
            sourceLocation: sourceLocation
        )
    }

    /// What a server answers to a connect request without time passing; empty while it waits.
    func answer(of server: ServerID, to request: ConnectRequest) -> [Sent] {
        let connection = open(server)
        ask(connection, request)
        settle()
        return sent[connection] ?? []
    }

    /// One server alone that serves.
    static func standalone(
        configure: @escaping (inout ReplicaConfiguration) -> Void = { _ in }
    ) throws -> Ensemble {
        let ensemble = Ensemble(1, configure: configure)
        try #require(ensemble.run { ensemble.leader != nil })
        return ensemble
    }

    /// Three servers, of which the third observes the other two.
    static func withObserver(
        configure: @escaping (inout ReplicaConfiguration) -> Void = { _ in }
    ) throws -> Ensemble {
        try ofThree {
            $0.ensemble.members = (1...3).map {
                EnsembleConfiguration.Member(id: ServerID(rawValue: $0), isObserver: $0 == 3)
            }
            configure(&$0)
        }
    }

    /// The leader, and the others in the order of their ids.
    func roles() throws -> (leader: ServerID, others: [ServerID]) {
        let leader = try #require(leader)
        return (leader, ids.filter { $0 != leader })
    }

    func lastZxid(_ server: ServerID) throws -> Zxid { try #require(status(server)).lastZxid }

    func expectSameTrees(sourceLocation: SourceLocation = #_sourceLocation) {
        let digests = ids.compactMap { node($0).replica?.treeDigest }
        #expect(Set(digests).count == 1, sourceLocation: sourceLocation)
        for id in ids { #expect(node(id).halted == nil, sourceLocation: sourceLocation) }
    }

    /// Three servers with a leader that both others follow.
    static func ofThree(
        configure: @escaping (inout ReplicaConfiguration) -> Void = { _ in }
    ) throws -> Ensemble {
        let ensemble = Ensemble(3, configure: configure)
        try #require(
            ensemble.run { ensemble.ids.allSatisfy { ensemble.status($0)?.isServing == true } }
        )
        return ensemble
    }
}

struct ConnectionRefused: Error {}

let one = ServerID(rawValue: 1)
