package import ClientCore
package import Logging
package import NIOCore
package import ZooKeeperModel

/// Runs one ``ClientSession`` on one event loop.
///
/// All methods and all callbacks belong to that loop.
package final class ClientRunner {
    package let eventLoop: any EventLoop
    /// Called for every change of the session's state, in order with completions and events.
    package var onState: (SessionState) -> Void = { _ in }
    package var onEvent: (WatchEvent) -> Void = { _ in }

    package init(
        configuration: ClientConfiguration, eventLoop: any EventLoop, logger: Logger
    ) {
        self.eventLoop = eventLoop
    }

    package func start() {}

    /// `completion` is called once, on the loop, with the reply header's zxid (`Zxid.none` where no
    /// reply came). May be called during this call.
    package func submit(
        _ operation: Operation, completion: @escaping (Result<Response, ErrorCode>, Zxid) -> Void
    ) {
    }

    /// Ends the session; `onState(.closed)` follows.
    package func close() {}
}
