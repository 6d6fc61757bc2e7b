/// What a ``ClientSession`` is made with.
package struct ClientConfiguration: Hashable, Sendable {
    /// At least one. Tried in an order that the seed decides.
    package var servers: [ServerAddress]
    /// As asked for; servers clamp it.
    package var sessionTimeout: Duration
    /// Presented on every connection before anything else, in this order.
    package var credentials: [Credential]
    /// Whether a server without a quorum will do, for reads.
    package var readOnlyAllowed: Bool
    /// Whether an expired session is followed by a new one. If not, `.state(.expired)` is final.
    package var renewsExpiredSession: Bool
    /// Decides the order of servers and the jitter of delays.
    package var seed: UInt64
    package var limits: Limits

    package init(
        servers: [ServerAddress],
        sessionTimeout: Duration = .seconds(10),
        credentials: [Credential] = [],
        readOnlyAllowed: Bool = false,
        renewsExpiredSession: Bool = true,
        seed: UInt64,
        limits: Limits = Limits()
    ) {
        self.servers = servers
        self.sessionTimeout = sessionTimeout
        self.credentials = credentials
        self.readOnlyAllowed = readOnlyAllowed
        self.renewsExpiredSession = renewsExpiredSession
        self.seed = seed
        self.limits = limits
    }

    package struct Credential: Hashable, Sendable {
        package var scheme: String
        package var bytes: [UInt8]
        package init(scheme: String, bytes: [UInt8]) {
            self.scheme = scheme
            self.bytes = bytes
        }
    }

    /// The bounds on what a session keeps in memory.
    package struct Limits: Hashable, Sendable {
        /// The longest message taken from a server. A longer one drops the connection.
        package var replyBytes = 64 << 20
        /// The longest request sent: the servers' default `jute.maxbuffer`. A server closes the
        /// connection on a longer one, which would take every other request in flight with it, so
        /// it is refused here, with BADARGUMENTS.
        package var requestBytes = 1_048_575
        /// Requests waiting for a connection or for their reply. One more ends with CONNECTIONLOSS
        /// without having been sent.
        package var outstandingRequests = 100_000
        /// Bytes of requests waiting for a connection or for their reply. Once there are so many, a
        /// further request ends with CONNECTIONLOSS without having been sent.
        package var outstandingBytes = 64 << 20
        /// Paths with watches. Once there are so many, a further request that watches ends with
        /// THROTTLEDOP without having been sent.
        package var watchedPaths = 1_000_000
        /// Credentials presented on every connection. One more ends with THROTTLEDOP.
        package var credentials = 1_000
        /// One credential with its scheme; a longer one ends with BADARGUMENTS.
        package static let credentialBytes = 64 << 10
        package init() {}
    }
}

/// Where a server listens for clients. The host is a name or an address without brackets.
package struct ServerAddress: Hashable, Sendable, CustomStringConvertible {
    package var host: String
    package var port: UInt16
    package init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }
    package var description: String {
        host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
}
