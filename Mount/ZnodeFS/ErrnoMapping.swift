internal import ZooKeeperModel

/// The one table from ZooKeeper's error codes to Linux's error numbers.
extension Errno {
    init(_ code: ErrorCode) {
        switch code {
        case .noNode: self = .noEntry
        case .nodeExists: self = .exists
        case .notEmpty: self = .notEmpty
        case .noAuth, .authFailed, .sessionClosedRequireAuth: self = .accessDenied
        case .badVersion: self = .stale
        case .noChildrenForEphemerals, .ephemeralOnLocalSession, .unimplemented:
            self = .notSupported
        case .badArguments, .invalidACL: self = .invalidArgument
        case .notReadOnly: self = .readOnlyFileSystem
        case .quotaExceeded: self = .overQuota
        case .operationTimeout, .requestTimeout: self = .timedOut
        case .throttledOperation: self = .busy
        default: self = .inputOutput
        }
    }
}

extension ErrorCode {
    /// Whether the request may or may not have taken effect. A reply that names any other error
    /// says that it did not.
    var leavesOutcomeUnknown: Bool {
        switch self {
        case .connectionLoss, .operationTimeout, .requestTimeout, .sessionExpired, .sessionMoved,
            .unknownSession, .systemError, .dataInconsistency:
            true
        default: false
        }
    }
}
