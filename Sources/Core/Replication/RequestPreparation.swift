internal import ZooKeeperModel
internal import Znodes

/// Turns requests into transactions, on the leader.
///
/// Every write is checked here once, in the order in which Apache's server checks it, against the
/// tree with all outstanding proposals on top. What comes out can be applied without looking again:
/// it names new versions, sequence numbers and the ephemerals that a closing session leaves. A
/// refused write becomes an error transaction; it takes a zxid like any other, since the members of
/// an ensemble count on zxids without gaps.
///
/// Requests that would poison a log (a top-level check, a create whose kind and flags disagree) are
/// never turned into anything but an error.
struct RequestPreparation: Sendable {
    /// Who asks, and when.
    struct Context {
        var session: SessionID
        var identities: [Identity]
        /// Why the session's requests are refused, if they are.
        var sessionError: ErrorCode?
        /// Why its creates of ephemerals are.
        var ephemeralError: ErrorCode?
        var zxid: Zxid
    }
    private(set) var changes = OutstandingChanges()
    let skipACL: Bool

    init(skipACL: Bool) {
        self.skipACL = skipACL
    }

    /// The transaction that this operation becomes. The changes it makes are on record until
    /// ``rollBack()`` or ``applied(upTo:)``.
    mutating func prepare(
        _ operation: Operation,
        _ context: borrowing Context,
        tree: borrowing ZnodeTree
    ) -> TransactionBody {
        changes.beginRequest()
        do throws(ErrorCode) {
            if case .multi(let operations) = operation {
                if let error = context.sessionError { throw error }
                return .multi(prepareMulti(operations, context, tree: tree))
            }
            return try part(operation, context, tree: tree)
        } catch {
            changes.rollBack()
            return .error(error)
        }
    }

    /// The end of a session: everything it owns goes with it, in sorted order.
    mutating func prepareClose(
        of session: SessionID,
        zxid: Zxid,
        tree: borrowing ZnodeTree
    ) -> TransactionBody {
        changes.beginRequest()
        let paths = changes.ephemerals(of: session, in: tree)
        for path in paths { recordDeletion(of: path, zxid: zxid, tree: tree) }
        return .closeSession(paths)
    }

    /// For a transaction that changes no znode.
    mutating func beginEmpty() { changes.beginRequest() }

    /// The transaction was not proposed after all.
    mutating func rollBack() { changes.rollBack() }

    mutating func applied(upTo zxid: Zxid) { changes.applied(upTo: zxid) }

    private mutating func prepareMulti(
        _ operations: [Operation],
        _ context: borrowing Context,
        tree: borrowing ZnodeTree
    ) -> [TransactionBody] {
        var parts: [TransactionBody] = []
        parts.reserveCapacity(operations.count)
        var hasFailed = false
        for operation in operations {
            guard !hasFailed else {
                parts.append(.error(.runtimeInconsistency))
                continue
            }
            do throws(ErrorCode) {
                parts.append(try part(operation, context, tree: tree))
            } catch {
                // The parts before it stay in the transaction, so that every member can name the
                // one that failed; none of them will be applied.
                changes.rollBack()
                parts.append(.error(error))
                hasFailed = true
            }
        }
        return parts
    }

    /// One operation, alone or inside a multi.
    private mutating func part(
        _ operation: Operation,
        _ context: borrowing Context,
        tree: borrowing ZnodeTree
    ) throws(ErrorCode) -> TransactionBody {
        switch operation {
        case .create(let request): return try create(request, context, tree: tree)
        case .delete(let path, let version):
            return try delete(path, version: version, context, tree: tree)
        case .setData(let path, let data, let version):
            return try setData(path, data: data, version: version, context, tree: tree)
        case .setACL(let path, let acl, let version):
            return try setACL(path, acl: acl, version: version, context, tree: tree)
        case .check(let path, let version):
            return try check(path, version: version, context, tree: tree)
        case .malformed: throw .marshallingError
        case .exists, .getData, .getACL, .getChildren, .getChildren2, .sync, .multi, .setWatches,
            .addWatch, .checkWatches, .removeWatches, .auth, .ping, .closeSession, .unsupported:
            throw .unimplemented
        }
    }

    private func allows(
        _ znode: OutstandingChanges.Znode,
        _ needed: Permissions,
        _ context: borrowing Context
    ) -> Bool {
        skipACL || AccessCheck.allows(znode.acl, needed, identities: context.identities)
    }
}

// MARK: Create

extension RequestPreparation {
    private mutating func create(
        _ request: CreateRequest,
        _ context: borrowing Context,
        tree: borrowing ZnodeTree
    ) throws(ErrorCode) -> TransactionBody {
        guard let mode = CreateMode(rawValue: request.flags) else { throw .badArguments }
        // Containers and times to live are not there yet. Apache would also take kinds and flags
        // that contradict each other, and some of those stop every server that replays them.
        switch (request.kind, mode) {
        case (.container, _), (.timeToLive, _), (_, .container), (_, .persistentTimeToLive),
            (_, .persistentSequentialTimeToLive):
            throw .unimplemented
        case (.create, .persistent), (.create, .ephemeral), (.create, .persistentSequential),
            (.create, .ephemeralSequential), (.create2, .persistent), (.create2, .ephemeral),
            (.create2, .persistentSequential), (.create2, .ephemeralSequential):
            break
        }
        if let error = mode.isEphemeral ? context.ephemeralError : context.sessionError {
            throw error
        }
        guard let parentPath = Self.parent(of: request.path) else { throw .badArguments }
        let acl = try AccessCheck.fixedUp(request.acl, identities: context.identities)
        guard var parent = changes.find(parentPath, in: tree) else { throw .noNode }
        guard allows(parent, .create, context) else { throw .noAuth }
        var path = request.path
        if mode.isSequential { Self.appendSequence(parent.cversion, to: &path) }
        guard path.validate() == nil else { throw .badArguments }
        guard changes.find(path, in: tree) == nil else { throw .nodeExists }
        if case .session = parent.owner { throw .noChildrenForEphemerals }

        let parentCVersion = parent.cversion &+ 1
        // Applying ignores a smaller counter: it sticks at its greatest value, and so does it here.
        parent.cversion = max(parent.cversion, parentCVersion)
        parent.childCount += 1
        changes.record(parent, at: parentPath, zxid: context.zxid)
        var znode = OutstandingChanges.Znode(acl: acl)
        if mode.isEphemeral { znode.owner = .session(context.session) }
        changes.record(
            znode,
            at: path,
            zxid: context.zxid,
            ephemeralOf: mode.isEphemeral ? context.session : nil
        )
        return .create(
            CreateTransaction(
                path: path,
                data: request.data,
                acl: acl,
                isEphemeral: mode.isEphemeral,
                parentCVersion: parentCVersion,
                kind: request.kind
            )
        )
    }

    /// The text before the last slash, whatever it is; nil without a slash and with a zero byte.
    /// The root counts as its own parent, so that creating it finds it there already.
    private static func parent(of path: ZnodePath) -> ZnodePath? {
        guard !path.bytes.contains(0) else { return nil }
        return path.bytes == ZnodePath.root.bytes ? .root : path.parent
    }

    /// The counter as ten digits, more where it is negative.
    private static func appendSequence(_ counter: Int32, to path: inout ZnodePath) {
        var digits = counter.magnitude
        var text = [UInt8](repeating: UInt8(ascii: "0"), count: 10)
        var index = text.count
        while digits > 0 {
            index -= 1
            text[index] = UInt8(ascii: "0") + UInt8(digits % 10)
            digits /= 10
        }
        if counter < 0 {
            if index > 0 {
                text[0] = UInt8(ascii: "-")
            } else {
                text.insert(UInt8(ascii: "-"), at: 0)
            }
        }
        path.bytes.append(contentsOf: text)
    }
}

// MARK: Delete, set, check

extension RequestPreparation {
    private static let undeletable: [ZnodePath] = [
        .root, "/zookeeper", "/zookeeper/quota", "/zookeeper/config",
    ]

    private mutating func delete(
        _ path: ZnodePath,
        version: Int32,
        _ context: borrowing Context,
        tree: borrowing ZnodeTree
    ) throws(ErrorCode) -> TransactionBody {
        if let error = context.sessionError { throw error }
        guard !Self.undeletable.contains(path), let parentPath = Self.parent(of: path) else {
            throw .badArguments
        }
        guard let parent = changes.find(parentPath, in: tree) else { throw .noNode }
        guard allows(parent, .delete, context) else { throw .noAuth }
        guard let znode = changes.find(path, in: tree) else { throw .noNode }
        guard version == -1 || version == znode.version else { throw .badVersion }
        guard znode.childCount == 0 else { throw .notEmpty }
        recordDeletion(of: path, zxid: context.zxid, tree: tree)
        return .delete(path)
    }

    private mutating func recordDeletion(
        of path: ZnodePath,
        zxid: Zxid,
        tree: borrowing ZnodeTree
    ) {
        guard var znode = changes.find(path, in: tree) else { return }
        var session: SessionID?
        if case .session(let owner) = znode.owner { session = owner }
        znode.exists = false
        changes.record(znode, at: path, zxid: zxid, ephemeralOf: session)
        guard let parentPath = Self.parent(of: path),
            var parent = changes.find(parentPath, in: tree)
        else { return }
        parent.childCount -= 1
        changes.record(parent, at: parentPath, zxid: zxid)
    }

    private mutating func setData(
        _ path: ZnodePath,
        data: [UInt8]?,
        version: Int32,
        _ context: borrowing Context,
        tree: borrowing ZnodeTree
    ) throws(ErrorCode) -> TransactionBody {
        if let error = context.sessionError { throw error }
        guard path.validate() == nil else { throw .badArguments }
        guard var znode = changes.find(path, in: tree) else { throw .noNode }
        guard allows(znode, .write, context) else { throw .noAuth }
        guard version == -1 || version == znode.version else { throw .badVersion }
        znode.version = Self.version(after: znode.version)
        changes.record(znode, at: path, zxid: context.zxid)
        return .setData(path, data: data, version: znode.version)
    }

    private mutating func setACL(
        _ path: ZnodePath,
        acl: [ACL],
        version: Int32,
        _ context: borrowing Context,
        tree: borrowing ZnodeTree
    ) throws(ErrorCode) -> TransactionBody {
        if let error = context.sessionError { throw error }
        guard path.validate() == nil else { throw .badArguments }
        let acl = try AccessCheck.fixedUp(acl, identities: context.identities)
        guard var znode = changes.find(path, in: tree) else { throw .noNode }
        guard allows(znode, .admin, context) else { throw .noAuth }
        guard version == -1 || version == znode.aversion else { throw .badVersion }
        znode.aversion = Self.version(after: znode.aversion)
        znode.acl = acl
        changes.record(znode, at: path, zxid: context.zxid)
        return .setACL(path, acl: acl, version: znode.aversion)
    }

    /// The numbers go round. −1 is left out: as the version that a client expects it means any, and
    /// who compares before setting would do so no more.
    private static func version(after version: Int32) -> Int32 {
        version == -2 ? 0 : version &+ 1
    }

    private mutating func check(
        _ path: ZnodePath,
        version: Int32,
        _ context: borrowing Context,
        tree: borrowing ZnodeTree
    ) throws(ErrorCode) -> TransactionBody {
        if let error = context.sessionError { throw error }
        guard path.validate() == nil else { throw .badArguments }
        guard let znode = changes.find(path, in: tree) else { throw .noNode }
        guard allows(znode, .read, context) else { throw .noAuth }
        guard version == -1 || version == znode.version else { throw .badVersion }
        return .check(path, version: version)
    }
}
