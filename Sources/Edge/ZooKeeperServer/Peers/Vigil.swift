internal import Logging
internal import NIOCore

/// Says from time to time that this server does not serve, and whom it hears: an ensemble without a
/// quorum has nothing else to log, however wrong its configuration is.
final class Vigil {
    private static let interval = TimeAmount.seconds(10)

    private let loop: any EventLoop
    private unowned let runner: ReplicaRunner
    private let election: ElectionPort
    private var task: RepeatedTask?
    /// Ticks since it served last.
    private var ticks = 0

    init(loop: any EventLoop, runner: ReplicaRunner, election: ElectionPort) {
        self.loop = loop
        self.runner = runner
        self.election = election
    }

    func start() {
        let bound = NIOLoopBound(self, eventLoop: loop)
        task = loop.scheduleRepeatedTask(
            initialDelay: Self.interval,
            delay: Self.interval
        ) { _ in bound.value.tick() }
    }

    func stop() { task?.cancel() }

    private func tick() {
        guard !runner.isServing else {
            ticks = 0
            return
        }
        ticks += 1
        // After ten seconds, twenty, forty and so on, and every five minutes at least.
        guard ticks & (ticks - 1) == 0 || ticks % 30 == 0 else { return }
        let seconds = Int64(ticks) * Self.interval.nanoseconds / 1_000_000_000
        runner.logger.warning(
            "serves nobody for \(seconds) s or more: no leader has a quorum that this server is part of; \(election.reachability)"
        )
    }
}
