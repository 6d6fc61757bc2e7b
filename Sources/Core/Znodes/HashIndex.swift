/// Finds 32-bit indexes by 32-bit hashes, and grows without ever stopping to rehash everything.
///
/// Linear hashing (Litwin 1980): each insertion into a full table splits one bucket in two, in
/// order, so that the table doubles little by little. Chains run through an array that stands beside
/// the owner's own, at the same index. Whoever finds an index compares the key itself. Nothing ever
/// depends on the order of the buckets: they are not listed. Buckets are not taken back.
struct HashIndex: Sendable {
    /// No index.
    static let none = UInt32.max

    private struct Entry: Sendable {
        var hash: UInt32
        /// In the same bucket.
        var next: UInt32
    }
    private var entries = PagedArray<Entry>()
    private var buckets = PagedArray<UInt32>()
    /// The greatest power of two that is at most the number of buckets.
    private var level: UInt32 = 16
    private(set) var count: UInt32 = 0

    init() {
        for _ in 0..<level { buckets.append(Self.none) }
    }

    var bucketCount: UInt32 { buckets.count }

    /// The first index with this hash, or none.
    func first(_ hash: UInt32) -> UInt32 { search(hash, from: buckets[bucket(of: hash)]) }

    /// The next with the same hash, or none.
    func next(after index: UInt32) -> UInt32 {
        search(entries[index].hash, from: entries[index].next)
    }

    private func search(_ hash: UInt32, from start: UInt32) -> UInt32 {
        var index = start
        while index != Self.none, entries[index].hash != hash { index = entries[index].next }
        return index
    }

    private func bucket(of hash: UInt32) -> UInt32 {
        let wide = hash & (level &* 2 &- 1)
        return wide < buckets.count ? wide : hash & (level - 1)
    }

    /// `index` must not be in the table.
    mutating func insert(_ index: UInt32, hash: UInt32) {
        splitOneBucketIfFull()
        while entries.count <= index { entries.append(Entry(hash: 0, next: Self.none)) }
        let bucket = bucket(of: hash)
        entries[index] = Entry(hash: hash, next: buckets[bucket])
        buckets[bucket] = index
        count += 1
    }

    /// `index` must be in the table.
    mutating func remove(_ index: UInt32) {
        let entry = entries[index]
        let bucket = bucket(of: entry.hash)
        if buckets[bucket] == index {
            buckets[bucket] = entry.next
        } else {
            var previous = buckets[bucket]
            while entries[previous].next != index { previous = entries[previous].next }
            entries[previous].next = entry.next
        }
        count -= 1
    }

    private mutating func splitOneBucketIfFull() {
        let added = buckets.count
        guard count >= added, added < 1 << 31 else { return }
        let wideMask = level &* 2 &- 1
        let old = added - level
        var index = buckets[old]
        var kept = Self.none
        var moved = Self.none
        while index != Self.none {
            let next = entries[index].next
            if entries[index].hash & wideMask == added {
                entries[index].next = moved
                moved = index
            } else {
                entries[index].next = kept
                kept = index
            }
            index = next
        }
        buckets[old] = kept
        buckets.append(moved)
        if buckets.count == level * 2 { level *= 2 }
    }

    /// Frees a piece; unusable from the first call. False when all is gone.
    mutating func releasePages(_ limit: Int) -> Bool {
        if entries.removeLastPages(limit) { return true }
        return buckets.removeLastPages(limit)
    }

    /// Stops with a sentence if a chain leads astray.
    func checkInvariants() {
        var chained: UInt32 = 0
        for position in 0..<buckets.count {
            var index = buckets[position]
            while index != Self.none {
                precondition(
                    bucket(of: entries[index].hash) == position,
                    "\(index) is in bucket \(position) by mistake"
                )
                chained += 1
                index = entries[index].next
            }
        }
        precondition(chained == count, "\(chained) of \(count) entries are on chains")
    }
}
