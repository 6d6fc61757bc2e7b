package struct TreeSnapshotError: Error, Hashable, Sendable {
    package var reason: String
    package init(reason: String) { self.reason = reason }
}
