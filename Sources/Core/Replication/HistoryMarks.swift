import DequeModule
internal import Zab
internal import ZooKeeperModel

/// What the tree's digest was after some of the transactions that made it: the newest, and ever fewer
/// of the older ones.
///
/// Two disks whose histories differ in length by far more than the newest still have some in common:
/// those whose counter is a power of two or a multiple of 128.
///
/// The digests are those of this server's own tree, also where a transaction carries its leader's: on a
/// foreign disk that would hide the difference.
struct HistoryMarks: Sendable {
    static let recentLimit = 500
    static let olderLimit = 1024

    private var recent = Deque<HistoryMark>()
    private var older = Deque<HistoryMark>()

    var isEmpty: Bool { recent.isEmpty }
    /// Oldest first.
    var all: [HistoryMark] { Array(older) + Array(recent) }

    mutating func record(_ digest: Int64, at zxid: Zxid) {
        if recent.count == Self.recentLimit {
            let oldest = recent.removeFirst()
            if Self.isKept(oldest.zxid) {
                if older.count == Self.olderLimit { older.removeFirst() }
                older.append(oldest)
            }
        }
        recent.append(HistoryMark(zxid: zxid, digest: digest))
    }

    private static func isKept(_ zxid: Zxid) -> Bool {
        zxid.counter % 128 == 0 || zxid.counter & (zxid.counter &- 1) == 0
    }
}

/// Is this server's history the leader's, as far as both go? Two disks can have transactions of the
/// same zxids and hold different data: of two ensembles, or of one whose disks were changed behind its
/// back. Nothing that a leader sends to such a member would repair it.
extension Replica {
    /// Going back from the end, the first transaction that both hold decides.
    func contradiction(_ marks: [HistoryMark]) -> String? {
        var theirs = marks[...]
        for own in database.marks.all.reversed() {
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

    static func freshEnsemble(_ configuration: ReplicaConfiguration) -> Int64 {
        var random = SplitMix64(state: configuration.randomSeed)
        while true {
            let number = Int64(bitPattern: random.next())
            if number != 0 { return number }
        }
    }
}
