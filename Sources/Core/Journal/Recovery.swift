internal import ZooKeeperModel
internal import ZooKeeperWire

extension Journal {
    /// Reads everything back into the visitor, newest sound snapshot first and then the log, and
    /// makes the journal ready to append. May be asked again at any time.
    ///
    /// Nothing is changed on disk before all of it was read and found sound, except for what a
    /// crash left that no reader looks at. Then the log's torn end is cut, and everything that was
    /// read is synced: after a mere kill of the process, bytes are read back that no power loss
    /// would leave, and the caller will vouch for them.
    package func recover(
        _ visitor: inout some RecoveryVisitor
    ) throws(JournalError) -> RecoverySummary {
        if let failure { throw .failedBefore(failure) }
        let isStart = !isRecovered && !isSuccessor
        if isRecovered { try guarded { () throws(JournalError) in try log.roll() } }
        isRecovered = false
        var recovery = Recovery(disk: disk, configuration: configuration)
        do throws(JournalError) {
            try prepareDirectories(notes: &recovery.summary.notes)
            if configuration.isMember, isStart {
                try prepareMember(notes: &recovery.summary.notes)
            }
            do throws(JournalError) {
                try recovery.run(&visitor)
            } catch let failure {
                let error = recovery.explained(failure)
                // Later than at the start the peer above has counted on what was here.
                guard configuration.isMember, isStart, error.isDamage else { throw error }
                try startAnew(after: error, &recovery, &visitor)
            }
            log = recovery.log
            do throws(DiskError) {
                recovery.summary.suffrage = try suffrage(recovery.summary)
            } catch { throw .disk(error) }
        } catch {
            fail(error)
            throw error
        }
        snapshotBytes = recovery.summary.snapshotBytes
        recovered(upTo: recovery.summary.lastZxid)
        return recovery.summary
    }

    private func startAnew(
        after damage: JournalError,
        _ recovery: inout Recovery,
        _ visitor: inout some RecoveryVisitor
    ) throws(JournalError) {
        do throws(DiskError) { try putAside(isBegun: false) } catch { throw .disk(error) }
        let notes = recovery.summary.notes
        recovery = Recovery(disk: disk, configuration: configuration)
        recovery.summary.notes =
            notes + [
                "\(damage). All logs and snapshots were put aside as "
                    + "\(FileNames.damagedPrefix)*: this server has no vote until a leader has sent it "
                    + "everything"
            ]
        try recovery.run(&visitor)
    }

    private func prepareDirectories(notes: inout [String]) throws(JournalError) {
        do throws(DiskError) {
            var parents: [String] = []
            for directory in [configuration.dataDirectory, configuration.logDirectory] {
                try disk.createDirectory(directory)
                let parent = directory.lastIndex(of: "/").map { String(directory[..<$0]) } ?? ""
                if !parents.contains(parent) { parents.append(parent) }
            }
            for parent in parents { try disk.syncDirectory(parent) }
            for name in try disk.list(configuration.dataDirectory).sorted() {
                if let zxid = FileNames.installZxid(name) {
                    try completeInstall(zxid)
                    notes.append("the installation of the leader's tree \(zxid) was completed")
                } else if name.hasPrefix(FileNames.partialPrefix) {
                    try disk.remove(configuration.dataDirectory + "/" + name)
                }
            }
        } catch { throw .disk(error) }
    }

    /// The complete and durable tree under its interim name replaces everything. Done again from
    /// its beginning where a crash interrupts it.
    func completeInstall(_ zxid: Zxid) throws(DiskError) {
        let directory = configuration.dataDirectory
        for name in try disk.list(configuration.logDirectory).sorted()
        where FileNames.logZxid(name) != nil {
            try disk.remove(configuration.logDirectory + "/" + name)
        }
        for name in try disk.list(directory).sorted()
        where FileNames.snapshotZxid(name) != nil || FileNames.isCompressedSnapshot(name) {
            try disk.remove(directory + "/" + name)
        }
        try disk.syncDirectory(configuration.logDirectory)
        try disk.syncDirectory(directory)
        try disk.rename(
            directory + "/" + FileNames.install(zxid),
            to: directory + "/" + FileNames.snapshot(zxid)
        )
        try disk.syncDirectory(directory)
    }
}
