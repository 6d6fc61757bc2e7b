package import ZooKeeperModel

/// Who belongs to the ensemble, and how patient its members are.
package struct EnsembleConfiguration: Hashable, Sendable {
    package struct Member: Hashable, Sendable {
        package var id: ServerID
        package var isObserver: Bool
        package init(id: ServerID, isObserver: Bool = false) {
            self.id = id
            self.isObserver = isObserver
        }
    }
    package var me: ServerID
    /// Sorted by id; includes this server. One voter alone is a standalone server.
    package var members: [Member]
    package var tickTime: Duration
    /// In ticks.
    package var initLimit: Int
    /// In ticks.
    package var syncLimit: Int
    /// The text that notifications and NEWLEADER carry.
    package var text: [UInt8]

    package init(
        me: ServerID,
        members: [Member],
        tickTime: Duration = .milliseconds(2000),
        initLimit: Int = 10,
        syncLimit: Int = 5,
        text: [UInt8] = []
    ) {
        self.me = me
        self.members = members.sorted { $0.id < $1.id }
        self.tickTime = tickTime
        self.initLimit = initLimit
        self.syncLimit = syncLimit
        self.text = text
    }
    package var voters: [ServerID] { members.filter { !$0.isObserver }.map(\.id) }
}
