internal import ZooKeeperModel

/// One change to a file's bytes.
enum Edit: Hashable, Sendable {
    case write(offset: Int, bytes: [UInt8])
    case append([UInt8])
    case truncate(Int)

    /// Whether doing it twice is not the same as doing it once.
    var isAppend: Bool { if case .append = self { true } else { false } }

    /// The length of a file after this edit, nil where it cannot be counted.
    func length(after length: Int) -> Int? {
        switch self {
        case .write(let offset, let bytes):
            let (end, overflow) = offset.addingReportingOverflow(bytes.count)
            return overflow ? nil : max(length, end)
        case .append(let bytes):
            let (end, overflow) = length.addingReportingOverflow(bytes.count)
            return overflow ? nil : end
        case .truncate(let size): return size
        }
    }

    /// A gap between the old end and an offset becomes zeros, as in any file. The caller has checked
    /// the length.
    func apply(to content: inout [UInt8]) {
        switch self {
        case .write(let offset, let bytes):
            if bytes.isEmpty { return }
            let end = offset + bytes.count
            if content.count < end {
                content.append(contentsOf: repeatElement(0, count: end - content.count))
            }
            content.replaceSubrange(offset..<end, with: bytes)
        case .append(let bytes): content.append(contentsOf: bytes)
        case .truncate(let size):
            if size <= content.count {
                content.removeLast(content.count - size)
            } else {
                content.append(contentsOf: repeatElement(0, count: size - content.count))
            }
        }
    }
}

/// An edit that is not published yet.
struct PendingEdit: Hashable, Sendable {
    var edit: Edit
    /// The write that made it, while that one waits for its publication and could take it back.
    var request: FileRequestID?
    /// The O_TRUNC of the open: never worth a version of its own while the file is open.
    var isOpening = false
}

/// The content of a file at one version.
struct Snapshot: Sendable {
    /// Null where the znode has no data at all.
    var data: [UInt8]?
    /// Nil before the znode exists, or where only the version is known to be needed.
    var stat: Stat?
    var bytes: [UInt8] { data ?? [] }
}

/// Someone who is told when the edits so far are on a quorum.
struct PublicationWaiter: Hashable, Sendable {
    enum Who: Hashable, Sendable {
        case request(FileRequestID, FileReply)
        case job(JobID)
    }
    var who: Who
    /// A flush must not hold an exiting process for long while the ensemble is away.
    var isFlush = false
}

/// An open regular file: what was read of it, and what is to be written.
///
/// ```
/// base       the newest version known through this handle
///  + flight  edits on their way, as one setData or create
///  + edits   edits that wait: for the flight, for the end of a stream of blocks, for a close
///  = view    what this handle reads
/// ```
struct RegularFile: Sendable {
    var flags: OpenFlags
    var base: Snapshot
    var view: [UInt8]
    /// Whether `base` is still the newest version, as far as an armed watch can tell.
    var isCurrent = false
    var flight: [PendingEdit] = []
    var edits: [PendingEdit] = []
    var publisher: JobID?
    var flightWaiters: [PublicationWaiter] = []
    var waiters: [PublicationWaiter] = []
    /// When held blocks are published although nobody asks: 1 s after the last write.
    var quietAt: Instant?
    /// When the grouped writes of a rapid sequence are published, however many follow.
    var groupEndsAt: Instant?
    /// When the last publication of this handle landed, and how many bytes all of them carried.
    var landedAt: Instant?
    var publishedBytes = 0
    /// While the ensemble is away: when flushes are let go.
    var flushesEndAt: Instant?
    /// The failure of a publication that nobody waited for; told to the next who asks.
    var failure: Errno?
    /// Held data was given up for this reason, so that no later write may go on from it.
    var refusal: Errno?
    /// The thread that opened it, and how often it has closed a descriptor of it.
    var opener: Int32 = 0
    var openerFlushes = 0
    /// The mode that the creating open asked for.
    var createdMode: UInt32?
    /// Unsent data of an earlier session may only be written over the version it began from.
    var pinnedVersion: Int32?
    /// The ephemeral behind this handle went with its session.
    var isStale = false
    /// Whether a read has reached the end, or moved away from the start: the next one at 0, or any
    /// one after the end, takes the newest version.
    var sawEnd = false
    var hasRead = false
    /// Writes on their way whose callers got a signal: taken back if they turn out not done.
    var interrupted: [FileRequestID] = []
    /// Closed by its last user; goes when nothing is left to publish.
    var isReleased = false

    init(flags: OpenFlags, base: Snapshot) {
        self.flags = flags
        self.base = base
        view = base.bytes
    }

    var isUnpublished: Bool { !flight.isEmpty || !edits.isEmpty }

    /// Whether a close has something to wait for. A lone O_TRUNC or creation has not: shells close
    /// a duplicate of the descriptor before they write, and nobody may see the empty file.
    var hasWrites: Bool { !flight.isEmpty || edits.contains { !$0.isOpening } }

    mutating func add(_ edit: Edit, request: FileRequestID?, isOpening: Bool = false) {
        edit.apply(to: &view)
        edits.append(PendingEdit(edit: edit, request: request, isOpening: isOpening))
    }

    /// Whether the next small write may be answered before it is published: it follows another
    /// closely, and this handle has already filled the servers' logs with several times the file.
    func isRapid(at now: Instant) -> Bool {
        guard let landedAt, now < landedAt + Self.groupWindow else { return false }
        return publishedBytes > max(Self.freeBytes, 4 * view.count)
    }

    /// A rapid sequence is published this often; where that is still too much for the servers' logs,
    /// as seldom as a stream of blocks.
    var groupWindow: Duration {
        publishedBytes > max(Self.freeBytes, 6 * view.count) ? .seconds(1) : Self.groupWindow
    }
    static let groupWindow = Duration.milliseconds(100)
    /// So much may be published one write at a time, however small the file.
    static let freeBytes = 16_384

    /// Gives up what is held and was acknowledged to nobody but as part of a stream.
    mutating func giveUpHeld(_ reason: Errno) -> Bool {
        guard waiters.isEmpty, !edits.isEmpty else { return false }
        edits = []
        quietAt = nil
        groupEndsAt = nil
        refusal = reason
        isCurrent = false
        sawEnd = true
        rebuildView()
        return true
    }

    /// Gives up the edits of one write that were not sent.
    mutating func takeBack(_ request: FileRequestID) {
        flight.removeAll { $0.request == request }
        edits.removeAll { $0.request == request }
        let isOther: (PublicationWaiter) -> Bool = {
            if case .request(let id, _) = $0.who { id != request } else { true }
        }
        flightWaiters = flightWaiters.filter(isOther)
        waiters = waiters.filter(isOther)
        interrupted.removeAll { $0 == request }
        rebuildView()
    }

    mutating func rebuildView() {
        var content = base.bytes
        for pending in flight + edits { pending.edit.apply(to: &content) }
        view = content
    }

    func owes(_ request: FileRequestID) -> Bool {
        (flightWaiters + waiters).contains {
            if case .request(let id, _) = $0.who { id == request } else { false }
        }
    }

    func checkInvariants() {
        precondition(publisher != nil || flight.isEmpty, "a flight without a publisher")
        precondition(publisher != nil || flightWaiters.isEmpty, "waiters for no flight")
        precondition(publisher != nil || waiters.isEmpty, "waiters while nothing is published")
    }
}
