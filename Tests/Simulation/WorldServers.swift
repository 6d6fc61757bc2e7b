internal import ClientCore
internal import Journal
internal import Replication
internal import Zab
internal import ZooKeeperModel
internal import ZooKeeperWire

/// The servers' edge: starting, feeding, carrying out, stopping.
extension World {
    func startServer(_ index: Int) {
        guard servers[index].process == nil else { return }
        servers[index].life += 1
        let life = servers[index].life
        let disk = servers[index].disk
        if servers[index].isDiskFull { disk.fill(leaving: random.below(20_000)) }
        let journal = Journal(
            disk: disk,
            configuration: JournalConfiguration(
                preallocationKiB: 16,
                isMember: plan.voterCount > 1,
                roomBytes: 32 << 10
            )
        )
        let state: RecoveredState
        let notes: [String]
        do {
            (state, notes) = try SimulatedRecovery.recover(journal)
        } catch {
            cannotStart(index, error)
            return
        }
        check(state.suffrage, notes, index)
        note("server \(index) starts at \(state.lastZxid)")
        servers[index].log.recovered(
            upTo: state.lastZxid,
            acceptedEpoch: state.acceptedEpoch,
            currentEpoch: state.currentEpoch
        )
        let replica = Replica(
            configuration: configuration(index),
            recovered: state,
            sha1: { $0 },
            now: servers[index].clock.reading(at: now)
        )
        servers[index].process = ServerProcess(
            replica: replica,
            journal: PatientJournal(journal, on: disk),
            bug: BugState(server: index, voterCount: plan.voterCount, seed: random.next())
        )
        feed(index, life, .start)
        for other in servers.indices where other != index && servers[other].process != nil {
            agenda.plan(.linkUp(index, other), at: now + network.delay())
        }
    }

    private func configuration(_ index: Int) -> ReplicaConfiguration {
        ReplicaConfiguration(
            ensemble: EnsembleConfiguration(
                me: servers[index].id,
                members: servers.map {
                    .init(id: $0.id, isObserver: $0.index >= plan.voterCount)
                },
                tickTime: .milliseconds(500),
                initLimit: 10,
                syncLimit: 4
            ),
            snapshotCount: plan.snapshotCount,
            sessionSeedMilliseconds: HostClock.trueMilliseconds(now),
            randomSeed: random.next()
        )
    }

    /// Only a disk that was damaged or wiped may cost a server its vote, and such a one must.
    private func check(_ suffrage: Suffrage, _ notes: [String], _ index: Int) {
        if suffrage == .lost { cover("damage found") }
        guard suffrage != .full, !servers[index].isImpaired, servers[index].log.currentEpoch > 0
        else { return }
        fail("server \(index) cannot recover: \(notes.last ?? "its disk is empty")")
    }

    /// A disk that fails or is full is tried again later. Anything else must not happen.
    private func cannotStart(_ index: Int, _ error: JournalError) {
        note("server \(index) cannot start: \(error)")
        if servers[index].isDiskFailing || servers[index].isDiskFull {
            dieOfDisk(index)
        } else {
            fail("server \(index) cannot recover: \(error)")
        }
    }

    // MARK: Inputs and actions

    /// Hands one input to a server's replica and carries out what comes of it.
    func feed(_ index: Int, _ life: Int, _ input: ReplicaInput) {
        guard servers[index].life == life, let process = servers[index].process else { return }
        process.inbox.append(input)
        guard !process.isHandling else { return }
        process.isHandling = true
        var next = 0
        while next < process.inbox.count, servers[index].life == life {
            let waiting = process.inbox[next]
            next += 1
            step(process, index, waiting)
        }
        process.inbox.removeAll(keepingCapacity: true)
        process.isHandling = false
        guard servers[index].life == life else { return }
        observe(process, index)
        submitStorage(process, index, life)
        planServerWake(process, index, life)
    }

    private func step(_ process: ServerProcess, _ index: Int, _ input: ReplicaInput) {
        if plan.planted != nil {
            if case .leading = process.replica.ensembleRole {
                process.bug.isLeading = true
            } else {
                process.bug.isLeading = false
            }
            process.bug.lastZxid = process.replica.lastZxid
            process.bug.now = now
        }
        guard let bug = plan.planted, let hears = bug.hears else {
            return honestStep(process, index, input)
        }
        for heard in hears(input, &process.bug) { honestStep(process, index, heard) }
    }

    private func honestStep(_ process: ServerProcess, _ index: Int, _ input: ReplicaInput) {
        let life = servers[index].life
        var actions: [ReplicaAction] = []
        process.replica.handle(
            input,
            at: servers[index].clock.reading(at: now),
            actions: &actions
        )
        watch(input, process, index)
        replicaInputs += 1
        if replicaInputs % Self.inputsBetweenChecks == 0 {
            process.replica.checkInvariants()
            checkGrowth(process, index)
        }
        if let does = plan.planted?.does {
            actions = actions.flatMap { does($0, &process.bug) }
            process.inbox += process.bug.takeFeedback()
        }
        if plan.planted != nil {
            actions += process.bug.takeActions()
            for _ in 0..<process.bug.takeStrikes() { note("server \(index) makes its mistake") }
        }
        for action in actions {
            if let (count, death) = servers[index].actionsToLive {
                guard count > 0 else {
                    cover("died between two actions")
                    return stop(index, death)
                }
                servers[index].actionsToLive = (count - 1, death)
            }
            perform(action, process, index, life)
            guard servers[index].life == life else { return }
        }
    }

    func planServerWake(_ process: ServerProcess, _ index: Int, _ life: Int) {
        guard let deadline = process.look({ $0.nextDeadline }) else { return }
        let wake = max(servers[index].clock.world(deadline), now)
        if let planned = process.plannedWake, planned <= wake { return }
        process.plannedWake = wake
        agenda.plan(.serverWake(index, life: life), at: wake)
    }

    func serverWake(_ index: Int, _ life: Int) {
        // A wake that an earlier one has replaced does nothing.
        guard servers[index].life == life, let process = servers[index].process,
            let planned = process.plannedWake, planned <= now
        else { return }
        process.plannedWake = nil
        feed(index, life, .wake)
    }

    private func perform(
        _ action: ReplicaAction,
        _ process: ServerProcess,
        _ index: Int,
        _ life: Int
    ) {
        switch action {
        case .connectResponse(let id, let response):
            guard process.clients[id] != nil else { return }
            process.clients[id]?.awaitsSession = false
            watchSession(id, response, process, index)
            var writer = JuteWriter()
            ConnectCodec.encode(response, into: &writer)
            sendBytes(id.rawValue, from: .server(index), writer.bytes)
            decodeFrames(index, life, id)
        case .reply(let id, let reply):
            checkAnswer(id, reply, index)
            var writer = JuteWriter()
            ReplyCodec.encode(reply, into: &writer)
            sendBytes(id.rawValue, from: .server(index), writer.bytes)
        case .event(let id, let event):
            var writer = JuteWriter()
            ReplyCodec.encode(event, into: &writer)
            sendBytes(id.rawValue, from: .server(index), writer.bytes)
        case .closeClient(let id, let reason):
            note("server \(index) closes \(id): \(reason)")
            process.clients[id] = nil
            closeConnection(id.rawValue, by: .server(index))
            process.inbox.append(.clientDisconnected(id))
        case .pauseReading(let id):
            process.clients[id]?.isPaused = true
            // Nothing waits to be sent: the network takes what it is given.
            agenda.plan(.drained(index, life: life, id), at: now + network.delay())
        case .resumeReading(let id):
            process.clients[id]?.isPaused = false
            decodeFrames(index, life, id)
        case .append(let proposal): take(.append([proposal]), process, index)
        case .storage(let request): take(request, process, index)
        case .truncate(let zxid):
            note("server \(index) truncates to \(zxid)")
            process.pendingTruncation = zxid
        case .sendNotification(let to, let notification): send(notification, index, to)
        case .connectToLeader(let leader):
            process.hasLeader = true
            process.sessions.forgetContacts()
            connectToLeader(index, leader)
        case .send(let id, let message):
            watchSent(message, process, index)
            if case .ping = message { sendsPing(id, process, index) }
            sendMessage(id.rawValue, from: .server(index), message)
        case .reportDrained(let id):
            // Nothing waits to be sent: the network takes what it is given.
            agenda.plan(.learnerDrained(index, life: life, id), at: now + network.delay())
        case .close(let id, let reason):
            note("server \(index) drops peer \(id): \(reason)")
            closeConnection(id.rawValue, by: .server(index))
        case .log(let level, let message): note("server \(index) \(level): \(message)")
        case .halt(let reason):
            note("server \(index) halts: \(reason)")
            guard servers[index].isDiskFailing || servers[index].isDiskFull else {
                fail("server \(index) halts: \(reason)")
                return
            }
            dieOfDisk(index)
        }
    }

    // MARK: Ends

    /// The process is gone. After a power loss so is what was not synced; a batch that the disk is
    /// working on is cut short at any of its operations.
    func stop(_ index: Int, _ death: SimulatedServer.Death) {
        servers[index].actionsToLive = nil
        servers[index].stall = nil
        // Else a snapshot of its own that has the same name would be taken for the end of it.
        servers[index].installing = nil
        let disk = servers[index].disk
        if let process = servers[index].process {
            note("server \(index) stops: \(death)")
            if let work = process.storageUnderWay, random.chance(1, in: 2) {
                disk.powerOffAfter = disk.callCount + random.below(12)
                cutShort(work, process, index)
            }
            servers[index].process = nil
            servers[index].life += 1
            for number in network.numbers(where: {
                $0.from == .server(index) || $0.to == .server(index)
            }) {
                closeConnection(number, by: .server(index))
            }
            for other in servers.indices where other != index && servers[other].process != nil {
                planLinkDown(other, index, after: network.delay())
            }
        }
        switch death {
        case .powerLoss:
            disk.crash(using: &random)
            servers[index].clock.restart(now: now, random: &random)
        case .kill: disk.restart()
        }
        forgetHeld(.server(index))
        servers[index].isDiskFailing = false
    }

    private func cutShort(
        _ work: ServerProcess.StorageWork,
        _ process: ServerProcess,
        _ index: Int
    ) {
        switch work {
        case .requests(let requests):
            for case .append(let proposals) in requests {
                for proposal in proposals { servers[index].log.append(proposal.zxid) }
            }
            _ = process.journal.perform(batch: requests)
        case .resume: _ = process.journal.resume()
        case .purge: _ = try? process.journal.journal.purge()
        case .truncate: break
        }
    }

    /// The process ends itself because its disk failed; a supervisor starts it again.
    private func dieOfDisk(_ index: Int) {
        cover("stopped by its disk")
        stop(index, .kill)
        agenda.plan(.restart(index), at: now + random.duration(200_000_000...2_000_000_000))
    }

    func wipeDisk(_ index: Int) {
        servers[index].disk = SimulatedDisk()
        servers[index].disk.ignoresSyncs = plan.planted?.ignoresSyncs ?? false
        servers[index].impair()
        servers[index].log.wiped()
    }

    // MARK: Clients' frames

    func decodeFrames(_ index: Int, _ life: Int, _ id: ConnectionID) {
        while servers[index].life == life, let process = servers[index].process,
            process.clients[id]?.takesFrames == true
        {
            do throws(WireError) {
                guard var frame = try process.clients[id]?.decoder.next() else { return }
                if process.clients[id]?.isGreeted == true {
                    feed(index, life, .request(id, try RequestCodec.decode(&frame)))
                } else {
                    process.clients[id]?.isGreeted = true
                    process.clients[id]?.awaitsSession = true
                    feed(
                        index,
                        life,
                        .connectRequest(id, try ConnectCodec.decodeRequest(&frame))
                    )
                }
            } catch {
                fail("a client of ours sent what server \(index) cannot read: \(error)")
                return
            }
        }
    }
}
