package import ZooKeeperModel

/// Why the journal could not do what was asked. `description` is a sentence for the operator.
package enum JournalError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The disk refused a call. The journal is unusable from then on.
    case disk(DiskError)
    /// Bytes on disk are not what was written, or files are missing.
    case damaged(file: String, offset: Int, reason: String)
    /// What is on disk makes starting unsafe; nothing was changed.
    case refused(String)
    /// Files lie where they do not belong: a mistake in the configuration; nothing was changed.
    case misplaced(String)
    /// The log cannot be cut there: it has no such entry. The database has to come from the leader.
    case notInLog(Zxid)
    /// An earlier call failed; the journal does nothing any more.
    case failedBefore(String)
    /// The caller broke a rule, such as increasing zxids. A bug, never the disk's fault.
    case misuse(String)

    package var description: String {
        switch self {
        case .disk(let error): error.description
        case .damaged(let file, let offset, let reason):
            "\(file) is damaged at offset \(offset): \(reason)"
        case .refused(let reason), .misplaced(let reason): reason
        case .notInLog(let zxid): "the log has no transaction \(zxid)"
        case .failedBefore(let reason): "the journal failed earlier: \(reason)"
        case .misuse(let reason): "the journal was misused: \(reason)"
        }
    }
}
