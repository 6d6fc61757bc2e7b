internal import Replication
internal import ZooKeeperModel

// dump, wchs, wchc, wchp, hash: sessions, what hangs on them, and the digests of the past.

extension WordSource {
    func dump(_ report: SessionReport) -> String {
        var text = "SessionTracker dump:\n"
        if let local = report.local { text += "Local " + sessionSets(local) }
        switch report.global {
        case .expirySets(let sets):
            text += (report.local == nil ? "" : "Global ") + sessionSets(sets)
        case .timeouts(let sessions):
            text += "Global Sessions(\(sessions.count)):\n"
            text += sessions.map { "\($0.session)\t\($0.timeout)ms\n" }.joined()
        }
        text += "ephemeral nodes dump:\nSessions with Ephemerals (\(report.ephemerals.count)):\n"
        for entry in report.ephemerals {
            text += "\(entry.session):\n" + entry.paths.map { "\t\($0)\n" }.joined()
        }
        let connections = Dictionary(
            status.connections.map { ($0.id, $0) },
            uniquingKeysWith: { first, _ in first }
        )
        text += "Connections dump:\nConnections "
        return text
            + sets(report.connections) { id in
                let session = connections[id]?.session ?? .none
                return "ip: \(addresses[id] ?? "/") sessionId: \(session)"
            }
    }

    private func sessionSets(_ expiry: [SessionReport.ExpirySet<SessionID>]) -> String {
        "Session " + sets(expiry) { "\($0)" }
    }

    private func sets<Key>(
        _ sets: [SessionReport.ExpirySet<Key>],
        _ line: (Key) -> String
    ) -> String {
        "Sets (\(sets.count))/(\(sets.reduce(0) { $0 + $1.keys.count })):\n"
            + sets.map { set in
                "\(set.keys.count) expire at \(JavaText.date(set.end)):\n"
                    + set.keys.map { "\t\(line($0))\n" }.joined()
            }.joined()
    }

    func wchs(_ watches: [(session: SessionID, path: ZnodePath)]) -> String {
        "\(Set(watches.map(\.session)).count) connections watching "
            + "\(Set(watches.map(\.path)).count) paths\nTotal watches:\(watches.count)\n"
    }

    func wchc(_ watches: [(session: SessionID, path: ZnodePath)]) -> String {
        grouped(watches.map { ("\($0.session)", "\($0.path)") })
    }

    func wchp(_ watches: [(session: SessionID, path: ZnodePath)]) -> String {
        grouped(watches.sorted { $0.path < $1.path }.map { ("\($0.path)", "\($0.session)") })
    }

    /// A line for each key, and below it one for each of its values.
    private func grouped(_ rows: [(key: String, value: String)]) -> String {
        var text = ""
        var key: String?
        for row in rows {
            if row.key != key { text += row.key + "\n" }
            key = row.key
            text += "\t" + row.value + "\n"
        }
        return text + "\n"
    }

    func hash(_ digests: [DigestLog.Entry]) -> String {
        digests.map { entry in
            String(UInt64(bitPattern: entry.zxid.rawValue), radix: 16) + ": \(entry.digest)\n"
        }.joined()
    }
}
