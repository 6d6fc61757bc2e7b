package import ZooKeeperModel

/// What can happen to a ``ZabPeer``. `ConnectionID` names a connection of the learner protocol.
package enum ZabInput: Sendable {
    case start
    case wake

    // The election channel: one logical link to every other member, kept by the edge.
    case electionConnected(ServerID)
    case electionDisconnected(ServerID)
    case notification(from: ServerID, ElectionNotification)

    // The learner channel, seen from the leader…
    case learnerConnected(ConnectionID)
    case fromLearner(ConnectionID, LearnerMessage)
    case learnerDisconnected(ConnectionID)
    /// The answer to `.reportDrained`.
    case learnerDrained(ConnectionID)
    // …and from the learner. `leaderDisconnected` also says that a connection could not be made.
    case leaderConnected(ConnectionID)
    case fromLeader(ConnectionID, LearnerMessage)
    case leaderDisconnected(ConnectionID?)

    // The disk.
    case persisted(upTo: Zxid)
    case epochStored(EpochKind, Int64)
    case logRead([Proposal]?, isComplete: Bool)
    /// The log was cut and the database loaded again. `lastZxid` is now the last one in it, `recent`
    /// the newest transactions up to it, oldest first.
    case truncated(lastZxid: Zxid, recent: [Proposal])
    /// The snapshot that a leader sent is loaded and durable.
    case snapshotInstalled(Zxid)
    /// The answer to `.finishInstall` where the slices make no database: the old one stays.
    case installRefused
    /// Whether the disk is about to refuse more: a server without room does not stand for election,
    /// and makes way where it leads. Room for what is asked of it already must still be there.
    case diskFull(Bool)
    /// The answer to `.truncate` where the disk cannot be cut there: everything stays as it was.
    case truncationRefused

    // The application, on a leader that is broadcasting.
    /// The proposal's zxid is ``ZabPeer/nextZxid``.
    case propose(Proposal)
    /// Did this server still lead when this came? Answered by `.leadershipConfirmed` with this ticket
    /// or a later one, once a quorum has shown that it did, and not at all where it does not come to
    /// that. Tickets grow.
    case confirmLeadership(UInt64)
    /// Make way for a follower, if there is one that can lead. Nothing should be proposed until
    /// ``ZabPeer/takesProposals`` is true again. Answered by the end of leading, or by
    /// `.handOverGivenUp`.
    case handOver
    /// A piece of the dump asked for by `.startSnapshot`; only while ``ZabPeer/hasRoom(for:)``.
    case snapshotSlice(ConnectionID, [UInt8])
    case snapshotEnd(ConnectionID)
}

package enum ZabAction: Hashable, Sendable {
    case sendNotification(to: ServerID, ElectionNotification)
    /// Answered by `.leaderConnected`, or by `.leaderDisconnected(nil)`. Replaces an attempt still
    /// under way, of which nothing more is heard.
    case connectToLeader(ServerID)
    case send(ConnectionID, LearnerMessage)
    case close(ConnectionID, reason: String)
    /// Say `.learnerDrained` once little of what was sent to this learner before this waits in the
    /// process any more, at once if that is so already.
    case reportDrained(ConnectionID)

    case append(Proposal)
    case storeEpoch(EpochKind, Int64)
    /// Durable before a later `.storeEpoch` is answered.
    case storeEnsemble(EnsembleName)
    case readLog(after: Zxid, through: Zxid, maxBytes: Int)
    /// Cut the log after this zxid and load the database again; answered by `.truncated` or
    /// `.truncationRefused`.
    case truncate(to: Zxid)
    /// Load what the leader sends in place of the whole database, and make it durable; the slices
    /// follow, then the end, which is answered by `.snapshotInstalled` or `.installRefused`. The log up to here goes too,
    /// whatever its zxids: it belongs to another history.
    case beginInstall(Zxid)
    case installSlice([UInt8])
    case finishInstall
    /// The leader is gone before the end: forget the slices, keep the database as it was. Not
    /// answered.
    case abandonInstall

    /// Dump the tree as it is at this point of the action stream to this learner, in slices.
    case startSnapshot(ConnectionID)
    /// The learner is gone: stop its dump.
    case cancelSnapshot(ConnectionID)

    /// Committed: apply it. Every proposal once, in zxid order. Proposals that were in the log at
    /// recovery are in the tree already and are not delivered again. While preparing, an elected
    /// leader may have to deliver the end of its own log before a quorum holds it: like a tail found
    /// at recovery, `.truncate` can take it back.
    case deliver(Proposal)
    /// This peer's part has changed. Sessions, queues and clients follow it.
    case roleChanged(ZabRole)
    /// A message that Zab only carries: `.request`, `.revalidate`, `.ping` with touched sessions on
    /// the leader; `.sync`, `.revalidate`, `.ping` on a learner, which answers the ping with the same
    /// zxid and the sessions touched.
    case carried(ConnectionID, LearnerMessage)
    /// Everything asked to be confirmed up to this ticket is.
    case leadershipConfirmed(UInt64)
    /// ``ZabPeer/takesProposals`` has become true again while leading.
    case proposalsWelcome
    /// A commanded `.handOver` came to nothing, for this reason: this server goes on leading.
    case handOverGivenUp(String)
    /// Stop the process: going on could lose or invent data. The sentence says why.
    case halt(String)
}

/// A peer's part in the ensemble, as the application sees it.
package enum ZabRole: Hashable, Sendable {
    case looking
    /// Elected, not yet allowed to serve.
    case preparing
    /// Leading an established epoch: `propose` is welcome.
    case leading(epoch: Int64)
    /// Synchronized with this leader over this connection; serving clients.
    case following(leader: ServerID, ConnectionID)
    case observing(leader: ServerID, ConnectionID)
}
