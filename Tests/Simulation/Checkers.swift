internal import Replication
internal import ZnodeFS
internal import ZooKeeperModel
internal import Znodes

/// Judges the end of a run: everything healed, nothing under way.
extension World {
    func checkEnd() {
        guard failures.isEmpty else { return }
        guard let tree = checkReplicas() else { return }
        for client in clients {
            if let workload = client.workload {
                if workload.pendingCount > 0 {
                    fail("client \(client.index) still waits for \(workload.pendingCount)")
                }
                check(workload, tree)
            }
            if let mount = client.mount { check(mount, tree) }
        }
        checkCounter(tree)
        checkEphemerals(tree)
    }

    /// All servers serve, and hold the same tree.
    private func checkReplicas() -> ZnodeTree? {
        var trees: [ZnodeTree] = []
        for server in servers {
            guard let process = server.process, process.replica.status.isServing else {
                fail("server \(server.index) does not serve although all is healed")
                return nil
            }
            trees.append(process.replica.tree)
        }
        for (index, tree) in trees.enumerated()
        where tree.lastZxid != trees[0].lastZxid || tree.digest != trees[0].digest {
            fail(
                "server \(index) is at \(tree.lastZxid) with digest \(tree.digest), server 0 at"
                    + " \(trees[0].lastZxid) with \(trees[0].digest)"
            )
            return nil
        }
        return trees.first
    }

    private func data(_ path: ZnodePath, _ tree: ZnodeTree) -> [UInt8]? {
        tree.find(path).flatMap { tree.data(of: $0) }
    }

    private func check(_ workload: Workload, _ tree: ZnodeTree) {
        for path in workload.acknowledgedCreates.keys.sorted()
        where data(path, tree) != workload.acknowledgedCreates[path] {
            fail("\(path) was acknowledged and is not there")
        }
        if workload.registerSent > 0, let value = Workload.value(data(workload.register, tree)) {
            if value < workload.registerAcknowledged || value > workload.registerSent {
                fail(
                    "\(workload.register) is \(value); acknowledged"
                        + " \(workload.registerAcknowledged), sent \(workload.registerSent)"
                )
            }
        }
        note("client \(workload.number): \(workload.acknowledged) ok, \(workload.lost) lost")
    }

    /// Compare-and-set counts exactly what was acknowledged, and at most what was lost besides.
    private func checkCounter(_ tree: ZnodeTree) {
        var acknowledged = 0
        var lost = 0
        for client in clients {
            guard let workload = client.workload else { continue }
            acknowledged += workload.increments
            lost += workload.lostIncrements
        }
        guard let value = Workload.value(data(Workload.counter, tree)) else {
            if acknowledged > 0 { fail("the counter is gone") }
            return
        }
        if value < acknowledged || value > acknowledged + lost {
            fail("the counter is \(value); \(acknowledged) acknowledged, \(lost) lost")
        }
    }

    private func checkEphemerals(_ tree: ZnodeTree) {
        let sessions = Set(clients.compactMap { $0.sessionID })
        for client in clients {
            let path = ZnodePath("/ephemeral-\(client.index)")
            guard let node = tree.find(path) else { continue }
            let owner = tree.stat(of: node).ephemeralOwner
            if !sessions.contains(owner) {
                fail("\(path) outlived its session \(owner)")
            }
        }
    }

    private func check(_ mount: MountWorkload, _ tree: ZnodeTree) {
        note(
            "mount \(mount.number): \(mount.calls) calls, \(mount.failures) failed,"
                + " \(mount.appended.count) lines"
        )
        let log = data("/log", tree) ?? []
        var counts: [Int: Int] = [:]
        let prefix = "\(mount.number)-"
        for line in String(decoding: log, as: UTF8.self).split(separator: "\n")
        where line.hasPrefix(prefix) {
            guard let number = Int(line.dropFirst(prefix.count)),
                number <= mount.appendsTried
            else {
                fail("the log has a line that nobody wrote: \(line)")
                continue
            }
            counts[number, default: 0] += 1
        }
        for number in counts.keys.sorted() where counts[number, default: 0] > 1 {
            fail("line \(prefix)\(number) is in the log twice")
        }
        for number in mount.appended where counts[number] == nil {
            fail("line \(prefix)\(number) was acknowledged and is not in the log")
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

    /// A run's worth in one line.
    package var summary: String {
        let lifes = servers.map { String($0.life) }.joined(separator: " ")
        return "seed \(plan.seed): \(plan.serverCount) servers (lifes \(lifes)),"
            + " \(acknowledgedCount) acknowledged, trace \(String(trace.digest, radix: 16))"
            + " of \(trace.lineCount) lines"
    }
}
