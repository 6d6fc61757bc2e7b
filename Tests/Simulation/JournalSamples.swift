package import Journal
package import ZooKeeperModel
package import ZooKeeperWire

/// The tree of the tests of the journal: the zxids in it, in order. A snapshot holds them as a znode's data.
package struct RecordingVisitor: RecoveryVisitor {
    package var sequence: [Zxid] = []
    package var elements: [SnapshotElement] = []
    package var encoded: [[UInt8]] = []
    package var treeDigest: TreeDigestValue?
    package var digestsHoldAfter: Zxid?

    package init(treeDigest: TreeDigestValue? = nil) { self.treeDigest = treeDigest }

    package mutating func beginSnapshot(zxid: Zxid) {
        sequence = []
        elements = []
    }
    package mutating func visit(_ element: SnapshotElement) throws(RecoveryRefusal) {
        elements.append(element)
        guard case .znode(let znode) = element, znode.path == "/sequence" else { return }
        var reader = JuteReader(znode.data ?? [])
        do throws(WireError) {
            while reader.offset < znode.data?.count ?? 0 { sequence.append(try reader.zxid()) }
        } catch { throw RecoveryRefusal("\(error)") }
    }
    package mutating func endSnapshot(
        zxid: Zxid,
        digestsHoldAfter: Zxid?
    ) throws(RecoveryRefusal) {
        self.digestsHoldAfter = digestsHoldAfter
    }
    package mutating func visit(
        _ transaction: Transaction,
        encoded: [UInt8]
    ) throws(RecoveryRefusal) {
        sequence.append(transaction.zxid)
        self.encoded.append(encoded)
    }
}

package func proposal(_ zxid: Zxid, dataBytes: Int = 40) -> Proposal {
    // Never a byte 0, so that a lost sector always shows.
    let data = (0..<dataBytes).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ Int(zxid.counter)) | 1 }
    let transaction = Transaction(
        session: SessionID(rawValue: 0x11),
        cxid: 1,
        zxid: zxid,
        time: Timestamp(rawValue: 1),
        body: .setData("/sequence", data: data, version: 1)
    )
    return Proposal(zxid: zxid, bytes: TransactionCodec.encode(transaction))
}

package func snapshotBody(_ sequence: [Zxid]) -> [UInt8] {
    var data = JuteWriter()
    for zxid in sequence { data.zxid(zxid) }
    let stat = PersistedStat(
        czxid: .zero,
        mzxid: .zero,
        ctime: Timestamp(rawValue: 0),
        mtime: Timestamp(rawValue: 0),
        version: 0,
        cversion: 0,
        aversion: 0,
        ephemeralOwner: 0,
        pzxid: .zero
    )
    var encoder = SnapshotBodyEncoder()
    encoder.begin(sessions: [], acls: [])
    encoder.add(path: .root, data: [], aclID: -1, stat: stat)
    encoder.add(path: "/sequence", data: data.bytes, aclID: -1, stat: stat)
    encoder.finish()
    return encoder.takeSlice()
}
