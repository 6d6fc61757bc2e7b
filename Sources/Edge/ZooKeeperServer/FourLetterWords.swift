import Replication
import ZooKeeperModel

/// The four ASCII letters that a monitoring script sends instead of a session handshake.
///
/// Words that Apache knows but this server does not answer yet are recognised, so that they get a
/// sentence instead of a silent close.
enum FourLetterWord: String, Sendable, CaseIterable {
    case conf, cons, crst, dirs, dump, envi, gtmk, hash, isro, mntr, ruok, srst, srvr, stat, stmk
    case wchc, wchp, wchs

    init?(bytes: ArraySlice<UInt8>) {
        self.init(rawValue: String(decoding: bytes, as: UTF8.self))
    }
}

/// What this server says of its version; the shape is what client libraries parse.
enum ServerVersion {
    static let text = "3.8.0-zkfs, built on 2026-11-23 00:00 UTC"
}

extension FourLetterWord {
    /// The text that the socket gets before it is closed.
    func answer(
        status: ServerStatus, connections: [ConnectionRow], whitelist: ServerConfiguration
            .FourLetterWordList, process: ProcessFigures, configuration: ServerConfiguration
    ) -> String {
        guard whitelist.allows(rawValue) else {
            return "\(rawValue) is not executed because it is not in the whitelist.\n"
        }
        if self == .ruok { return "imok" }
        guard status.isServing else {
            return self == .isro
                ? "null" : "This ZooKeeper instance is not currently serving requests\n"
        }
        switch self {
        case .ruok: return "imok"
        case .isro: return "rw"
        case .srvr:
            return "Zookeeper version: \(ServerVersion.text)\n" + serverLines(status)
        case .stat:
            return "Zookeeper version: \(ServerVersion.text)\nClients:\n"
                + connections.map(\.text).joined() + "\n" + serverLines(status)
        case .mntr: return monitorLines(status, process)
        case .conf, .cons, .crst, .dirs, .dump, .envi, .gtmk, .hash, .srst, .stmk, .wchc, .wchp,
            .wchs:
            return "\(rawValue) is not answered by this version of the server yet.\n"
        }
    }

    private func serverLines(_ status: ServerStatus) -> String {
        var text = """
            Latency min/avg/max: \(status.minLatency)/\(rounded(status.averageLatency))/\
            \(status.maxLatency)
            Received: \(status.packetsReceived)
            Sent: \(status.packetsSent)
            Connections: \(status.connectionCount)
            Outstanding: \(status.outstandingRequests)
            Zxid: \(status.lastZxid)
            Mode: \(status.mode)
            Node count: \(status.znodeCount)

            """
        if status.mode == "leader" {
            text += "Proposal sizes last/min/max: \(status.lastProposalSize)/"
                + "\(status.minProposalSize)/\(status.maxProposalSize)\n"
        }
        return text
    }

    private func monitorLines(_ status: ServerStatus, _ process: ProcessFigures) -> String {
        var rows: [(String, String)] = [
            ("version", ServerVersion.text),
            ("server_state", status.mode),
            ("avg_latency", rounded(status.averageLatency)),
            ("max_latency", "\(status.maxLatency)"),
            ("min_latency", "\(status.minLatency)"),
            ("packets_received", "\(status.packetsReceived)"),
            ("packets_sent", "\(status.packetsSent)"),
            ("num_alive_connections", "\(status.connectionCount)"),
            ("outstanding_requests", "\(status.outstandingRequests)"),
            ("znode_count", "\(status.znodeCount)"),
            ("watch_count", "\(status.watchCount)"),
            ("ephemerals_count", "\(status.ephemeralCount)"),
            ("approximate_data_size", "\(status.approximateDataSize)"),
            ("global_sessions", "\(status.sessionCount)"),
            ("local_sessions", "0"),
            ("open_file_descriptor_count", "\(process.openDescriptors)"),
            ("max_file_descriptor_count", "\(process.maxDescriptors)"),
            ("uptime", "\(process.uptimeMilliseconds)"),
            ("process_resident_bytes", "\(process.residentBytes)"),
        ]
        if status.mode == "leader" {
            rows += [
                ("learners", "\(status.learnerCount)"),
                ("synced_followers", "\(status.syncedFollowerCount)"),
                ("last_proposal_size", "\(status.lastProposalSize)"),
                ("min_proposal_size", "\(status.minProposalSize)"),
                ("max_proposal_size", "\(status.maxProposalSize)"),
            ]
        }
        return rows.map { "zk_\($0.0)\t\($0.1)\n" }.joined()
    }

    /// At most four decimals, and at least one, as Java prints a double.
    private func rounded(_ value: Double) -> String {
        "\((value * 10_000).rounded() / 10_000)"
    }
}

/// One line of `stat`.
struct ConnectionRow {
    var address: String
    var queued: Int
    var received: Int
    var sent: Int
    var text: String {
        " \(address)[1](queued=\(queued),recved=\(received),sent=\(sent))\n"
    }
}
