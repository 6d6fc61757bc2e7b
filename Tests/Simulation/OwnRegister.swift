/// The numbers a client writes to its register, and what of them may be read.
///
/// Each number is larger than those before. A number whose write was lost may come after larger ones
/// all the same, where it was written in a session that is not known to be over: it waits in the
/// socket of a server that is paused, say, and the client that died or left is already back.
package struct OwnRegister: Sendable {
    package private(set) var sent = 0
    package private(set) var acknowledged = 0
    /// What the present process was told: a new one may read an older value.
    package private(set) var floor = 0
    /// Lost in the present session.
    private var lost: Set<Int> = []
    /// Lost in sessions of which the client never heard the end.
    private var strays: Set<Int> = []

    package init() {}

    package mutating func next() -> Int {
        sent += 1
        return sent
    }

    package mutating func wasAcknowledged(_ value: Int) {
        acknowledged = max(acknowledged, value)
        floor = max(floor, value)
    }

    package mutating func wasLost(_ value: Int) { lost.insert(value) }

    /// What was lost has taken effect or never will.
    package mutating func lostIsDecided() { lost = [] }

    /// The client has left its session without knowing what became of it.
    package mutating func sessionLeft() {
        strays.formUnion(lost)
        lost = []
    }

    package mutating func processDied() {
        sessionLeft()
        floor = 0
    }

    /// Whether `value` may be read where `floor` was known when it was asked for.
    package func mayBeRead(_ value: Int, floor: Int) -> Bool {
        value >= floor || lost.contains(value) || strays.contains(value)
    }

    /// Whether `value` may be what remains in the end.
    package func mayRemain(_ value: Int) -> Bool {
        value <= sent && mayBeRead(value, floor: acknowledged)
    }
}
