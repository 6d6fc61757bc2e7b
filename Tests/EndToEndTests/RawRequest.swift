import Testing

/// A request's operation code and body, as bytes.
struct RawRequest: CustomTestStringConvertible {
    var code: Int32
    var body: JuteBytes
    /// Set where the protocol has a number of its own for the operation.
    var xid: Int32?

    init(_ code: Int32, _ body: JuteBytes = JuteBytes(), xid: Int32? = nil) {
        self.code = code
        self.body = body
        self.xid = xid
    }

    var testDescription: String { "operation \(code)" }

    func frame(xid: Int32) -> [UInt8] {
        JuteBytes().int(self.xid ?? xid).int(code).raw(body.bytes).frame
    }
}

struct RawACL {
    var permissions: Int32
    var scheme: String
    var id: String
    static let open = [RawACL(permissions: 31, scheme: "world", id: "anyone")]
}

extension RawRequest {
    static func create(
        _ path: String?,
        _ data: [UInt8]? = [],
        flags: Int32 = 0,
        acl: [RawACL]? = RawACL.open,
        code: Int32 = 1
    ) -> RawRequest {
        RawRequest(code, JuteBytes().string(path).buffer(data).acl(acl).int(flags))
    }
    static func createTTL(_ path: String, flags: Int32, ttl: Int64) -> RawRequest {
        RawRequest(
            21,
            JuteBytes().string(path).buffer([]).acl(RawACL.open).int(flags).long(ttl)
        )
    }
    static func delete(_ path: String?, version: Int32 = -1) -> RawRequest {
        RawRequest(2, JuteBytes().string(path).int(version))
    }
    static func exists(_ path: String?, watch: Bool = false) -> RawRequest {
        RawRequest(3, JuteBytes().string(path).bool(watch))
    }
    static func getData(_ path: String?, watch: Bool = false) -> RawRequest {
        RawRequest(4, JuteBytes().string(path).bool(watch))
    }
    static func setData(_ path: String?, _ data: [UInt8]?, version: Int32 = -1) -> RawRequest {
        RawRequest(5, JuteBytes().string(path).buffer(data).int(version))
    }
    static func getACL(_ path: String?) -> RawRequest { RawRequest(6, JuteBytes().string(path)) }
    static func setACL(_ path: String?, _ acl: [RawACL]?, version: Int32 = -1) -> RawRequest {
        RawRequest(7, JuteBytes().string(path).acl(acl).int(version))
    }
    static func getChildren(_ path: String?, watch: Bool = false, code: Int32 = 8) -> RawRequest {
        RawRequest(code, JuteBytes().string(path).bool(watch))
    }
    static func sync(_ path: String?) -> RawRequest { RawRequest(9, JuteBytes().string(path)) }
    static func check(_ path: String?, version: Int32) -> RawRequest {
        RawRequest(13, JuteBytes().string(path).int(version))
    }
    static func multi(_ parts: [RawRequest]) -> RawRequest {
        var body = JuteBytes()
        for part in parts {
            body = body.int(part.code).bool(false).int(-1).raw(part.body.bytes)
        }
        return RawRequest(14, body.int(-1).bool(true).int(-1))
    }
    /// `code` 17 asks, 18 removes.
    static func watcher(_ code: Int32, _ path: String, type: Int32) -> RawRequest {
        RawRequest(code, JuteBytes().string(path).int(type))
    }
    static func addWatch(_ path: String?, mode: Int32) -> RawRequest {
        RawRequest(106, JuteBytes().string(path).int(mode))
    }
    static func setWatches(
        _ zxid: Int64,
        data: [String] = [],
        exist: [String] = [],
        child: [String] = [],
        persistent: [String]? = nil,
        recursive: [String] = []
    ) -> RawRequest {
        let body = JuteBytes().long(zxid).strings(data).strings(exist).strings(child)
        guard let persistent else { return RawRequest(101, body, xid: -8) }
        return RawRequest(105, body.strings(persistent).strings(recursive), xid: -8)
    }
    static func auth(_ scheme: String, _ credential: String) -> RawRequest {
        RawRequest(
            100,
            JuteBytes().int(0).string(scheme).buffer(Array(credential.utf8)),
            xid: -4
        )
    }
    static let ping = RawRequest(11, xid: -2)
    static let closeSession = RawRequest(-11)
}

/// Builds bytes as jute lays them out: big-endian, length before content, −1 for null.
struct JuteBytes {
    private(set) var bytes: [UInt8] = []

    func raw(_ more: [UInt8]) -> JuteBytes {
        var copy = self
        copy.bytes += more
        return copy
    }
    func int(_ value: Int32) -> JuteBytes { number(UInt64(UInt32(bitPattern: value)), 4) }
    func long(_ value: Int64) -> JuteBytes { number(UInt64(bitPattern: value), 8) }
    func bool(_ value: Bool) -> JuteBytes { raw([value ? 1 : 0]) }
    func buffer(_ value: [UInt8]?) -> JuteBytes {
        guard let value else { return int(-1) }
        return int(Int32(value.count)).raw(value)
    }
    func string(_ value: String?) -> JuteBytes { buffer(value.map { Array($0.utf8) }) }
    func strings(_ values: [String]) -> JuteBytes {
        values.reduce(int(Int32(values.count))) { $0.string($1) }
    }
    func acl(_ entries: [RawACL]?) -> JuteBytes {
        guard let entries else { return int(-1) }
        return entries.reduce(int(Int32(entries.count))) {
            $0.int($1.permissions).string($1.scheme).string($1.id)
        }
    }
    private func number(_ value: UInt64, _ count: Int) -> JuteBytes {
        raw((0..<count).reversed().map { UInt8(truncatingIfNeeded: value >> (8 * UInt64($0))) })
    }

    /// With its length in front.
    var frame: [UInt8] { JuteBytes().buffer(bytes).bytes }

    static func int(_ bytes: [UInt8], at offset: Int) -> Int32 {
        Int32(bitPattern: UInt32(truncatingIfNeeded: number(bytes, offset, 4)))
    }
    static func long(_ bytes: [UInt8], at offset: Int) -> Int64 {
        Int64(bitPattern: number(bytes, offset, 8))
    }
    private static func number(_ bytes: [UInt8], _ offset: Int, _ count: Int) -> UInt64 {
        bytes[offset..<(offset + count)].reduce(0) { $0 << 8 | UInt64($1) }
    }
}
