internal import ClientCore
public import ZooKeeperModel

/// The events of one watch. A one-shot watch yields one event and ends. A persistent one goes on
/// until ``ZooKeeper/removeWatches(_:type:)``, which ends it. Paths are those of the handle's chroot.
///
/// Throws ``ZooKeeperError`` when the watch is gone without having been fired or removed: with
/// `.sessionExpired` when the session ended, with `.throttledOperation` when its reader was so slow
/// that ``ZooKeeper/bufferedEvents`` events waited. No event is ever left out of a stream that
/// goes on.
public typealias WatchStream = AsyncThrowingStream<WatchEvent, any Error>

/// Who on this side waits for which events. The session has already sorted out what nobody waits
/// for and what was told twice; here an event finds its readers.
struct WatchSubscriptions {
    struct ID: Hashable { fileprivate var number: UInt64 }

    private struct Subscription {
        let id: ID
        let kinds: WatchKinds
        let continuation: WatchStream.Continuation
    }

    private var byPath: [ZnodePath: [Subscription]] = [:]
    private var paths: [ID: ZnodePath] = [:]
    private var lastNumber: UInt64 = 0

    mutating func add(
        _ kinds: WatchKinds,
        at path: ZnodePath,
        _ continuation: WatchStream.Continuation
    ) -> ID {
        lastNumber += 1
        let id = ID(number: lastNumber)
        byPath[path, default: []].append(
            Subscription(id: id, kinds: kinds, continuation: continuation)
        )
        paths[id] = path
        return id
    }

    /// The reader is gone.
    mutating func remove(_ id: ID) {
        guard let path = paths.removeValue(forKey: id) else { return }
        keep(at: path) { $0.id != id }
    }

    /// The watches are gone from the server.
    mutating func end(_ kinds: WatchKinds, at path: ZnodePath) {
        for subscription in byPath[path] ?? [] where subscription.kinds.isSubset(of: kinds) {
            subscription.continuation.finish()
        }
        keep(at: path) { !$0.kinds.isSubset(of: kinds) }
    }

    mutating func deliver(_ event: WatchEvent, named: WatchEvent) {
        let fired = WatchKinds.fired(by: event.kind)
        for subscription in byPath[event.path] ?? []
        where !subscription.kinds.isDisjoint(with: fired) {
            yield(named, to: subscription)
            if subscription.kinds.isSubset(of: .oneShot) { subscription.continuation.finish() }
        }
        keep(at: event.path) {
            $0.kinds.isDisjoint(with: fired) || !$0.kinds.isSubset(of: .oneShot)
        }
        guard event.kind != .childrenChanged else { return }
        var path = event.path.parent
        while let ancestor = path {
            for subscription in byPath[ancestor] ?? []
            where subscription.kinds.contains(.persistentRecursive) {
                yield(named, to: subscription)
            }
            path = ancestor.parent
        }
    }

    private func yield(_ event: WatchEvent, to subscription: Subscription) {
        guard case .dropped = subscription.continuation.yield(event) else { return }
        subscription.continuation.finish(
            throwing: ZooKeeperError(.throttledOperation, "watch", path: event.path.description)
        )
    }

    private mutating func keep(at path: ZnodePath, _ isKept: (Subscription) -> Bool) {
        guard let old = byPath[path] else { return }
        let kept = old.filter(isKept)
        byPath[path] = kept.isEmpty ? nil : kept
        guard kept.count < old.count else { return }
        for subscription in old where !isKept(subscription) { paths[subscription.id] = nil }
    }

    mutating func failAll(_ code: ErrorCode) {
        let old = byPath
        byPath = [:]
        paths = [:]
        for (path, subscriptions) in old {
            for subscription in subscriptions {
                subscription.continuation.finish(
                    throwing: ZooKeeperError(code, "watch", path: path.description)
                )
            }
        }
    }
}
