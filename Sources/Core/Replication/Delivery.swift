import DequeModule
internal import ZooKeeperModel
internal import ZooKeeperWire
internal import Znodes

// From a committed transaction to the tree, the watches and the reply.

extension Replica {
    mutating func deliver(_ proposal: Proposal, _ actions: inout [ReplicaAction]) {
        sendDueAnswers(&actions)
        let transaction: Transaction
        var origin: ConnectionID?
        if !prepared.isEmpty, prepared[0].transaction.zxid == proposal.zxid {
            let first = prepared.removeFirst()
            transaction = first.transaction
            origin = first.connection
        } else {
            do throws(WireError) {
                transaction = try TransactionCodec.decode(proposal.bytes)
            } catch {
                actions.append(
                    .halt("the committed transaction \(proposal.zxid) is unreadable: \(error)")
                )
                return
            }
            origin = takeForwarded(transaction)
        }
        guard transaction.zxid == proposal.zxid, transaction.zxid > database.lastZxid else {
            actions.append(
                .halt(
                    "transaction \(transaction.zxid) was committed as \(proposal.zxid) after "
                        + "\(database.lastZxid)"
                )
            )
            return
        }
        let mismatches = database.digestMismatches
        changes.removeAll(keepingCapacity: true)
        database.tree.tellsChanges = watches.watchCount > 0
        let result = database.apply(transaction, changes: &changes)
        let count = database.digestMismatches
        // Once they differ they mostly go on to: 1, 2, 4, 8… are said, the status tells them all.
        if count > mismatches, count & (count - 1) == 0 {
            actions.append(
                .log(.error, "the digest of transaction \(transaction.zxid) is not this tree's")
            )
        }
        if isLeading {
            preparation.applied(upTo: transaction.zxid)
            statistics.counters.commits += 1
        } else {
            // One COMMIT can be of many.
            statistics.counters.commitsReceived += 1
        }
        digestLog.record(database.tree.digest, at: transaction.zxid)
        fireWatches(&actions)
        // Those that waited for the transactions before this one come before its own reply.
        releaseSyncs(&actions)
        if let origin, let slot = clients.likelySlot(of: origin) {
            finishWrite(transaction, result, at: slot, &actions)
        }
        sessionChanged(by: transaction, &actions)
    }

    private mutating func fireWatches(_ actions: inout [ReplicaAction]) {
        guard watches.watchCount > 0, !changes.isEmpty else { return }
        let clients = clients
        let skipACL = configuration.skipACL
        for change in changes {
            watches.trigger(
                change,
                mayRead: { id, acl in
                    guard let slot = clients.slot(of: id) else { return false }
                    return skipACL
                        || AccessCheck.allows(acl, .read, identities: clients[slot].identities)
                },
                events: &firedWatches
            )
        }
        for fired in firedWatches {
            statistics.packetsSent += 1
            actions.append(.event(fired.connection, fired.event))
        }
        firedWatches.removeAll(keepingCapacity: firedWatches.capacity <= 4096)
    }

    /// The transaction that this client waits for longest has come.
    private mutating func finishWrite(
        _ transaction: Transaction,
        _ result: ApplyResult,
        at slot: Int,
        _ actions: inout [ReplicaAction]
    ) {
        if case .error(.sessionMoved) = transaction.body {
            return closeClient(
                at: slot,
                reason: "session \(transaction.session) is served elsewhere",
                &actions
            )
        }
        let ending: QueuedRequest.Ending =
            if case .closeSession = transaction.body { .closes } else { .stays }
        let isLocal = locals.contains(clients[slot].session)
        // Mostly it stands first, and need not be put back to wait for its turn.
        if let (request, shape) = clients[slot].takeFirstIfWrite() {
            outstanding -= 1
            let response = Self.response(to: result, as: shape, isLocal: isLocal)
            answer(request, response, ending, at: slot, &actions)
            if ending == .closes { return }
        } else if let (index, shape) = clients[slot].firstWrite {
            let response = Self.response(to: result, as: shape, isLocal: isLocal)
            clients[slot].replace(at: index, by: .finished(response, ending))
        }
        advance(slot, &actions)
    }

    private static func response(
        to result: ApplyResult,
        as shape: ReplyShape,
        isLocal: Bool
    ) -> Result<Response, ErrorCode> {
        let response = response(to: result, as: shape)
        // Apache's leader knows no better of a session that is alive here.
        if isLocal, case .failure(.sessionExpired) = response {
            return .failure(.ephemeralOnLocalSession)
        }
        return response
    }

    private mutating func sessionChanged(
        by transaction: Transaction,
        _ actions: inout [ReplicaAction]
    ) {
        let session = transaction.session
        switch transaction.body {
        case .createSession: finishHandshake(session, isAlive: true, &actions)
        case .closeSession:
            tracker.remove(session, now: now.instant)
            touched[session] = nil
            finishHandshake(session, isAlive: false, &actions)
            if let id = connectionOfSession[session], let slot = clients.slot(of: id) {
                closeClient(at: slot, reason: "session \(session) has ended", &actions)
            }
        case .create, .delete, .deleteContainer, .setData, .reconfigure, .setACL, .check, .error,
            .multi:
            break
        }
    }

    // MARK: Replies

    private static func response(
        to result: ApplyResult,
        as shape: ReplyShape
    ) -> Result<Response, ErrorCode> {
        switch (result, shape) {
        case (.single(let part), _):
            switch (part, shape) {
            case (.failure(let code), _): return .failure(code)
            case (.created(let path, _), .path): return .success(.created(path))
            case (.created(let path, let stat), .pathAndStat):
                return .success(.createdWithStat(path, stat))
            case (.stat(let stat), .stat): return .success(.stat(stat))
            case (.done, .empty): return .success(.empty)
            case (.done, .checked): return .success(.checked)
            // Not what was asked, which another server's leader could do.
            default: return .failure(.dataInconsistency)
            }
        case (.multi(let parts), .multi(let shapes)) where parts.count == shapes.count:
            return .success(
                .multi(
                    zip(parts, shapes).map { part, shape in
                        switch response(to: .single(part), as: shape) {
                        case .success(let response): .success(response)
                        case .failure(let code): .failure(code)
                        }
                    }
                )
            )
        case (.multi, _): return .failure(.dataInconsistency)
        }
    }
}
