internal import DequeModule
internal import ZooKeeperModel

/// What waits for the disk, in the order in which it was asked for: requests in batches, and
/// truncations between them.
struct StorageQueue {
    /// Closed: what comes later does not join them.
    private var works = Deque<DiskThread.Work>()
    private var batch: [StorageRequest] = []
    private var sliceBytes = 0

    /// With more bytes of a leader's tree than this waiting, no more is taken from its connection.
    static let sliceLimitBytes = 16 << 20

    var isEmpty: Bool { works.isEmpty && batch.isEmpty }
    var hasTooManySlices: Bool { sliceBytes > Self.sliceLimitBytes }

    mutating func append(_ request: StorageRequest) {
        if case .snapshotSlice(let bytes) = request { sliceBytes += bytes.count }
        batch.append(request)
    }

    mutating func appendTruncation(to zxid: Zxid) {
        if !batch.isEmpty { works.append(.requests(batch)) }
        batch = []
        works.append(.truncate(to: zxid))
    }

    /// The next thing to do. There must be one.
    mutating func next() -> DiskThread.Work {
        if works.isEmpty {
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
