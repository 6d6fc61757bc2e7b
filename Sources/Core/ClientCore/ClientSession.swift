package import ZooKeeperModel

/// A client's side of a ZooKeeper session.
package struct ClientSession {
    private let configuration: ClientConfiguration

    package init(configuration: ClientConfiguration, now: Instant) {
        self.configuration = configuration
    }

    package mutating func handle(
        _ input: ClientInput, at now: Instant, actions: inout [ClientAction]
    ) {
    }

    /// When to send the next `.wake`, or nil while nothing is pending.
    package var nextDeadline: Instant? { nil }
}
