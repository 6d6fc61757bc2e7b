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
/// is healed: the right thing must happen soon. The checkers judge both.
package final class World {
    package let plan: SimulationPlan
    package internal(set) var trace: Trace
    package internal(set) var now = Instant(nanoseconds: 1_000_000_000)
    /// What the checkers found wrong, in the order it was found.
    package internal(set) var failures: [String] = []
    /// How often each part of the protocol was seen: DIFF, TRUNC, SNAP, elections, expiries…
    package internal(set) var coverage: [String: Int] = [:]
    package internal(set) var faults = FaultCoverage()
    package internal(set) var faultCount = 0
    /// What clients asked and were told.
    package internal(set) var history = History()

    var agenda = Agenda<WorldEvent>()
    var network: SimulatedNetwork
    var servers: [SimulatedServer] = []
    var clients: [SimulatedClient] = []
    var random: SimulationRandom
    var commits = CommitChecker()
    var model = ZnodeModel()
    /// What some log has held.
    var loggedZxids: Set<Zxid> = []
    /// Milliseconds, as clients were told.
    var agreedTimeouts: [SessionID: Int32] = [:]
    /// The sessions that answers to pings under way have to speak of, by connection.
    var pingReports: [UInt64: [Set<SessionID>]] = [:]
    /// The greatest zxid of a write that was answered, and the greatest number given by a sequential
    /// create.
    var writtenZxid = Zxid.zero
    var givenSequence = -1

    var faultsAreOn = true
    /// From then on everything must go well: all was healed a while ago.
    var isSettled = false
    var armed: [ArmedFault] = []
    var cuts: [Int: Cut] = [:]
    var lastCut = 0
    /// What waits at a blocked route, oldest first.
    var stalled: [Route: [WorldEvent]] = [:]
    /// Election links that a cut has broken.
    var linksDown: Set<Route> = []
    /// What came for hosts that stand still, oldest first.
    var held: [Host: [WorldEvent]] = [:]

    /// A machine that asks to be woken at once, for ever, would stop the world's clock.
    private var eventsNow = 0
    /// Inputs to replicas so far. Their invariants cost as much as their trees are large, so they
    /// are checked after one in so many.
    var replicaInputs = 0
    var clientInputs = 0
    var mountInputs = 0
    static let inputsBetweenChecks = 500
    private static let eventsInOneInstant = 20_000
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
            let disk = SimulatedDisk()
            disk.ignoresSyncs = plan.planted?.ignoresSyncs ?? false
            servers.append(
                SimulatedServer(
                    index: index,
                    disk: disk,
                    clock: HostClock(now: now, random: &random)
                )
            )
        }
        for index in 0..<plan.clientCount + plan.mountCount {
            clients.append(
                SimulatedClient(
                    index: index,
                    isMount: index >= plan.clientCount,
                    serverCount: plan.serverCount,
                    clock: HostClock(now: now, random: &random),
                    random: random.split(),
                    now: now
                )
            )
        }
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
        runUntil(now + plan.faultPhase)
        while faultCount < SimulationPlan.leastFaults, failures.isEmpty {
            runUntil(now + .seconds(1))
        }
        heal()
        runUntil(now + plan.healedPhase / 2)
        clientDies(random.below(plan.clientCount))
        isSettled = true
        runUntil(now + plan.healedPhase / 2)
        // The more work, the more there is to judge; what does not come at all is a failure.
        for _ in 0..<12 where acknowledgedWrites < SimulationPlan.leastWrites {
            runUntil(now + .seconds(5))
        }
        for index in clients.indices { clients[index].stopsWorking = true }
        runUntil(now + plan.quietPhase)
        checkEnd()
    }

    private func runUntil(_ end: Instant) {
        while let next = agenda.nextInstant, next <= end, failures.isEmpty {
            guard let (instant, event) = agenda.next() else { return }
            eventsNow = instant > now ? 0 : eventsNow + 1
            guard eventsNow < Self.eventsInOneInstant else {
                fail("time stands still: \(event)")
                return
            }
            now = max(now, instant)
            handle(event)
        }
        now = max(now, end)
    }

    /// What a blocked route carries waits behind what waits there already.
    func handle(_ event: WorldEvent) {
        if let route = route(of: event), !network.isOpen(route) {
            stalled[route, default: []].append(event)
            return
        }
        arrive(event)
    }

    /// What a host that stands still would get waits for it. It has come that far: a cut that begins
    /// meanwhile does not keep it, or what was sent later would overtake it.
    func arrive(_ event: WorldEvent) {
        if !held.isEmpty, let host = process(for: event), held[host] != nil {
            held[host]?.append(event)
            return
        }
        switch event {
        case .serverWake(let index, let life): serverWake(index, life)
        case .storageDone(let index, let life): storageDone(index, life)
        case .restart(let index): startServer(index)
        case .restartDead(let index):
            if let (_, death) = servers[index].actionsToLive { stop(index, death) }
            startServer(index)
        case .drained(let index, let life, let id): feed(index, life, .drained(id))
        case .learnerDrained(let index, let life, let id): feed(index, life, .learnerDrained(id))
        case .accepted(let number): accepted(number)
        case .opened(let number): opened(number)
        case .refused(let host, let attempt, let life): refused(host, attempt, life)
        case .bytes(let number, let receiver, let bytes): deliver(number, receiver, bytes)
        case .message(let number, let receiver, let message):
            deliver(number, receiver, message)
        case .closed(let number, let host, let connection, _): closed(number, host, connection)
        case .notification(let from, let to, let life, let notification):
            feed(to, life, .notification(from: servers[from].id, notification))
        case .linkUp(let one, let other): linkUp(one, other)
        case .linkDown(let index, let peer, let life, let generation):
            linkDown(index, peer, life, generation)
        case .clientWake(let index): clientWake(index)
        case .clientWork(let index): clientWork(index)
        case .faultDue: faultDue()
        case .fault(let kind, let victim): strike(kind, victim)
        case .endCut(let number): endCut(number)
        case .flap(let number): flap(number)
        case .resume(let host): resume(host)
        case .freeDisk(let index): freeDisk(index)
        }
    }
}

/// What can be on the agenda.
enum WorldEvent: Sendable {
    case serverWake(Int, life: Int)
    case storageDone(Int, life: Int)
    case restart(Int)
    /// Of a server that was to die between two actions; it dies now if nothing was to be done.
    case restartDead(Int)
    case drained(Int, life: Int, ConnectionID)
    case learnerDrained(Int, life: Int, ConnectionID)
    /// A connection reaches the host it was opened to…
    case accepted(UInt64)
    /// …and the host that opened it learns so.
    case opened(UInt64)
    case refused(Host, ConnectionAttempt?, life: Int)
    case bytes(UInt64, to: Host, [UInt8])
    case message(UInt64, to: Host, LearnerMessage)
    case closed(UInt64, at: Host, SimulatedNetwork.Connection, isReset: Bool)
    case notification(from: Int, to: Int, life: Int, ElectionNotification)
    case linkUp(Int, Int)
    case linkDown(Int, Int, life: Int, generation: Int)
    case clientWake(Int)
    case clientWork(Int)
    /// Time to decide on the next fault.
    case faultDue
    case fault(FaultKind, Int)
    case endCut(Int)
    case flap(Int)
    case resume(Host)
    case freeDisk(Int)
}
