internal import ClientCore
internal import Journal
internal import Replication
internal import Zab
internal import ZnodeFS
package import ZooKeeperModel
internal import ZooKeeperWire

/// A whole ensemble, its clients and a mount, in one thread, from one seed.
///
/// The machines are those of production: `Replica` over `Journal`, `ClientSession`, `MountedTree`.
/// The world stands in for their edges: it carries bytes and messages, keeps the clocks, crashes
/// servers and cuts links. Everything it decides comes from the seed, so a seed is a run: the same
/// lines in its ``Trace``, byte for byte.
///
/// A run has two phases. First faults: nothing wrong may happen, whatever is lost or late. Then all
/// is healed: the right thing must happen soon. The checkers judge both (``Verdict``).
package final class World {
    package let plan: SimulationPlan
    package internal(set) var trace: Trace
    package internal(set) var now = Instant(nanoseconds: 1_000_000_000)
    /// What the checkers found wrong, in the order it was found.
    package internal(set) var failures: [String] = []
    /// How often each part of the protocol was seen: DIFF, TRUNC, SNAP, elections, expiries…
    package internal(set) var coverage: [String: Int] = [:]

    var agenda = Agenda<WorldEvent>()
    var network: SimulatedNetwork
    var servers: [SimulatedServer] = []
    var clients: [SimulatedClient] = []
    var random: SimulationRandom
    var faultsAreOn = true
    /// A machine that asks to be woken at once, for ever, would stop the world's clock.
    private var eventsNow = 0
    /// Inputs to replicas so far. Their invariants cost as much as their trees are large, so they
    /// are checked after one in so many.
    var replicaInputs = 0
    static let inputsBetweenChecks = 64
    private static let eventsInOneInstant = 10_000
    /// How often each link was made, by the end that sees it and its peer.
    var linkGenerations: [[Int]]

    package init(plan: SimulationPlan, keepsTrace: Bool = false) {
        self.plan = plan
        trace = Trace(keepsAll: keepsTrace)
        random = SimulationRandom(seed: plan.seed)
        network = SimulatedNetwork(random: random.split())
        linkGenerations = Array(
            repeating: Array(repeating: 0, count: plan.serverCount),
            count: plan.serverCount
        )
        for index in 0..<plan.serverCount {
            servers.append(
                SimulatedServer(index: index, disk: SimulatedDisk())
            )
        }
        for server in servers { server.disk.ignoresSyncs = plan.planted == .neverSyncs }
        for index in 0..<plan.clientCount + plan.mountCount {
            clients.append(
                SimulatedClient(
                    index: index,
                    isMount: index >= plan.clientCount,
                    serverCount: plan.serverCount,
                    random: random.split(),
                    now: now
                )
            )
        }
    }

    /// Wall clock and monotonic clock run together here; the epoch of the wall clock is arbitrary.
    var reading: ClockReading {
        ClockReading(
            instant: now,
            timestamp: Timestamp(rawValue: 1_600_000_000_000 + now.nanoseconds / 1_000_000)
        )
    }

    func note(_ line: @autoclosure () -> String) {
        trace.add("\(now.nanoseconds / 1000) \(line())")
    }

    func cover(_ part: String) { coverage[part, default: 0] += 1 }

    func fail(_ sentence: String) {
        failures.append(sentence)
        note("FAILURE \(sentence)")
    }

    /// Runs the whole plan. The failures, the trace and its digest tell what came of it.
    package func run() {
        for index in servers.indices { startServer(index) }
        for index in clients.indices { startClient(index) }
        planNextFault()
        let faultsEnd = now + plan.faultPhase
        runUntil(faultsEnd)
        heal()
        runUntil(now + plan.healedPhase)
        for index in clients.indices { clients[index].stopsWorking = true }
        runUntil(now + plan.quietPhase)
        checkEnd()
    }

    private func runUntil(_ end: Instant) {
        while let next = agenda.nextInstant, next <= end, failures.isEmpty {
            guard let (instant, event) = agenda.next() else { return }
            eventsNow = instant > now ? 0 : eventsNow + 1
            guard eventsNow < Self.eventsInOneInstant else {
                fail("time stands still: \(event), \(deadlines(of: event))")
                return
            }
            now = max(now, instant)
            handle(event)
        }
        now = max(now, end)
    }

    private func deadlines(of event: WorldEvent) -> String {
        guard case .clientWake(let index) = event else { return "" }
        var text = "session \(clients[index].session.nextDeadline as Any)"
        text += ", tree \(clients[index].mount?.tree.nextDeadline as Any)"
        return text
    }

    private func handle(_ event: WorldEvent) {
        switch event {
        case .serverWake(let index, let life): serverWake(index, life)
        case .storageDone(let index, let life): storageDone(index, life)
        case .restart(let index): startServer(index)
        case .drained(let index, let life, let id): feed(index, life, .drained(id))
        case .learnerDrained(let index, let life, let id): feed(index, life, .learnerDrained(id))
        case .accepted(let number): accepted(number)
        case .opened(let number): opened(number)
        case .refused(let host, let attempt): refused(host, attempt)
        case .bytes(let number, let receiver, let bytes): deliver(number, receiver, bytes)
        case .message(let number, let receiver, let message):
            deliver(number, receiver, message)
        case .closed(let number, let host, let connection): closed(number, host, connection)
        case .notification(let from, let to, let life, let notification):
            deliverNotification(from, to, life, notification)
        case .linkUp(let one, let other): linkUp(one, other)
        case .linkDown(let index, let peer, let life, let generation):
            linkDown(index, peer, life, generation)
        case .clientWake(let index): clientWake(index)
        case .clientWork(let index): clientWork(index)
        case .fault(let fault): strike(fault)
        }
    }
}

/// What can be on the agenda.
enum WorldEvent: Sendable {
    case serverWake(Int, life: Int)
    case storageDone(Int, life: Int)
    case restart(Int)
    case drained(Int, life: Int, ConnectionID)
    case learnerDrained(Int, life: Int, ConnectionID)
    /// A connection reaches the host it was opened to…
    case accepted(UInt64)
    /// …and the host that opened it learns so.
    case opened(UInt64)
    case refused(Host, ConnectionAttempt?)
    case bytes(UInt64, to: Host, [UInt8])
    case message(UInt64, to: Host, LearnerMessage)
    case closed(UInt64, at: Host, SimulatedNetwork.Connection)
    case notification(from: Int, to: Int, life: Int, ElectionNotification)
    case linkUp(Int, Int)
    case linkDown(Int, Int, life: Int, generation: Int)
    case clientWake(Int)
    case clientWork(Int)
    case fault(Fault)
}
