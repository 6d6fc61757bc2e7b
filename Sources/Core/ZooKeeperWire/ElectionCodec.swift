package import ZooKeeperModel

/// The election channel: one greeting from the side that dials, then frames of notifications.
package enum ElectionCodec {
    package static let maxFrameBytes = 524_288
    /// Before 3.4 a notification ended before peerEpoch; 3.4 added it and a version, without text.
    private static let oldestBytes = 28
    private static let version34Bytes = 40

    /// A whole frame, in the form that 3.5 and later write; without configuration, in that of 3.4.
    package static func encode(
        _ notification: ElectionNotification,
        into writer: inout JuteWriter
    ) {
        let frame = writer.beginFrame()
        writer.int32(notification.state.rawValue)
        writer.int64(notification.leader.rawValue)
        writer.zxid(notification.zxid)
        writer.int64(notification.electionEpoch)
        writer.int64(notification.peerEpoch)
        writer.int32(notification.configuration == nil ? 1 : max(2, notification.version))
        if let configuration = notification.configuration { writer.buffer(configuration) }
        writer.endFrame(frame)
    }

    /// From a frame's content. A notification that throws is dropped; the connection goes on.
    package static func decode(
        _ frame: inout JuteReader
    ) throws(WireError) -> ElectionNotification {
        let size = frame.remaining
        guard let state = ElectionNotification.State(rawValue: try frame.int32()) else {
            throw WireError(.unknownValue, at: 0, reading: "a notification's state")
        }
        let leader = ServerID(rawValue: try frame.int64())
        let zxid = try frame.zxid()
        var notification = ElectionNotification(
            state: state,
            leader: leader,
            zxid: zxid,
            electionEpoch: try frame.int64(),
            peerEpoch: zxid.epoch,
            version: 0,
            configuration: nil
        )
        guard size > oldestBytes else { return notification }
        notification.peerEpoch = try frame.int64()
        let version = try frame.int32()
        // 3.4 does write a version, but is to be treated as not saying.
        guard size > version34Bytes else { return notification }
        notification.version = version
        guard version > 1 else { return notification }
        guard let configuration = try frame.buffer() else {
            throw frame.error(.negativeLength, reading: "a notification's configuration")
        }
        notification.configuration = configuration
        return notification
    }
}

/// Who dials on the election channel, sent before anything else and in one write: Apache reads the
/// address in one call.
package struct ElectionGreeting: Hashable, Sendable {
    package var server: ServerID
    /// Its election addresses, "host:port" each; none from servers before 3.5.
    package var addresses: [String]

    private static let singleAddressVersion: Int64 = -65_536
    private static let manyAddressesVersion: Int64 = -65_535
    private static let maxAddressBytes = 2048
    private static let separator: Character = "|"

    package init(server: ServerID, addresses: [String]) {
        self.server = server
        self.addresses = addresses
    }

    /// With one address, in the form that all servers since 3.5 read.
    package var bytes: [UInt8] {
        var writer = JuteWriter(capacityBytes: 64)
        writer.int64(addresses.count > 1 ? Self.manyAddressesVersion : Self.singleAddressVersion)
        writer.int64(server.rawValue)
        writer.string(addresses.joined(separator: String(Self.separator)))
        return writer.bytes
    }

    /// The greeting at the beginning of a connection's bytes and how many of them it took; nil until
    /// more have come.
    package static func decode(
        _ bytes: [UInt8]
    ) throws(WireError) -> (greeting: ElectionGreeting, consumedBytes: Int)? {
        var reader = JuteReader(bytes, maxLengthBytes: maxAddressBytes)
        do throws(WireError) {
            let greeting = try read(&reader)
            return (greeting, reader.offset)
        } catch {
            guard error.reason == .truncated else { throw error }
            return nil
        }
    }

    private static func read(_ reader: inout JuteReader) throws(WireError) -> ElectionGreeting {
        let first = try reader.int64()
        // Before 3.5 the connection begins with the id alone.
        guard first < 0 else {
            return ElectionGreeting(server: ServerID(rawValue: first), addresses: [])
        }
        guard first == singleAddressVersion || first == manyAddressesVersion else {
            throw WireError(.unknownValue, at: 0, reading: "an election greeting's version")
        }
        let server = ServerID(rawValue: try reader.int64())
        guard let text = try reader.string(), !text.isEmpty else {
            throw reader.error(.negativeLength, reading: "an election address")
        }
        return ElectionGreeting(
            server: server,
            addresses: text.split(separator: separator).map(String.init)
        )
    }
}
