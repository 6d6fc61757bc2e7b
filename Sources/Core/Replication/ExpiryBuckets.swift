import DequeModule
internal import ZooKeeperModel

/// Deadlines rounded up to the next multiple of a tick, so that being touched thousands of times a
/// second moves a key only once a tick.
///
/// A key lives between its timeout and its timeout plus one tick after it was last touched. Moving a
/// key leaves its mark in the old bucket behind; the bucket drops it when its time comes.
struct ExpiryBuckets<Key: Hashable & Comparable & Sendable>: Sendable {
    private struct Bucket: Sendable {
        let number: Int64
        var keys: [Key]
    }
    private let tick: Int64
    /// Ascending by number.
    private var buckets = Deque<Bucket>()
    private var numbers: [Key: Int64] = [:]

    init(tick: Duration) {
        self.tick = max(1, tick.wholeNanoseconds)
    }

    var count: Int { numbers.count }

    /// The bucket in which something touched now ends, if it is not touched again.
    func bucket(now: Instant, timeout: Int32) -> Int64 {
        let end = now.nanoseconds &+ Int64(max(0, timeout)) &* 1_000_000
        return end / tick + 1
    }

    mutating func set(_ key: Key, to number: Int64) {
        guard numbers.updateValue(number, forKey: key) != number else { return }
        // The newest bucket is nearly always the one.
        var index = buckets.endIndex
        while index > buckets.startIndex, buckets[index - 1].number > number { index -= 1 }
        if index > buckets.startIndex, buckets[index - 1].number == number {
            buckets[index - 1].keys.append(key)
        } else {
            buckets.insert(Bucket(number: number, keys: [key]), at: index)
        }
    }

    mutating func remove(_ key: Key) {
        numbers[key] = nil
    }

    /// When the first bucket ends. It may turn out to hold nobody any more.
    var nextDeadline: Instant? {
        buckets.first.map { Instant(nanoseconds: $0.number &* tick) }
    }

    /// All keys by the end of their bucket, the earliest first; a bucket may have none left.
    var sets: [(end: Instant, keys: [Key])] {
        buckets.map { bucket in
            (
                Instant(nanoseconds: bucket.number &* tick),
                Set(bucket.keys.filter { numbers[$0] == bucket.number }).sorted()
            )
        }
    }

    /// Takes out the keys whose time has come, sorted.
    mutating func popExpired(at now: Instant) -> [Key] {
        var expired: [Key] = []
        while let first = buckets.first, first.number &* tick <= now.nanoseconds {
            buckets.removeFirst()
            for key in first.keys where numbers[key] == first.number {
                numbers[key] = nil
                expired.append(key)
            }
        }
        return expired.sorted()
    }
}
