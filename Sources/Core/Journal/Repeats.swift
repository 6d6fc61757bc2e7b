internal import ZooKeeperModel

/// Transactions that are in the log already and come once more.
///
/// Apache's server logs what its leader sends it again where it looked for a leader without a new
/// start, or synchronized in two steps: a file then goes 1 … 9, 4 … 20. Such a stretch says nothing
/// new, if it is the same to the byte as what was there before; anything else is damage. It is compared
/// by reading the log anew from the front, so it costs no memory, and time only where it occurs.
struct Repeats {
    private let disk: any Disk
    private let maximumEntryBytes: Int
    /// The log's files, oldest first.
    private let files: [String]
    /// The reader of the earlier copies: what it read last, and what it reads next.
    private var reader: (zxid: Zxid, file: Int, scanner: LogScanner)?
    private var counts: [(file: String, count: Int)] = []

    init(disk: any Disk, files: [String], maximumEntryBytes: Int) {
        self.disk = disk
        self.files = files
        self.maximumEntryBytes = maximumEntryBytes
    }

    var notes: [String] {
        counts.map { "\($0.file) holds \($0.count) transactions that the log has already" }
    }

    /// Throws unless an earlier entry is this transaction.
    mutating func compare(
        _ zxid: Zxid,
        _ bytes: [UInt8],
        at entry: EntryPlace,
        after previous: Zxid
    ) throws(JournalError) {
        let earlier: [UInt8]?
        do throws(DiskError) { earlier = try find(zxid, before: entry) } catch {
            throw .disk(error)
        }
        guard let earlier else {
            throw entry.damaged("transaction \(zxid) comes after \(previous)")
        }
        guard earlier == bytes else {
            throw entry.damaged("transaction \(zxid) is another one than before")
        }
        if counts.last?.file == entry.file {
            counts[counts.count - 1].count += 1
        } else {
            counts.append((entry.file, 1))
        }
    }

    /// The first entry with this zxid; nil where there is none before this place.
    private mutating func find(
        _ zxid: Zxid,
        before place: EntryPlace
    ) throws(DiskError) -> [UInt8]? {
        // A stretch goes on where the reader stands; another one begins it anew.
        var reader = self.reader
        if reader == nil || reader.map({ $0.zxid >= zxid }) == true {
            reader = (.none, 0, try scanner(0))
        }
        self.reader = nil
        guard var reader else { return nil }
        while reader.scanner.file != place.file || reader.scanner.offset < place.offset {
            guard case .entry(let found, let bytes, _) = try reader.scanner.next() else {
                guard reader.scanner.file != place.file else { return nil }
                reader.file += 1
                reader.scanner = try scanner(reader.file)
                continue
            }
            // Itself a repetition.
            guard found > reader.zxid else { continue }
            reader.zxid = found
            guard found >= zxid else { continue }
            self.reader = reader
            return found == zxid ? bytes : nil
        }
        return nil
    }

    private func scanner(_ file: Int) throws(DiskError) -> LogScanner {
        LogScanner(
            disk: disk,
            file: files[file],
            from: LogScanner.headerBytes,
            limit: try disk.size(files[file]) ?? 0,
            maximumEntryBytes: maximumEntryBytes
        )
    }
}
