import Fuse
import Glibc
import Logging
import NIOCore
import NIOPosix
import Platform
import ZnodeFS
import ZooKeeperModel

/// The life of the process around one ``MountRunner``: start, readiness, signals, end.
///
/// Runs on the main thread, which alone may block: it attaches the kernel, asks the mount whether it
/// answers, and waits for the reason to end.
struct MountProcess {
    private enum Event: Sendable {
        case runner(MountRunner.Report)
        case signal(Int32)
        /// The kernel sends no more: unmounted by somebody, or failed.
        case kernelEnded(String?)
        case serverHalted(String)
    }

    private let plan: MountPlan
    private let daemon: DaemonProcess?
    private let events = Monitor<[Event]>([])

    init(plan: MountPlan, daemon: DaemonProcess?) {
        self.plan = plan
        self.daemon = daemon
    }

    /// Returns the exit status.
    func run() -> Int32 {
        ProcessFacts.ignoreBrokenPipes()
        if plan.credentials != nil { SecretFile.protectMemory() }
        listenForSignals()
        let writer = plan.log
        LoggingSystem.bootstrap { _ in MountLogHandler(writer: writer) }
        LibraryMessages.send { message in writer.write(.warning, "libfuse: \(message)") }
        do {
            try serve()
            return 0
        } catch {
            let sentence = (error as? MountFailure)?.sentence ?? "\(error)"
            complain(sentence)
            return 1
        }
    }

    private func complain(_ sentence: String) {
        plan.log.write(.error, sentence)
        if let daemon {
            daemon.report(failure: sentence)
        } else if plan.options.logFile != nil {
            ProcessFacts.complain("zkfs: \(sentence)")
        }
    }

    private func serve() throws {
        let logger = Logger(label: "zkfs")
        var server: EmbeddedServer?
        let source: MountSource
        switch plan.servers {
        case .remote(let given): source = given
        case .embedded(let directory):
            let started = try EmbeddedServer(directory: directory, logger: logger) { reason in
                put(.serverHalted(reason))
            }
            server = started
            source = try MountSource(started.address)
        }
        defer { server?.stop() }

        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        // Nothing is left to do about a loop that does not end.
        defer { try? group.syncShutdownGracefully() }
        let loop = group.next()
        let runner = try loop.submit {
            let runner = MountRunner(
                plan: plan,
                servers: source.servers,
                root: source.root,
                loop: loop,
                logger: logger,
                report: { put(.runner($0)) }
            )
            runner.start()
            return NIOLoopBound(runner, eventLoop: loop)
        }.wait()

        do {
            try waitUntilPrepared()
            let kernel = try attach(runner)
            defer { kernel.end() }
            defer { stop(runner) }
            try announce()
            try waitForEnd()
        } catch {
            stop(runner)
            throw error
        }
    }

    private func waitUntilPrepared() throws(MountFailure) {
        while true {
            switch next() {
            case .runner(.prepared): return
            case .runner(.failed(let sentence)): throw MountFailure(sentence)
            case .serverHalted(let reason): throw MountFailure(reason)
            case .signal: throw MountFailure("interrupted before a server had answered")
            case .runner(.stopped), .kernelEnded: continue
            }
        }
    }

    private func attach(_ runner: NIOLoopBound<MountRunner>) throws -> FuseSession {
        let loop = runner.eventLoop
        let kernel = try FuseSession(
            options: plan.kernelOptions,
            wake: { loop.execute { runner.value.takeKernelInputs() } },
            ended: { failure in put(.kernelEnded(failure)) }
        )
        try kernel.mount(at: plan.mountPoint)
        kernel.start()
        try loop.submit { runner.value.serve(kernel) }.wait()
        return kernel
    }

    /// Says that the mount is of use, once it has answered.
    private func announce() throws(MountFailure) {
        guard MountPoint.answers(plan.mountPoint) else {
            throw MountFailure("the mount at \(plan.mountPoint) does not answer")
        }
        plan.log.write(.info, "\(plan.sourceText) is mounted at \(plan.mountPoint)")
        ServiceNotification.send("READY=1\nSTATUS=mounted at \(plan.mountPoint)")
        if let daemon, !daemon.reportReady() {
            throw MountFailure("whoever started the mount did not wait for it")
        }
    }

    private func waitForEnd() throws(MountFailure) {
        while true {
            switch next() {
            case .signal(let number):
                plan.log.write(.info, "unmounting on signal \(number)")
                return
            case .kernelEnded(let failure?): throw MountFailure(failure)
            case .kernelEnded(nil):
                plan.log.write(.info, "unmounted")
                return
            case .serverHalted(let reason): throw MountFailure("the server has ended: \(reason)")
            case .runner: continue
            }
        }
    }

    /// Waits until the session is closed. A second signal does not wait.
    private func stop(_ runner: NIOLoopBound<MountRunner>) {
        ServiceNotification.send("STOPPING=1")
        runner.eventLoop.execute { runner.value.stop() }
        while true {
            switch next() {
            case .runner(.stopped): return
            case .signal: return
            case .runner(.prepared), .runner(.failed), .kernelEnded, .serverHalted: continue
            }
        }
    }

    // MARK: - Events

    private func put(_ event: Event) { events.change { $0.append(event) } }

    private func next() -> Event {
        events.wait { $0.isEmpty ? nil : $0.removeFirst() }
    }

    private func listenForSignals() {
        let events = events
        // A daemon outlives its terminal; in the foreground the terminal's end is the mount's.
        let wait = SignalWait([SIGTERM, SIGINT, SIGHUP])
        let isDaemon = daemon != nil
        _ = SystemThread(name: "signals") {
            while true {
                let number = wait.wait()
                if number == SIGHUP, isDaemon { continue }
                events.change { $0.append(.signal(number)) }
            }
        }
    }
}
