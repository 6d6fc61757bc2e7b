/// An array that grows, and is copied, a page at a time.
///
/// A plain array of a million records doubles by moving all of them, and writing to one that shares
/// its storage copies all of them: both stall a server for tens of milliseconds. Here growth adds
/// one page, and a write to a shared copy copies the one page that is written. That makes a copy of
/// the whole tree a cheap and consistent snapshot (see ``SnapshotDump``).
struct PagedArray<Element: Sendable>: Sendable {
    /// 256 elements: a page of records is about 22 KiB, copied in a few microseconds.
    private static var shift: UInt32 { 8 }
    private static var pageCount: Int { 1 << Int(shift) }
    private static var mask: UInt32 { (1 << shift) - 1 }

    private var pages: [[Element]] = []
    private(set) var count: UInt32 = 0

    subscript(index: UInt32) -> Element {
        @inline(__always) _read {
            yield pages[Int(truncatingIfNeeded: index >> Self.shift)][
                Int(truncatingIfNeeded: index & Self.mask)
            ]
        }
        @inline(__always) _modify {
            yield &pages[Int(truncatingIfNeeded: index >> Self.shift)][
                Int(truncatingIfNeeded: index & Self.mask)
            ]
        }
    }

    mutating func append(_ element: Element) {
        if count & Self.mask == 0 {
            var page: [Element] = []
            page.reserveCapacity(Self.pageCount)
            page.append(element)
            pages.append(page)
        } else {
            pages[pages.count - 1].append(element)
        }
        count += 1
    }

    /// Frees the last `limit` pages, so that a big array can go piece by piece. False when empty.
    mutating func removeLastPages(_ limit: Int) -> Bool {
        for _ in 0..<min(limit, pages.count) { pages.removeLast() }
        count = UInt32(pages.count) << Self.shift
        return !pages.isEmpty
    }
}
