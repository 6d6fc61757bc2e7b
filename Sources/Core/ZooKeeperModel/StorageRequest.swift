/// What a replica asks of its disk. Requests are carried out in order; each is answered by one
/// ``StorageResult``, except that consecutive appends may be made durable together and answered
/// once, with the last of them.
public enum StorageRequest: Hashable, Sendable {
    /// Add to the log and make durable. Answered by `.persisted`.
    case append([Proposal])
    /// Answered by `.epochStored` once durable.
    case storeEpoch(EpochKind, Int64)
    /// Durable before a later `storeEpoch` is answered. Not answered itself.
    case storeEnsemble(EnsembleName)
    /// Start a snapshot named for `zxid`; slices follow. Answered by `.snapshotStored` after
    /// `finishSnapshot`, once durable, or by `.snapshotLost`.
    case beginSnapshot(zxid: Zxid)
    /// Like `beginSnapshot`, for a tree that came from the leader: the instant it becomes durable,
    /// the log and all older snapshots are forgotten, since the tree does not follow from them.
    case beginInstall(zxid: Zxid)
    /// A piece of the encoded snapshot body. Answered by `.snapshotSliceWritten`, perhaps before
    /// earlier appends are answered.
    case snapshotSlice([UInt8])
    case finishSnapshot(digestZxid: Zxid, digest: TreeDigestValue?)
    /// Forget the snapshot that was begun. Not answered.
    case abandonSnapshot
    /// Read the log after `after`, at most through `through`. Answered by `.logRead`.
    case readLog(after: Zxid, through: Zxid, maxBytes: Int)
}

public enum StorageResult: Hashable, Sendable {
    /// Everything up to and including this zxid survives a power loss.
    case persisted(upTo: Zxid)
    case epochStored(EpochKind, Int64)
    /// Handed to the system, not durable yet: there is room for another slice.
    case snapshotSliceWritten
    case snapshotStored(zxid: Zxid)
    /// In place of it: there was no room. Nothing of the snapshot is left, and what was there before
    /// is as it was.
    case snapshotLost(zxid: Zxid)
    /// `isComplete` says that everything through the zxid asked for, or the log's end, is in it.
    /// Nil when the log no longer reaches back that far, or `after` is not in this history.
    case logRead([Proposal]?, isComplete: Bool)
    /// The disk failed. The replica stops: a failed fsync is never retried.
    case failed(String)
}

/// The two promises of the Zab papers that must survive a crash apart from the log.
public enum EpochKind: Hashable, Sendable {
    /// The newest epoch whose leader this server has agreed to hear (`acceptedEpoch`).
    case accepted
    /// The newest epoch whose history this server holds (`currentEpoch`).
    case current
}
