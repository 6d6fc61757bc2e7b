package import ZooKeeperModel

// What a change tells whom.

extension WatchTable {
    /// Appends what this change tells each connection, in the order in which it must be sent.
    ///
    /// `mayRead` is asked whether a connection has READ on an ACL; one that has not hears nothing,
    /// but its one-shot watch is used up.
    package mutating func trigger(
        _ change: TreeChange,
        mayRead: (ConnectionID, [ACL]) -> Bool,
        events: inout [FiredWatch]
    ) {
        if connectionIndexes.isEmpty { return }
        let kind: WatchEvent.Kind
        switch change.kind {
        case .dataChanged:
            let event = WatchEvent(kind: .dataChanged, path: change.path, zxid: change.zxid)
            fire(event, [.data, .persistent], acl: change.acl, mayRead: mayRead, events: &events)
            return
        case .created:
            kind = .created
            let event = WatchEvent(kind: kind, path: change.path, zxid: change.zxid)
            fire(event, [.data, .persistent], acl: change.acl, mayRead: mayRead, events: &events)
        case .deleted:
            // The data table first; the child table tells only those who have not heard.
            kind = .deleted
            let event = WatchEvent(kind: kind, path: change.path, zxid: change.zxid)
            let told = fire(
                event,
                [.data, .persistent],
                acl: change.acl,
                mayRead: mayRead,
                events: &events
            )
            fire(
                event,
                .child,
                except: told,
                acl: change.acl,
                mayRead: mayRead,
                events: &events
            )
        }
        guard let end = change.path.bytes.lastIndex(of: UInt8(ascii: "/")),
            let slot = paths.find(change.path.bytes, upTo: end),
            firstOnPath[slot] != PathTable.none
        else { return }
        let parent = ZnodePath(bytes: paths.path(of: slot))
        fire(
            WatchEvent(kind: .childrenChanged, path: parent, zxid: change.zxid),
            [.child, .persistent],
            acl: change.parentACL,
            mayRead: mayRead,
            events: &events
        )
    }

    /// Tells the watchers of the event's path that have one of these kinds, and, but for child
    /// events, the recursive watchers there and above. Returns whom it found, sorted.
    @discardableResult
    private mutating func fire(
        _ event: WatchEvent,
        _ kinds: WatchKinds,
        except told: [ConnectionID] = [],
        acl: [ACL],
        mayRead: (ConnectionID, [ACL]) -> Bool,
        events: inout [FiredWatch]
    ) -> [ConnectionID] {
        var found: [ConnectionID] = []
        let bytes = event.path.bytes
        if let slot = paths.find(bytes) {
            var watch = firstOnPath[slot]
            while watch != PathTable.none {
                let next = watches[watch].nextOnPath
                let present = watches[watch].kinds
                if !present.isDisjoint(with: kinds) {
                    found.append(connections[watches[watch].connection].id)
                    setKinds(
                        of: watch,
                        to: present.subtracting(kinds.intersection([.data, .child]))
                    )
                    unlinkIfEmpty(watch)
                }
                watch = next
            }
        }
        if recursiveCount > 0, event.kind != .childrenChanged, kinds.contains(.data) {
            collectRecursive(bytes, into: &found)
        }
        if found.isEmpty { return found }
        found.sort()
        var last: ConnectionID?
        for connection in found where connection != last {
            last = connection
            guard !told.contains(sorted: connection), mayRead(connection, acl) else { continue }
            events.append(FiredWatch(connection: connection, event: event))
        }
        return found
    }

    private func collectRecursive(_ bytes: [UInt8], into found: inout [ConnectionID]) {
        paths.forEachSlot(towards: bytes) { slot in
            var watch = firstOnPath[slot]
            while watch != PathTable.none {
                if watches[watch].kinds.contains(.persistentRecursive) {
                    found.append(connections[watches[watch].connection].id)
                }
                watch = watches[watch].nextOnPath
            }
        }
    }
}

extension [ConnectionID] {
    fileprivate func contains(sorted connection: ConnectionID) -> Bool {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if self[middle] < connection { low = middle + 1 } else { high = middle }
        }
        return low < count && self[low] == connection
    }
}
