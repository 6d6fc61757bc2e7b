internal import ZooKeeperModel

/// Hosts that stand still for a while, as after SIGSTOP: state and sockets are kept, and what came
/// meanwhile is read late.
extension World {
    func pause(_ host: Host) {
        guard held[host] == nil else { return }
        note("\(host) is stopped")
        cover("pause")
        held[host] = []
        // Over and below syncLimit and session timeouts.
        let longest: Int64 =
            switch host {
            case .server: 7_000_000_000
            case .client: 12_000_000_000
            }
        agenda.plan(.resume(host), at: now + random.duration(50_000_000...longest))
    }

    /// The process died while it stood still.
    func forgetHeld(_ host: Host) { held[host] = nil }

    func resume(_ host: Host) {
        guard let events = held.removeValue(forKey: host) else { return }
        note("\(host) goes on")
        // Timers may be served before sockets, or after them.
        var timers: [WorldEvent] = []
        var others: [WorldEvent] = []
        for event in events {
            switch event {
            case .serverWake, .clientWake: timers.append(event)
            default: others.append(event)
            }
        }
        let timersFirst = random.chance(1, in: 2)
        for event in timersFirst ? timers + others : others + timers { arrive(event) }
    }

    /// Whose process takes this event; nil for what happens outside of processes.
    func process(for event: WorldEvent) -> Host? {
        switch event {
        case .serverWake(let index, _), .storageDone(let index, _), .drained(let index, _, _),
            .learnerDrained(let index, _, _):
            .server(index)
        case .accepted(let number): network.connections[number]?.to
        case .opened(let number): network.connections[number]?.from
        case .refused(let host, _, _), .bytes(_, let host, _), .message(_, let host, _),
            .closed(_, let host, _, _):
            host
        case .notification(_, let to, _, _): .server(to)
        case .linkDown(let index, _, _, _): .server(index)
        case .clientWake(let index), .clientWork(let index): .client(index)
        case .linkUp, .restart, .restartDead, .fault, .faultDue, .endCut, .flap, .resume,
            .freeDisk:
            nil
        }
    }

    /// On which route it arrives; nil for what crosses none.
    func route(of event: WorldEvent) -> Route? {
        switch event {
        case .bytes(let number, let host, _), .message(let number, let host, _):
            return network.route(of: number, to: host)
        case .closed(_, let host, let connection, isReset: false):
            return Route(
                from: connection.from == host ? connection.to : connection.from,
                to: host
            )
        case .notification(let from, let to, _, _):
            return Route(from: .server(from), to: .server(to))
        case .serverWake, .storageDone, .drained, .learnerDrained, .accepted, .opened, .refused,
            .closed, .linkUp, .linkDown, .clientWake, .clientWork, .restart, .restartDead, .fault,
            .faultDue,
            .endCut, .flap, .resume, .freeDisk:
            return nil
        }
    }
}
