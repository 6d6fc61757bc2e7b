internal import Zab
internal import ZooKeeperModel
internal import ZooKeeperWire

// The leader's way from a request to a proposal.

extension Replica {
    /// A client's write; `connection` is set where the client is this server's own.
    mutating func propose(
        _ operation: Operation,
        session: SessionID,
        cxid: Int32,
        owner: SessionTracker.Owner,
        identities: [Identity],
        connection: ConnectionID?,
        _ actions: inout [ReplicaAction]
    ) {
        if case .closeSession = operation {
            return proposeClose(of: session, cxid: cxid, connection: connection, &actions)
        }
        let errors = sessionErrors(session, owner: owner)
        let context = RequestPreparation.Context(
            session: session,
            identities: identities,
            sessionError: errors.all,
            ephemeralError: errors.ephemeral,
            zxid: zab.nextZxid
        )
        let body = preparation.prepare(operation, context, tree: database.tree)
        propose(body, session: session, cxid: cxid, connection: connection, &actions)
    }

    mutating func proposeSession(
        _ session: SessionID,
        timeout: Int32,
        owner: SessionTracker.Owner,
        _ actions: inout [ReplicaAction]
    ) {
        tracker.track(session, timeout: timeout, owner: owner, now: now.instant)
        preparation.beginEmpty()
        propose(
            .createSession(timeout: timeout),
            session: session,
            cxid: 0,
            connection: nil,
            &actions
        )
    }

    /// Also for a session that is not tracked: its ephemerals go all the same.
    mutating func proposeClose(
        of session: SessionID,
        cxid: Int32,
        connection: ConnectionID?,
        _ actions: inout [ReplicaAction]
    ) {
        let body = preparation.prepareClose(
            of: session,
            zxid: zab.nextZxid,
            tree: database.tree
        )
        tracker.markClosing(session)
        propose(body, session: session, cxid: cxid, connection: connection, &actions)
    }

    /// A request that can only be refused, but whose sender waits for a transaction.
    mutating func proposeError(
        _ error: ErrorCode,
        session: SessionID,
        cxid: Int32,
        _ actions: inout [ReplicaAction]
    ) {
        preparation.beginEmpty()
        propose(.error(error), session: session, cxid: cxid, connection: nil, &actions)
    }

    private mutating func propose(
        _ body: consuming TransactionBody,
        session: SessionID,
        cxid: Int32,
        connection: ConnectionID?,
        _ actions: inout [ReplicaAction]
    ) {
        var transaction = Transaction(
            session: session,
            cxid: cxid,
            zxid: zab.nextZxid,
            time: now.timestamp,
            body: consume body
        )
        var bytes = TransactionCodec.encode(transaction)
        if bytes.count > configuration.maximumTransactionBytes {
            transaction.body = shortened(transaction.body)
            bytes = TransactionCodec.encode(transaction)
        }
        statistics.proposed(bytes: bytes.count)
        let proposal = Proposal(zxid: transaction.zxid, bytes: bytes)
        prepared.append(PreparedTransaction(transaction: transaction, connection: connection))
        run(.propose(proposal), &actions)
    }

    /// What is proposed in place of a transaction that members might not be able to read.
    private mutating func shortened(_ body: TransactionBody) -> TransactionBody {
        switch body {
        case .closeSession:
            // Without a list every server deletes what the session owns in its own tree, which is
            // the same on all of them at this zxid.
            return .closeSession(nil)
        case .create, .delete, .deleteContainer, .setData, .reconfigure, .setACL, .check,
            .createSession, .error, .multi:
            preparation.rollBack()
            return .error(.badArguments)
        }
    }
}
