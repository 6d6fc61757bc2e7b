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

/// Connections that keep the order of bytes within one direction and nothing else: messages take
/// their time, hosts can be cut off from one another, connections can be reset.
///
/// A cut is noticed as on a real network: what is sent is lost with the connection, and both ends
/// hear of the end later (a reset) or never from the network (a host that is down).
package struct SimulatedNetwork: Sendable {
    package struct Connection: Sendable {
        package let number: UInt64
        package let from: Host
        package let to: Host
        /// When the last message of each direction arrives: later ones arrive after it.
        var arrival: [Instant]
    }
    package private(set) var connections: [UInt64: Connection] = [:]
    private var lastNumber: UInt64 = 0
    /// Pairs that cannot reach each other, smaller host first in their printed order.
    private var cuts: Set<[String]> = []
    private var random: SimulationRandom
    package var delayNanoseconds: ClosedRange<Int64> = 50_000...2_000_000

    package init(random: SimulationRandom) { self.random = random }

    package func canReach(_ one: Host, _ other: Host) -> Bool {
        !cuts.contains([one.description, other.description].sorted())
    }
    package mutating func cut(_ one: Host, _ other: Host) {
        cuts.insert([one.description, other.description].sorted())
    }
    package mutating func healAll() { cuts.removeAll() }

    package mutating func open(from: Host, to: Host, now: Instant) -> UInt64 {
        lastNumber += 1
        connections[lastNumber] = Connection(
            number: lastNumber,
            from: from,
            to: to,
            arrival: [now, now]
        )
        return lastNumber
    }

    /// When a message sent now by `sender` arrives; nil where the connection is gone.
    package mutating func arrival(
        on number: UInt64,
        sentBy sender: Host,
        now: Instant
    ) -> Instant? {
        guard var connection = connections[number] else { return nil }
        let direction = connection.from == sender ? 0 : 1
        let arrival = max(
            connection.arrival[direction],
            now + random.duration(delayNanoseconds)
        )
        connection.arrival[direction] = arrival
        connections[number] = connection
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
