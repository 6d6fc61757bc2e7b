internal import ZooKeeperModel
internal import ZooKeeperWire
internal import Znodes

// What is answered from this server's tree alone.

extension Replica {
    /// Watches over all connections; a request that would leave one more is refused.
    static let maximumWatches = 10_000_000

    mutating func read(
        _ operation: Operation,
        at slot: Int,
        _ actions: inout [ReplicaAction]
    ) -> Result<Response, ErrorCode> {
        switch operation {
        case .getData(let path, let watch):
            guard let znode = database.tree.find(path) else { return .failure(.noNode) }
            guard allows(znode, .read, at: slot) else { return .failure(.noAuth) }
            guard !watch || add(.data, path, at: slot) else { return .failure(.throttledOperation) }
            return .success(
                .data(database.tree.data(of: znode), database.tree.stat(of: znode))
            )
        case .exists(let path, let watch):
            guard !path.bytes.contains(0) else { return .failure(.badArguments) }
            guard !watch || add(.data, path, at: slot) else { return .failure(.throttledOperation) }
            guard let znode = database.tree.find(path) else { return .failure(.noNode) }
            return .success(.stat(database.tree.stat(of: znode)))
        case .getChildren(let path, let watch):
            guard let znode = database.tree.find(path) else { return .failure(.noNode) }
            guard allows(znode, .read, at: slot) else { return .failure(.noAuth) }
            guard !watch || add(.child, path, at: slot) else {
                return .failure(.throttledOperation)
            }
            return .success(.children(database.tree.children(of: znode)))
        case .getChildren2(let path, let watch):
            guard let znode = database.tree.find(path) else { return .failure(.noNode) }
            guard allows(znode, .read, at: slot) else { return .failure(.noAuth) }
            guard !watch || add(.child, path, at: slot) else {
                return .failure(.throttledOperation)
            }
            return .success(
                .childrenWithStat(
                    database.tree.children(of: znode),
                    database.tree.stat(of: znode)
                )
            )
        case .getACL(let path):
            guard let znode = database.tree.find(path) else { return .failure(.noNode) }
            guard allows(znode, [.read, .admin], at: slot) else { return .failure(.noAuth) }
            var acl = database.tree.acl(of: znode)
            if !configuration.skipACL {
                acl = AccessCheck.masked(acl, identities: clients[slot].identities)
            }
            return .success(.acl(acl, database.tree.stat(of: znode)))
        case .ping: return .success(.empty)
        case .setWatches(let registrations):
            return setWatches(registrations, at: slot, &actions)
        case .addWatch(let path, let mode):
            guard let mode = AddWatchMode(rawValue: mode) else {
                return .failure(.marshallingError)
            }
            let kind: WatchKind =
                switch mode {
                case .persistent: .persistent
                case .persistentRecursive: .persistentRecursive
                }
            guard add(kind, path, at: slot) else { return .failure(.throttledOperation) }
            return .success(.watchAdded)
        case .checkWatches(let path, let type):
            guard let type = WatcherType(rawValue: type) else {
                return .failure(.marshallingError)
            }
            return watches.contains(type, path, for: clients[slot].id)
                ? .success(.empty) : .failure(.noWatcher)
        case .removeWatches(let path, let type):
            guard let type = WatcherType(rawValue: type) else {
                return .failure(.marshallingError)
            }
            return watches.remove(type, path, for: clients[slot].id)
                ? .success(.empty) : .failure(.noWatcher)
        case .create, .delete, .setData, .setACL, .sync, .check, .multi, .auth, .closeSession,
            .unsupported, .malformed:
            preconditionFailure("\(operation) came to the read path")
        }
    }

    private func allows(_ znode: ZnodeIndex, _ needed: Permissions, at slot: Int) -> Bool {
        configuration.skipACL || database.tree.isOpenToAll(znode)
            || AccessCheck.allows(
                database.tree.acl(of: znode),
                needed,
                identities: clients[slot].identities
            )
    }

    private mutating func add(_ kind: WatchKind, _ path: ZnodePath, at slot: Int) -> Bool {
        guard watches.watchCount < Self.maximumWatches else { return false }
        watches.add(kind, path.isRoot ? .root : path, for: clients[slot].id)
        return true
    }

    /// After a reconnection: what has happened since is told at once, all else is registered again.
    private mutating func setWatches(
        _ registrations: WatchRegistrations,
        at slot: Int,
        _ actions: inout [ReplicaAction]
    ) -> Result<Response, ErrorCode> {
        let count =
            registrations.data.count + registrations.exist.count + registrations.child.count
            + registrations.persistent.count + registrations.persistentRecursive.count
        guard watches.watchCount + count <= Self.maximumWatches else {
            return .failure(.throttledOperation)
        }
        let id = clients[slot].id
        func catchUp(_ kind: WatchEvent.Kind, _ path: ZnodePath) {
            actions.append(.event(id, WatchEvent(kind: kind, path: path)))
        }
        for path in registrations.data {
            guard let znode = database.tree.find(path) else {
                catchUp(.deleted, path)
                continue
            }
            if database.tree.persistedStat(of: znode).mzxid > registrations.relativeZxid {
                catchUp(.dataChanged, path)
            } else {
                watches.add(.data, path, for: id)
            }
        }
        for path in registrations.exist {
            if database.tree.find(path) != nil {
                catchUp(.created, path)
            } else {
                watches.add(.data, path, for: id)
            }
        }
        for path in registrations.child {
            guard let znode = database.tree.find(path) else {
                catchUp(.deleted, path)
                continue
            }
            if database.tree.persistedStat(of: znode).pzxid > registrations.relativeZxid {
                catchUp(.childrenChanged, path)
            } else {
                watches.add(.child, path, for: id)
            }
        }
        for path in registrations.persistent { watches.add(.persistent, path, for: id) }
        for path in registrations.persistentRecursive {
            watches.add(.persistentRecursive, path, for: id)
        }
        return .success(.empty)
    }
}

// MARK: Authentication

extension Replica {
    /// Whether the scheme is known and the credential good; the identity then counts for all later
    /// requests of this connection.
    mutating func authenticate(scheme: String, credential: [UInt8], at slot: Int) -> Bool {
        let isKnown = identify(scheme: scheme, credential: credential, at: slot)
        if !isKnown { statistics.counters.failedAuthentications += 1 }
        return isKnown
    }

    private mutating func identify(scheme: String, credential: [UInt8], at slot: Int) -> Bool {
        switch scheme {
        case "ip":
            // The address is there since the connection was accepted.
            return true
        case "digest":
            let user = String(
                decoding: credential.prefix { $0 != UInt8(ascii: ":") },
                as: UTF8.self
            )
            let digest = user + ":" + Base64.encode(sha1(credential))
            guard addIdentity(Identity(scheme: "digest", id: digest), at: slot) else {
                return false
            }
            guard digest == configuration.superDigest else { return true }
            return addIdentity(Identity(scheme: "super", id: ""), at: slot)
        default: return false
        }
    }

    private mutating func addIdentity(_ identity: Identity, at slot: Int) -> Bool {
        if clients[slot].identities.contains(identity) { return true }
        guard clients[slot].identities.count < Client.maximumIdentities else { return false }
        clients[slot].identities.append(identity)
        return true
    }
}

enum Base64 {
    private static let alphabet = Array(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8
    )

    static func encode(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        text.reserveCapacity((bytes.count + 2) / 3 * 4)
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let count = min(3, bytes.count - start)
            var group: UInt32 = 0
            for offset in 0..<3 {
                group = group << 8 | (offset < count ? UInt32(bytes[start + offset]) : 0)
            }
            for position in 0..<4 {
                let value = Int(group >> UInt32(18 - 6 * position) & 63)
                text.append(position <= count ? alphabet[value] : UInt8(ascii: "="))
            }
        }
        return String(decoding: text, as: UTF8.self)
    }
}
