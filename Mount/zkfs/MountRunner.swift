import ClientCore
import Fuse
import Logging
import NIOCore
import Platform
import ZnodeFS
import ZooKeeperClient
import ZooKeeperModel

/// Runs one ``MountedTree``: what the kernel asks and what the servers answer go in, and what the tree
/// decides is carried out. All of it belongs to one event loop.
///
/// ```
/// FuseSession ──(wake)──▶ ┌─────────────┐ ◀── ClientRunner: completions, events, session
///             ◀─ reply ── │ MountedTree │ ─── submit ──▶
///             ◀─ notify ─ └─────────────┘ ◀── timer at nextDeadline
/// ```
///
/// Inputs are taken one after another, the actions of each carried out before the next: an answer that
/// comes during a submit waits for its turn.
/// It lives as long as the process, so its callbacks may hold it.
final class MountRunner {
    /// What the process around the loop is told.
    enum Report: Sendable {
        /// Servers answer and the root is there: the kernel may be attached.
        case prepared
        case failed(String)
        /// Everything is written that could be, and the session is closed.
        case stopped
    }

    private enum Phase { case connecting, checkingRoot, prepared, serving, stopping, stopped }

    /// How long unsent data may still be written at the end.
    private static let flushLimit = TimeAmount.seconds(5)
    /// How long the end of the session may take.
    private static let closeLimit = TimeAmount.seconds(2)
    private static let shortestDelay: Int64 = 100_000

    private let plan: MountPlan
    private let root: ZnodePath
    private let loop: any EventLoop
    private let client: ClientRunner
    private let report: (Report) -> Void

    private var phase = Phase.connecting
    private var tree: MountedTree
    private var kernel: FuseSession?
    /// Inputs that wait for their turn, from `nextInput` on.
    private var inputs: [MountInput] = []
    private var actions: [MountAction] = []
    private var isHandling = false
    private var outstanding = 0
    private var timer: (task: Scheduled<Void>, deadline: Instant)?
    private var limit: Scheduled<Void>?
    private var lastRefusal: String?

    init(
        plan: MountPlan,
        servers: [ServerAddress],
        root: ZnodePath,
        loop: any EventLoop,
        logger: Logger,
        report: @escaping (Report) -> Void
    ) {
        self.plan = plan
        self.root = root
        self.loop = loop
        self.report = report
        client = ClientRunner(
            configuration: plan.clientConfiguration(servers: servers),
            eventLoop: loop,
            logger: logger
        )
        tree = MountedTree(settings: plan.settings(root: root), now: SystemClock.read())
    }

    /// Connects and looks for the root; ends in a report.
    func start() {
        client.onState = { [self] state in stateChanged(state) }
        client.onEvent = { [self] event in take(.event(event)) }
        setLimit(.nanoseconds(plan.options.connect.wholeNanoseconds)) { [self] in
            fail(
                lastRefusal ?? "no server of \(plan.sourceText) answered within"
                    + " \(plan.options.connect)"
            )
        }
        client.start()
    }

    /// From now on the kernel's requests are served.
    func serve(_ kernel: FuseSession) {
        guard phase == .prepared else { return }
        phase = .serving
        self.kernel = kernel
        takeKernelInputs()
    }

    func takeKernelInputs() {
        guard let kernel else { return }
        for input in kernel.takeInputs() { inputs.append(input) }
        handleInputs()
    }

    /// Ends waiting requests, writes what is unsent and closes the session, then reports `.stopped` and
    /// touches the kernel no more.
    func stop() {
        switch phase {
        case .stopping, .stopped: return
        case .connecting, .checkingRoot, .prepared:
            phase = .stopping
            closeSession()
        case .serving:
            phase = .stopping
            setLimit(Self.flushLimit) { [self] in
                plan.log.write(.warning, "the servers did not answer in time; ending without them")
                closeSession()
            }
            take(.unmounting)
        }
    }

    // MARK: - The tree

    private func take(_ input: MountInput) {
        inputs.append(input)
        handleInputs()
    }

    private func handleInputs() {
        guard !isHandling else { return }
        isHandling = true
        var next = 0
        while next < inputs.count {
            let input = inputs[next]
            next += 1
            tree.handle(input, at: SystemClock.read(), actions: &actions)
            var carried: [MountAction] = []
            swap(&carried, &actions)
            for action in carried { carryOut(action) }
            carried.removeAll(keepingCapacity: true)
            actions = carried
        }
        inputs.removeAll(keepingCapacity: true)
        isHandling = false
        setTimer()
        if phase == .stopping, outstanding == 0 { closeSession() }
    }

    private func carryOut(_ action: MountAction) {
        switch action {
        case .reply(let request, let reply):
            kernel?.reply(request, reply)
        case .submit(let token, let operation):
            outstanding += 1
            client.submit(operation) { [self] result, zxid in
                outstanding -= 1
                take(.completed(token, OperationOutcome(result: result, zxid: zxid)))
            }
        case .notify(let notification):
            kernel?.notify(notification)
        case .measureEnsemble:
            measureEnsemble()
        case .lookAtCaller(let request):
            kernel?.lookAtCaller(request)
        case .log(let level, let message):
            plan.log.write(level, message)
        }
    }

    private func measureEnsemble() {
        guard let server = client.server else { return take(.measured(nil)) }
        ServerMeasure.ask(server, on: loop) { [self] measure in take(.measured(measure)) }
    }

    private func setTimer() {
        guard let deadline = tree.nextDeadline, phase != .stopped else { return }
        if let timer, timer.deadline <= deadline { return }
        timer?.task.cancel()
        // A task that is due at once is run before the loop looks at its sockets again, and so would be
        // its successor.
        let delay = max(Self.shortestDelay, (deadline - SystemClock.now()).wholeNanoseconds)
        let task = loop.assumeIsolated().scheduleTask(in: .nanoseconds(delay)) { [self] in
            timer = nil
            take(.wake)
        }
        timer = (task, deadline)
    }

    // MARK: - The session

    private func stateChanged(_ state: SessionState) {
        switch state {
        case .connected(let session, let isNew, _, _):
            take(.session(.connected(session, isNew: isNew)))
            switch phase {
            case .connecting, .checkingRoot:
                phase = .checkingRoot
                checkRoot(mayMake: plan.options.makesRoot)
            case .prepared, .serving, .stopping, .stopped: break
            }
        case .disconnected:
            take(.session(.disconnected))
        case .expired:
            take(.session(.expired))
        case .authenticationFailed:
            let file = plan.options.authenticationFile ?? "auth="
            fail("the servers refuse a credential of \(file)")
            take(.session(.authenticationFailed))
        case .closed:
            finish()
        }
    }

    /// A connection lost meanwhile begins this anew when there is another.
    private func checkRoot(mayMake: Bool) {
        client.submit(.exists(root, watch: false)) { [self] result, _ in
            guard phase == .checkingRoot else { return }
            switch result {
            case .success:
                prepared()
            case .failure(.noNode) where mayMake:
                makeRoot()
            case .failure(.noNode):
                fail("the znode \(root) does not exist; -o mkchroot makes it")
            case .failure(.connectionLoss), .failure(.sessionExpired):
                lastRefusal = nil
            case .failure(let code):
                fail("the servers answer \(code) when asked for the znode \(root)")
            }
        }
    }

    /// Makes what is missing of the path, from the top.
    private func makeRoot() {
        var paths: [ZnodePath] = []
        var path: ZnodePath? = root
        while let next = path, !next.isRoot {
            paths.append(next)
            path = next.parent
        }
        for path in paths.reversed() {
            let request = CreateRequest(
                kind: .create,
                path: path,
                data: nil,
                acl: plan.options.acl,
                mode: .persistent
            )
            client.submit(.create(request)) { [self] result, _ in
                // That it exists is as good; what else went wrong shows in the check that follows.
                guard case .failure(let code) = result, code != .nodeExists, code != .noNode
                else { return }
                lastRefusal = "the znode \(path) cannot be made: \(code)"
            }
        }
        client.submit(.exists(root, watch: false)) { [self] result, _ in
            guard phase == .checkingRoot else { return }
            switch result {
            case .success: prepared()
            case .failure(.connectionLoss), .failure(.sessionExpired): lastRefusal = nil
            case .failure(let code):
                fail(lastRefusal ?? "the znode \(root) cannot be made: \(code)")
            }
        }
    }

    private func prepared() {
        phase = .prepared
        limit?.cancel()
        limit = nil
        report(.prepared)
    }

    private func fail(_ sentence: String) {
        switch phase {
        case .connecting, .checkingRoot:
            phase = .prepared
            limit?.cancel()
            report(.failed(sentence))
        case .prepared, .serving, .stopping, .stopped:
            plan.log.write(.error, sentence)
        }
    }

    // MARK: - The end

    private func closeSession() {
        guard phase == .stopping else { return }
        phase = .stopped
        setLimit(Self.closeLimit) { [self] in finish() }
        client.close()
    }

    private func finish() {
        guard limit != nil || kernel != nil else { return }
        limit?.cancel()
        limit = nil
        timer?.task.cancel()
        timer = nil
        kernel = nil
        report(.stopped)
    }

    private func setLimit(_ amount: TimeAmount, _ body: @escaping () -> Void) {
        limit?.cancel()
        limit = loop.assumeIsolated().scheduleTask(in: amount) { [self] in
            limit = nil
            body()
        }
    }
}
