internal import ZooKeeperModel

/// How much the servers hold, as far as they say.
package struct EnsembleMeasure: Hashable, Sendable {
    /// All znodes of the tree, whatever part of it is mounted.
    package var znodes: UInt64?
    /// The bytes of all data and paths.
    package var dataBytes: UInt64?
    package init(znodes: UInt64? = nil, dataBytes: UInt64? = nil) {
        self.znodes = znodes
        self.dataBytes = dataBytes
    }
}

/// statfs: what is used is what the server says of its whole tree; what is free nobody can say, since
/// ZooKeeper has no limit but its servers' memory, so a round number is shown, that programs which look
/// first go on.
struct Statistics: Sendable {
    static let blockSize: UInt64 = 4_096
    /// A gigabyte.
    static let freeBlocks: UInt64 = 262_144
    static let freeFiles: UInt64 = 1 << 20
    /// So long one measure serves all that ask.
    static let lifetime = Duration.seconds(1)

    var measure = EnsembleMeasure()
    var measuredAt: Instant?
    var isBeingMeasured = false
    /// Requests that wait for the measure on its way; some may be over.
    var waiting: [FileRequestID] = []

    var shown: FileSystemStatistics {
        let bytes = measure.dataBytes ?? 0
        let used = bytes / Self.blockSize + (bytes % Self.blockSize == 0 ? 0 : 1)
        // Anything from outside may be any number.
        let blocks = used.addingReportingOverflow(Self.freeBlocks)
        let files = (measure.znodes ?? 0).addingReportingOverflow(Self.freeFiles)
        return FileSystemStatistics(
            blockSize: UInt32(Self.blockSize),
            blocks: blocks.overflow ? .max : blocks.partialValue,
            freeBlocks: Self.freeBlocks,
            files: files.overflow ? .max : files.partialValue,
            freeFiles: Self.freeFiles,
            longestName: UInt32(ParsedName.longest)
        )
    }
}

extension MountedTree {
    /// Without a connection what was measured last is shown: df and umount(8) need not wait.
    mutating func showStatistics(_ request: FileRequestID) throws(Stop) -> FileReply {
        let isFresh = statistics.measuredAt.map { now.instant < $0 + Statistics.lifetime } ?? false
        guard isConnected, !isFresh else { return .statistics(statistics.shown) }
        requests[request] = .measure
        statistics.waiting.append(request)
        if !statistics.isBeingMeasured {
            statistics.isBeingMeasured = true
            output.append(.measureEnsemble)
        }
        throw .held
    }

    mutating func measured(_ measure: EnsembleMeasure?) {
        if let measure { statistics.measure = measure }
        statistics.measuredAt = now.instant
        statistics.isBeingMeasured = false
        let waiting = statistics.waiting
        statistics.waiting = []
        for request in waiting { reply(request, .statistics(statistics.shown)) }
    }
}
