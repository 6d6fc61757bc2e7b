import Simulation
import Testing
import ZooKeeperModel

/// A session that ends too early is seen, whoever its client speaks to.
struct SessionCheckerTests {
    private let session = SessionID(rawValue: 7)

    private func at(_ seconds: Int64) -> Instant { Instant(nanoseconds: seconds * 1_000_000_000) }

    @Test func `a client of the leader keeps its session for the agreed time`() {
        var leader = SessionChecker()
        leader.contact(session, isLeading: true, at: at(3))
        #expect(leader.expired(session, agreed: .seconds(5), at: at(7)) != nil)
        #expect(leader.expired(session, agreed: .seconds(5), at: at(8)) == nil)
    }

    @Test func `a learner's answer to a ping is to speak of all that it has heard`() {
        var leader = SessionChecker()
        var learner = SessionChecker()
        learner.contact(session, isLeading: false, at: at(1))
        let report = learner.takeContacts()
        #expect(report == [session])
        #expect(learner.takeContacts().isEmpty)
        leader.reported(report, at: at(4))
        #expect(leader.expired(session, agreed: .seconds(5), at: at(8)) != nil)
        #expect(leader.expired(session, agreed: .seconds(5), at: at(9)) == nil)
    }

    @Test func `what never came to the leader says nothing`() {
        var learner = SessionChecker()
        learner.contact(session, isLeading: false, at: at(1))
        learner.forgetContacts()
        #expect(learner.takeContacts().isEmpty)
        #expect(SessionChecker().expired(session, agreed: .seconds(5), at: at(2)) == nil)
    }
}
