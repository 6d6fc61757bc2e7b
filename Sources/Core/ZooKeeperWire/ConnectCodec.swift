package import ZooKeeperModel

/// The first frame each way on a client connection. They have no request or reply header.
///
/// Clients before 3.4 leave out the read-only flag and expect an answer without one.
package enum ConnectCodec {
    private static let protocolVersion: Int32 = 0

    /// A whole frame.
    package static func encode(_ request: ConnectRequest, into writer: inout JuteWriter) {
        let frame = writer.beginFrame()
        writer.int32(protocolVersion)
        writer.zxid(request.lastZxidSeen)
        writer.int32(request.timeout)
        writer.int64(request.session.rawValue)
        writer.buffer(request.password)
        if request.hasReadOnlyFlag { writer.bool(request.readOnly) }
        writer.endFrame(frame)
    }

    /// A whole frame.
    package static func encode(_ response: ConnectResponse, into writer: inout JuteWriter) {
        let frame = writer.beginFrame()
        writer.int32(protocolVersion)
        writer.int32(response.timeout)
        writer.int64(response.session.rawValue)
        writer.buffer(response.password)
        if response.hasReadOnlyFlag { writer.bool(response.readOnly) }
        writer.endFrame(frame)
    }

    /// From a frame's content.
    package static func decodeRequest(
        _ reader: inout JuteReader
    ) throws(WireError) -> ConnectRequest {
        _ = try reader.int32()
        var request = ConnectRequest(
            lastZxidSeen: try reader.zxid(),
            timeout: try reader.int32(),
            session: try reader.sessionID(),
            password: try reader.buffer()
        )
        request.hasReadOnlyFlag = !reader.isAtEnd
        if request.hasReadOnlyFlag { request.readOnly = try reader.bool() }
        return request
    }

    /// From a frame's content.
    package static func decodeResponse(
        _ reader: inout JuteReader
    ) throws(WireError) -> ConnectResponse {
        _ = try reader.int32()
        var response = ConnectResponse(
            timeout: try reader.int32(),
            session: try reader.sessionID(),
            password: try reader.buffer() ?? []
        )
        response.hasReadOnlyFlag = !reader.isAtEnd
        if response.hasReadOnlyFlag { response.readOnly = try reader.bool() }
        return response
    }
}
