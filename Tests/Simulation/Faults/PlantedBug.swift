package import Replication
package import ZooKeeperModel
internal import Zab

/// A mistake that a server could make, planted in the world's edge: between a replica and its
/// clients, its disk or the other members. All servers of a run make it. Nothing of it is in a program
/// that serves.
///
/// A new one takes a few lines in `PlantedBugs.swift`: a name, a sentence, and one or more of the
/// closures below, each of which gets one thing that passes the edge and returns what passes in its
/// place. ``BugState`` keeps what must be remembered from one to the next, for each life of each
/// server; `tell` gives the replica an input of its own.
package struct PlantedBug: Sendable {
    package let name: String
    /// What the server does wrong.
    package let mistake: String
    /// The smallest seed that sees it, when somebody last looked.
    package let recordedSeed: UInt64?

    /// What a replica hears in place of an input.
    package var hears: (@Sendable (ReplicaInput, inout BugState) -> [ReplicaInput])?
    /// What is done in place of an action.
    package var does: (@Sendable (ReplicaAction, inout BugState) -> [ReplicaAction])?
    /// What the disk is asked in place of a request; after `does`.
    package var stores: (@Sendable (StorageRequest, inout BugState) -> [StorageRequest])?
    /// What the replica hears of the disk in place of an answer.
    package var answers: (@Sendable (StorageResult, inout BugState) -> [StorageResult])?
    /// Syncs answer and do nothing.
    package var ignoresSyncs = false
    /// Messages of one connection overtake one another.
    package var overtakes = false

    package init(_ name: String, _ mistake: String, seed: UInt64? = nil) {
        recordedSeed = seed
        self.name = name
        self.mistake = mistake
    }
}

/// What a planted bug remembers of one life of one server.
package struct BugState: Sendable {
    /// Its index; voters come first.
    package let server: Int
    package let voterCount: Int
    package var random: SimulationRandom
    /// Whatever the bug wants to count or keep.
    package var counts: [String: Int64] = [:]
    package var connections: [String: ConnectionID] = [:]
    package var keptActions: [ReplicaAction] = []
    package var keptRequests: [StorageRequest] = []
    package var keptInputs: [ReplicaInput] = []
    package var paths: [String: ZnodePath] = [:]
    /// What is so of its replica, and of the world's clock, when an input comes.
    package internal(set) var isLeading = false
    package internal(set) var lastZxid = Zxid.zero
    package internal(set) var now = Instant(nanoseconds: 0)
    private var feedback: [ReplicaInput] = []
    private var ownActions: [ReplicaAction] = []
    private var strikes = 0

    package init(server: Int, voterCount: Int, seed: UInt64) {
        self.server = server
        self.voterCount = voterCount
        random = SimulationRandom(seed: seed)
    }

    /// The replica hears this after what it hears now.
    package mutating func tell(_ input: ReplicaInput) { feedback.append(input) }

    /// This is done after what the replica wants done now.
    package mutating func act(_ action: ReplicaAction) { ownActions.append(action) }

    /// Here it makes its mistake: a line of the trace.
    package mutating func strike() { strikes += 1 }

    package mutating func takeActions() -> [ReplicaAction] {
        guard !ownActions.isEmpty else { return [] }
        defer { ownActions = [] }
        return ownActions
    }

    package mutating func takeStrikes() -> Int {
        defer { strikes = 0 }
        return strikes
    }

    package mutating func takeFeedback() -> [ReplicaInput] {
        guard !feedback.isEmpty else { return [] }
        defer { feedback = [] }
        return feedback
    }
}
