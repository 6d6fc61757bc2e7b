internal import DequeModule
internal import ZooKeeperModel

/// Requests between their submission and their end: first those that were sent and wait for their
/// reply, in order, then those that wait for a connection, encoded, in order.
///
/// Every step takes constant time, however many wait. Both bounds count both kinds.
struct PendingRequests {
    struct Entry {
        /// Nil for the session's own closeSession.
        var token: RequestToken?
        var xid: Int32
        /// Enough of the operation to decode its reply and to register its watch.
        var operation: Operation
        var frameBytes: Int
    }

    private(set) var inFlight: Deque<Entry> = []
    private(set) var queued: Deque<Entry> = []
    /// Invariant: one for each entry of `queued`.
    private var queuedFrames: Deque<[UInt8]> = []
    private(set) var outstandingBytes = 0

    var count: Int { inFlight.count + queued.count }

    mutating func appendInFlight(_ entry: Entry) {
        inFlight.append(entry)
        outstandingBytes += entry.frameBytes
    }

    mutating func appendQueued(_ entry: Entry, frame: [UInt8]) {
        queued.append(entry)
        queuedFrames.append(frame)
        outstandingBytes += entry.frameBytes
    }

    /// The queue becomes in flight; returns its frames.
    mutating func sendQueued() -> [UInt8] {
        inFlight.append(contentsOf: queued)
        queued = []
        var bytes: [UInt8] = []
        bytes.reserveCapacity(queuedFrames.reduce(0) { $0 + $1.count })
        for frame in queuedFrames { bytes.append(contentsOf: frame) }
        queuedFrames = []
        return bytes
    }

    /// Linear in the length of the queue, unlike all else here: used for the few that are given up.
    mutating func removeQueued(_ token: RequestToken) -> Entry? {
        guard let index = queued.firstIndex(where: { $0.token == token }) else { return nil }
        queuedFrames.remove(at: index)
        let entry = queued.remove(at: index)
        outstandingBytes -= entry.frameBytes
        return entry
    }

    /// The oldest in flight, if any.
    mutating func answerFirst() -> Entry? {
        guard let entry = inFlight.popFirst() else { return nil }
        outstandingBytes -= entry.frameBytes
        return entry
    }

    /// Those in flight, in order; none is any more.
    mutating func takeInFlight() -> Deque<Entry> {
        defer { inFlight = [] }
        for entry in inFlight { outstandingBytes -= entry.frameBytes }
        return inFlight
    }

    /// Those queued, in order; none is any more.
    mutating func takeQueued() -> Deque<Entry> {
        defer {
            queued = []
            queuedFrames = []
        }
        for entry in queued { outstandingBytes -= entry.frameBytes }
        return queued
    }

    func checkInvariants() {
        let sum =
            inFlight.reduce(0) { $0 + $1.frameBytes } + queued.reduce(0) { $0 + $1.frameBytes }
        precondition(sum == outstandingBytes, "\(outstandingBytes) bytes outstanding, not \(sum)")
        precondition(
            queued.map(\.frameBytes) == queuedFrames.map(\.count),
            "the queue and its frames do not match"
        )
    }
}

extension Operation {
    /// The operation without what only its encoding needs, so that a request in flight does not
    /// keep its data in memory.
    var withoutPayload: Operation {
        switch self {
        case .create(let request):
            .create(CreateRequest(kind: request.kind, path: .root, data: nil, acl: [], flags: 0))
        case .delete: .delete(.root, version: 0)
        case .setData: .setData(.root, data: nil, version: 0)
        case .setACL: .setACL(.root, acl: [], version: 0)
        case .multi: .multi([])
        case .getACL, .sync, .check, .exists, .getData, .getChildren, .getChildren2, .setWatches,
            .addWatch, .checkWatches, .removeWatches, .auth, .ping, .closeSession, .unsupported,
            .malformed:
            self
        }
    }
}
