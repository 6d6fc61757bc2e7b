internal import ZooKeeperModel

/// What strikes, and when.
extension World {
    func planNextFault() {
        let mean = plan.faultInterval.wholeNanoseconds
        agenda.plan(.fault(drawFault()), at: now + random.duration(mean / 2...mean * 3 / 2))
    }

    private func drawFault() -> Fault {
        // Now and then so long that the others' logs have moved on when it comes back.
        let pause =
            random.chance(1, in: 6)
            ? random.duration(5_000_000_000...15_000_000_000)
            : random.duration(100_000_000...3_000_000_000)
        switch random.below(10) {
        case 0, 1, 2, 3: return .crash(server: random.below(servers.count), pause: pause)
        case 4: return .crashAll(pause: random.duration(100_000_000...3_000_000_000))
        case 5, 6:
            let server = Host.server(random.below(servers.count))
            if servers.count > 1, random.chance(2, in: 3) {
                return .cut(server, .server(random.below(servers.count)))
            }
            return .cut(server, .client(random.below(clients.count)))
        case 7, 8: return .healCuts
        default: return .reset
        }
    }

    func strike(_ fault: Fault) {
        guard faultsAreOn else { return }
        note("fault \(fault)")
        switch fault {
        case .crash(let server, let pause):
            crash(server)
            agenda.plan(.restart(server), at: now + pause)
        case .crashAll(let pause):
            for index in servers.indices {
                crash(index)
                agenda.plan(.restart(index), at: now + pause)
            }
        case .cut(let one, let other):
            if one != other { cut(one, other) }
        case .healCuts: healCuts()
        case .reset:
            let numbers = network.numbers { _ in true }
            guard !numbers.isEmpty else { break }
            breakConnection(numbers[random.below(numbers.count)])
        }
        planNextFault()
    }

    private func cut(_ one: Host, _ other: Host) {
        network.cut(one, other)
        for number in network.numbers(where: {
            ($0.from == one && $0.to == other) || ($0.from == other && $0.to == one)
        }) {
            breakConnection(number)
        }
        if case .server(let first) = one, case .server(let second) = other {
            for (index, peer) in [(first, second), (second, first)]
            where servers[index].process != nil {
                planLinkDown(
                    index,
                    peer,
                    after: random.duration(1_000_000...2_000_000_000)
                )
            }
        }
    }

    /// Both ends hear of the end, each in its own time; what was under way is lost.
    private func breakConnection(_ number: UInt64) {
        guard let connection = network.close(number) else { return }
        for host in [connection.from, connection.to] {
            agenda.plan(
                .closed(number, at: host, connection),
                at: now + random.duration(1_000_000...2_500_000_000)
            )
        }
    }

    private func healCuts() {
        network.healAll()
        for one in servers.indices {
            for other in servers.indices where one < other {
                agenda.plan(.linkUp(one, other), at: now + network.delay())
            }
        }
    }

    /// The end of the fault phase: everybody is up and can reach everybody.
    func heal() {
        note("healed")
        faultsAreOn = false
        healCuts()
        for index in servers.indices { startServer(index) }
    }
}
