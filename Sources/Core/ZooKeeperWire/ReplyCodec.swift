package import ZooKeeperModel

/// What servers send to clients after the handshake: replies to requests, in the order of these,
/// and watch events between them. A frame is xid, zxid and error code, then, where the error is 0,
/// the record that belongs to the request's operation.
///
/// A reply does not say which operation it answers: the client decodes the header, finds the
/// request by its xid, and then decodes the body.
package enum ReplyCodec {
    /// A whole frame. On the path of every read: one growth of the writer, no other allocation.
    package static func encode(_ reply: Reply, into writer: inout JuteWriter) {
        let frame = writer.beginFrame()
        switch reply.result {
        case .success(let response):
            writer.replyHeader(xid: reply.xid, zxid: reply.zxid, error: 0)
            write(response, into: &writer)
        case .failure(let error):
            writer.replyHeader(xid: reply.xid, zxid: reply.zxid, error: error.rawValue)
        }
        writer.endFrame(frame)
    }

    /// A whole frame.
    package static func encode(_ event: WatchEvent, into writer: inout JuteWriter) {
        let frame = writer.beginFrame()
        writer.replyHeader(xid: Request.notificationXid, zxid: event.zxid, error: 0)
        writer.int32(event.kind.rawValue)
        writer.int32(connectedState)
        writer.path(event.path)
        writer.endFrame(frame)
    }

    /// "SyncConnected", the only state that servers send.
    private static let connectedState: Int32 = 3

    private static func write(_ response: Response, into writer: inout JuteWriter) {
        switch response {
        case .empty, .checked: break
        case .created(let path), .synced(let path): writer.path(path)
        case .createdWithStat(let path, let stat):
            writer.path(path)
            writer.stat(stat)
        case .stat(let stat): writer.stat(stat)
        case .data(let data, let stat):
            writer.buffer(data)
            writer.stat(stat)
        case .acl(let acl, let stat):
            writer.acl(acl)
            writer.stat(stat)
        case .children(let names): write(names, into: &writer)
        case .childrenWithStat(let names, let stat):
            write(names, into: &writer)
            writer.stat(stat)
        case .multi(let results):
            for result in results { write(result, into: &writer) }
            writer.multiEnd()
        case .watchAdded: writer.int32(0)
        }
    }

    private static func write(_ names: [[UInt8]], into writer: inout JuteWriter) {
        writer.vectorCount(names.count)
        for name in names { writer.buffer(name) }
    }

    private static func write(_ result: MultiResult, into writer: inout JuteWriter) {
        switch result {
        case .success(let response):
            let code: OperationCode =
                switch response {
                case .created: .create
                case .createdWithStat: .create2
                case .stat: .setData
                case .empty: .delete
                case .checked: .check
                case .data, .acl, .children, .childrenWithStat, .synced, .multi, .watchAdded:
                    preconditionFailure("\(response) answers no operation of a multi")
                }
            writer.multiHeader(code: code.rawValue, error: 0)
            write(response, into: &writer)
        case .failure(let error):
            writer.multiHeader(code: OperationCode.error.rawValue, error: error.rawValue)
            writer.int32(error.rawValue)
        }
    }
}

extension JuteWriter {
    fileprivate mutating func replyHeader(xid: Int32, zxid: Zxid, error: Int32) {
        bytes.append(addingCapacity: 16) {
            $0.appendBigEndian(xid)
            $0.appendBigEndian(zxid.rawValue)
            $0.appendBigEndian(error)
        }
    }
}

// MARK: The client's side

/// What stands before every reply and event.
package struct ReplyHeader: Hashable, Sendable {
    package var xid: Int32
    package var zxid: Zxid
    package var error: ErrorCode
    package init(xid: Int32, zxid: Zxid, error: ErrorCode) {
        self.xid = xid
        self.zxid = zxid
        self.error = error
    }
    package var isEvent: Bool { xid == Request.notificationXid }
}

extension ReplyCodec {
    package static func decodeHeader(_ frame: inout JuteReader) throws(WireError) -> ReplyHeader {
        ReplyHeader(
            xid: try frame.int32(),
            zxid: try frame.zxid(),
            error: ErrorCode(rawValue: try frame.int32())
        )
    }

    /// Nil for an event that is not about a znode.
    package static func decodeEvent(
        _ header: ReplyHeader,
        _ frame: inout JuteReader
    ) throws(WireError) -> WatchEvent? {
        let kind = try frame.int32()
        _ = try frame.int32()
        let path = try frame.pathOfWrite()
        guard let kind = WatchEvent.Kind(rawValue: kind) else { return nil }
        return WatchEvent(kind: kind, path: path, zxid: header.zxid)
    }

    /// The rest of a reply, after its header.
    package static func decodeReply(
        _ header: ReplyHeader,
        to operation: Operation,
        _ frame: inout JuteReader
    ) throws(WireError) -> Reply {
        guard header.error == .ok else {
            return Reply(xid: header.xid, zxid: header.zxid, result: .failure(header.error))
        }
        let response = try decodeResponse(to: operation, &frame)
        return Reply(xid: header.xid, zxid: header.zxid, result: .success(response))
    }

    private static func decodeResponse(
        to operation: Operation,
        _ frame: inout JuteReader
    ) throws(WireError) -> Response {
        switch operation {
        case .create(let request):
            switch request.kind {
            case .create: return .created(try frame.path())
            case .create2, .container, .timeToLive:
                return .createdWithStat(try frame.path(), try frame.stat())
            }
        case .delete, .setWatches, .checkWatches, .removeWatches, .auth, .ping, .closeSession:
            return .empty
        case .check: return .checked
        case .exists, .setData, .setACL: return .stat(try frame.stat())
        case .getData: return .data(try frame.buffer(), try frame.stat())
        case .getACL: return .acl(try frame.acl(), try frame.stat())
        case .getChildren: return .children(try names(&frame))
        case .getChildren2: return .childrenWithStat(try names(&frame), try frame.stat())
        case .sync: return .synced(try frame.path())
        case .multi: return .multi(try multiResults(&frame))
        case .addWatch:
            _ = try frame.int32()
            return .watchAdded
        case .unsupported, .malformed:
            throw frame.error(.notAllowed, reading: "the reply to an operation without a name")
        }
    }

    private static func names(_ frame: inout JuteReader) throws(WireError) -> [[UInt8]] {
        let count = try frame.vectorCount()
        var names: [[UInt8]] = []
        names.reserveCapacity(count)
        for _ in 0..<count { names.append(try frame.path().bytes) }
        return names
    }

    private static func multiResults(_ frame: inout JuteReader) throws(WireError) -> [MultiResult] {
        var results: [MultiResult] = []
        while let header = try frame.multiHeader() {
            switch OperationCode(rawValue: header.code) {
            case .create: results.append(.success(.created(try frame.path())))
            case .create2:
                results.append(.success(.createdWithStat(try frame.path(), try frame.stat())))
            case .delete: results.append(.success(.empty))
            case .check: results.append(.success(.checked))
            case .setData: results.append(.success(.stat(try frame.stat())))
            case .error: results.append(.failure(ErrorCode(rawValue: try frame.int32())))
            default: throw frame.error(.unknownValue, reading: "the result of a multi")
            }
        }
        return results
    }
}
