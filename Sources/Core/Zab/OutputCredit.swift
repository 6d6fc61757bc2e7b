/// What was sent over one connection and may still wait in this process, by what its edge says.
///
/// The edge is asked when a part of the window is used up; its answer stands for all that was sent
/// before it was asked. What can wait is produced only while there is room. What cannot, new proposals
/// and their commits, goes on, up to a limit.
struct OutputCredit: Sendable {
    static let windowBytes = 4 << 20
    /// 256 MiB.
    private static let windowsBeforeOverrun = 64
    /// What a message takes beside its contents.
    private static let messageBytes = 64

    private let windowBytes: Int
    private var sent = 0
    private var left = 0
    /// What had been sent when the edge was asked; nil while it owes no answer.
    private var asked: Int?

    init(windowBytes: Int) { self.windowBytes = windowBytes }

    private var waiting: Int { sent - left }
    var hasRoom: Bool { waiting < windowBytes }
    var isOverrun: Bool { waiting > windowBytes * Self.windowsBeforeOverrun }

    /// Whether the edge has to be asked now.
    mutating func send(bytes: Int) -> Bool {
        sent += bytes + Self.messageBytes
        return ask()
    }

    mutating func drained() -> Bool {
        left = asked ?? left
        asked = nil
        return ask()
    }

    private mutating func ask() -> Bool {
        guard asked == nil, waiting >= windowBytes / 4 else { return false }
        asked = sent
        return true
    }
}
