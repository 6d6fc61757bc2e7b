internal import Journal
internal import Replication
internal import ZooKeeperModel

/// The servers' disk threads.
extension World {
    private func diskDelay() -> Duration { random.duration(100_000...4_000_000) }

    /// The replica asks its disk for something.
    func take(_ request: StorageRequest, _ process: ServerProcess, _ index: Int) {
        switch request {
        case .beginSnapshot: cover("snapshot")
        case .append(let proposals):
            for proposal in proposals {
                let failure = commits.appended(
                    proposal.zxid,
                    content: proposal.bytes.hashValue,
                    server: index
                )
                if let failure { fail(failure) }
            }
            watchProposals(proposals, process)
            watchTransactions(proposals, process, index)
        case .storeEpoch, .storeEnsemble, .beginInstall, .snapshotSlice, .finishSnapshot,
            .abandonSnapshot,
            .readLog:
            break
        }
        if let stores = plan.planted?.stores {
            process.pendingStorage += stores(request, &process.bug)
            process.inbox += process.bug.takeFeedback()
        } else {
            process.pendingStorage.append(request)
        }
    }

    func submitStorage(_ process: ServerProcess, _ index: Int, _ life: Int) {
        guard process.storageUnderWay == nil else { return }
        var delay = diskDelay()
        if !process.pendingStorage.isEmpty {
            process.storageUnderWay = .requests(gathered(process.pendingStorage))
            process.pendingStorage = []
        } else if let zxid = process.pendingTruncation {
            process.pendingTruncation = nil
            process.storageUnderWay = .truncate(zxid)
        } else if process.isPurgeDue {
            process.isPurgeDue = false
            process.storageUnderWay = .purge
        } else {
            return
        }
        if let stall = servers[index].stall {
            servers[index].stall = nil
            delay = stall
        }
        agenda.plan(.storageDone(index, life: life), at: now + delay)
    }

    /// Appends in a row are one request with all of their proposals, as in the real server's queue.
    private func gathered(_ requests: [StorageRequest]) -> [StorageRequest] {
        var result: [StorageRequest] = []
        var appends: [Proposal] = []
        for request in requests {
            if case .append(let proposals) = request {
                appends += proposals
                continue
            }
            if !appends.isEmpty { result.append(.append(appends)) }
            appends = []
            result.append(request)
        }
        if !appends.isEmpty { result.append(.append(appends)) }
        return result
    }

    func storageDone(_ index: Int, _ life: Int) {
        guard servers[index].life == life, let process = servers[index].process,
            let work = process.storageUnderWay
        else { return }
        process.storageUnderWay = nil
        switch work {
        case .requests(let requests): perform(requests, process, index, life)
        case .truncate(let zxid): truncate(to: zxid, process, index, life)
        case .purge: purge(process, index, life)
        case .resume: hear(process.journal.resume(), process, index, life)
        }
    }

    private func perform(
        _ requests: [StorageRequest],
        _ process: ServerProcess,
        _ index: Int,
        _ life: Int
    ) {
        // Before the answers, some of which may come only when there is room.
        for case .append(let proposals) in requests {
            for proposal in proposals { servers[index].log.append(proposal.zxid) }
        }
        for case .beginInstall(let zxid) in requests { servers[index].installing = zxid }
        hear(process.journal.perform(batch: requests), process, index, life)
    }

    /// A batch is done, or done in part and waits for room.
    private func hear(
        _ answer: PatientJournal.Answer,
        _ process: ServerProcess,
        _ index: Int,
        _ life: Int
    ) {
        // Nothing else is asked of it before it has room.
        if process.journal.isWaiting { process.storageUnderWay = .resume }
        record(answer.results, index)
        for case .snapshotStored in answer.results where random.chance(1, in: 2) {
            process.isPurgeDue = true
        }
        var heard = answer.results
        if let answers = plan.planted?.answers {
            heard = heard.flatMap { answers($0, &process.bug) }
        }
        for result in heard { feed(index, life, .storage(result)) }
        guard servers[index].life == life else { return }
        if process.isWaitingForRoom != process.journal.isWaiting {
            process.isWaitingForRoom = process.journal.isWaiting
            cover(process.isWaitingForRoom ? "waits for room" : "room again")
            note("server \(index): \(answer.waitsBecause ?? "there is room again")")
            feed(index, life, .diskFull(process.isWaitingForRoom))
            guard servers[index].life == life else { return }
        }
        if process.isWaitingForRoom {
            agenda.plan(.storageDone(index, life: life), at: now + .seconds(1))
        } else {
            submitStorage(process, index, life)
        }
    }

    /// What the disk holds now, as far as it has answered.
    private func record(_ results: [StorageResult], _ index: Int) {
        for result in results {
            switch result {
            case .persisted(let zxid): servers[index].log.synced(upTo: zxid)
            case .epochStored(let kind, let epoch): servers[index].log.stored(kind, epoch)
            case .snapshotStored(let zxid):
                if servers[index].installing == zxid {
                    servers[index].log.installed(zxid)
                    servers[index].installing = nil
                }
            case .snapshotSliceWritten, .snapshotLost, .logRead, .failed: break
            }
        }
    }

    private func purge(_ process: ServerProcess, _ index: Int, _ life: Int) {
        do {
            let names = try process.journal.journal.purge()
            if !names.isEmpty {
                cover("purge")
                note("server \(index) removes \(names.count) files")
            }
            submitStorage(process, index, life)
        } catch {
            guard servers[index].isDiskFailing || servers[index].isDiskFull else {
                fail("server \(index) cannot purge: \(error)")
                return
            }
            feed(index, life, .storage(.failed("\(error)")))
        }
    }

    private func truncate(
        to zxid: Zxid,
        _ process: ServerProcess,
        _ index: Int,
        _ life: Int
    ) {
        do {
            let journal = process.journal.journal
            try journal.truncate(to: zxid)
            let state = try SimulatedRecovery.recover(journal).state
            servers[index].log.recovered(
                upTo: state.lastZxid,
                acceptedEpoch: nil,
                currentEpoch: nil
            )
            feed(index, life, .recovered(state))
        } catch JournalError.notInLog {
            note("server \(index) cannot be cut at \(zxid)")
            feed(index, life, .truncationRefused)
        } catch {
            guard servers[index].isDiskFailing || servers[index].isDiskFull else {
                fail("server \(index) cannot truncate to \(zxid): \(error)")
                return
            }
            feed(index, life, .storage(.failed("\(error)")))
        }
    }
}
