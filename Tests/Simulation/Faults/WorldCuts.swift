internal import ZooKeeperModel

/// What a cut blocks, until it ends.
struct Cut: Sendable {
    var routes: [Route]
    /// A flapping cut is up half of the time.
    var isUp = true
}

/// Cuts of the network, and resets.
extension World {
    /// Separates these servers, and the clients that happen to be on their side, from the others.
    func cut(_ kind: FaultKind, _ group: [Int]) {
        let inside = Set(group.map { Host.server($0) })
        var near = inside
        var outside: [Host] = servers.indices.map { .server($0) }.filter { !inside.contains($0) }
        for client in clients.indices {
            switch random.below(4) {
            // This side, the other, and two that see both.
            case 0: near.insert(.client(client))
            case 1: outside.append(.client(client))
            default: break
            }
        }
        // A partial cut leaves some of the others in touch with everybody.
        if outside.count > 1, random.chance(1, in: 3) { outside.removeLast() }
        let outgoing = near.sorted(by: { "\($0)" < "\($1)" }).flatMap { one in
            outside.map { Route(from: one, to: $0) }
        }
        let incoming = outgoing.map { Route(from: $0.to, to: $0.from) }
        var routes: [Route] = []
        switch kind {
        case .oneWay: routes = random.chance(1, in: 2) ? outgoing : incoming
        default: routes = outgoing + incoming
        }
        lastCut += 1
        cuts[lastCut] = Cut(routes: routes)
        for route in routes { network.block(route) }
        // Half of the time somebody resets what crosses the cut; else all of it just waits.
        if kind == .partition, random.chance(1, in: 2) { breakConnections(across: routes) }
        agenda.plan(
            .endCut(lastCut),
            at: now + random.duration(300_000_000...6_000_000_000)
        )
        if kind == .flapping { planFlap(lastCut) }
    }

    private func planFlap(_ number: Int) {
        agenda.plan(.flap(number), at: now + random.duration(20_000_000...900_000_000))
    }

    func flap(_ number: Int) {
        guard let cut = cuts[number] else { return }
        cuts[number]?.isUp.toggle()
        if cut.isUp {
            for route in cut.routes { unblock(route) }
        } else {
            for route in cut.routes { network.block(route) }
        }
        planFlap(number)
    }

    func endCut(_ number: Int) {
        guard let cut = cuts.removeValue(forKey: number) else { return }
        note("cut \(number) ends")
        if cut.isUp { for route in cut.routes { unblock(route) } }
        for one in servers.indices {
            for other in servers.indices where one < other {
                let route = Route(from: .server(one), to: .server(other))
                let back = Route(from: .server(other), to: .server(one))
                guard cut.routes.contains(route) || cut.routes.contains(back) else { continue }
                if linksDown.contains(route) || random.chance(1, in: 4) {
                    agenda.plan(.linkUp(one, other), at: now + network.delay())
                }
                linksDown.remove(route)
            }
        }
    }

    /// What waited arrives now, in its order.
    private func unblock(_ route: Route) {
        network.unblock(route)
        guard network.isOpen(route), let waiting = stalled.removeValue(forKey: route) else {
            return
        }
        for event in waiting { handle(event) }
    }

    /// Both ends hear of the end, each in its own time; what was under way is lost.
    private func breakConnections(across routes: [Route]) {
        let routes = Set(routes)
        for number in network.numbers(where: {
            routes.contains(Route(from: $0.from, to: $0.to))
        }) {
            breakConnection(number)
        }
        for one in servers.indices {
            for other in servers.indices
            where one < other && routes.contains(Route(from: .server(one), to: .server(other))) {
                linksDown.insert(Route(from: .server(one), to: .server(other)))
                for (index, peer) in [(one, other), (other, one)]
                where servers[index].process != nil {
                    planLinkDown(index, peer, after: random.duration(1_000_000...2_000_000_000))
                }
            }
        }
    }

    func breakConnection(_ number: UInt64) {
        guard let connection = network.close(number) else { return }
        for host in [connection.from, connection.to] {
            agenda.plan(
                .closed(number, at: host, connection, isReset: true),
                at: now + random.duration(1_000_000...2_500_000_000)
            )
        }
    }

    func resetConnection(of index: Int) {
        let host = Host.server(index)
        let numbers = network.numbers { $0.from == host || $0.to == host }
        guard !numbers.isEmpty else { return }
        breakConnection(numbers[random.below(numbers.count)])
    }
}
