internal import ZooKeeperModel

extension ZnodeTree {
    /// Stops with a sentence if the links, counts and tables disagree. On trees of up to ten thousand
    /// znodes the digest is computed anew. Walks the whole tree: for tests and the simulation.
    package func checkInvariants() {
        precondition(paths.count == UInt32(count), "\(count) znodes have \(paths.count) paths")
        paths.checkInvariants()
        var visited = 0
        var size = 0
        var ephemerals = 0
        var sum: Int64 = 0
        var aclUses: [UInt32: Int] = [:]
        var pending = [PathTable.root]
        while let index = pending.popLast() {
            visited += 1
            precondition(visited <= count, "more than \(count) znodes are linked")
            let path = paths.path(of: index)
            precondition(
                paths.find(path) == index,
                "\(ZnodePath(bytes: path)) is not found at \(index)"
            )
            let record = records[index]
            size += path.count + record.dataCount
            aclUses[record.acl, default: 0] += 1
            if let session = session(owner: record.owner) {
                ephemerals += 1
                precondition(
                    ephemeralIndexes[session]?.contains(index) == true,
                    "\(ZnodePath(bytes: path)) is missing from the ephemerals of \(session)"
                )
            }
            let isExcluded = TreeDigest.excludes(path)
            precondition(
                paths.isMarked(index) == isExcluded,
                "\(ZnodePath(bytes: path)) has the wrong digest mark"
            )
            if !isExcluded, count <= 10_000 {
                let state = TreeDigest.contentState(path: path, data: record.data)
                sum &+= TreeDigest.znodeDigest(contentState: state, stat: record.stat)
            }
            var children: UInt32 = 0
            var previous = PathTable.none
            var child = record.firstChild
            while child != PathTable.none {
                children += 1
                precondition(paths.parent(of: child) == index, "\(child) has another parent")
                precondition(
                    records[child].previousSibling == previous,
                    "\(child) has a wrong sibling"
                )
                pending.append(child)
                previous = child
                child = records[child].nextSibling
            }
            precondition(
                children == paths.childCount(of: index),
                "\(ZnodePath(bytes: path)) has \(children) children linked"
            )
        }
        precondition(visited == count, "\(visited) of \(count) znodes are linked")
        precondition(
            size == approximateDataSize,
            "the data size is \(size), not \(approximateDataSize)"
        )
        precondition(
            ephemerals == ephemeralCount
                && ephemeralIndexes.values.reduce(0) { $0 + $1.count } == ephemerals,
            "there are \(ephemerals) ephemerals, not \(ephemeralCount)"
        )
        precondition(
            ephemeralIndexes.values.allSatisfy { !$0.isEmpty },
            "a session without ephemerals is listed"
        )
        for index in 1..<max(acls.endIndex, 1) {
            precondition(
                acls.useCount(at: index) == aclUses[index] ?? 0,
                "ACL \(index) has \(aclUses[index] ?? 0) uses, not \(acls.useCount(at: index))"
            )
        }
        precondition(count > 10_000 || sum == digest, "the digest is \(sum), not \(digest)")
    }
}
