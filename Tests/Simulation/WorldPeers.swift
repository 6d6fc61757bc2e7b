internal import Replication
internal import Zab
internal import ZooKeeperModel

/// The members' connections to one another.
extension World {
    /// A new election link between two members. An end that has not noticed the loss of the one
    /// before notices it now.
    func linkUp(_ one: Int, _ other: Int) {
        guard servers[one].process != nil, servers[other].process != nil,
            network.canReach(.server(one), .server(other))
        else { return }
        for (index, peer) in [(one, other), (other, one)] {
            linkGenerations[index][peer] += 1
            feed(index, servers[index].life, .electionDisconnected(servers[peer].id))
            feed(index, servers[index].life, .electionConnected(servers[peer].id))
        }
    }

    /// Plans the moment at which `index` notices that its link to `peer` is gone.
    func planLinkDown(_ index: Int, _ peer: Int, after delay: Duration) {
        agenda.plan(
            .linkDown(
                index,
                peer,
                life: servers[index].life,
                generation: linkGenerations[index][peer]
            ),
            at: now + delay
        )
    }

    func linkDown(_ index: Int, _ peer: Int, _ life: Int, _ generation: Int) {
        guard linkGenerations[index][peer] == generation else { return }
        feed(index, life, .electionDisconnected(servers[peer].id))
    }

    func send(_ notification: ElectionNotification, _ index: Int, _ to: ServerID) {
        guard let other = servers.firstIndex(where: { $0.id == to }) else { return }
        let route = Route(from: .server(index), to: .server(other))
        agenda.plan(
            .notification(
                from: index,
                to: other,
                life: servers[other].life,
                notification
            ),
            at: network.arrival(on: route, now: now)
        )
    }

    func connectToLeader(_ index: Int, _ leader: ServerID) {
        guard let other = servers.firstIndex(where: { $0.id == leader }) else { return }
        guard network.canReach(.server(index), .server(other)) else {
            // Nothing comes back: the attempt ends by its own timeout.
            agenda.plan(
                .refused(.server(index), nil, life: servers[index].life),
                at: now + random.duration(100_000_000...1_000_000_000)
            )
            return
        }
        guard servers[other].process != nil else {
            agenda.plan(
                .refused(.server(index), nil, life: servers[index].life),
                at: now + network.delay()
            )
            return
        }
        let number = network.open(from: .server(index), to: .server(other), now: now)
        let arrival = now + network.delay()
        agenda.plan(.accepted(number), at: arrival)
        agenda.plan(.opened(number), at: arrival + network.delay())
    }
}
