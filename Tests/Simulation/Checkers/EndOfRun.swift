internal import Replication
internal import ZooKeeperModel
internal import Znodes

/// Judges the end of a run: everything healed, nothing under way. One checker a file.
extension World {
    func checkEnd() {
        for client in clients {
            guard let workload = client.workload else { continue }
            history.operations += workload.history
        }
        guard failures.isEmpty else { return }
        if acknowledgedWrites < SimulationPlan.leastWrites {
            fail("only \(acknowledgedWrites) writes were acknowledged although all was healed")
        }
        guard let tree = checkReplicas() else { return }
        for client in clients {
            if let workload = client.workload {
                if workload.pendingCount > 0 {
                    fail("client \(client.index) still waits for \(workload.pendingCount)")
                }
                checkDurability(workload, tree)
            }
            if let mount = client.mount { checkFiles(mount, tree) }
        }
        checkModel()
        checkCounter(tree)
        checkEphemerals(tree)
        checkLeftovers()
        checkLinearizability()
    }

    func data(_ path: ZnodePath, _ tree: ZnodeTree) -> [UInt8]? {
        tree.find(path).flatMap { tree.data(of: $0) }
    }

    private func checkLinearizability() {
        let verdicts = Linearizability.judge(history)
        for key in verdicts.keys.sorted() {
            switch verdicts[key] {
            case .violated(let stuck): fail("\(key) is not linearizable: \(stuck)")
            case .undecided: cover("linearizability undecided")
            case .linearizable, nil: cover("linearizable")
            }
        }
    }
}

extension World {
    /// Operations of clients and system calls on mounts that were answered well.
    package var acknowledgedCount: Int {
        clients.reduce(0) { count, client in
            count + (client.workload?.acknowledged ?? 0)
                + (client.mount.map { $0.calls - $0.failures } ?? 0)
        }
    }

    /// Writes of clients that were answered well.
    package var acknowledgedWrites: Int {
        clients.reduce(0) { $0 + ($1.workload?.writes ?? 0) + ($1.mount?.writes ?? 0) }
    }

    /// A run's worth in one line.
    package var summary: String {
        let lifes = servers.map { String($0.life) }.joined(separator: " ")
        let observers = plan.observerCount > 0 ? ", \(plan.observerCount) observing" : ""
        return "seed \(plan.seed): \(plan.serverCount) servers\(observers) (lifes \(lifes)),"
            + " \(now.nanoseconds / 1_000_000_000) s, \(faultCount) faults,"
            + " \(acknowledgedWrites) writes, \(acknowledgedCount) acknowledged, trace \(String(trace.digest, radix: 16))"
            + " of \(trace.lineCount) lines"
    }
}
