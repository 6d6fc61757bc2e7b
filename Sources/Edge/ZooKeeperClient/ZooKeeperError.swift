public import ZooKeeperModel

/// Why an operation failed.
///
/// Codes come from the servers, but for these:
/// - `.connectionLoss`: the connection was lost while the operation was under way, or too much was
///   waiting for one. In the first case nobody knows whether it took effect.
/// - `.sessionExpired`: a server said that the session is gone, or it was closed.
/// - `.badArguments`: refused here, if a path or argument can never be right, or the request is
///   longer than servers take.
/// - `.throttledOperation`: a bound of this client is reached; nothing was sent.
public struct ZooKeeperError: Error, Hashable, Sendable, CustomStringConvertible {
    public let code: ErrorCode
    /// As the caller gave it; of a multi, the path of the operation that failed.
    public let path: String?
    /// The name of the method that failed.
    public let operation: String
    /// In a multi, the position of the operation that failed, from 0.
    public let index: Int?

    init(_ code: ErrorCode, _ operation: String, path: String? = nil, index: Int? = nil) {
        self.code = code
        self.path = path
        self.operation = operation
        self.index = index
    }

    public var description: String {
        let place = index.map { "[\($0)]" } ?? ""
        return "\(operation)\(place) \(path ?? ""): \(code)"
    }
}
