internal import ZooKeeperModel

/// Learners that connected before this server knew that it leads: others may learn the outcome of an
/// election first.
struct EarlyLearners: Sendable {
    struct Learner: Sendable {
        var connection: ConnectionID
        var info: LearnerMessage?
    }
    static let limit = 64

    private var learners: [Learner] = []

    mutating func keep(_ connection: ConnectionID, _ actions: inout [ZabAction]) {
        guard learners.count < Self.limit else {
            actions.append(.close(connection, reason: "too many learners"))
            return
        }
        learners.append(Learner(connection: connection))
    }

    mutating func keep(
        _ message: LearnerMessage,
        from connection: ConnectionID,
        _ actions: inout [ZabAction]
    ) {
        guard let index = learners.firstIndex(where: { $0.connection == connection }) else {
            return
        }
        guard case .learnerInfo = message, learners[index].info == nil else {
            learners.remove(at: index)
            actions.append(.close(connection, reason: "an introduction out of place"))
            return
        }
        learners[index].info = message
    }

    mutating func forget(_ connection: ConnectionID) {
        learners.removeAll { $0.connection == connection }
    }

    /// In the order in which they came; none is kept after that.
    mutating func take() -> [Learner] {
        defer { learners = [] }
        return learners
    }
}
