internal import ZooKeeperModel

extension Operation {
    /// Whether a session sends it for its user. Refused are what the session itself speaks, what
    /// this build cannot encode, and two requests that servers accept to their ruin: a check outside
    /// of a multi, and a create whose operation and flags contradict each other. Apache 3.8.0 logs
    /// both and cannot start again.
    var isSendable: Bool {
        switch self {
        case .multi(let operations): operations.allSatisfy(\.isSendableInMulti)
        case .create(let request): request.isConsistent
        case .delete, .exists, .getData, .setData, .getACL, .setACL, .getChildren, .getChildren2,
            .sync, .addWatch, .checkWatches, .removeWatches, .auth:
            true
        case .check, .setWatches, .ping, .closeSession, .unsupported, .malformed: false
        }
    }

    private var isSendableInMulti: Bool {
        switch self {
        case .create(let request): request.isConsistent
        case .delete, .setData, .check: true
        case .exists, .getData, .getACL, .setACL, .getChildren, .getChildren2, .sync, .addWatch,
            .checkWatches, .removeWatches, .auth, .multi, .setWatches, .ping, .closeSession,
            .unsupported, .malformed:
            false
        }
    }
}

extension Operation {
    var setsWatch: Bool {
        switch self {
        case .exists(_, let watch), .getData(_, let watch), .getChildren(_, let watch),
            .getChildren2(_, let watch):
            watch
        case .addWatch: true
        case .create, .delete, .setData, .getACL, .setACL, .sync, .check, .multi, .setWatches,
            .checkWatches, .removeWatches, .auth, .ping, .closeSession, .unsupported, .malformed:
            false
        }
    }
}

extension CreateRequest {
    /// 40 bits of milliseconds, about 34 years.
    private static let longestTimeToLive: Int64 = 0xFF_FFFF_FFFF

    fileprivate var isConsistent: Bool {
        guard let mode = CreateMode(rawValue: flags) else { return false }
        switch mode {
        case .persistent, .ephemeral, .persistentSequential, .ephemeralSequential:
            return kind == .create || kind == .create2
        case .container:
            return kind == .container
        case .persistentTimeToLive, .persistentSequentialTimeToLive:
            guard case .timeToLive(let milliseconds) = kind else { return false }
            return milliseconds > 0 && milliseconds <= Self.longestTimeToLive
        }
    }
}
