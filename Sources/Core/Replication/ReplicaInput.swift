package import ZooKeeperModel

/// What can happen to a ``Replica``.
package enum ReplicaInput: Sendable {
    case start
    case wake

    // Clients.
    case clientConnected(ConnectionID, address: String)
    case connectRequest(ConnectionID, ConnectRequest)
    case request(ConnectionID, Request)
    case clientDisconnected(ConnectionID)
    /// Nothing that was sent to it waits in the edge any more: production for it may go on. Due
    /// after every `.pauseReading`, as soon as it is true; welcome at any time.
    case drained(ConnectionID)

    // The disk.
    case storage(StorageResult)
    /// The answer to `.truncate`: the database as it is after the cut.
    case recovered(RecoveredState)
    /// The answer to `.truncate` where the log cannot be cut there and nothing was changed.
    case truncationRefused
    /// Whether the disk has no room beyond what is asked of it already, each time that changes. A
    /// leader without room makes way for another server, and does not stand for election.
    case diskFull(Bool)

    // The operator.
    /// Where this server leads: make way for another one. What comes of it is in the log.
    case handOver

    // The other members.
    case electionConnected(ServerID)
    case electionDisconnected(ServerID)
    case notification(from: ServerID, ElectionNotification)
    case learnerConnected(ConnectionID)
    case fromLearner(ConnectionID, LearnerMessage)
    case learnerDisconnected(ConnectionID)
    /// The answer to `.reportDrained`.
    case learnerDrained(ConnectionID)
    case leaderConnected(ConnectionID)
    case fromLeader(ConnectionID, LearnerMessage)
    case leaderDisconnected(ConnectionID?)
}

/// What a ``Replica`` wants done, in the order it must happen.
package enum ReplicaAction: Sendable {
    // Clients.
    case connectResponse(ConnectionID, ConnectResponse)
    case reply(ConnectionID, Reply)
    case event(ConnectionID, WatchEvent)
    /// After all that was sent to it has left.
    case closeClient(ConnectionID, reason: String)
    /// Take no more requests from it until `.resumeReading`; say `.drained` once nothing waits to be
    /// sent to it, at once if that is so already.
    case pauseReading(ConnectionID)
    case resumeReading(ConnectionID)

    // The disk.
    /// As the disk's `.append`, whose list is the runner's to gather: one for each proposal would be
    /// made and dropped for every write.
    case append(Proposal)
    /// Anything but an `.append`.
    case storage(StorageRequest)
    /// Cut the log after this zxid, recover again, and answer with `.recovered`; or, where the
    /// journal throws `notInLog`, with `.truncationRefused`. Whatever was asked of the disk before
    /// comes first.
    case truncate(to: Zxid)

    // The other members.
    case sendNotification(to: ServerID, ElectionNotification)
    case connectToLeader(ServerID)
    case send(ConnectionID, LearnerMessage)
    case close(ConnectionID, reason: String)
    /// Say `.learnerDrained` once little of what was sent to this learner before this waits in the
    /// process any more, at once if that is so already. What it is sent to catch up is produced only as
    /// fast as that.
    case reportDrained(ConnectionID)

    case log(LogLevel, String)
    /// Stop the process: going on could lose or invent data.
    case halt(String)
}

package enum LogLevel: Hashable, Sendable { case debug, info, warning, error }
