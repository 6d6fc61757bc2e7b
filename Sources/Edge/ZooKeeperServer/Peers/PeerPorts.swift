internal import Logging
internal import NIOCore
internal import ZooKeeperModel

/// What connects this server with the other members: the election's links and the learner protocol's
/// connections, and the places where it listens for both.
final class PeerPorts {
    let election: ElectionPort
    let quorum: QuorumPort
    private let lines: EnsembleLines
    private let listensOnAllAddresses: Bool
    private let listeners: Listeners
    private let vigil: Vigil

    init(configuration: ServerConfiguration, loop: any EventLoop, runner: ReplicaRunner) {
        lines = configuration.ensemble
        listensOnAllAddresses = configuration.listensOnAllAddresses
        func socket(unreceivedLimit: Duration) -> PeerSocket {
            PeerSocket(
                loop: loop,
                connectTimeout: TimeAmount(configuration.connectTimeout),
                unreceivedLimit: TimeAmount(max(unreceivedLimit, .seconds(2)))
            )
        }
        let tick = configuration.tickTime
        election = ElectionPort(
            lines: lines,
            socket: socket(unreceivedLimit: tick),
            runner: runner
        )
        // Not sooner than the protocol itself gives up: a short break of the network ends nothing.
        quorum = QuorumPort(
            lines: lines,
            socket: socket(unreceivedLimit: tick * configuration.syncLimit),
            runner: runner
        )
        vigil = Vigil(loop: loop, runner: runner, election: election)
        listeners = Listeners(loop: loop, attempts: configuration.portBindAttempts)
        let logger = runner.logger
        listeners.onOpen = { logger.info("\($0)") }
        listeners.onRetry = { logger.warning("\($0)") }
        // Not `weak`: each use of an object with a weak reference to it costs twice as much.
        listeners.onFailure = { [unowned runner] in runner.halt($0) }
    }

    func start() {
        vigil.start()
        for address in lines.mine?.addresses ?? [] {
            let host = listensOnAllAddresses ? "::" : address.host
            listeners.listen(
                at: HostPort(host: host, port: address.quorumPort),
                with: quorum.bootstrap,
                purpose: "quorum port"
            )
            listeners.listen(
                at: HostPort(host: host, port: address.electionPort),
                with: election.bootstrap,
                purpose: "election port"
            )
        }
    }

    func stop() {
        vigil.stop()
        listeners.stop()
        election.stop()
        quorum.stop()
    }
}
