package import ZooKeeperModel

// The records that several protocols and formats share.

extension JuteReader {
    /// 68 bytes.
    package mutating func stat() throws(WireError) -> Stat {
        guard remaining >= 68 else { throw error(.truncated, reading: "a Stat") }
        return Stat(
            czxid: try zxid(),
            mzxid: try zxid(),
            ctime: try timestamp(),
            mtime: try timestamp(),
            version: try int32(),
            cversion: try int32(),
            aversion: try int32(),
            ephemeralOwner: try sessionID(),
            dataLength: try int32(),
            numChildren: try int32(),
            pzxid: try zxid()
        )
    }

    /// 60 bytes.
    package mutating func persistedStat() throws(WireError) -> PersistedStat {
        guard remaining >= 60 else { throw error(.truncated, reading: "a persisted Stat") }
        return PersistedStat(
            czxid: try zxid(),
            mzxid: try zxid(),
            ctime: try timestamp(),
            mtime: try timestamp(),
            version: try int32(),
            cversion: try int32(),
            aversion: try int32(),
            ephemeralOwner: try int64(),
            pzxid: try zxid()
        )
    }

    /// A null vector reads as an empty one.
    package mutating func acl() throws(WireError) -> [ACL] {
        let count = try vectorCount(minimumElementBytes: 12)
        var result: [ACL] = []
        result.reserveCapacity(count)
        for _ in 0..<count {
            result.append(
                ACL(permissions: Permissions(rawValue: try int32()), identity: try identity())
            )
        }
        return result
    }

    /// Null scheme and id read as empty ones, which match nobody.
    package mutating func identity() throws(WireError) -> Identity {
        Identity(scheme: try string() ?? "", id: try string() ?? "")
    }

    package mutating func identities() throws(WireError) -> [Identity] {
        let count = try vectorCount(minimumElementBytes: 8)
        var result: [Identity] = []
        result.reserveCapacity(count)
        for _ in 0..<count { result.append(try identity()) }
        return result
    }
}

extension JuteWriter {
    package mutating func stat(_ stat: Stat) {
        bytes.append(addingCapacity: 68) {
            $0.appendBigEndian(stat.czxid.rawValue)
            $0.appendBigEndian(stat.mzxid.rawValue)
            $0.appendBigEndian(stat.ctime.rawValue)
            $0.appendBigEndian(stat.mtime.rawValue)
            $0.appendBigEndian(stat.version)
            $0.appendBigEndian(stat.cversion)
            $0.appendBigEndian(stat.aversion)
            $0.appendBigEndian(stat.ephemeralOwner.rawValue)
            $0.appendBigEndian(stat.dataLength)
            $0.appendBigEndian(stat.numChildren)
            $0.appendBigEndian(stat.pzxid.rawValue)
        }
    }

    package mutating func persistedStat(_ stat: PersistedStat) {
        bytes.append(addingCapacity: 60) {
            $0.appendBigEndian(stat.czxid.rawValue)
            $0.appendBigEndian(stat.mzxid.rawValue)
            $0.appendBigEndian(stat.ctime.rawValue)
            $0.appendBigEndian(stat.mtime.rawValue)
            $0.appendBigEndian(stat.version)
            $0.appendBigEndian(stat.cversion)
            $0.appendBigEndian(stat.aversion)
            $0.appendBigEndian(stat.ephemeralOwner)
            $0.appendBigEndian(stat.pzxid.rawValue)
        }
    }

    package mutating func acl(_ acl: [ACL]) {
        vectorCount(acl.count)
        for entry in acl {
            int32(entry.permissions.rawValue)
            identity(entry.identity)
        }
    }

    package mutating func identity(_ identity: Identity) {
        string(identity.scheme)
        string(identity.id)
    }

    package mutating func identities(_ identities: [Identity]) {
        vectorCount(identities.count)
        for identity in identities { self.identity(identity) }
    }
}
