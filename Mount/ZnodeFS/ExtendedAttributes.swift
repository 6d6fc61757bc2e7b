internal import ZooKeeperModel

/// The fields of a Stat by name: as text of `X@stat`, and as extended attributes `user.zk.*`.
enum StatText {
    /// In ZooKeeper's order and spelling; zxids and the session in hexadecimal, times in
    /// milliseconds since 1970.
    static func fields(_ stat: Stat) -> [(name: String, value: String)] {
        [
            ("czxid", "\(stat.czxid)"), ("mzxid", "\(stat.mzxid)"),
            ("ctime", "\(stat.ctime.rawValue)"), ("mtime", "\(stat.mtime.rawValue)"),
            ("version", "\(stat.version)"), ("cversion", "\(stat.cversion)"),
            ("aversion", "\(stat.aversion)"), ("ephemeralOwner", "\(stat.ephemeralOwner)"),
            ("dataLength", "\(stat.dataLength)"), ("numChildren", "\(stat.numChildren)"),
            ("pzxid", "\(stat.pzxid)"),
        ]
    }

    static func text(_ stat: Stat) -> [UInt8] {
        fields(stat).flatMap { Array("\($0.name)=\($0.value)\n".utf8) }
    }
}

extension MountedTree {
    private static let attributePrefix = "user.zk."

    mutating func getExtendedAttribute(
        _ job: inout Job,
        _ id: NodeID,
        _ name: [UInt8]
    ) throws(Stop) -> FileReply {
        // The kernel asks for security.capability before every write: answered without a question. Who is
        // told that ACLs and labels are not kept here, as `ls -l` is, does not ask again for each file.
        guard name.starts(with: "user.".utf8) else { throw .failed(.notSupported) }
        guard name.starts(with: Self.attributePrefix.utf8) else { throw .failed(.noData) }
        guard let znode = try inspectNode(&job, id) else { throw .failed(.noData) }
        let wanted = name.dropFirst(Self.attributePrefix.utf8.count)
        for field in StatText.fields(znode.stat) where wanted.elementsEqual(field.name.utf8) {
            return .extendedAttribute(Array(field.value.utf8))
        }
        throw .failed(.noData)
    }

    mutating func listExtendedAttributes(
        _ job: inout Job,
        _ id: NodeID
    ) throws(Stop) -> FileReply {
        guard let znode = try inspectNode(&job, id) else { return .extendedAttribute([]) }
        return .extendedAttribute(
            StatText.fields(znode.stat).flatMap {
                Array((Self.attributePrefix + $0.name).utf8) + [0]
            }
        )
    }

    private mutating func inspectNode(
        _ job: inout Job,
        _ id: NodeID
    ) throws(Stop) -> Znode? {
        guard let node = nodes[id] else { throw .failed(.stale) }
        guard node.deferred == nil, !node.isUnlinked else { return nil }
        switch node.key.facet {
        case .itself, .data, .stat, .directory, .here: break
        case .watch, .control, .status, .log: return nil
        }
        return try inspect(&job, node.key.path)
    }
}
