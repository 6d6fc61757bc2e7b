/// The place at which the newest log file seems to end, and what lies behind it.
struct LogEnd {
    /// It stands at the place.
    private let scanner: LogScanner

    init(_ scanner: LogScanner) { self.scanner = scanner }

    /// What lies behind must be what is left of the last group of entries, which was being written
    /// when the power failed. Returns what speaks against that, and up to where the file is known to
    /// have been durable.
    func contradiction(
        to end: LogScanner.End
    ) throws(DiskError) -> (reason: String?, durableEnd: Int?) {
        let (disk, file, offset) = (scanner.disk, scanner.file, scanner.offset)
        guard let content = try LogScanner.endOfContent(of: file, from: offset, on: disk) else {
            return (nil, nil)
        }
        let lastMark = try GroupMark.read(file, at: content - GroupMark.size, on: disk)
        if let lastMark {
            if offset == lastMark.end { return (nil, lastMark.start) }
            if offset < lastMark.start {
                return ("what was written here was durable when more was written behind it", nil)
            }
            if let claimed = scanner.claimedEnd, claimed > lastMark.end {
                return (
                    "an entry is said to end at \(claimed), the last one at \(lastMark.end)", nil
                )
            }
        } else if try GroupMark.isCutShort(file, after: offset, on: disk) {
            return (nil, nil)
        } else if try GroupMark.read(file, at: GroupMark.place(after: offset), on: disk)?.end
            == offset
        {
            // The mark of the group before: it would be gone if the next one had become durable.
            return (nil, nil)
        }
        if case .clean = end {
            let header = offset..<(offset + LogScanner.entryHeaderBytes)
            guard try scanner.isAnySectorLost(in: header) else {
                return ("the log goes on behind zeros that no missing sector explains", nil)
            }
        }
        if let lastMark { return (nil, lastMark.start) }
        let reach = TransactionLog.maximumGroupBytes + scanner.maximumEntryBytes
        return content - offset <= reach
            ? (nil, nil) : ("the log seems to end here, but goes on further back", nil)
    }
}
