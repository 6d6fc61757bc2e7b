internal import ZooKeeperModel

/// What one server's log really holds, as one sees who watches its disk: what the journal was given,
/// and how much of it a sync has promised.
struct LogView: Sendable {
    /// Everything up to here is in a snapshot, or was before this view began.
    private(set) var base = Zxid.zero
    private var entries: [Zxid] = []
    private var durableCount = 0
    /// Durable, as the disk answered.
    private(set) var acceptedEpoch: Int64 = 0
    private(set) var currentEpoch: Int64 = 0

    var end: Zxid { entries.last ?? base }
    var durableEnd: Zxid { durableCount > 0 ? entries[durableCount - 1] : base }

    mutating func append(_ zxid: Zxid) { entries.append(zxid) }
    mutating func synced(upTo zxid: Zxid) {
        let count = entries.lastIndex { $0 <= zxid }.map { $0 + 1 } ?? 0
        durableCount = max(durableCount, count)
    }

    mutating func stored(_ kind: EpochKind, _ epoch: Int64) {
        switch kind {
        case .accepted: acceptedEpoch = epoch
        case .current: currentEpoch = epoch
        }
    }

    /// The database was read again and ends here; all of it is durable.
    mutating func recovered(upTo zxid: Zxid, acceptedEpoch: Int64?, currentEpoch: Int64?) {
        if let acceptedEpoch { self.acceptedEpoch = acceptedEpoch }
        if let currentEpoch { self.currentEpoch = currentEpoch }
        while let last = entries.last, last > zxid { entries.removeLast() }
        if end != zxid {
            base = zxid
            entries = []
        }
        durableCount = entries.count
    }

    /// A leader's tree has replaced everything.
    mutating func installed(_ zxid: Zxid) {
        base = zxid
        entries = []
        durableCount = 0
    }

    mutating func wiped() { self = LogView() }

    func holdsDurably(_ zxid: Zxid) -> Bool {
        if zxid <= base { return true }
        var low = 0
        var high = durableCount
        while low < high {
            let middle = (low + high) / 2
            if entries[middle] < zxid { low = middle + 1 } else { high = middle }
        }
        return low < durableCount && entries[low] == zxid
    }

    /// Entries of this range, oldest first.
    func entries(after: Zxid, through: Zxid) -> ArraySlice<Zxid> {
        let first = entries.firstIndex { $0 > after } ?? entries.endIndex
        let end = entries[first...].firstIndex { $0 > through } ?? entries.endIndex
        return entries[first..<end]
    }
}
