internal import CFuse
internal import Glibc

/// A named thread for calls that block. Whoever makes one joins it, once.
@safe package final class SystemThread: Sendable {
    private let identity: pthread_t

    private final class Body: Sendable {
        let name: String
        let run: @Sendable () -> Void
        init(name: String, run: @escaping @Sendable () -> Void) {
            self.name = name
            self.run = run
        }
    }

    /// `name` shows in `ps -T` and is cut at 15 bytes.
    package init(name: String, _ run: @escaping @Sendable () -> Void) {
        let body = unsafe Unmanaged.passRetained(Body(name: name, run: run))
        var identity = pthread_t()
        let status = unsafe pthread_create(
            &identity,
            nil,
            { argument in
                guard let argument = unsafe argument else { return nil }
                let body = unsafe Unmanaged<Body>.fromOpaque(argument).takeRetainedValue()
                unsafe zkfs_name_thread(String(body.name.prefix(15)))
                body.run()
                return nil
            },
            body.toOpaque()
        )
        precondition(status == 0, "no thread can be made: error \(status)")
        self.identity = identity
    }

    package func join() { pthread_join(identity, nil) }

    /// Ends a blocking system call of the thread with EINTR, where `signal` has a handler.
    package func interrupt(with signal: Int32) { pthread_kill(identity, signal) }
}
