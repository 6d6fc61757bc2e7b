internal import ClientCore
internal import Logging
internal import NIOCore
internal import ZooKeeperModel

/// What belongs to a ``ZooKeeper`` on its event loop: the runner, the readers of its events, and
/// those who wait for its state.
final class LoopSession {
    private let runner: ClientRunner
    let chroot: ZnodePath
    private var subscriptions = WatchSubscriptions()
    private var readers: [UInt64: SessionEventStream.Continuation] = [:]
    private var lastReader: UInt64 = 0
    /// Nil until the first connection.
    private var state: ZooKeeper.State?
    private var endError: ErrorCode?
    private let renews: Bool
    private var connectWaiters: [Call<Void>] = []
    private var endWaiters: [Call<Void>] = []
    /// Keeps this alive from ``close(_:)`` until the session is over, though its handle may be gone.
    private var closing: LoopSession?

    init(
        configuration: ClientConfiguration,
        chroot: ZnodePath,
        eventLoop: any EventLoop,
        logger: Logger
    ) {
        self.chroot = chroot
        renews = configuration.renewsExpiredSession
        runner = ClientRunner(configuration: configuration, eventLoop: eventLoop, logger: logger)
        runner.onState = { [unowned self] in take($0) }
        runner.onEvent = { [unowned self] in take($0) }
    }

    func start() { runner.start() }

    func submit(
        _ operation: Operation,
        completion: @escaping (Result<Response, ErrorCode>) -> Void
    ) -> RequestToken {
        runner.submit(operation) { result, _ in completion(result) }
    }

    func cancel(_ token: RequestToken) { runner.cancel(token) }

    func close(_ call: Call<Void>? = nil) {
        if endError != nil {
            call?.finish(.success(()))
            return
        }
        if let call { endWaiters.append(call) }
        closing = self
        runner.close()
    }

    /// Finishes the call at the next connection, or when there can be none.
    func whenConnected(_ call: Call<Void>) {
        if let endError {
            call.finish(.failure(ZooKeeperError(endError, "connect")))
        } else if case .connected = state {
            call.finish(.success(()))
        } else {
            connectWaiters.append(call)
        }
    }

    // MARK: Events

    private func take(_ event: WatchEvent) {
        guard let path = chroot.relative(event.path) else { return }
        let named = WatchEvent(kind: event.kind, path: path, zxid: event.zxid)
        tell(.watch(named))
        subscriptions.deliver(event, named: named)
    }

    private func take(_ new: SessionState) {
        let named: ZooKeeper.State
        switch new {
        case .connected(let session, let isNew, let timeout, let readOnly):
            named = .connected(session, isNew: isNew, timeout: timeout, readOnly: readOnly)
        case .disconnected: named = .disconnected
        case .expired: named = .expired
        case .authenticationFailed: named = .authenticationFailed
        case .closed: named = .closed
        }
        state = named
        switch new {
        case .connected:
            for call in connectWaiters { call.finish(.success(())) }
            connectWaiters = []
        case .disconnected: break
        case .expired:
            subscriptions.failAll(.sessionExpired)
            if !renews { end(.sessionExpired) }
        case .authenticationFailed: end(.authFailed)
        case .closed: end(.sessionExpired)
        }
        tell(.state(named))
        if endError != nil {
            for reader in readers.values { reader.finish() }
            readers = [:]
        }
    }

    private func end(_ error: ErrorCode) {
        endError = error
        subscriptions.failAll(error)
        for call in connectWaiters { call.finish(.failure(ZooKeeperError(error, "connect"))) }
        connectWaiters = []
        for call in endWaiters { call.finish(.success(())) }
        endWaiters = []
        closing = nil
    }

    private func tell(_ event: SessionEvent) {
        for (number, reader) in readers {
            guard case .dropped = reader.yield(event) else { continue }
            reader.finish(throwing: ZooKeeperError(.throttledOperation, "events"))
            readers[number] = nil
        }
    }

    // MARK: Readers

    func addReader(_ reader: SessionEventStream.Continuation) -> UInt64 {
        lastReader += 1
        if let state { reader.yield(.state(state)) }
        if endError == nil { readers[lastReader] = reader } else { reader.finish() }
        return lastReader
    }

    func removeReader(_ number: UInt64) { readers[number] = nil }

    func subscribe(
        _ kinds: WatchKinds,
        at path: ZnodePath,
        _ continuation: WatchStream.Continuation
    ) -> WatchSubscriptions.ID {
        subscriptions.add(kinds, at: path, continuation)
    }

    func unsubscribe(_ id: WatchSubscriptions.ID) { subscriptions.remove(id) }

    func watchesRemoved(_ kinds: WatchKinds, at path: ZnodePath) {
        subscriptions.end(kinds, at: path)
    }
}
