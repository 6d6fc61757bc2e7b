package import ZooKeeperModel
internal import ZooKeeperWire

/// Carries out what a replica asks of its disk, and waits where that has no room.
///
/// A failed write or sync is final for the ``Journal`` that met it, whatever the reason: what the
/// disk holds of it is not known. Where the reason was a lack of room, this keeps what is not done,
/// and answers nothing of it. Once there is room it recovers the files as a start of the server
/// would: what is torn is cut, what was read is written once more and synced. Then it goes on with
/// the rest, in a new file.
///
///     asked for    1 2 3 4 5 6 7 8
///     answered     1 2 3             must be found again
///     found        1 2 3 4 5         whole, and durable now
///     kept             4 5 6 7 8     from memory, without those that were found
///
/// What is kept is bounded by its owner, who asks for nothing more before this has answered.
package final class PatientJournal {
    package private(set) var journal: Journal
    private let disk: any Disk
    /// What waits for room, in order; nil while nothing does.
    private var undone: [StorageRequest]?

    package struct Answer: Equatable {
        package var results: [StorageResult] = []
        /// Why the rest waits for room, for the operator; nil where all is done. ``resume()`` is due
        /// from time to time then, and nothing else.
        package var waitsBecause: String?
        /// Sentences for the operator: a cut tail, removed leftovers.
        package var notes: [String] = []
    }

    /// Takes over the journal, which must have been recovered.
    package init(_ journal: Journal, on disk: any Disk) {
        self.journal = journal
        self.disk = disk
    }

    package var isWaiting: Bool { undone != nil }
    /// Not for want of room: it will do nothing any more.
    package var hasFailed: Bool { journal.failure != nil && !isWaiting }

    /// Carries out requests in order; appends that follow each other become durable together and
    /// are answered once. `.failed` is the last answer where something else than room was missing.
    package func perform(batch: [StorageRequest]) -> Answer {
        precondition(undone == nil, "something was asked of a disk that is waited for")
        return answer(journal.perform(batch: batch))
    }

    private func answer(_ outcome: Journal.BatchOutcome) -> Answer {
        guard journal.lacksRoom, case .failed(let reason)? = outcome.results.last else {
            return Answer(results: outcome.results)
        }
        undone = outcome.undone
        return Answer(results: outcome.results.dropLast(), waitsBecause: reason)
    }

    /// Goes on where there is room now.
    package func resume() -> Answer {
        guard let waiting = undone else { return Answer() }
        let fresh = Journal(disk: disk, configuration: journal.configuration)
        fresh.isSuccessor = true
        let summary: RecoverySummary
        do throws(JournalError) {
            try findRoom()
            var visitor = Passage()
            summary = try fresh.recover(&visitor)
        } catch {
            if case .disk(let reason) = error, reason.isNoSpace {
                return Answer(waitsBecause: reason.description)
            }
            return fail("\(error)")
        }
        guard summary.lastZxid >= journal.durableZxid else {
            return fail(
                "the log ends at \(summary.lastZxid), but \(journal.durableZxid) was on disk"
            )
        }
        fresh.resumeSnapshot(of: journal)
        journal = fresh
        undone = nil
        let rest = Self.rest(of: waiting, after: summary.lastZxid)
        var answer = answer(fresh.perform(batch: rest.requests))
        if rest.areSomeFound {
            answer.results.insert(.persisted(upTo: summary.lastZxid), at: 0)
        }
        answer.notes = summary.notes
        return answer
    }

    private func fail(_ reason: String) -> Answer {
        undone = nil
        return Answer(results: [.failed(reason)])
    }

    /// Only what came first can be on disk already: appends that were not synced.
    private static func rest(
        of waiting: [StorageRequest],
        after last: Zxid
    ) -> (requests: [StorageRequest], areSomeFound: Bool) {
        var requests: [StorageRequest] = []
        var areSomeFound = false
        var index = 0
        while index < waiting.count, case .append(let proposals) = waiting[index] {
            let missing = proposals.filter { $0.zxid > last }
            if missing.count < proposals.count { areSomeFound = true }
            if !missing.isEmpty { requests.append(.append(missing)) }
            index += 1
        }
        return (requests + waiting[index...], areSomeFound)
    }

    /// By writing: no other question is answered for quotas, or for all file systems. The unfinished
    /// snapshot makes room first, since it is of no more use.
    private func findRoom() throws(JournalError) {
        let configuration = journal.configuration
        do throws(DiskError) {
            for name in try disk.list(configuration.dataDirectory)
            where name.hasPrefix(FileNames.partialPrefix) {
                try disk.remove(configuration.dataDirectory + "/" + name)
            }
            try findRoom(in: configuration.logDirectory, bytes: configuration.roomBytes)
            if configuration.dataDirectory != configuration.logDirectory {
                try findRoom(in: configuration.dataDirectory, bytes: configuration.roomBytes)
            }
        } catch { throw .disk(error) }
    }

    private func findRoom(in directory: String, bytes: Int) throws(DiskError) {
        let file = directory + "/" + FileNames.roomProbe
        var problem: DiskError?
        do throws(DiskError) {
            var position = 0
            while position < bytes {
                let piece = [UInt8](repeating: 0, count: min(1 << 20, bytes - position))
                try disk.write(file, at: position, piece)
                position += piece.count
            }
            try disk.syncFile(file)
        } catch { problem = error }
        if try disk.size(file) != nil { try disk.remove(file) }
        if let problem { throw problem }
    }
}

/// The tree is in memory already: what is read only has to be sound.
private struct Passage: RecoveryVisitor {
    mutating func beginSnapshot(zxid: Zxid) {}
    mutating func visit(_ element: SnapshotElement) {}
    mutating func endSnapshot(zxid: Zxid, digestsHoldAfter: Zxid?) {}
    mutating func visit(_ transaction: Transaction, encoded: [UInt8]) {}
    var treeDigest: TreeDigestValue? { nil }
}
