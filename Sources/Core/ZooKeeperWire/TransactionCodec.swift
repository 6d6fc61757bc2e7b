package import ZooKeeperModel

/// Transactions as the log, proposals and informs carry them, byte for byte the same in all three:
/// ```
/// session 8 | cxid 4 | zxid 8 | time 8 | type 4 | the type's record | digest: version 4, value 8
/// ```
/// The digest may be missing. Logs of old servers lack fields at the end of two records: a create's
/// parentCVersion (before 3.4) and all of closeSession's (before 3.6).
package enum TransactionCodec {
    private static let zxidOffset = 12
    private static let digestBytes = 12
    /// What a create without parentCVersion means: one more than it is.
    private static let unknownParentCVersion: Int32 = -1

    package static func encode(_ transaction: Transaction) -> [UInt8] {
        var writer = JuteWriter(capacityBytes: 128 + roughBytes(of: transaction.body))
        encode(transaction, into: &writer)
        return writer.bytes
    }

    /// What has no bound of its own in the common transactions: enough room at once spares a copy.
    private static func roughBytes(of body: TransactionBody) -> Int {
        switch body {
        case .create(let create): create.path.bytes.count + (create.data?.count ?? 0)
        case .setData(let path, let data, _): path.bytes.count + (data?.count ?? 0)
        case .delete(let path): path.bytes.count
        case .deleteContainer, .reconfigure, .setACL, .check, .createSession, .closeSession,
            .error, .multi:
            0
        }
    }

    package static func encode(_ transaction: Transaction, into writer: inout JuteWriter) {
        writer.header(
            transaction.session,
            transaction.cxid,
            transaction.zxid,
            transaction.time,
            type(of: transaction.body).rawValue
        )
        write(transaction.body, into: &writer)
        if let digest = transaction.digest {
            writer.int32(digest.version)
            writer.int64(digest.value)
        }
    }

    package static func decode(_ bytes: [UInt8]) throws(WireError) -> Transaction {
        var reader = JuteReader(bytes, maxLengthBytes: max(bytes.count, 4))
        return try decode(&reader)
    }

    /// The transaction takes all that is left in the reader.
    package static func decode(_ reader: inout JuteReader) throws(WireError) -> Transaction {
        var transaction = Transaction(
            session: try reader.sessionID(),
            cxid: try reader.int32(),
            zxid: try reader.zxid(),
            time: try reader.timestamp(),
            body: .error(.ok)
        )
        let type = try type(&reader)
        if type == .multi {
            transaction.body = try multi(&reader)
        } else {
            transaction.body = try body(type, &reader)
        }
        transaction.digest = try digest(&reader)
        return transaction
    }

    /// The zxid alone, without decoding.
    package static func peekZxid(_ bytes: [UInt8]) throws(WireError) -> Zxid {
        var reader = JuteReader(bytes)
        try reader.skip(zxidOffset)
        return try reader.zxid()
    }

    private static func type(of body: TransactionBody) -> OperationCode {
        switch body {
        case .create(let create):
            switch create.kind {
            case .create: .create
            case .create2: .create2
            case .container: .createContainer
            case .timeToLive: .createTimeToLive
            }
        case .delete: .delete
        case .deleteContainer: .deleteContainer
        case .setData: .setData
        case .reconfigure: .reconfig
        case .setACL: .setACL
        case .check: .check
        case .createSession: .createSession
        case .closeSession: .closeSession
        case .error: .error
        case .multi: .multi
        }
    }
}

// MARK: Encoding

extension TransactionCodec {
    private static func write(_ body: TransactionBody, into writer: inout JuteWriter) {
        switch body {
        case .create(let create): write(create, into: &writer)
        case .delete(let path), .deleteContainer(let path): writer.path(path)
        case .setData(let path, let data, let version),
            .reconfigure(let path, let data, let version):
            writer.path(path)
            writer.buffer(data)
            writer.int32(version)
        case .setACL(let path, let acl, let version):
            writer.path(path)
            writer.acl(acl)
            writer.int32(version)
        case .check(let path, let version):
            writer.path(path)
            writer.int32(version)
        case .createSession(let timeout): writer.int32(timeout)
        case .closeSession(let paths):
            if let paths { writer.paths(paths) }
        case .error(let code): writer.int32(code.rawValue)
        case .multi(let bodies):
            writer.vectorCount(bodies.count)
            for body in bodies {
                writer.int32(typeInMulti(of: body).rawValue)
                // The length of a record is written like that of a frame.
                let record = writer.beginFrame()
                write(body, into: &writer)
                writer.endFrame(record)
            }
        }
    }

    /// Servers before 3.8.2 do not apply a create2 inside a multi, nor what follows it.
    private static func typeInMulti(of body: TransactionBody) -> OperationCode {
        let type = type(of: body)
        return type == .create2 ? .create : type
    }

    private static func write(_ create: CreateTransaction, into writer: inout JuteWriter) {
        writer.path(create.path)
        writer.buffer(create.data)
        writer.acl(create.acl)
        switch create.kind {
        case .create, .create2:
            writer.bool(create.isEphemeral)
            writer.int32(create.parentCVersion)
        case .container:
            writer.int32(create.parentCVersion)
        case .timeToLive(let milliseconds):
            writer.int32(create.parentCVersion)
            writer.int64(milliseconds)
        }
    }
}

// MARK: Decoding

extension TransactionCodec {
    private static func type(_ reader: inout JuteReader) throws(WireError) -> OperationCode {
        let offset = reader.offset
        guard let type = OperationCode(rawValue: try reader.int32()) else {
            throw WireError(.unknownValue, at: offset, reading: "a transaction's type")
        }
        return type
    }

    /// Everything but a multi, which does not nest.
    private static func body(
        _ type: OperationCode,
        _ reader: inout JuteReader
    ) throws(WireError) -> TransactionBody {
        switch type {
        case .create, .create2, .createContainer, .createTimeToLive:
            return .create(try create(type, &reader))
        case .delete: return .delete(try reader.path())
        case .deleteContainer: return .deleteContainer(try reader.path())
        case .setData:
            return .setData(
                try reader.path(),
                data: try reader.buffer(),
                version: try reader.int32()
            )
        case .reconfig:
            return .reconfigure(
                try reader.path(),
                data: try reader.buffer(),
                version: try reader.int32()
            )
        case .setACL:
            return .setACL(try reader.path(), acl: try reader.acl(), version: try reader.int32())
        case .check: return .check(try reader.path(), version: try reader.int32())
        case .createSession: return .createSession(timeout: try reader.int32())
        case .closeSession: return .closeSession(try closedPaths(&reader))
        case .error: return .error(ErrorCode(rawValue: try reader.int32()))
        case .exists, .getData, .getACL, .getChildren, .sync, .ping, .getChildren2, .multi,
            .checkWatches, .removeWatches, .multiRead, .auth, .setWatches, .sasl, .getEphemerals,
            .getAllChildrenNumber, .setWatches2, .addWatch, .whoAmI:
            throw reader.error(.notAllowed, reading: "a transaction's type")
        }
    }

    private static func create(
        _ type: OperationCode,
        _ reader: inout JuteReader
    ) throws(WireError) -> CreateTransaction {
        var create = CreateTransaction(
            path: try reader.path(),
            data: try reader.buffer(),
            acl: try reader.acl(),
            isEphemeral: false,
            parentCVersion: unknownParentCVersion
        )
        switch type {
        case .createContainer:
            create.kind = .container
            create.parentCVersion = try reader.int32()
        case .createTimeToLive:
            create.parentCVersion = try reader.int32()
            create.kind = .timeToLive(try reader.int64())
        default:
            create.kind = type == .create2 ? .create2 : .create
            create.isEphemeral = try reader.bool()
            if !reader.isAtEnd { create.parentCVersion = try reader.int32() }
        }
        return create
    }

    /// A list may be missing with a digest behind it. Where what follows reads as a list, it is
    /// one: a digest read so would have to end exactly where the bytes do.
    private static func closedPaths(
        _ reader: inout JuteReader
    ) throws(WireError) -> [ZnodePath]? {
        guard !reader.isAtEnd else { return nil }
        var attempt = reader
        do throws(WireError) {
            let paths = try attempt.paths()
            if attempt.isAtEnd || attempt.remaining >= digestBytes {
                reader = attempt
                return paths
            }
            throw attempt.error(.trailingBytes, reading: "a closeSession")
        } catch {
            guard reader.remaining == digestBytes else { throw error }
            return nil
        }
    }

    private static func multi(_ reader: inout JuteReader) throws(WireError) -> TransactionBody {
        let count = try reader.vectorCount(minimumElementBytes: 8)
        var bodies: [TransactionBody] = []
        bodies.reserveCapacity(count)
        for _ in 0..<count {
            let type = try type(&reader)
            guard let range = try reader.lengthPrefixedRange() else {
                throw reader.error(.negativeLength, reading: "a part of a multi")
            }
            var part = JuteReader(reader.bytes, in: range, maxLengthBytes: reader.maxLengthBytes)
            bodies.append(try body(type, &part))
            guard part.isAtEnd else {
                throw reader.error(.trailingBytes, reading: "a part of a multi")
            }
        }
        return .multi(bodies)
    }

    private static func digest(
        _ reader: inout JuteReader
    ) throws(WireError) -> TreeDigestValue? {
        guard !reader.isAtEnd else { return nil }
        let digest = TreeDigestValue(version: try reader.int32(), value: try reader.int64())
        guard reader.isAtEnd else {
            throw reader.error(.trailingBytes, reading: "a transaction")
        }
        return digest
    }
}

extension JuteWriter {
    /// Numbers, not the transaction: what a closure captures is copied.
    fileprivate mutating func header(
        _ session: SessionID,
        _ cxid: Int32,
        _ zxid: Zxid,
        _ time: Timestamp,
        _ type: Int32
    ) {
        bytes.append(addingCapacity: 32) {
            $0.appendBigEndian(session.rawValue)
            $0.appendBigEndian(cxid)
            $0.appendBigEndian(zxid.rawValue)
            $0.appendBigEndian(time.rawValue)
            $0.appendBigEndian(type)
        }
    }
}
