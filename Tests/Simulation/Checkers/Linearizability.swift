/// Whether the operations on one znode can be put into one order that explains every answer and in
/// which whatever ended before another began comes before it.
///
/// The search of Wing and Gong, "Testing and verifying concurrent objects" (1993), with Lowe's
/// memory of configurations already tried, "Testing for linearizability" (2017): a configuration is
/// the set of operations taken so far and the znode's state. Keys are independent of each other, so
/// each is searched alone.
///
/// An operation without an answer may take effect at any later moment, or never; but not after a
/// later write of the same session was answered, since a session's writes keep their order.
package struct Linearizability {
    package enum Verdict: Hashable, Sendable {
        case linearizable
        /// The operations that could not be placed, in part.
        case violated(String)
        /// The search was given up after so many steps.
        case undecided
    }

    package static let defaultSteps = 100_000

    package static func judge(
        _ history: History,
        steps: Int = Self.defaultSteps
    ) -> [String: Verdict] {
        let bounds = lostBounds(history)
        var verdicts: [String: Verdict] = [:]
        for key in history.keys {
            var items: [Item] = []
            for (index, operation) in history.operations.enumerated() where operation.key == key {
                items.append(Item(operation: operation, end: bounds[index] ?? .max))
            }
            verdicts[key] = Search(items).run(steps: steps)
        }
        return verdicts
    }

    private struct Item {
        var operation: History.Operation
        var end: Int64
    }

    /// When each operation is over, if it is: its answer, or for a lost one the answer of the next
    /// acknowledged write of its session, or the moment that its client knows.
    private static func lostBounds(_ history: History) -> [Int64?] {
        struct Session: Hashable {
            var client: Int
            var session: Int64
        }
        var next: [Session: Int64] = [:]
        var bounds = [Int64?](repeating: nil, count: history.operations.count)
        for index in history.operations.indices.reversed() {
            let operation = history.operations[index]
            let session = Session(client: operation.client, session: operation.session)
            if operation.outcome == .lost {
                bounds[index] =
                    next[session].map { min($0, operation.returned ?? $0) }
                    ?? operation.returned
            } else {
                bounds[index] = operation.returned
                if operation.call != .read { next[session] = operation.returned }
            }
        }
        return bounds
    }

    /// The znode as the operations have made it.
    private enum State: Hashable {
        case absent
        case present(value: Int, version: Int32)
    }

    /// The state after an operation that was answered like this; nil where the answer is wrong.
    private static func after(_ state: State, _ operation: History.Operation) -> State? {
        switch (operation.call, operation.outcome) {
        case (.create(let value), .created):
            return state == .absent ? .present(value: value, version: 0) : nil
        case (.create, .nodeExists): return state == .absent ? nil : state
        case (.create(let value), .lost):
            return state == .absent ? .present(value: value, version: 0) : state
        case (.write(let value, let wanted), .version(let made)):
            guard case .present(_, let version) = state, made == version + 1,
                wanted == nil || wanted == version
            else { return nil }
            return .present(value: value, version: made)
        case (.write(_, let wanted?), .badVersion), (.delete(let wanted?), .badVersion):
            guard case .present(_, let version) = state, version != wanted else { return nil }
            return state
        case (.write(let value, let wanted), .lost):
            guard case .present(_, let version) = state, wanted == nil || wanted == version else {
                return state
            }
            return .present(value: value, version: version + 1)
        case (.delete(let wanted), .deleted):
            guard case .present(_, let version) = state, wanted == nil || wanted == version else {
                return nil
            }
            return .absent
        case (.delete(let wanted), .lost):
            guard case .present(_, let version) = state, wanted == nil || wanted == version else {
                return state
            }
            return .absent
        case (.read, .value(let value, let version)):
            return state == .present(value: value, version: version) ? state : nil
        case (.read, .lost): return state
        case (.write, .noNode), (.delete, .noNode), (.read, .noNode):
            return state == .absent ? state : nil
        case (.create, _), (.write, _), (.delete, _), (.read, _): return nil
        }
    }

    /// Calls and returns in the order of time, as a list from which operations are taken out and
    /// put back.
    private struct Search {
        private struct Configuration: Hashable {
            var taken: [UInt64]
            var state: State
        }
        private struct Frame {
            var operation: Int
            var state: State
            /// It was lost, and is taken never to have happened.
            var isSkipped: Bool
        }

        private let operations: [History.Operation]
        /// Entries 2n + 1 and 2n + 2 are call and return of operation n; 0 is the head.
        private var next: [Int]
        private var previous: [Int]

        init(_ items: [Item]) {
            operations = items.map(\.operation)
            var times: [(time: Int64, isReturn: Bool, entry: Int)] = []
            for (index, item) in items.enumerated() {
                times.append((item.operation.called, false, 2 * index + 1))
                times.append((item.end, true, 2 * index + 2))
            }
            // What ends and begins at one moment may overlap: calls first.
            times.sort {
                ($0.time, $0.isReturn ? 1 : 0, $0.entry) < ($1.time, $1.isReturn ? 1 : 0, $1.entry)
            }
            next = Array(repeating: -1, count: 2 * items.count + 1)
            previous = next
            var last = 0
            for (_, _, entry) in times {
                next[last] = entry
                previous[entry] = last
                last = entry
            }
        }

        private mutating func unlink(_ entry: Int) {
            next[previous[entry]] = next[entry]
            if next[entry] >= 0 { previous[next[entry]] = previous[entry] }
        }
        private mutating func link(_ entry: Int) {
            next[previous[entry]] = entry
            if next[entry] >= 0 { previous[next[entry]] = entry }
        }

        consuming func run(steps: Int) -> Verdict {
            var state = State.absent
            var taken = [UInt64](repeating: 0, count: operations.count / 64 + 1)
            var tried: Set<Configuration> = []
            var stack: [Frame] = []
            var entry = next[0]
            var stepsLeft = steps
            var deepest = 0
            var stuck = ""
            search: while next[0] >= 0 {
                stepsLeft -= 1
                guard stepsLeft > 0 else { return .undecided }
                let operation = (entry - 1) / 2
                let isReturn = entry % 2 == 0
                let isSkipped = isReturn && operations[operation].outcome == .lost
                if !isReturn || isSkipped {
                    let made =
                        isSkipped ? state : Linearizability.after(state, operations[operation])
                    if let made {
                        taken[operation / 64] |= 1 << UInt64(operation % 64)
                        if tried.insert(Configuration(taken: taken, state: made)).inserted {
                            stack.append(
                                Frame(operation: operation, state: state, isSkipped: isSkipped)
                            )
                            state = made
                            unlink(2 * operation + 1)
                            unlink(2 * operation + 2)
                            entry = next[0]
                            continue search
                        }
                        taken[operation / 64] &= ~(1 << UInt64(operation % 64))
                    }
                    if !isReturn {
                        entry = next[entry]
                        continue search
                    }
                }
                // This operation is over and fits nowhere: take back.
                if stack.count >= deepest {
                    deepest = stack.count
                    stuck = "\(operations[operation].line) in state \(state)"
                }
                while true {
                    guard let frame = stack.popLast() else { return .violated(stuck) }
                    taken[frame.operation / 64] &= ~(1 << UInt64(frame.operation % 64))
                    state = frame.state
                    link(2 * frame.operation + 2)
                    link(2 * frame.operation + 1)
                    // Skipping it was the last that could be done with it.
                    guard !frame.isSkipped else { continue }
                    entry = next[2 * frame.operation + 1]
                    break
                }
            }
            return .linearizable
        }
    }
}
