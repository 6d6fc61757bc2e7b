internal import ZooKeeperModel
internal import ZooKeeperWire

/// The transactions, in files named for the first one in each.
///
/// Rules kept:
/// - entries are only ever added at the end; a file that this process did not begin gets no more of
///   them: it is cut, and marked as durable;
/// - a file is begun only when the one before it is durable, so after a crash only the newest file
///   can be torn;
/// - ``sync()`` makes a new file's name durable before anything in it is acknowledged;
/// - with each group of entries goes a ``GroupMark``: what lies before the group was durable when it
///   was written, so recovery takes anything missing there for damage;
/// - at most ``maximumGroupBytes`` and one entry are unsynced at any time: where the mark is missing,
///   recovery takes what lies further behind a torn place as proof that the place was once whole.
struct TransactionLog {
    /// `end` is nil for files older than the snapshot that was loaded: they were not read.
    struct Segment: Hashable {
        var name: String
        var firstZxid: Zxid
        var end: Int?
    }

    /// The file that entries go to.
    private struct Active {
        var name: String
        /// Where the next write goes.
        var position: Int
        /// All before this is durable; 0 before the first sync.
        var groupStart = 0
        /// The file is this large; zeros from `position` on.
        var paddedSize: Int
        /// Its directory entry is not durable yet.
        var isNew: Bool
    }

    /// Where a reader who asks for what follows `zxid` goes on.
    private struct Cursor {
        var zxid: Zxid
        var segment: Int
        var offset: Int
    }

    static let maximumGroupBytes = 8 << 20
    private static let writeBytes = 1 << 20
    /// Zeros are really written, not left as a hole, so that a sync of entries changes no metadata;
    /// one step is what a single sync may have to carry besides. All members do so at the same entry,
    /// so clients feel it: where a sync takes 0.17 ms it takes 5 with 1 MiB, 1.2 with this much. Smaller
    /// steps cost more in all.
    private static let paddingStepBytes = 256 << 10
    /// As Apache: the file grows when this little is left.
    private static let paddingMarginBytes = 4096

    let disk: any Disk
    let configuration: JournalConfiguration
    private(set) var segments: [Segment] = []
    /// The last transaction appended, or what the log follows.
    private(set) var lastZxid = Zxid.zero
    /// From here on the log is known to have no holes: an entry, or what the first entry follows.
    private(set) var historyStart = Zxid.zero
    private var active: Active?
    /// Entries not yet written.
    private var buffer = JuteWriter()
    /// Bytes of entries written or buffered since the last sync.
    private var unsyncedBytes = 0
    private var cursor: Cursor?

    init(disk: any Disk, configuration: JournalConfiguration) {
        self.disk = disk
        self.configuration = configuration
    }

    /// Goes on after what recovery found.
    init(
        disk: any Disk,
        configuration: JournalConfiguration,
        segments: [Segment],
        lastZxid: Zxid,
        historyStart: Zxid
    ) {
        self.init(disk: disk, configuration: configuration)
        self.segments = segments
        self.lastZxid = lastZxid
        self.historyStart = historyStart
    }

    var hasUnsynced: Bool { unsyncedBytes > 0 }
    /// All files together, without padding of the active one.
    var knownBytes: Int { segments.reduce(0) { $0 + ($1.end ?? 0) } }

    func path(_ name: String) -> String { configuration.logDirectory + "/" + name }

    // MARK: Writing

    mutating func append(_ proposal: Proposal) throws(JournalError) {
        guard proposal.zxid > lastZxid else {
            throw .misuse("\(proposal.zxid) was appended after \(lastZxid)")
        }
        guard proposal.bytes.count >= LogScanner.minimumEntryBytes,
            proposal.bytes.count <= configuration.maximumEntryBytes
        else {
            throw .misuse("\(proposal.zxid) has \(proposal.bytes.count) bytes")
        }
        if active == nil { begin(with: proposal.zxid) }
        buffer.int64(Int64(Adler32.checksum(of: proposal.bytes)))
        buffer.buffer(proposal.bytes)
        buffer.byte(LogScanner.endMark)
        unsyncedBytes += LogScanner.entryHeaderBytes + proposal.bytes.count + 1
        lastZxid = proposal.zxid
        if unsyncedBytes >= Self.maximumGroupBytes {
            try sync()
        } else if buffer.bytes.count >= Self.writeBytes {
            try write()
        }
    }

    private mutating func begin(with zxid: Zxid) {
        let name = FileNames.log(zxid)
        segments.append(Segment(name: name, firstZxid: zxid, end: 0))
        active = Active(name: name, position: 0, paddedSize: 0, isNew: true)
        buffer.raw(FileHeader.log.bytes)
    }

    private mutating func write() throws(JournalError) {
        guard var file = active, !buffer.bytes.isEmpty else { return }
        let path = path(file.name)
        do throws(DiskError) {
            let end = file.position + buffer.bytes.count
            let tail = GroupMark(start: file.groupStart, end: end).tail
            // Room for it is mostly there.
            buffer.raw(tail)
            defer { buffer.bytes.removeLast(tail.count) }
            try disk.write(path, at: file.position, buffer.bytes)
            file.position = end
            file.paddedSize = max(file.paddedSize, end + tail.count)
            try pad(&file)
        } catch { throw .disk(error) }
        buffer.bytes.removeAll(keepingCapacity: buffer.bytes.capacity <= 4 * Self.writeBytes)
        segments[segments.count - 1].end = file.position
        active = file
    }

    private func pad(_ file: inout Active) throws(DiskError) {
        guard configuration.preallocationKiB > 0,
            file.position + Self.paddingMarginBytes >= file.paddedSize
        else { return }
        let configured = configuration.preallocationKiB.multipliedReportingOverflow(by: 1024)
        let step =
            configured.overflow
            ? Self.paddingStepBytes : min(configured.partialValue, Self.paddingStepBytes)
        let end = (file.position + Self.paddingMarginBytes) / step * step + step
        try disk.write(
            path(file.name),
            at: file.paddedSize,
            [UInt8](repeating: 0, count: end - file.paddedSize)
        )
        file.paddedSize = end
    }

    /// Everything appended survives a power loss once this returns.
    mutating func sync() throws(JournalError) {
        guard unsyncedBytes > 0 else { return }
        try write()
        guard var file = active else { return }
        do throws(DiskError) {
            try disk.syncFile(path(file.name))
            if file.isNew {
                try disk.syncDirectory(configuration.logDirectory)
                file.isNew = false
            }
        } catch { throw .disk(error) }
        unsyncedBytes = 0
        file.groupStart = file.position
        active = file
        if configuration.logSizeLimitKiB > 0,
            file.position / 1024 >= configuration.logSizeLimitKiB
        {
            try roll()
        }
    }

    /// The next entry begins a new file.
    mutating func roll() throws(JournalError) {
        try sync()
        guard let file = active else { return }
        active = nil
        // The padding has done its duty. Nothing depends on this cut being durable.
        do throws(DiskError) {
            try Self.seal(path(file.name), end: file.position, on: disk)
        } catch { throw .disk(error) }
    }

    /// Says of a file that is durable up to its last entry that it is, and cuts off what is behind.
    ///
    /// It takes the place of the last group's mark, in the same sector, and only then is anything cut:
    /// whatever a power loss leaves of this, the file has one of the two. Without any, a length that
    /// has changed could not be told from an entry that was cut short.
    static func seal(_ path: String, end: Int, on disk: any Disk) throws(DiskError) {
        let tail = GroupMark(start: end, end: end).tail
        try disk.write(path, at: end, tail)
        if try disk.size(path) ?? 0 > end + tail.count {
            try disk.truncate(path, to: end + tail.count)
        }
    }

    /// Forgets all files, which the caller has removed: the log goes on after `zxid`.
    mutating func restart(after zxid: Zxid) {
        self = TransactionLog(
            disk: disk,
            configuration: configuration,
            segments: [],
            lastZxid: zxid,
            historyStart: zxid
        )
    }

    // MARK: Reading

    /// See ``StorageResult/logRead(_:isComplete:)``.
    mutating func read(
        after: Zxid,
        through: Zxid,
        maxBytes: Int
    ) throws(JournalError) -> (proposals: [Proposal]?, isComplete: Bool) {
        try write()
        if after == lastZxid { return ([], true) }
        guard after >= historyStart, after < lastZxid else { return (nil, true) }
        if through <= after { return ([], true) }

        var position: Cursor
        // Whether the entry `after` was seen, or is what the log as a whole follows.
        var isFound = true
        if let cursor, cursor.zxid == after {
            position = cursor
        } else {
            let index = segments.lastIndex { $0.firstZxid <= after } ?? 0
            position = Cursor(zxid: after, segment: index, offset: LogScanner.headerBytes)
            isFound = after == historyStart
        }
        var proposals: [Proposal] = []
        var bytesSoFar = 0
        while position.segment < segments.count {
            let segment = segments[position.segment]
            var scanner = try scanner(segment, from: position.offset)
            while let entry = try nextEntry(&scanner) {
                position.offset = entry.end
                // Apache's servers log some transactions twice: see ``Repeats``.
                guard entry.zxid > position.zxid else {
                    if entry.zxid == after { isFound = true }
                    continue
                }
                // An epoch's mark, counter 0, is in no log: a leader's promise, not a transaction.
                let isMark = after.counter == 0 && entry.zxid.epoch >= after.epoch
                guard isFound || isMark else { return (nil, true) }
                isFound = true
                if entry.zxid > through { return (proposals, true) }
                proposals.append(Proposal(zxid: entry.zxid, bytes: entry.bytes))
                bytesSoFar += entry.bytes.count
                position.zxid = entry.zxid
                cursor = position
                if entry.zxid == through || entry.zxid == lastZxid { return (proposals, true) }
                if bytesSoFar >= maxBytes { return (proposals, false) }
            }
            position.segment += 1
            position.offset = LogScanner.headerBytes
        }
        return (proposals, true)
    }

    private func scanner(
        _ segment: Segment,
        from offset: Int
    ) throws(JournalError) -> LogScanner {
        let path = path(segment.name)
        let limit: Int
        if let end = segment.end {
            limit = end
        } else {
            do throws(DiskError) { limit = try disk.size(path) ?? 0 } catch { throw .disk(error) }
        }
        return LogScanner(
            disk: disk,
            file: path,
            from: offset,
            limit: limit,
            maximumEntryBytes: configuration.maximumEntryBytes
        )
    }

    private func nextEntry(
        _ scanner: inout LogScanner
    ) throws(JournalError) -> (zxid: Zxid, bytes: [UInt8], end: Int)? {
        let step: LogScanner.Step
        do throws(DiskError) { step = try scanner.next() } catch { throw .disk(error) }
        switch step {
        case .entry(let zxid, let bytes, let end): return (zxid, bytes, end)
        case .end(.clean), .end(.torn): return nil
        case .end(.damaged(let reason)):
            throw .damaged(file: scanner.file, offset: scanner.offset, reason: reason)
        }
    }

    // MARK: Cutting

    /// Cuts everything after `zxid`, durably, newest file first, so that a crash in between leaves
    /// a longer prefix and never a hole. `isBase` says that `zxid` may be what the log follows
    /// and not an entry.
    mutating func truncate(to zxid: Zxid, isBase: Bool) throws(JournalError) {
        try roll()
        guard let cut = try place(after: zxid, isBase: isBase) else { throw .notInLog(zxid) }
        cursor = nil
        do throws(DiskError) {
            while segments.count > cut.keptSegments, let last = segments.last {
                try disk.remove(path(last.name))
                try disk.syncDirectory(configuration.logDirectory)
                segments.removeLast()
            }
            if let end = cut.lastEnd, let last = segments.last {
                try disk.truncate(path(last.name), to: end)
                try disk.syncFile(path(last.name))
                segments[segments.count - 1].end = end
            }
        } catch { throw .disk(error) }
        lastZxid = zxid
        historyStart = min(historyStart, zxid)
    }

    /// How many files stay, and where the last of them ends; nil where `zxid` is not in the log.
    func place(
        after zxid: Zxid,
        isBase: Bool
    ) throws(JournalError) -> (keptSegments: Int, lastEnd: Int?)? {
        guard var index = segments.lastIndex(where: { $0.firstZxid <= zxid }) else {
            return isBase ? (0, nil) : nil
        }
        // Where a file repeats the end of the one before, that one reaches further than its name says.
        while index > 0, try holdsMore(segments[index - 1], than: zxid) { index -= 1 }
        var scanner = try scanner(segments[index], from: LogScanner.headerBytes)
        var end = LogScanner.headerBytes
        while let entry = try nextEntry(&scanner), entry.zxid <= zxid {
            end = entry.end
            if entry.zxid == zxid { return (index + 1, end) }
        }
        return isBase ? (index + 1, end) : nil
    }

    private func holdsMore(_ segment: Segment, than zxid: Zxid) throws(JournalError) -> Bool {
        var scanner = try scanner(segment, from: LogScanner.headerBytes)
        while let entry = try nextEntry(&scanner) {
            if entry.zxid > zxid { return true }
        }
        return false
    }

    mutating func forget(_ names: [String]) {
        cursor = nil
        segments.removeAll { names.contains($0.name) }
        if let first = segments.first, first.firstZxid > historyStart {
            historyStart = first.firstZxid
        }
    }
}
