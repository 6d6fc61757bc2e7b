internal import Logging
internal import NIOCore
internal import NIOPosix
internal import Replication
internal import ZooKeeperModel
internal import ZooKeeperWire

/// The election channel: one link to each other member.
///
/// Of two members the one with the larger number owns the connection: it dials and keeps it. When the
/// other one has something to say and no link, it dials as well, says who it is, and is dialled back.
/// Members are dialled when there is something to say to them, all at the same time. To a member that
/// cannot be reached only the newest notification is kept.
final class ElectionPort {
    private let lines: EnsembleLines
    private let socket: PeerSocket
    private let greeting: ElectionGreeting
    private unowned let runner: ReplicaRunner

    private var links: [ServerID: ElectionLink] = [:]
    private var dials: [ServerID: Dial] = [:]
    /// Why a member could not be reached at the last attempt: said once for each reason.
    private var unreachable: [ServerID: String] = [:]
    /// Connections that came in and are open.
    private var strangers = 0
    private var isStopped = false

    /// An attempt to reach a member.
    private final class Dial {
        /// To be sent as soon as the link is there.
        var waiting: ElectionNotification?
        /// Which of its addresses is tried.
        var addressIndex = 0
    }

    /// Connections from outside beyond one for each member.
    static let strangerLimit = 64

    init(lines: EnsembleLines, socket: PeerSocket, runner: ReplicaRunner) {
        self.lines = lines
        self.socket = socket
        self.runner = runner
        greeting = ElectionGreeting(
            server: lines.me,
            addresses: lines.mine?.addresses.map(\.election.description) ?? []
        )
    }

    var bootstrap: ServerBootstrap {
        let bound = NIOLoopBound(self, eventLoop: socket.loop)
        return socket.server { channel in try bound.value.accept(channel) }
    }

    private func accept(_ channel: any Channel) throws {
        guard !isStopped, strangers < Self.strangerLimit + lines.members.count else {
            throw AdmissionRefused()
        }
        strangers += 1
        let bound = NIOLoopBound(self, eventLoop: socket.loop)
        channel.closeFuture.whenComplete { _ in bound.value.strangers -= 1 }
        try channel.pipeline.syncOperations.addHandler(ElectionLink(port: self, peer: nil))
    }

    // MARK: What the replica wants

    func send(_ notification: ElectionNotification, to member: ServerID) {
        if let link = links[member] {
            link.send(notification)
        } else if let dial = dials[member] {
            dial.waiting = notification
        } else {
            self.dial(member, waiting: notification)
        }
    }

    private func dial(_ member: ServerID, waiting: ElectionNotification?) {
        guard !isStopped, let line = lines.members.first(where: { $0.id == member }),
            member != lines.me
        else { return }
        let dial = Dial()
        dial.waiting = waiting
        dials[member] = dial
        attempt(dial, line)
    }

    private func attempt(_ dial: Dial, _ line: MemberLine) {
        let place = line.addresses[dial.addressIndex].election
        let bound = NIOLoopBound(self, eventLoop: socket.loop)
        let context = NIOLoopBound((dial, line), eventLoop: socket.loop)
        let link = NIOLoopBound(
            ElectionLink(port: self, peer: line.id),
            eventLoop: socket.loop
        )
        socket.connect(to: place) { channel in
            try channel.pipeline.syncOperations.addHandler(link.value)
        }.whenComplete { result in
            let (dial, line) = context.value
            bound.value.dialled(dial, line, link.value, result)
        }
    }

    private func dialled(
        _ dial: Dial,
        _ line: MemberLine,
        _ link: ElectionLink,
        _ result: Result<any Channel, any Error>
    ) {
        switch result {
        case .failure(let error):
            noteUnreachable(line, at: line.addresses[dial.addressIndex].election, error)
            dial.addressIndex += 1
            guard dial.addressIndex == line.addresses.count else { return attempt(dial, line) }
            // The election says its word again before long.
            dials[line.id] = nil
        case .success:
            dials[line.id] = nil
            guard !isStopped else { return link.close("the server stops") }
            if let other = links[line.id], line.id > lines.me {
                // It has dialled meanwhile; to greet it would make it dial once more.
                if let waiting = dial.waiting { other.send(waiting) }
                return link.close("there is a link already")
            }
            guard line.id < lines.me else {
                // The other side owns the connection, and dials now that it knows of us.
                return link.sendAndClose(greeting, reason: "server \(line.id) is to dial")
            }
            link.send(greeting)
            established(link, with: line.id)
            if let waiting = dial.waiting { link.send(waiting) }
        }
        finishTurn()
    }

    /// An attempt is made with every word of the election, several a second at first.
    private func noteUnreachable(_ line: MemberLine, at place: HostPort, _ error: any Error) {
        let reason = "at \(place): \(SocketErrors.sentence(error))"
        guard unreachable[line.id] != reason, !isStopped else { return }
        // Members with several addresses would alternate.
        let isNews = unreachable[line.id] == nil || line.addresses.count == 1
        unreachable[line.id] = reason
        guard isNews else { return }
        runner.logger.warning("server \(line.id) cannot be reached for the election \(reason)")
    }

    /// Who is heard and who is not, for the operator of an ensemble that does not serve.
    var reachability: String {
        let others = lines.members.map(\.id).filter { $0 != lines.me }
        return others.map { member in
            if links[member] != nil { return "server \(member) is heard" }
            guard let reason = unreachable[member] else { return "server \(member) is not heard" }
            return "server \(member) cannot be reached \(reason)"
        }.joined(separator: "; ")
    }

    // MARK: What links say

    /// Whether a connection that came in may stay.
    func greeted(_ greeting: ElectionGreeting, on link: ElectionLink) -> Bool {
        let member = greeting.server
        guard lines.members.contains(where: { $0.id == member }), member != lines.me else {
            // Not dialled back: a stranger must not make this server connect where it likes.
            runner.logger.warning(
                "\(link.address) says it is server \(member), which is no other member: refused"
            )
            link.close("not a member")
            return false
        }
        guard member > lines.me else {
            // It has no link, whatever this side believes.
            links[member]?.close("server \(member) has lost it")
            link.close("server \(member) is dialled back")
            if dials[member] == nil { dial(member, waiting: nil) }
            return false
        }
        return true
    }

    func established(_ link: ElectionLink, with member: ServerID) {
        links[member]?.close("replaced by a newer connection")
        links[member] = link
        if unreachable.removeValue(forKey: member) != nil {
            runner.logger.info("server \(member) is heard again")
        }
        runner.receive(.electionConnected(member))
    }

    func ended(_ link: ElectionLink, with member: ServerID) {
        guard links[member] === link else { return }
        links[member] = nil
        runner.receive(.electionDisconnected(member))
        finishTurn()
    }

    func received(_ notification: ElectionNotification, from member: ServerID) {
        runner.receive(.notification(from: member, notification))
    }

    func dropped(_ sentence: String) { runner.logger.warning("\(sentence)") }
    func closing(_ sentence: String) { runner.logger.debug("\(sentence)") }
    func finishTurn() { runner.finishTurn() }

    func stop() {
        isStopped = true
        for link in links.values.sorted(by: { $0.address < $1.address }) {
            link.close("the server stops")
        }
    }
}
