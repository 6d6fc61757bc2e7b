/// What can go wrong. The raw values name the rows of the coverage table.
package enum FaultKind: String, CaseIterable, Hashable, Sendable {
    /// What was not synced is gone, torn and out of order.
    case powerLoss = "power loss"
    case powerLossOfAll = "power loss of all"
    /// kill -9: the system lives on and keeps what was written.
    case kill
    /// Nothing passes between two groups of hosts, in either direction.
    case partition
    /// Nothing passes in one direction.
    case oneWay = "one-way cut"
    /// A cut that comes and goes.
    case flapping
    /// One connection is reset.
    case reset
    /// The process is stopped, keeps its state and reads late what came meanwhile.
    case pause
    /// The wall clock is set, and the monotonic clock changes its pace.
    case clock
    /// A call to the disk fails.
    case diskError = "disk error"
    /// A call to the disk takes seconds.
    case diskStall = "disk stall"
    case diskFull = "disk full"
    /// A bit on a disk changes while its server is down.
    case bitFlip = "bit flip"
    /// A server comes back with an empty disk.
    case wipe
}

/// Where in the protocol a member is. The raw values name the columns of the coverage table.
package enum ProtocolPhase: String, CaseIterable, Hashable, Sendable {
    case election
    case diff = "DIFF"
    case truncation = "TRUNC"
    case snapshot = "SNAP"
    /// Between the end of the election and the kind of synchronization.
    case epochChange = "epoch change"
    /// A session's end is proposed and not committed.
    case expiry
    /// A learner has asked its leader for a session.
    case sessionMove = "session move"
    /// A new leader holds proposals of an earlier epoch that nobody has seen committed.
    case oldProposals = "old proposals"
    case broadcast
}

/// How often each kind of fault struck while a member it struck was in each phase.
package struct FaultCoverage: Sendable {
    package private(set) var counts: [FaultKind: [ProtocolPhase: Int]] = [:]

    package init() {}

    package mutating func add(_ kind: FaultKind, _ phase: ProtocolPhase, _ count: Int = 1) {
        counts[kind, default: [:]][phase, default: 0] += count
    }

    package func count(_ kind: FaultKind, _ phase: ProtocolPhase) -> Int {
        counts[kind]?[phase] ?? 0
    }

    package mutating func merge(_ other: FaultCoverage) {
        for kind in FaultKind.allCases {
            for phase in ProtocolPhase.allCases where other.count(kind, phase) > 0 {
                add(kind, phase, other.count(kind, phase))
            }
        }
    }

    /// Cells that no slice of 400 seeds may leave empty.
    ///
    /// A voter's disk may lose what it promised only while all others hold it too. That rules out
    /// who is cutting its log, or leads with proposals that nobody else may hold, and leaves little of
    /// the moments in which one member is behind.
    package static func isRequired(_ kind: FaultKind, _ phase: ProtocolPhase) -> Bool {
        switch (kind, phase) {
        case (.wipe, .election), (.wipe, .epochChange), (.wipe, .sessionMove), (.wipe, .broadcast),
            (.bitFlip, .election), (.bitFlip, .epochChange), (.bitFlip, .sessionMove),
            (.bitFlip, .broadcast):
            true
        case (.wipe, _), (.bitFlip, _): false
        default: true
        }
    }

    package var emptyRequiredCells: [(FaultKind, ProtocolPhase)] {
        FaultKind.allCases.flatMap { kind in
            ProtocolPhase.allCases.filter { phase in
                Self.isRequired(kind, phase) && count(kind, phase) == 0
            }.map { (kind, $0) }
        }
    }

    /// Lines of equal width, one a kind.
    package var table: [String] {
        func cell(_ text: String, _ width: Int) -> String {
            String(repeating: " ", count: max(0, width - text.count)) + text
        }
        let widths = ProtocolPhase.allCases.map { max(7, $0.rawValue.count) + 2 }
        let head = ProtocolPhase.allCases.indices.map { index in
            cell(ProtocolPhase.allCases[index].rawValue, widths[index])
        }
        var lines = [cell("", 17) + head.joined()]
        for kind in FaultKind.allCases {
            let name = kind.rawValue + String(repeating: " ", count: 17 - kind.rawValue.count)
            let cells = ProtocolPhase.allCases.indices.map { index in
                let phase = ProtocolPhase.allCases[index]
                let number = count(kind, phase)
                let text =
                    number == 0 && !Self.isRequired(kind, phase) ? "–" : String(number)
                return cell(text, widths[index])
            }
            lines.append(name + cells.joined())
        }
        return lines
    }
}
