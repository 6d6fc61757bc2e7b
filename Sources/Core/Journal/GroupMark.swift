internal import ZooKeeperModel
internal import ZooKeeperWire

/// Says, in the zeros behind a log's entries, where the group of entries written last begins.
///
/// A group is begun only when the one before it is durable, so whatever is missing before `start`
/// was there once: that is damage. From `start` on a power loss may have taken any sector.
///
/// The mark is written with its group, in the same call, and overwritten by the next one. Readers of
/// the log, ZooKeeper's too, stop at the zeros before it.
///
/// ```
/// … entries │ end │ at least 12 zeros │ mark │ zeros …
///
/// mark: "zkfs group" padded to 12 · long start · long end · int Adler-32 of these 28 · 0x4D "M"
/// ```
///
/// It never lies across a sector's boundary, so it is there or not; and its first twelve bytes
/// behind such a boundary are zeros too, so that an entry's header over it, of which one sector is
/// missing, has no length that was never written.
struct GroupMark: Hashable {
    static let size = 33
    /// An entry's checksum and length: as zeros they are the log's end.
    private static let gapBytes = LogScanner.entryHeaderBytes
    private static let magic = Array("zkfs group\0\0".utf8)
    private static let lastByte: UInt8 = 0x4D

    /// The group begins here; 0 for the first one of a file, its header included.
    var start: Int
    /// Its entries end here.
    var end: Int

    /// Where the mark of a group that ends at `end` lies.
    static func place(after end: Int) -> Int {
        let place = end + gapBytes
        let inSector = place % LogScanner.sectorBytes
        guard inSector + size > LogScanner.sectorBytes else { return place }
        return place - inSector + LogScanner.sectorBytes + gapBytes
    }

    /// What follows the entries: the zeros, and the mark.
    var tail: [UInt8] {
        var writer = JuteWriter(capacityBytes: Self.size)
        writer.raw(Self.magic)
        writer.int64(Int64(start))
        writer.int64(Int64(end))
        writer.int32(Int32(bitPattern: Adler32.checksum(of: writer.bytes)))
        writer.raw([Self.lastByte])
        return [UInt8](repeating: 0, count: Self.place(after: end) - end) + writer.bytes
    }

    /// Nil unless these bytes, found at this offset, are a mark that belongs there.
    init?(_ bytes: [UInt8], at offset: Int) {
        guard bytes.count == Self.size, bytes.starts(with: Self.magic),
            bytes[Self.size - 1] == Self.lastByte
        else { return nil }
        func integer(_ range: Range<Int>) -> Int64 {
            range.reduce(0) { $0 << 8 | Int64(bytes[$1]) }
        }
        let sum = UInt32(truncatingIfNeeded: integer(28..<32))
        guard sum == Adler32.checksum(of: Array(bytes[..<28])),
            let start = Int(exactly: integer(12..<20)), let end = Int(exactly: integer(20..<28)),
            0 <= start, start <= end, end <= offset, Self.place(after: end) == offset
        else { return nil }
        self.start = start
        self.end = end
    }

    /// Whether the file ends within the mark of a group that ends at `end`, and nothing else is
    /// behind that: a power loss may leave any size between two.
    static func isCutShort(
        _ file: String,
        after end: Int,
        on disk: any Disk
    ) throws(DiskError) -> Bool {
        let bytes = try disk.read(file, at: end, count: place(after: end) - end + size)
        let mark = bytes.dropFirst(place(after: end) - end)
        return mark.count < size && mark.prefix(magic.count).elementsEqual(magic.prefix(mark.count))
            && bytes.prefix(place(after: end) - end).allSatisfy { $0 == 0 }
    }

    init(start: Int, end: Int) {
        self.start = start
        self.end = end
    }

    /// The mark that begins at this offset.
    static func read(
        _ file: String,
        at offset: Int,
        on disk: any Disk
    ) throws(DiskError) -> GroupMark? {
        guard offset >= 0 else { return nil }
        return GroupMark(try disk.read(file, at: offset, count: size), at: offset)
    }
}

/// Which sectors a power loss can have left unwritten.
struct LostSectors {
    let disk: any Disk
    let file: String
    private static let chunkBytes = 128 * LogScanner.sectorBytes

    /// Whether some sector that these bytes touch reads, from where they begin in it to its end, as
    /// it did before them: zeros, or the mark of the group before. A sector is written as a whole,
    /// so one that has anything else behind a hole was written, and the hole came later.
    ///
    /// A part of at most four bytes at the beginning says nothing where an entry begins: the upper
    /// half of a checksum is zero anyway.
    func isAny(in range: Range<Int>, ofEntryAt entry: Int) throws(DiskError) -> Bool {
        let sectorBytes = LogScanner.sectorBytes
        var sector = range.lowerBound / sectorBytes * sectorBytes
        while sector < range.upperBound {
            let chunk = try disk.read(file, at: sector, count: Self.chunkBytes)
            var start = 0
            repeat {
                let offset = sector + start
                guard offset < range.upperBound else { return false }
                let part = max(entry, offset)
                let saysNothing = part == entry && offset + sectorBytes - entry <= 4
                let bytes = chunk[
                    min(part - sector, chunk.count)..<min(start + sectorBytes, chunk.count)
                ]
                if !saysNothing, isBlank(bytes, at: part) { return true }
                start += sectorBytes
            } while start < Self.chunkBytes
            sector += Self.chunkBytes
        }
        return false
    }

    /// Behind the file's end there are zeros too.
    private func isBlank(_ bytes: ArraySlice<UInt8>, at offset: Int) -> Bool {
        guard let first = bytes.firstIndex(where: { $0 != 0 }) else { return true }
        let mark = bytes[first...].prefix(GroupMark.size)
        return GroupMark(Array(mark), at: offset + first - bytes.startIndex) != nil
            && bytes[mark.endIndex...].allSatisfy { $0 == 0 }
    }
}
