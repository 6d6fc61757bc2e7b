internal import ZooKeeperModel
internal import ZooKeeperWire

/// One log file, read from the front.
///
/// ```
/// offset 0   int   magic "ZKLG"
///        4   int   version, 2
///        8   long  database id, 0
///       16   entries, each: long Adler-32 of the entry's bytes · int length · bytes · 0x42 "B"
///            zeros to the end of the file, with one ``GroupMark`` among them
/// ```
///
/// After a power loss any of the last unsynced sectors may be missing (they read as zeros, or the
/// file ends early), so the scanner tells three ends apart: a clean one, a torn one that a missing
/// sector explains, and damage, which nothing explains.
struct LogScanner {
    static let headerBytes = FileHeader.size
    private static let checksumBytes = 8
    /// Checksum and length before the bytes.
    static let entryHeaderBytes = 12
    /// What a transaction has at least: its header.
    static let minimumEntryBytes = 32
    static let endMark: UInt8 = 0x42
    static let sectorBytes = 512
    private static let chunkBytes = 256 << 10

    enum Step {
        case entry(zxid: Zxid, bytes: [UInt8], end: Int)
        case end(End)
    }

    enum End: Hashable {
        /// Zeros or the file's end where the next entry would begin.
        case clean
        /// An entry begins and does not end, as a power loss leaves it.
        case torn(String)
        case damaged(String)
    }

    enum Header: Hashable { case good, missing, wrong }

    let disk: any Disk
    let file: String
    let maximumEntryBytes: Int
    /// Where the next entry begins: the end of the good part so far.
    private(set) var offset: Int
    /// Where the entry that begins there says that it ends; nil where it does not say.
    private(set) var claimedEnd: Int?
    /// Nothing at or after this offset is looked at.
    private let limit: Int
    /// Bytes of the file from `chunkStart` on.
    private var chunk: [UInt8] = []
    private var chunkStart: Int

    init(disk: any Disk, file: String, from offset: Int, limit: Int, maximumEntryBytes: Int) {
        self.disk = disk
        self.file = file
        self.offset = offset
        self.limit = limit
        self.maximumEntryBytes = maximumEntryBytes
        chunkStart = offset
    }

    /// A header of zeros, or one cut short, is what a crash leaves of a file just begun.
    static func header(of file: String, on disk: any Disk) throws(DiskError) -> Header {
        let bytes = try disk.read(file, at: 0, count: headerBytes)
        if bytes.count < headerBytes || bytes.allSatisfy({ $0 == 0 }) { return .missing }
        // The database id is not looked at, as Apache does not.
        return bytes[..<8].elementsEqual(FileHeader.log.bytes[..<8]) ? .good : .wrong
    }

    mutating func next() throws(DiskError) -> Step {
        let available = try fill(Self.entryHeaderBytes)
        guard available >= Self.entryHeaderBytes else {
            let start = offset - chunkStart
            return chunk[start...].allSatisfy { $0 == 0 }
                ? .end(.clean) : .end(.torn("the last entry's header is cut short"))
        }
        var index = offset - chunkStart
        let checksum = Self.integer(chunk, index, 8)
        let length = Int(Int32(truncatingIfNeeded: Self.integer(chunk, index + 8, 4)))
        claimedEnd = nil
        if length == 0 {
            if checksum == 0 { return .end(.clean) }
            let isLost = try isAnySectorLost(in: offset..<(offset + Self.entryHeaderBytes))
            let isLast = try isLast(piece: offset + Self.checksumBytes)
            return isLost || isLast
                ? .end(.torn("the last entry has a checksum and no length"))
                : .end(.damaged("an entry has a checksum and no length"))
        }
        guard length > 0, length <= maximumEntryBytes else {
            return .end(.damaged("an entry's length is \(length)"))
        }
        let whole = Self.entryHeaderBytes + length + 1
        claimedEnd = offset + whole
        guard try fill(whole) >= whole else {
            return .end(.torn("the last entry is cut short"))
        }
        index = offset - chunkStart
        let bytes = Array(chunk[(index + Self.entryHeaderBytes)..<(index + whole - 1)])
        let mark = chunk[index + whole - 1]
        guard checksum == UInt64(Adler32.checksum(of: bytes)) else {
            if try isLast(piece: offset + Self.entryHeaderBytes) {
                return .end(.torn("of the last entry only checksum and length were written"))
            }
            return try isAnySectorLost(in: offset..<(offset + whole))
                ? .end(.torn("a sector of the last entry was never written"))
                : .end(.damaged("an entry of \(length) bytes does not match its checksum"))
        }
        guard mark == Self.endMark else {
            let isLost = try isAnySectorLost(in: (offset + whole - 1)..<(offset + whole))
            let isLast = try isLast(piece: offset + whole - 1)
            return mark == 0 && (isLost || isLast)
                ? .end(.torn("the last entry's end mark was never written"))
                : .end(.damaged("an entry ends with byte \(mark)"))
        }
        guard length >= Self.minimumEntryBytes else {
            return .end(.damaged("an entry of \(length) bytes has no transaction header"))
        }
        offset += whole
        let zxid = Zxid(rawValue: Int64(bitPattern: Self.integer(bytes, 12, 8)))
        return .entry(zxid: zxid, bytes: bytes, end: offset)
    }

    /// Whether nothing at all follows here. Apache's server collects the pieces of its entries
    /// (checksum, length, bytes, end mark) in a buffer that it writes whenever the next piece does not
    /// fit, so a kill leaves an entry that ends between two of them, anywhere in a sector, and the
    /// file's padding behind it. In a log of this server a mark follows.
    private func isLast(piece end: Int) throws(DiskError) -> Bool {
        try Self.endOfContent(of: file, from: end, on: disk) == nil
    }

    /// Whether a power loss explains that bytes in this range of the entry are not what they
    /// should be.
    func isAnySectorLost(in range: Range<Int>) throws(DiskError) -> Bool {
        try LostSectors(disk: disk, file: file).isAny(in: range, ofEntryAt: offset)
    }

    /// Makes up to `count` bytes from `offset` on available in the chunk; how many there are.
    private mutating func fill(_ count: Int) throws(DiskError) -> Int {
        let available = chunkStart + chunk.count - offset
        if available >= count { return available }
        let wanted = min(max(count, Self.chunkBytes), limit - offset)
        guard wanted > 0 else { return max(0, available) }
        chunk = try disk.read(file, at: offset, count: wanted)
        chunkStart = offset
        return chunk.count
    }

    /// The offset just after the last byte that is not zero, at or after `start`; nil if all are.
    static func endOfContent(
        of file: String,
        from start: Int,
        on disk: any Disk
    ) throws(DiskError) -> Int? {
        var offset = start
        var result: Int?
        while true {
            let bytes = try disk.read(file, at: offset, count: chunkBytes)
            if bytes.isEmpty { return result }
            // A plain loop: this passes over megabytes of padding.
            var count = bytes.count
            while count > 0 && bytes[count - 1] == 0 { count -= 1 }
            if count > 0 { result = offset + count }
            offset += bytes.count
        }
    }

    private static func integer(_ bytes: [UInt8], _ start: Int, _ count: Int) -> UInt64 {
        var value: UInt64 = 0
        for index in start..<(start + count) { value = value << 8 | UInt64(bytes[index]) }
        return value
    }
}
