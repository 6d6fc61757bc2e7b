internal import ZooKeeperModel
internal import Znodes

/// An ephemeral lives exactly as long as its session.
extension World {
    func checkEphemerals(_ tree: ZnodeTree) {
        let sessions = Set(clients.compactMap { $0.sessionID })
        for owner in tree.ephemeralOwners where !sessions.contains(owner) {
            fail("\(tree.ephemerals(of: owner)) outlived the session \(owner)")
        }
        for client in clients {
            guard let workload = client.workload else { continue }
            let path = ZnodePath("/ephemeral-\(client.index)")
            let owner = tree.find(path).map { tree.stat(of: $0).ephemeralOwner }
            if let owner, !sessions.contains(owner) {
                fail("\(path) belongs to \(owner), which is no session")
            }
            if workload.hasEphemeral, owner != client.sessionID {
                fail("\(path) was acknowledged and is not there, though its session lives")
            }
        }
    }
}
