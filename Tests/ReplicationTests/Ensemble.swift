import DequeModule
import Replication
import Zab
import ZooKeeperModel
import ZooKeeperWire

/// Some servers, a network that keeps order, disks, and clients, in one thread and without a clock.
///
/// Everything waits in `inbox` and on the disks until `run` lets it happen; when nothing is left to
/// do, time moves to the next deadline.
final class Ensemble {
    /// What a client's connection was sent.
    enum Sent: Equatable {
        case connected(ConnectResponse)
        case reply(Reply)
        case event(WatchEvent)
        case closed
    }
    final class Node {
        var replica: Replica?
        var disk = MemoryDisk()
        var storage = Deque<StorageRequest>()
        var isDiskHeld = false
        var halted: String?
    }
    private struct Link {
        var learner: ServerID
        var learnerEnd: ConnectionID
        var leader: ServerID
        var leaderEnd: ConnectionID
    }

    let ids: [ServerID]
    private(set) var nodes: [ServerID: Node] = [:]
    private(set) var now = ClockReading(
        instant: Instant(nanoseconds: 1_000_000_000),
        timestamp: Timestamp(rawValue: 1_700_000_000_000)
    )
    private var inbox = Deque<(server: ServerID, input: ReplicaInput)>()
    private var links: [Link] = []
    private var nextConnection: UInt64 = 1
    private var serverOfClient: [ConnectionID: ServerID] = [:]
    private(set) var sent: [ConnectionID: [Sent]] = [:]
    private(set) var paused: Set<ConnectionID> = []
    private(set) var logs: [String] = []
    /// Whether clients read what they are sent.
    var isTakingReplies = true
    /// Whether what learners are sent leaves the process.
    var isSendingToLearners = true {
        didSet {
            guard isSendingToLearners else { return }
            for (server, connection) in undrained {
                inbox.append((server, .learnerDrained(connection)))
            }
            undrained = []
        }
    }
    private(set) var slicesSent = 0
    private var undrained: [(ServerID, ConnectionID)] = []
    private var inputs = 0
    /// Off where a tree is so large that checking it takes too long.
    var checksInvariants = true
    private var isCut: Set<ServerID> = []
    /// What learners have told their leader.
    private(set) var forwarded: [(learner: ServerID, message: LearnerMessage)] = []
    /// Learners whose messages are under way for as long as they are in here.
    private var isSlow: Set<ServerID> = []
    private var underWay: [(learner: ServerID, leader: ServerID, input: ReplicaInput)] = []
    private let configure: (inout ReplicaConfiguration) -> Void

    init(_ count: Int, configure: @escaping (inout ReplicaConfiguration) -> Void = { _ in }) {
        ids = (1...Int64(count)).map { ServerID(rawValue: $0) }
        self.configure = configure
        for id in ids {
            nodes[id] = Node()
            start(id)
        }
    }

    static let superDigest = "super:0bX78nEegDzJM3ju0iLBEJdWzjg="

    func node(_ id: ServerID) -> Node {
        guard let node = nodes[id] else { preconditionFailure("no server \(id)") }
        return node
    }
    func status(_ id: ServerID) -> ServerStatus? { node(id).replica?.status }
    var leader: ServerID? {
        ids.first { status($0)?.mode == .leader || status($0)?.mode == .standalone }
    }

    // MARK: Servers

    func start(_ id: ServerID) {
        var configuration = ReplicaConfiguration(
            ensemble: EnsembleConfiguration(
                me: id,
                members: ids.map { EnsembleConfiguration.Member(id: $0) }
            ),
            superDigest: Self.superDigest,
            sessionSeedMilliseconds: now.timestamp.rawValue,
            randomSeed: UInt64(id.rawValue)
        )
        configure(&configuration)
        let node = node(id)
        node.storage = []
        node.replica = Replica(
            configuration: configuration,
            recovered: node.disk.recover(),
            sha1: knownSHA1,
            now: now
        )
        inbox.append((id, .start))
        for other in ids where other != id && nodes[other]?.replica != nil && !isCut.contains(id) {
            inbox.append((id, .electionConnected(other)))
            inbox.append((other, .electionConnected(id)))
        }
    }

    /// The process is gone, with all its connections and all that was not durable.
    func crash(_ id: ServerID) {
        disconnect(id)
        node(id).replica = nil
        node(id).storage = []
        inbox.removeAll { $0.server == id }
        for (client, server) in serverOfClient where server == id { serverOfClient[client] = nil }
    }

    /// Every connection to other servers breaks, and no new one is made until `heal`.
    func cut(_ id: ServerID) {
        isCut.insert(id)
        disconnect(id)
    }

    /// The others lose these servers, and they do not notice it: what they send gets lost, and they
    /// hear nothing any more.
    func part(_ ids: [ServerID]) {
        let group = Set(ids)
        isCut.formUnion(ids)
        for link in links where group.contains(link.leader) != group.contains(link.learner) {
            links.removeAll { $0.learnerEnd == link.learnerEnd }
            if group.contains(link.leader) {
                inbox.append((link.learner, .leaderDisconnected(link.learnerEnd)))
            } else {
                inbox.append((link.leader, .learnerDisconnected(link.leaderEnd)))
            }
        }
    }

    func heal(_ id: ServerID) {
        isCut.remove(id)
        for other in ids where other != id && nodes[other]?.replica != nil {
            inbox.append((id, .electionConnected(other)))
            inbox.append((other, .electionConnected(id)))
        }
    }

    /// What this learner says reaches its leader only after `hurry`.
    func slow(_ id: ServerID) { isSlow.insert(id) }

    func hurry(_ id: ServerID) {
        isSlow.remove(id)
        for entry in underWay where entry.learner == id {
            inbox.append((entry.leader, entry.input))
        }
        underWay.removeAll { $0.learner == id }
    }

    /// As if this learner had sent it.
    func forward(_ request: ForwardedRequest, from learner: ServerID) {
        guard let link = links.first(where: { $0.learner == learner }) else { return }
        inbox.append((link.leader, .fromLearner(link.leaderEnd, .request(request))))
    }

    private func disconnect(_ id: ServerID) {
        for link in links where link.leader == id || link.learner == id { end(link) }
        for other in ids where other != id {
            inbox.append((other, .electionDisconnected(id)))
            inbox.append((id, .electionDisconnected(other)))
        }
    }

    private func end(_ link: Link) {
        links.removeAll { $0.learnerEnd == link.learnerEnd }
        inbox.append((link.learner, .leaderDisconnected(link.learnerEnd)))
        inbox.append((link.leader, .learnerDisconnected(link.leaderEnd)))
    }

    // MARK: Clients

    func open(_ server: ServerID, address: String = "127.0.0.1") -> ConnectionID {
        let id = makeConnection()
        serverOfClient[id] = server
        sent[id] = []
        inbox.append((server, .clientConnected(id, address: address)))
        return id
    }

    func send(_ id: ConnectionID, _ input: ReplicaInput) {
        guard let server = serverOfClient[id] else { return }
        inbox.append((server, input))
    }

    /// What an operator, or the edge of this server, says to it.
    func command(_ server: ServerID, _ input: ReplicaInput) {
        inbox.append((server, input))
    }

    func request(_ id: ConnectionID, _ xid: Int32, _ operation: Operation) {
        send(id, .request(id, Request(xid: xid, operation: operation)))
    }

    func drop(_ id: ConnectionID) {
        send(id, .clientDisconnected(id))
        serverOfClient[id] = nil
    }

    func replies(_ id: ConnectionID) -> [Reply] {
        (sent[id] ?? []).compactMap { if case .reply(let reply) = $0 { reply } else { nil } }
    }
    func isClosed(_ id: ConnectionID) -> Bool { sent[id]?.contains(.closed) == true }
    func clear(_ id: ConnectionID) { sent[id] = [] }

    private func makeConnection() -> ConnectionID {
        defer { nextConnection += 1 }
        return ConnectionID(rawValue: nextConnection)
    }

    // MARK: Time

    /// Lets things happen until the condition holds; false if it does not within `steps`.
    @discardableResult
    func run(steps: Int = 20_000, until condition: () -> Bool) -> Bool {
        for _ in 0..<steps {
            if condition() { return true }
            if !step() { moveTime() }
        }
        return condition()
    }

    /// Everything that can happen without time passing.
    func settle() {
        while step() {}
    }

    func advance(_ duration: Duration) {
        let end = now.instant + duration
        while true {
            settle()
            guard let next = nextDeadline, next <= end else { break }
            set(max(next, now.instant))
            wakeAll()
        }
        set(end)
        settle()
    }

    /// The servers' processes stand still while time passes.
    func freeze(_ duration: Duration) {
        set(now.instant + duration)
    }

    private func set(_ instant: Instant) {
        let passed = (instant - now.instant).wholeMilliseconds
        now = ClockReading(
            instant: instant,
            timestamp: Timestamp(rawValue: now.timestamp.rawValue + passed)
        )
    }

    private var nextDeadline: Instant? {
        ids.compactMap { node($0).replica?.nextDeadline }.min()
    }

    private func moveTime() {
        guard let next = nextDeadline else { return }
        set(max(next, now.instant))
        wakeAll()
    }

    func wakeAll() {
        for id in ids where (node(id).replica?.nextDeadline).map({ $0 <= now.instant }) == true {
            handle(.wake, on: id)
        }
    }

    private func step() -> Bool {
        if let (server, input) = inbox.popFirst() {
            handle(input, on: server)
            return true
        }
        for id in ids where !node(id).isDiskHeld {
            guard let request = node(id).storage.popFirst() else { continue }
            if let result = node(id).disk.perform(request) { handle(.storage(result), on: id) }
            return true
        }
        return false
    }

    private func handle(_ input: ReplicaInput, on id: ServerID) {
        let node = node(id)
        guard node.replica != nil, node.halted == nil else { return }
        var actions: [ReplicaAction] = []
        node.replica?.handle(input, at: now, actions: &actions)
        // Its cost grows with the tree.
        inputs += 1
        if checksInvariants,
            inputs % 16 == 0 || (node.replica?.status.nodeCount ?? 0) < 50
        {
            node.replica?.checkInvariants()
        }
        for action in actions { perform(action, from: id) }
    }

    private func perform(_ action: ReplicaAction, from id: ServerID) {
        switch action {
        case .connectResponse(let client, let response):
            sent[client]?.append(.connected(response))
        case .reply(let client, let reply): sent[client]?.append(.reply(reply))
        case .event(let client, let event): sent[client]?.append(.event(event))
        case .closeClient(let client, _):
            sent[client]?.append(.closed)
            send(client, .clientDisconnected(client))
            serverOfClient[client] = nil
        case .pauseReading(let client):
            paused.insert(client)
            if isTakingReplies { send(client, .drained(client)) }
        case .resumeReading(let client): paused.remove(client)
        case .reportDrained(let connection):
            if isSendingToLearners {
                inbox.append((id, .learnerDrained(connection)))
            } else {
                undrained.append((id, connection))
            }
        case .append(let proposal): node(id).storage.append(.append([proposal]))
        case .storage(let request): node(id).storage.append(request)
        case .truncate(let zxid):
            while let request = node(id).storage.popFirst() {
                if let result = node(id).disk.perform(request) {
                    inbox.append((id, .storage(result)))
                }
            }
            if let snapshot = node(id).disk.snapshot, snapshot.zxid > zxid {
                // It is all this disk has, and it holds too much.
                inbox.append((id, .truncationRefused))
                return
            }
            node(id).disk.truncate(to: zxid)
            inbox.append((id, .recovered(node(id).disk.recover())))
        case .sendNotification(let other, let notification):
            guard !isCut.contains(id), !isCut.contains(other) else { return }
            inbox.append((other, .notification(from: id, notification)))
        case .connectToLeader(let leader): connect(id, to: leader)
        case .send(let connection, let message):
            if case .snapshotSlice = message { slicesSent += 1 }
            for link in links {
                if link.learnerEnd == connection, link.learner == id {
                    forwarded.append((id, message))
                    let input = ReplicaInput.fromLearner(link.leaderEnd, message)
                    if isSlow.contains(id) {
                        underWay.append((id, link.leader, input))
                    } else {
                        inbox.append((link.leader, input))
                    }
                } else if link.leaderEnd == connection, link.leader == id {
                    inbox.append((link.learner, .fromLeader(link.learnerEnd, message)))
                }
            }
        case .close(let connection, _):
            for link in links where link.learnerEnd == connection || link.leaderEnd == connection {
                end(link)
            }
        case .log(let level, let message):
            logs.append(message)
            if level == .error { node(id).halted = message }
        case .halt(let reason): node(id).halted = reason
        }
    }

    private func connect(_ learner: ServerID, to leader: ServerID) {
        guard node(leader).replica != nil, !isCut.contains(learner), !isCut.contains(leader) else {
            inbox.append((learner, .leaderDisconnected(nil)))
            return
        }
        let link = Link(
            learner: learner,
            learnerEnd: makeConnection(),
            leader: leader,
            leaderEnd: makeConnection()
        )
        links.append(link)
        inbox.append((leader, .learnerConnected(link.leaderEnd)))
        inbox.append((learner, .leaderConnected(link.learnerEnd)))
    }
}

/// SHA-1 of the two credentials the tests use; anything else hashes to zeros.
@Sendable func knownSHA1(_ bytes: [UInt8]) -> [UInt8] {
    switch String(decoding: bytes, as: UTF8.self) {
    case "u:p":
        [
            38, 174, 240, 51, 32, 63, 195, 101, 93, 229, 98, 3, 0, 167, 110, 224, 226, 8, 20, 68,
        ]
    case "super:pw":
        [
            209, 181, 251, 242, 113, 30, 128, 60, 201, 51, 120, 238, 210, 34, 193, 16, 151, 86, 206,
            56,
        ]
    default: [UInt8](repeating: 0, count: 20)
    }
}
