internal import Zab
internal import ZooKeeperModel
internal import ZooKeeperWire

/// What a server without a leader does for clients that take a tree that stands still.
///
/// It answers their reads from what it has applied, over sessions that it alone knows, and writes
/// nothing: neither log nor tree moves, so what it says to the next leader of its history stays true
/// (ZOOKEEPER-3526). With a leader in sight it closes these clients, who then look for a server that
/// takes writes.
enum ReadOnlyMode: Hashable, Sendable {
    /// Not allowed, or not looking for a leader.
    case off
    /// Looking, and not for long enough.
    case waiting(until: Instant)
    case serving
}

extension Replica {
    var isReadOnly: Bool { readOnlyMode == .serving }

    /// Apache's server waits as long: most elections are over by then.
    private var readOnlyDelay: Duration {
        max(.seconds(2), configuration.ensemble.tickTime)
    }

    var readOnlyDeadline: Instant? {
        if case .waiting(let instant) = readOnlyMode { instant } else { nil }
    }

    /// This server begins to look for a leader, or has seen one.
    mutating func updateReadOnlyMode() {
        readOnlyMode =
            if configuration.readOnlyMode, !configuration.isStandalone, role == .looking {
                .waiting(until: now.instant + readOnlyDelay)
            } else {
                .off
            }
    }

    mutating func beginReadOnlyModeIfDue(_ actions: inout [ReplicaAction]) {
        guard let due = readOnlyDeadline, due <= now.instant else { return }
        guard !zab.isWaitingForDisk, install == nil else {
            // What is in memory is about to be replaced.
            readOnlyMode = .waiting(until: now.instant + readOnlyDelay)
            return
        }
        readOnlyMode = .serving
        actions.append(
            .log(.warning, "no leader: serving read-only clients from \(database.lastZxid)")
        )
    }

    /// Whether a server that takes no writes refuses this.
    static func needsLeader(_ operation: Operation) -> Bool {
        switch operation {
        case .create, .delete, .setData, .setACL, .check, .multi, .sync: true
        case .malformed(let code), .unsupported(let code):
            switch OperationCode(rawValue: code) {
            case .create, .delete, .setData, .setACL, .check, .multi, .sync, .create2,
                .createContainer, .createTimeToLive, .deleteContainer, .reconfig:
                true
            case .exists, .getData, .getACL, .getChildren, .ping, .getChildren2, .checkWatches,
                .removeWatches, .multiRead, .auth, .setWatches, .sasl, .getEphemerals,
                .getAllChildrenNumber, .setWatches2, .addWatch, .whoAmI, .createSession,
                .closeSession, .error, nil:
                false
            }
        case .exists, .getData, .getACL, .getChildren, .getChildren2, .setWatches, .addWatch,
            .checkWatches, .removeWatches, .auth, .ping, .closeSession:
            false
        }
    }
}
