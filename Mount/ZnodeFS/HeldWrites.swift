internal import ZooKeeperModel

/// What signals, time and the session do to writes that are held or on their way.
extension MountedTree {
    /// The caller of a held write or flush is to end.
    mutating func interruptWriter(_ request: FileRequestID, _ handle: FileHandle) {
        guard let file = files[handle]?.file else { return }
        let isInFlight = file.flightWaiters.contains {
            if case .request(let id, _) = $0.who { id == request } else { false }
        }
        let isSent =
            isInFlight
            && (file.publisher.flatMap {
                jobs[$0]?.transcript.contains { $0.isWrite && $0.isSent }
            } ?? false)
        if !isSent {
            files[handle]?.withFile { $0.takeBack(request) }
            reply(request, .failed(.interrupted))
            if isInFlight, let id = file.publisher, jobs[id]?.transcript.last?.isWrite == true {
                // The question that waits for a connection still holds what was taken back.
                jobs[id]?.transcript.removeLast()
                ready.append(id)
            }
        } else if isConnected {
            // Its answer is the truth, and it comes.
            files[handle]?.withFile { $0.interrupted.append(request) }
        } else {
            leaveUnknown(request, handle)
        }
    }

    mutating func leaveUnknown(_ request: FileRequestID, _ handle: FileHandle) {
        log(.error, "interrupted, outcome unknown: \(describe(.publish(handle)))")
        files[handle]?.withFile { file in
            file.flightWaiters.removeAll {
                if case .request(let id, _) = $0.who { id == request } else { false }
            }
            file.interrupted.removeAll { $0 == request }
        }
        reply(request, .failed(.inputOutput))
    }

    mutating func takeBackInterrupted(_ handle: FileHandle) {
        for request in files[handle]?.file?.interrupted ?? [] {
            files[handle]?.withFile { $0.takeBack(request) }
            reply(request, .failed(.interrupted))
        }
    }

    mutating func letFlushesGo(_ handle: FileHandle) {
        let at = now.instant + min(Self.longestFlush, settings.hold)
        files[handle]?.withFile { if $0.flushesEndAt == nil { $0.flushesEndAt = at } }
        noteDeadline(at)
    }

    mutating func noteDisconnection() {
        for handle in files.keys.sorted() {
            guard let file = files[handle]?.file else { continue }
            if (file.flightWaiters + file.waiters).contains(where: \.isFlush) {
                letFlushesGo(handle)
            }
            for request in file.interrupted { leaveUnknown(request, handle) }
        }
    }

    mutating func filesMayGoOn() {
        for handle in files.keys.sorted() {
            files[handle]?.withFile { $0.flushesEndAt = nil }
        }
    }

    /// Handles on the ended session's ephemerals must not pretend; other unsent data may only go
    /// over the version it began from.
    mutating func filesLostSession(_ session: SessionID) {
        for handle in files.keys.sorted() {
            guard let open = files[handle] else { continue }
            let owner = nodes[open.node]?.stat?.ephemeralOwner
            let isUnlinked = nodes[open.node]?.isUnlinked ?? false
            files[handle]?.withFile {
                $0.isCurrent = false
                if owner == session, session != .none, !isUnlinked {
                    $0.isStale = true
                } else if $0.isUnpublished, let version = $0.base.stat?.version {
                    $0.pinnedVersion = $0.pinnedVersion ?? version
                }
            }
        }
    }

    mutating func wakeFiles() {
        for handle in files.keys.sorted() {
            guard let file = files[handle]?.file else { continue }
            let isQuiet = file.quietAt.map { $0 <= now.instant } ?? false
            let hasGathered = file.groupEndsAt.map { $0 <= now.instant } ?? false
            if isQuiet || hasGathered {
                files[handle]?.withFile {
                    $0.quietAt = nil
                    $0.groupEndsAt = nil
                }
                if file.hasWrites { publishSoon(handle) }
            }
            if let at = file.flushesEndAt, at <= now.instant {
                files[handle]?.withFile { $0.flushesEndAt = nil }
                endFlushes(handle)
            }
        }
    }

    private mutating func endFlushes(_ handle: FileHandle) {
        guard !isConnected, let file = files[handle]?.file else { return }
        let flushes = (file.flightWaiters + file.waiters).filter(\.isFlush)
        guard !flushes.isEmpty else { return }
        log(
            .error,
            "a close was not held for the ensemble; \(describe(.publish(handle))) is queued"
        )
        files[handle]?.withFile {
            $0.flightWaiters.removeAll(where: \.isFlush)
            $0.waiters.removeAll(where: \.isFlush)
        }
        for flush in flushes { tell(flush, .timedOut) }
    }

    func earliestFileDeadline() -> Instant? {
        var earliest: Instant?
        for open in files.values {
            guard let file = open.file else { continue }
            for case let at? in [file.quietAt, file.groupEndsAt, file.flushesEndAt] {
                earliest = min(earliest ?? at, at)
            }
        }
        return earliest
    }
}
