package import ZooKeeperModel

/// One server of the ensemble. Pure: time, randomness and storage results arrive as inputs.
package struct Replica {
    private let configuration: ReplicaConfiguration

    package init(
        configuration: ReplicaConfiguration, recovered: RecoveredState,
        sha1: @escaping @Sendable ([UInt8]) -> [UInt8], now: ClockReading
    ) {
        self.configuration = configuration
    }

    /// Takes one input and appends what must be done to `actions`, in order.
    package mutating func handle(
        _ input: ReplicaInput, at now: ClockReading, actions: inout [ReplicaAction]
    ) {}

    /// When to send the next `.wake`, or nil while nothing is pending. A time in the past means: as
    /// soon as the inputs that wait already have been handled.
    package var nextDeadline: Instant? { nil }

    /// Made on demand; its cost grows with the number of connections.
    package var status: ServerStatus { ServerStatus() }

    /// Stops the process if the state contradicts itself. For tests and simulations.
    package func checkInvariants() {}
}
