package import ZooKeeperModel

/// What a server finds on its disk: the database after replay, and the promises kept beside it.
package struct RecoveredState: Sendable {
    package init() {}
}
