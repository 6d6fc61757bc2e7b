internal import Synchronization

/// Somebody who waits for one result, once: until it is there or their task is cancelled.
final class Call<Value: Sendable>: Sendable {
    private enum State {
        case fresh
        case waiting(CheckedContinuation<Value, any Error>)
        case over
    }
    private let state = Mutex(State.fresh)

    /// Runs `begin` and waits for ``finish(_:)``. Throws `CancellationError` at once when the task
    /// is cancelled; what was begun then goes on unheard.
    func result(_ begin: @Sendable (Call<Value>) -> Void) async throws -> Value {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let isCancelled = state.withLock { state in
                    guard case .fresh = state else { return true }
                    state = .waiting(continuation)
                    return false
                }
                if isCancelled {
                    continuation.resume(throwing: CancellationError())
                } else {
                    begin(self)
                }
            }
        } onCancel: {
            finish(.failure(CancellationError()))
        }
    }

    /// Whether nobody waits any more.
    var isOver: Bool {
        state.withLock { if case .over = $0 { true } else { false } }
    }

    /// The first result counts.
    func finish(_ result: sending Result<Value, any Error>) {
        let continuation = state.withLock { state -> CheckedContinuation<Value, any Error>? in
            defer { state = .over }
            if case .waiting(let continuation) = state { return continuation }
            return nil
        }
        continuation?.resume(with: result)
    }
}
