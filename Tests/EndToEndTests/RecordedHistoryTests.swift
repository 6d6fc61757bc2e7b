import Foundation
import Simulation
import Testing

/// What real servers have answered, judged by the simulation's checker.
@Suite(.serialized, .enabled(if: Network.isPossible))
struct RecordedHistoryTests {
    private func judge(_ history: History, in workspace: Workspace) throws -> CommandResult {
        let path = workspace.path("history.txt")
        try (history.lines.joined(separator: "\n") + "\n").write(
            toFile: path,
            atomically: false,
            encoding: .utf8
        )
        return try run([Workspace.program("zksim"), "--judge", path], limit: 300)
    }

    @Test func `what is written and read while leaders fall is linearizable`() throws {
        let ensemble = try EnsembleWorkspace(size: 3)
        defer { ensemble.tearDown() }
        try ensemble.waitForLeader()
        let record = try RecordedHistory(ensemble.addresses, port: EnsembleWorkspace.clientPort)
        record.waitForProgress()
        // Killed.
        let killed = try ensemble.waitForLeader()
        killed.kill()
        record.waitForProgress()
        try killed.start()
        // Stopped, while its successor goes on; then awake again with what waits in its sockets.
        let stopped = try ensemble.waitForLeader()
        stopped.pause()
        try ensemble.waitForLeader(among: others(than: stopped, in: ensemble))
        record.waitForProgress()
        stopped.resume()
        record.waitForProgress()
        // Cut off from the others, and not from its clients: it goes on believing that it leads.
        let cutOff = try ensemble.waitForLeader()
        for other in others(than: cutOff, in: ensemble) {
            try ensemble.network.cut(from: other, to: cutOff.number)
            try ensemble.network.cut(from: cutOff.number, to: other)
        }
        try ensemble.waitForLeader(among: others(than: cutOff, in: ensemble))
        record.waitForProgress()
        try ensemble.network.heal()
        try ensemble.waitForLeader()
        record.waitForProgress()

        var (history, complaints) = record.stop()
        #expect(complaints == [], "\(ensemble.logs)")
        let verdict = try judge(history, in: ensemble.workspace)
        #expect(verdict.status == 0, "\(verdict.output)\n\(ensemble.logs)")

        // The same history with one answer from the past.
        let stale = try #require(history.staleRead)
        history.operations[stale.index].outcome = stale.outcome
        let second = try judge(history, in: ensemble.workspace)
        #expect(second.status == 1)
        #expect(second.output.contains("NOT linearizable"))
    }

    private func others(
        than member: EnsembleWorkspace.Member,
        in ensemble: EnsembleWorkspace
    ) -> [Int] {
        ensemble.members.map(\.number).filter { $0 != member.number }
    }
}

extension History {
    /// A read, and the answer that it must not get: that of an earlier read of the same znode, whose
    /// value was over before the later one was asked for.
    fileprivate var staleRead: (index: Int, outcome: Outcome)? {
        for later in operations.indices.reversed() {
            guard case .value(let value, _) = operations[later].outcome else { continue }
            let key = operations[later].key
            let written = operations.first { $0.key == key && $0.call.writes(value) }
            for earlier in operations[..<later] where earlier.key == key {
                guard case .value(let old, _) = earlier.outcome, old != value,
                    let end = written?.returned, end < operations[later].called,
                    let start = written?.called, let over = earlier.returned, over < start
                else { continue }
                return (later, earlier.outcome)
            }
        }
        return nil
    }
}

extension History.Call {
    fileprivate func writes(_ value: Int) -> Bool {
        switch self {
        case .create(let written), .write(let written, _): written == value
        case .delete, .read: false
        }
    }
}
