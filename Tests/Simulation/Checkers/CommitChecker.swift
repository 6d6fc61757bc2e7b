package import ZooKeeperModel

/// Agreement, total order, integrity and primary order of commits.
///
/// - Under one zxid there is one proposal, on whatever log it lies (integrity: the leader of its epoch
///   made it, and nobody changed it).
/// - An epoch has one leader, and its history holds all that was committed before it (primary order).
/// - What is committed lies durably on a quorum's disks at that moment.
/// - Whoever serves clients has the same tree at the same zxid, and never delivers what a later
///   leader's history lacks (agreement and total order).
///
/// It is told by whoever sees all servers: the simulation, or a log of real ones. It keeps one word
/// for each zxid.
package struct CommitChecker: Sendable {
    private var contents: [Zxid: Int] = [:]
    private var digests: [Zxid: Int64] = [:]
    /// Established epochs: leader, and the end of the history that it brought along.
    private var epochs: [Int64: (leader: Int, history: Zxid)] = [:]
    private var epochOrder: [Int64] = []
    /// The greatest zxid that anybody delivered while serving.
    package private(set) var lastCommitted = Zxid.zero

    package init() {}

    /// A proposal reaches a log. `content` stands for its bytes.
    package mutating func appended(_ zxid: Zxid, content: Int, server: Int) -> String? {
        guard let known = contents[zxid] else {
            contents[zxid] = content
            return nil
        }
        return known == content
            ? nil : "server \(server) logs another transaction as \(zxid) than others have"
    }

    /// This server begins to lead an epoch, with this history.
    package mutating func established(
        epoch: Int64,
        leader: Int,
        history: Zxid
    ) -> String? {
        if let known = epochs[epoch], known.leader != leader {
            return "servers \(known.leader) and \(leader) both lead epoch \(epoch)"
        }
        if epochs[epoch] == nil {
            epochs[epoch] = (leader, history)
            epochOrder.append(epoch)
            epochOrder.sort()
        }
        guard lastCommitted.epoch < epoch, history < lastCommitted else { return nil }
        return "server \(leader) leads epoch \(epoch) with a history up to \(history), but"
            + " \(lastCommitted) is committed"
    }

    /// A server that serves clients has this tree now.
    package mutating func delivered(_ zxid: Zxid, digest: Int64, server: Int) -> String? {
        if let known = digests[zxid] {
            guard known == digest else {
                return "server \(server) has another tree at \(zxid) than others"
            }
        } else {
            digests[zxid] = digest
        }
        lastCommitted = max(lastCommitted, zxid)
        for epoch in epochOrder where epoch > zxid.epoch {
            guard let found = epochs[epoch], zxid > found.history else { break }
            return "server \(server) delivers \(zxid), which the history of epoch \(epoch) lacks"
        }
        return nil
    }

    /// Whether some later epoch began without it.
    package func isAbandoned(_ zxid: Zxid) -> Bool {
        epochOrder.contains { epoch in
            guard epoch > zxid.epoch, let found = epochs[epoch] else { return false }
            return found.history < zxid
        }
    }

    /// A leader counts these as committed; `holders` voters have them on their disks.
    package func quorumFailure(_ zxid: Zxid, holders: Int, voters: Int) -> String? {
        holders > voters / 2
            ? nil : "\(zxid) was committed with \(holders) of \(voters) voters' disks holding it"
    }
}
