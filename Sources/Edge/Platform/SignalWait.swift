import Glibc

/// Takes signals by waiting for them on one thread, instead of in a handler where little is allowed.
package struct SignalWait: Sendable {
    private let signals: [Int32]

    /// Blocks the signals for this thread and for those that it will start.
    package init(_ signals: [Int32]) {
        self.signals = signals
        var set = Self.set(of: signals)
        unsafe pthread_sigmask(SIG_BLOCK, &set, nil)
    }

    /// Returns the number of the next of the signals.
    package func wait() -> Int32 {
        var set = Self.set(of: signals)
        var number: Int32 = 0
        while unsafe sigwait(&set, &number) != 0 {}
        return number
    }

    private static func set(of signals: [Int32]) -> sigset_t {
        var set = sigset_t()
        unsafe sigemptyset(&set)
        for signal in signals { unsafe sigaddset(&set, signal) }
        return set
    }
}
