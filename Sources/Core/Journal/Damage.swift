internal import ZooKeeperModel

/// What a member of an ensemble does where its files are not what it wrote: it puts them aside and
/// goes on with an empty disk, without a vote, until a leader has sent it everything.
extension Journal {
    /// Before anything is read: what an earlier start left unfinished, and the operator's word.
    func prepareMember(notes: inout [String]) throws(JournalError) {
        do throws(DiskError) {
            if try sideFile.load().state == .leaving {
                try putAside(isBegun: true)
                notes.append("putting damaged files aside was completed")
            }
            guard let file = configuration.initializeFile, try disk.size(file) != nil else {
                return
            }
            try sideFile.update { $0.state = .trusted }
            try disk.remove(file)
            notes.append("\(file) was found and removed: what this disk holds counts as complete")
        } catch { throw .disk(error) }
    }

    var sideFile: SideFile { SideFile(disk: disk, directory: configuration.dataDirectory) }

    /// Puts aside everything that the next recovery would read. The promise not to hear earlier
    /// epochs stays, as far as it is known.
    func putAside(isBegun: Bool) throws(DiskError) {
        let directories =
            configuration.dataDirectory == configuration.logDirectory
            ? [configuration.dataDirectory]
            : [configuration.dataDirectory, configuration.logDirectory]
        if !isBegun {
            // From here on it has no vote, whatever happens.
            try sideFile.update { $0.state = .leaving }
            for directory in directories {
                for name in try disk.list(directory).sorted()
                where name.hasPrefix(FileNames.damagedPrefix) {
                    try disk.remove(directory + "/" + name)
                }
            }
        }
        let epochs = EpochFiles(disk: disk, directory: configuration.dataDirectory)
        var promised: Int64 = 0
        for kind in [EpochKind.accepted, .current] {
            if let found = try? epochs.load(kind) { promised = max(promised, found) }
        }
        for directory in directories {
            for name in try disk.list(directory).sorted() {
                if let zxid = FileNames.logZxid(name) ?? FileNames.snapshotZxid(name) {
                    promised = max(promised, zxid.epoch)
                }
            }
        }
        do throws(JournalError) {
            try epochs.store(.accepted, promised)
            try epochs.store(.current, 0)
        } catch { throw DiskError(error.description) }
        for directory in directories {
            for name in try disk.list(directory).sorted()
            where FileNames.logZxid(name) != nil || FileNames.snapshotZxid(name) != nil
                || FileNames.isCompressedSnapshot(name)
            {
                try disk.rename(
                    directory + "/" + name,
                    to: directory + "/" + FileNames.damagedPrefix + name
                )
            }
            try disk.syncDirectory(directory)
        }
        try sideFile.update { $0.state = .damaged }
    }

    /// Whether this server's word counts, from what the recovery has found.
    func suffrage(_ summary: RecoverySummary) throws(DiskError) -> Suffrage {
        guard configuration.isMember else { return .full }
        guard summary.currentEpoch == 0 else {
            // It has been synchronized since, or was trusted.
            try sideFile.update { $0.state = nil }
            return .full
        }
        switch try sideFile.load().state {
        case .leaving, .damaged: return .lost
        case .trusted: return .full
        case nil:
            // A server alone, of another make, numbers its transactions without an epoch. Anything
            // else that has no current epoch has not finished its first synchronization.
            let isAlone = summary.lastZxid > .zero && summary.lastZxid.epoch == 0
            return isAlone ? .full : .none
        }
    }
}

extension JournalError {
    /// Whether a leader's database in place of this one is a way out.
    var isDamage: Bool {
        switch self {
        case .damaged, .refused: true
        case .disk, .misplaced, .notInLog, .failedBefore, .misuse: false
        }
    }
}
