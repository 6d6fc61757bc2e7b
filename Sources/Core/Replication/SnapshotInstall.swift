internal import Zab
internal import ZooKeeperModel
internal import ZooKeeperWire
internal import Znodes

/// A database that a leader sends in place of this server's own.
///
/// It goes to the disk as it comes and into a new tree at the same time; this server's database
/// stays what it was until the new one is durable.
struct SnapshotInstall: Sendable {
    var state: RecoveredState
    var decoder = SnapshotBodyDecoder()
    let zxid: Zxid
    /// The end has come, and the disk was told.
    var isFinished = false
}

extension Replica {
    mutating func beginInstall(_ zxid: Zxid, _ actions: inout [ReplicaAction]) {
        abandonSnapshot(&actions)
        actions.append(.log(.info, "the leader sends its whole database, of \(zxid)"))
        actions.append(.storage(.beginInstall(zxid: zxid)))
        var state = database.emptied()
        state.beginSnapshot(zxid: zxid)
        install = SnapshotInstall(state: state, zxid: zxid)
    }

    mutating func installSlice(_ slice: [UInt8], _ actions: inout [ReplicaAction]) {
        guard install != nil else { return }
        do {
            try load(slice)
        } catch {
            refuseInstall("\(error)", &actions)
            return
        }
        snapshots.sliceGiven(slice)
        actions.append(.storage(.snapshotSlice(slice)))
    }

    private mutating func load(_ slice: [UInt8]) throws {
        install?.decoder.append(slice)
        while let element = try install?.decoder.next() {
            try install?.state.add(element)
        }
    }

    mutating func finishInstall(_ actions: inout [ReplicaAction]) {
        guard let zxid = install?.zxid else { return }
        do {
            guard install?.decoder.isComplete == true else {
                throw TreeSnapshotError(reason: "it ends too early")
            }
            try install?.state.endSnapshot(zxid: zxid, digestsHoldAfter: nil)
        } catch {
            actions.append(.log(.error, "the leader's database cannot be used: \(error)"))
            abandonInstall(&actions)
            run(.installRefused, &actions)
            return
        }
        install?.isFinished = true
        // Its sender may have changed the tree while it was sent: no digest is known to be right.
        actions.append(.storage(.finishSnapshot(digestZxid: zxid, digest: nil)))
    }

    /// It is durable, and this server's database from now on.
    mutating func installed(_ actions: inout [ReplicaAction]) {
        guard let finished = install.take(), finished.isFinished else {
            preconditionFailure("the disk stored a snapshot that nobody had finished")
        }
        var state = finished.state
        state.digestMismatches = database.digestMismatches
        replaceDatabase(state)
        run(.snapshotInstalled(finished.zxid), &actions)
    }

    /// There was no room for it. This server's own database is still what it was.
    mutating func installLost(_ actions: inout [ReplicaAction]) {
        guard let lost = install.take(), lost.isFinished else {
            preconditionFailure("the disk has lost a snapshot that nobody had finished")
        }
        actions.append(
            .log(.warning, "there was no room for the leader's database of \(lost.zxid)")
        )
        run(.installRefused, &actions)
    }

    mutating func abandonInstall(_ actions: inout [ReplicaAction]) {
        guard install.take() != nil else { return }
        actions.append(.storage(.abandonSnapshot))
    }

    /// Bytes that make no tree: this leader is left for now, and asked again or another one.
    private mutating func refuseInstall(_ reason: String, _ actions: inout [ReplicaAction]) {
        actions.append(.log(.error, "the leader's database cannot be used: \(reason)"))
        abandonInstall(&actions)
        guard let id = leaderConnection else { return }
        actions.append(.close(id, reason: "unusable snapshot"))
        leaderConnection = nil
        run(.leaderDisconnected(id), &actions)
    }

    /// Nobody is being served while this happens.
    mutating func replaceDatabase(_ state: RecoveredState) {
        precondition(!isServing && !isReadOnly, "the database is replaced while clients are served")
        let epochs = (database.acceptedEpoch, database.currentEpoch)
        database = state
        (database.acceptedEpoch, database.currentEpoch) = epochs
        showConfiguration()
    }
}
