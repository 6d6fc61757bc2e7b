internal import ZooKeeperModel

/// What this server counts for its operator.
struct Statistics: Sendable {
    var latency = LatencyCounter()
    var packetsReceived: Int64 = 0
    var packetsSent: Int64 = 0
    var counters = ServerCounters()
    /// Of the present leadership.
    var proposalSizes: ServerStatus.ProposalSizes?

    mutating func proposed(bytes: Int) {
        counters.proposals += 1
        if var sizes = proposalSizes {
            sizes.last = bytes
            sizes.minimum = min(sizes.minimum, bytes)
            sizes.maximum = max(sizes.maximum, bytes)
            proposalSizes = sizes
        } else {
            proposalSizes = .init(last: bytes, minimum: bytes, maximum: bytes)
        }
    }

    /// To a learner or to the leader.
    mutating func sent(_ message: LearnerMessage) {
        switch message {
        case .diff: counters.diffsSent += 1
        case .snapshot: counters.snapshotsSent += 1
        default: break
        }
    }

    /// From the leader.
    mutating func received(_ message: LearnerMessage) {
        switch message {
        case .proposal, .inform: counters.proposalsReceived += 1
        default: break
        }
    }
}

/// Least, mean and greatest of the times between request and reply.
struct LatencyCounter: Hashable, Sendable {
    private var count: Int64 = 0
    private var sum: Int64 = 0
    private var minimum: Int64 = 0
    private var maximum: Int64 = 0

    mutating func add(milliseconds: Int64) {
        minimum = count == 0 ? milliseconds : min(minimum, milliseconds)
        maximum = max(maximum, milliseconds)
        count += 1
        sum &+= milliseconds
    }

    var summary: ServerStatus.Latency {
        var latency = ServerStatus.Latency()
        latency.minimum = minimum
        latency.maximum = maximum
        latency.average = count == 0 ? 0 : Double(sum) / Double(count)
        return latency
    }
}

extension Replica {
    /// Everything that is counted for the whole server begins again.
    package mutating func resetStatistics() {
        let sizes = statistics.proposalSizes
        statistics = Statistics()
        statistics.proposalSizes = sizes
    }

    /// Likewise what is counted for each connection.
    package mutating func resetConnectionStatistics() {
        for id in clients.ids {
            guard let slot = clients.slot(of: id) else { continue }
            clients[slot].received = 0
            clients[slot].sent = 0
            clients[slot].latency = LatencyCounter()
            clients[slot].lastReply = nil
        }
    }
}
