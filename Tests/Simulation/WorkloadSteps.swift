internal import ClientCore
internal import ZooKeeperModel

/// What a ``Workload`` asks for, and what it makes of an answer.
extension Workload {
    enum Step: Sendable {
        case prepare
        case create(ZnodePath, [UInt8])
        case register(Int)
        case readCounter
        case increment(Int)
        case readRegister(ZnodePath, isOwn: Bool, atLeast: Int)
        case ephemeral
        case multi(ZnodePath, [UInt8])
        case sync
        case shared(Int)
        /// The sync before the read that is this operation of the history.
        case sharedSync(Int)
        case sequential
        case errand(Operation)
    }

    /// What everybody knew when a request was made.
    struct Moment: Sendable {
        var nanoseconds: Int64
        /// The greatest zxid of an acknowledged write, and the greatest number given out.
        var writtenZxid: Zxid
        var sequence: Int
        var session: Int64
    }

    /// What an answer leads to.
    struct Outcome {
        var next: (RequestToken, Operation)?
        var failure: String?
        /// It was a write, with this zxid.
        var written: Zxid?
        /// It was given this number.
        var sequence: Int?
    }
}
