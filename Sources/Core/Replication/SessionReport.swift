package import ZooKeeperModel
internal import Znodes

/// Which sessions and connections there are and when each ends, for the operator who asks. Its cost
/// grows with their number.
package struct SessionReport: Hashable, Sendable {
    /// What ends together, unless it is heard of before.
    package struct ExpirySet<Key: Hashable & Sendable>: Hashable, Sendable {
        package var end: Timestamp
        /// Sorted; may be empty.
        package var keys: [Key]
    }
    package enum Global: Hashable, Sendable {
        /// On the server that decides when they end.
        case expirySets([ExpirySet<SessionID>])
        /// Elsewhere, with timeouts in milliseconds.
        case timeouts([TouchedSession])
    }
    package struct Ephemerals: Hashable, Sendable {
        package var session: SessionID
        package var paths: [ZnodePath]
    }
    package var global: Global
    /// Nil where sessions of one server alone cannot be.
    package var local: [ExpirySet<SessionID>]?
    package var ephemerals: [Ephemerals]
    package var connections: [ExpirySet<ConnectionID>]
}

extension Replica {
    package var sessionReport: SessionReport {
        func sets<Key>(_ buckets: [(end: Instant, keys: [Key])]) -> [SessionReport.ExpirySet<Key>] {
            buckets.map { bucket in
                let delay = (bucket.end - now.instant).wholeMilliseconds
                return SessionReport.ExpirySet(
                    end: Timestamp(rawValue: now.timestamp.rawValue &+ delay),
                    keys: bucket.keys
                )
            }
        }
        let global: SessionReport.Global =
            if isLeading {
                .expirySets(sets(tracker.expirySets))
            } else {
                .timeouts(
                    database.sortedSessions.map {
                        TouchedSession(session: $0.session, timeout: $0.timeout)
                    }
                )
            }
        return SessionReport(
            global: global,
            local: makesLocalSessions ? sets(locals.expirySets) : nil,
            ephemerals: database.tree.ephemeralOwners.map {
                .init(session: $0, paths: database.tree.ephemerals(of: $0).sorted())
            },
            connections: sets(connectionExpiry.sets)
        )
    }

    /// Who watches which path for its data or existence, sorted by session.
    package var dataWatches: [(session: SessionID, path: ZnodePath)] {
        watches.dataWatches.compactMap { watch in
            clients.slot(of: watch.connection).map { (clients[$0].session, watch.path) }
        }.sorted { $0.session < $1.session }
    }
}
