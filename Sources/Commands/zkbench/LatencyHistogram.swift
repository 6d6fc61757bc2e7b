/// Counts of latencies in buckets whose width is 1/64 of their value or less: any percentile is
/// right to 1.6 %, in constant memory.
///
/// Values below 64 ns have a bucket each. Above, each power of two is cut in 64 buckets:
/// ```
/// 0 1 … 63 | 64 65 … 127 | 128 130 … 254 | 256 260 … 508 | …
/// ```
struct LatencyHistogram: Sendable {
    private static let stepBits = 6
    private static let steps = 1 << stepBits

    private var counts = [Int](repeating: 0, count: (64 - stepBits) * steps)
    private(set) var count = 0
    private(set) var largest: Int64 = 0

    mutating func record(_ nanoseconds: Int64) {
        let value = max(0, nanoseconds)
        counts[Self.bucket(of: value)] += 1
        count += 1
        largest = max(largest, value)
    }

    mutating func add(_ other: LatencyHistogram) {
        for index in counts.indices { counts[index] += other.counts[index] }
        count += other.count
        largest = max(largest, other.largest)
    }

    /// The value that this share of all values does not exceed, rounded up to its bucket's end.
    func value(at share: Double) -> Int64 {
        let rank = max(1, Int((share * Double(count)).rounded(.up)))
        var seen = 0
        for index in counts.indices {
            seen += counts[index]
            if seen >= rank { return min(largest, Self.lastValue(of: index)) }
        }
        return largest
    }

    private static func bucket(of value: Int64) -> Int {
        let shift = max(0, Int64.bitWidth - value.leadingZeroBitCount - stepBits - 1)
        return (shift << stepBits) + Int(value >> Int64(shift))
    }

    private static func lastValue(of bucket: Int) -> Int64 {
        guard bucket >= 2 * steps else { return Int64(bucket) }
        let shift = (bucket >> stepBits) - 1
        let first = Int64(bucket - (shift << stepBits)) << Int64(shift)
        return first + (Int64(1) << Int64(shift)) - 1
    }
}
