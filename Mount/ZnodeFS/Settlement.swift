internal import ZooKeeperModel

/// What became of a write whose answer was lost.
///
/// The connection went after the request was sent: the ensemble may have taken it or not. After
/// reconnection a ZooKeeper sync followed by a read tells what is there now; servers refuse a late
/// request of a session that has moved on, so what is not there by then will not come. Each function
/// here compares that with what was known before and answers one of
/// - done, with the Stat that shows it,
/// - not done: the caller begins again,
/// - it cannot be told: EIO, and "outcome unknown" in the log. Never a blind retry.
///
/// This is the one place where outcomes are settled. A write that would also leave a mark of this
/// mount in its own transaction could be settled exactly; the mark would be asked for here.
extension MountedTree {
    enum Creation: Hashable { case made(Stat), existed }

    /// Creates a znode with the mount's ACL. `isIdempotent` says that one's own creation may be taken for
    /// another's, because the caller goes on with the same bytes over what is there.
    mutating func makeZnode(
        _ job: inout Job,
        _ path: ZnodePath,
        data: [UInt8]?,
        isEphemeral: Bool,
        isIdempotent: Bool = false
    ) throws(Stop) -> Creation {
        let answers = try ask(
            &job,
            .create(
                CreateRequest(
                    path: path,
                    data: data,
                    acl: settings.acl,
                    mode: isEphemeral ? .ephemeral : .persistent
                )
            )
        )
        switch answers.first {
        case .success(.createdWithStat(_, let stat)):
            facts.learn(path, stat, ContentKind(data))
            return .made(stat)
        case .failure(.nodeExists): return .existed
        case .failure(let code) where code.leavesOutcomeUnknown:
            return try settleCreation(
                &job,
                path,
                answers,
                isEphemeral: isEphemeral,
                isIdempotent: isIdempotent
            )
        case let other: throw .failed(failure(other))
        }
    }

    private mutating func settleCreation(
        _ job: inout Job,
        _ path: ZnodePath,
        _ before: Answers,
        isEphemeral: Bool,
        isIdempotent: Bool
    ) throws(Stop) -> Creation {
        let parent = path.parent ?? .root
        let found = try ask(
            &job,
            [.sync(path), .exists(path, watch: false), .exists(parent, watch: false)]
        )
        switch (found.outcomes[1].result, found.outcomes[2].result) {
        case (.success(.stat(let stat)), _):
            // Present before the request was sent: it can only have been refused.
            if stat.czxid <= before.zxidBefore { return .existed }
            if isEphemeral, let owner = before.sessionBefore, stat.ephemeralOwner == owner,
                owner == session
            {
                return .made(stat)
            }
            if isIdempotent { return .existed }
        case (.failure(.noNode), .success(.stat(let directory))):
            // No child came or went in the meantime: it was not created and deleted again.
            if directory.pzxid <= before.zxidBefore { throw .again }
        case (.failure(.noNode), .failure(.noNode)): throw .failed(.noEntry)
        default: break
        }
        throw unknown(job)
    }

    /// After a setData over the version of `before`. `isIdempotent` says that another's write of the
    /// same bytes is as good as one's own: so it is for content, not for an appended line.
    mutating func settleChange(
        _ job: inout Job,
        _ path: ZnodePath,
        before: Stat,
        data: [UInt8]?,
        isIdempotent: Bool
    ) throws(Stop) -> Stat {
        let found = try ask(&job, [.sync(path), .getData(path, watch: true)])
        if case .success(.data(let present, let stat)) = found.outcomes[1].result,
            stat.czxid == before.czxid
        {
            if stat.version == before.version { throw .again }
            if stat.version == before.version &+ 1 {
                // Ours, or another's that made ours fail: the bytes tell.
                guard present == data else { throw .again }
                if isIdempotent { return stat }
            }
        }
        throw unknown(job)
    }

    /// After a delete of a znode as it was in `before`: present and unchanged means not done; gone
    /// may be another's doing.
    mutating func settleDeletion(
        _ job: inout Job,
        _ path: ZnodePath,
        before: Stat
    ) throws(Stop) -> Never {
        let found = try ask(&job, [.sync(path), .exists(path, watch: false)])
        if case .success(.stat(let stat)) = found.outcomes[1].result,
            stat.czxid == before.czxid
        {
            throw .again
        }
        throw unknown(job)
    }

    mutating func unknown(_ job: Job) -> Stop {
        log(.error, "the answer was lost, outcome unknown: \(describe(job.cause))")
        return .failed(.inputOutput)
    }
}
