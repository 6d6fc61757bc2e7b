internal import Replication
internal import Zab
internal import ZooKeeperModel

/// What the world sees of its servers, beside what it carries for them: where they are in the
/// protocol, and what the checkers of commits are told.
extension World {
    /// Before the replica's answer to an input is carried out.
    func watch(_ input: ReplicaInput, _ process: ServerProcess, _ index: Int) {
        if case .request(let id, _) = input {
            contact(process.clients[id]?.session, process, index)
        }
        guard case .fromLeader(_, let message) = input else { return }
        switch message {
        case .diff: process.synchronization = .diff
        case .truncate: process.synchronization = .truncation
        case .snapshot: process.synchronization = .snapshot
        case .revalidate: process.sessionMoves = max(0, process.sessionMoves - 1)
        case .learnerInfo, .ackEpoch, .ack, .request, .ensemble, .leaderInfo, .snapshotSlice,
            .snapshotEnd,
            .newLeader, .upToDate, .proposal, .commit, .inform, .sync, .ping:
            break
        }
    }

    func watchSent(_ message: LearnerMessage, _ process: ServerProcess, _ index: Int) {
        switch message {
        case .diff: cover("DIFF")
        case .truncate: cover("TRUNC")
        case .snapshot: cover("SNAP")
        case .newLeader: cover("new epoch")
        case .request: cover("forwarded request")
        case .revalidate(_, _, nil):
            cover("session move")
            process.sessionMoves += 1
        case .learnerInfo, .ackEpoch, .ack, .ensemble, .leaderInfo, .snapshotSlice, .snapshotEnd,
            .upToDate,
            .proposal, .commit, .inform, .sync, .ping, .revalidate:
            break
        }
    }

    /// A transaction's type stands at offset 28; its cxid, 0 where no client asked for it, at 8.
    func watchProposals(_ proposals: [Proposal], _ process: ServerProcess) {
        for proposal in proposals where proposal.bytes.count >= 32 {
            let type = proposal.bytes[28..<32]
            let cxid = proposal.bytes[8..<12]
            if Array(type) == [0xFF, 0xFF, 0xFF, 0xF5], cxid.allSatisfy({ $0 == 0 }) {
                process.lastExpiry = proposal.zxid
                cover("expiry proposed")
            }
        }
    }

    /// After a step: tells the checkers what is served, and the fault plan where this server is.
    func observe(_ process: ServerProcess, _ index: Int) {
        let (role, zxid) = process.look { ($0.ensembleRole, $0.lastZxid) }
        if role != process.seenRole {
            process.seenRole = role
            changed(role, process, index)
        }
        if role.isServing, zxid != process.seenZxid {
            process.seenZxid = zxid
            delivered(zxid, role, process, index)
        }
        let phases = phases(process, index)
        guard phases != process.phases else { return }
        let entered = phases.subtracting(process.phases)
        process.phases = phases
        if !entered.isEmpty { entersPhases(entered, index) }
    }

    private func changed(_ role: ZabRole, _ process: ServerProcess, _ index: Int) {
        switch role {
        case .looking:
            process.hasLeader = false
            process.synchronization = nil
            process.sessionMoves = 0
        case .preparing: break
        case .following, .observing:
            // Else it shows clients what a later leader may know nothing of.
            let epoch = servers[index].log.currentEpoch
            let holders = servers[..<plan.voterCount].count { $0.hasHeld(.zero, epoch: epoch) }
            if holders <= plan.voterCount / 2 {
                fail(
                    "server \(index) serves in epoch \(epoch), which only \(holders) of"
                        + " \(plan.voterCount) voters' disks hold"
                )
            }
            caughtUp(index)
        case .leading(let epoch):
            cover("leader")
            if let failure = commits.established(
                epoch: epoch,
                leader: index,
                history: process.replica.lastZxid
            ) {
                fail(failure)
            }
            let holders = servers[..<plan.voterCount].count {
                $0.hasHeld(process.replica.lastZxid, epoch: epoch)
            }
            if holders <= plan.voterCount / 2 {
                fail(
                    "server \(index) leads epoch \(epoch), which only \(holders) of"
                        + " \(plan.voterCount) voters' disks hold with its history"
                )
            }
            caughtUp(index)
        }
    }

    private func delivered(
        _ zxid: Zxid,
        _ role: ZabRole,
        _ process: ServerProcess,
        _ index: Int
    ) {
        let digest = process.look { $0.treeDigest.value }
        if let failure = commits.delivered(zxid, digest: digest, server: index) { fail(failure) }
        guard case .leading(let epoch) = role, zxid.epoch == epoch else { return }
        let holders = servers[..<plan.voterCount].count { $0.hasHeld(zxid) }
        if let failure = commits.quorumFailure(
            zxid,
            holders: holders,
            voters: plan.voterCount
        ) {
            fail(failure)
        }
    }

    /// It serves again, with all that was committed when it was brought up to date.
    private func caughtUp(_ index: Int) { servers[index].lost = nil }

    private func phases(_ process: ServerProcess, _ index: Int) -> Set<ProtocolPhase> {
        switch process.seenRole {
        case .looking: return [.election]
        case .preparing:
            if process.hasLeader { return [process.synchronization ?? .epochChange] }
            return servers[index].log.end > commits.lastCommitted
                ? [.epochChange, .oldProposals] : [.epochChange]
        case .leading, .following, .observing:
            var phases: Set = [ProtocolPhase.broadcast]
            if process.lastExpiry > process.seenZxid { phases.insert(.expiry) }
            if process.sessionMoves > 0 { phases.insert(.sessionMove) }
            return phases
        }
    }
}
