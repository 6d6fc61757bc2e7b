internal import DequeModule
internal import ZooKeeperModel
internal import ZooKeeperWire

// What the user of a session asks for: sent at once over a connection, otherwise kept for the next.

extension ClientSession {
    mutating func submit(
        _ operation: Operation,
        _ token: RequestToken,
        at now: Instant,
        _ actions: inout [ClientAction]
    ) {
        func refuse(_ error: ErrorCode) {
            actions.append(.complete(token, .failure(error), zxid: .none))
        }
        if case .ended(let error) = phase { return refuse(error) }
        guard operation.isSendable else { return refuse(.badArguments) }
        if operation.setsWatch && watches.count >= configuration.limits.watchedPaths {
            return refuse(.throttledOperation)
        }
        guard pending.count < configuration.limits.outstandingRequests,
            pending.outstandingBytes < configuration.limits.outstandingBytes
        else { return refuse(.connectionLoss) }
        let xid = nextXid()
        let frame = encode(Request(xid: xid, operation: operation))
        guard frame.count - 4 <= configuration.limits.requestBytes else {
            return refuse(.badArguments)
        }
        let entry = PendingRequests.Entry(
            token: token,
            xid: xid,
            operation: operation.withoutPayload,
            frameBytes: frame.count
        )
        if case .established(var connection) = phase {
            guard !connection.isClosing else { return refuse(.sessionExpired) }
            connection.lastSent = now
            phase = .established(connection)
            pending.appendInFlight(entry)
            actions.append(.send(connection.attempt, frame))
        } else {
            pending.appendQueued(entry, frame: frame)
        }
    }

    /// Credentials wait for no bound of their own order: a server answers them as they arrive.
    mutating func present(
        _ credential: ClientConfiguration.Credential,
        for token: RequestToken,
        at now: Instant,
        _ actions: inout [ClientAction]
    ) {
        func refuse(_ error: ErrorCode) {
            actions.append(.complete(token, .failure(error), zxid: .none))
        }
        if case .ended(let error) = phase { return refuse(error) }
        guard
            credential.scheme.utf8.count + credential.bytes.count
                <= ClientConfiguration.Limits.credentialBytes
        else { return refuse(.badArguments) }
        let index: Int
        if let known = credentials.firstIndex(where: { $0.credential == credential }) {
            index = known
        } else {
            guard credentials.count < configuration.limits.credentials else {
                return refuse(.throttledOperation)
            }
            index = credentials.count
            credentials.append(PresentedCredential(credential: credential))
        }
        guard credentials[index].waiting.count < configuration.limits.outstandingRequests else {
            return refuse(.connectionLoss)
        }
        credentials[index].waiting.append(token)
        // Without a connection it goes out first on the next one.
        guard case .established(var connection) = phase else { return }
        // An answer that is due will do for this one, too.
        guard !connection.unansweredCredentials.contains(index) else { return }
        connection.unansweredCredentials.append(index)
        connection.lastSent = now
        phase = .established(connection)
        actions.append(.send(connection.attempt, encode(authRequest(credential))))
    }

    func authRequest(_ credential: ClientConfiguration.Credential) -> Request {
        Request(
            xid: Request.authXid,
            operation: .auth(scheme: credential.scheme, credential: credential.bytes)
        )
    }

    func encode(_ request: Request) -> [UInt8] {
        var writer = JuteWriter()
        RequestCodec.encode(request, into: &writer)
        return writer.bytes
    }

    /// Positive: the negative ones have fixed meanings. What may be outstanding is far less than
    /// a turn of this counter.
    mutating func nextXid() -> Int32 {
        lastXid = lastXid == .max ? 1 : lastXid + 1
        return lastXid
    }
}
