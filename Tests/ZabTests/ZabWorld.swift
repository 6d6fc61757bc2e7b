import ZooKeeperModel

@testable import Zab

/// A small ensemble in one thread: FIFO links, delivery in random order from a seed, disks that
/// confirm late and lose in a crash what they have not confirmed.
struct ZabWorld {
    struct Random {
        private var state: UInt64
        init(seed: UInt64) { state = seed &* 0x9e37_79b9_7f4a_7c15 &+ 0x1234_5678_9abc_def1 }
        mutating func next() -> UInt64 {
            state &+= 0x9e37_79b9_7f4a_7c15
            var z = state
            z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
            z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
            return z ^ (z >> 31)
        }
        mutating func below(_ limit: Int) -> Int { Int(next() % UInt64(limit)) }
        mutating func chance(_ percent: Int) -> Bool { below(100) < percent }
    }

    enum DiskJob {
        case append([Proposal])
        case epoch(EpochKind, Int64)
        case name(EnsembleName)
        case read(after: Zxid, through: Zxid)
        case truncate(Zxid)
        case install(Zxid, [Proposal])
    }

    struct Server {
        var id: ServerID
        var peer: ZabPeer?
        // Durable.
        var log: [Proposal] = []
        /// The log holds nothing up to here: a snapshot does.
        var snapshot: [Proposal] = []
        var accepted: Int64 = 0
        var current: Int64 = 0
        /// What was on disk could not be relied on, and was thrown away.
        var isDamaged = false
        var ensemble = EnsembleName()
        /// Tells no name, as Apache's servers do.
        var isNameless = false
        // Lost in a crash.
        var jobs: [DiskJob] = []
        var installing: (zxid: Zxid, slices: [[UInt8]])?
        /// The tree: every proposal applied, in order.
        var tree: [Proposal] = []
        /// How much of the tree is known to be the agreed sequence's beginning.
        var checked = 0
        var role = ZabRole.looking
        var history: [Proposal] { snapshot + log }
        /// As its disk tells it at a start.
        var suffrage: Suffrage { current > 0 ? .full : isDamaged ? .lost : .none }
    }

    struct Connection {
        var id: ConnectionID
        var learner: Int
        var leader: Int
        var toLeader: [LearnerMessage] = []
        var toLearner: [LearnerMessage] = []
        var learnerOpen = true
        var leaderOpen = true
    }

    var random: Random
    var servers: [Server]
    var configuration: (ServerID) -> EnsembleConfiguration
    var now = Instant(nanoseconds: 0)
    var notices: [(from: Int, to: Int, notice: ElectionNotification)] = []
    var connections: [Connection] = []
    var attempts: [(learner: Int, leader: Int)] = []
    /// Leaders to be told that what a learner was sent has left.
    var drains: [(server: Int, connection: ConnectionID)] = []
    var nextConnection: UInt64 = 1
    /// Pairs that cannot talk, one bit each.
    var cut: UInt64 = 0
    var slow: [Bool]
    /// Processes that stand still: nothing reaches them and they do not notice the time.
    var stopped: [Bool]
    /// What leaders were asked to confirm, with what had been delivered anywhere by then.
    var asked: [(ticket: UInt64, server: Int, agreedCount: Int)] = []
    var nextTicket: UInt64 = 1
    var failures: [String] = []
    /// What any server has delivered, in order: the one sequence.
    var agreed: [Proposal] = []
    var establishedBy: [Int64: Int] = [:]
    var proposedCount = 0
    var committedLogCapacity: Int
    var sent: [String: Int] = [:]
    var wipeCount = 0
    var settledName: EnsembleName?

    init(
        seed: UInt64,
        voters: Int,
        observers: Int = 0,
        groups: [EnsembleConfiguration.Group] = [],
        weights: [ServerID: Int64] = [:],
        committedLogCapacity: Int = 6,
        namelessPercent: Int = 0
    ) {
        random = Random(seed: seed)
        let members = (1...(voters + observers)).map {
            EnsembleConfiguration.Member(id: ServerID(rawValue: Int64($0)), isObserver: $0 > voters)
        }
        configuration = {
            EnsembleConfiguration(
                me: $0,
                members: members,
                groups: groups,
                weights: weights,
                tickTime: .milliseconds(200),
                initLimit: 10,
                syncLimit: 5
            )
        }
        self.committedLogCapacity = committedLogCapacity
        servers = members.map { Server(id: $0.id) }
        for index in servers.indices where namelessPercent > 0 {
            servers[index].isNameless = random.chance(namelessPercent)
        }
        slow = members.map { _ in false }
        stopped = slow
    }

    // MARK: - Faults

    mutating func start(_ index: Int) {
        let history = servers[index].history
        servers[index].tree = history
        servers[index].checked = 0
        servers[index].role = .looking
        var peer = ZabPeer(
            configuration: configuration(servers[index].id),
            lastLoggedZxid: history.last?.zxid ?? .zero,
            acceptedEpoch: servers[index].accepted,
            currentEpoch: servers[index].current,
            suffrage: servers[index].suffrage,
            ensemble: servers[index].isNameless ? nil : servers[index].ensemble,
            freshEnsemble: Int64(1 + random.below(1 << 30)),
            recent: Array(history.suffix(committedLogCapacity)),
            committedLogCapacity: committedLogCapacity
        )
        // A few proposals fill it.
        peer.learnerWindowBytes = 400
        var actions: [ZabAction] = []
        peer.handle(.start, at: now, actions: &actions)
        servers[index].peer = peer
        perform(actions, of: index)
        for other in servers.indices where other != index && servers[other].peer != nil {
            feed(.electionConnected(servers[index].id), to: other)
            feed(.electionConnected(servers[other].id), to: index)
        }
    }

    mutating func crash(_ index: Int) {
        servers[index].peer = nil
        servers[index].jobs = []
        servers[index].installing = nil
        servers[index].role = .looking
        stopped[index] = false
        asked.removeAll { $0.server == index }
        notices.removeAll { $0.to == index || $0.from == index }
        attempts.removeAll { $0.learner == index }
        drains.removeAll { $0.server == index }
        for at in connections.indices {
            if connections[at].learner == index { connections[at].learnerOpen = false }
            if connections[at].leader == index { connections[at].leaderOpen = false }
        }
        for other in servers.indices where other != index && random.chance(70) {
            feed(.electionDisconnected(servers[index].id), to: other)
        }
    }

    /// A crash from which the server comes back with an empty disk, or with one that was damaged: of
    /// what it promised it may remember too little.
    mutating func wipe(_ index: Int, isDamaged: Bool = false) {
        if servers[index].peer != nil { crash(index) }
        servers[index].log = []
        servers[index].snapshot = []
        servers[index].accepted = isDamaged ? servers[index].current : 0
        servers[index].current = 0
        servers[index].isDamaged = isDamaged
        servers[index].ensemble = EnsembleName()
        wipeCount += 1
    }

    /// Only one voter at a time may have lost what it acknowledged.
    var mayWipe: Bool { servers.allSatisfy { $0.suffrage == .full } }

    mutating func setCut(_ one: Int, _ two: Int, _ isCut: Bool) {
        let pair: UInt64 = 1 << UInt64(min(one, two) * servers.count + max(one, two))
        if isCut { cut |= pair } else { cut &= ~pair }
        if isCut {
            for (at, other) in [(one, two), (two, one)] where random.chance(30) {
                feed(.electionDisconnected(servers[other].id), to: at)
            }
        }
        guard !isCut, servers[one].peer != nil, servers[two].peer != nil else { return }
        feed(.electionConnected(servers[one].id), to: two)
        feed(.electionConnected(servers[two].id), to: one)
    }

    func isCut(_ one: Int, _ two: Int) -> Bool {
        cut >> UInt64(min(one, two) * servers.count + max(one, two)) & 1 == 1
    }

    // MARK: - Steps

    mutating func feed(_ input: ZabInput, to index: Int) {
        guard var peer = servers[index].peer else { return }
        servers[index].peer = nil
        var actions: [ZabAction] = []
        peer.handle(input, at: now, actions: &actions)
        peer.checkInvariants()
        servers[index].peer = peer
        perform(actions, of: index)
    }

    /// One random thing that can happen now; time passes when nothing else can, or by chance.
    mutating func step() {
        var steps: [Step] = []
        for index in servers.indices where servers[index].peer != nil && !stopped[index] {
            // Some disks are slow for a while, so that crashes find work unfinished.
            guard !servers[index].jobs.isEmpty, !slow[index] || random.chance(5) else { continue }
            steps.append(.disk(index))
        }
        // FIFO for each pair: only its first may be delivered.
        var seen: UInt64 = 0
        for at in notices.indices {
            let (from, to, _) = notices[at]
            let pair: UInt64 = 1 << UInt64(from * servers.count + to)
            guard seen & pair == 0 else { continue }
            seen |= pair
            if !isCut(from, to), !stopped[to] { steps.append(.notice(at)) }
        }
        for at in attempts.indices where !stopped[attempts[at].learner] {
            steps.append(.attempt(at))
        }
        for at in drains.indices where !stopped[drains[at].server] { steps.append(.drained(at)) }
        for at in connections.indices {
            let link = connections[at]
            let works = !isCut(link.learner, link.leader)
            if works, link.leaderOpen, !link.toLeader.isEmpty, !stopped[link.leader] {
                steps.append(.toLeader(at))
            }
            if works, link.learnerOpen, !link.toLearner.isEmpty, !stopped[link.learner] {
                steps.append(.toLearner(at))
            }
            let hears = link.leaderOpen ? link.leader : link.learner
            if link.leaderOpen != link.learnerOpen, !stopped[hears] { steps.append(.closed(at)) }
        }
        if steps.isEmpty || random.chance(2) {
            passTime()
        } else {
            run(steps[random.below(steps.count)])
        }
        connections.removeAll { !$0.leaderOpen && !$0.learnerOpen }
    }

    private enum Step {
        case disk(Int), notice(Int), attempt(Int), toLeader(Int), toLearner(Int), closed(Int)
        case drained(Int)
    }

    private mutating func passTime() {
        let due = servers.indices.filter { !stopped[$0] }
            .compactMap { servers[$0].peer?.nextDeadline }.min()
        now = max(due ?? now, now + .milliseconds(1 + random.below(20)))
        for index in servers.indices where !stopped[index] {
            if let at = servers[index].peer?.nextDeadline, at <= now { feed(.wake, to: index) }
        }
    }

    private mutating func run(_ step: Step) {
        switch step {
        case .disk(let index): finishJob(index)
        case .notice(let at):
            let notice = notices.remove(at: at)
            feed(.notification(from: servers[notice.from].id, notice.notice), to: notice.to)
        case .attempt(let at):
            let attempt = attempts.remove(at: at)
            guard servers[attempt.leader].peer != nil, !stopped[attempt.leader],
                !isCut(attempt.learner, attempt.leader)
            else {
                return feed(.leaderDisconnected(nil), to: attempt.learner)
            }
            let id = ConnectionID(rawValue: nextConnection)
            nextConnection += 1
            connections.append(
                Connection(id: id, learner: attempt.learner, leader: attempt.leader)
            )
            feed(.learnerConnected(id), to: attempt.leader)
            feed(.leaderConnected(id), to: attempt.learner)
        case .drained(let at):
            let drain = drains.remove(at: at)
            feed(.learnerDrained(drain.connection), to: drain.server)
        case .toLeader(let at):
            let message = connections[at].toLeader.removeFirst()
            feed(.fromLearner(connections[at].id, message), to: connections[at].leader)
        case .toLearner(let at):
            let message = connections[at].toLearner.removeFirst()
            feed(.fromLeader(connections[at].id, message), to: connections[at].learner)
        case .closed(let at):
            let link = connections[at]
            connections[at].leaderOpen = false
            connections[at].learnerOpen = false
            if link.leaderOpen { feed(.learnerDisconnected(link.id), to: link.leader) }
            if link.learnerOpen { feed(.leaderDisconnected(link.id), to: link.learner) }
        }
    }

    // MARK: - Actions

    private mutating func perform(_ actions: [ZabAction], of index: Int) {
        for action in actions {
            switch action {
            case .sendNotification(let to, let notice):
                notices.append((index, Int(to.rawValue) - 1, notice))
            case .connectToLeader(let to):
                attempts.removeAll { $0.learner == index }
                attempts.append((index, Int(to.rawValue) - 1))
            case .send(let id, let message):
                send(message, over: id, from: index)
            case .close(let id, _):
                guard let at = connections.firstIndex(where: { $0.id == id }) else { break }
                if connections[at].learner == index { connections[at].learnerOpen = false }
                if connections[at].leader == index { connections[at].leaderOpen = false }
            case .reportDrained(let id): drains.append((index, id))
            case .append(let proposal): servers[index].jobs.append(.append([proposal]))
            case .storeEpoch(let kind, let epoch): servers[index].jobs.append(.epoch(kind, epoch))
            case .storeEnsemble(let name): servers[index].jobs.append(.name(name))
            case .readLog(let after, let through, _):
                servers[index].jobs.append(.read(after: after, through: through))
            case .truncate(let place): servers[index].jobs.append(.truncate(place))
            case .beginInstall(let zxid): servers[index].installing = (zxid, [])
            case .installSlice(let bytes): servers[index].installing?.slices.append(bytes)
            case .finishInstall:
                guard let installing = servers[index].installing else {
                    failures.append("an install finished that was not begun")
                    break
                }
                servers[index].installing = nil
                servers[index].jobs.append(
                    .install(installing.zxid, Self.decode(installing.slices))
                )
            case .abandonInstall: servers[index].installing = nil
            case .startSnapshot(let id):
                for slice in Self.encode(servers[index].tree) {
                    pendingDumps.append((index, .snapshotSlice(id, slice)))
                }
                pendingDumps.append((index, .snapshotEnd(id)))
            case .cancelSnapshot: break
            case .deliver(let proposal): deliver(proposal, at: index)
            case .roleChanged(let role): change(role, at: index)
            case .carried(let id, .ping(let zxid, _)):
                if case .leading = servers[index].role { break }
                send(.ping(zxid, touched: []), over: id, from: index)
            case .carried: break
            case .leadershipConfirmed(let ticket): confirmed(ticket, at: index)
            case .proposalsWelcome, .handOverGivenUp: break
            case .halt(let reason): failures.append("server \(index + 1) halts: \(reason)")
            }
        }
        while !pendingDumps.isEmpty {
            let (server, input) = pendingDumps.removeFirst()
            if servers[server].peer != nil { feed(input, to: server) }
        }
    }
    private var pendingDumps: [(Int, ZabInput)] = []

    private mutating func send(_ message: LearnerMessage, over id: ConnectionID, from index: Int) {
        Self.count(message, &sent)
        guard let at = connections.firstIndex(where: { $0.id == id }) else { return }
        if connections[at].learner == index {
            connections[at].toLeader.append(message)
        } else {
            connections[at].toLearner.append(message)
        }
    }

    private static func count(_ message: LearnerMessage, _ sent: inout [String: Int]) {
        switch message {
        case .diff: sent["diff", default: 0] += 1
        case .truncate: sent["truncate", default: 0] += 1
        case .snapshot: sent["snapshot", default: 0] += 1
        case .inform: sent["inform", default: 0] += 1
        case .commit: sent["commit", default: 0] += 1
        case .upToDate: sent["upToDate", default: 0] += 1
        case .learnerInfo, .ackEpoch, .ack, .request, .ensemble, .leaderInfo, .snapshotSlice,
            .snapshotEnd,
            .newLeader, .proposal, .sync, .ping, .revalidate:
            break
        }
    }

    private static func serves(_ role: ZabRole) -> Bool {
        switch role {
        case .looking, .preparing: false
        case .leading, .following, .observing: true
        }
    }

    private mutating func change(_ role: ZabRole, at index: Int) {
        servers[index].role = role
        asked.removeAll { $0.server == index }
        if Self.serves(role) { check(index) }
        guard case .leading(let epoch) = role else { return }
        if let other = establishedBy[epoch], other != index {
            failures.append("epoch \(epoch) led by \(other + 1) and \(index + 1)")
        }
        establishedBy[epoch] = index
        if configuration(servers[index].id).weights[servers[index].id] == 0 {
            failures.append("server \(index + 1) leads epoch \(epoch) without a weight")
        }
        // Nothing that anybody has delivered in earlier epochs may be missing. It may be of later ones:
        // the acknowledgement that makes it a leader can be read long after its sender has left.
        if servers[index].tree.count < agreed.count(where: { $0.zxid.epoch < epoch }) {
            failures.append("the leader of epoch \(epoch) lacks committed proposals")
        }
    }

    private mutating func deliver(_ proposal: Proposal, at index: Int) {
        if let last = servers[index].tree.last, last.zxid >= proposal.zxid {
            failures.append("server \(index + 1) delivers \(proposal.zxid) after \(last.zxid)")
        }
        servers[index].tree.append(proposal)
        // Before it serves, a server's tree may end in what is not yet decided.
        if Self.serves(servers[index].role) { check(index) }
    }

    /// One tree is the beginning of the other: then so are all, of the longest seen.
    private mutating func check(_ index: Int) {
        let tree = servers[index].tree
        for place in servers[index].checked..<tree.count {
            if place == agreed.count {
                agreed.append(tree[place])
            } else if agreed[place] != tree[place] {
                failures.append("server \(index + 1) diverges at \(tree[place].zxid)")
                return
            }
        }
        servers[index].checked = tree.count
    }

    // MARK: - Proposing

    var leader: Int? {
        servers.indices.filter {
            if case .leading = servers[$0].role { servers[$0].peer != nil } else { false }
        }.max { (servers[$0].peer?.currentEpoch ?? 0) < (servers[$1].peer?.currentEpoch ?? 0) }
    }

    mutating func propose(at index: Int) {
        guard let zxid = servers[index].peer?.nextZxid, case .leading = servers[index].role else {
            return
        }
        proposedCount += 1
        feed(
            .propose(Proposal(zxid: zxid, bytes: Array(String(proposedCount).utf8))),
            to: index
        )
    }

    // MARK: - Confirmation

    mutating func confirm(at index: Int) {
        guard case .leading = servers[index].role else { return }
        asked.append((nextTicket, index, agreed.count))
        nextTicket += 1
        feed(.confirmLeadership(nextTicket - 1), to: index)
    }

    /// Whatever anybody had been told when it was asked for must be in this leader's tree.
    private mutating func confirmed(_ ticket: UInt64, at index: Int) {
        sent["confirmed", default: 0] += 1
        for question in asked where question.server == index && question.ticket <= ticket {
            if servers[index].tree.count < question.agreedCount {
                failures.append("server \(index + 1) was confirmed, though deposed")
            }
        }
        asked.removeAll { $0.server == index && $0.ticket <= ticket }
    }
}
