package import ZooKeeperModel

/// The protocol between a leader and its learners: packets of a type, a zxid, a buffer and a list
/// of identities, one behind the other without an outer length. What buffer and zxid mean depends
/// on the type, and for pings and revalidations also on who sends.
package enum LearnerCodec {
    package enum Sender: Hashable, Sendable {
        case leader
        case learner
    }

    enum PacketType: Int32 {
        case request = 1
        case proposal = 2
        case ack = 3
        case commit = 4
        case ping = 5
        case revalidate = 6
        case sync = 7
        case inform = 8
        case commitAndActivate = 9
        case newLeader = 10
        case followerInfo = 11
        case upToDate = 12
        case diff = 13
        case truncate = 14
        case snapshot = 15
        case observerInfo = 16
        case leaderInfo = 17
        case ackEpoch = 18
        case informAndActivate = 19
        /// Of our own: its number is unlikely to be given to another one.
        case ensemble = 0x7A6B_6673
    }

    static let protocolVersion: Int32 = 0x10000
    /// The string behind a snapshot's body.
    static let snapshotSignature: [UInt8] = [
        0, 0, 0, 10, 0x42, 0x65, 0x6E, 0x57, 0x61, 0x73, 0x48, 0x65, 0x72, 0x65,
    ]

    package static func encode(
        _ message: LearnerMessage,
        from sender: Sender,
        into writer: inout JuteWriter
    ) {
        switch message {
        case .learnerInfo(let info): write(info, into: &writer)
        case .ackEpoch(let lastZxid, let currentEpoch):
            writer.packet(.ackEpoch, lastZxid) {
                $0.int32(Int32(truncatingIfNeeded: currentEpoch ?? -1))
            }
        case .ack(let zxid): writer.packet(.ack, zxid)
        case .request(let request): write(request, into: &writer)
        case .ensemble(let name, let marks):
            writer.packet(.ensemble, .none) {
                write(name, into: &$0)
                for mark in marks {
                    $0.zxid(mark.zxid)
                    $0.int64(mark.digest)
                }
            }
        case .leaderInfo(let epoch):
            writer.packet(.leaderInfo, Zxid(epoch: epoch, counter: 0)) {
                $0.int32(protocolVersion)
            }
        case .diff(let zxid): writer.packet(.diff, zxid)
        case .truncate(let zxid): writer.packet(.truncate, zxid)
        case .snapshot(let zxid): writer.packet(.snapshot, zxid)
        case .snapshotSlice(let slice): writer.raw(slice)
        case .snapshotEnd: writer.raw(snapshotSignature)
        case .newLeader(let epoch, let configuration):
            writer.packet(.newLeader, Zxid(epoch: epoch, counter: 0), data: configuration)
        case .upToDate: writer.packet(.upToDate, .none)
        case .proposal(let proposal):
            writer.packet(.proposal, proposal.zxid, data: proposal.bytes)
        case .commit(let zxid): writer.packet(.commit, zxid)
        case .inform(let proposal): writer.packet(.inform, proposal.zxid, data: proposal.bytes)
        case .sync: writer.packet(.sync, .zero)
        case .ping(let zxid, let touched):
            switch sender {
            case .leader: writer.packet(.ping, zxid)
            case .learner:
                writer.packet(.ping, zxid) {
                    for entry in touched {
                        $0.int64(entry.session.rawValue)
                        $0.int32(entry.timeout)
                    }
                }
            }
        case .revalidate(let session, let timeout, let isValid):
            writer.packet(.revalidate, .none) {
                $0.int64(session.rawValue)
                switch sender {
                case .leader: $0.bool(isValid ?? false)
                case .learner: $0.int32(timeout)
                }
            }
        }
    }

    private static func write(_ info: LearnerInfo, into writer: inout JuteWriter) {
        writer.packet(
            info.isObserver ? .observerInfo : .followerInfo,
            Zxid(epoch: info.acceptedEpoch, counter: 0)
        ) {
            $0.int64(info.server.rawValue)
            $0.int32(info.protocolVersion)
            $0.int64(info.configurationVersion)
            // Apache's leaders look no further.
            if let name = info.ensemble {
                $0.raw(ensembleMagic)
                write(name, into: &$0)
            }
        }
    }

    private static let ensembleMagic = Array("zkfs".utf8)
    /// Enough for what a leader remembers of its history.
    private static let marksLimit = 4096

    private static func write(_ name: EnsembleName, into writer: inout JuteWriter) {
        writer.int64(name.number)
        writer.bool(name.isSettled)
    }

    private static func ensembleName(
        _ reader: inout JuteReader
    ) throws(WireError) -> EnsembleName {
        EnsembleName(number: try reader.int64(), isSettled: try reader.bool())
    }

    private static func write(_ request: ForwardedRequest, into writer: inout JuteWriter) {
        writer.packetBegin(.request, .none)
        let data = writer.beginFrame()
        writer.int64(request.session.rawValue)
        writer.int32(request.cxid)
        writer.int32(request.operationCode)
        writer.raw(request.body)
        writer.endFrame(data)
        // A leader of Apache's cannot do without a list, except where no client asked.
        if request.identities.isEmpty
            && request.operationCode == OperationCode.createSession.rawValue
        {
            writer.vectorCount(nil)
        } else {
            writer.identities(request.identities)
        }
    }
}

extension JuteWriter {
    fileprivate mutating func packetBegin(_ type: LearnerCodec.PacketType, _ zxid: Zxid) {
        int32(type.rawValue)
        self.zxid(zxid)
    }

    fileprivate mutating func packet(
        _ type: LearnerCodec.PacketType,
        _ zxid: Zxid,
        data: [UInt8]? = nil
    ) {
        packetBegin(type, zxid)
        buffer(data)
        vectorCount(nil)
    }

    fileprivate mutating func packet(
        _ type: LearnerCodec.PacketType,
        _ zxid: Zxid,
        data: (inout JuteWriter) -> Void
    ) {
        packetBegin(type, zxid)
        let frame = beginFrame()
        data(&self)
        endFrame(frame)
        vectorCount(nil)
    }
}

// MARK: Decoding

extension LearnerCodec {
    /// One whole packet; nil for a type that this side does not know, which is to be passed over.
    /// Throws `.truncated` until all of it is there.
    static func decode(
        _ reader: inout JuteReader,
        from sender: Sender
    ) throws(WireError) -> LearnerMessage? {
        let number = try reader.int32()
        let zxid = try reader.zxid()
        let range = try reader.lengthPrefixedRange()
        let identities = try reader.identities()
        guard let type = PacketType(rawValue: number) else { return nil }
        var data = JuteReader(
            reader.bytes,
            in: range ?? reader.position..<reader.position,
            maxLengthBytes: reader.maxLengthBytes
        )
        do throws(WireError) {
            switch sender {
            case .leader: return try fromLeader(type, zxid, &data, hasData: range != nil)
            case .learner: return try fromLearner(type, zxid, &data, identities)
            }
        } catch {
            // The packet is all there: what its data lacks will not come.
            let reason = error.reason == .truncated ? WireError.Reason.notAllowed : error.reason
            throw WireError(reason, at: error.offset, reading: "the data of a quorum packet")
        }
    }

    private static func fromLeader(
        _ type: PacketType,
        _ zxid: Zxid,
        _ data: inout JuteReader,
        hasData: Bool
    ) throws(WireError) -> LearnerMessage? {
        switch type {
        case .ensemble:
            let name = try ensembleName(&data)
            guard data.remaining <= 16 * marksLimit else {
                throw data.error(.tooLong, reading: "the marks of a history")
            }
            var marks: [HistoryMark] = []
            marks.reserveCapacity(data.remaining / 16)
            while !data.isAtEnd {
                marks.append(HistoryMark(zxid: try data.zxid(), digest: try data.int64()))
            }
            return .ensemble(name, marks: marks)
        case .leaderInfo: return .leaderInfo(epoch: zxid.epoch)
        case .diff: return .diff(zxid)
        case .truncate: return .truncate(zxid)
        case .snapshot: return .snapshot(zxid)
        case .newLeader:
            return .newLeader(epoch: zxid.epoch, configuration: hasData ? data.rest() : nil)
        case .upToDate: return .upToDate
        case .proposal: return .proposal(try proposal(zxid, &data))
        case .commit: return .commit(zxid)
        case .inform: return .inform(try proposal(zxid, &data))
        case .sync: return .sync
        case .ping: return .ping(zxid, touched: [])
        case .revalidate:
            return .revalidate(
                try data.sessionID(),
                timeout: 0,
                isValid: try data.bool()
            )
        case .commitAndActivate, .informAndActivate:
            // They change who belongs to the ensemble. To pass over them would lose a commit.
            throw data.error(.notAllowed, reading: "a reconfiguration")
        case .request, .ack, .followerInfo, .observerInfo, .ackEpoch:
            throw data.error(.notAllowed, reading: "a packet that only learners send")
        }
    }

    private static func fromLearner(
        _ type: PacketType,
        _ zxid: Zxid,
        _ data: inout JuteReader,
        _ identities: [Identity]
    ) throws(WireError) -> LearnerMessage? {
        switch type {
        case .followerInfo, .observerInfo:
            var info = LearnerInfo(
                server: ServerID(rawValue: try data.int64()),
                isObserver: type == .observerInfo,
                acceptedEpoch: zxid.epoch,
                protocolVersion: 0
            )
            // Older learners end earlier.
            if !data.isAtEnd { info.protocolVersion = try data.int32() }
            if !data.isAtEnd { info.configurationVersion = try data.int64() }
            // What others may one day write here is passed over.
            let rest = data.rest()
            if rest.starts(with: ensembleMagic) {
                var name = JuteReader(Array(rest.dropFirst(ensembleMagic.count)))
                info.ensemble = try ensembleName(&name)
            }
            return .learnerInfo(info)
        case .ackEpoch:
            let epoch = try data.int32()
            return .ackEpoch(lastZxid: zxid, currentEpoch: epoch == -1 ? nil : Int64(epoch))
        case .ack: return .ack(zxid)
        case .request:
            return .request(
                ForwardedRequest(
                    session: try data.sessionID(),
                    cxid: try data.int32(),
                    operationCode: try data.int32(),
                    body: data.rest(),
                    identities: identities
                )
            )
        case .ping:
            var touched: [TouchedSession] = []
            touched.reserveCapacity(data.remaining / 12)
            while !data.isAtEnd {
                touched.append(
                    TouchedSession(session: try data.sessionID(), timeout: try data.int32())
                )
            }
            return .ping(zxid, touched: touched)
        case .revalidate:
            return .revalidate(try data.sessionID(), timeout: try data.int32(), isValid: nil)
        case .proposal, .commit, .sync, .inform, .commitAndActivate, .newLeader, .upToDate, .diff,
            .truncate, .snapshot, .ensemble, .leaderInfo, .informAndActivate:
            throw data.error(.notAllowed, reading: "a packet that only leaders send")
        }
    }

    private static func proposal(
        _ zxid: Zxid,
        _ data: inout JuteReader
    ) throws(WireError) -> Proposal {
        // Its own zxid must be the packet's: what is committed by one must be what the other names.
        let proposal = Proposal(zxid: zxid, bytes: data.rest())
        guard try TransactionCodec.peekZxid(proposal.bytes) == zxid else {
            throw data.error(.notAllowed, reading: "a proposal under another zxid")
        }
        return proposal
    }
}
