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
        case .storeEpoch, .beginInstall, .snapshotSlice, .finishSnapshot, .abandonSnapshot,
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
            process.storageUnderWay = .requests(process.pendingStorage)
            process.pendingStorage = []
        } else if let zxid = process.pendingTruncation {
            process.pendingTruncation = nil
            process.storageUnderWay = .truncate(zxid)
        } else {
            return
        }
        if let stall = servers[index].stall {
            servers[index].stall = nil
            delay = stall
        }
        agenda.plan(.storageDone(index, life: life), at: now + delay)
    }

    func storageDone(_ index: Int, _ life: Int) {
        guard servers[index].life == life, let process = servers[index].process,
            let work = process.storageUnderWay
        else { return }
        process.storageUnderWay = nil
        switch work {
        case .requests(let requests): perform(requests, process, index, life)
        case .truncate(let zxid): truncate(to: zxid, process, index, life)
        }
    }

    private func perform(
        _ requests: [StorageRequest],
        _ process: ServerProcess,
        _ index: Int,
        _ life: Int
    ) {
        let results = process.journal.perform(batch: requests)
        var heard = results
        record(requests, results, index)
        if let answers = plan.planted?.answers {
            heard = results.flatMap { answers($0, &process.bug) }
        }
        for result in heard { feed(index, life, .storage(result)) }
        guard servers[index].life == life else { return }
        submitStorage(process, index, life)
    }

    /// What the disk holds now, as far as it has answered.
    private func record(_ requests: [StorageRequest], _ results: [StorageResult], _ index: Int) {
        for case .append(let proposals) in requests {
            for proposal in proposals { servers[index].log.append(proposal.zxid) }
        }
        var installing: Zxid?
        for case .beginInstall(let zxid) in requests { installing = zxid }
        for result in results {
            switch result {
            case .persisted: servers[index].log.synced()
            case .epochStored(let kind, let epoch): servers[index].log.stored(kind, epoch)
            case .snapshotStored(let zxid):
                if installing == zxid || servers[index].installing == zxid {
                    servers[index].log.installed(zxid)
                    servers[index].installing = nil
                }
            case .snapshotSliceWritten, .logRead, .failed: break
            }
        }
        if let installing { servers[index].installing = installing }
    }

    private func truncate(
        to zxid: Zxid,
        _ process: ServerProcess,
        _ index: Int,
        _ life: Int
    ) {
        do {
            try process.journal.truncate(to: zxid)
            let state = try SimulatedRecovery.recover(process.journal)
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
