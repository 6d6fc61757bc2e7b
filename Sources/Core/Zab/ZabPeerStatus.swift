package import ZooKeeperModel

// What others may see of a peer, and what must always hold in it.

extension ZabPeer {
    private var leadership: Leadership? {
        guard case .leading(let leadership) = phase else { return nil }
        return leadership
    }
    /// Whether slices of a dump for this learner are wanted: else they would only wait in memory. True
    /// for one that is gone.
    package func hasRoom(for learner: ConnectionID) -> Bool {
        leadership?.learners.first { $0.connection == learner }?.output.hasRoom ?? true
    }
    /// The zxid of the next proposal; valid while leading.
    ///
    /// Changes nothing. It is `mutating` because every write asks for it: to read in a part of a
    /// structure that is being changed means to copy that part first.
    package var nextZxid: Zxid {
        mutating get { followingZxid }
    }
    private var followingZxid: Zxid {
        // The leadership knows, too, but would be copied to be asked.
        guard case .leading(let epoch) = role else { return ledger.lastLogged.next }
        return max(ledger.lastLogged, Zxid(epoch: epoch, counter: 0)).next
    }
    /// The newest delivered proposal, or the newest in the recovered database.
    package var lastCommitted: Zxid { ledger.lastDelivered }
    package var lastLogged: Zxid { ledger.lastLogged }
    package var lastPersisted: Zxid { ledger.lastPersisted }
    /// The epoch this server's history belongs to.
    package var currentEpoch: Int64 { ledger.currentEpoch }
    package var acceptedEpoch: Int64 { ledger.acceptedEpoch }
    /// What this peer holds is not known before the disk has rebuilt it.
    package var isWaitingForDisk: Bool { ledger.rebuilding != nil }
    /// The newest transactions that this server holds in memory, oldest first.
    package var recent: [Proposal] { Array(ledger.committed) + Array(ledger.tail) }
    package var ensemble: EnsembleName? { ledger.ensemble }
    /// Whether this server's vote counts.
    package var suffrage: Suffrage { ledger.suffrage }

    // For mntr and srvr; zero unless leading.
    /// Learner connections that have introduced themselves.
    package var learnerCount: Int {
        leadership?.learners.count { $0.stage != .connected } ?? 0
    }
    /// Voting followers that hold the leader's history and answer.
    package var syncedFollowerCount: Int {
        leadership?.learners.count { $0.stage == .synced && $0.isVoter } ?? 0
    }
    package var syncedNonVotingFollowerCount: Int {
        leadership?.learners.count { $0.stage == .synced && !$0.isVoter && !$0.isObserver } ?? 0
    }
    package var syncedObserverCount: Int {
        leadership?.learners.count { $0.stage == .synced && $0.isObserver } ?? 0
    }
    /// Proposals waiting for their quorum (leader) or their commit (follower).
    package var pendingProposalCount: Int { ledger.tail.count }

    package func checkInvariants() {
        ledger.checkInvariants()
        switch phase {
        case .stopped: break
        case .moving: preconditionFailure("between phases")
        case .waitingForDisk:
            precondition(ledger.rebuilding != nil, "waiting for nothing")
            precondition(role == .looking)
        case .looking:
            precondition(role == .looking && ledger.rebuilding == nil)
        case .leading(let leadership):
            precondition(role == leadership.role && ledger.rebuilding == nil)
            precondition(leadership.failure == nil)
            if leadership.stage == .broadcasting {
                precondition(leadership.ownsEpoch || ledger.quorum.voters.count > 1)
                precondition(leadership.lastProposed.epoch == leadership.epoch)
                precondition(leadership.lastProposed.next == followingZxid)
                precondition(
                    ledger.tail.allSatisfy { $0.zxid.epoch == leadership.epoch },
                    "an outstanding proposal of an earlier epoch"
                )
            }
        case .learning(let learning):
            precondition(role == learning.role(ledger) && learning.failure == nil)
        }
    }
}
