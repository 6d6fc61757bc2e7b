package import ZooKeeperModel

/// Who can be at an end of a connection.
package enum Host: Hashable, Sendable, CustomStringConvertible {
    case server(Int)
    case client(Int)

    package var description: String {
        switch self {
        case .server(let index): "server \(index)"
        case .client(let index): "client \(index)"
        }
    }
}

/// One direction between two hosts.
package struct Route: Hashable, Sendable {
    package let from: Host
    package let to: Host
    package init(from: Host, to: Host) {
        self.from = from
        self.to = to
    }
}

/// Connections that keep the order of bytes within one direction and nothing else: messages take
/// their time, routes can be blocked, connections can be reset.
///
/// A blocked route loses nothing: the sender's system sends again until the route is free or the
/// connection is given up. So what is sent meanwhile waits and arrives late, as on a real network,
/// and neither end hears of it. A reset is the other kind of loss: all under way is gone, and both
/// ends hear of it in their own time.
package struct SimulatedNetwork: Sendable {
    package struct Connection: Sendable {
        package let number: UInt64
        package let from: Host
        package let to: Host
        /// When the last message of each direction arrives: later ones arrive after it.
        var arrival: [Instant]
    }
    package private(set) var connections: [UInt64: Connection] = [:]
    /// Of all connections that ever were: what was sent before one was closed still takes its route,
    /// or it would overtake what waits there.
    private var ends: [UInt64: (from: Host, to: Host)] = [:]
    private var lastNumber: UInt64 = 0
    /// How many cuts block each route.
    private var blocks: [Route: Int] = [:]
    /// When the last notification of each election link arrives.
    private var linkArrival: [Route: Instant] = [:]
    private var random: SimulationRandom
    package var delayNanoseconds: ClosedRange<Int64> = 50_000...2_000_000

    package init(random: SimulationRandom) { self.random = random }

    /// Whether bytes get from one to the other.
    package func isOpen(_ route: Route) -> Bool { blocks.isEmpty || blocks[route] == nil }

    /// Whether a connection can be made.
    package func canReach(_ one: Host, _ other: Host) -> Bool {
        isOpen(Route(from: one, to: other)) && isOpen(Route(from: other, to: one))
    }

    package mutating func block(_ route: Route) { blocks[route, default: 0] += 1 }

    package mutating func unblock(_ route: Route) {
        guard let count = blocks[route] else { return }
        blocks[route] = count > 1 ? count - 1 : nil
    }

    package mutating func open(from: Host, to: Host, now: Instant) -> UInt64 {
        lastNumber += 1
        connections[lastNumber] = Connection(
            number: lastNumber,
            from: from,
            to: to,
            arrival: [now, now]
        )
        ends[lastNumber] = (from, to)
        return lastNumber
    }

    /// How what a connection carries gets to one of its ends.
    package func route(of number: UInt64, to host: Host) -> Route? {
        ends[number].map { Route(from: $0.from == host ? $0.to : $0.from, to: host) }
    }

    /// When a message sent now by `sender` arrives; nil where the connection is gone.
    package mutating func arrival(
        on number: UInt64,
        sentBy sender: Host,
        now: Instant
    ) -> Instant? {
        guard let connection = connections[number] else { return nil }
        let direction = connection.from == sender ? 0 : 1
        let arrival = max(
            connection.arrival[direction],
            now + random.duration(delayNanoseconds)
        )
        connections[number]?.arrival[direction] = arrival
        return arrival
    }

    /// When a notification sent now over an election link arrives.
    package mutating func arrival(on route: Route, now: Instant) -> Instant {
        let arrival = max(
            linkArrival[route, default: now],
            now + random.duration(delayNanoseconds)
        )
        linkArrival[route] = arrival
        return arrival
    }

    package mutating func delay() -> Duration { random.duration(delayNanoseconds) }

    package mutating func close(_ number: UInt64) -> Connection? {
        connections.removeValue(forKey: number)
    }

    /// In the order they were opened.
    package func numbers(where isMeant: (Connection) -> Bool) -> [UInt64] {
        connections.values.filter(isMeant).map(\.number).sorted()
    }
}
