import DequeModule
internal import ZooKeeperModel

/// One client's connection, as the replica knows it.
struct Client: Sendable {
    enum Phase: Hashable, Sendable {
        /// It has not said what it wants yet.
        case accepted
        /// Its session is being made or looked up; its requests wait in the edge.
        case connecting
        case serving
        /// `.closeClient` was sent: whatever still comes from it is dropped.
        case closing
    }
    /// Why nothing is read from it at the moment.
    struct Pause: OptionSet, Hashable, Sendable {
        var rawValue: UInt8
        static let handshake = Pause(rawValue: 1)
        /// Too many requests wait in this server.
        static let outstanding = Pause(rawValue: 2)
        /// It does not take what it is sent.
        static let credit = Pause(rawValue: 4)
    }
    /// After so many bytes the edge must have got rid of them before reads are answered again.
    static let creditBytes = 4 << 20
    /// So many reads may wait before a write that is on its way: they are answered even beyond the
    /// credit, for they must not see it.
    static let readsBeforeWrite = 32
    /// Schemes that one connection can have authenticated with.
    static let maximumIdentities = 64

    let id: ConnectionID
    let address: String
    let established: Timestamp
    var phase = Phase.accepted
    var session = SessionID.none
    /// Milliseconds, as negotiated.
    var timeout: Int32 = 0
    var hasReadOnlyFlag = true
    /// Its local session was closed on its own wish: nothing more is taken from it.
    var isEnding = false
    var identities: [Identity]
    /// Requests not answered yet, in the order in which they came. Empty or begun by one that has
    /// to wait: a read never stands first for longer than an input, unless its credit is used up.
    var queue = Deque<QueuedRequest>()
    /// How many of `queue` are writes on their way, writes that are not, reads, and syncs.
    var writesUnderWay = 0
    var unsentWrites = 0
    var waitingReads = 0
    var waitingSyncs = 0
    var pause: Pause = []
    /// Roughly, since the edge last said that nothing waits.
    var unsentBytes = 0
    /// The bucket of ``ExpiryBuckets`` in which the connection stands.
    var expiryBucket: Int64 = .min
    /// The round of learner pings in which its session was last reported as touched.
    var touchRound = 0
    var received: Int64 = 0
    var sent: Int64 = 0
    var latency = LatencyCounter()
    var lastReply: ServerStatus.LastReply?
    /// When it asked for a session.
    var askedForSession = Instant(nanoseconds: 0)

    init(id: ConnectionID, address: String, established: Timestamp) {
        self.id = id
        self.address = address
        self.established = established
        identities = [Identity(scheme: "ip", id: address)]
    }

    var hasCredit: Bool { unsentBytes < Self.creditBytes }

    /// Whether a write that comes now must not be sent off yet: it could be applied before a request
    /// that came earlier has had its turn, which would then see it.
    var holdsWrites: Bool {
        unsentWrites > 0 || waitingSyncs > 0 || waitingReads >= Self.readsBeforeWrite
            || waitingReads > 0 && writesUnderWay == 0
    }

    mutating func count(_ work: QueuedRequest.Work, _ difference: Int) {
        switch work {
        case .write: writesUnderWay += difference
        case .unsent: unsentWrites += difference
        case .read: waitingReads += difference
        case .sync, .forwardedSync: waitingSyncs += difference
        case .finished: break
        }
    }

    var isCountedRight: Bool {
        var other = self
        other.dropQueue()
        return other.writesUnderWay == 0 && other.unsentWrites == 0 && other.waitingReads == 0
            && other.waitingSyncs == 0
    }

    mutating func dropQueue() {
        for request in queue { count(request.work, -1) }
        queue.removeAll()
    }

    /// Takes the first request off the queue where it is a write on its way.
    mutating func takeFirstIfWrite() -> (request: QueuedRequest, shape: ReplyShape)? {
        guard let first = queue.first, case .write(let shape) = first.work else { return nil }
        queue.removeFirst()
        writesUnderWay -= 1
        return (first, shape)
    }

    /// The write that is on its way for longest.
    var firstWrite: (index: Int, shape: ReplyShape)? {
        for index in queue.indices {
            if case .write(let shape) = queue[index].work { return (index, shape) }
        }
        return nil
    }

    /// Changes what a queued request waits for.
    mutating func replace(at index: Int, by work: QueuedRequest.Work) {
        count(queue[index].work, -1)
        queue[index].work = work
        count(work, 1)
    }
}

struct QueuedRequest: Sendable {
    /// The kinds that are rare lie behind a reference, so that the common one is quickly copied.
    enum Work: Sendable {
        /// Answered when its transaction is applied.
        case write(ReplyShape)
        /// A write that waits for what came before it, and who its sender was when it came.
        indirect case unsent(Request, ReplyShape, [Identity])
        indirect case read(Operation)
        /// On the leader, once all of this has come.
        indirect case sync(ZnodePath, SyncPlace)
        /// On a learner: once the leader says so.
        indirect case forwardedSync(ZnodePath)
        /// Waits for nothing but its turn.
        indirect case finished(Result<Response, ErrorCode>, Ending)
    }
    enum Ending: Hashable, Sendable {
        case stays
        case closes
    }
    var xid: Int32
    /// Of the operation, as on the wire.
    var code: Int32
    var arrived: Instant
    var work: Work
}

/// How the outcome of a transaction is told to the client that asked for it: the log does not keep
/// which of the create operations it was.
enum ReplyShape: Hashable, Sendable {
    case empty
    case checked
    case path
    case pathAndStat
    case stat
    case multi([ReplyShape])

    static func of(_ operation: Operation) -> ReplyShape {
        switch operation {
        case .create(let request):
            switch request.kind {
            case .create: .path
            case .create2, .container, .timeToLive: .pathAndStat
            }
        case .setData, .setACL: .stat
        case .check: .checked
        case .multi(let operations): .multi(operations.map(ReplyShape.of))
        case .delete, .exists, .getData, .getACL, .getChildren, .getChildren2, .sync, .setWatches,
            .addWatch, .checkWatches, .removeWatches, .auth, .ping, .closeSession, .unsupported,
            .malformed:
            .empty
        }
    }
}

/// All clients. One lookup by id gives a slot, good until that client is removed.
struct ClientTable: Sendable {
    private var slots: [ConnectionID: Int] = [:]
    /// Those without an entry in `slots` are vacant.
    private var clients: [Client] = []
    private var vacant: [Int] = []
    private var latest: (id: ConnectionID, slot: Int)?

    var count: Int { slots.count }

    func slot(of id: ConnectionID) -> Int? { slots[id] }

    /// The same, quicker for whom it was asked last: requests and answers come in rows.
    mutating func likelySlot(of id: ConnectionID) -> Int? {
        if let latest, latest.id == id { return latest.slot }
        guard let slot = slots[id] else { return nil }
        latest = (id, slot)
        return slot
    }

    subscript(slot: Int) -> Client {
        _read { yield clients[slot] }
        _modify { yield &clients[slot] }
    }

    mutating func insert(_ client: Client) {
        let slot = vacant.popLast() ?? clients.endIndex
        guard slots.updateValue(slot, forKey: client.id) == nil else {
            preconditionFailure("\(client.id) was accepted twice")
        }
        if slot == clients.endIndex {
            clients.append(client)
        } else {
            clients[slot] = client
        }
    }

    mutating func remove(at slot: Int) {
        let id = clients[slot].id
        slots[id] = nil
        latest = nil
        clients[slot] = Client(id: id, address: "", established: Timestamp(rawValue: 0))
        vacant.append(slot)
    }

    /// Sorted.
    var ids: [ConnectionID] { slots.keys.sorted() }
}
