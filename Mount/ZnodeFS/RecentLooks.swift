internal import ZooKeeperModel

/// What this mount saw a moment ago, for questions that the kernel asks more than once.
///
/// The kernel keeps nothing, so a `stat` of each entry after a listing would cost two questions to the
/// servers for each (one for its name, one for its attributes) and as many for each directory on the
/// way. A look answers those instead, as long as this mount has seen no sign of a later state of the
/// ensemble: the first answer or event with a newer zxid drops all looks, so that nobody who has seen a
/// change sees something older than it. Time bounds how far a quiet mount may be behind.
struct RecentLooks: Sendable {
    private struct Look: Sendable {
        var znode: Znode
        var until: Instant
        /// From a listing, and not asked for yet.
        var isWaiting: Bool
    }
    private struct Named: Sendable {
        var node: NodeID
        var znode: Znode
        var until: Instant
    }

    static let limit = 16_384
    /// Between a listing and the look at each of its entries.
    static let listed = Duration.seconds(1)
    /// For directories on the way to what is asked for, and for an entry of a listing from the first time
    /// that it is asked for: `ls -l` names each several times, and a program that looks again comes later.
    static let passed = Duration.milliseconds(50)
    /// Between the two questions of one stat(2).
    static let named = Duration.milliseconds(10)

    private var looks: [ZnodePath: Look] = [:]
    private var byThread: [Int32: Named] = [:]

    var count: Int { looks.count + byThread.count }

    mutating func drop() {
        if !looks.isEmpty { looks.removeAll(keepingCapacity: looks.count < 1_024) }
        if !byThread.isEmpty { byThread.removeAll(keepingCapacity: true) }
    }

    mutating func list(_ znode: Znode, at now: Instant) {
        keep(znode, Look(znode: znode, until: now + Self.listed, isWaiting: true))
    }

    mutating func pass(_ znode: Znode, at now: Instant) {
        keep(znode, Look(znode: znode, until: now + Self.passed, isWaiting: false))
    }

    private mutating func keep(_ znode: Znode, _ look: Look) {
        if looks.count >= Self.limit { looks.removeAll() }
        looks[znode.path] = look
    }

    mutating func find(_ path: ZnodePath, at now: Instant) -> Znode? {
        guard let look = looks[path] else { return nil }
        guard now < look.until else {
            looks[path] = nil
            return nil
        }
        if look.isWaiting {
            looks[path]?.isWaiting = false
            looks[path]?.until = min(look.until, now + Self.passed)
        }
        return look.znode
    }

    /// This thread has looked up a name.
    mutating func name(_ node: NodeID, _ znode: Znode, by thread: Int32, at now: Instant) {
        if byThread.count >= Self.limit { byThread.removeAll() }
        byThread[thread] = Named(node: node, znode: znode, until: now + Self.named)
    }

    /// What the last request of this thread found, if that looked up this node.
    mutating func takeNamed(_ node: NodeID?, by thread: Int32, at now: Instant) -> Znode? {
        guard let named = byThread.removeValue(forKey: thread), named.node == node,
            now < named.until
        else { return nil }
        return named.znode
    }
}

extension MountedTree {
    /// The znode at a path for someone who looks up its name.
    mutating func look(_ job: inout Job, _ path: ZnodePath) throws(Stop) -> Znode? {
        if job.seen == nil, job.transcript.isEmpty { job.seen = recent.find(path, at: now.instant) }
        if let seen = job.seen { return seen }
        let znode = try inspect(&job, path)
        if let znode, kind(znode) == .directory, isNewest(job) {
            recent.pass(znode, at: now.instant)
        }
        return znode
    }

    /// Whether what the last inspection of a job found is as new as anything this mount has seen.
    func isNewest(_ job: Job) -> Bool {
        !settings.linearizableReads && job.transcript.last?.conclusionZxid == lastZxid
    }

    mutating func see(_ zxid: Zxid) {
        guard zxid > lastZxid else { return }
        lastZxid = zxid
        recent.drop()
    }
}
