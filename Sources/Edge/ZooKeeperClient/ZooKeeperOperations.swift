internal import ClientCore
public import ZooKeeperModel

// What can be asked of the tree. Every method throws as ``ZooKeeper`` says; beside the codes named
// there, the codes each method names.

// MARK: Writing

extension ZooKeeper {
    /// Makes a znode and returns its path, which for the sequential modes ends in a number of ten
    /// digits that the server appended.
    ///
    /// - Parameter timeToLive: for the two modes that carry one, in whole milliseconds from 1 ms to
    ///   about 34 years.
    /// - Throws: `.nodeExists`, `.noNode` (no parent), `.noChildrenForEphemerals`, `.noAuth`,
    ///   `.invalidACL`, `.quotaExceeded`; `.unimplemented` for modes that the ensemble does not
    ///   enable.
    @discardableResult
    public func create(
        _ path: String,
        data: [UInt8]?,
        acl: [ACL] = .open,
        mode: CreateMode = .persistent,
        timeToLive: Duration? = nil
    ) async throws -> (path: String, stat: Stat) {
        let kind: CreateKind
        if let timeToLive {
            kind = .timeToLive(timeToLive.wholeMilliseconds)
        } else {
            kind = mode == .container ? .container : .create2
        }
        let operation = chroot.checked(path, isSequential: mode.isSequential).map {
            Operation.create(
                CreateRequest(kind: kind, path: $0, data: data, acl: acl, mode: mode)
            )
        }
        let made: Created = try await ask("create", path, operation) { session, response in
            guard case .createdWithStat(let path, let stat) = response else { return nil }
            return Created(path: session.chroot.name(of: path), stat: stat)
        }
        return (made.path, made.stat)
    }

    private struct Created: Sendable {
        let path: String
        let stat: Stat
    }

    /// - Throws: `.noNode`, `.badVersion`, `.notEmpty` (it has children), `.noAuth`.
    public func delete(_ path: String, version: Int32 = -1) async throws {
        let operation = chroot.checked(path).map { Operation.delete($0, version: version) }
        try await ask("delete", path, operation) { _, _ in () }
    }

    /// - Parameter data: replaces all of the znode's data; nil makes it null.
    /// - Throws: `.noNode`, `.badVersion`, `.noAuth`, `.quotaExceeded`.
    @discardableResult
    public func setData(_ path: String, _ data: [UInt8]?, version: Int32 = -1) async throws -> Stat
    {
        let operation = chroot.checked(path).map {
            Operation.setData($0, data: data, version: version)
        }
        return try await ask("setData", path, operation) { _, response in response.statOnly }
    }

    /// - Parameter version: that of the ACL: `Stat.aversion`.
    /// - Throws: `.noNode`, `.badVersion`, `.invalidACL`, `.noAuth`.
    @discardableResult
    public func setACL(_ path: String, _ acl: [ACL], version: Int32 = -1) async throws -> Stat {
        let operation = chroot.checked(path).map {
            Operation.setACL($0, acl: acl, version: version)
        }
        return try await ask("setACL", path, operation) { _, response in response.statOnly }
    }

    /// Does all steps or none, as one transaction.
    ///
    /// - Throws: the code of the first step that failed, with its path and index.
    @discardableResult
    public func multi(_ operations: [MultiOperation]) async throws -> [MultiOperationResult] {
        var steps: [Operation] = []
        steps.reserveCapacity(operations.count)
        for (index, operation) in operations.enumerated() {
            guard let step = operation.request(below: chroot) else {
                throw ZooKeeperError(.badArguments, "multi", path: operation.path, index: index)
            }
            steps.append(step)
        }
        let results: [MultiResult] = try await ask("multi", nil, .multi(steps)) { _, response in
            guard case .multi(let results) = response else { return nil }
            return results
        }
        var outcome: [MultiOperationResult] = []
        outcome.reserveCapacity(results.count)
        for (index, result) in results.enumerated() {
            let path = index < operations.count ? operations[index].path : nil
            switch result {
            case .success(let response):
                guard let step = MultiOperationResult(response, chroot: chroot) else {
                    throw ZooKeeperError(.marshallingError, "multi", path: path, index: index)
                }
                outcome.append(step)
            // The steps before the failed one; they took no effect.
            case .failure(.ok): continue
            case .failure(let code):
                throw ZooKeeperError(code, "multi", path: path, index: index)
            }
        }
        guard outcome.count == operations.count else {
            throw ZooKeeperError(.marshallingError, "multi")
        }
        return outcome
    }
}

// MARK: Reading

extension ZooKeeper {
    /// The znode's Stat, or nil if it does not exist.
    public func exists(_ path: String) async throws -> Stat? {
        let operation = chroot.checked(path).map { Operation.exists($0, watch: false) }
        return try await askResult("exists", path, operation) { _, result in
            Self.existence(result)
        }
    }

    /// - Throws: `.noNode`, `.noAuth`.
    public func getData(_ path: String) async throws -> (data: [UInt8]?, stat: Stat) {
        let operation = chroot.checked(path).map { Operation.getData($0, watch: false) }
        let found: Found<[UInt8]?> = try await ask("getData", path, operation) { _, response in
            guard case .data(let data, let stat) = response else { return nil }
            return Found(value: data, stat: stat)
        }
        return (found.value, found.stat)
    }

    /// The names of the children, without slash, in no particular order.
    ///
    /// - Throws: `.noNode`, `.noAuth`.
    public func getChildren(_ path: String) async throws -> (names: [String], stat: Stat) {
        let operation = chroot.checked(path).map { Operation.getChildren2($0, watch: false) }
        let found: Found<[String]> = try await ask("getChildren", path, operation) {
            _,
            response in Self.children(response)
        }
        return (found.value, found.stat)
    }

    /// - Throws: `.noNode`, `.noAuth`.
    public func getACL(_ path: String) async throws -> (acl: [ACL], stat: Stat) {
        let operation = chroot.checked(path).map { Operation.getACL($0) }
        let found: Found<[ACL]> = try await ask("getACL", path, operation) { _, response in
            guard case .acl(let acl, let stat) = response else { return nil }
            return Found(value: acl, stat: stat)
        }
        return (found.value, found.stat)
    }

    /// Waits until the server has caught up with the leader: later reads of this session see every
    /// write that was acknowledged to anybody before this was called.
    public func sync(_ path: String = "/") async throws {
        let operation = chroot.checked(path).map { Operation.sync($0) }
        try await ask("sync", path, operation) { _, _ in () }
    }

    private struct Found<Value: Sendable>: Sendable {
        let value: Value
        let stat: Stat
    }

    private static func existence(
        _ result: Result<Response, ErrorCode>
    ) -> Result<Stat?, ErrorCode> {
        switch result {
        case .success(.stat(let stat)): .success(stat)
        case .success: .failure(.marshallingError)
        case .failure(.noNode): .success(nil)
        case .failure(let code): .failure(code)
        }
    }

    private static func children(_ response: Response) -> Found<[String]>? {
        guard case .childrenWithStat(let names, let stat) = response else { return nil }
        return Found(value: names.map { String(decoding: $0, as: UTF8.self) }, stat: stat)
    }
}

// MARK: Watching

extension ZooKeeper {
    /// As ``exists(_:)``, with the next creation, deletion or change of data: one event.
    public func existsAndWatch(
        _ path: String
    ) async throws -> (stat: Stat?, events: WatchStream) {
        let znode = chroot.checked(path)
        let operation = znode.map { Operation.exists($0, watch: true) }
        let found: FoundOrNot = try await askResult("exists", path, operation) {
            [self] session, result in
            Self.existence(result).map { stat in
                let kinds: WatchKinds = stat == nil ? .exist : .data
                return FoundOrNot(
                    stat: stat,
                    events: watch(session, kinds, at: znode ?? .root)
                )
            }
        }
        return (found.stat, found.events)
    }

    private struct FoundOrNot: Sendable {
        let stat: Stat?
        let events: WatchStream
    }

    /// As ``getData(_:)``, with the next change of data or deletion: one event. Nothing that
    /// happens after the data was read is missed.
    public func getDataAndWatch(
        _ path: String
    ) async throws -> (data: [UInt8]?, stat: Stat, events: WatchStream) {
        let znode = chroot.checked(path)
        let operation = znode.map { Operation.getData($0, watch: true) }
        let found: Watched<[UInt8]?> = try await ask("getData", path, operation) {
            [self] session, response in
            guard case .data(let data, let stat) = response else { return nil }
            return Watched(
                value: data,
                stat: stat,
                events: watch(session, .data, at: znode ?? .root)
            )
        }
        return (found.value, found.stat, found.events)
    }

    /// As ``getChildren(_:)``, with the next change of the list of children or the deletion: one
    /// event.
    public func getChildrenAndWatch(
        _ path: String
    ) async throws -> (names: [String], stat: Stat, events: WatchStream) {
        let znode = chroot.checked(path)
        let operation = znode.map { Operation.getChildren2($0, watch: true) }
        let found: Watched<[String]> = try await ask("getChildren", path, operation) {
            [self] session, response in
            Self.children(response).map {
                Watched(
                    value: $0.value,
                    stat: $0.stat,
                    events: watch(session, .child, at: znode ?? .root)
                )
            }
        }
        return (found.value, found.stat, found.events)
    }

    private struct Watched<Value: Sendable>: Sendable {
        let value: Value
        let stat: Stat
        let events: WatchStream
    }

    /// A watch that firing does not end. The znode need not exist.
    ///
    /// After a reconnection it is set again, but what happened meanwhile is not told: read again at
    /// every `.connected` of ``events()``.
    ///
    /// - Throws: `.unimplemented` or a lost connection from servers before 3.6.
    public func addWatch(_ path: String, mode: AddWatchMode) async throws -> WatchStream {
        let znode = chroot.checked(path)
        let operation = znode.map { Operation.addWatch($0, mode: mode.rawValue) }
        let kinds: WatchKinds =
            switch mode {
            case .persistent: .persistent
            case .persistentRecursive: .persistentRecursive
            }
        return try await ask("addWatch", path, operation) { [self] session, _ in
            watch(session, kinds, at: znode ?? .root)
        }
    }

    /// Removes this session's watches of a type on a path and ends their streams. Type `.any` means
    /// the persistent ones as well.
    ///
    /// - Throws: `.noWatcher` if there is none.
    public func removeWatches(_ path: String, type: WatcherType = .any) async throws {
        let znode = chroot.checked(path)
        let operation = znode.map { Operation.removeWatches($0, type: type.rawValue) }
        try await ask("removeWatches", path, operation) { session, _ in
            if let znode, let kinds = WatchKinds.removed(byType: type.rawValue) {
                session.watchesRemoved(kinds, at: znode)
            }
        }
    }
}

// MARK: Who we are

extension ZooKeeper {
    /// Adds an identity to this session, on this connection and on all later ones. Scheme `digest`
    /// takes the bytes of `user:password`.
    ///
    /// - Throws: `.authFailed` if the server refuses it. The session is over then, since every
    ///   server would refuse it.
    public func addAuth(scheme: String, _ credential: [UInt8]) async throws {
        try await ask("addAuth", nil, .auth(scheme: scheme, credential: credential)) { _, _ in () }
    }
}

extension Response {
    fileprivate var statOnly: Stat? {
        if case .stat(let stat) = self { stat } else { nil }
    }
}
