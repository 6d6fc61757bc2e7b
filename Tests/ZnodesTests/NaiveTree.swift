import ZooKeeperModel

/// What a tree must do, written without regard to speed: a dictionary of paths.
struct NaiveTree {
    struct Znode {
        var stat: PersistedStat
        var data: [UInt8]?
        var acl: [ACL]
    }
    var znodes: [ZnodePath: Znode] = [:]

    init() {
        for path: ZnodePath in ["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"] {
            let time = Timestamp(rawValue: 0)
            znodes[path] = Znode(
                stat: PersistedStat(
                    czxid: .zero,
                    mzxid: .zero,
                    ctime: time,
                    mtime: time,
                    version: 0,
                    cversion: 0,
                    aversion: path == "/zookeeper/config" ? -1 : 0,
                    ephemeralOwner: 0,
                    pzxid: .zero
                ),
                data: [],
                acl: path == "/zookeeper/config"
                    ? [ACL(permissions: .read, identity: .anyone)] : .open
            )
        }
    }

    func children(of parent: ZnodePath) -> [ZnodePath] {
        znodes.keys.filter { $0.parent == parent }.sorted()
    }

    mutating func create(
        _ path: ZnodePath,
        data: [UInt8]?,
        acl: [ACL],
        owner: Int64,
        cversion: Int32,
        zxid: Zxid,
        time: Timestamp
    ) -> Bool {
        guard let parent = path.parent, var above = znodes[parent] else { return false }
        if cversion > above.stat.cversion {
            above.stat.cversion = cversion
            above.stat.pzxid = max(above.stat.pzxid, zxid)
        }
        znodes[parent] = above
        if znodes[path] != nil {
            znodes[path]?.acl = acl
            return false
        }
        znodes[path] = Znode(
            stat: PersistedStat(
                czxid: zxid,
                mzxid: zxid,
                ctime: time,
                mtime: time,
                version: 0,
                cversion: 0,
                aversion: 0,
                ephemeralOwner: owner,
                pzxid: zxid
            ),
            data: data,
            acl: acl
        )
        return true
    }

    mutating func delete(_ path: ZnodePath, zxid: Zxid) -> Bool {
        if let parent = path.parent, let pzxid = znodes[parent]?.stat.pzxid {
            znodes[parent]?.stat.pzxid = max(pzxid, zxid)
        }
        guard znodes[path] != nil else { return false }
        znodes = znodes.filter { !$0.key.isEqualOrBelow(path) }
        return true
    }

    mutating func set(
        _ path: ZnodePath,
        _ data: [UInt8]?,
        version: Int32,
        zxid: Zxid,
        time: Timestamp
    ) -> Bool {
        guard var znode = znodes[path] else { return false }
        znode.data = data
        znode.stat.version = version
        znode.stat.mzxid = zxid
        znode.stat.mtime = time
        znodes[path] = znode
        return true
    }

    func stat(of path: ZnodePath) -> Stat? {
        guard let znode = znodes[path] else { return nil }
        let children = Int32(children(of: path).count)
        let owner = znode.stat.ephemeralOwner
        return Stat(
            czxid: znode.stat.czxid,
            mzxid: znode.stat.mzxid,
            ctime: znode.stat.ctime,
            mtime: znode.stat.mtime,
            version: znode.stat.version,
            cversion: znode.stat.cversion * 2 - children,
            aversion: znode.stat.aversion,
            ephemeralOwner: SessionID(rawValue: owner == .min ? 0 : owner),
            dataLength: Int32(znode.data?.count ?? 0),
            numChildren: children,
            pzxid: znode.stat.pzxid
        )
    }

    /// Bit by bit.
    var digest: Int64 {
        var sum: Int64 = 0
        for (path, znode) in znodes where !path.bytes.starts(with: Array("/zookeeper/".utf8)) {
            var bytes = path.isRoot ? [] : path.bytes
            bytes += znode.data ?? []
            func append(_ number: some FixedWidthInteger) {
                for shift in stride(from: number.bitWidth - 8, through: 0, by: -8) {
                    bytes.append(UInt8(truncatingIfNeeded: number >> shift))
                }
            }
            append(znode.stat.czxid.rawValue)
            append(znode.stat.mzxid.rawValue)
            append(znode.stat.pzxid.rawValue)
            append(znode.stat.ctime.rawValue)
            append(znode.stat.mtime.rawValue)
            append(znode.stat.version)
            append(znode.stat.cversion)
            append(znode.stat.aversion)
            append(znode.stat.ephemeralOwner)
            var register = UInt32.max
            for byte in bytes {
                register ^= UInt32(byte)
                for _ in 0..<8 {
                    register = register & 1 == 1 ? register >> 1 ^ 0xEDB8_8320 : register >> 1
                }
            }
            sum &+= Int64(~register)
        }
        return sum
    }
}
