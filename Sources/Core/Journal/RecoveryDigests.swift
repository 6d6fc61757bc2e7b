internal import ZooKeeperModel
internal import ZooKeeperWire

/// The tree as recovered against the digests that stand in the snapshot and in the transactions.
extension Recovery {
    /// Until the digest's zxid the tree may be ahead of the transactions replayed over it.
    mutating func compareSnapshotDigest(
        at snapshot: Zxid,
        _ visitor: some RecoveryVisitor
    ) throws(JournalError) {
        guard configuration.checksDigests, let digest = snapshotDigest else {
            snapshotDigest = nil
            return
        }
        digestsHoldAfter = max(digest.zxid, snapshot)
        // ZooKeeper writes no digest worth the name into its first, empty snapshot.
        if digest.zxid == .zero {
            snapshotDigest = nil
        } else if digest.zxid <= snapshot {
            compare(visitor.treeDigest, digest.digest, at: digest.zxid)
        }
    }

    mutating func compare(
        _ actual: TreeDigestValue?,
        _ expected: TreeDigestValue,
        at zxid: Zxid
    ) {
        guard let actual, actual.version == expected.version, actual.value != expected.value
        else { return }
        if summary.digestMismatches == 0 {
            summary.notes.append(
                "the tree's digest differs at \(zxid): it is "
                    + "\(String(UInt64(bitPattern: actual.value), radix: 16)) and should be "
                    + String(UInt64(bitPattern: expected.value), radix: 16)
            )
        }
        summary.digestMismatches += 1
    }
}
