package import ZooKeeperModel

/// Requests as clients send them: a frame of xid, operation code and the operation's record.
///
/// Every frame with a header decodes: an operation this build does not know is `.unsupported`, one
/// it knows with a body it cannot read is `.malformed`, because the protocol answers both. Bytes
/// behind a record are ignored, as Apache ignores them.
package enum RequestCodec {
    /// A whole frame.
    package static func encode(_ request: Request, into writer: inout JuteWriter) {
        let frame = writer.beginFrame()
        writer.int32(request.xid)
        writer.int32(code(of: request.operation))
        write(body: request.operation, into: &writer)
        writer.endFrame(frame)
    }

    /// From a frame's content; throws only where it is too short for the header.
    package static func decode(_ frame: inout JuteReader) throws(WireError) -> Request {
        let xid = try frame.int32()
        let code = try frame.int32()
        return Request(xid: xid, operation: operation(code: code, body: &frame))
    }

    /// As learners forward it.
    package static func encodeBody(_ operation: Operation) -> (code: Int32, body: [UInt8]) {
        var writer = JuteWriter()
        write(body: operation, into: &writer)
        return (code(of: operation), writer.bytes)
    }

    /// From a learner, which has let in what its own configuration allows: the body is the bound.
    package static func decodeBody(code: Int32, _ body: [UInt8]) -> Operation {
        var reader = JuteReader(body, maxLengthBytes: max(body.count, 4))
        return operation(code: code, body: &reader)
    }

    package static func code(of operation: Operation) -> Int32 {
        switch operation {
        case .create(let request): code(of: request.kind).rawValue
        case .delete: OperationCode.delete.rawValue
        case .exists: OperationCode.exists.rawValue
        case .getData: OperationCode.getData.rawValue
        case .setData: OperationCode.setData.rawValue
        case .getACL: OperationCode.getACL.rawValue
        case .setACL: OperationCode.setACL.rawValue
        case .getChildren: OperationCode.getChildren.rawValue
        case .getChildren2: OperationCode.getChildren2.rawValue
        case .sync: OperationCode.sync.rawValue
        case .check: OperationCode.check.rawValue
        case .multi: OperationCode.multi.rawValue
        case .setWatches(let watches):
            watches.isSecondVersion
                ? OperationCode.setWatches2.rawValue : OperationCode.setWatches.rawValue
        case .addWatch: OperationCode.addWatch.rawValue
        case .checkWatches: OperationCode.checkWatches.rawValue
        case .removeWatches: OperationCode.removeWatches.rawValue
        case .auth: OperationCode.auth.rawValue
        case .ping: OperationCode.ping.rawValue
        case .closeSession: OperationCode.closeSession.rawValue
        case .unsupported(let code), .malformed(let code): code
        }
    }

    static func code(of kind: CreateKind) -> OperationCode {
        switch kind {
        case .create: .create
        case .create2: .create2
        case .container: .createContainer
        case .timeToLive: .createTimeToLive
        }
    }
}

// MARK: Encoding

extension RequestCodec {
    private static func write(body operation: Operation, into writer: inout JuteWriter) {
        switch operation {
        case .create(let request): write(request, into: &writer)
        case .delete(let path, let version), .check(let path, let version):
            writer.path(path)
            writer.int32(version)
        case .exists(let path, let watch), .getData(let path, let watch),
            .getChildren(let path, let watch), .getChildren2(let path, let watch):
            writer.path(path)
            writer.bool(watch)
        case .setData(let path, let data, let version):
            writer.path(path)
            writer.buffer(data)
            writer.int32(version)
        case .getACL(let path), .sync(let path):
            writer.path(path)
        case .setACL(let path, let acl, let version):
            writer.path(path)
            writer.acl(acl)
            writer.int32(version)
        case .multi(let operations):
            for operation in operations {
                writer.multiHeader(code: code(of: operation), error: -1)
                write(body: operation, into: &writer)
            }
            writer.multiEnd()
        case .setWatches(let watches): write(watches, into: &writer)
        case .addWatch(let path, let number), .checkWatches(let path, let number),
            .removeWatches(let path, let number):
            writer.path(path)
            writer.int32(number)
        case .auth(let scheme, let credential):
            writer.int32(0)
            writer.string(scheme)
            writer.buffer(credential)
        case .ping, .closeSession, .unsupported, .malformed:
            break
        }
    }

    private static func write(_ request: CreateRequest, into writer: inout JuteWriter) {
        writer.path(request.path)
        writer.buffer(request.data)
        writer.acl(request.acl)
        writer.int32(request.flags)
        if case .timeToLive(let milliseconds) = request.kind { writer.int64(milliseconds) }
    }

    private static func write(_ watches: WatchRegistrations, into writer: inout JuteWriter) {
        writer.zxid(watches.relativeZxid)
        writer.paths(watches.data)
        writer.paths(watches.exist)
        writer.paths(watches.child)
        if watches.isSecondVersion {
            writer.paths(watches.persistent)
            writer.paths(watches.persistentRecursive)
        }
    }
}

// MARK: Decoding

extension RequestCodec {
    private static func operation(code: Int32, body: inout JuteReader) -> Operation {
        guard let known = OperationCode(rawValue: code) else { return .unsupported(code: code) }
        do throws(WireError) {
            return try operation(known, body: &body)
        } catch {
            return .malformed(code: code)
        }
    }

    private static func operation(
        _ code: OperationCode,
        body: inout JuteReader
    ) throws(WireError) -> Operation {
        switch code {
        case .create, .delete, .setData, .check, .create2, .createContainer, .createTimeToLive:
            return try operationOfMulti(code, body: &body)
        case .exists: return .exists(try body.path(), watch: try body.bool())
        case .getData: return .getData(try body.path(), watch: try body.bool())
        case .getACL: return .getACL(try body.path())
        case .setACL:
            return .setACL(
                try body.pathOfWrite(),
                acl: try body.acl(),
                version: try body.int32()
            )
        case .getChildren: return .getChildren(try body.path(), watch: try body.bool())
        case .getChildren2: return .getChildren2(try body.path(), watch: try body.bool())
        case .sync: return .sync(try body.path())
        case .multi: return try multi(&body)
        case .setWatches, .setWatches2:
            return .setWatches(try watches(&body, isSecondVersion: code == .setWatches2))
        case .addWatch: return .addWatch(try body.path(), mode: try body.int32())
        case .checkWatches: return .checkWatches(try body.path(), type: try body.int32())
        case .removeWatches: return .removeWatches(try body.path(), type: try body.int32())
        case .auth:
            _ = try body.int32()
            return .auth(scheme: try body.string() ?? "", credential: try body.buffer() ?? [])
        case .ping: return .ping
        case .closeSession: return .closeSession
        case .reconfig, .deleteContainer, .multiRead, .sasl, .getEphemerals,
            .getAllChildrenNumber, .whoAmI, .createSession, .error:
            return .unsupported(code: code.rawValue)
        }
    }

    /// The operations that a multi may hold: none of them nests.
    private static func operationOfMulti(
        _ code: OperationCode,
        body: inout JuteReader
    ) throws(WireError) -> Operation {
        switch code {
        case .create: return .create(try create(&body, kind: .create))
        case .create2: return .create(try create(&body, kind: .create2))
        case .createContainer: return .create(try create(&body, kind: .container))
        case .createTimeToLive:
            var request = try create(&body, kind: .create2)
            request.kind = .timeToLive(try body.int64())
            return .create(request)
        case .delete: return .delete(try body.path(), version: try body.int32())
        case .setData:
            return .setData(
                try body.pathOfWrite(),
                data: try body.buffer(),
                version: try body.int32()
            )
        case .check: return .check(try body.pathOfWrite(), version: try body.int32())
        case .exists, .getData, .getACL, .setACL, .getChildren, .sync, .ping, .getChildren2,
            .multi, .reconfig, .checkWatches, .removeWatches, .deleteContainer, .multiRead, .auth,
            .setWatches, .sasl, .getEphemerals, .getAllChildrenNumber, .setWatches2, .addWatch,
            .whoAmI, .createSession, .closeSession, .error:
            throw body.error(.notAllowed, reading: "a multi")
        }
    }

    private static func create(
        _ body: inout JuteReader,
        kind: CreateKind
    ) throws(WireError) -> CreateRequest {
        CreateRequest(
            kind: kind,
            path: try body.path(),
            data: try body.buffer(),
            acl: try body.acl(),
            flags: try body.int32()
        )
    }

    private static func multi(_ body: inout JuteReader) throws(WireError) -> Operation {
        var operations: [Operation] = []
        while let header = try body.multiHeader() {
            guard let code = OperationCode(rawValue: header.code) else {
                throw body.error(.unknownValue, reading: "a multi")
            }
            operations.append(try operationOfMulti(code, body: &body))
        }
        return .multi(operations)
    }

    private static func watches(
        _ body: inout JuteReader,
        isSecondVersion: Bool
    ) throws(WireError) -> WatchRegistrations {
        var watches = WatchRegistrations(
            relativeZxid: try body.zxid(),
            data: try body.paths(),
            exist: try body.paths(),
            child: try body.paths(),
            isSecondVersion: isSecondVersion
        )
        if isSecondVersion {
            watches.persistent = try body.paths()
            watches.persistentRecursive = try body.paths()
        }
        return watches
    }
}

// MARK: The headers between a multi's parts

extension JuteWriter {
    mutating func multiHeader(code: Int32, error: Int32) {
        int32(code)
        bool(false)
        int32(error)
    }

    mutating func multiEnd() {
        int32(-1)
        bool(true)
        int32(-1)
    }
}

extension JuteReader {
    /// Nil at the end of the multi.
    mutating func multiHeader() throws(WireError) -> (code: Int32, error: Int32)? {
        let code = try int32()
        let isEnd = try bool()
        let error = try int32()
        return isEnd ? nil : (code, error)
    }
}
