import ZooKeeperModel

@testable import Zab

// What disks do with what they were given, and what they keep.

extension ZabWorld {
    /// What waited longest for this disk is on it.
    mutating func finishJob(_ index: Int) {
        switch servers[index].jobs.removeFirst() {
        case .append(var proposals):
            // Appends in a row may be confirmed together.
            while random.chance(50), case .append(let more)? = servers[index].jobs.first {
                proposals += more
                servers[index].jobs.removeFirst()
            }
            servers[index].log += proposals
            guard let last = proposals.last else { return }
            feed(.persisted(upTo: last.zxid), to: index)
        case .epoch(let kind, let epoch):
            switch kind {
            case .accepted: servers[index].accepted = epoch
            case .current: servers[index].current = epoch
            }
            feed(.epochStored(kind, epoch), to: index)
        case .name(let name): named(name, index)
        case .read(let after, let through):
            let base = servers[index].snapshot.last?.zxid ?? .zero
            let reaches =
                after == base
                || after > base
                    && (after.counter == 0
                        || servers[index].log.contains { $0.zxid == after })
            let all = servers[index].log.filter { $0.zxid > after && $0.zxid <= through }
            let found = all.prefix(1 + random.below(4))
            sent["read", default: 0] += 1
            feed(
                .logRead(reaches ? Array(found) : nil, isComplete: found.count == all.count),
                to: index
            )
        case .truncate(let place):
            if let last = servers[index].snapshot.last?.zxid, last > place {
                // There is no earlier one to begin from.
                return feed(.truncationRefused, to: index)
            }
            servers[index].log.removeAll { $0.zxid > place }
            let history = servers[index].history
            servers[index].tree = history
            servers[index].checked = 0
            feed(
                .truncated(
                    lastZxid: history.last?.zxid ?? .zero,
                    recent: Array(history.suffix(committedLogCapacity))
                ),
                to: index
            )
        case .install(let zxid, let tree):
            servers[index].snapshot = tree
            servers[index].log = []
            servers[index].tree = tree
            servers[index].checked = 0
            feed(.snapshotInstalled(zxid), to: index)
        }
    }

    /// A settled name is the ensemble's for ever.
    private mutating func named(_ name: EnsembleName, _ index: Int) {
        servers[index].ensemble = name
        guard name.isSettled else { return }
        if let known = settledName, known != name {
            failures.append("server \(index + 1) is of ensemble \(name.text), not \(known.text)")
        }
        settledName = name
    }

    // MARK: - A tree as bytes: two slices

    static func encode(_ tree: [Proposal]) -> [[UInt8]] {
        let lines = tree.map {
            "\($0.zxid.rawValue) \(String(decoding: $0.bytes, as: UTF8.self))\n"
        }
        let half = lines.count / 2
        return [lines[..<half], lines[half...]].map { Array($0.joined().utf8) }
    }

    static func decode(_ slices: [[UInt8]]) -> [Proposal] {
        String(decoding: slices.joined(), as: UTF8.self).split(separator: "\n").map { line in
            let parts = line.split(separator: " ")
            return Proposal(
                zxid: Zxid(rawValue: Int64(parts[0]) ?? -1),
                bytes: Array(parts[1].utf8)
            )
        }
    }
}
