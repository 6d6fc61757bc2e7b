internal import ZooKeeperModel
internal import Znodes

/// No acknowledged write is lost, and none takes effect twice.
extension World {
    func checkDurability(_ workload: Workload, _ tree: ZnodeTree) {
        for path in workload.acknowledgedCreates.keys.sorted()
        where data(path, tree) != workload.acknowledgedCreates[path] {
            fail("\(path) was acknowledged and is not there")
        }
        if workload.own.sent > 0, let value = Workload.value(data(workload.register, tree)) {
            if !workload.own.mayRemain(value) {
                fail(
                    "\(workload.register) is \(value); acknowledged"
                        + " \(workload.own.acknowledged), sent \(workload.own.sent)"
                )
            }
        }
        note("client \(workload.number): \(workload.acknowledged) ok, \(workload.lost) lost")
    }

    /// Compare-and-set counts exactly what was acknowledged, and at most what was lost besides.
    func checkCounter(_ tree: ZnodeTree) {
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
}
