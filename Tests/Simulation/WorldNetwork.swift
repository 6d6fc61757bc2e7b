internal import ClientCore
internal import Replication
internal import ZooKeeperModel
internal import ZooKeeperWire

/// Connections between hosts, and what happens to them.
extension World {
    func sendBytes(_ number: UInt64, from host: Host, _ bytes: [UInt8]) {
        guard let connection = network.connections[number],
            let arrival = network.arrival(on: number, sentBy: host, now: now)
        else { return }
        let receiver = connection.from == host ? connection.to : connection.from
        let overtakes = plan.planted?.overtakes == true && random.chance(1, in: 20)
        agenda.plan(
            .bytes(number, to: receiver, bytes),
            at: overtakes ? arrival + .milliseconds(3) : arrival
        )
    }

    func sendMessage(_ number: UInt64, from host: Host, _ message: LearnerMessage) {
        guard let connection = network.connections[number],
            let arrival = network.arrival(on: number, sentBy: host, now: now)
        else { return }
        let receiver = connection.from == host ? connection.to : connection.from
        agenda.plan(.message(number, to: receiver, message), at: arrival)
    }

    /// One end closes. What it sent before still arrives; then the other end hears of it.
    func closeConnection(_ number: UInt64, by host: Host) {
        guard let arrival = network.arrival(on: number, sentBy: host, now: now),
            let connection = network.close(number)
        else { return }
        let receiver = connection.from == host ? connection.to : connection.from
        agenda.plan(.closed(number, at: receiver, connection, isReset: false), at: arrival)
    }

    func accepted(_ number: UInt64) {
        guard let connection = network.connections[number],
            case .server(let index) = connection.to
        else { return }
        let id = ConnectionID(rawValue: number)
        guard let process = servers[index].process else {
            closeConnection(number, by: connection.to)
            return
        }
        let life = servers[index].life
        switch connection.from {
        case .client(let client):
            process.clients[id] = .init(decoder: FrameDecoder())
            feed(index, life, .clientConnected(id, address: Errands.address(client)))
        case .server: feed(index, life, .learnerConnected(id))
        }
    }

    func opened(_ number: UInt64) {
        guard let connection = network.connections[number] else { return }
        switch connection.from {
        case .client(let index): clientConnected(index, number)
        case .server(let index):
            feed(
                index,
                servers[index].life,
                .leaderConnected(ConnectionID(rawValue: number))
            )
        }
    }

    func refused(_ host: Host, _ attempt: ConnectionAttempt?, _ life: Int) {
        switch host {
        case .server(let index):
            feed(index, life, .leaderDisconnected(nil))
        case .client(let index):
            if let attempt, clients[index].life == life {
                feedClient(index, .connectFailed(attempt, reason: "refused"))
            }
        }
    }

    func deliver(_ number: UInt64, _ receiver: Host, _ bytes: [UInt8]) {
        switch receiver {
        case .server(let index):
            let id = ConnectionID(rawValue: number)
            guard let process = servers[index].process, process.clients[id] != nil else {
                return
            }
            process.clients[id]?.decoder.append(bytes)
            decodeFrames(index, servers[index].life, id)
        case .client(let index): clientReceived(index, number, bytes)
        }
    }

    func deliver(_ number: UInt64, _ receiver: Host, _ message: LearnerMessage) {
        guard case .server(let index) = receiver else { return }
        let id = ConnectionID(rawValue: number)
        guard let connection = network.connections[number] else { return }
        if case .ping = message, connection.to == receiver { pingArrives(number, at: index) }
        feed(
            index,
            servers[index].life,
            connection.to == receiver ? .fromLearner(id, message) : .fromLeader(id, message)
        )
    }

    func closed(_ number: UInt64, _ host: Host, _ connection: SimulatedNetwork.Connection) {
        let id = ConnectionID(rawValue: number)
        switch host {
        case .client(let index): clientDisconnected(index, number)
        case .server(let index):
            let life = servers[index].life
            if case .client = connection.from {
                guard servers[index].process?.clients.removeValue(forKey: id) != nil else {
                    return
                }
                feed(index, life, .clientDisconnected(id))
            } else if connection.to == host {
                feed(index, life, .learnerDisconnected(id))
            } else {
                feed(index, life, .leaderDisconnected(id))
            }
        }
    }
}
