internal import Replication
internal import ZooKeeperModel
internal import Znodes

/// Exact equality of replicas.
extension World {
    /// All servers serve, and hold the same tree.
    func checkReplicas() -> ZnodeTree? {
        var trees: [ZnodeTree] = []
        for server in servers {
            guard let process = server.process, process.replica.status.isServing else {
                fail("server \(server.index) does not serve although all is healed")
                return nil
            }
            if process.replica.status.digestMismatches > 0 {
                fail("server \(server.index) has met digests that are not its tree's")
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
}
