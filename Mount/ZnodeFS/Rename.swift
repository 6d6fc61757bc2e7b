internal import ZooKeeperModel

/// Renaming as one transaction.
///
/// Over an existing file it sets that znode's data and deletes the source: the target's version goes
/// on, its ACL and watchers stay. To a free name it creates and deletes, with the source's ACL. A
/// directory moves with everything below it while that fits one transaction, else EXDEV, and `mv`
/// copies. Every znode is deleted at the version it was read at, so a change by another in between
/// fails the whole transaction, and it begins again.
extension MountedTree {
    /// More znodes than this are not moved at once.
    static let renameLimit = 512
    static let noReplace: UInt32 = 1
    static let exchange: UInt32 = 2

    /// One znode of the subtree that moves.
    private struct Moving {
        var path: ZnodePath
        var stat: Stat
        var data: [UInt8]?
        var acl: [ACL]
        var children: [[UInt8]]
    }

    mutating func rename(
        _ job: inout Job,
        _ parent: NodeID,
        _ name: [UInt8],
        _ newParent: NodeID,
        _ newName: [UInt8],
        _ flags: UInt32
    ) throws(Stop) -> FileReply {
        let from = try resolve(&job, parent, name)
        let to = try resolve(&job, newParent, newName, creates: true, position: 1)
        guard from.facet == .itself, to.facet == .itself else { throw .failed(.notPermitted) }
        try checkName(to.path)
        guard flags & ~(Self.noReplace | Self.exchange) == 0, flags != 3 else {
            throw .failed(.invalidArgument)
        }
        if from.path == to.path { return .done }
        guard !to.path.isEqualOrBelow(from.path) else { throw .failed(.invalidArgument) }
        // What the source's handles hold goes with it.
        let handles =
            filesByPath[from.path] ?? nodes.deferredNode(from.path).flatMap { nodes[$0]?.handles }
            ?? []
        try awaitPublication(&job, of: handles)

        guard let source = try inspect(&job, from.path) else { throw .failed(.noEntry) }
        let target = try inspect(&job, to.path)
        if flags == Self.exchange {
            guard let target else { throw .failed(.noEntry) }
            return try exchange(&job, source, target)
        }
        if flags == Self.noReplace, target != nil || nodes.deferredNode(to.path) != nil {
            throw .failed(.exists)
        }
        if let target {
            switch (kind(source) == .directory, kind(target) == .directory) {
            case (false, true): throw .failed(.isDirectory)
            case (true, false): throw .failed(.notDirectory)
            case (true, true):
                guard target.stat.numChildren == 0, !hasDeferredChildren(to.path) else {
                    throw .failed(.notEmpty)
                }
            case (false, false): break
            }
        }
        let becomesEphemeral = try creationParent(&job, to.path)
        let subtree = try gather(&job, from.path)
        if becomesEphemeral, subtree.count > 1 { throw .failed(.notSupported) }
        let operations = try transaction(
            subtree,
            from.path,
            to.path,
            target,
            becomesEphemeral
        )
        follow(from.path, to.path, try carryOut(&job, operations, source))
        return .done
    }

    /// The source and all below it, parents before children, in bursts level by level.
    private mutating func gather(_ job: inout Job, _ root: ZnodePath) throws(Stop) -> [Moving] {
        var result: [Moving] = []
        var level = [root]
        var bytes = 0
        while !level.isEmpty {
            let answers = try ask(
                &job,
                level.flatMap {
                    [
                        Operation.getData($0, watch: false), .getACL($0),
                        .getChildren($0, watch: false),
                    ]
                }
            )
            var next: [ZnodePath] = []
            for (index, path) in level.enumerated() {
                let own = answers.outcomes[(index * 3)..<(index * 3 + 3)].map(\.result)
                guard case .success(.data(let data, let stat)) = own[0],
                    case .success(.acl(let acl, _)) = own[1],
                    case .success(.children(let children)) = own[2]
                else {
                    if own.contains(.failure(.noNode)) { throw .again }
                    throw .failed(own.contains(.failure(.noAuth)) ? .accessDenied : .inputOutput)
                }
                if stat.ephemeralOwner != .none, stat.ephemeralOwner != session {
                    log(.warning, "\(path): another session's ephemeral is not moved")
                    throw .failed(.notPermitted)
                }
                let sorted = children.sorted { $0.lexicographicallyPrecedes($1) }
                result.append(
                    Moving(path: path, stat: stat, data: data, acl: acl, children: sorted)
                )
                bytes += (data?.count ?? 0) + 3 * path.bytes.count + Self.requestOverhead
                next += sorted.map { path.appending($0) }
            }
            guard result.count + next.count <= Self.renameLimit,
                bytes <= settings.maximumRequestBytes
            else {
                log(.info, "\(root): too much below it to be renamed at once")
                throw .failed(.crossDevice)
            }
            level = next
        }
        return result
    }

    private static func moved(
        _ path: ZnodePath,
        _ from: ZnodePath,
        _ to: ZnodePath
    ) -> ZnodePath {
        ZnodePath(bytes: to.bytes + path.bytes.dropFirst(from.bytes.count))
    }

    private mutating func transaction(
        _ subtree: [Moving],
        _ from: ZnodePath,
        _ to: ZnodePath,
        _ target: Znode?,
        _ becomesEphemeral: Bool
    ) throws(Stop) -> [Operation] {
        var operations: [Operation] = []
        for item in subtree {
            if item.path == from, let target {
                operations.append(
                    .setData(to, data: item.data, version: target.stat.version)
                )
                continue
            }
            // The server hides digests from those who may not administer; written back, the hidden
            // form would lock everyone out.
            if item.acl.contains(where: {
                $0.identity.scheme == "digest"
                    && $0.identity.id.utf8.suffix(2).elementsEqual(":x".utf8)
            }) {
                log(.warning, "\(item.path): its ACL is not shown to this mount, so it stays")
                throw .failed(.notPermitted)
            }
            let isEphemeral =
                item.path == from ? becomesEphemeral : item.stat.ephemeralOwner != .none
            operations.append(
                .create(
                    CreateRequest(
                        path: Self.moved(item.path, from, to),
                        data: item.data,
                        acl: item.acl,
                        mode: isEphemeral ? .ephemeral : .persistent
                    )
                )
            )
        }
        for item in subtree.reversed() {
            operations.append(.delete(item.path, version: item.stat.version))
        }
        let bytes = operations.reduce(0) { $0 + Self.size($1) }
        guard bytes <= settings.maximumRequestBytes else { throw .failed(.crossDevice) }
        return operations
    }

    /// About what an operation takes in a request; never less.
    private static func size(_ operation: Operation) -> Int {
        switch operation {
        case .create(let request):
            64 + request.path.bytes.count + (request.data?.count ?? 0)
                + request.acl.reduce(0) {
                    $0 + 12 + $1.identity.scheme.utf8.count + $1.identity.id.utf8.count
                }
        case .setData(let path, let data, _): 64 + path.bytes.count + (data?.count ?? 0)
        case .delete(let path, _): 64 + path.bytes.count
        default: 64
        }
    }

    /// Runs the transaction; the Stats of what it created and set.
    ///
    /// Apache's servers before 3.8.2 give no Stat of what a transaction creates (ZOOKEEPER-4026), so it is
    /// asked for in the same burst, and believed where it is still of this transaction.
    private mutating func carryOut(
        _ job: inout Job,
        _ operations: [Operation],
        _ source: Znode
    ) throws(Stop) -> [ZnodePath: Stat] {
        var paths: [ZnodePath] = []
        for case .create(let request) in operations { paths.append(request.path) }
        let questions = paths.map { Operation.exists($0, watch: false) }
        let answers = try ask(&job, [.multi(operations)] + questions)
        let code: ErrorCode
        switch answers.first {
        case .success(.multi(let results)):
            let failures = results.compactMap { result -> ErrorCode? in
                if case .failure(let code) = result { code } else { nil }
            }
            guard let first = failures.first(where: { $0 != .ok && $0 != .runtimeInconsistency })
            else {
                var stats: [ZnodePath: Stat] = [:]
                for (path, outcome) in zip(paths, answers.outcomes.dropFirst()) {
                    if case .success(.stat(let stat)) = outcome.result,
                        stat.czxid == answers.outcomes[0].zxid
                    {
                        stats[path] = stat
                    }
                }
                for (operation, result) in zip(operations, results) {
                    switch (operation, result) {
                    case (.create(let request), .success(.createdWithStat(_, let stat))):
                        stats[request.path] = stat
                    case (.setData(let path, _, _), .success(.stat(let stat))):
                        stats[path] = stat
                    default: break
                    }
                }
                return stats
            }
            code = first
        case .failure(let failure): code = failure
        case .success: throw .failed(.inputOutput)
        }
        switch code {
        case .badVersion, .noNode, .nodeExists, .notEmpty: throw .again
        case let code where code.leavesOutcomeUnknown:
            try settleDeletion(&job, source.path, before: source.stat)
        default: throw .failed(Errno(code))
        }
    }

    /// Nodes and handles follow their file to its new name.
    private mutating func follow(
        _ from: ZnodePath,
        _ to: ZnodePath,
        _ moved: [ZnodePath: Stat]
    ) {
        if let id = nodes.deferredNode(to) { detach(id, content: nil) }
        for id in nodes.below(from) {
            // A watch stream is bound to a path, whatever is there.
            guard let node = nodes[id], node.key.facet != .watch else { continue }
            let path = Self.moved(node.key.path, from, to)
            var key = node.key
            key.path = path
            if let stat = moved[path] {
                if key.czxid != .zero { key.czxid = stat.czxid }
                nodes.update(id) { $0.stat = stat }
            }
            moveFiles(of: id, from: node.key.path, to: path)
            nodes.rekey(id, to: key)
            for handle in node.handles { files[handle]?.withFile { $0.isCurrent = false } }
        }
        for (path, stat) in moved.sorted(by: { $0.key < $1.key }) {
            let old = ZnodePath(bytes: from.bytes + path.bytes.dropFirst(to.bytes.count))
            remembered.move(old, to: path, stat)
        }
    }

    private mutating func exchange(
        _ job: inout Job,
        _ source: Znode,
        _ target: Znode
    ) throws(Stop) -> FileReply {
        guard kind(source) != .directory, kind(target) != .directory else {
            log(.info, "\(source.path): only files are exchanged")
            throw .failed(.invalidArgument)
        }
        let contents = try ask(
            &job,
            [.getData(source.path, watch: false), .getData(target.path, watch: false)]
        )
        guard case .success(.data(let first, let firstStat)) = contents.outcomes[0].result,
            case .success(.data(let second, let secondStat)) = contents.outcomes[1].result
        else {
            let results = contents.outcomes.map(\.result)
            if results.contains(.failure(.noNode)) { throw .again }
            throw .failed(results.contains(.failure(.noAuth)) ? .accessDenied : .inputOutput)
        }
        let operations: [Operation] = [
            .setData(source.path, data: second, version: firstStat.version),
            .setData(target.path, data: first, version: secondStat.version),
        ]
        guard operations.reduce(0, { $0 + Self.size($1) }) <= settings.maximumRequestBytes else {
            throw .failed(.fileTooBig)
        }
        let answers = try ask(&job, .multi(operations))
        switch answers.first {
        case .success(.multi(let results)):
            for case .failure(let code) in results
            where code != .ok && code != .runtimeInconsistency {
                switch code {
                case .badVersion, .noNode: throw .again
                default: throw .failed(Errno(code))
                }
            }
        case .failure(.badVersion), .failure(.noNode): throw .again
        case .failure(let code) where code.leavesOutcomeUnknown:
            _ = try settleChange(
                &job,
                source.path,
                before: firstStat,
                data: second,
                isIdempotent: true
            )
        case let other: throw .failed(failure(other))
        }
        // Each open file goes with its content to the other name.
        let one = key(source, .itself, kind(source))
        let other = key(target, .itself, kind(target))
        let (oneID, otherID) = (nodes.find(one), nodes.find(other))
        if let oneID {
            nodes.rekey(oneID, to: other)
            moveFiles(of: oneID, from: one.path, to: other.path)
        }
        if let otherID {
            nodes.rekey(otherID, to: one)
            moveFiles(of: otherID, from: other.path, to: one.path)
        }
        if let oneID { nodes.rekey(oneID, to: other) }
        return .done
    }
}
