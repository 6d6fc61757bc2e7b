internal import ZooKeeperModel
internal import ZooKeeperWire

/// Where an entry begins, for the operator.
struct EntryPlace {
    var file: String
    var offset: Int

    func damaged(_ reason: String) -> JournalError {
        .damaged(file: file, offset: offset, reason: reason)
    }
}

/// One run of the recovery.
struct Recovery {
    let disk: any Disk
    let configuration: JournalConfiguration
    var summary = RecoverySummary(snapshotZxid: .zero, lastZxid: .zero)
    /// The log to go on with.
    var log: TransactionLog

    /// Log files by the zxid in their names, oldest first.
    private var files: [(name: String, zxid: Zxid)] = []
    private var snapshotNames: [(name: String, zxid: Zxid)] = []
    private var compressedNames: [(name: String, zxid: Zxid)] = []
    private var chosenSnapshot = ""
    /// Snapshots newer than the one chosen are bad.
    private var hasPassedOver: Bool { chosenSnapshot != snapshotNames.first?.name }
    /// What is missing on this disk was never there.
    private var isTrusted = false
    /// From this zxid on the tree's digest must be equal to the log's; nil: never.
    var digestsHoldAfter: Zxid?
    var snapshotDigest: SnapshotDigest?
    /// The end of what is good in each file that was read.
    private var goodEnds: [(name: String, end: Int)] = []
    /// Of the newest file: up to here it was synced by whoever wrote it.
    private var knownDurableEnd = 0
    private var firstEntryRead: Zxid?
    private var historyStart: Zxid?

    init(disk: any Disk, configuration: JournalConfiguration) {
        self.disk = disk
        self.configuration = configuration
        log = TransactionLog(disk: disk, configuration: configuration)
    }

    private func logPath(_ name: String) -> String { configuration.logDirectory + "/" + name }
    private func dataPath(_ name: String) -> String { configuration.dataDirectory + "/" + name }

    mutating func run(_ visitor: inout some RecoveryVisitor) throws(JournalError) {
        let emptyFiles: [String]
        do throws(DiskError) {
            try list()
            emptyFiles = try dropTrailingEmptyFiles()
        } catch { throw .disk(error) }
        try checkPlaces()
        try ensureSnapshot()
        let snapshot = try loadSnapshot(&visitor)
        summary.snapshotZxid = snapshot
        summary.lastZxid = snapshot
        try compareSnapshotDigest(at: snapshot, visitor)
        try replay(after: snapshot, &visitor)
        do throws(DiskError) {
            try settle(removing: emptyFiles)
        } catch { throw .disk(error) }
        let epochs: (accepted: Int64, current: Int64)
        do throws(DiskError) {
            let noted = try SideFile(disk: disk, directory: configuration.dataDirectory).load()
            isTrusted = !configuration.isMember || noted.state == .trusted
            summary.ensemble = noted.ensemble
        } catch { throw .disk(error) }
        epochs = try EpochFiles(disk: disk, directory: configuration.dataDirectory).recover(
            lastZxid: summary.lastZxid,
            isComplete: isTrusted,
            notes: &summary.notes
        )
        summary.acceptedEpoch = epochs.accepted
        summary.currentEpoch = epochs.current
    }

    // MARK: What is there

    private mutating func list() throws(DiskError) {
        for name in try disk.list(configuration.logDirectory) {
            if let zxid = FileNames.logZxid(name) { files.append((name, zxid)) }
        }
        files.sort { $0.zxid < $1.zxid }
        for name in try disk.list(configuration.dataDirectory).sorted() {
            if let zxid = FileNames.snapshotZxid(name) {
                snapshotNames.append((name, zxid))
            } else if let zxid = FileNames.compressedSnapshotZxid(name) {
                compressedNames.append((name, zxid))
                summary.notes.append("\(dataPath(name)) was passed over: it is compressed")
            }
        }
        snapshotNames.sort { $0.zxid > $1.zxid }
    }

    /// A crash right after a file was begun leaves it without content. Nothing in it was ever
    /// acknowledged, and the next transaction will want its name.
    private mutating func dropTrailingEmptyFiles() throws(DiskError) -> [String] {
        var empty: [String] = []
        while let last = files.last {
            let path = logPath(last.name)
            let reason: String?
            switch try LogScanner.header(of: path, on: disk) {
            case .wrong: return empty
            case .good:
                var scanner = try scanner(last.name)
                guard case .end(let end) = try scanner.next() else { return empty }
                if case .damaged = end { return empty }
                reason = try LogEnd(scanner).contradiction(to: end).reason
            case .missing:
                reason =
                    try disk.size(path) ?? 0 < LogScanner.headerBytes
                    ? nil
                    : try LogEnd(scanner(last.name, from: 0)).contradiction(to: .clean).reason
            }
            guard reason == nil else { return empty }
            files.removeLast()
            empty.append(last.name)
            summary.notes.append("\(path) holds no transaction and was removed")
        }
        return empty
    }

    /// ZooKeeper refuses mixed-up directories as well: they are a mistake in the configuration.
    private func checkPlaces() throws(JournalError) {
        guard configuration.dataDirectory != configuration.logDirectory else { return }
        do throws(DiskError) {
            for name in try disk.list(configuration.dataDirectory).sorted()
            where FileNames.logZxid(name) != nil {
                throw DiskError(
                    "\(dataPath(name)) is a log, but logs belong in \(configuration.logDirectory)"
                )
            }
            for name in try disk.list(configuration.logDirectory).sorted()
            where FileNames.snapshotZxid(name) != nil {
                throw DiskError(
                    "\(logPath(name)) is a snapshot, but snapshots belong in "
                        + configuration.dataDirectory
                )
            }
        } catch { throw .misplaced(error.description) }
    }

    // MARK: The snapshot

    /// What this server cannot read is not missing: nothing may be put aside, or begun anew, since
    /// a recovery without it fails.
    func explained(_ error: JournalError) -> JournalError {
        let unread = compressedNames.filter {
            chosenSnapshot.isEmpty || $0.zxid > summary.snapshotZxid
        }
        guard error.isDamage, let newest = unread.max(by: { $0.zxid < $1.zxid }) else {
            return error
        }
        return .misplaced(
            "\(error). \(dataPath(newest.name)) is newer than the snapshot that was read, and "
                + "compressed snapshots are not read: let the server that wrote it write one without "
                + "snapshot.compression.method, or, where the others of an ensemble serve without "
                + "this one, remove version-2 to be sent everything"
        )
    }

    private mutating func ensureSnapshot() throws(JournalError) {
        guard snapshotNames.isEmpty else { return }
        if !compressedNames.isEmpty && (files.isEmpty || !configuration.trustsMissingSnapshot) {
            throw .refused("no snapshot in \(configuration.dataDirectory) can be read")
        }
        if !files.isEmpty && !configuration.trustsMissingSnapshot {
            throw .refused(
                "\(configuration.logDirectory) has logs, but \(configuration.dataDirectory) has "
                    + "no snapshot: data may be missing. If it is known to be complete, start "
                    + "once with snapshot.trust.empty=true"
            )
        }
        summary.isFresh = files.isEmpty
        do throws(DiskError) {
            var writer = try SnapshotWriter(
                disk: disk,
                directory: configuration.dataDirectory,
                zxid: .zero,
                isInstall: false
            )
            try writer.write(SnapshotWriter.emptyBody())
            _ = try writer.finish(digest: SnapshotWriter.emptyDigest)
            let name = FileNames.snapshot(.zero)
            try disk.rename(writer.file, to: dataPath(name))
            try disk.syncDirectory(configuration.dataDirectory)
            snapshotNames = [(name, .zero)]
        } catch { throw .disk(error) }
    }

    private mutating func loadSnapshot(
        _ visitor: inout some RecoveryVisitor
    ) throws(JournalError) -> Zxid {
        for found in snapshotNames.prefix(100) {
            let file = dataPath(found.name)
            visitor.beginSnapshot(zxid: found.zxid)
            let outcome: SnapshotReader.Outcome
            do throws(DiskError) {
                outcome = try SnapshotReader(disk: disk, file: file)
                    .read { element throws(RecoveryRefusal) in try visitor.visit(element) }
            } catch { throw .disk(error) }
            switch outcome {
            case .unsound(let reason):
                summary.notes.append("\(file) is bad and was passed over: \(reason)")
            case .sound(let digest, let size):
                do throws(RecoveryRefusal) {
                    try visitor.endSnapshot(
                        zxid: found.zxid,
                        digestsHoldAfter: digest.map { max($0.zxid, found.zxid) }
                    )
                } catch {
                    summary.notes.append("\(file) is bad and was passed over: \(error.reason)")
                    continue
                }
                snapshotDigest = digest
                summary.snapshotBytes = size
                chosenSnapshot = found.name
                return found.zxid
            }
        }
        throw .refused(
            "no snapshot in \(configuration.dataDirectory) is sound: "
                + summary.notes.joined(separator: "; ")
        )
    }

    // MARK: The log

    private mutating func replay(
        after snapshot: Zxid,
        _ visitor: inout some RecoveryVisitor
    ) throws(JournalError) {
        let start = files.lastIndex { $0.zxid <= snapshot } ?? 0
        var previous: Zxid?
        var repeats = Repeats(
            disk: disk,
            files: files[start...].map { logPath($0.name) },
            maximumEntryBytes: configuration.maximumEntryBytes
        )
        for index in files.indices where index >= start {
            let file = files[index]
            let isLast = index == files.count - 1
            var isFirst = true
            var scanner: LogScanner
            do throws(DiskError) { scanner = try self.scanner(file.name) } catch {
                throw .disk(error)
            }
            try checkHeader(file.name)
            while true {
                let offset = scanner.offset
                let step: LogScanner.Step
                do throws(DiskError) { step = try scanner.next() } catch { throw .disk(error) }
                guard case .entry(let zxid, let bytes, _) = step else {
                    guard case .end(let end) = step else { break }
                    try finishFile(file.name, end, scanner, isLast: isLast)
                    break
                }
                let entry = EntryPlace(file: logPath(file.name), offset: offset)
                if isFirst, zxid != file.zxid {
                    throw entry.damaged(
                        "the first transaction is \(zxid), not that of the file's name"
                    )
                }
                if let previous, zxid <= previous {
                    try repeats.compare(zxid, bytes, at: entry, after: previous)
                    // Which of two files has what follows a zxid is not clear any more.
                    if isFirst { historyStart = previous }
                    isFirst = false
                    continue
                }
                if firstEntryRead == nil { firstEntryRead = zxid }
                if zxid > snapshot {
                    let before = max(snapshot, previous ?? snapshot)
                    if !before.isFollowed(by: zxid) {
                        // At a boundary a file is missing. Within a file, servers before 3.9.4
                        // have logged what their leader sent with a gap.
                        // A bad snapshot may have been what filled it.
                        let isKnown = isFirst || before == snapshot || hasPassedOver
                        let isTrusted = snapshot == .zero && configuration.trustsMissingSnapshot
                        guard isTrusted || !isKnown else {
                            throw entry.damaged(
                                "the transactions between \(before) and \(zxid) are missing"
                            )
                        }
                        historyStart = zxid
                        summary.notes.append(
                            "\(logPath(file.name)) has no transactions between \(before) and "
                                + "\(zxid)"
                        )
                    }
                    try apply(bytes, zxid, entry, &visitor)
                }
                previous = zxid
                isFirst = false
            }
        }
        summary.notes += repeats.notes
        summary.lastZxid = max(snapshot, previous ?? snapshot)
        // A log that ends before the snapshot: what follows will not lead up to it.
        if let previous, previous < snapshot { historyStart = snapshot }
        try checkPassedOver()
    }

    /// A snapshot gets its name when the log is durable up to it. Where a bad one says more than the
    /// log holds, transactions that were acknowledged are gone, however the log ends.
    private func checkPassedOver() throws(JournalError) {
        for found in snapshotNames {
            if found.name == chosenSnapshot { return }
            let file = dataPath(found.name)
            do throws(DiskError) {
                guard found.zxid > summary.lastZxid,
                    try SnapshotReader(disk: disk, file: file).looksComplete()
                else { continue }
            } catch { throw .disk(error) }
            throw .refused(
                "\(file) is bad, and the log ends before it, at \(summary.lastZxid): "
                    + "transactions are missing"
            )
        }
    }

    private mutating func apply(
        _ bytes: [UInt8],
        _ zxid: Zxid,
        _ entry: EntryPlace,
        _ visitor: inout some RecoveryVisitor
    ) throws(JournalError) {
        let transaction: Transaction
        do throws(WireError) {
            transaction = try TransactionCodec.decode(bytes)
        } catch { throw entry.damaged("transaction \(zxid) cannot be read: \(error)") }
        do throws(RecoveryRefusal) {
            try visitor.visit(transaction, encoded: bytes)
        } catch { throw entry.damaged("transaction \(zxid) cannot be applied: \(error.reason)") }
        summary.transactionCount += 1
        if let snapshotDigest, snapshotDigest.zxid == zxid {
            compare(visitor.treeDigest, snapshotDigest.digest, at: zxid)
        }
        if let after = digestsHoldAfter, zxid > after, let digest = transaction.digest {
            compare(visitor.treeDigest, digest, at: zxid)
        }
    }

    private func checkHeader(_ name: String) throws(JournalError) {
        let header: LogScanner.Header
        do throws(DiskError) {
            header = try LogScanner.header(of: logPath(name), on: disk)
        } catch { throw .disk(error) }
        // A missing header leaves a file without entries; whether any are missing shows next.
        guard header != .wrong else {
            throw .damaged(
                file: logPath(name),
                offset: 0,
                reason: "it does not begin as a log of version 2"
            )
        }
    }

    /// Decides whether the end of this file is one that a crash explains.
    private mutating func finishFile(
        _ name: String,
        _ end: LogScanner.End,
        _ scanner: LogScanner,
        isLast: Bool
    ) throws(JournalError) {
        let path = logPath(name)
        let offset = scanner.offset
        switch end {
        case .damaged(let reason):
            throw .damaged(file: path, offset: offset, reason: reason)
        case .torn(let reason):
            summary.notes.append("\(path) ends at offset \(offset): \(reason)")
        case .clean: break
        }
        // Of an older file, the next one's first transaction must follow: nothing is missing then.
        if isLast {
            let found: (reason: String?, durableEnd: Int?)
            do throws(DiskError) {
                found = try LogEnd(scanner).contradiction(to: end)
            } catch { throw .disk(error) }
            if let reason = found.reason {
                throw .damaged(file: path, offset: offset, reason: reason)
            }
            knownDurableEnd = found.durableEnd ?? 0
        }
        goodEnds.append((name, offset))
    }

    private func scanner(
        _ name: String,
        from offset: Int = LogScanner.headerBytes
    ) throws(DiskError) -> LogScanner {
        LogScanner(
            disk: disk,
            file: logPath(name),
            from: offset,
            limit: try disk.size(logPath(name)) ?? 0,
            maximumEntryBytes: configuration.maximumEntryBytes
        )
    }

    /// The only changes to files that were read: removes empty ones, cuts what follows the end,
    /// and makes durable what was read.
    private mutating func settle(removing emptyFiles: [String]) throws(DiskError) {
        for name in emptyFiles { try disk.remove(logPath(name)) }
        for (index, good) in goodEnds.enumerated() {
            let path = logPath(good.name)
            if index == goodEnds.count - 1 {
                try settle(path, end: good.end)
            } else {
                try disk.syncFile(path)
            }
        }
        try disk.syncFile(dataPath(chosenSnapshot))
        try disk.syncDirectory(configuration.logDirectory)
        try disk.syncDirectory(configuration.dataDirectory)

        let segments = files.map { file in
            TransactionLog.Segment(
                name: file.name,
                firstZxid: file.zxid,
                end: goodEnds.first { $0.name == file.name }?.end
            )
        }
        // What precedes the snapshot in the file that reaches across it is served too.
        let start =
            historyStart ?? min(summary.snapshotZxid, firstEntryRead ?? summary.snapshotZxid)
        log = TransactionLog(
            disk: disk,
            configuration: configuration,
            segments: segments,
            lastZxid: summary.lastZxid,
            historyStart: start
        )
    }

    /// The newest file: durable up to its end, and marked so.
    private func settle(_ path: String, end: Int) throws(DiskError) {
        let mark = try GroupMark.read(path, at: GroupMark.place(after: end), on: disk)
        let isMarked = mark?.end == end
        if !isMarked, try disk.size(path) ?? 0 > end { try disk.truncate(path, to: end) }
        try rewriteTail(path, end: end)
        try disk.syncFile(path)
        // Only now: it says that all before it is durable.
        try TransactionLog.seal(path, end: end, on: disk)
        // Where there was another mark, that would do.
        if !isMarked { try disk.syncFile(path) }
    }

    /// Writes the bytes that may never have been synced once more. Where the process before this
    /// one died of a failed sync, the system holds them, takes them for written and would not write
    /// them for another sync. The bytes are the same, so a power loss meanwhile does no harm.
    private func rewriteTail(_ path: String, end: Int) throws(DiskError) {
        var offset = max(
            knownDurableEnd,
            end - TransactionLog.maximumGroupBytes - configuration.maximumEntryBytes
        )
        while offset < end {
            let bytes = try disk.read(path, at: offset, count: min(1 << 20, end - offset))
            guard !bytes.isEmpty else { return }
            try disk.write(path, at: offset, bytes)
            offset += bytes.count
        }
    }
}
