internal import ClientCore
internal import ZooKeeperModel

/// Clients whose process ends, and those that go to another server.
extension World {
    /// A client's process is gone, and nobody ends its session. Another one takes over its work, with
    /// a session of its own and no memory of what was seen.
    func clientDies(_ index: Int) {
        guard held[.client(index)] == nil, clients[index].workload != nil,
            !clients[index].stopsWorking, !clients[index].isLeaving
        else { return }
        note("client \(index) dies")
        cover("client died")
        // Its system says so, or its whole host is gone and servers hear nothing more.
        let isHeard = random.chance(1, in: 2)
        for number in clients[index].connections.values.sorted() where isHeard {
            closeConnection(number, by: .client(index))
        }
        replaceClient(index)
    }

    /// A client ends its session, and leaves.
    func clientLeaves(_ index: Int) {
        note("client \(index) leaves")
        cover("client left")
        clients[index].isLeaving = true
        feedClient(index, .close)
    }

    /// Another process takes up the work of one that is gone.
    func replaceClient(_ index: Int) {
        let old = clients[index]
        let client = SimulatedClient(
            index: index,
            isMount: false,
            serverCount: plan.serverCount,
            clock: old.clock,
            random: old.random.split(),
            now: now
        )
        client.life = old.life + 1
        client.workload = old.workload
        client.workload?.processDied()
        clients[index] = client
        feedClient(index, .start)
    }

    /// A client gives up its connection and connects to another server, as after a reset or where
    /// somebody balances connections.
    func clientMoves(_ index: Int) {
        for (attempt, number) in clients[index].connections.sorted(by: { $0.value < $1.value }) {
            note("client \(index) leaves its server")
            closeConnection(number, by: .client(index))
            clients[index].connections[attempt] = nil
            feedClient(index, .disconnected(attempt, reason: "it moves"))
        }
    }
}
