import DequeModule
internal import ZooKeeperModel
internal import ZooKeeperWire

// A client's requests, from their arrival to their turn, and the brakes on both sides.

extension Replica {
    mutating func receive(
        _ request: Request,
        from id: ConnectionID,
        _ actions: inout [ReplicaAction]
    ) {
        guard let slot = clients.likelySlot(of: id) else { return }
        switch clients[slot].phase {
        case .serving: break
        case .closing: return
        case .accepted, .connecting:
            return closeClient(at: slot, reason: "a request before the session is there", &actions)
        }
        statistics.packetsReceived += 1
        clients[slot].received += 1
        touch(slot)
        let code = RequestCodec.code(of: request.operation)
        guard !clients[slot].isEnding else { return }
        if isReadOnly, Self.needsLeader(request.operation) {
            return finish(
                .failure(.notReadOnly),
                .stays,
                xid: request.xid,
                code,
                at: slot,
                &actions
            )
        }
        switch request.operation {
        case .exists, .getData, .getACL, .getChildren, .getChildren2, .setWatches, .addWatch,
            .checkWatches, .removeWatches, .ping:
            if clients[slot].queue.isEmpty, clients[slot].hasCredit {
                let result = read(request.operation, at: slot, &actions)
                reply(at: slot, xid: request.xid, code, result, arrived: now.instant, &actions)
            } else {
                enqueue(.read(request.operation), xid: request.xid, code, at: slot, &actions)
            }
        case .create, .delete, .setData, .setACL, .multi:
            upgradeIfNeeded(for: request.operation, at: slot, &actions)
            write(request, ReplyShape.of(request.operation), code, at: slot, &actions)
        case .closeSession where locals.contains(clients[slot].session):
            closeLocalSession(request, at: slot, &actions)
        case .closeSession: write(request, .empty, code, at: slot, &actions)
        case .sync(let path): sync(path, xid: request.xid, at: slot, &actions)
        case .auth(let scheme, let credential):
            // It counts from here on, though its answer waits for its turn: later writes are sent
            // off before the earlier ones are answered.
            let isKnown = authenticate(scheme: scheme, credential: credential, at: slot)
            finish(
                isKnown ? .success(.empty) : .failure(.authFailed),
                isKnown ? .stays : .closes,
                xid: request.xid,
                code,
                at: slot,
                &actions
            )
        case .malformed:
            if request.operation.isWrite, code != OperationCode.check.rawValue {
                write(request, .empty, code, at: slot, &actions)
            } else {
                finish(
                    .failure(.marshallingError),
                    .stays,
                    xid: request.xid,
                    code,
                    at: slot,
                    &actions
                )
            }
        case .check, .unsupported:
            // A check outside of a multi must never reach a log: older servers that replay it
            // cannot start again.
            finish(.failure(.unimplemented), .closes, xid: request.xid, code, at: slot, &actions)
        }
    }

    private mutating func write(
        _ request: Request,
        _ shape: ReplyShape,
        _ code: Int32,
        at slot: Int,
        _ actions: inout [ReplicaAction]
    ) {
        let identities = clients[slot].identities
        if clients[slot].holdsWrites {
            let work = QueuedRequest.Work.unsent(request, shape, identities)
            enqueue(work, xid: request.xid, code, at: slot, &actions)
        } else {
            enqueue(.write(shape), xid: request.xid, code, at: slot, &actions)
            submit(request, identities, at: slot, &actions)
        }
    }

    /// Sends off the writes that nothing holds any more.
    private mutating func submitUnsent(_ slot: Int, _ actions: inout [ReplicaAction]) {
        var reads = 0
        for index in clients[slot].queue.indices {
            switch clients[slot].queue[index].work {
            case .sync, .forwardedSync: return
            case .read:
                reads += 1
                guard index > 0, reads < Client.readsBeforeWrite else { return }
            case .write, .finished: break
            case .unsent(let request, let shape, let identities):
                clients[slot].replace(at: index, by: .write(shape))
                submit(request, identities, at: slot, &actions)
                if clients[slot].unsentWrites == 0 { return }
            }
        }
    }

    /// On its way to become a transaction, here or on the leader.
    private mutating func submit(
        _ request: Request,
        _ identities: [Identity],
        at slot: Int,
        _ actions: inout [ReplicaAction]
    ) {
        if isLeading, holdsRequests {
            held.append(.client(clients[slot].id, request, identities))
        } else if isLeading {
            propose(
                request.operation,
                session: clients[slot].session,
                cxid: request.xid,
                owner: .local,
                identities: identities,
                connection: clients[slot].id,
                &actions
            )
        } else {
            forward(request, identities, at: slot, &actions)
        }
    }

    /// An answer that is known already, in its turn.
    mutating func finish(
        _ result: Result<Response, ErrorCode>,
        _ ending: QueuedRequest.Ending,
        xid: Int32,
        _ code: Int32,
        at slot: Int,
        _ actions: inout [ReplicaAction]
    ) {
        enqueue(.finished(result, ending), xid: xid, code, at: slot, &actions)
        advance(slot, &actions)
    }

    mutating func enqueue(
        _ work: QueuedRequest.Work,
        xid: Int32,
        _ code: Int32,
        at slot: Int,
        _ actions: inout [ReplicaAction]
    ) {
        clients[slot].queue.append(
            QueuedRequest(xid: xid, code: code, arrived: now.instant, work: work)
        )
        clients[slot].count(work, 1)
        outstanding += 1
        if outstanding > configuration.globalOutstandingLimit,
            !clients[slot].pause.contains(.outstanding)
        {
            pausedForOutstanding.append(clients[slot].id)
            pause(slot, .outstanding, &actions)
        }
    }

    mutating func advance(_ slot: Int, _ actions: inout [ReplicaAction]) {
        answer(slot, &actions)
        if clients[slot].unsentWrites > 0 { submitUnsent(slot, &actions) }
    }

    /// Answers what has its turn.
    private mutating func answer(_ slot: Int, _ actions: inout [ReplicaAction]) {
        while let head = clients[slot].queue.first {
            let result: Result<Response, ErrorCode>
            var ending = QueuedRequest.Ending.stays
            switch head.work {
            case .write, .unsent, .forwardedSync: return
            case .sync(let path, let place):
                guard hasCome(place) else { return }
                result = .success(.synced(path))
            case .read(let operation):
                // The next write to be applied may be one that came after it.
                guard clients[slot].hasCredit || clients[slot].writesUnderWay > 0 else { return }
                result = read(operation, at: slot, &actions)
            case .finished(let known, let itsEnding):
                result = known
                ending = itsEnding
            }
            clients[slot].queue.removeFirst()
            clients[slot].count(head.work, -1)
            outstanding -= 1
            answer(head, result, ending, at: slot, &actions)
            if ending == .closes { return }
        }
    }

    /// Answers a request that has left the queue.
    mutating func answer(
        _ request: QueuedRequest,
        _ result: consuming Result<Response, ErrorCode>,
        _ ending: QueuedRequest.Ending,
        at slot: Int,
        _ actions: inout [ReplicaAction]
    ) {
        let closing: String? = ending == .closes ? Self.closing(after: result) : nil
        reply(
            at: slot,
            xid: request.xid,
            request.code,
            consume result,
            ending,
            arrived: request.arrived,
            &actions
        )
        if let closing { closeClient(at: slot, reason: closing, &actions) }
    }

    private static func closing(after result: Result<Response, ErrorCode>) -> String {
        switch result {
        case .success: "the session is closed"
        case .failure(let code): "the request was answered with \(code)"
        }
    }

    mutating func reply(
        at slot: Int,
        xid: Int32,
        _ code: Int32,
        _ result: consuming Result<Response, ErrorCode>,
        _ ending: QueuedRequest.Ending = .stays,
        arrived: Instant,
        _ actions: inout [ReplicaAction]
    ) {
        let milliseconds = (now.instant.nanoseconds &- arrived.nanoseconds) / 1_000_000
        statistics.latency.add(milliseconds: milliseconds)
        statistics.packetsSent += 1
        clients[slot].latency.add(milliseconds: milliseconds)
        clients[slot].sent += 1
        let id = clients[slot].id
        let zxid = zxid(of: result, ending, xid: xid)
        if xid != Request.authXid {
            clients[slot].lastReply = ServerStatus.LastReply(
                operationCode: code,
                cxid: xid,
                zxid: zxid,
                time: now.instant,
                latency: milliseconds
            )
        }
        clients[slot].unsentBytes += Self.approximateSize(of: result)
        actions.append(.reply(id, Reply(xid: xid, zxid: zxid, result: consume result)))
        if !clients[slot].hasCredit { pause(slot, .credit, &actions) }
    }

    /// What the header says of this server's state: not everything that is answered has one.
    private func zxid(
        of result: Result<Response, ErrorCode>,
        _ ending: QueuedRequest.Ending,
        xid: Int32
    ) -> Zxid {
        if xid == Request.authXid { return .zero }
        if ending == .closes, case .failure(.unimplemented) = result { return .none }
        return database.lastZxid
    }

    private static func approximateSize(of result: Result<Response, ErrorCode>) -> Int {
        let header = 20
        guard case .success(let response) = result else { return header }
        switch response {
        case .data(let data, _): return header + 72 + (data?.count ?? 0)
        case .children(let names), .childrenWithStat(let names, _):
            return header + 72 + names.reduce(0) { $0 + 4 + $1.count }
        case .multi(let results): return header + 100 * results.count
        case .acl(let acl, _): return header + 100 * acl.count
        case .empty, .checked, .created, .createdWithStat, .stat, .synced, .watchAdded:
            return header + 72
        }
    }
}

// MARK: Brakes

extension Replica {
    mutating func pause(
        _ slot: Int,
        _ reason: Client.Pause,
        _ actions: inout [ReplicaAction]
    ) {
        guard !clients[slot].pause.contains(reason) else { return }
        // A new lack of credit is said even to one that is paused already: `.drained` is due again.
        if clients[slot].pause.isEmpty || reason == .credit {
            actions.append(.pauseReading(clients[slot].id))
        }
        clients[slot].pause.insert(reason)
    }

    mutating func unpause(
        _ slot: Int,
        _ reason: Client.Pause,
        _ actions: inout [ReplicaAction]
    ) {
        guard clients[slot].pause.remove(reason) != nil, clients[slot].pause.isEmpty,
            clients[slot].phase == .serving
        else { return }
        actions.append(.resumeReading(clients[slot].id))
    }

    mutating func drained(_ id: ConnectionID, _ actions: inout [ReplicaAction]) {
        guard let slot = clients.slot(of: id), clients[slot].phase != .closing else { return }
        clients[slot].unsentBytes = 0
        let wasPaused = clients[slot].pause.remove(.credit) != nil
        advance(slot, &actions)
        if wasPaused, clients[slot].pause.isEmpty, clients[slot].phase == .serving {
            actions.append(.resumeReading(id))
        }
    }

    /// Lets paused connections go on once half of what is allowed has been answered: one by one,
    /// each answer would wake a connection only to pause it again.
    mutating func resumeReading(_ actions: inout [ReplicaAction]) {
        guard !pausedForOutstanding.isEmpty,
            outstanding <= configuration.globalOutstandingLimit / 2
        else { return }
        while let id = pausedForOutstanding.popFirst() {
            guard let slot = clients.slot(of: id) else { continue }
            unpause(slot, .outstanding, &actions)
        }
    }
}
