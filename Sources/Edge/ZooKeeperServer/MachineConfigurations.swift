internal import Journal
internal import Platform
internal import Replication
internal import Zab
internal import ZooKeeperModel

/// What `zoo.cfg` means to each machine.
extension ServerConfiguration {
    func replica(now: ClockReading, randomSeed: UInt64) -> ReplicaConfiguration {
        ReplicaConfiguration(
            ensemble: EnsembleConfiguration(
                me: serverID,
                members: ensemble.isEnsemble
                    ? ensemble.members.map { .init(id: $0.id, isObserver: $0.isObserver) }
                    : [.init(id: serverID)],
                groups: ensemble.groups,
                weights: ensemble.weights,
                tickTime: tickTime,
                initLimit: initLimit,
                syncLimit: syncLimit,
                text: Array(ensemble.text.utf8)
            ),
            minimumSessionTimeout: Int32(clamping: minSessionTimeout.wholeMilliseconds),
            maximumSessionTimeout: Int32(clamping: maxSessionTimeout.wholeMilliseconds),
            snapshotCount: snapshotTransactionCount,
            snapshotSizeBytes: snapshotSizeBytes,
            skipACL: skipsACL,
            superDigest: superDigest,
            extendedTypes: extendedTypes,
            localSessions: localSessions,
            localSessionsUpgrading: localSessionsUpgrading,
            readOnlyMode: readOnlyMode,
            // What the log would not take must not be proposed.
            maximumTransactionBytes: min(2 * maxFrameBytes, journal.maximumEntryBytes),
            globalOutstandingLimit: globalOutstandingLimit,
            sessionSeedMilliseconds: now.timestamp.rawValue,
            randomSeed: randomSeed
        )
    }

    /// Paths from the disk's root, which is `/`.
    var journal: JournalConfiguration {
        JournalConfiguration(
            dataDirectory: Self.versionDirectory(dataDirectory),
            logDirectory: Self.versionDirectory(logDirectory ?? dataDirectory),
            preallocationKiB: preallocationBytes / 1024,
            logSizeLimitKiB: (logSizeLimitBytes ?? 0) / 1024,
            retainedSnapshots: retainedSnapshots,
            checksDigests: digestEnabled,
            trustsMissingSnapshot: trustsEmptySnapshot,
            // Another voter holds what this server may lose.
            isMember: ensemble.isEnsemble
                && ensemble.members.contains { !$0.isObserver && $0.id != serverID },
            initializeFile: Self.path(dataDirectory + "/initialize")
        )
    }

    private static func versionDirectory(_ directory: String) -> String {
        path(directory + "/version-2")
    }

    private static func path(_ path: String) -> String {
        let absolute = path.hasPrefix("/") ? path : currentDirectory() + "/" + path
        return "/" + absolute.split(separator: "/").joined(separator: "/")
    }
}
