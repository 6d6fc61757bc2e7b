package import ZooKeeperModel
internal import ZooKeeperWire

/// Everything that a server must remember across a crash: transactions, snapshots of the tree, and
/// the two epochs it has promised. Files are those of Apache ZooKeeper 3.8, which can read what
/// this wrote and the other way round.
///
/// Rules kept, at every point where the power may fail:
/// - what was answered with `.persisted`, `.epochStored` or `.snapshotStored` is there afterwards;
/// - what is recovered is a prefix of what was appended: no hole, no reordering, nothing invented;
/// - a file gets its name only when its bytes are durable, and a name is answered for only when it
///   is durable too;
/// - after one failed write or sync nothing is written or answered any more: a failed sync has
///   thrown away bytes that a second one would report as written.
///
/// Synchronous and confined to one thread: in production the disk thread. Sources: ZooKeeper's
/// Administrator's Guide, "Data File Management"; zookeeper.apache.org, "ZooKeeper Internals".
package final class Journal {
    package let configuration: JournalConfiguration
    let disk: any Disk
    var log: TransactionLog
    /// Recovery must have succeeded before anything else is asked.
    var isRecovered = false
    /// Why the journal failed for good; nil while it works.
    package private(set) var failure: String?
    private var snapshot: SnapshotWriter?

    /// Does nothing to the disk yet.
    package init(disk: any Disk, configuration: JournalConfiguration) {
        self.disk = disk
        self.configuration = configuration
        log = TransactionLog(disk: disk, configuration: configuration)
    }

    /// The last transaction in the log, or the zxid of what it follows.
    package var lastZxid: Zxid { log.lastZxid }
    /// Bytes of the log's files that are known to hold entries.
    package var logBytes: Int { log.knownBytes }
    /// Bytes of the newest snapshot.
    package internal(set) var snapshotBytes = 0

    // MARK: The conversation with a replica

    /// Carries out one request. Nil where none is due: `abandonSnapshot`, and the beginnings of
    /// snapshots.
    package func perform(_ request: StorageRequest) -> StorageResult? {
        do throws(JournalError) {
            if case .append(let proposals) = request {
                try append(proposals)
                try sync()
                return .persisted(upTo: lastZxid)
            }
            return try performOther(request)
        } catch {
            return .failed("\(error)")
        }
    }

    /// Carries out requests in order; appends that follow each other become durable together and
    /// are answered once. Slices of a snapshot between them do not part them: else a snapshot would
    /// cost a slow disk a sync for each slice. After a failure `.failed` is the last answer.
    package func perform(batch: [StorageRequest]) -> [StorageResult] {
        var results: [StorageResult] = []
        do throws(JournalError) {
            var hasAppends = false
            for request in batch {
                if case .append(let proposals) = request {
                    try append(proposals)
                    hasAppends = true
                    continue
                }
                if case .snapshotSlice = request {
                    if let result = try performOther(request) { results.append(result) }
                    continue
                }
                if hasAppends {
                    try sync()
                    results.append(.persisted(upTo: lastZxid))
                    hasAppends = false
                }
                if let result = try performOther(request) { results.append(result) }
            }
            if hasAppends {
                try sync()
                results.append(.persisted(upTo: lastZxid))
            }
        } catch {
            results.append(.failed("\(error)"))
        }
        return results
    }

    private func performOther(_ request: StorageRequest) throws(JournalError) -> StorageResult? {
        switch request {
        case .append(let proposals):
            try append(proposals)
            return nil
        case .storeEpoch(let kind, let epoch):
            try storeEpoch(kind, epoch)
            return .epochStored(kind, epoch)
        case .beginSnapshot(let zxid):
            try beginSnapshot(zxid: zxid)
            return nil
        case .beginInstall(let zxid):
            try beginInstall(zxid: zxid)
            return nil
        case .snapshotSlice(let bytes):
            try writeSnapshotSlice(bytes)
            return .snapshotSliceWritten
        case .finishSnapshot(let digestZxid, let digest):
            return .snapshotStored(
                zxid: try finishSnapshot(digestZxid: digestZxid, digest: digest)
            )
        case .abandonSnapshot:
            try abandonSnapshot()
            return nil
        case .readLog(let after, let through, let maxBytes):
            let read = try readLog(after: after, through: through, maxBytes: maxBytes)
            return .logRead(read.proposals, isComplete: read.isComplete)
        }
    }

    // MARK: Log

    /// Not durable before ``sync()``. Zxids must increase.
    package func append(_ proposals: [Proposal]) throws(JournalError) {
        try guarded { () throws(JournalError) in
            if let snapshot, snapshot.isInstall {
                throw .misuse("transactions were appended while a tree is being installed")
            }
            for proposal in proposals { try log.append(proposal) }
        }
    }

    package func sync() throws(JournalError) {
        try guarded { () throws(JournalError) in try log.sync() }
    }

    /// Makes everything durable and begins a new file with the next transaction.
    package func rollLog() throws(JournalError) {
        try guarded { () throws(JournalError) in try log.roll() }
    }

    /// See ``StorageResult/logRead(_:isComplete:)``. At least one proposal whatever `maxBytes` is.
    package func readLog(
        after: Zxid,
        through: Zxid,
        maxBytes: Int
    ) throws(JournalError) -> (proposals: [Proposal]?, isComplete: Bool) {
        var result: (proposals: [Proposal]?, isComplete: Bool) = (nil, true)
        try guarded { () throws(JournalError) in
            result = try log.read(after: after, through: through, maxBytes: maxBytes)
        }
        return result
    }

    /// Forgets everything after `zxid`, durably. Throws `.notInLog`, and changes nothing, where
    /// `zxid` is no transaction of the log or no snapshot reaches down to it. The tree has to be
    /// recovered again afterwards.
    package func truncate(to zxid: Zxid) throws(JournalError) {
        try guarded(keepsWorkingAfterNotInLog: true) { () throws(JournalError) in
            try dropSnapshot()
            try log.sync()
            if zxid == log.lastZxid { return }
            let snapshots = try survey(cuttingAfter: zxid)
            guard try log.place(after: zxid, isBase: snapshots.isBase) != nil else {
                throw .notInLog(zxid)
            }
            do throws(DiskError) {
                // First, so that no crash leaves a snapshot that is ahead of its log.
                for name in snapshots.tooNew {
                    try disk.remove(configuration.dataDirectory + "/" + name)
                }
                if !snapshots.tooNew.isEmpty {
                    try disk.syncDirectory(configuration.dataDirectory)
                }
            } catch { throw .disk(error) }
            try log.truncate(to: zxid, isBase: snapshots.isBase)
        }
    }

    /// Which snapshots hold changes after `zxid`, and whether the newest of the others is exactly
    /// the tree at `zxid`.
    private func survey(
        cuttingAfter zxid: Zxid
    ) throws(JournalError) -> (tooNew: [String], isBase: Bool) {
        var tooNew: [String] = []
        do throws(DiskError) {
            let firstEntry = log.segments.first?.firstZxid
            for found in try snapshots() {
                guard found.zxid <= zxid else {
                    tooNew.append(found.name)
                    continue
                }
                let reader = SnapshotReader(
                    disk: disk,
                    file: configuration.dataDirectory + "/" + found.name
                )
                guard case .sound(let digest, _) = try reader.read({ _ in }) else { continue }
                // A dump takes time, and what was written meanwhile may be in it.
                let newest = max(found.zxid, digest?.zxid ?? found.zxid)
                guard newest <= zxid else {
                    tooNew.append(found.name)
                    continue
                }
                // A hole between snapshot and log would make the next start fail.
                if found.zxid < zxid, let firstEntry, firstEntry > found.zxid,
                    !found.zxid.isFollowed(by: firstEntry)
                {
                    break
                }
                return (tooNew, found.zxid == zxid)
            }
        } catch { throw .disk(error) }
        throw .notInLog(zxid)
    }

    // MARK: Snapshots

    /// The log goes on in a new file.
    package func beginSnapshot(zxid: Zxid) throws(JournalError) {
        try begin(zxid, isInstall: false)
    }

    /// For a tree that came from the leader. At ``finishSnapshot(digestZxid:digest:)`` the log and
    /// all other snapshots are forgotten in the instant in which it becomes durable: they may hold
    /// what the leader has not, and do not lead up to it.
    package func beginInstall(zxid: Zxid) throws(JournalError) {
        try begin(zxid, isInstall: true)
    }

    private func begin(_ zxid: Zxid, isInstall: Bool) throws(JournalError) {
        try guarded { () throws(JournalError) in
            try dropSnapshot()
            try log.roll()
            do throws(DiskError) {
                snapshot = try SnapshotWriter(
                    disk: disk,
                    directory: configuration.dataDirectory,
                    zxid: zxid,
                    isInstall: isInstall
                )
            } catch { throw .disk(error) }
        }
    }

    package func writeSnapshotSlice(_ bytes: [UInt8]) throws(JournalError) {
        try guarded { () throws(JournalError) in
            guard snapshot != nil else { throw .misuse("a slice came for no snapshot") }
            do throws(DiskError) { try snapshot?.write(bytes) } catch { throw .disk(error) }
        }
    }

    /// The snapshot's zxid. Durable once this returns.
    package func finishSnapshot(
        digestZxid: Zxid,
        digest: TreeDigestValue?
    ) throws(JournalError) -> Zxid {
        var result = Zxid.zero
        try guarded { () throws(JournalError) in
            guard var writer = snapshot else { throw .misuse("no snapshot was begun") }
            snapshot = nil
            do throws(DiskError) {
                snapshotBytes = try writer.finish(
                    digest: digest.map { SnapshotDigest(zxid: digestZxid, digest: $0) }
                )
                let directory = configuration.dataDirectory
                let name =
                    writer.isInstall
                    ? FileNames.install(writer.zxid) : FileNames.snapshot(writer.zxid)
                try disk.rename(writer.file, to: directory + "/" + name)
                try disk.syncDirectory(directory)
                if writer.isInstall {
                    try completeInstall(writer.zxid)
                    log.restart(after: writer.zxid)
                }
            } catch { throw .disk(error) }
            result = writer.zxid
        }
        return result
    }

    package func abandonSnapshot() throws(JournalError) {
        try guarded { () throws(JournalError) in try dropSnapshot() }
    }

    private func dropSnapshot() throws(JournalError) {
        guard let writer = snapshot else { return }
        snapshot = nil
        do throws(DiskError) { try disk.remove(writer.file) } catch { throw .disk(error) }
    }

    // MARK: Epochs

    /// Durable once this returns.
    package func storeEpoch(_ kind: EpochKind, _ epoch: Int64) throws(JournalError) {
        try guarded { () throws(JournalError) in
            try EpochFiles(disk: disk, directory: configuration.dataDirectory).store(kind, epoch)
        }
    }

    // MARK: Failure

    /// Runs a step, unless an earlier one failed, and remembers its failure.
    func guarded(
        keepsWorkingAfterNotInLog: Bool = false,
        _ step: () throws(JournalError) -> Void
    ) throws(JournalError) {
        if let failure { throw .failedBefore(failure) }
        guard isRecovered else { throw .misuse("it was used before it was recovered") }
        do throws(JournalError) {
            try step()
        } catch {
            if case .notInLog = error, keepsWorkingAfterNotInLog { throw error }
            fail(error)
            throw error
        }
    }

    func fail(_ error: JournalError) { failure = error.description }
}

extension Zxid {
    /// Whether nothing can lie between this transaction and that one: the next of the same epoch,
    /// or the first of a later one.
    func isFollowed(by other: Zxid) -> Bool {
        other.epoch == epoch ? other == next : other > self && other.counter <= 1
    }
}
