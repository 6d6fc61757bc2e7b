package import ZooKeeperModel

/// What a server tells its operator: the numbers behind `srvr`, `stat` and `mntr`.
package struct ServerStatus: Hashable, Sendable {
    package enum Mode: String, Hashable, Sendable {
        case standalone, leader, follower, observer
        /// No leader, and those clients are served that take a tree that stands still.
        case readOnly = "read-only"
        /// No leader: clients are not served.
        case looking
    }
    package struct Latency: Hashable, Sendable {
        /// Milliseconds between a request's input and its reply's action; zeroes before the first.
        package var minimum: Int64 = 0
        package var average: Double = 0
        package var maximum: Int64 = 0
        package init() {}
    }
    /// Where a server is one of several.
    package struct Quorum: Hashable, Sendable {
        package var voters: Int
        /// Nil where there is none.
        package var leader: ServerID?
        /// Since when this server has led; nil where it does not. The rest is known to a leader alone.
        package var leadingSince: Instant?
        package var learners = 0
        package var syncedFollowers = 0
        package var syncedNonVotingFollowers = 0
        package var syncedObservers = 0
        /// Syncs that wait for a proposal.
        package var pendingSyncs = 0
        package init(voters: Int) { self.voters = voters }
    }
    /// The newest answer on a connection.
    package struct LastReply: Hashable, Sendable {
        /// As on the wire.
        package var operationCode: Int32
        package var cxid: Int32
        package var zxid: Zxid
        package var time: Instant
        /// Milliseconds.
        package var latency: Int64
        package init(
            operationCode: Int32,
            cxid: Int32,
            zxid: Zxid,
            time: Instant,
            latency: Int64
        ) {
            self.operationCode = operationCode
            self.cxid = cxid
            self.zxid = zxid
            self.time = time
            self.latency = latency
        }
    }
    /// Bytes of the transactions proposed by this server as leader.
    package struct ProposalSizes: Hashable, Sendable {
        package var last: Int
        package var minimum: Int
        package var maximum: Int
        package init(last: Int, minimum: Int, maximum: Int) {
            self.last = last
            self.minimum = minimum
            self.maximum = maximum
        }
    }
    package struct Connection: Hashable, Sendable {
        package var id: ConnectionID
        package var address: String
        /// `.none` before the handshake is done.
        package var session: SessionID
        /// Milliseconds.
        package var timeout: Int32
        package var established: Timestamp
        /// Requests taken and not answered yet.
        package var queued: Int
        package var received: Int64
        package var sent: Int64
        package var latency: Latency
        /// Nil before the first answer, and once it was set back.
        package var lastReply: LastReply?
        package init(
            id: ConnectionID,
            address: String,
            session: SessionID,
            timeout: Int32,
            established: Timestamp,
            queued: Int,
            received: Int64,
            sent: Int64,
            latency: Latency,
            lastReply: LastReply?
        ) {
            self.id = id
            self.address = address
            self.session = session
            self.timeout = timeout
            self.established = established
            self.queued = queued
            self.received = received
            self.sent = sent
            self.latency = latency
            self.lastReply = lastReply
        }
    }

    package var mode = Mode.looking
    package var lastZxid = Zxid.zero
    package var nodeCount = 0
    package var watchCount = 0
    package var ephemeralCount = 0
    package var approximateDataSize = 0
    /// Those that all servers know.
    package var sessionCount = 0
    package var localSessionCount = 0
    package var outstandingRequests = 0
    package var latency = Latency()
    package var packetsReceived: Int64 = 0
    package var packetsSent: Int64 = 0
    package var counters = ServerCounters()
    /// Nil where this server is alone.
    package var quorum: Quorum?
    /// Nil before this server has proposed anything as what it is now.
    package var proposalSizes: ProposalSizes?
    /// Transactions whose digest did not fit the tree they made here.
    package var digestMismatches: Int64 = 0
    /// By id.
    package var connections: [Connection] = []

    package var isServing: Bool { mode != .looking }
    package init() {}
}
