internal import Logging
internal import NIOCore
internal import NIOPosix
internal import Replication
internal import ZooKeeperModel

/// The learner protocol's connections: those that learners open to this server, and the one that it
/// opens to the leader.
///
/// The port is open whether this server leads or not: a learner may have heard of the outcome of the
/// election before the leader has.
final class QuorumPort {
    private let lines: EnsembleLines
    private let socket: PeerSocket
    private unowned let runner: ReplicaRunner

    private var connections: [ConnectionID: LearnerConnection] = [:]
    private let dirty = FlushList<LearnerConnection>()
    private var learnerCount = 0
    /// The attempt to reach a leader that counts: earlier ones are dropped when they succeed.
    private var attempt = 0
    private var isLeaderPaused = false
    private var isStopped = false

    /// More learners than this many for each member are strangers.
    static let learnersPerMember = 4
    static let strangerLimit = 64

    init(lines: EnsembleLines, socket: PeerSocket, runner: ReplicaRunner) {
        self.lines = lines
        self.socket = socket
        self.runner = runner
    }

    var bootstrap: ServerBootstrap {
        let bound = NIOLoopBound(self, eventLoop: socket.loop)
        return socket.server { channel in try bound.value.accept(channel) }
    }

    private func accept(_ channel: any Channel) throws {
        let limit = Self.strangerLimit + Self.learnersPerMember * lines.members.count
        guard !isStopped, learnerCount < limit else {
            runner.logger.warning("refusing a learner: \(learnerCount) are connected already")
            throw AdmissionRefused()
        }
        learnerCount += 1
        let bound = NIOLoopBound(self, eventLoop: socket.loop)
        channel.closeFuture.whenComplete { _ in bound.value.learnerCount -= 1 }
        try channel.pipeline.syncOperations.addHandler(
            LearnerConnection(id: runner.admission.nextID(), peer: .learner, port: self)
        )
    }

    // MARK: What the replica wants

    /// Answers with `.leaderConnected` or `.leaderDisconnected(nil)`; replaces an attempt under way.
    func connect(toLeader leader: ServerID) {
        attempt += 1
        guard let line = lines.members.first(where: { $0.id == leader }) else {
            return failed(attempt, "server \(leader) is not configured")
        }
        connect(line, addressIndex: 0, attempt)
    }

    private func connect(_ line: MemberLine, addressIndex: Int, _ number: Int) {
        let bound = NIOLoopBound(self, eventLoop: socket.loop)
        let connection = NIOLoopBound(
            LearnerConnection(id: runner.admission.nextID(), peer: .leader, port: self),
            eventLoop: socket.loop
        )
        socket.connect(to: line.addresses[addressIndex].quorum) { channel in
            try channel.pipeline.syncOperations.addHandler(connection.value)
        }.whenComplete { result in
            let port = bound.value
            switch result {
            case .success: port.reached(connection.value, number)
            case .failure(let error):
                guard number == port.attempt, addressIndex + 1 < line.addresses.count else {
                    return port.failed(number, "\(error)")
                }
                port.connect(line, addressIndex: addressIndex + 1, number)
            }
        }
    }

    private func reached(_ connection: LearnerConnection, _ number: Int) {
        guard number == attempt, !isStopped else {
            return connection.close("another attempt has replaced it")
        }
        connections[connection.id] = connection
        runner.receive(.leaderConnected(connection.id))
        finishTurn()
    }

    private func failed(_ number: Int, _ reason: String) {
        guard number == attempt, !isStopped else { return }
        runner.logger.debug("the leader cannot be reached: \(reason)")
        runner.receive(.leaderDisconnected(nil))
        finishTurn()
    }

    func send(_ message: LearnerMessage, to id: ConnectionID) { connections[id]?.send(message) }

    func close(_ id: ConnectionID, _ reason: String) {
        guard let connection = connections.removeValue(forKey: id) else { return }
        connection.close(reason)
    }

    func reportDrained(_ id: ConnectionID) { connections[id]?.reportDrained() }

    // MARK: What connections say

    func drained(_ connection: LearnerConnection) {
        runner.receive(.learnerDrained(connection.id))
    }

    func accepted(_ connection: LearnerConnection) {
        connections[connection.id] = connection
        runner.receive(.learnerConnected(connection.id))
    }

    func received(
        _ message: LearnerMessage,
        on connection: LearnerConnection,
        at now: ClockReading
    ) {
        switch connection.peer {
        case .learner: runner.receive(.fromLearner(connection.id, message), at: now)
        case .leader: runner.receive(.fromLeader(connection.id, message), at: now)
        }
    }

    /// Nothing is heard of a connection after the replica has closed it.
    func ended(_ connection: LearnerConnection) {
        guard connections.removeValue(forKey: connection.id) != nil else { return }
        switch connection.peer {
        case .learner: runner.receive(.learnerDisconnected(connection.id))
        case .leader: runner.receive(.leaderDisconnected(connection.id))
        }
        finishTurn()
    }

    func closing(_ connection: LearnerConnection, _ reason: String) {
        let who = connection.peer == .leader ? "leader" : "learner"
        runner.logger.info(
            "closing the connection with a \(who) at \(connection.address): \(reason)"
        )
    }

    func markDirty(_ connection: LearnerConnection) { dirty.mark(connection) }
    func finishTurn() { runner.finishTurn() }
    func finishRead() { runner.finishRead() }

    /// Sends what has gathered in this turn.
    func flush() { dirty.flush { $0.flush() } }

    /// Stops taking a leader's tree off the socket while the disk has enough of it.
    func setLeaderPaused(_ paused: Bool) {
        guard paused != isLeaderPaused else { return }
        isLeaderPaused = paused
        for connection in connections.values where connection.peer == .leader {
            connection.setPaused(paused)
        }
    }

    func stop() {
        isStopped = true
        let open = connections.values.sorted { $0.id < $1.id }
        connections.removeAll()
        for connection in open { connection.close("the server stops") }
    }
}
