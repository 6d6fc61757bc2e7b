package import ZooKeeperModel

package final class Journal {
    package let configuration: JournalConfiguration
    let disk: any Disk
    /// The last transaction in the log, or the zxid of what it follows.
    package internal(set) var lastZxid = Zxid.zero
    /// Why the journal failed for good; nil while it works.
    package internal(set) var failure: String?

    package init(disk: any Disk, configuration: JournalConfiguration) {
        self.disk = disk
        self.configuration = configuration
    }

    package func recover(
        _ visitor: inout some RecoveryVisitor
    ) throws(JournalError) -> RecoverySummary {
        throw .refused("not there yet")
    }
    package func append(_ proposals: [Proposal]) throws(JournalError) {}
    package func sync() throws(JournalError) {}
    package func truncate(to zxid: Zxid) throws(JournalError) {}
    package func readLog(
        after: Zxid, through: Zxid, maxBytes: Int
    ) throws(JournalError) -> (proposals: [Proposal]?, isComplete: Bool) { (nil, true) }
    package func beginSnapshot(zxid: Zxid) throws(JournalError) {}
    package func beginInstall(zxid: Zxid) throws(JournalError) {}
    package func writeSnapshotSlice(_ bytes: [UInt8]) throws(JournalError) {}
    package func finishSnapshot(
        digestZxid: Zxid, digest: TreeDigestValue?
    ) throws(JournalError) -> Zxid { .zero }
    package func abandonSnapshot() throws(JournalError) {}
    package func storeEpoch(_ kind: EpochKind, _ epoch: Int64) throws(JournalError) {}
    /// The files removed.
    package func purge() throws(JournalError) -> [String] { [] }

    package func perform(_ request: StorageRequest) -> StorageResult? { nil }
    package func perform(batch: [StorageRequest]) -> [StorageResult] { [] }
}
