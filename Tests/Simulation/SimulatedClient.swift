internal import ClientCore
internal import DequeModule
internal import ZnodeFS
internal import ZooKeeperModel

/// One client of the simulated ensemble: a session, and what uses it.
final class SimulatedClient {
    let index: Int
    var session: ClientSession
    var clock: HostClock
    /// The network's number of each attempt's connection, once there is one.
    var connections: [ConnectionAttempt: UInt64] = [:]
    /// What waits until the actions of the input before it are carried out.
    var inputs: Deque<ClientInput> = []
    var isHandlingInputs = false
    var mountInputs: Deque<MountInput> = []
    var isHandlingMountInputs = false
    var plannedWake: Instant?
    var stopsWorking = false
    /// It has ended its session, and knows that it is over.
    var isLeaving = false
    var hasLeft = false
    /// Of its processes, one after the other.
    var life = 0
    /// What it was not answered yet, and the judge of answers.
    var questions: [RequestToken: AnswerChecker.Question] = [:]
    var answers: AnswerChecker
    /// It lost its connection when nothing had gone wrong for a while.
    var wasLostWhileSettled = false
    /// Of the last `.connected`; none after an expiry.
    var sessionID: SessionID?
    var random: SimulationRandom
    /// What uses the session: one of the two. Changed in place; a copy of a whole mount would cost
    /// more than what it does.
    var workload: Workload?
    var mount: MountWorkload?

    /// When the session or the mount wants to be woken. They are looked at where they are: to read one
    /// of their properties from outside copies all of them.
    var nextDeadline: Instant? {
        func look(_ session: inout ClientSession, _ mount: inout MountWorkload?) -> Instant? {
            let deadline = session.nextDeadline
            guard let other = mount?.tree.nextDeadline else { return deadline }
            return deadline.map { min($0, other) } ?? other
        }
        return look(&session, &mount)
    }

    init(
        index: Int,
        isMount: Bool,
        serverCount: Int,
        clock: HostClock,
        random: SimulationRandom,
        now: Instant
    ) {
        self.index = index
        self.clock = clock
        var own = random
        answers = AnswerChecker(identities: Errands.identities(index))
        session = ClientSession(
            configuration: ClientConfiguration(
                servers: (0..<serverCount).map {
                    ServerAddress(host: "server", port: UInt16($0))
                },
                sessionTimeout: .milliseconds(2000 + own.below(4000)),
                credentials: [
                    .init(scheme: "digest", bytes: Array(Errands.credential(index).utf8))
                ],
                seed: own.next()
            ),
            now: clock.reading(at: now).instant
        )
        if isMount {
            mount = MountWorkload(
                number: index,
                seed: own.next(),
                now: clock.reading(at: now)
            )
        } else {
            workload = Workload(number: index, random: own.split())
        }
        self.random = own
    }
}
