import DequeModule
internal import Zab
internal import ZooKeeperModel
internal import ZooKeeperWire
internal import Znodes

/// Dumps of the tree under way: at most one to the disk, and one to each learner that needs it.
///
/// A dump is a frozen view of the tree that is encoded in slices, one at each wake, so that no
/// request waits longer than one slice takes. Slices are spaced in time, and wait while the disk has
/// not written, or the learner's connection not sent, the ones before: neither must be flooded with a
/// whole database that would then wait in memory.
struct SnapshotWriting: Sendable {
    enum Target: Hashable, Sendable {
        case disk
        case learner(ConnectionID)
    }
    struct Dump: Sendable {
        var target: Target
        var content: SnapshotDump
        /// All is written, or nobody wants it any more: what it holds is freed piece by piece.
        var isReleasing = false
    }
    /// About a third of a millisecond of work.
    static let sliceBytes = 128 << 10
    /// With the size of a slice, 64 MB a second on a server with nothing else to do. Who has come
    /// meanwhile is left more time: what makes the slice, and what the other end does with it, is
    /// taken from the same processors where members share a machine, and from the same disk.
    static func pause(afterRequests count: Int64) -> Duration {
        .milliseconds(2) + .microseconds(min(max(count, 0) * 10, 8000))
    }
    /// With so much that the disk has not written yet, its dump waits. A slice ends with a whole
    /// znode, so the last one may go beyond by the largest data.
    static let maximumUnwrittenBytes = 4 << 20

    var dumps: [Dump] = []
    /// Begun on disk and not answered yet.
    var isDiskBusy = false
    /// The sizes of slices given to the disk and not answered, oldest first: those of installed and
    /// abandoned snapshots too.
    private var unwrittenSlices = Deque<Int>()
    private var unwrittenBytes = 0
    var nextDeadline: Instant?
    /// Requests and commits that this server has counted when the last slice was made.
    var workSeen: Int64 = 0

    private let snapshotCount: Int
    private let snapshotSizeBytes: Int
    private var random: SplitMix64
    private var count = 0
    private var bytes = 0
    private var dueCount = 0
    private var dueBytes = 0

    init(configuration: ReplicaConfiguration) {
        snapshotCount = configuration.snapshotCount
        snapshotSizeBytes = configuration.snapshotSizeBytes
        random = SplitMix64(state: configuration.randomSeed)
        startCounting()
    }

    /// Members of an ensemble append the same transactions, and should not all write a snapshot at
    /// the same moment.
    mutating func startCounting() {
        count = 0
        bytes = 0
        dueCount = snapshotCount / 2 + random.below(snapshotCount / 2)
        dueBytes = snapshotSizeBytes / 2 + random.below(snapshotSizeBytes / 2)
    }

    mutating func appended(_ proposal: Proposal) {
        count += 1
        bytes += proposal.bytes.count
    }

    var isDue: Bool {
        guard !isDiskBusy else { return false }
        return count > dueCount || (snapshotSizeBytes > 0 && bytes > dueBytes)
    }

    mutating func cancel(learner: ConnectionID, now: Instant) {
        release(.learner(learner))
        resume(now: now)
    }

    /// Its next slice would only wait in memory.
    func isHeldUp(_ dump: Dump, hasRoom: (ConnectionID) -> Bool) -> Bool {
        guard !dump.isReleasing else { return false }
        return switch dump.target {
        case .disk: unwrittenBytes >= Self.maximumUnwrittenBytes
        case .learner(let id): !hasRoom(id)
        }
    }

    /// What a dump was held up by may be over.
    mutating func resume(now: Instant) {
        if nextDeadline == nil, !dumps.isEmpty { nextDeadline = now }
    }

    mutating func sliceGiven(_ slice: [UInt8]) {
        unwrittenSlices.append(slice.count)
        unwrittenBytes += slice.count
    }

    mutating func sliceWritten(now: Instant) {
        unwrittenBytes -= unwrittenSlices.popFirst() ?? 0
        resume(now: now)
    }

    mutating func release(_ target: Target) {
        for index in dumps.indices where dumps[index].target == target {
            dumps[index].isReleasing = true
        }
    }
}

extension Replica {
    mutating func beginSnapshotIfDue(_ actions: inout [ReplicaAction]) {
        guard snapshots.isDue, install == nil else { return }
        snapshots.startCounting()
        snapshots.isDiskBusy = true
        let dump = SnapshotDump(of: database.tree, sessions: database.sortedSessions)
        actions.append(.log(.debug, "snapshot of \(dump.zxid) begins"))
        actions.append(.storage(.beginSnapshot(zxid: dump.zxid)))
        begin(dump, for: .disk)
    }

    mutating func startSnapshot(for learner: ConnectionID) {
        begin(
            SnapshotDump(of: database.tree, sessions: database.sortedSessions),
            for: .learner(learner)
        )
    }

    private mutating func begin(_ dump: SnapshotDump, for target: SnapshotWriting.Target) {
        snapshots.dumps.append(SnapshotWriting.Dump(target: target, content: dump))
        snapshots.nextDeadline = snapshots.nextDeadline ?? now.instant
    }

    /// The tree it was taken from is not this server's any more.
    mutating func abandonSnapshot(_ actions: inout [ReplicaAction]) {
        let isWriting = snapshots.dumps.contains { $0.target == .disk && !$0.isReleasing }
        guard isWriting else { return }
        snapshots.release(.disk)
        snapshots.nextDeadline = snapshots.nextDeadline ?? now.instant
        snapshots.isDiskBusy = false
        actions.append(.storage(.abandonSnapshot))
    }

    /// One slice for one dump, and then the next one's turn.
    mutating func writeSnapshotSlices(_ actions: inout [ReplicaAction]) {
        guard let deadline = snapshots.nextDeadline, deadline <= now.instant else { return }
        guard !snapshots.dumps.isEmpty else {
            snapshots.nextDeadline = nil
            return
        }
        var dump = snapshots.dumps.removeFirst()
        if isHeldUp(dump) {
            snapshots.dumps.append(dump)
        } else if dump.isReleasing {
            if dump.content.release() { snapshots.dumps.append(dump) }
        } else {
            write(&dump, &actions)
            snapshots.dumps.append(dump)
        }
        let work = statistics.packetsReceived + statistics.counters.commits
        // A dump that is held up goes on when the disk, or the learner's connection, has answered.
        snapshots.nextDeadline =
            snapshots.dumps.allSatisfy(isHeldUp)
            ? nil : now.instant + SnapshotWriting.pause(afterRequests: work - snapshots.workSeen)
        snapshots.workSeen = work
    }

    private func isHeldUp(_ dump: SnapshotWriting.Dump) -> Bool {
        snapshots.isHeldUp(dump, hasRoom: zab.hasRoom)
    }

    private mutating func write(
        _ dump: inout SnapshotWriting.Dump,
        _ actions: inout [ReplicaAction]
    ) {
        let slice = dump.content.nextSlice(sizeBytes: SnapshotWriting.sliceBytes)
        dump.isReleasing = slice == nil
        switch (dump.target, slice) {
        case (.disk, let slice?):
            snapshots.sliceGiven(slice)
            actions.append(.storage(.snapshotSlice(slice)))
        case (.disk, nil):
            actions.append(
                .storage(
                    .finishSnapshot(digestZxid: dump.content.zxid, digest: dump.content.digest)
                )
            )
        case (.learner(let id), let slice?): run(.snapshotSlice(id, slice), &actions)
        case (.learner(let id), nil): run(.snapshotEnd(id), &actions)
        }
    }

    mutating func snapshotStored(_ zxid: Zxid, _ actions: inout [ReplicaAction]) {
        // Answers come in the order of the requests, and an install begins only after the end of
        // this server's own snapshot, or its abandonment.
        if snapshots.isDiskBusy {
            snapshots.isDiskBusy = false
            actions.append(.log(.debug, "snapshot of \(zxid) is stored"))
        } else {
            installed(&actions)
        }
    }

    /// The next one is due as if it had been stored: a tree that has no room now will hardly have
    /// any at once.
    mutating func snapshotLost(_ zxid: Zxid, _ actions: inout [ReplicaAction]) {
        if snapshots.isDiskBusy {
            snapshots.isDiskBusy = false
            actions.append(.log(.warning, "there was no room for a snapshot of \(zxid)"))
        } else {
            installLost(&actions)
        }
    }
}

/// A small generator of numbers that only need to differ from member to member.
struct SplitMix64: Sendable {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }

    /// 0 where the bound is not above 1.
    mutating func below(_ bound: Int) -> Int {
        bound > 1 ? Int(next() % UInt64(bound)) : 0
    }
}
