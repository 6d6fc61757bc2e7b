internal import ZooKeeperModel

/// What a voter without a vote learns from the others: are all of them as new as it seems to be?
///
/// A new ensemble begins with empty disks, and nobody has told its members so. An empty disk may as
/// well be a wiped one, whose server had acknowledged what is committed: counted among a quorum, it
/// would let that be forgotten. Only when every voter of the configuration holds no transaction is
/// there nothing to forget.
///
/// Such a voter's notifications carry zxid −1, which every member passes over, Apache's too.
///
/// A link may hand over one message from before it was made, of an ensemble that was new then. So
/// the first word on a link does not count, and the one after it does.
struct Founding: Sendable {
    /// False for a disk that has held something.
    let isPossible: Bool
    /// How often each was heard in a row to hold nothing, since its link was made.
    private var heard: [(voter: ServerID, count: Int)] = []

    init(isPossible: Bool) { self.isPossible = isPossible }

    /// What is sent without a vote. The epoch tells a disk that held something from a new one.
    static func vote(of ledger: Ledger) -> Vote {
        Vote(leader: ledger.me, zxid: .none, peerEpoch: ledger.suffrage == .none ? 0 : -1)
    }

    /// No vote is worse than its sender's own history. Returns whether this was the first word of
    /// one that holds nothing.
    mutating func hear(_ vote: Vote, of voter: ServerID) -> Bool {
        guard vote.zxid <= .zero, vote.peerEpoch >= 0 else {
            forget(voter)
            return false
        }
        guard let index = heard.firstIndex(where: { $0.voter == voter }) else {
            heard.append((voter, 1))
            return true
        }
        heard[index].count = 2
        return false
    }

    mutating func forget(_ voter: ServerID) { heard.removeAll { $0.voter == voter } }

    func isComplete(among ledger: Ledger) -> Bool {
        isPossible
            && ledger.quorum.voters.allSatisfy { voter in
                voter == ledger.me || heard.contains { $0.voter == voter && $0.count > 1 }
            }
    }
}
