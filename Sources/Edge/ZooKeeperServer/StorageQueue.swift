internal import DequeModule
internal import ZooKeeperModel

/// What waits for the disk, in the order in which it was asked for: requests in batches, and
/// truncations between them.
struct StorageQueue {
    /// Closed: what comes later does not join them.
    private var works = Deque<DiskThread.Work>()
    private var batch: [StorageRequest] = []
    /// What is to be logged behind the batch, with nothing between.
    private var appends: [Proposal] = []
    private var sliceBytes = 0

    /// With more bytes of a leader's tree than this waiting, no more is taken from its connection.
    static let sliceLimitBytes = 16 << 20

    var isEmpty: Bool { works.isEmpty && batch.isEmpty && appends.isEmpty }
    var hasTooManySlices: Bool { sliceBytes > Self.sliceLimitBytes }

    mutating func append(_ proposal: Proposal) { appends.append(proposal) }

    mutating func append(_ request: StorageRequest) {
        closeAppends()
        if case .snapshotSlice(let bytes) = request { sliceBytes += bytes.count }
        batch.append(request)
    }

    private mutating func closeAppends() {
        guard !appends.isEmpty else { return }
        batch.append(.append(appends))
        appends = []
    }

    mutating func appendTruncation(to zxid: Zxid) {
        closeAppends()
        if !batch.isEmpty { works.append(.requests(batch)) }
        batch = []
        works.append(.truncate(to: zxid))
    }

    /// The next thing to do. There must be one.
    mutating func next() -> DiskThread.Work {
        if works.isEmpty {
            closeAppends()
            works.append(.requests(batch))
            batch = []
        }
        let work = works.removeFirst()
        if case .requests(let batch) = work {
            for case .snapshotSlice(let bytes) in batch { sliceBytes -= bytes.count }
        }
        return work
    }
}
