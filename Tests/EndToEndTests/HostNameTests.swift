import Foundation
import Testing

/// Members that know each other by name, and hosts that move.
@Suite(.serialized, .enabled(if: Network.isPossible))
struct HostNameTests {
    @Test func `a name that stands for another address is resolved anew at the next attempt`()
        throws
    {
        let ensemble = try EnsembleWorkspace(size: 3, isNamed: true)
        defer { ensemble.tearDown() }
        try ensemble.waitForLeader()
        // With the greatest number it is the one that has to reach the others.
        let late = ensemble[3]
        late.terminate()
        let network = ensemble.network
        let stranger = try Listener(network.ownAddress, port: 3888)
        try network.setNames(
            [
                (EnsembleWorkspace.hostName(1), network.ownAddress),
                (EnsembleWorkspace.hostName(2), network.ownAddress),
                (EnsembleWorkspace.hostName(3), network.address(3)),
            ],
            on: 3
        )
        try late.start()
        for _ in 1...3 { #expect(stranger.takeCaller(limit: 60), "\(late.log)") }
        #expect(late.mode == "")
        // The process goes on; only the names change.
        try ensemble.resolveRightly(on: 3)
        // Whoever waits for an answer of the stranger is told that there is none.
        stranger.close()
        try ensemble.waitForLeader()
        #expect(late.isRunning && late.starts == 2)
    }

    @Test func `a server that finds no quorum says whom it cannot reach, and why`() throws {
        let ensemble = try EnsembleWorkspace(size: 3, isNamed: true)
        defer { ensemble.tearDown() }
        try ensemble.waitForLeader()
        let alone = ensemble[3]
        alone.terminate()
        let network = ensemble.network
        // The one name is not known, and nobody listens where the other leads.
        try network.setNames(
            [
                (EnsembleWorkspace.hostName(2), network.ownAddress),
                (EnsembleWorkspace.hostName(3), network.address(3)),
            ],
            on: 3
        )
        try alone.start()
        let one = EnsembleWorkspace.hostName(1)
        let other = EnsembleWorkspace.hostName(2)
        for sentence in [
            "server 1 cannot be reached for the election at \(one):3888: the name \(one) is not known",
            "server 2 cannot be reached for the election at \(other):3888: Connection refused",
            "serves nobody for 10 s or more",
        ] {
            eventually("it says “\(sentence)”: \(alone.log)") { alone.log.contains(sentence) }
        }
        try ensemble.resolveRightly(on: 3)
        for member in [1, 2] {
            eventually("it hears server \(member): \(alone.log)") {
                alone.log.contains("server \(member) is heard again")
            }
        }
    }
}

/// Listens where no server is.
private final class Listener {
    private let descriptor: Int32
    private var isClosed = false

    init(_ host: String, port: UInt16) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = unsafe inet_addr(host)
        let length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isListening = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                unsafe bind(descriptor, generic, length) == 0
            }
        }
        try #require(isListening && listen(descriptor, 16) == 0, "errno \(errno)")
    }

    deinit { close() }

    /// Somebody has called; the connection is closed again.
    func takeCaller(limit: Double) -> Bool {
        var poller = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard unsafe poll(&poller, 1, Int32(limit * 1000)) > 0 else { return false }
        let caller = accept(descriptor, nil, nil)
        guard caller >= 0 else { return false }
        _ = Foundation.close(caller)
        return true
    }

    func close() {
        guard !isClosed else { return }
        isClosed = true
        _ = Foundation.close(descriptor)
    }
}
