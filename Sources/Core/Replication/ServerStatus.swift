package import ZooKeeperModel

/// What a server tells its operator: the numbers behind `srvr`, `stat` and `mntr`.
package struct ServerStatus: Hashable, Sendable {
    package enum Mode: String, Hashable, Sendable {
        case standalone, leader, follower, observer
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
        /// Requests taken and not answered yet.
        package var queued: Int
        package var received: Int64
        package var sent: Int64
        package var latency: Latency
        package init(
            id: ConnectionID,
            address: String,
            session: SessionID,
            timeout: Int32,
            queued: Int,
            received: Int64,
            sent: Int64,
            latency: Latency
        ) {
            self.id = id
            self.address = address
            self.session = session
            self.timeout = timeout
            self.queued = queued
            self.received = received
            self.sent = sent
            self.latency = latency
        }
    }

    package var mode = Mode.looking
    package var lastZxid = Zxid.zero
    package var nodeCount = 0
    package var watchCount = 0
    package var ephemeralCount = 0
    package var approximateDataSize = 0
    package var sessionCount = 0
    package var outstandingRequests = 0
    package var latency = Latency()
    package var packetsReceived: Int64 = 0
    package var packetsSent: Int64 = 0
    /// Nil before this server has proposed anything.
    package var proposalSizes: ProposalSizes?
    /// Transactions whose digest did not fit the tree they made here.
    package var digestMismatches: Int64 = 0
    /// By id.
    package var connections: [Connection] = []

    package var isServing: Bool { mode != .looking }
    package init() {}
}
