internal import Zab
internal import ZooKeeperModel
internal import ZooKeeperWire

/// Is this server's history the leader's, as far as both go? Two disks can have transactions of the
/// same zxids and hold different data: of two ensembles, or of one whose disks were changed behind its
/// back. Nothing that a leader sends to such a member would repair it.
///
/// A transaction carries the digest of the tree that it makes, so what is compared is written in both
/// logs, whatever the trees hold at the moment.
extension Replica {
    /// The leader's name of the ensemble goes out with the newest of its history.
    func marked(_ message: LearnerMessage) -> LearnerMessage {
        guard case .ensemble(let name, _) = message else { return message }
        return .ensemble(name, marks: historyMarks)
    }

    /// Going back from the end, the first transaction that both hold decides.
    func contradiction(_ message: LearnerMessage) -> String? {
        guard case .ensemble(_, let marks) = message else { return nil }
        var theirs = marks[...]
        for own in historyMarks.reversed() {
            while let last = theirs.last, last.zxid > own.zxid { theirs.removeLast() }
            guard let other = theirs.last, other.zxid == own.zxid else { continue }
            guard other.digest != own.digest else { return nil }
            return "this server's disk holds another history than the leader: after transaction "
                + "\(own.zxid) the tree's digest is \(Self.text(own.digest)) here and "
                + "\(Self.text(other.digest)) there. It belongs to another ensemble, or was changed"
        }
        return nil
    }

    private static func text(_ digest: Int64) -> String {
        String(UInt64(bitPattern: digest), radix: 16)
    }

    private var historyMarks: [HistoryMark] {
        zab.recent.compactMap { proposal in
            guard let transaction = try? TransactionCodec.decode(proposal.bytes),
                let digest = transaction.digest, digest.version == 2
            else { return nil }
            return HistoryMark(zxid: proposal.zxid, digest: digest.value)
        }
    }

    static func freshEnsemble(_ configuration: ReplicaConfiguration) -> Int64 {
        var random = SplitMix64(state: configuration.randomSeed)
        while true {
            let number = Int64(bitPattern: random.next())
            if number != 0 { return number }
        }
    }
}
