package import ZooKeeperModel

/// Transactions, applied.
///
/// A transaction says what became of a request, so nothing is checked again here but what replay
/// needs: a log may be applied over a state that already holds a part of it, and afterwards the
/// tree must be as if each transaction had been applied once.
///
/// - A znode that was created after a transaction is not the one it speaks of: it is left alone, as
///   is data that was set after it. What is missing is ignored.
/// - A create of an existing znode changes its ACL and what the parent counts, if that is behind.
/// - A delete of a missing znode still moves the parent's pzxid: a client that watches the children
///   must learn on reconnection that something went.
/// - A delete of a znode that has children (they were created after it) takes them with it: the
///   same log creates them again further on.
/// - cversion and pzxid never go back.
///
/// The parts of a multi share one zxid, so only what is greater counts as after.
extension ZnodeTree {
    /// Applies a transaction and tells what it changed, in the order of the changes.
    package mutating func apply(
        _ transaction: Transaction,
        changes: inout [TreeChange]
    ) -> ApplyResult {
        // Also what changes nothing took its zxid.
        defer { lastZxid = max(lastZxid, transaction.zxid) }
        if case .multi(let parts) = transaction.body {
            return .multi(apply(parts, of: transaction, changes: &changes))
        }
        return .single(apply(transaction.body, of: transaction, changes: &changes))
    }

    /// All parts, or none if one of them is an error.
    private mutating func apply(
        _ parts: [TransactionBody],
        of transaction: Transaction,
        changes: inout [TreeChange]
    ) -> [PartResult] {
        var results: [PartResult] = []
        results.reserveCapacity(parts.count)
        let failed = parts.firstIndex { part in
            if case .error = part { true } else { false }
        }
        guard let failed else {
            for part in parts {
                results.append(apply(part, of: transaction, changes: &changes))
            }
            return results
        }
        for (position, part) in parts.enumerated() {
            if position < failed {
                results.append(.failure(.ok))
            } else if case .error(let code) = part {
                results.append(.failure(code))
            } else {
                results.append(.failure(.runtimeInconsistency))
            }
        }
        return results
    }

    private mutating func apply(
        _ body: TransactionBody,
        of transaction: Transaction,
        changes: inout [TreeChange]
    ) -> PartResult {
        switch body {
        case .create(let create):
            return self.create(create, of: transaction, changes: &changes)
        case .delete(let path), .deleteContainer(let path):
            return delete(path, zxid: transaction.zxid, changes: &changes)
        case .setData(let path, let data, let version),
            .reconfigure(let path, let data, let version):
            guard let index = find(path, notAfter: transaction.zxid),
                records[index].mzxid <= transaction.zxid
            else { return .failure(.noNode) }
            setData(
                of: index,
                path: path,
                data,
                version: version,
                zxid: transaction.zxid,
                time: transaction.time,
                changes: &changes
            )
            return .stat(stat(of: ZnodeIndex(rawValue: index)))
        case .setACL(let path, let acl, let version):
            guard let index = find(path, notAfter: transaction.zxid) else {
                return .failure(.noNode)
            }
            setACL(of: index, acl, version: version)
            return .stat(stat(of: ZnodeIndex(rawValue: index)))
        case .check, .createSession:
            return .done
        case .closeSession(let listed):
            for path in listed ?? [] {
                _ = delete(path, zxid: transaction.zxid, changes: &changes)
            }
            // Logs that list nothing, and ephemerals that a list missed.
            for path in ephemerals(of: transaction.session) {
                _ = delete(path, zxid: transaction.zxid, changes: &changes)
            }
            return .done
        case .error(let code):
            return .failure(code)
        case .multi:
            // No server writes a multi into a multi; refused rather than followed without bound.
            return .failure(.badArguments)
        }
    }

    private mutating func create(
        _ create: CreateTransaction,
        of transaction: Transaction,
        changes: inout [TreeChange]
    ) -> PartResult {
        if create.path.isRoot { return .failure(.nodeExists) }
        guard let parent = parentIndex(of: create.path),
            records[parent].czxid <= transaction.zxid
        else { return .failure(.noNode) }
        let existing = paths.find(create.path.bytes)
        countCreation(in: parent, cversion: create.parentCVersion, zxid: transaction.zxid)
        if let existing {
            if records[existing].czxid <= transaction.zxid {
                replaceACL(of: existing, with: create.acl)
            }
            return .failure(.nodeExists)
        }
        let owner: ZnodeOwner
        switch create.kind {
        case .create, .create2: owner = create.isEphemeral ? .session(transaction.session) : .none
        case .container: owner = .container
        case .timeToLive(let milliseconds): owner = .timeToLive(milliseconds)
        }
        let stat = PersistedStat(
            czxid: transaction.zxid,
            mzxid: transaction.zxid,
            ctime: transaction.time,
            mtime: transaction.time,
            version: 0,
            cversion: 0,
            aversion: 0,
            ephemeralOwner: owner.persisted,
            pzxid: transaction.zxid
        )
        let index = insert(
            create.path,
            parent: parent,
            data: create.data,
            acl: acls.use(create.acl),
            stat: stat
        )
        if tellsChanges {
            changes.append(
                TreeChange(
                    kind: .created,
                    path: create.path,
                    zxid: transaction.zxid,
                    acl: acls.acl(at: records[index].acl),
                    parentACL: acls.acl(at: records[parent].acl)
                )
            )
        }
        return .created(create.path, self.stat(of: ZnodeIndex(rawValue: index)))
    }

    private mutating func delete(
        _ path: ZnodePath,
        zxid: Zxid,
        changes: inout [TreeChange]
    ) -> PartResult {
        if path.isRoot { return .failure(.badArguments) }
        if let parent = parentIndex(of: path), records[parent].pzxid < zxid {
            subtractFromDigest(parent)
            records[parent].pzxid = zxid
            addToDigest(parent)
        }
        guard let index = find(path, notAfter: zxid) else { return .failure(.noNode) }
        if paths.childCount(of: index) == 0 {
            deleteLeaf(index, path: path, zxid: zxid, changes: &changes)
            return .done
        }
        // Parents come before their children in this list, so it is deleted from its end.
        var doomed = [index]
        var position = 0
        while position < doomed.count {
            var child = records[doomed[position]].firstChild
            while child != PathTable.none {
                doomed.append(child)
                child = records[child].nextSibling
            }
            position += 1
        }
        for index in doomed.reversed() {
            let path = self.path(of: ZnodeIndex(rawValue: index))
            deleteLeaf(index, path: path, zxid: zxid, changes: &changes)
        }
        return .done
    }

    private mutating func deleteLeaf(
        _ index: UInt32,
        path: ZnodePath,
        zxid: Zxid,
        changes: inout [TreeChange]
    ) {
        if tellsChanges {
            changes.append(
                TreeChange(
                    kind: .deleted,
                    path: path,
                    zxid: zxid,
                    acl: acls.acl(at: records[index].acl),
                    parentACL: acls.acl(at: records[paths.parent(of: index)].acl)
                )
            )
        }
        remove(index, pathLength: path.bytes.count)
    }

    private mutating func setData(
        of index: UInt32,
        path: ZnodePath,
        _ data: [UInt8]?,
        version: Int32,
        zxid: Zxid,
        time: Timestamp,
        changes: inout [TreeChange]
    ) {
        subtractFromDigest(index)
        approximateDataSize += (data?.count ?? 0) - records[index].dataCount
        records[index].setData(data, version: version, mzxid: zxid, mtime: time)
        if !paths.isMarked(index) {
            records[index].contentState = TreeDigest.contentState(path: path.bytes, data: data)
        }
        addToDigest(index)
        if tellsChanges {
            changes.append(
                TreeChange(
                    kind: .dataChanged,
                    path: path.isRoot ? .root : path,
                    zxid: zxid,
                    acl: acls.acl(at: records[index].acl),
                    parentACL: []
                )
            )
        }
    }

    private mutating func setACL(of index: UInt32, _ acl: [ACL], version: Int32) {
        replaceACL(of: index, with: acl)
        subtractFromDigest(index)
        records[index].setAversion(version)
        addToDigest(index)
    }

    /// The znode that a transaction of this zxid speaks of.
    private func find(_ path: ZnodePath, notAfter zxid: Zxid) -> UInt32? {
        guard let index = paths.find(path.bytes), records[index].czxid <= zxid else { return nil }
        return index
    }

    private mutating func replaceACL(of index: UInt32, with acl: [ACL]) {
        let replaced = records[index].acl
        records[index].acl = acls.use(acl)
        acls.drop(replaced)
    }

    /// The parent's share of a create. The counter stays where it is at its greatest value.
    private mutating func countCreation(in parent: UInt32, cversion: Int32, zxid: Zxid) {
        let present = records[parent].cversion
        let counted = cversion == -1 ? present &+ 1 : cversion
        guard counted > present else { return }
        subtractFromDigest(parent)
        records[parent].cversion = counted
        records[parent].pzxid = max(records[parent].pzxid, zxid)
        addToDigest(parent)
    }

    /// Sets `/zookeeper/config` outside any transaction, as members do when they start.
    package mutating func setConfiguration(
        _ text: [UInt8],
        version: Zxid,
        time: Timestamp,
        changes: inout [TreeChange]
    ) {
        let path: ZnodePath = "/zookeeper/config"
        guard let index = paths.find(path.bytes) else { return }
        setData(
            of: index,
            path: path,
            text,
            version: -1,
            zxid: version,
            time: time,
            changes: &changes
        )
    }
}
