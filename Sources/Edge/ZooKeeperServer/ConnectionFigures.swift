/// What is counted where bytes come and go, since the start or since the operator set it back.
struct ConnectionFigures: Sendable {
    /// Bytes of replies and events, without the length before them.
    struct Sizes: Sendable {
        var last: Int
        var minimum: Int
        var maximum: Int
    }
    var responseSizes: Sizes?
    /// Of replies but those to pings.
    var responseBytes: Int64 = 0
    /// Of events.
    var watchBytes: Int64 = 0
    var receivedBytes: Int64 = 0
    /// Four-letter words, the one that is being answered among them.
    var words: Int64 = 0
    /// Connections refused because there were too many.
    var rejected: Int64 = 0
    /// Connections that asked for no session in time.
    var sessionlessExpired: Int64 = 0
    var droppedByClients: Int64 = 0

    mutating func replied(bytes: Int, isPing: Bool) {
        responded(bytes: bytes)
        if !isPing { responseBytes += Int64(bytes) }
    }

    mutating func notified(bytes: Int) {
        responded(bytes: bytes)
        watchBytes += Int64(bytes)
    }

    private mutating func responded(bytes: Int) {
        if var sizes = responseSizes {
            sizes.last = bytes
            sizes.minimum = min(sizes.minimum, bytes)
            sizes.maximum = max(sizes.maximum, bytes)
            responseSizes = sizes
        } else {
            responseSizes = Sizes(last: bytes, minimum: bytes, maximum: bytes)
        }
    }
}
