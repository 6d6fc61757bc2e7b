internal import ZooKeeperModel

/// `X@watch`: one line an event, `EVENT ZXID PATH`, read as a stream.
///
/// Armed when open returns. ZooKeeper's watches fire once and say little, so each is only a sign to
/// look again: the state read then is compared with the state before, and the lines say the
/// difference, each with the zxid of the state that shows it. Changes may merge, the last state is
/// never missed, and whatever happened during a disconnection shows as a difference afterwards. One
/// registration serves all readers of a path. Paths are those of the mount: its root is `/`.
struct WatchReader: Sendable {
    struct Waiting: Hashable, Sendable {
        var request: FileRequestID
        var size: Int
    }

    /// What a reader may leave unread; beyond it an `overflow` line takes the place of the rest.
    static let limit = 65_536
    /// Reads that wait on one handle at the same time.
    static let waitingLimit = 64

    let path: ZnodePath
    let isNonBlocking: Bool
    var waiting: [Waiting] = []
    var poll: PollHandle?
    private var unread: [UInt8] = []
    /// The line to give once the unread ones are gone.
    private var overflow: [UInt8]?

    init(path: ZnodePath, isNonBlocking: Bool) {
        self.path = path
        self.isNonBlocking = isNonBlocking
    }

    var isReadable: Bool { !unread.isEmpty || overflow != nil }

    mutating func push(_ line: [UInt8], overflow: @autoclosure () -> [UInt8]) {
        if self.overflow != nil || unread.count + line.count > Self.limit {
            self.overflow = overflow()
        } else {
            unread += line
        }
    }

    /// As many whole lines as fit; a line longer than the reader's buffer comes in pieces.
    mutating func take(_ size: Int) -> [UInt8] {
        if unread.isEmpty, let line = overflow {
            unread = line
            overflow = nil
        }
        var count = min(size, unread.count)
        if count < unread.count,
            let end = unread[..<count].lastIndex(of: UInt8(ascii: "\n"))
        {
            count = end + 1
        }
        let result = Array(unread[..<count])
        unread.removeFirst(count)
        return result
    }

    mutating func stopWaiting(_ request: FileRequestID) {
        waiting.removeAll { $0.request == request }
    }
}

/// A path that someone watches.
struct WatchedPath: Sendable {
    enum State: Hashable, Sendable {
        case unknown
        case absent
        case present(Stat)
    }
    /// In the order they were opened.
    var readers: [FileHandle] = []
    var state = State.unknown
    /// The job that looks again and arms the watches.
    var renewal: JobID?
    /// A watch fired while that job was on its way.
    var firedAgain = false
    /// The newest zxid that an event named, for a deletion, which leaves no Stat.
    var eventZxid = Zxid.none
}

extension MountedTree {
    mutating func openStream(
        _ job: inout Job,
        _ id: NodeID,
        _ flags: OpenFlags
    ) throws(Stop) -> FileReply {
        guard let path = nodes[id]?.key.path else { throw .failed(.stale) }
        let (state, _) = try look(&job, path)
        let reader = WatchReader(
            path: path,
            isNonBlocking: flags.contains(.nonBlocking)
        )
        let handle = try addFile(id, .stream(reader))
        // Earlier readers hear of what this look has found.
        saw(path, state)
        watched[path, default: WatchedPath(state: state)].readers.append(handle)
        return .opened(handle, [.directIO, .nonSeekable, .stream])
    }

    /// Arms the watches of a path and reads its state.
    private mutating func look(
        _ job: inout Job,
        _ path: ZnodePath
    ) throws(Stop) -> (WatchedPath.State, Zxid) {
        let answers = try ask(
            &job,
            [.exists(path, watch: true), .getChildren2(path, watch: true)]
        )
        let zxid = answers.outcomes[1].zxid
        // The second answer is the newer one.
        switch (answers.outcomes[0].result, answers.outcomes[1].result) {
        case (_, .success(.childrenWithStat(_, let stat))): return (.present(stat), zxid)
        case (_, .failure(.noNode)): return (.absent, zxid)
        // Children that may not be read fire nothing; data and existence do.
        case (.success(.stat(let stat)), .failure(.noAuth)): return (.present(stat), zxid)
        case (_, let other): throw .failed(failure(other))
        }
    }

    mutating func readStream(
        _ request: FileRequestID,
        _ handle: FileHandle,
        _ size: Int
    ) throws(Stop) -> FileReply {
        guard let stream = files[handle]?.stream else { throw .failed(.badDescriptor) }
        if stream.isReadable {
            return .data(files[handle]?.withStream { $0.take(size) } ?? [])
        }
        if stream.isNonBlocking { throw .failed(.wouldBlock) }
        guard stream.waiting.count < WatchReader.waitingLimit else {
            throw .failed(.tooManyOpenFiles)
        }
        requests[request] = .stream(handle)
        files[handle]?.withStream { $0.waiting.append(.init(request: request, size: size)) }
        throw .held
    }

    mutating func unwatch(_ path: ZnodePath, _ handle: FileHandle) {
        watched[path]?.readers.removeAll { $0 == handle }
        if watched[path]?.readers.isEmpty == true {
            if let job = watched[path]?.renewal { jobs[job] = nil }
            watched[path] = nil
        }
    }

    // MARK: Events

    mutating func watchFired(_ event: WatchEvent) {
        guard watched[event.path] != nil else { return }
        if event.zxid != .none { watched[event.path]?.eventZxid = event.zxid }
        lookAgain(event.path)
    }

    private mutating func lookAgain(_ path: ZnodePath) {
        guard let watch = watched[path] else { return }
        if watch.renewal != nil {
            watched[path]?.firedAgain = true
        } else {
            let job = start(.renewWatch(path))
            watched[path]?.renewal = job
        }
    }

    /// The watches of the old session are gone with it.
    mutating func watchesAreGone() {
        for path in watched.keys.sorted() { lookAgain(path) }
    }

    mutating func renewWatch(_ job: inout Job, _ path: ZnodePath) throws(Stop) -> FileReply {
        let (state, zxid) = try look(&job, path)
        saw(path, state, at: zxid)
        watched[path]?.renewal = nil
        if watched[path]?.firedAgain == true {
            watched[path]?.firedAgain = false
            lookAgain(path)
        }
        return .done
    }

    /// The look did not succeed: out of time, or refused. It is tried again as long as someone
    /// reads.
    mutating func watchFailed(_ path: ZnodePath) {
        guard watched[path] != nil else { return }
        watched[path]?.renewal = nil
        if case .refused = link { return }
        lookAgain(path)
    }

    /// Tells the readers of a path how it differs from what they know.
    private mutating func saw(
        _ path: ZnodePath,
        _ state: WatchedPath.State,
        at zxid: Zxid? = nil
    ) {
        guard let watch = watched[path] else { return }
        watched[path]?.state = state
        let lines = Self.difference(
            watch.state,
            state,
            deletedAt: watch.eventZxid == .none ? zxid ?? lastZxid : watch.eventZxid
        )
        watched[path]?.eventZxid = .none
        for (event, at) in lines { tell(path, event, at) }
    }

    static func difference(
        _ old: WatchedPath.State,
        _ new: WatchedPath.State,
        deletedAt: Zxid
    ) -> [(event: String, zxid: Zxid)] {
        switch (old, new) {
        case (.unknown, _), (_, .unknown), (.absent, .absent): return []
        case (.absent, .present(let stat)): return [("created", stat.czxid)]
        case (.present, .absent): return [("deleted", deletedAt)]
        case (.present(let before), .present(let after)):
            if before.czxid != after.czxid {
                return [("deleted", after.czxid), ("created", after.czxid)]
            }
            var lines: [(event: String, zxid: Zxid)] = []
            if before.mzxid != after.mzxid { lines.append(("changed", after.mzxid)) }
            if before.pzxid != after.pzxid || before.cversion != after.cversion {
                lines.append(("child", after.pzxid))
            }
            return lines.sorted { $0.zxid < $1.zxid }
        }
    }

    mutating func tellStreams(_ event: String) {
        for path in watched.keys.sorted() { tell(path, event, lastZxid) }
    }

    private mutating func tell(_ path: ZnodePath, _ event: String, _ zxid: Zxid) {
        let shown = shownPath(path)
        let line = Array("\(event) \(zxid) ".utf8) + shown + [UInt8(ascii: "\n")]
        for handle in watched[path]?.readers ?? []
        where
            files[handle]?.withStream({
                $0.push(
                    line,
                    overflow: Array("overflow \(zxid) ".utf8) + shown
                        + [UInt8(ascii: "\n")]
                )
            }) != nil
        {
            serveReaders(handle)
        }
    }

    private mutating func serveReaders(_ handle: FileHandle) {
        while let stream = files[handle]?.stream, stream.isReadable,
            let first = stream.waiting.first
        {
            let bytes = files[handle]?.withStream { $0.take(first.size) } ?? []
            files[handle]?.withStream { $0.stopWaiting(first.request) }
            reply(first.request, .data(bytes))
        }
        if let stream = files[handle]?.stream, stream.isReadable, let poll = stream.poll {
            files[handle]?.withStream { $0.poll = nil }
            output.append(.notify(.wakePoll(poll)))
        }
    }

    /// The path below the mount's root, as names are shown.
    private func shownPath(_ path: ZnodePath) -> [UInt8] {
        let below = path.bytes.dropFirst(settings.root.isRoot ? 0 : settings.root.bytes.count)
        let names = below.split(separator: UInt8(ascii: "/"))
        guard !names.isEmpty else { return [UInt8(ascii: "/")] }
        return names.flatMap {
            [UInt8(ascii: "/")] + ParsedName.shown($0, facets: settings.facets)
        }
    }
}
