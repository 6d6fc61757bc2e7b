import Testing
import ZnodeFS
import ZooKeeperModel

/// Mounts over one service, driven by hand: every operation, answer and event moves only when a
/// test says so, or in an order drawn from a seed.
struct MountWorld {
    struct Mount {
        var tree: MountedTree
        var session: SessionID
        var isConnected = false
        /// Submitted and not yet at the service.
        var outbox: [(OperationToken, ZooKeeperModel.Operation)] = []
        /// Answers and events on their way back.
        var inbox: [MountInput] = []
        var missedEvents: [WatchEvent] = []
        var replies: [FileRequestID: FileReply] = [:]
        var waiting: Set<FileRequestID> = []
        var notifications: [KernelNotification] = []
        /// How often the tree asked how much the servers hold.
        var measures = 0
        /// Requests whose callers the tree wants looked at.
        var looks: [FileRequestID] = []
        var log: [String] = []
        /// How often the kernel was given each node.
        var given: [NodeID: UInt64] = [:]
    }

    var service = ZnodeService()
    var mounts: [Mount] = []
    var now = ClockReading(
        instant: Instant(nanoseconds: 1_000),
        timestamp: Timestamp(rawValue: 1_000_000)
    )
    /// What the servers say of themselves.
    var measure: EnsembleMeasure?
    var lastRequest: UInt64 = 0
    var lastSession: Int64 = 0x100
    var random: UInt64 = 1
    /// Whose the next requests are.
    var thread: Int32 = 1
    let caller = Caller(user: 1000, group: 1000, thread: 1, umask: 0o22)

    init(mounts count: Int = 1, _ change: (inout MountSettings) -> Void = { _ in }) {
        for index in 0..<count {
            var settings = MountSettings()
            settings.randomSeed = UInt64(index)
            change(&settings)
            lastSession += 1
            mounts.append(
                Mount(
                    tree: MountedTree(settings: settings, now: now),
                    session: SessionID(rawValue: lastSession)
                )
            )
        }
        for index in mounts.indices { connect(index, isNew: true) }
    }

    // MARK: Moving things

    mutating func input(_ m: Int, _ input: MountInput) {
        var actions: [MountAction] = []
        mounts[m].tree.handle(input, at: now, actions: &actions)
        mounts[m].tree.checkInvariants()
        for action in actions {
            switch action {
            case .reply(let request, let reply):
                let wasWaiting = mounts[m].waiting.remove(request) != nil
                precondition(wasWaiting, "request \(request.rawValue) was answered twice")
                mounts[m].replies[request] = reply
                for node in reply.nodes { mounts[m].given[node, default: 0] += 1 }
            case .submit(let token, let operation):
                if mounts[m].isConnected {
                    mounts[m].outbox.append((token, operation))
                } else {
                    // Submitted before the tree heard that the connection is gone.
                    mounts[m].inbox.append(.completed(token, Self.lost))
                }
            case .notify(let notification): mounts[m].notifications.append(notification)
            case .lookAtCaller(let request): mounts[m].looks.append(request)
            case .measureEnsemble:
                mounts[m].measures += 1
                mounts[m].inbox.append(.measured(measure))
            case .log(_, let line): mounts[m].log.append(line)
            }
        }
    }

    /// Lets the service take one operation; its answer and events are on their way back.
    mutating func serve(_ m: Int) {
        let (token, operation) = mounts[m].outbox.removeFirst()
        let outcome = service.perform(operation, mounts[m].session)
        spreadEvents()
        mounts[m].inbox.append(.completed(token, outcome))
    }

    mutating func spreadEvents() {
        for (session, event) in service.events {
            for index in mounts.indices where mounts[index].session == session {
                if mounts[index].isConnected {
                    mounts[index].inbox.append(.event(event))
                } else {
                    mounts[index].missedEvents.append(event)
                }
            }
        }
        service.events = []
    }

    mutating func deliver(_ m: Int) {
        let next = mounts[m].inbox.removeFirst()
        input(m, next)
    }

    /// One move of a mount: an answer first, else an operation. False if there is none.
    mutating func step(_ m: Int) -> Bool {
        if !mounts[m].inbox.isEmpty {
            deliver(m)
        } else if !mounts[m].outbox.isEmpty {
            serve(m)
        } else {
            return false
        }
        return true
    }

    /// Moves everything until nothing moves, and time where pauses are short.
    mutating func settle() {
        for _ in 0..<1_000_000 {
            var moved = false
            for m in mounts.indices { while step(m) { moved = true } }
            if moved { continue }
            guard let at = nearDeadline() else { return }
            now.instant = max(now.instant, at)
            for m in mounts.indices { input(m, .wake) }
        }
        Issue.record("the world does not come to rest")
    }

    /// The next pause that is no matter of seconds.
    private func nearDeadline() -> Instant? {
        mounts.compactMap { $0.tree.nextDeadline }.filter { $0 < now.instant + .milliseconds(500) }
            .min()
    }

    mutating func draw(_ count: Int) -> Int {
        random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Int((random >> 33) % UInt64(count))
    }

    /// Moves everything in an order drawn from the seed.
    mutating func settleRandomly() {
        for _ in 0..<1_000_000 {
            var moves: [(Int, Bool)] = []
            for m in mounts.indices {
                if !mounts[m].inbox.isEmpty { moves.append((m, true)) }
                if !mounts[m].outbox.isEmpty { moves.append((m, false)) }
            }
            if moves.isEmpty {
                guard let at = nearDeadline() else { return }
                now.instant = max(now.instant, at)
                for m in mounts.indices { input(m, .wake) }
                continue
            }
            let (m, isDelivery) = moves[draw(moves.count)]
            if isDelivery { deliver(m) } else { serve(m) }
        }
        Issue.record("the world does not come to rest")
    }

    mutating func pass(_ duration: Duration) {
        now.instant = now.instant + duration
        now.timestamp.rawValue += duration.wholeMilliseconds
        service.time = now.timestamp
        for m in mounts.indices { input(m, .wake) }
        settle()
    }

    // MARK: The session

    static let lost = OperationOutcome(result: .failure(.connectionLoss), zxid: .none)

    mutating func connect(_ m: Int, isNew: Bool = false) {
        mounts[m].isConnected = true
        input(m, .session(.connected(mounts[m].session, isNew: isNew)))
        let missed = mounts[m].missedEvents
        mounts[m].missedEvents = []
        for event in missed { mounts[m].inbox.append(.event(event)) }
    }

    /// The connection goes: the service takes the first `taken` operations of those on their way,
    /// and no answer arrives.
    mutating func disconnect(_ m: Int, taken: Int = 0, tellsFirst: Bool = true) {
        var tokens: [OperationToken] = []
        for item in mounts[m].inbox {
            switch item {
            case .completed(let token, _): tokens.append(token)
            case .event(let event): mounts[m].missedEvents.append(event)
            default: break
            }
        }
        mounts[m].inbox.removeAll { if case .measured = $0 { false } else { true } }
        for (index, (token, operation)) in mounts[m].outbox.enumerated() {
            if index < taken { _ = service.perform(operation, mounts[m].session) }
            tokens.append(token)
        }
        mounts[m].outbox = []
        mounts[m].isConnected = false
        spreadEvents()
        if tellsFirst { input(m, .session(.disconnected)) }
        for token in tokens { input(m, .completed(token, Self.lost)) }
        if !tellsFirst { input(m, .session(.disconnected)) }
    }

    /// The session ends while the mount is away, and a new one begins.
    mutating func expire(_ m: Int) {
        if mounts[m].isConnected { disconnect(m) }
        service.end(mounts[m].session)
        mounts[m].missedEvents = []
        spreadEvents()
        mounts[m].missedEvents = []
        input(m, .session(.expired))
        lastSession += 1
        mounts[m].session = SessionID(rawValue: lastSession)
        connect(m, isNew: true)
    }

    // MARK: Requests

    mutating func send(_ m: Int, _ operation: FileOperation, root: Bool = false) -> FileRequestID {
        lastRequest += 1
        let request = FileRequestID(rawValue: lastRequest)
        mounts[m].waiting.insert(request)
        var caller = self.caller
        caller.thread = thread
        if root { caller.user = 0 }
        input(m, .kernel(request, operation, caller))
        return request
    }

    func reply(_ m: Int, _ request: FileRequestID) -> FileReply? { mounts[m].replies[request] }

    /// Sends and lets everything move. Fails the test if there is no answer then.
    mutating func call(_ m: Int, _ operation: FileOperation, root: Bool = false) throws -> FileReply
    {
        let request = send(m, operation, root: root)
        settle()
        return try #require(reply(m, request), "no answer to \(operation)")
    }
}

extension FileReply {
    /// The nodes that this reply counts a lookup of.
    var nodes: [NodeID] {
        switch self {
        case .entry(let entry), .created(let entry, _, _): [entry.node].compactMap { $0 }
        case .directory(let entries, _): entries.compactMap { $0.entry?.node }
        default: []
        }
    }
}

extension MountWorld {
    /// The kernel drops all it knows, as under memory pressure.
    mutating func forgetAll(_ m: Int) {
        for (node, count) in mounts[m].given.sorted(by: { $0.key < $1.key }) {
            input(m, .kernel(FileRequestID(rawValue: 0), .forget(node, count: count), caller))
        }
        mounts[m].given = [:]
    }
}

/// What a shell would do, over requests as the kernel sends them.
extension MountWorld {
    struct Failure: Error, Equatable { var errno: Errno }

    mutating func walk(_ m: Int, _ path: String) throws -> Entry {
        var node = NodeID.root
        var last: Entry?
        for name in path.split(separator: "/") {
            switch try call(m, .lookup(parent: node, name: Array(name.utf8))) {
            case .entry(let entry):
                last = entry
                node = try #require(entry.node)
            case .failed(let errno): throw Failure(errno: errno)
            case let other: Issue.record("a lookup answered \(other)")
            }
        }
        if let last { return last }
        guard case .attributes(let attributes, _) = try call(m, .getAttributes(.root, handle: nil))
        else { throw Failure(errno: .inputOutput) }
        return Entry(
            node: .root,
            attributes: attributes,
            attributeValidity: .zero,
            entryValidity: .zero
        )
    }

    mutating func split(_ m: Int, _ path: String) throws -> (NodeID, [UInt8]) {
        var parts = path.split(separator: "/")
        let name = parts.removeLast()
        let parent = try walk(m, parts.joined(separator: "/"))
        return (try #require(parent.node), Array(name.utf8))
    }

    mutating func open(
        _ m: Int,
        _ path: String,
        _ flags: OpenFlags = []
    ) throws -> (NodeID, FileHandle) {
        do {
            let entry = try walk(m, path)
            if flags.isSuperset(of: [.create, .exclusive]) { throw Failure(errno: .exists) }
            let node = try #require(entry.node)
            switch try call(m, .open(node, flags: flags)) {
            case .opened(let handle, _): return (node, handle)
            case .failed(let errno): throw Failure(errno: errno)
            case let other:
                Issue.record("an open answered \(other)")
                throw Failure(errno: .inputOutput)
            }
        } catch let failure as Failure where failure.errno == .noEntry && flags.contains(.create) {
            let (parent, name) = try split(m, path)
            switch try call(m, .create(parent: parent, name: name, mode: 0o644, flags: flags)) {
            case .created(let entry, let handle, _): return (try #require(entry.node), handle)
            case .failed(let errno): throw Failure(errno: errno)
            case let other:
                Issue.record("a create answered \(other)")
                throw Failure(errno: .inputOutput)
            }
        }
    }

    mutating func check(_ reply: FileReply) throws {
        if case .failed(let errno) = reply { throw Failure(errno: errno) }
    }

    mutating func close(_ m: Int, _ node: NodeID, _ handle: FileHandle) throws {
        let flushed = try call(m, .flush(node, handle, lockOwner: 1))
        _ = try call(m, .release(node, handle))
        try check(flushed)
    }

    /// `echo -n text > path`, in the shell's way: a duplicate is closed before the write.
    mutating func write(
        _ m: Int,
        _ path: String,
        _ text: String,
        _ flags: OpenFlags = [.writeOnly, .create, .truncate]
    ) throws {
        let (node, handle) = try open(m, path, flags)
        try check(try call(m, .flush(node, handle, lockOwner: 1)))
        let written = try call(m, .write(node, handle, offset: 0, bytes: Array(text.utf8)))
        try close(m, node, handle)
        try check(written)
    }

    mutating func read(_ m: Int, _ path: String) throws -> String {
        let (node, handle) = try open(m, path)
        let text = try readAll(m, node, handle)
        try close(m, node, handle)
        return text
    }

    mutating func readAll(_ m: Int, _ node: NodeID, _ handle: FileHandle) throws -> String {
        var bytes: [UInt8] = []
        while true {
            let reply = try call(
                m,
                .read(node, handle, offset: Int64(bytes.count), size: 4096)
            )
            try check(reply)
            guard case .data(let part) = reply else { throw Failure(errno: .inputOutput) }
            if part.isEmpty { return String(decoding: bytes, as: UTF8.self) }
            bytes += part
        }
    }

    mutating func mkdir(_ m: Int, _ path: String, mode: UInt32 = 0o755) throws {
        let (parent, name) = try split(m, path)
        try check(try call(m, .makeDirectory(parent: parent, name: name, mode: mode)))
    }

    mutating func unlink(_ m: Int, _ path: String) throws {
        let (parent, name) = try split(m, path)
        try check(try call(m, .unlink(parent: parent, name: name)))
    }

    mutating func rmdir(_ m: Int, _ path: String) throws {
        let (parent, name) = try split(m, path)
        try check(try call(m, .removeDirectory(parent: parent, name: name)))
    }

    mutating func rename(_ m: Int, _ from: String, _ to: String, flags: UInt32 = 0) throws {
        let (parent, name) = try split(m, from)
        let (newParent, newName) = try split(m, to)
        try check(
            try call(
                m,
                .rename(
                    parent: parent,
                    name: name,
                    newParent: newParent,
                    newName: newName,
                    flags: flags
                )
            )
        )
    }

    mutating func list(
        _ m: Int,
        _ path: String,
        size: Int = 4096,
        plus: Bool = true
    ) throws -> [String] {
        let node = try #require(try walk(m, path).node)
        guard case .opened(let handle, _) = try call(m, .openDirectory(node)) else {
            throw Failure(errno: .notDirectory)
        }
        var names: [String] = []
        var offset: UInt64 = 0
        while true {
            let reply = try call(
                m,
                .readDirectory(node, handle, offset: offset, size: size, withAttributes: plus)
            )
            try check(reply)
            guard case .directory(let entries, _) = reply, let last = entries.last else { break }
            names += entries.map { String(decoding: $0.name, as: UTF8.self) }
            offset = last.nextOffset
        }
        _ = try call(m, .releaseDirectory(node, handle))
        return names.filter { $0 != "." && $0 != ".." }
    }

    func data(_ path: String) -> String? {
        service.nodes[ZnodePath(path)]?.data.map { String(decoding: $0, as: UTF8.self) }
    }

    func version(_ path: String) -> Int32? { service.nodes[ZnodePath(path)]?.stat.version }

    /// Another client's doing.
    mutating func other(_ operation: ZooKeeperModel.Operation) {
        _ = service.perform(operation, SessionID(rawValue: 0x999))
        spreadEvents()
    }
}
