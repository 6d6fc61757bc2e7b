internal import ZooKeeperModel

/// What answers to a ``Workload`` mean, whatever it has seen before.
extension Workload {
    /// Whether the success of this step is a transaction.
    func isWrite(_ step: Step) -> Bool {
        switch step {
        case .prepare, .create, .register, .increment, .ephemeral, .multi, .sequential: true
        case .readCounter, .readRegister, .sync, .sharedSync: false
        case .shared(let index): history[index].call != .read
        case .errand(let operation): operation.isWrite
        }
    }

    /// A sync is answered with no less than all writes that were answered before it was asked for.
    func lateSync(_ step: Step, _ moment: Moment, _ zxid: Zxid) -> String? {
        switch step {
        case .sync, .sharedSync:
            zxid < moment.writtenZxid
                ? "client \(number) was synced at \(zxid), after a write at \(moment.writtenZxid)"
                    + " had been answered" : nil
        case .prepare, .create, .register, .readCounter, .increment, .readRegister, .ephemeral,
            .multi, .shared, .sequential, .errand:
            nil
        }
    }

    func given(_ path: ZnodePath, _ moment: Moment, _ outcome: inout Outcome) -> Int? {
        guard let sequence = Int(path.description.dropFirst("/q-".count)) else {
            outcome.failure = "\(path) ends with no number"
            return nil
        }
        if sequence <= moment.sequence {
            outcome.failure =
                "client \(number) was given \(sequence), after \(moment.sequence) had been given"
        }
        return sequence
    }

    static func outcome(
        of call: History.Call,
        _ response: Response
    ) -> History.Outcome? {
        switch (call, response) {
        case (.create, .createdWithStat): .created
        case (.write, .stat(let stat)): .version(stat.version)
        case (.delete, .empty): .deleted
        case (.read, .data(let data, let stat)):
            value(data).map { .value($0, version: stat.version) }
        default: nil
        }
    }

    static func outcome(of code: ErrorCode) -> History.Outcome? {
        switch code {
        case .noNode: .noNode
        case .nodeExists: .nodeExists
        case .badVersion: .badVersion
        default: nil
        }
    }
}
