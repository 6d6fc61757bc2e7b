internal import Replication
internal import ZooKeeperModel
internal import ZooKeeperWire

// What the bugs have in common.

extension BugState {
    /// The client's connection that it came over.
    func origin(of request: ForwardedRequest) -> String {
        connections["of \(request.session) \(request.cxid)"].map { "\($0)" } ?? ""
    }

    /// One of those that are counted so under this name.
    func connection(where name: String, is count: Int64) -> ConnectionID? {
        counts.filter { $0.key.hasPrefix(name) && $0.value == count }.keys.sorted().first
            .flatMap { $0.split(separator: " ").last }
            .flatMap { UInt64($0) }
            .map { ConnectionID(rawValue: $0) }
    }
}

func decoded(_ proposal: Proposal) -> Transaction? {
    try? TransactionCodec.decode(proposal.bytes)
}

func deleted(by body: TransactionBody) -> [ZnodePath] {
    switch body {
    case .delete(let path): [path]
    case .closeSession(let paths?): paths
    case .multi(let parts): parts.flatMap { deleted(by: $0) }
    default: []
    }
}

func isWrite(_ request: ForwardedRequest) -> Bool {
    switch OperationCode(rawValue: request.operationCode) {
    case .create, .create2, .delete, .setData, .setACL, .multi: true
    default: false
    }
}

func isPlainWrite(_ request: ForwardedRequest) -> Bool {
    switch OperationCode(rawValue: request.operationCode) {
    case .delete, .setData: true
    default: false
    }
}

/// Of a path that a sequential create made; nil of others and of the first.
func numberBefore(_ path: ZnodePath) -> ZnodePath? {
    let digits = path.bytes.suffix(10)
    guard digits.count == 10, digits.allSatisfy({ 48...57 ~= $0 }),
        let number = Int(String(decoding: digits, as: UTF8.self)), number > 0
    else { return nil }
    let text = String(number - 1)
    return ZnodePath(
        bytes: path.bytes.dropLast(10) + Array(repeating: 48, count: 10 - text.count)
            + Array(text.utf8)
    )
}

func isRead(_ operation: Operation) -> Bool {
    switch operation {
    case .exists, .getData, .getChildren, .getChildren2, .getACL: true
    default: false
    }
}

func changingStats(
    of action: ReplicaAction,
    _ state: inout BugState,
    _ change: (inout Stat) -> Void
) -> [ReplicaAction] {
    guard case .reply(let id, var reply) = action, case .success(let response) = reply.result else {
        return [action]
    }
    func changed(_ stat: Stat) -> Stat {
        var stat = stat
        change(&stat)
        return stat
    }
    let result: Response
    switch response {
    case .stat(let stat): result = .stat(changed(stat))
    case .data(let data, let stat): result = .data(data, changed(stat))
    case .childrenWithStat(let names, let stat): result = .childrenWithStat(names, changed(stat))
    case .acl(let acl, let stat): result = .acl(acl, changed(stat))
    default: return [action]
    }
    if result != response { state.strike() }
    reply.result = .success(result)
    return [.reply(id, reply)]
}

/// The lists stand in a snapshot's first slice. `change` says whether it changed anything.
func changingLists(
    in request: StorageRequest,
    _ state: inout BugState,
    _ change: (inout [(session: SessionID, timeout: Int32)], inout [(id: Int64, acl: [ACL])]) ->
        Bool
) -> [StorageRequest] {
    switch request {
    case .beginSnapshot, .beginInstall: state.counts["first slice"] = 1
    case .snapshotSlice(let bytes) where state.counts["first slice"] != nil:
        state.counts["first slice"] = nil
        var reader = JuteReader(bytes)
        var sessions: [(session: SessionID, timeout: Int32)] = []
        var acls: [(id: Int64, acl: [ACL])] = []
        do {
            for _ in 0..<(try reader.vectorCount()) {
                sessions.append((try reader.sessionID(), try reader.int32()))
            }
            for _ in 0..<(try reader.vectorCount()) {
                acls.append((try reader.int64(), try reader.acl()))
            }
        } catch {
            return [request]
        }
        if change(&sessions, &acls) { state.strike() }
        var encoder = SnapshotBodyEncoder()
        encoder.begin(sessions: sessions, acls: acls)
        return [.snapshotSlice(encoder.takeSlice() + bytes[reader.offset...])]
    default: break
    }
    return [request]
}
