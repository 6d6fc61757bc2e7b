import DequeModule
internal import Zab
internal import ZooKeeperModel
internal import ZooKeeperWire

// What a learner and its leader tell each other beside the protocol of Zab: writes on their way to
// the leader, syncs, sessions that move or stay alive.

extension Replica {
    /// Messages that Zab only carries.
    mutating func carried(
        _ message: LearnerMessage,
        over id: ConnectionID,
        _ actions: inout [ReplicaAction]
    ) {
        switch message {
        case .request(let request) where isLeading: receive(request, over: id, &actions)
        case .revalidate(let session, let timeout, nil) where isLeading:
            statistics.counters.revalidations += 1
            let isAlive = tracker.reopen(
                session,
                timeout: timeout,
                owner: .learner(id),
                now: now.instant
            )
            answerRevalidation(
                .revalidate(session, timeout: timeout, isValid: isAlive),
                to: id,
                &actions
            )
        case .ping(_, let touched) where isLeading:
            for entry in touched {
                tracker.touch(entry.session, timeout: entry.timeout, now: now.instant)
            }

        case .revalidate(let session, _, let isValid?):
            finishHandshake(session, isAlive: isValid, &actions)
        case .ping(let zxid, _):
            actions.append(.send(id, .ping(zxid, touched: takeTouchedSessions())))
        case .sync: finishForwardedSync(&actions)

        case .request, .revalidate, .learnerInfo, .ackEpoch, .ack, .ensemble, .leaderInfo, .diff,
            .truncate, .snapshot, .snapshotSlice, .snapshotEnd, .newLeader, .upToDate, .proposal,
            .commit, .inform:
            actions.append(.log(.warning, "a message from \(id) has no meaning here: dropped"))
        }
    }
}

// MARK: On the leader

extension Replica {
    private mutating func receive(
        _ request: ForwardedRequest,
        over id: ConnectionID,
        _ actions: inout [ReplicaAction]
    ) {
        if request.operationCode == OperationCode.sync.rawValue {
            sync(for: id, &actions)
        } else if holdsRequests {
            hold(request, of: id, &actions)
        } else {
            propose(request, of: id, &actions)
        }
    }

    /// Every one of these becomes a transaction, if only an error: the learner waits for it.
    mutating func propose(
        _ request: ForwardedRequest,
        of id: ConnectionID,
        _ actions: inout [ReplicaAction]
    ) {
        guard let code = OperationCode(rawValue: request.operationCode) else {
            return proposeError(
                .unimplemented,
                session: request.session,
                cxid: request.cxid,
                &actions
            )
        }
        switch code {
        case .createSession:
            var body = JuteReader(request.body)
            do throws(WireError) {
                proposeSession(
                    request.session,
                    timeout: try body.int32(),
                    owner: .learner(id),
                    &actions
                )
            } catch {
                proposeError(
                    .marshallingError,
                    session: request.session,
                    cxid: request.cxid,
                    &actions
                )
            }
        case .create, .delete, .setData, .setACL, .multi, .create2, .createContainer,
            .createTimeToLive, .closeSession:
            propose(
                RequestCodec.decodeBody(code: request.operationCode, request.body),
                session: request.session,
                cxid: request.cxid,
                owner: .learner(id),
                identities: request.identities,
                connection: nil,
                &actions
            )
        case .sync, .check, .reconfig, .deleteContainer, .exists, .getData, .getACL, .getChildren,
            .ping,
            .getChildren2, .checkWatches, .removeWatches, .multiRead, .auth, .setWatches, .sasl,
            .getEphemerals, .getAllChildrenNumber, .setWatches2, .addWatch, .whoAmI, .error:
            proposeError(.unimplemented, session: request.session, cxid: request.cxid, &actions)
        }
    }
}

// MARK: On the learner

extension Replica {
    mutating func forward(
        _ request: Request,
        _ identities: [Identity],
        at slot: Int,
        _ actions: inout [ReplicaAction]
    ) {
        let (code, body) = RequestCodec.encodeBody(request.operation)
        let session = clients[slot].session
        if code != OperationCode.sync.rawValue {
            forwarded[session, default: []].append(
                ForwardedEntry(
                    connection: clients[slot].id,
                    cxid: request.xid,
                    after: zab.lastLogged
                )
            )
        }
        sendToLeader(
            .request(
                ForwardedRequest(
                    session: session,
                    cxid: request.xid,
                    operationCode: code,
                    body: body,
                    identities: identities
                )
            ),
            &actions
        )
    }

    mutating func sendToLeader(_ message: LearnerMessage, _ actions: inout [ReplicaAction]) {
        switch role {
        case .following(_, let id), .observing(_, let id): actions.append(.send(id, message))
        case .looking, .preparing, .leading:
            preconditionFailure("\(role) has no leader to send to")
        }
    }

    /// The client of this server that waits for this transaction.
    ///
    /// The leader answers the requests of a session in the order in which this server sent them.
    /// Those of connections that are gone stay in the list for that reason: after a reconnection
    /// some clients number their requests from 1 again. For the same reason what was proposed before
    /// a request was sent is no answer to it: it came over the server that the client has left.
    mutating func takeForwarded(_ transaction: Transaction) -> ConnectionID? {
        guard let first = forwarded[transaction.session]?.first, first.cxid == transaction.cxid,
            first.after < transaction.zxid
        else { return nil }
        _ = forwarded[transaction.session]?.popFirst()
        if forwarded[transaction.session]?.isEmpty == true {
            forwarded[transaction.session] = nil
        }
        return first.connection
    }

    private mutating func finishForwardedSync(_ actions: inout [ReplicaAction]) {
        guard let id = forwardedSyncs.popFirst(), let slot = clients.slot(of: id) else { return }
        for index in clients[slot].queue.indices {
            guard case .forwardedSync(let path) = clients[slot].queue[index].work else { continue }
            clients[slot].replace(at: index, by: .finished(.success(.synced(path)), .stays))
            break
        }
        advance(slot, &actions)
    }
}
