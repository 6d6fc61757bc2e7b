internal import Replication
internal import ZooKeeperModel
internal import ZooKeeperWire

// srvr, stat, cons, isro: what the server and its connections do.

extension WordSource {
    func srvr() -> String { head + serverLines }

    func stat() -> String {
        head + "Clients:\n" + status.connections.map { connectionLine($0, isLong: false) }.joined()
            + "\n" + serverLines
    }

    func cons() -> String {
        status.connections.map { connectionLine($0, isLong: true) }.joined() + "\n"
    }

    func isro() -> String { status.mode == .readOnly ? "ro" : "rw" }

    private var head: String {
        "Zookeeper version: \(ServerVersion.text)\n"
            + (status.mode == .readOnly
                ? "READ-ONLY mode; serving only read-only clients\n" : "")
    }

    private var serverLines: String {
        let latency = status.latency
        var text = """
            Latency min/avg/max: \
            \(latency.minimum)/\(JavaText.rounded(latency.average))/\(latency.maximum)
            Received: \(packetsReceived)
            Sent: \(packetsSent)
            Connections: \(status.connections.count)
            Outstanding: \(status.outstandingRequests)
            Zxid: \(status.lastZxid)
            Mode: \(status.mode.rawValue)
            Node count: \(nodeCount)

            """
        if status.mode == .leader {
            let sizes = proposalSizes
            text += "Proposal sizes last/min/max: \(sizes.last)/\(sizes.minimum)/\(sizes.maximum)\n"
        }
        return text
    }

    /// Words are packets too, on both sides; this one is not answered yet.
    var packetsReceived: Int64 { status.packetsReceived + figures.words }
    var packetsSent: Int64 { status.packetsSent + max(0, figures.words - 1) }

    /// Apache's server finds its root under "/" and under the empty path, and counts both.
    var nodeCount: Int { status.nodeCount + 1 }

    var proposalSizes: ServerStatus.ProposalSizes {
        status.proposalSizes ?? ServerStatus.ProposalSizes(last: -1, minimum: -1, maximum: -1)
    }

    private func connectionLine(_ connection: ServerStatus.Connection, isLong: Bool) -> String {
        let isAsker = connection.id == asker
        // In brackets what is waited for: to read from it, unless it has said all it had to say.
        var text =
            " \(addresses[connection.id] ?? connection.address)[\(isAsker ? 0 : 1)]"
            + "(queued=\(connection.queued),recved=\(isAsker ? 1 : connection.received),"
            + "sent=\(connection.sent)"
        if isLong, connection.session != .none {
            let last = connection.lastReply
            text +=
                ",sid=\(connection.session),lop=\(last.map { Self.name(of: $0.operationCode) } ?? "NA")"
                + ",est=\(connection.established.rawValue),to=\(connection.timeout)"
            if let last, last.cxid != -1 { text += ",lcxid=\(Self.hexadecimal(last.cxid))" }
            text +=
                ",lzxid=\((last?.zxid ?? .none))"
                + ",lresp=\((last?.time.nanoseconds ?? 0) / 1_000_000),llat=\(last?.latency ?? 0)"
                + ",minlat=\(connection.latency.minimum),avglat=\(Int64(connection.latency.average))"
                + ",maxlat=\(connection.latency.maximum)"
        }
        return text + ")\n"
    }

    /// Extended to the 64 bits that Apache's server keeps it in.
    private static func hexadecimal(_ number: Int32) -> String {
        "0x" + String(UInt64(bitPattern: Int64(number)), radix: 16)
    }

    /// Apache's letters for an operation.
    static func name(of code: Int32) -> String {
        switch OperationCode(rawValue: code) {
        case .create, .create2, .createContainer, .createTimeToLive: "CREA"
        case .delete, .deleteContainer: "DELE"
        case .exists: "EXIS"
        case .getData: "GETD"
        case .setData: "SETD"
        case .getACL: "GETA"
        case .setACL: "SETA"
        case .getChildren, .getChildren2: "GETC"
        case .sync: "SYNC"
        case .ping: "PING"
        case .check: "CHEC"
        case .multi: "MULT"
        case .multiRead: "MLTR"
        case .reconfig: "RECO"
        case .checkWatches: "CHKW"
        case .removeWatches: "REMW"
        case .setWatches: "SETW"
        case .setWatches2: "STW2"
        case .addWatch: "ADDW"
        case .getEphemerals: "GETE"
        case .getAllChildrenNumber: "GETACN"
        case .whoAmI: "HOMI"
        case .createSession: "SESS"
        case .closeSession: "CLOS"
        case .auth, .sasl, .error, nil: "NA"
        }
    }
}
