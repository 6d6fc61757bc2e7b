internal import ZooKeeperModel
package import Zab

/// What an operator or a test chooses about one ``Replica``.
package struct ReplicaConfiguration: Hashable, Sendable {
    package var ensemble: EnsembleConfiguration
    /// Milliseconds. A client's wish is brought into `minimumSessionTimeout...maximumSessionTimeout`.
    package var minimumSessionTimeout: Int32
    package var maximumSessionTimeout: Int32
    /// A snapshot is due after between half of this many transactions and all of them.
    package var snapshotCount: Int
    /// Or after between half of this many bytes of transactions and all of them; 0 for no such limit.
    package var snapshotSizeBytes: Int
    /// Every operation is allowed to everyone.
    package var skipACL: Bool
    /// `super:` and the base64 of a SHA-1: who authenticates with it passes every ACL.
    package var superDigest: String?
    /// Whether persisted owners may mean a time to live. The same on every member.
    package var extendedTypes: Bool
    /// A session is known to the server alone that its client is connected to. On every member; a
    /// server alone knows all sessions anyway.
    package var localSessions: Bool
    /// Such a session becomes one that all know with its first ephemeral, which is refused otherwise.
    package var localSessionsUpgrading: Bool
    /// Without a leader, read-only clients are served.
    package var readOnlyMode: Bool
    /// No transaction longer than this is proposed, since members could not read it: Apache's servers
    /// read `jute.maxbuffer` and as much again.
    package var maximumTransactionBytes: Int
    /// Above this many unanswered requests, connections that have some are not read from.
    package var globalOutstandingLimit: Int
    /// Wall-clock milliseconds at the start of the process. Session ids count up from here, below
    /// the server's id in the top byte: they repeat only if the clock was set back.
    package var sessionSeedMilliseconds: Int64
    /// Seeds every choice that is free, such as when within its range a snapshot is due.
    package var randomSeed: UInt64

    package init(
        ensemble: EnsembleConfiguration,
        minimumSessionTimeout: Int32? = nil,
        maximumSessionTimeout: Int32? = nil,
        snapshotCount: Int = 100_000,
        snapshotSizeBytes: Int = 4 << 30,
        skipACL: Bool = false,
        superDigest: String? = nil,
        extendedTypes: Bool = false,
        localSessions: Bool = false,
        localSessionsUpgrading: Bool = false,
        readOnlyMode: Bool = false,
        maximumTransactionBytes: Int = 2 * 0xFFFFF,
        globalOutstandingLimit: Int = 1000,
        sessionSeedMilliseconds: Int64,
        randomSeed: UInt64 = 0
    ) {
        let tick = Int32(clamping: ensemble.tickTime.wholeMilliseconds)
        self.ensemble = ensemble
        self.minimumSessionTimeout = minimumSessionTimeout ?? tick.saturatingTimes(2)
        self.maximumSessionTimeout = maximumSessionTimeout ?? tick.saturatingTimes(20)
        self.snapshotCount = max(2, snapshotCount)
        self.snapshotSizeBytes = snapshotSizeBytes
        self.skipACL = skipACL
        self.superDigest = superDigest
        self.extendedTypes = extendedTypes
        self.localSessions = localSessions
        self.localSessionsUpgrading = localSessionsUpgrading
        self.readOnlyMode = readOnlyMode
        self.maximumTransactionBytes = maximumTransactionBytes
        self.globalOutstandingLimit = max(1, globalOutstandingLimit)
        self.sessionSeedMilliseconds = sessionSeedMilliseconds
        self.randomSeed = randomSeed
    }

    /// One server alone: an ensemble of one voter.
    package var isStandalone: Bool { ensemble.members.count == 1 }
}

extension Int32 {
    fileprivate func saturatingTimes(_ factor: Int32) -> Int32 {
        let (product, overflow) = multipliedReportingOverflow(by: factor)
        return overflow ? .max : product
    }
}
