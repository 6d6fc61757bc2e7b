internal import ZooKeeperModel

/// What `/@zkfs/status` counts.
struct Counters: Sendable {
    var requests: UInt64 = 0
    var failures: UInt64 = 0
    var publications: UInt64 = 0
    var events: UInt64 = 0
}

/// The recent messages that `/@zkfs/log` shows: sentences about paths and outcomes, never values.
struct MessageRing: Sendable {
    static let limit = 256
    private var lines: [String] = []
    private var next = 0

    mutating func add(_ line: String) {
        if lines.count < Self.limit {
            lines.append(line)
        } else {
            lines[next] = line
            next = (next + 1) % Self.limit
        }
    }

    var text: [UInt8] {
        (lines[next...] + lines[..<next]).flatMap { Array($0.utf8) + [UInt8(ascii: "\n")] }
    }
}

extension MountedTree {
    mutating func log(_ level: MountLogLevel, _ message: String) {
        // A name may carry a line break; a message is one line.
        let line = String(message.map { $0.isNewline ? " " : $0 })
        journal.add("\(now.timestamp.rawValue) \(level) \(line)")
        output.append(.log(level, line))
    }

    /// One `name=value` a line.
    var statusText: [UInt8] {
        let state =
            switch link {
            case .connecting: "connecting"
            case .connected: "connected"
            case .disconnected: "disconnected"
            case .expired: "expired"
            case .refused: "refused"
            }
        let unpublished = files.values.reduce(0) { $0 + ($1.file?.isUnpublished == true ? 1 : 0) }
        let fields: [(String, String)] = [
            ("session", state), ("session_id", session?.description ?? "none"),
            ("last_zxid", lastZxid.description), ("root", settings.root.description),
            ("read_only", settings.readOnly ? "yes" : "no"),
            ("nodes", "\(nodes.count)"), ("open_files", "\(files.count)"),
            ("unpublished_files", "\(unpublished)"), ("watched_paths", "\(watched.count)"),
            ("waiting_requests", "\(requests.count)"), ("requests", "\(counters.requests)"),
            ("failed_requests", "\(counters.failures)"),
            ("publications", "\(counters.publications)"), ("watch_events", "\(counters.events)"),
        ]
        return fields.flatMap { Array("\($0)=\($1)\n".utf8) }
    }
}
