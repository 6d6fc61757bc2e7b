internal import ZooKeeperModel

/// `acceptedEpoch` and `currentEpoch`: decimal digits without a newline, replaced as a whole.
struct EpochFiles {
    let disk: any Disk
    let directory: String

    func name(_ kind: EpochKind) -> String {
        switch kind {
        case .accepted: directory + "/acceptedEpoch"
        case .current: directory + "/currentEpoch"
        }
    }

    /// Nil where there is no such file.
    func load(_ kind: EpochKind) throws(JournalError) -> Int64? { try load(name(kind)) }

    private func load(_ file: String) throws(JournalError) -> Int64? {
        let bytes: [UInt8]
        do throws(DiskError) {
            guard try disk.size(file) != nil else { return nil }
            bytes = try disk.read(file, at: 0, count: 64)
        } catch { throw .disk(error) }
        // People write these files by hand and leave a newline.
        let digits = bytes.prefix { $0 != 0x0A && $0 != 0x0D && $0 != 0x20 }
        let text = String(decoding: digits, as: UTF8.self)
        guard let value = Int64(text), value >= 0 else {
            throw .refused("\(file) does not hold a number")
        }
        return value
    }

    /// Durable once this returns.
    func store(_ kind: EpochKind, _ epoch: Int64) throws(JournalError) {
        let file = name(kind)
        let draft = file + ".tmp"
        let text = Array(String(epoch).utf8)
        do throws(DiskError) {
            try disk.write(draft, at: 0, text)
            // An older draft may have been longer.
            try disk.truncate(draft, to: text.count)
            try disk.syncFile(draft)
            try disk.rename(draft, to: file)
            try disk.syncDirectory(directory)
        } catch { throw .disk(error) }
    }

    /// Loads both, writes what is missing, and refuses what cannot be.
    /// - Parameter isComplete: a missing file was never there; otherwise, with a history of any
    ///   epoch, it is lost and a promise with it.
    func recover(
        lastZxid: Zxid,
        isComplete: Bool,
        notes: inout [String]
    ) throws(JournalError) -> (accepted: Int64, current: Int64) {
        let storedAccepted = try load(.accepted)
        let storedCurrent = try load(.current)
        if !isComplete, lastZxid.epoch > 0, storedAccepted == nil || storedCurrent == nil {
            let missing = name(storedAccepted == nil ? .accepted : .current)
            throw .refused("\(missing) is missing, but there are transactions up to \(lastZxid)")
        }
        var current = storedCurrent ?? lastZxid.epoch
        if lastZxid.epoch > current {
            if let draft = try? load(name(.current) + ".tmp"), draft >= lastZxid.epoch {
                // A crash between writing the draft and renaming it: the promise was made.
                notes.append("\(name(.current)) was completed from its draft: \(draft)")
                current = draft
            } else if let storedAccepted, storedAccepted >= lastZxid.epoch {
                // A crash while it was taking over the history of a leader it had accepted, which
                // comes before the promise to hold that history. It still holds the older one as
                // far as elections go: whoever established the newer epoch wins over it.
                notes.append(
                    "the log reaches \(lastZxid), but \(name(.current)) holds \(current): the "
                        + "last synchronization was not finished"
                )
            } else {
                throw .refused(
                    "\(name(.current)) holds \(current), but the log reaches \(lastZxid): the "
                        + "file is older than the log"
                )
            }
        }
        let accepted = storedAccepted ?? max(lastZxid.epoch, current)
        guard accepted >= current else {
            throw .refused(
                "\(name(.accepted)) holds \(accepted), less than the \(current) in "
                    + "\(name(.current))"
            )
        }
        // First the larger promise.
        if storedAccepted != accepted { try store(.accepted, accepted) }
        if storedCurrent != current { try store(.current, current) }
        return (accepted, current)
    }
}
