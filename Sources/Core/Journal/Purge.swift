internal import ZooKeeperModel

extension Journal {
    /// Removes what no start needs any more: all but the newest complete snapshots, and the log
    /// files that lie wholly before the oldest of these. Returns the files' names.
    package func purge() throws(JournalError) -> [String] {
        var removed: [String] = []
        try guarded { () throws(JournalError) in
            do throws(DiskError) {
                removed = try removeSuperseded()
            } catch { throw .disk(error) }
        }
        return removed
    }

    private func removeSuperseded() throws(DiskError) -> [String] {
        let directory = configuration.dataDirectory
        var kept: [Zxid] = []
        var old: [String] = []
        for found in try snapshots() {
            if kept.count == configuration.retainedSnapshots {
                old.append(found.name)
            } else if try SnapshotReader(disk: disk, file: directory + "/" + found.name)
                .looksComplete()
            {
                kept.append(found.zxid)
            }
        }
        guard kept.count == configuration.retainedSnapshots, let oldest = kept.last else {
            return []
        }
        for name in old { try disk.remove(directory + "/" + name) }
        // Gone for certain before their logs go: a start from one of them would miss transactions.
        if !old.isEmpty { try disk.syncDirectory(directory) }

        let before = log.segments.filter { $0.firstZxid <= oldest }
        // The last of these holds what follows the oldest snapshot.
        let unneeded = before.dropLast().map(\.name)
        for name in unneeded { try disk.remove(configuration.logDirectory + "/" + name) }
        // Not synced: where one comes back, no start reads it and the next purge removes it.
        log.forget(unneeded)
        return old + unneeded
    }

    /// Plain snapshots in the data directory, newest first.
    func snapshots() throws(DiskError) -> [(name: String, zxid: Zxid)] {
        var result: [(name: String, zxid: Zxid)] = []
        for name in try disk.list(configuration.dataDirectory) {
            if let zxid = FileNames.snapshotZxid(name) { result.append((name, zxid)) }
        }
        return result.sorted { $0.zxid > $1.zxid }
    }
}
