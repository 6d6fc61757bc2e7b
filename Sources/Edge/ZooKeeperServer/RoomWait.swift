internal import NIOCore

/// A disk without room, asked from time to time whether it has some: soon at first, then less often,
/// since asking means writing.
struct RoomWait {
    private static let longestPause = Duration.seconds(10)
    private var pause = Duration.seconds(1)
    var timer: Scheduled<Void>?

    /// How long to wait before the disk is asked next.
    mutating func nextPause() -> Duration {
        defer { pause = min(pause * 2, Self.longestPause) }
        return pause
    }
}
