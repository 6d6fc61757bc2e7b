internal import ClientCore
internal import DequeModule
internal import ZnodeFS
internal import ZooKeeperModel

/// The clients' edge: connecting, carrying bytes, waking, working.
extension World {
    func startClient(_ index: Int) {
        feedClient(index, .start)
        agenda.plan(.clientWork(index), at: now + .milliseconds(random.below(500)))
    }

    /// What an action leads to waits until all actions before it are carried out, as on the real
    /// edge: a request that is submitted on hearing of a connection goes out after those that waited
    /// for one.
    func feedClient(_ index: Int, _ input: ClientInput) {
        let client = clients[index]
        client.inputs.append(input)
        guard !client.isHandlingInputs else { return }
        client.isHandlingInputs = true
        while let next = client.inputs.popFirst() {
            var actions: [ClientAction] = []
            client.session.handle(
                next,
                at: client.clock.reading(at: now).instant,
                actions: &actions
            )
            clientInputs += 1
            if clientInputs % 50 == 0 { client.session.checkInvariants() }
            for action in actions { perform(action, index) }
        }
        client.isHandlingInputs = false
        planClientWake(index)
    }

    private func perform(_ action: ClientAction, _ index: Int) {
        switch action {
        case .connect(let address, let attempt): connect(index, Int(address.port), attempt)
        case .send(let attempt, let bytes):
            guard let number = clients[index].connections[attempt] else { return }
            sendBytes(number, from: .client(index), bytes)
        case .disconnect(let attempt):
            guard let number = clients[index].connections.removeValue(forKey: attempt) else {
                return
            }
            closeConnection(number, by: .client(index))
        case .complete(let token, let result, let zxid):
            completed(index, token, result, zxid)
        case .event(let event): sawEvent(index, event)
        case .state(let state): changed(index, state)
        case .log(let level, let message):
            note("client \(index) \(level): \(message)")
            // It goes to another server then, and would never tell anybody else.
            if message.contains("it answered request") { fail("client \(index): \(message)") }
        }
    }

    private func connect(_ index: Int, _ server: Int, _ attempt: ConnectionAttempt) {
        let isReachable = network.canReach(.client(index), .server(server))
        guard servers[server].process != nil, isReachable else {
            let delay = isReachable ? network.delay() : random.duration(100_000_000...1_000_000_000)
            let life = clients[index].life
            agenda.plan(.refused(.client(index), attempt, life: life), at: now + delay)
            return
        }
        let number = network.open(from: .client(index), to: .server(server), now: now)
        clients[index].connections[attempt] = number
        let arrival = now + network.delay()
        agenda.plan(.accepted(number), at: arrival)
        agenda.plan(.opened(number), at: arrival + network.delay())
    }

    private func attempt(_ index: Int, _ number: UInt64) -> ConnectionAttempt? {
        clients[index].connections.first { $0.value == number }?.key
    }

    func clientConnected(_ index: Int, _ number: UInt64) {
        guard let attempt = attempt(index, number) else { return }
        feedClient(index, .connected(attempt))
    }

    func clientReceived(_ index: Int, _ number: UInt64, _ bytes: [UInt8]) {
        guard let attempt = attempt(index, number) else { return }
        feedClient(index, .received(attempt, bytes))
    }

    func clientDisconnected(_ index: Int, _ number: UInt64) {
        guard let attempt = attempt(index, number) else { return }
        clients[index].connections[attempt] = nil
        feedClient(index, .disconnected(attempt, reason: "closed"))
    }

    // MARK: Time

    func planClientWake(_ index: Int) {
        guard let deadline = clients[index].nextDeadline else { return }
        let wake = max(clients[index].clock.world(deadline), now)
        if let planned = clients[index].plannedWake, planned <= wake { return }
        clients[index].plannedWake = wake
        agenda.plan(.clientWake(index), at: wake)
    }

    func clientWake(_ index: Int) {
        guard let planned = clients[index].plannedWake, planned <= now else { return }
        clients[index].plannedWake = nil
        feedClient(index, .wake)
        feedMount(index, .wake)
    }

    // MARK: Work

    func clientWork(_ index: Int) {
        let pause = random.duration(5_000_000...120_000_000)
        agenda.plan(.clientWork(index), at: now + pause)
        mountWork(index)
        let client = clients[index]
        guard !client.stopsWorking, client.workload != nil else { return }
        guard !client.isLeaving else {
            if client.hasLeft { replaceClient(index) }
            return
        }
        let operations = client.workload?.next(at: moment(index)) ?? []
        for (token, operation) in operations { submit(index, token, operation) }
        if random.chance(1, in: 300) { clientMoves(index) }
        if random.chance(1, in: 600) { clientLeaves(index) }
    }

    private func tellAnother(than index: Int) {
        let other = (index + 1 + random.below(max(1, plan.clientCount - 1))) % plan.clientCount
        guard other != index, held[.client(other)] == nil, !clients[other].stopsWorking,
            !clients[other].isLeaving
        else { return }
        for (token, operation) in clients[other].workload?.told(at: moment(other)) ?? [] {
            submit(other, token, operation)
        }
    }

    private func moment(_ index: Int) -> Workload.Moment {
        Workload.Moment(
            nanoseconds: now.nanoseconds,
            writtenZxid: writtenZxid,
            sequence: givenSequence,
            session: clients[index].sessionID?.rawValue ?? 0
        )
    }

    private func completed(
        _ index: Int,
        _ token: RequestToken,
        _ result: Result<Response, ErrorCode>,
        _ zxid: Zxid
    ) {
        judge(index, token, result, zxid)
        guard
            let outcome = clients[index].workload?.completed(token, result, zxid, at: moment(index))
        else {
            feedMount(
                index,
                .completed(
                    OperationToken(rawValue: token.rawValue),
                    OperationOutcome(result: result, zxid: zxid)
                )
            )
            return
        }
        switch result {
        case .success: note("client \(index) \(token.rawValue) ok at \(zxid)")
        case .failure(let code): note("client \(index) \(token.rawValue) \(code.rawValue)")
        }
        if let failure = outcome.failure { fail(failure) }
        if let written = outcome.written {
            writtenZxid = max(writtenZxid, written)
            if random.chance(1, in: 6) { tellAnother(than: index) }
        }
        if let sequence = outcome.sequence { givenSequence = max(givenSequence, sequence) }
        if let (token, operation) = outcome.next { submit(index, token, operation) }
    }

    private func sawEvent(_ index: Int, _ event: WatchEvent) {
        note("client \(index) event \(event.kind.rawValue) \(event.path.description)")
        clients[index].workload?.saw(event)
        clients[index].answers.saw(event)
        feedMount(index, .event(event))
    }

    private func changed(_ index: Int, _ state: SessionState) {
        note("client \(index) \(state)")
        switch state {
        case .connected(let session, let isNew, _, _):
            clients[index].sessionID = session
            if !isNew { clients[index].workload?.lostIsDecided(at: moment(index)) }
            feedMount(index, .session(.connected(session, isNew: isNew)))
        case .disconnected:
            if isSettled { clients[index].wasLostWhileSettled = true }
            feedMount(index, .session(.disconnected))
        case .expired:
            cover("expiry")
            if clients[index].wasLostWhileSettled {
                fail("client \(index) lost its session although all was healed")
            }
            clients[index].sessionID = nil
            clients[index].workload?.lostIsDecided(at: moment(index))
            clients[index].workload?.sessionRenewed()
            clients[index].answers.sessionRenewed()
            feedMount(index, .session(.expired))
        case .authenticationFailed: feedMount(index, .session(.authenticationFailed))
        case .closed:
            clients[index].sessionID = nil
            clients[index].hasLeft = true
            clients[index].workload?.sessionRenewed()
        }
    }
}
