internal import HeapModule
package import ZooKeeperModel

/// What will happen, by time; what falls on one instant happens in the order it was planned.
package struct Agenda<Event: Sendable>: Sendable {
    private struct Entry: Comparable, Sendable {
        var instant: Instant
        var sequence: UInt64
        var event: Event
        static func < (left: Entry, right: Entry) -> Bool {
            (left.instant, left.sequence) < (right.instant, right.sequence)
        }
        static func == (left: Entry, right: Entry) -> Bool {
            left.sequence == right.sequence
        }
    }
    private var heap = Heap<Entry>()
    private var sequence: UInt64 = 0

    package init() {}

    package mutating func plan(_ event: Event, at instant: Instant) {
        sequence += 1
        heap.insert(Entry(instant: instant, sequence: sequence, event: event))
    }

    package mutating func next() -> (instant: Instant, event: Event)? {
        heap.popMin().map { ($0.instant, $0.event) }
    }
    package var nextInstant: Instant? { heap.min?.instant }
}
