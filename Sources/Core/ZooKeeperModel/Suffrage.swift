/// Whether a voter's word counts when the ensemble elects and promises.
///
/// A vote says "this is all that I ever acknowledged". A voter whose disk was wiped or damaged cannot
/// say so: what it acknowledged may be gone, and a quorum that counts it may lack what is committed.
/// It has its vote back once it holds a leader's whole history durably.
public enum Suffrage: Hashable, Sendable {
    case full
    /// The disk holds nothing: a new server, or a wiped disk. Where every voter says so, all are new.
    case none
    /// The disk held something that cannot be relied on. Never taken for new.
    case lost
}
