internal import Platform
internal import Replication
internal import ZooKeeperModel

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
        status: ServerStatus,
        whitelist: ServerConfiguration.FourLetterWordList,
        process: ProcessFigures
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
                + status.connections.map(connectionLine).joined() + "\n" + serverLines(status)
        case .mntr: return monitorLines(status, process)
        case .conf, .cons, .crst, .dirs, .dump, .envi, .gtmk, .hash, .srst, .stmk, .wchc, .wchp,
            .wchs:
            return "\(rawValue) is not answered by this version of the server yet.\n"
        }
    }

    private func connectionLine(_ connection: ServerStatus.Connection) -> String {
        // Interest in reading and writing stands in brackets; this server always reads.
        " \(connection.address)[1](queued=\(connection.queued),recved=\(connection.received),"
            + "sent=\(connection.sent))\n"
    }

    private func serverLines(_ status: ServerStatus) -> String {
        let latency = status.latency
        var text = """
            Latency min/avg/max: \(latency.minimum)/\(rounded(latency.average))/\(latency.maximum)
            Received: \(status.packetsReceived)
            Sent: \(status.packetsSent)
            Connections: \(status.connections.count)
            Outstanding: \(status.outstandingRequests)
            Zxid: \(status.lastZxid)
            Mode: \(status.mode.rawValue)
            Node count: \(nodeCount(status))

            """
        if status.mode == .leader, let sizes = status.proposalSizes {
            text +=
                "Proposal sizes last/min/max: \(sizes.last)/\(sizes.minimum)/"
                + "\(sizes.maximum)\n"
        }
        return text
    }

    private func monitorLines(_ status: ServerStatus, _ process: ProcessFigures) -> String {
        var rows: [(String, String)] = [
            ("version", ServerVersion.text),
            ("server_state", status.mode.rawValue),
            ("avg_latency", rounded(status.latency.average)),
            ("max_latency", "\(status.latency.maximum)"),
            ("min_latency", "\(status.latency.minimum)"),
            ("packets_received", "\(status.packetsReceived)"),
            ("packets_sent", "\(status.packetsSent)"),
            ("num_alive_connections", "\(status.connections.count)"),
            ("outstanding_requests", "\(status.outstandingRequests)"),
            ("znode_count", "\(nodeCount(status))"),
            ("watch_count", "\(status.watchCount)"),
            ("ephemerals_count", "\(status.ephemeralCount)"),
            ("approximate_data_size", "\(status.approximateDataSize)"),
            ("global_sessions", "\(status.sessionCount)"),
            ("local_sessions", "0"),
            ("open_file_descriptor_count", "\(process.openDescriptors)"),
            ("max_file_descriptor_count", "\(process.maxDescriptors)"),
            ("digest_mismatches_count", "\(status.digestMismatches)"),
            ("uptime", "\(process.uptimeMilliseconds)"),
            ("process_resident_bytes", "\(process.residentBytes)"),
        ]
        if status.mode == .leader, let sizes = status.proposalSizes {
            rows += [
                ("last_proposal_size", "\(sizes.last)"),
                ("min_proposal_size", "\(sizes.minimum)"),
                ("max_proposal_size", "\(sizes.maximum)"),
            ]
        }
        return rows.map { "zk_\($0.0)\t\($0.1)\n" }.joined()
    }

    /// Apache's server finds its root under "/" and under the empty path, and counts both.
    private func nodeCount(_ status: ServerStatus) -> Int { status.nodeCount + 1 }

    /// At most four decimals, and at least one, as Java prints a double.
    private func rounded(_ value: Double) -> String {
        "\((value * 10_000).rounded() / 10_000)"
    }
}
