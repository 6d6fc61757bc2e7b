internal import ZooKeeperModel

/// Decides when the writes that have gathered go to the disk, while that has nothing to do.
///
/// A sync costs the same for one write as for a hundred, so how many share one decides what a busy
/// server can do. Clients that wait for an answer come back with their next write soon after it. If
/// the first of these left for the disk alone, all others would wait for its sync and then for their
/// own:
///
///     sent at once    ├ 3 ┤├── 9 ──┤├ 3 ┤├── 9 ──┤      two syncs a round
///     all together    ····├── 12 ──┤····├── 12 ──┤      one, and the time to gather
///
/// That pays while gathering takes less than a sync. Where it takes longer (so many writes that the
/// event loop is what limits them) it is better to keep the disk busy with what there is. So:
///
/// - After a sync as many writes are expected as it has answered and as wait already.
/// - Until they are there, what has come waits, but not beyond a typical sync after the answer.
///   What comes later than that leaves at once, and so does a lone client's next write.
/// - Where waiting did not pay it is not tried for the next syncs, for twice as many each time.
/// - What is not an append waits for nothing.
struct CommitGroup {
    enum Decision: Hashable {
        case submit
        case wait(until: Instant)
    }

    /// Waiting is tried again after so many syncs at most.
    static let longestRest = 64

    /// Appends gathered for the next batch, and in the one that the disk has.
    private var gathered = 0
    private var underWay = 0
    /// Something else than appends, or slices of a snapshot between them, has gathered.
    private var isUrgent = false
    /// How many appends to wait for after the last answer; 0 when there is nothing to wait for.
    private var expected = 0
    private var answeredAt = Instant(nanoseconds: 0)
    private var typicalSync = Duration.zero
    private var hasWaited = false
    /// Syncs for which waiting is not tried.
    private var rest = 0
    /// How long the next rest will be.
    private var nextRest = 1

    init() {}

    mutating func addAppend() { gathered += 1 }

    mutating func add(_ request: StorageRequest) {
        switch request {
        case .append(let proposals): gathered += proposals.count
        case .snapshotSlice: break
        case .storeEpoch, .storeEnsemble, .beginSnapshot, .beginInstall, .finishSnapshot,
            .abandonSnapshot, .readLog:
            isUrgent = true
        }
    }

    mutating func addTruncation() { isUrgent = true }

    /// What has gathered was handed to the disk.
    mutating func submitted() {
        underWay = gathered
        gathered = 0
        isUrgent = false
        expected = 0
        hasWaited = false
    }

    /// The disk is done with it; it had it for this long.
    mutating func answered(after duration: Duration, now: Instant) {
        guard underWay > 0 else { return }
        typicalSync = typicalSync == .zero ? duration : (typicalSync * 7 + duration) / 8
        answeredAt = now
        if rest > 0 {
            rest -= 1
        } else {
            expected = underWay + gathered
        }
        underWay = 0
    }

    /// Whether to hand over what has gathered, at the end of a turn of the event loop in which the
    /// disk has nothing to do.
    mutating func decide(now: Instant) -> Decision {
        guard expected > 0, gathered > 0, !isUrgent else { return .submit }
        let elapsed = now - answeredAt
        if gathered < expected, elapsed < typicalSync {
            hasWaited = true
            return .wait(until: answeredAt + typicalSync)
        }
        // Where nothing had to wait, nothing is learnt.
        guard hasWaited else { return .submit }
        // A turn of the loop that took much longer has kept the disk idle, however many it brought.
        if gathered >= expected - expected / 4, elapsed < typicalSync * 3 / 2 {
            nextRest = 1
        } else {
            rest = nextRest
            nextRest = min(nextRest * 2, Self.longestRest)
        }
        return .submit
    }
}
