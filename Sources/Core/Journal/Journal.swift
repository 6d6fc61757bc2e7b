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
///   thrown away bytes that a second one would report as written. Only a snapshot of this server's
///   own tree that finds no room is given up, and the log goes on: nobody relies on its draft.
///   ``PatientJournal`` waits for room otherwise, and begins anew with what the disk then holds.
///
/// Synchronous and confined to one thread: in production the disk thread. Sources: ZooKeeper's
/// Administrator's Guide, "Data File Management"; zookeeper.apache.org, "ZooKeeper Internals".
package final class Journal {
    package let configuration: JournalConfiguration
    let disk: any Disk
    var log: TransactionLog
    /// Recovery must have succeeded before anything else is asked.
    var isRecovered = false
    /// This journal goes on for another one, whose answers somebody has counted on: what is damaged
    /// now cannot be put aside and asked for again as at a start.
    var isSuccessor = false
    /// Why the journal failed for good; nil while it works.
    package private(set) var failure: String?
    /// It failed because the disk has no room, at a point from which a journal that is recovered from
    /// that disk can go on: what it finds is what this one was asked for, up to some request.
    package private(set) var lacksRoom = false
    /// Up to here all is known to survive a power loss.
    package private(set) var durableZxid = Zxid.zero
    private var snapshot = SnapshotState.none

    private enum SnapshotState {
        case none
        case writing(SnapshotWriter)
        /// There was no room for it: what still comes of it is taken, and forgotten.
        case lost(Zxid)
    }

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

    /// What came of a batch of requests.
    package struct BatchOutcome: Equatable {
        /// After a failure `.failed` is the last one.
        package var results: [StorageResult] = []
        /// After a failure those that were not carried out, or not durably; none of them is answered.
        package var undone: [StorageRequest] = []
    }

    /// Carries out requests in order; appends that follow each other become durable together and
    /// are answered once. Slices of a snapshot between them do not part them: else a snapshot would
    /// cost a slow disk a sync for each slice.
    package func perform(batch: [StorageRequest]) -> BatchOutcome {
        var outcome = BatchOutcome()
        var unsynced: [StorageRequest] = []
        var next = 0
        do throws(JournalError) {
            while next < batch.count {
                let request = batch[next]
                switch request {
                case .append(let proposals):
                    try append(proposals)
                    unsynced.append(request)
                case .snapshotSlice:
                    if let result = try performOther(request) { outcome.results.append(result) }
                case .storeEpoch, .storeEnsemble, .beginSnapshot, .beginInstall, .finishSnapshot,
                    .abandonSnapshot, .readLog:
                    try sync(&unsynced, &outcome)
                    if let result = try performOther(request) { outcome.results.append(result) }
                }
                next += 1
            }
            try sync(&unsynced, &outcome)
        } catch {
            outcome.results.append(.failed("\(error)"))
            outcome.undone = unsynced + batch[next...]
        }
        return outcome
    }

    private func sync(
        _ unsynced: inout [StorageRequest],
        _ outcome: inout BatchOutcome
    ) throws(JournalError) {
        guard !unsynced.isEmpty else { return }
        try sync()
        unsynced.removeAll(keepingCapacity: true)
        outcome.results.append(.persisted(upTo: lastZxid))
    }

    private func performOther(_ request: StorageRequest) throws(JournalError) -> StorageResult? {
        switch request {
        case .append(let proposals):
            try append(proposals)
            return nil
        case .storeEpoch(let kind, let epoch):
            try storeEpoch(kind, epoch)
            return .epochStored(kind, epoch)
        case .storeEnsemble(let name):
            try storeEnsemble(name)
            return nil
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
            return try finishSnapshot(digestZxid: digestZxid, digest: digest)
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
            if case .writing(let writer) = snapshot, writer.isInstall {
                throw .misuse("transactions were appended while a tree is being installed")
            }
            for proposal in proposals { try log.append(proposal) }
        }
    }

    package func sync() throws(JournalError) {
        try guarded { () throws(JournalError) in
            try log.sync()
            durableZxid = log.lastZxid
        }
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
            durableZxid = min(log.lastZxid, zxid)
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
            durableZxid = log.lastZxid
            do throws(DiskError) {
                let writer = try SnapshotWriter(
                    disk: disk,
                    directory: configuration.dataDirectory,
                    zxid: zxid,
                    isInstall: isInstall
                )
                snapshot = .writing(writer)
            } catch { try lose(zxid, isInstall: isInstall, error) }
        }
    }

    package func writeSnapshotSlice(_ bytes: [UInt8]) throws(JournalError) {
        try guarded { () throws(JournalError) in
            guard case .writing(var writer) = snapshot else {
                if case .lost = snapshot { return }
                throw .misuse("a slice came for no snapshot")
            }
            // The writer's buffer is held once.
            snapshot = .none
            var problem: DiskError?
            do throws(DiskError) { try writer.write(bytes) } catch { problem = error }
            snapshot = .writing(writer)
            if let problem { try lose(writer.zxid, isInstall: writer.isInstall, problem) }
        }
    }

    /// `.snapshotStored` once it is durable, or `.snapshotLost`.
    package func finishSnapshot(
        digestZxid: Zxid,
        digest: TreeDigestValue?
    ) throws(JournalError) -> StorageResult {
        var result: StorageResult?
        try guarded { () throws(JournalError) in
            if case .writing(var writer) = snapshot {
                let digest = digest.map { SnapshotDigest(zxid: digestZxid, digest: $0) }
                do throws(DiskError) {
                    let name =
                        writer.isInstall
                        ? FileNames.install(writer.zxid) : FileNames.snapshot(writer.zxid)
                    snapshotBytes = try writer.finish(digest: digest)
                    try disk.rename(writer.file, to: configuration.dataDirectory + "/" + name)
                } catch { try lose(writer.zxid, isInstall: writer.isInstall, error) }
            }
            switch snapshot {
            case .none: throw .misuse("no snapshot was begun")
            case .lost(let zxid): result = .snapshotLost(zxid: zxid)
            case .writing(let writer):
                try keep(writer)
                result = .snapshotStored(zxid: writer.zxid)
            }
            snapshot = .none
        }
        guard let result else { preconditionFailure("a snapshot ended without a result") }
        return result
    }

    /// It has its name: a leader's tree may be this server's database from here on.
    private func keep(_ writer: SnapshotWriter) throws(JournalError) {
        do throws(DiskError) {
            try disk.syncDirectory(configuration.dataDirectory)
            guard writer.isInstall else { return }
            try completeInstall(writer.zxid)
            log.restart(after: writer.zxid)
            durableZxid = writer.zxid
        } catch {
            // A leader's tree is final also for want of room: what a new journal finds need not be
            // what the replica has in memory.
            throw .disk(writer.isInstall ? DiskError(error.description) : error)
        }
    }

    package func abandonSnapshot() throws(JournalError) {
        try guarded { () throws(JournalError) in try dropSnapshot() }
    }

    private func dropSnapshot() throws(JournalError) {
        guard case .writing(let writer) = snapshot else {
            snapshot = .none
            return
        }
        snapshot = .none
        do throws(DiskError) { try disk.remove(writer.file) } catch { throw .disk(error) }
    }

    /// There was no room for a snapshot. Of an own one the draft is removed, and everything else
    /// goes on; the tree of a leader is waited for.
    private func lose(
        _ zxid: Zxid,
        isInstall: Bool,
        _ problem: DiskError
    ) throws(JournalError) {
        guard problem.isNoSpace, !isInstall else { throw .disk(problem) }
        let draft = configuration.dataDirectory + "/" + FileNames.partial(zxid)
        do throws(DiskError) {
            if try disk.size(draft) != nil { try disk.remove(draft) }
        } catch { throw .disk(error) }
        snapshot = .lost(zxid)
    }

    /// The snapshot that was under way in an earlier journal on this disk is not there any more.
    func resumeSnapshot(of earlier: Journal) {
        switch earlier.snapshot {
        case .none: break
        case .writing(let writer): snapshot = .lost(writer.zxid)
        case .lost(let zxid): snapshot = .lost(zxid)
        }
    }

    // MARK: Epochs

    /// Durable once this returns.
    package func storeEpoch(_ kind: EpochKind, _ epoch: Int64) throws(JournalError) {
        try guarded { () throws(JournalError) in
            try EpochFiles(disk: disk, directory: configuration.dataDirectory).store(kind, epoch)
        }
    }

    /// Durable once this returns.
    package func storeEnsemble(_ name: EnsembleName) throws(JournalError) {
        try guarded { () throws(JournalError) in
            do throws(DiskError) {
                try sideFile.update { $0.ensemble = name }
            } catch { throw .disk(error) }
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

    func fail(_ error: JournalError) {
        failure = error.description
        if case .disk(let reason) = error { lacksRoom = reason.isNoSpace }
    }

    func recovered(upTo zxid: Zxid) {
        isRecovered = true
        durableZxid = zxid
    }
}

extension Zxid {
    /// Whether nothing can lie between this transaction and that one: the next of the same epoch,
    /// or the first of a later one.
    func isFollowed(by other: Zxid) -> Bool {
        other.epoch == epoch ? other == next : other > self && other.counter <= 1
    }
}
