internal import Crypto
internal import Journal
internal import Logging
internal import NIOCore
internal import Platform
internal import Replication
internal import ZooKeeperModel

/// Feeds one ``Replica`` from sockets, disk and clock, and carries out what it asks for.
///
/// Confined to one event loop. Inputs are handled as they come. What they cause for clients leaves
/// in one write a connection once all that was read from it is handled; what they cause for the
/// disk, in one batch at the end of the loop's turn (``finishTurn()``).
final class ReplicaRunner {
    let configuration: ServerConfiguration
    let logger: Logger
    let admission: Admission
    let loop: any EventLoop
    private let disk: DiskThread
    let started: Instant
    var replica: Replica
    /// The newest reading that the replica was given.
    private var latest: ClockReading
    private var actions: [ReplicaAction] = []
    /// Empty: the room of those that were carried out last.
    private var performed: [ReplicaAction] = []
    private var isPerforming = false

    private(set) var connections: [ConnectionID: ClientConnection] = [:]
    var figures = ConnectionFigures()
    /// ZooKeeper's default.
    var traceMask: Int64 = 306
    private let dirty = FlushList<ClientConnection>()
    /// Where the last reply went, while that connection is there.
    private var lastReplied: ClientConnection?

    /// Nil for a server alone.
    private var peers: PeerPorts?

    /// Work for the disk that waits for what it is doing, in order.
    private var pendingStorage = StorageQueue()
    private var isDiskBusy = false
    /// It has no room for what it was given last, and is asked from time to time.
    private var room: RoomWait?
    private var commitGroup = CommitGroup()
    private var commitTimer: Scheduled<Void>?
    private var isTurnEndScheduled = false
    /// Old snapshots go when the disk has nothing else to do.
    private var isPurgeDue = false
    private var purgeTimer: RepeatedTask?

    private var timer: Scheduled<Void>?
    private var timerInstant: Instant?

    private var isHalted = false
    /// Told once, with the reason, when the replica must not go on.
    private let onHalt: @Sendable (String) -> Void

    init(
        configuration: ServerConfiguration,
        recovered: RecoveredState,
        journal: PatientJournal,
        loop: any EventLoop,
        logger: Logger,
        onHalt: @escaping @Sendable (String) -> Void
    ) {
        self.configuration = configuration
        self.loop = loop
        admission = Admission(
            perAddress: configuration.maxClientConnections,
            total: configuration.maxConnections
        )
        self.logger = logger
        self.onHalt = onHalt
        disk = DiskThread(journal: journal, extendedTypes: configuration.extendedTypes)
        let now = SystemClock.read()
        var random = SystemRandom()
        started = now.instant
        latest = now
        replica = Replica(
            configuration: configuration.replica(now: now, randomSeed: random.next()),
            recovered: recovered,
            sha1: { Array(Insecure.SHA1.hash(data: $0)) },
            now: now
        )
        guard configuration.ensemble.isEnsemble else { return }
        peers = PeerPorts(configuration: configuration, loop: loop, runner: self)
    }

    func start() {
        peers?.start()
        receive(.start)
        isPurgeDue = configuration.purgeInterval != nil
        finishTurn()
        guard let interval = configuration.purgeInterval else { return }
        let bound = NIOLoopBound(self, eventLoop: loop)
        let delay = TimeAmount(interval)
        purgeTimer = loop.scheduleRepeatedTask(initialDelay: delay, delay: delay) { _ in
            bound.value.isPurgeDue = true
            bound.value.finishTurn()
        }
    }

    // MARK: Inputs

    func receive(_ input: ReplicaInput) { receive(input, at: SystemClock.read()) }

    /// Time does not go back for the replica, though an input can lead to another, with a newer
    /// reading, before the next one of an older.
    func receive(_ input: consuming ReplicaInput, at now: ClockReading) {
        guard !isHalted else { return }
        if now.instant > latest.instant { latest = now }
        replica.handle(consume input, at: latest, actions: &actions)
        perform()
    }

    func connectionOpened(_ connection: ClientConnection) {
        connections[connection.id] = connection
        receive(.clientConnected(connection.id, address: connection.address))
    }

    func connectionClosed(_ connection: ClientConnection) {
        if lastReplied === connection { lastReplied = nil }
        guard connections.removeValue(forKey: connection.id) != nil else { return }
        receive(.clientDisconnected(connection.id))
        finishTurn()
    }

    func connectionDrained(_ connection: ClientConnection) {
        receive(.drained(connection.id))
    }

    var isServing: Bool { replica.isServing }

    func markDirty(_ connection: ClientConnection) { dirty.mark(connection) }

    /// Sends clients what was read from one of them, or from another member, has caused. What it has
    /// caused for the disk and the other members leaves together with all that is read in this turn.
    func finishRead() {
        flush()
        finishTurnSoon()
    }

    /// Once everything is read that has come by now: what the other members' acknowledgements and
    /// the clients' requests have caused leaves together.
    private func finishTurnSoon() {
        guard !isTurnEndScheduled else { return }
        isTurnEndScheduled = true
        let bound = NIOLoopBound(self, eventLoop: loop)
        loop.execute {
            bound.value.isTurnEndScheduled = false
            bound.value.finishTurn()
        }
    }

    /// Sends everything that the inputs of this turn of the loop have caused. First comes who waits for
    /// an answer: while the rest leaves, clients make their next requests.
    func finishTurn() {
        flush()
        submitStorage()
        peers?.quorum.flush()
        flush()
        peers?.quorum.flush()
        submitStorage()
        peers?.quorum.setLeaderPaused(pendingStorage.hasTooManySlices)
        scheduleWake()
    }

    private func flush() { dirty.flush { $0.flush() } }

    // MARK: Actions

    /// Carrying out an action can hand the replica its next input (a resumed connection has frames
    /// waiting), whose actions then follow those that are here already.
    private func perform() {
        guard !isPerforming else { return }
        isPerforming = true
        while !actions.isEmpty {
            // Two arrays in turns.
            var batch: [ReplicaAction] = []
            swap(&batch, &performed)
            swap(&batch, &actions)
            for index in batch.indices {
                perform(batch.take(at: index, leaving: .storage(.abandonSnapshot)))
            }
            batch.removeAll(keepingCapacity: batch.capacity <= 4096)
            performed = batch
        }
        isPerforming = false
    }

    private func perform(_ action: consuming ReplicaAction) {
        switch consume action {
        case .reply(let id, let reply): connection(id)?.send(reply)
        case .event(let id, let event): connections[id]?.send(event)
        case .connectResponse(let id, let response): connections[id]?.send(response)
        case .closeClient(let id, let reason): connections[id]?.close(reason)
        case .pauseReading(let id): connections[id]?.setPaused(true)
        case .resumeReading(let id): connections[id]?.setPaused(false)
        case .append(let proposal):
            pendingStorage.append(proposal)
            commitGroup.addAppend()
        case .storage(let request):
            pendingStorage.append(request)
            commitGroup.add(request)
        case .truncate(let zxid):
            pendingStorage.appendTruncation(to: zxid)
            commitGroup.addTruncation()
        case .log(let level, let message): log(level, message)
        case .halt(let reason): halt(reason)
        // One voter alone has nobody to say these to.
        case .sendNotification(let member, let notification):
            peers?.election.send(notification, to: member)
        case .connectToLeader(let leader): peers?.quorum.connect(toLeader: leader)
        case .send(let id, let message): peers?.quorum.send(message, to: id)
        case .close(let id, let reason): peers?.quorum.close(id, reason)
        case .reportDrained(let id): peers?.quorum.reportDrained(id)
        }
    }

    /// Most replies go where the one before went.
    private func connection(_ id: ConnectionID) -> ClientConnection? {
        if let lastReplied, lastReplied.id == id { return lastReplied }
        lastReplied = connections[id]
        return lastReplied
    }

    private func log(_ level: LogLevel, _ message: String) {
        switch level {
        case .debug: logger.debug("\(message)")
        case .info: logger.info("\(message)")
        case .warning: logger.warning("\(message)")
        case .error: logger.error("\(message)")
        }
    }

    func halt(_ reason: String) {
        guard !isHalted else { return }
        isHalted = true
        logger.critical("stopping: \(reason)")
        onHalt(reason)
    }

    // MARK: Disk

    private func submitStorage() {
        guard !isDiskBusy, !isHalted else { return }
        guard !pendingStorage.isEmpty else {
            if isPurgeDue { purge() }
            return
        }
        if case .wait(let instant) = commitGroup.decide(now: SystemClock.now()) {
            return awaitCommit(until: instant)
        }
        commitTimer?.cancel()
        commitTimer = nil
        commitGroup.submitted()
        isDiskBusy = true
        submit(pendingStorage.next())
    }

    private func awaitCommit(until instant: Instant) {
        guard commitTimer == nil else { return }
        let bound = NIOLoopBound(self, eventLoop: loop)
        let delay = max(0, (instant - SystemClock.now()).wholeNanoseconds)
        commitTimer = loop.scheduleTask(in: .nanoseconds(delay)) {
            bound.value.commitTimer = nil
            bound.value.finishTurn()
        }
    }

    private func purge() {
        isPurgeDue = false
        isDiskBusy = true
        submit(.purge)
    }

    private func submit(_ work: DiskThread.Work) {
        let bound = NIOLoopBound(self, eventLoop: loop)
        disk.submit(work, on: loop) { answer in bound.value.diskAnswered(answer) }
    }

    private func diskAnswered(_ answer: DiskThread.Answer) {
        isDiskBusy = false
        switch answer {
        case .results(let results, let duration, let notes):
            for note in notes { logger.warning("\(note)") }
            commitGroup.answered(after: duration, now: SystemClock.now())
            for result in results { receive(.storage(result)) }
            roomFound()
        case .waiting(let results, let reason):
            isDiskBusy = true
            for result in results { receive(.storage(result)) }
            awaitRoom(reason)
        case .recovered(let state):
            receive(.recovered(state))
        case .purged(let names):
            if !names.isEmpty { logger.info("purged \(names.joined(separator: ", "))") }
        case .truncationRefused:
            receive(.truncationRefused)
        }
        finishTurn()
    }

    /// What was not written is kept, and not acknowledged. Another member takes over where this one
    /// leads, if it can.
    private func awaitRoom(_ reason: String) {
        if room == nil {
            logger.error(
                "\(reason): until there is room, this server acknowledges no write and logs nothing"
            )
            receive(.diskFull(true))
        }
        var wait = room ?? RoomWait()
        let bound = NIOLoopBound(self, eventLoop: loop)
        wait.timer = loop.scheduleTask(in: TimeAmount(wait.nextPause())) {
            bound.value.submit(.resume)
        }
        room = wait
    }

    private func roomFound() {
        guard room != nil, !isHalted else { return }
        room = nil
        logger.notice("there is room on the disk again")
        receive(.diskFull(false))
    }

    // MARK: Time

    private func scheduleWake() {
        guard let deadline = replica.nextDeadline, !isHalted else { return }
        if let timerInstant, timerInstant <= deadline { return }
        timer?.cancel()
        timerInstant = deadline
        let delay = max(0, (deadline - SystemClock.now()).wholeNanoseconds)
        let bound = NIOLoopBound(self, eventLoop: loop)
        timer = loop.scheduleTask(in: .nanoseconds(delay)) { bound.value.wake() }
    }

    private func wake() {
        timer = nil
        timerInstant = nil
        receive(.wake)
        finishTurn()
    }

    // MARK: Administration

    /// Another member is to lead. What comes of it is in the log.
    func handOver() {
        receive(.handOver)
        finishTurn()
    }

    /// Closes all clients and the disk. Sessions stay, for a later start.
    func stop() {
        isHalted = true
        timer?.cancel()
        commitTimer?.cancel()
        room?.timer?.cancel()
        purgeTimer?.cancel()
        peers?.stop()
        for connection in connections.values.sorted(by: { $0.id < $1.id }) {
            connection.close("the server stops")
        }
        disk.stop()
    }
}
