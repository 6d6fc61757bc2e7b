package import ZooKeeperModel

/// What can happen to a ``ClientSession``.
package enum ClientInput: Sendable {
    /// Begin to connect. Sent once, first.
    case start
    /// Ask a server. Ends with exactly one `.complete` of the same token.
    case submit(RequestToken, Operation)
    /// If the request still waits for a connection, never send it and end it with REQUESTTIMEOUT;
    /// otherwise nothing.
    case cancel(RequestToken)
    case connected(ConnectionAttempt)
    case connectFailed(ConnectionAttempt, reason: String)
    /// Bytes of the server's stream, cut anywhere.
    case received(ConnectionAttempt, [UInt8])
    case disconnected(ConnectionAttempt, reason: String)
    /// The time in ``ClientSession/nextDeadline`` has come.
    case wake
    /// End the session. Requests in flight are still answered; then comes `.state(.closed)`.
    case close
}

/// What a ``ClientSession`` wants done, in the order it must happen.
package enum ClientAction: Hashable, Sendable {
    /// Resolve and connect; answered by `.connected` or `.connectFailed`. The edge may try several
    /// addresses of one name.
    case connect(ServerAddress, ConnectionAttempt)
    case send(ConnectionAttempt, [UInt8])
    /// Give up this attempt or close its connection. Nothing of it is heard any more; no answer
    /// is expected.
    case disconnect(ConnectionAttempt)
    /// The zxid is that of the reply's header; `Zxid.none` where no reply came.
    case complete(RequestToken, Result<Response, ErrorCode>, zxid: Zxid)
    case event(WatchEvent)
    case state(SessionState)
    case log(ClientLogLevel, String)
}

/// The session as its user sees it.
package enum SessionState: Hashable, Sendable {
    /// Connected, at first or again. `isNew` says that this is not the session of the last
    /// `.connected`: ephemerals and watches of that one are gone. `readOnly` says that the server
    /// has lost its quorum and takes no writes.
    case connected(SessionID, isNew: Bool, timeout: Duration, readOnly: Bool)
    /// The connection is gone; the session may still be saved.
    case disconnected
    /// A server said that the session is gone, with its ephemerals and watches.
    case expired
    /// A server refused a credential. Final.
    case authenticationFailed
    /// Final.
    case closed
}

/// One request of the user. Chosen by the user, never used twice in one session.
package struct RequestToken: RawRepresentable, Hashable, Comparable, Sendable {
    package var rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }
    package static func < (left: RequestToken, right: RequestToken) -> Bool {
        left.rawValue < right.rawValue
    }
}

/// One try to reach a server and the connection that came of it. Numbered by the session, never
/// used twice, so that late inputs of an abandoned connection are recognised.
package struct ConnectionAttempt: RawRepresentable, Hashable, Comparable, Sendable {
    package var rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }
    package static func < (left: ConnectionAttempt, right: ConnectionAttempt) -> Bool {
        left.rawValue < right.rawValue
    }
}

package enum ClientLogLevel: Hashable, Sendable { case debug, info, warning, error }
