package import ZooKeeperModel

/// The mounted tree: file-system semantics over znodes.
package struct MountedTree: Sendable {
    private let settings: MountSettings

    package init(settings: MountSettings, now: ClockReading) { self.settings = settings }

    package mutating func handle(
        _ input: MountInput, at now: ClockReading, actions: inout [MountAction]
    ) {
        if case .kernel(let request, _, _) = input {
            actions.append(.reply(request, .failed(.notImplemented)))
        }
    }

    package var nextDeadline: Instant? { nil }

    package func checkInvariants() {}
}
