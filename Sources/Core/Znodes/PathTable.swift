/// Paths, each stored once under a 32-bit index, and found again by all of their bytes.
///
/// A path is a slot with its last element's name and a link to its parent's slot, so that a
/// thousand siblings share the text before them. Names of up to 23 bytes lie in the slot; longer
/// ones in a table of their own. Slots are found through a hash of the whole path, one probe for
/// a path of any depth; a match is confirmed by walking up the parents.
///
/// Any bytes may be a path: what is not `/` and elements can be stored whole, under ``floor``.
struct PathTable: Sendable {
    /// No slot.
    static let none = UInt32.max
    /// The parent of slots that hold a whole text rather than one element of a path.
    static let floor = UInt32.max - 1
    /// The root's slot, which always exists.
    static let root: UInt32 = 0

    private static let slash = UInt8(ascii: "/")

    private struct Slot {
        var name: PackedName
        /// Also links the free list.
        var parent: UInt32
        /// Slots whose parent this is.
        var childCount: UInt32
    }

    private var slots = PagedArray<Slot>()
    private var longNames = PagedArray<[UInt8]>()
    private var freeLongNames: [UInt32] = []
    private var freeSlots = Self.none
    /// Slots in use, the root included.
    private(set) var count: UInt32 = 0

    /// By the hash of the whole path; the root is not in it.
    private var index = HashIndex()
    private let hashSeed: UInt64
    /// Fewer bits make collisions, for tests.
    private let hashMask: UInt32

    init(hashSeed: UInt64, hashMask: UInt32 = .max) {
        self.hashSeed = hashSeed
        self.hashMask = hashMask
        slots.append(Slot(name: PackedName(), parent: Self.none, childCount: 0))
        count = 1
    }

    func parent(of index: UInt32) -> UInt32 { slots[index].parent }
    func childCount(of index: UInt32) -> UInt32 { slots[index].childCount }
    /// A bit that the owner of the table may use.
    func isMarked(_ index: UInt32) -> Bool { slots[index].name.isMarked }

    // MARK: Finding

    /// The slot of a path; `/` and the empty text are the root.
    func find(_ path: [UInt8]) -> UInt32? { find(path, upTo: path.count) }

    /// The slot of the path that the first `end` bytes spell.
    func find(_ path: [UInt8], upTo end: Int) -> UInt32? {
        if Self.isRoot(path, upTo: end) { return Self.root }
        return find(path, upTo: end, hash: finish(hash(path, upTo: end)))
    }

    private func find(_ path: [UInt8], upTo end: Int, hash: UInt32) -> UInt32? {
        var slot = index.first(hash)
        while slot != Self.none {
            if isPath(path, upTo: end, of: slot) { return slot }
            slot = index.next(after: slot)
        }
        return nil
    }

    /// The slots of the root, of the path and of all between them, as far as they are there: in one
    /// pass, since the path may be deep.
    func forEachSlot(towards path: [UInt8], _ body: (UInt32) -> Void) {
        body(Self.root)
        if Self.isRoot(path, upTo: path.count) { return }
        var running = startOfHash
        for position in 0..<path.count {
            if position > 0, path[position] == Self.slash,
                let slot = find(path, upTo: position, hash: finish(running))
            {
                body(slot)
            }
            running = Self.mix(running, path[position])
        }
        if let slot = find(path, upTo: path.count, hash: finish(running)) { body(slot) }
    }

    static func isRoot(_ path: [UInt8], upTo end: Int) -> Bool {
        end == 0 || (end == 1 && path[0] == slash)
    }

    private func isPath(_ path: [UInt8], upTo end: Int, of index: UInt32) -> Bool {
        var end = end
        var index = index
        while index != Self.root {
            let parent = slots[index].parent
            let length = nameLength(of: index)
            if parent == Self.floor {
                return length == end && isName(path, from: 0, to: end, of: index)
            }
            let start = end - length
            guard start > 0, path[start - 1] == Self.slash,
                isName(path, from: start, to: end, of: index)
            else { return false }
            end = start - 1
            index = parent
        }
        return end == 0
    }

    private func isName(_ path: [UInt8], from start: Int, to end: Int, of index: UInt32) -> Bool {
        if let long = slots[index].name.longIndex {
            return longNames[long][...] == path[start..<end]
        }
        return slots[index].name.holds(path, from: start, to: end)
    }

    /// FNV-1a, which goes byte by byte and so knows the hash of every prefix on its way.
    private func hash(_ path: [UInt8], upTo end: Int) -> UInt64 {
        var hash = startOfHash
        for position in 0..<end { hash = Self.mix(hash, path[position]) }
        return hash
    }
    private var startOfHash: UInt64 { hashSeed ^ 0xCBF2_9CE4_8422_2325 }
    @inline(__always)
    private static func mix(_ hash: UInt64, _ byte: UInt8) -> UInt64 {
        (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3
    }
    /// Mixed once more, because the lowest bits choose the bucket.
    private func finish(_ hash: UInt64) -> UInt32 {
        let mixed = (hash ^ (hash >> 33)) &* 0xFF51_AFD7_ED55_8CCD
        return UInt32(truncatingIfNeeded: mixed >> 32) & hashMask
    }

    // MARK: Texts

    func nameLength(of index: UInt32) -> Int {
        let name = slots[index].name
        if let long = name.longIndex { return longNames[long].count }
        return name.count
    }

    func appendName(of index: UInt32, to bytes: inout [UInt8]) {
        let name = slots[index].name
        if let long = name.longIndex {
            bytes.append(contentsOf: longNames[long])
        } else {
            for position in 0..<name.count { bytes.append(name[position]) }
        }
    }

    func name(of index: UInt32) -> [UInt8] {
        let name = slots[index].name
        if let long = name.longIndex { return longNames[long] }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(name.count)
        for position in 0..<name.count { bytes.append(name[position]) }
        return bytes
    }

    /// The whole path; `/` for the root.
    func path(of index: UInt32) -> [UInt8] {
        if index == Self.root { return [Self.slash] }
        if slots[index].parent == Self.floor { return name(of: index) }
        var length = 0
        var ancestor = index
        while ancestor != Self.root {
            length += nameLength(of: ancestor) + 1
            ancestor = slots[ancestor].parent
        }
        var bytes = [UInt8](repeating: Self.slash, count: length)
        var end = length
        ancestor = index
        while ancestor != Self.root {
            let name = slots[ancestor].name
            if let long = name.longIndex {
                let text = longNames[long]
                end -= text.count
                for position in 0..<text.count { bytes[end + position] = text[position] }
            } else {
                end -= name.count
                for position in 0..<name.count { bytes[end + position] = name[position] }
            }
            end -= 1
            ancestor = slots[ancestor].parent
        }
        return bytes
    }

    // MARK: Changing

    /// Adds the path that the first `end` bytes spell, which must not be there yet. Its name starts
    /// at `nameStart`: after the last slash, or at 0 with ``floor`` for a parent.
    mutating func insert(
        _ path: [UInt8],
        upTo end: Int,
        nameStart: Int,
        parent: UInt32,
        marked: Bool = false
    ) -> UInt32 {
        var name = PackedName(path, from: nameStart, to: end)
        if end - nameStart > PackedName.capacity {
            let text = Array(path[nameStart..<end])
            if let free = freeLongNames.popLast() {
                longNames[free] = text
                name = PackedName(longIndex: free)
            } else {
                name = PackedName(longIndex: longNames.count)
                longNames.append(text)
            }
        }
        name.isMarked = marked
        let slot = Slot(name: name, parent: parent, childCount: 0)
        let added: UInt32
        if freeSlots != Self.none {
            added = freeSlots
            freeSlots = slots[added].parent
            slots[added] = slot
        } else {
            added = slots.count
            precondition(added < Self.floor, "the path table is full: \(count) paths")
            slots.append(slot)
        }
        index.insert(added, hash: finish(hash(path, upTo: end)))
        if parent != Self.floor { slots[parent].childCount += 1 }
        count += 1
        return added
    }

    /// Frees a slot that is no other slot's parent.
    mutating func remove(_ slot: UInt32) {
        let removed = slots[slot]
        precondition(
            removed.childCount == 0,
            "slot \(slot) has \(removed.childCount) children"
        )
        index.remove(slot)
        if let long = removed.name.longIndex {
            longNames[long] = []
            freeLongNames.append(long)
        }
        if removed.parent != Self.floor { slots[removed.parent].childCount -= 1 }
        slots[slot] = Slot(name: PackedName(), parent: freeSlots, childCount: 0)
        freeSlots = slot
        count -= 1
    }

    /// Frees the table piece by piece; it is unusable from the first call. False when all is gone.
    mutating func releasePages(_ limit: Int) -> Bool {
        if slots.removeLastPages(limit) { return true }
        if longNames.removeLastPages(limit) { return true }
        return index.releasePages(limit)
    }

    /// Stops with a sentence if the hash index is not sound.
    func checkInvariants() {
        precondition(index.count == count - 1, "\(index.count) of \(count) paths are indexed")
        index.checkInvariants()
    }
}

/// Up to 23 bytes and their count in 24; or the index of a longer name; and one bit to spare.
private struct PackedName: Sendable {
    static let capacity = 23
    private static let longTag: UInt64 = 0x3F
    private static let markBit: UInt64 = 1 << 63

    private var first: UInt64 = 0
    private var second: UInt64 = 0
    /// Bytes 16 to 22, then the count, then the mark in the highest bit.
    private var third: UInt64 = 0

    init() {}

    init(longIndex: UInt32) {
        first = UInt64(longIndex)
        third = Self.longTag << 56
    }

    /// Empty where the bytes are too many.
    init(_ bytes: [UInt8], from start: Int, to end: Int) {
        let count = end - start
        guard count <= Self.capacity else { return }
        for position in 0..<min(count, 8) {
            first |= UInt64(bytes[start + position]) << UInt64(position &* 8)
        }
        if count > 8 {
            for position in 8..<min(count, 16) {
                second |= UInt64(bytes[start + position]) << UInt64((position - 8) &* 8)
            }
        }
        if count > 16 {
            for position in 16..<count {
                third |= UInt64(bytes[start + position]) << UInt64((position - 16) &* 8)
            }
        }
        third |= UInt64(count) << 56
    }

    private var tag: UInt64 { (third & ~Self.markBit) >> 56 }
    var longIndex: UInt32? {
        tag == Self.longTag ? UInt32(truncatingIfNeeded: first) : nil
    }
    var count: Int { Int(truncatingIfNeeded: tag) }
    var isMarked: Bool {
        get { third & Self.markBit != 0 }
        set { third = newValue ? third | Self.markBit : third & ~Self.markBit }
    }

    subscript(position: Int) -> UInt8 {
        let word = position < 8 ? first : position < 16 ? second : third
        return UInt8(truncatingIfNeeded: word >> UInt64((position & 7) &* 8))
    }

    func holds(_ bytes: [UInt8], from start: Int, to end: Int) -> Bool {
        guard end - start == count else { return false }
        let other = PackedName(bytes, from: start, to: end)
        return first == other.first && second == other.second
            && third & ~Self.markBit == other.third
    }
}
