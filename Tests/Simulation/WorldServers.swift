internal import ClientCore
internal import Journal
internal import Replication
internal import Zab
internal import ZooKeeperModel
internal import ZooKeeperWire

/// The servers' edge: starting, feeding, disk, clocks.
extension World {
    func startServer(_ index: Int) {
        guard servers[index].process == nil else { return }
        servers[index].life += 1
        let life = servers[index].life
        let journal = Journal(
            disk: servers[index].disk,
            configuration: JournalConfiguration(preallocationKiB: 64)
        )
        let state: RecoveredState
        do {
            state = try SimulatedRecovery.recover(journal)
        } catch {
            fail("server \(index) cannot recover: \(error)")
            return
        }
        note("server \(index) starts at \(state.lastZxid)")
        let configuration = ReplicaConfiguration(
            ensemble: EnsembleConfiguration(
                me: servers[index].id,
                members: servers.map { .init(id: $0.id) },
                tickTime: .milliseconds(500),
                initLimit: 10,
                syncLimit: 4
            ),
            snapshotCount: plan.snapshotCount,
            sessionSeedMilliseconds: reading.timestamp.rawValue,
            randomSeed: random.next()
        )
        servers[index].process = ServerProcess(
            replica: Replica(
                configuration: configuration,
                recovered: state,
                sha1: { $0 },
                now: reading
            ),
            journal: journal
        )
        feed(index, life, .start)
        for other in servers.indices where other != index && servers[other].process != nil {
            agenda.plan(.linkUp(index, other), at: now + network.delay())
        }
    }

    /// Hands one input to a server's replica and carries out what comes of it.
    func feed(_ index: Int, _ life: Int, _ input: ReplicaInput) {
        guard servers[index].life == life, servers[index].process != nil else { return }
        var actions: [ReplicaAction] = []
        servers[index].process?.replica.handle(input, at: reading, actions: &actions)
        replicaInputs += 1
        if replicaInputs % Self.inputsBetweenChecks == 0 {
            servers[index].process?.replica.checkInvariants()
        }
        for action in actions { perform(action, index, life) }
        submitStorage(index, life)
        planServerWake(index, life)
    }

    private func planServerWake(_ index: Int, _ life: Int) {
        guard let deadline = servers[index].process?.replica.nextDeadline else { return }
        let wake = max(deadline, now)
        if let planned = servers[index].process?.plannedWake, planned <= wake { return }
        servers[index].process?.plannedWake = wake
        agenda.plan(.serverWake(index, life: life), at: wake)
    }

    func serverWake(_ index: Int, _ life: Int) {
        // A wake that an earlier one has replaced does nothing.
        guard servers[index].life == life,
            let planned = servers[index].process?.plannedWake, planned <= now
        else { return }
        servers[index].process?.plannedWake = nil
        feed(index, life, .wake)
    }

    private func perform(_ action: ReplicaAction, _ index: Int, _ life: Int) {
        switch action {
        case .connectResponse(let id, let response):
            guard servers[index].process?.clients[id] != nil else { return }
            servers[index].process?.clients[id]?.awaitsSession = false
            var writer = JuteWriter()
            ConnectCodec.encode(response, into: &writer)
            sendBytes(id.rawValue, from: .server(index), writer.bytes)
            decodeFrames(index, life, id)
        case .reply(let id, let reply):
            var writer = JuteWriter()
            ReplyCodec.encode(reply, into: &writer)
            sendBytes(id.rawValue, from: .server(index), writer.bytes)
        case .event(let id, let event):
            var writer = JuteWriter()
            ReplyCodec.encode(event, into: &writer)
            sendBytes(id.rawValue, from: .server(index), writer.bytes)
        case .closeClient(let id, let reason):
            note("server \(index) closes \(id): \(reason)")
            servers[index].process?.clients[id] = nil
            closeConnection(id.rawValue, by: .server(index))
        case .pauseReading(let id):
            servers[index].process?.clients[id]?.isPaused = true
            // Nothing waits to be sent: the network takes what it is given.
            agenda.plan(.drained(index, life: life, id), at: now + network.delay())
        case .resumeReading(let id):
            servers[index].process?.clients[id]?.isPaused = false
            decodeFrames(index, life, id)
        case .storage(let request):
            if case .beginSnapshot = request { cover("snapshot") }
            servers[index].process?.pendingStorage.append(request)
        case .truncate(let zxid):
            note("server \(index) truncates to \(zxid)")
            servers[index].process?.pendingTruncation = zxid
        case .sendNotification(let to, let notification):
            guard let other = servers.firstIndex(where: { $0.id == to }) else { return }
            agenda.plan(
                .notification(
                    from: index,
                    to: other,
                    life: servers[other].life,
                    notification
                ),
                at: now + network.delay()
            )
        case .connectToLeader(let leader): connectToLeader(index, leader)
        case .send(let id, let message):
            switch message {
            case .diff: cover("DIFF")
            case .truncate: cover("TRUNC")
            case .snapshot: cover("SNAP")
            case .newLeader: cover("new epoch")
            case .request: cover("forwarded request")
            case .revalidate: cover("session move")
            case .learnerInfo, .ackEpoch, .ack, .leaderInfo, .snapshotSlice, .snapshotEnd,
                .upToDate, .proposal, .commit, .inform, .sync, .ping:
                break
            }
            sendMessage(id.rawValue, from: .server(index), message)
        case .reportDrained(let id):
            // Nothing waits to be sent: the network takes what it is given.
            agenda.plan(.learnerDrained(index, life: life, id), at: now + network.delay())
        case .close(let id, let reason):
            note("server \(index) drops peer \(id): \(reason)")
            closeConnection(id.rawValue, by: .server(index))
        case .log(let level, let message): note("server \(index) \(level): \(message)")
        case .halt(let reason): fail("server \(index) halts: \(reason)")
        }
    }

    // MARK: Disk

    private func diskDelay() -> Duration { random.duration(100_000...4_000_000) }

    private func submitStorage(_ index: Int, _ life: Int) {
        guard let process = servers[index].process, process.storageUnderWay == nil else { return }
        let requests = process.pendingStorage
        guard !requests.isEmpty else {
            guard let zxid = process.pendingTruncation else { return }
            servers[index].process?.pendingTruncation = nil
            servers[index].process?.storageUnderWay = .truncate(zxid)
            agenda.plan(.storageDone(index, life: life), at: now + diskDelay())
            return
        }
        servers[index].process?.storageUnderWay = .requests(requests)
        servers[index].process?.pendingStorage = []
        agenda.plan(.storageDone(index, life: life), at: now + diskDelay())
        guard plan.planted == .acknowledgesBeforeWriting else { return }
        for case .append(let proposals) in requests {
            if let last = proposals.last {
                feed(index, life, .storage(.persisted(upTo: last.zxid)))
            }
        }
    }

    func storageDone(_ index: Int, _ life: Int) {
        guard servers[index].life == life, let journal = servers[index].process?.journal,
            let work = servers[index].process?.storageUnderWay
        else { return }
        servers[index].process?.storageUnderWay = nil
        switch work {
        case .requests(let requests):
            for result in journal.perform(batch: requests) {
                if case .persisted = result, plan.planted == .acknowledgesBeforeWriting {
                    continue
                }
                feed(index, life, .storage(result))
            }
        case .truncate(let zxid):
            do {
                try journal.truncate(to: zxid)
                feed(index, life, .recovered(try SimulatedRecovery.recover(journal)))
            } catch JournalError.notInLog {
                note("server \(index) cannot be cut at \(zxid)")
                feed(index, life, .truncationRefused)
            } catch {
                fail("server \(index) cannot truncate to \(zxid): \(error)")
            }
        }
    }

    /// Power loss. A batch that the disk is working on is cut short at any of its operations.
    func crash(_ index: Int) {
        guard let process = servers[index].process else { return }
        note("server \(index) crashes")
        cover("power loss")
        if case .requests(let requests) = process.storageUnderWay, random.chance(1, in: 2) {
            let disk = servers[index].disk
            disk.powerOffAfter = disk.callCount + random.below(12)
            _ = process.journal.perform(batch: requests)
        }
        servers[index].disk.crash(using: &random)
        servers[index].disk.restart()
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

    // MARK: Peers

    /// A new connection between two members. An end that has not noticed the loss of the one before
    /// notices it now.
    func linkUp(_ one: Int, _ other: Int) {
        guard servers[one].process != nil, servers[other].process != nil,
            network.canReach(.server(one), .server(other))
        else { return }
        for (index, peer) in [(one, other), (other, one)] {
            linkGenerations[index][peer] += 1
            feed(index, servers[index].life, .electionDisconnected(servers[peer].id))
            feed(index, servers[index].life, .electionConnected(servers[peer].id))
        }
    }

    /// Plans the moment at which `index` notices that its link to `peer` is gone.
    func planLinkDown(_ index: Int, _ peer: Int, after delay: Duration) {
        agenda.plan(
            .linkDown(
                index,
                peer,
                life: servers[index].life,
                generation: linkGenerations[index][peer]
            ),
            at: now + delay
        )
    }

    func linkDown(_ index: Int, _ peer: Int, _ life: Int, _ generation: Int) {
        guard linkGenerations[index][peer] == generation else { return }
        feed(index, life, .electionDisconnected(servers[peer].id))
    }

    func deliverNotification(
        _ from: Int,
        _ to: Int,
        _ life: Int,
        _ notification: ElectionNotification
    ) {
        guard network.canReach(.server(from), .server(to)) else { return }
        feed(to, life, .notification(from: servers[from].id, notification))
    }

    private func connectToLeader(_ index: Int, _ leader: ServerID) {
        guard let other = servers.firstIndex(where: { $0.id == leader }),
            servers[other].process != nil, network.canReach(.server(index), .server(other))
        else {
            agenda.plan(.refused(.server(index), nil), at: now + network.delay())
            return
        }
        let number = network.open(from: .server(index), to: .server(other), now: now)
        let arrival = now + network.delay()
        agenda.plan(.accepted(number), at: arrival)
        agenda.plan(.opened(number), at: arrival + network.delay())
    }

    // MARK: Clients' frames

    func decodeFrames(_ index: Int, _ life: Int, _ id: ConnectionID) {
        while servers[index].life == life,
            servers[index].process?.clients[id]?.takesFrames == true
        {
            do throws(WireError) {
                guard var frame = try servers[index].process?.clients[id]?.decoder.next()
                else { return }
                if servers[index].process?.clients[id]?.isGreeted == true {
                    feed(index, life, .request(id, try RequestCodec.decode(&frame)))
                } else {
                    servers[index].process?.clients[id]?.isGreeted = true
                    servers[index].process?.clients[id]?.awaitsSession = true
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
