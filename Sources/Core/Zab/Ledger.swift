internal import DequeModule
internal import ZooKeeperModel

/// What this server's disk and tree hold, in the order of the log, and what it has promised.
///
///     recovered database ……………… lastDelivered │ tail ………… lastLogged
///                  └─ committed (the newest 500) ─┘
///
/// The tail is logged (perhaps not yet durable) and not in the tree: on a leader the outstanding
/// proposals, on a learner those whose COMMIT has not come. It outlives a change of phase: what a
/// server has logged is part of the history it votes with, whoever leads next.
struct Ledger: Sendable {
    /// A replacement of the database that the disk has been asked for and has not confirmed.
    enum Rebuilding: Equatable, Sendable {
        case truncating(to: Zxid)
        case installing(Zxid)
        case finishingInstall(Zxid)
    }

    let configuration: EnsembleConfiguration
    let quorum: Quorum
    let committedLogCapacity: Int

    /// Promised, perhaps not yet durable: compared with, never acknowledged before
    /// `durableAcceptedEpoch` has reached it.
    var acceptedEpoch: Int64
    var durableAcceptedEpoch: Int64
    /// Durable. Stored only when the history it names is durable.
    var currentEpoch: Int64
    /// Whether this server's vote and promises count. Without, it only learns.
    private(set) var suffrage: Suffrage
    /// As on disk, or on its way there. Nil: this server takes no part in names.
    private(set) var ensemble: EnsembleName?
    /// The name of an ensemble that has none.
    let freshEnsemble: Int64
    /// An epoch that a voter was seen to have promised: the next one chosen here lies above it.
    var epochFloor: Int64

    private(set) var lastLogged: Zxid
    private(set) var lastPersisted: Zxid
    private(set) var lastDelivered: Zxid
    /// Logged after `lastDelivered`.
    private(set) var tail = Deque<Proposal>()
    /// The newest of those up to `lastDelivered`, without a gap.
    private(set) var committed: Deque<Proposal>
    var rebuilding: Rebuilding?
    /// The accepted epoch in which the disk could not be cut where the leader wanted it. That
    /// leader is asked for its whole database next: see ``Learning``.
    private(set) var uncuttableIn: Int64?
    /// Members with whom the election channel is up, sorted.
    private(set) var linked: [ServerID] = []
    /// What was logged and is not known to be durable, in pieces of this size or somewhat more.
    private var unpersisted = Deque<(zxid: Zxid, bytes: Int)>()
    private static let unpersistedPieceBytes = 64 << 10
    private(set) var unpersistedBytes = 0
    /// Since then the disk owes an answer. Nil while it owes none, or rebuilds, which takes its time.
    private var diskAwaitedSince: Instant?
    var isDiskFull = false
    /// The learners whose log reads are under way, in the order asked. Answers come in this order,
    /// also for learners that are gone.
    var logReads = Deque<ConnectionID>()

    init(
        configuration: EnsembleConfiguration,
        lastLoggedZxid: Zxid,
        acceptedEpoch: Int64,
        currentEpoch: Int64,
        suffrage: Suffrage,
        ensemble: EnsembleName?,
        freshEnsemble: Int64,
        recent: [Proposal],
        committedLogCapacity: Int
    ) {
        precondition(currentEpoch <= acceptedEpoch, "current epoch above the accepted epoch")
        self.configuration = configuration
        quorum = Quorum(configuration)
        self.committedLogCapacity = committedLogCapacity
        self.acceptedEpoch = acceptedEpoch
        durableAcceptedEpoch = acceptedEpoch
        self.currentEpoch = currentEpoch
        self.suffrage = suffrage
        self.ensemble = ensemble
        self.freshEnsemble = freshEnsemble
        epochFloor = 0
        lastLogged = lastLoggedZxid
        lastPersisted = lastLoggedZxid
        lastDelivered = lastLoggedZxid
        committed = Self.window(recent, endingAt: lastLoggedZxid, capacity: committedLogCapacity)
    }

    /// Empty unless it ends where the database ends: a window with a hole behind it would be
    /// handed on to learners.
    private static func window(
        _ recent: [Proposal],
        endingAt last: Zxid,
        capacity: Int
    ) -> Deque<Proposal> {
        guard recent.last?.zxid == last else { return [] }
        return Deque(recent.suffix(capacity))
    }

    var me: ServerID { configuration.me }
    var isVoter: Bool { quorum.contains(configuration.me) }

    mutating func electionLink(with member: ServerID, isUp: Bool) {
        linked.removeAll { $0 == member }
        guard isUp else { return }
        linked.insert(member, at: linked.firstIndex { $0 > member } ?? linked.endIndex)
    }

    mutating func log(_ proposal: Proposal, actions: inout [ZabAction]) {
        precondition(proposal.zxid > lastLogged, "\(proposal.zxid) logged after \(lastLogged)")
        lastLogged = proposal.zxid
        tail.append(proposal)
        unpersistedBytes += proposal.bytes.count
        if let piece = unpersisted.last, piece.bytes < Self.unpersistedPieceBytes {
            unpersisted[unpersisted.count - 1] = (
                proposal.zxid, piece.bytes + proposal.bytes.count
            )
        } else {
            unpersisted.append((proposal.zxid, proposal.bytes.count))
        }
        actions.append(.append(proposal))
    }

    /// Takes the oldest of the tail into the tree.
    mutating func deliverNext(actions: inout [ZabAction]) -> Proposal {
        let proposal = tail.removeFirst()
        lastDelivered = proposal.zxid
        if committed.count >= committedLogCapacity { committed.removeFirst() }
        committed.append(proposal)
        actions.append(.deliver(proposal))
        return proposal
    }

    mutating func persisted(upTo zxid: Zxid) {
        lastPersisted = min(max(lastPersisted, zxid), lastLogged)
        while let piece = unpersisted.first, piece.zxid <= lastPersisted {
            unpersistedBytes -= piece.bytes
            unpersisted.removeFirst()
        }
    }

    /// Call after each input. `isAnswer`: it came from the disk, or this process was away and the
    /// answer may still be waiting to be read.
    mutating func watchDisk(isAnswer: Bool, now: Instant) {
        let owes = lastPersisted < lastLogged || durableAcceptedEpoch < acceptedEpoch
        if !owes || rebuilding != nil {
            diskAwaitedSince = nil
        } else if isAnswer || diskAwaitedSince == nil {
            diskAwaitedSince = now
        }
    }

    /// The disk has no room, or has not answered for syncLimit. What this server is asked to log
    /// waits in memory.
    func isDiskStuck(at now: Instant) -> Bool {
        isDiskFull || diskAwaitedSince.map { now >= $0 + configuration.syncTimeout } == true
    }

    /// A server whose disk is stuck cannot lead: others are better, if there are enough of them.
    func isDiskUnfit(at now: Instant) -> Bool {
        isDiskStuck(at: now) && quorum.isReached { $0 != me }
    }

    /// More is not taken, from clients or a leader, while so much waits for a disk that is stuck.
    static let unpersistedLimitBytes = 64 << 20

    mutating func epochStored(_ kind: EpochKind, _ epoch: Int64) {
        switch kind {
        case .accepted: durableAcceptedEpoch = max(durableAcceptedEpoch, epoch)
        case .current:
            currentEpoch = max(currentEpoch, epoch)
            // It is stored only when the history that it names is durable.
            suffrage = .full
        }
    }

    mutating func storeEnsemble(_ name: EnsembleName, _ actions: inout [ZabAction]) {
        guard ensemble != nil, ensemble != name else { return }
        ensemble = name
        actions.append(.storeEnsemble(name))
    }

    /// Every voter has been heard to hold nothing: this is a new ensemble.
    mutating func grantVote() {
        precondition(suffrage != .lost, "a damaged disk was taken for a new one")
        suffrage = .full
    }

    /// The database was loaded again: what it holds now is all there is.
    mutating func rebuilt(upTo zxid: Zxid, recent: [Proposal]) {
        rebuilding = nil
        uncuttableIn = nil
        lastLogged = zxid
        lastPersisted = zxid
        lastDelivered = zxid
        tail.removeAll()
        unpersisted.removeAll()
        unpersistedBytes = 0
        committed = Self.window(recent, endingAt: zxid, capacity: committedLogCapacity)
    }

    /// The disk could not do it and holds what it held.
    mutating func rebuildingRefused() {
        if case .truncating = rebuilding { uncuttableIn = acceptedEpoch }
        rebuilding = nil
    }

    /// Is this proposal the next of its epoch, or the first of a later one?
    func isContinued(by zxid: Zxid) -> Bool {
        zxid == lastLogged.next && zxid.counter != 0
            || zxid.epoch > lastLogged.epoch && zxid.counter == 1
    }

    func checkInvariants() {
        precondition(lastPersisted <= lastLogged, "persisted \(lastPersisted) > \(lastLogged)")
        precondition(lastDelivered <= lastLogged, "delivered \(lastDelivered) > \(lastLogged)")
        precondition((tail.last?.zxid ?? lastDelivered) == lastLogged, "the tail ends elsewhere")
        precondition(currentEpoch <= acceptedEpoch, "\(currentEpoch) > \(acceptedEpoch)")
        precondition(durableAcceptedEpoch <= acceptedEpoch, "an epoch stored but not promised")
        precondition(
            unpersistedBytes == unpersisted.reduce(0) { $0 + $1.bytes },
            "bytes on their way to the disk are miscounted"
        )
        precondition(committed.isEmpty || committed.last?.zxid == lastDelivered, "stale window")
        precondition(committed.count <= committedLogCapacity, "the window has outgrown its limit")
        var previous: Zxid?
        for proposal in committed {
            precondition(previous.map { $0 < proposal.zxid } ?? true, "window out of order")
            previous = proposal.zxid
        }
        previous = lastDelivered
        for proposal in tail {
            precondition(previous.map { $0 < proposal.zxid } ?? true, "tail out of order")
            previous = proposal.zxid
        }
    }
}
