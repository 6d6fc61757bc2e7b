import Replication
import Znodes
import ZooKeeperModel
import ZooKeeperWire

/// A log and one snapshot in memory: just enough of a journal for a replica. What was asked for and
/// not yet carried out is lost in a crash.
struct MemoryDisk {
    var log: [Proposal] = []
    var snapshot: (zxid: Zxid, body: [UInt8])?
    var acceptedEpoch: Int64 = 0
    var currentEpoch: Int64 = 0
    /// Begun and not finished.
    private var partial: (zxid: Zxid, body: [UInt8], isInstall: Bool)?
    private(set) var snapshotsStored = 0
    /// There is no room for so many snapshots to come.
    var snapshotsWithoutRoom = 0
    /// Why nothing can be written, where that is so.
    var failure: String?

    mutating func perform(_ request: StorageRequest) -> StorageResult? {
        if let failure { return .failed(failure) }
        switch request {
        case .append(let proposals):
            log.append(contentsOf: proposals)
            return .persisted(upTo: proposals[proposals.count - 1].zxid)
        case .storeEpoch(let kind, let epoch):
            switch kind {
            case .accepted: acceptedEpoch = epoch
            case .current: currentEpoch = epoch
            }
            return .epochStored(kind, epoch)
        case .storeEnsemble: break
        case .beginSnapshot(let zxid): partial = (zxid, [], false)
        case .beginInstall(let zxid): partial = (zxid, [], true)
        case .snapshotSlice(let slice):
            partial?.body += slice
            return .snapshotSliceWritten
        case .finishSnapshot:
            guard let finished = partial else { return .failed("no snapshot was begun") }
            partial = nil
            if snapshotsWithoutRoom > 0 {
                snapshotsWithoutRoom -= 1
                return .snapshotLost(zxid: finished.zxid)
            }
            snapshot = (finished.zxid, finished.body)
            snapshotsStored += 1
            if finished.isInstall { log = [] }
            return .snapshotStored(zxid: finished.zxid)
        case .abandonSnapshot: partial = nil
        case .readLog(let after, let through, _):
            guard log.contains(where: { $0.zxid == after }) else {
                return .logRead(nil, isComplete: true)
            }
            return .logRead(
                log.filter { $0.zxid > after && $0.zxid <= through },
                isComplete: true
            )
        }
        return nil
    }

    mutating func truncate(to zxid: Zxid) {
        log.removeAll { $0.zxid > zxid }
    }

    /// As if all of it had come as a leader's snapshot.
    mutating func turnLogIntoSnapshot() {
        let state = recover()
        var dump = SnapshotDump(
            of: state.tree,
            sessions: state.sessions.sorted { $0.key < $1.key }
                .map { (session: $0.key, timeout: $0.value) }
        )
        var body: [UInt8] = []
        while let slice = dump.nextSlice(sizeBytes: 1 << 20) { body += slice }
        snapshot = (state.lastZxid, body)
        log = []
    }

    func recover() -> RecoveredState {
        var state = RecoveredState()
        do {
            if let snapshot {
                state.beginSnapshot(zxid: snapshot.zxid)
                var decoder = SnapshotBodyDecoder()
                decoder.append(snapshot.body)
                while let element = try decoder.next() { try state.add(element) }
                precondition(decoder.isComplete)
                try state.endSnapshot(zxid: snapshot.zxid, digestsHoldAfter: snapshot.zxid)
            }
            for proposal in log where proposal.zxid > state.lastZxid {
                state.apply(try TransactionCodec.decode(proposal.bytes), bytes: proposal.bytes)
            }
        } catch {
            preconditionFailure("unreadable: \(error)")
        }
        state.finish(acceptedEpoch: acceptedEpoch, currentEpoch: currentEpoch)
        return state
    }
}
