import Simulation
import Testing
import ZooKeeperModel

/// The simulated network does what a real one does, and nothing else.
struct SimulatedNetworkTests {
    @Test func `what a connection carries takes its route after it was closed, too`() {
        var network = SimulatedNetwork(random: SimulationRandom(seed: 1))
        let number = network.open(
            from: .client(3),
            to: .server(1),
            now: Instant(nanoseconds: 0)
        )
        let forth = Route(from: .client(3), to: .server(1))
        let back = Route(from: .server(1), to: .client(3))
        #expect(network.route(of: number, to: .server(1)) == forth)
        _ = network.close(number)
        #expect(network.route(of: number, to: .server(1)) == forth)
        #expect(network.route(of: number, to: .client(3)) == back)
        #expect(network.route(of: number + 1, to: .server(1)) == nil)
    }
}
