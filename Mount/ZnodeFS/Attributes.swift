internal import OrderedCollections
internal import ZooKeeperModel

/// What stat shows, made from a znode's Stat and ACL and from what this mount remembers.
extension MountedTree {
    /// Inode numbers are equal on every host: a hash of czxid, absolute path and facet. A file whose
    /// creation still waits has czxid 0 and gets its lasting number with its first write.
    static func inode(_ key: NodeKey) -> UInt64 {
        var hash = StableHash()
        hash.combine(UInt64(bitPattern: key.czxid.rawValue))
        hash.combine(key.path.bytes)
        hash.combine(UInt64(key.facet.rawValue))
        // 0 means "none" to many programs, 1 is the kernel's own for the mount's root.
        return hash.value < 2 ? hash.value + 2 : hash.value
    }

    func kind(_ znode: Znode) -> FileKind {
        znode.kind(root: settings.root, emptyIsDirectory: settings.emptyIsDirectory)
    }

    func key(_ znode: Znode, _ facet: Facet, _ kind: FileKind) -> NodeKey {
        let czxid = znode.path == settings.root && facet == .itself ? Zxid.zero : znode.stat.czxid
        return NodeKey(czxid: czxid, path: znode.path, facet: facet, kind: kind)
    }

    /// The attributes of a node that shows this znode.
    func attributes(_ key: NodeKey, of znode: Znode, size: Int64? = nil) -> FileAttributes {
        let memory = remembered.find(key.path, znode.stat)
        var permissions: UInt32 = 0
        var shownSize = Int64(znode.stat.dataLength)
        switch (key.facet, key.kind) {
        case (.stat, _):
            permissions = 0o444
            shownSize = Int64(StatText.text(znode.stat).count)
        case (_, .symbolicLink):
            permissions = 0o777
            if case .directive(.symbolicLink(let target)) = znode.content {
                shownSize = Int64(target.count)
            }
        case (_, .directory):
            permissions = znode.makesEphemerals ? 0o1777 : directoryMode(znode.permissions)
        case (_, .regular):
            permissions = fileMode(znode.permissions)
            if let mode = memory?.mode {
                permissions |= mode & 0o111
                // Remembered only once the ACL says so.
                if mode & 0o077 == 0 { permissions &= 0o700 }
            }
        }
        let changed = Self.time(znode.stat.mtime)
        return FileAttributes(
            inode: Self.inode(key),
            kind: key.kind,
            permissions: permissions,
            links: key.kind == .directory ? 2 : 1,
            user: memory?.user ?? settings.user,
            group: memory?.group ?? settings.group,
            size: size ?? shownSize,
            accessTime: memory?.accessTime ?? changed,
            modificationTime: memory?.modificationTime ?? changed,
            changeTime: changed
        )
    }

    /// The attributes of what no Stat describes: deferred files, watch streams, `/@zkfs`.
    func attributes(
        _ key: NodeKey,
        permissions: UInt32,
        size: Int64,
        time: Timestamp,
        user: UInt32? = nil,
        group: UInt32? = nil
    ) -> FileAttributes {
        let time = Self.time(time)
        return FileAttributes(
            inode: Self.inode(key),
            kind: key.kind,
            permissions: permissions,
            links: key.kind == .directory ? 2 : 1,
            user: user ?? settings.user,
            group: group ?? settings.group,
            size: size,
            accessTime: time,
            modificationTime: time,
            changeTime: time
        )
    }

    func fileMode(_ permissions: Permissions) -> UInt32 {
        var mode: UInt32 = 0
        if permissions.contains(.read) { mode |= 0o444 }
        if permissions.contains(.write) { mode |= 0o222 }
        return settings.readOnly ? mode & ~0o222 & ~settings.umask : mode & ~settings.umask
    }

    private func directoryMode(_ permissions: Permissions) -> UInt32 {
        // Passing through a directory needs no right in ZooKeeper.
        var mode: UInt32 = 0o111
        if permissions.contains(.read) { mode |= 0o444 }
        if !permissions.isDisjoint(with: [.create, .delete]) { mode |= 0o222 }
        return settings.readOnly ? mode & ~0o222 & ~settings.umask : mode & ~settings.umask
    }

    static func time(_ timestamp: Timestamp) -> FileTime {
        var (seconds, rest) = timestamp.rawValue.quotientAndRemainder(dividingBy: 1_000)
        // Rounded towards the past, also before 1970.
        if rest < 0 {
            seconds -= 1
            rest += 1_000
        }
        return FileTime(seconds: seconds, nanoseconds: UInt32(clamping: rest * 1_000_000))
    }
}

/// What `chown`, `chmod` and `utimens` set and ZooKeeper has no place for. Kept by this mount alone,
/// at most so many, the oldest given up first.
struct RememberedAttributes: Sendable {
    struct Entry: Sendable {
        var czxid: Zxid
        /// Times hold until the data changes; owner and mode as long as the znode lives.
        var mzxid: Zxid
        var user: UInt32?
        var group: UInt32?
        var mode: UInt32?
        var accessTime: FileTime?
        var modificationTime: FileTime?
    }

    static let limit = 8_192
    private var entries: OrderedDictionary<ZnodePath, Entry> = [:]

    func find(_ path: ZnodePath, _ stat: Stat) -> Entry? {
        guard var entry = entries[path], entry.czxid == stat.czxid else { return nil }
        if entry.mzxid != stat.mzxid {
            entry.accessTime = nil
            entry.modificationTime = nil
        }
        return entry
    }

    mutating func change(_ path: ZnodePath, _ stat: Stat, _ change: (inout Entry) -> Void) {
        var entry =
            find(path, stat) ?? Entry(czxid: stat.czxid, mzxid: stat.mzxid)
        entry.mzxid = stat.mzxid
        change(&entry)
        if entries.updateValue(entry, forKey: path) == nil, entries.count > Self.limit {
            // An eighth at once, since removing the first costs the length of the table.
            entries.removeFirst(Self.limit / 8)
        }
    }

    mutating func move(_ path: ZnodePath, to target: ZnodePath, _ stat: Stat) {
        guard var entry = entries.removeValue(forKey: path) else { return }
        entry.czxid = stat.czxid
        entry.mzxid = stat.mzxid
        entries[target] = entry
    }
}

/// What is known of a znode beyond its Stat. Each fact is bound to the version it was read from, so
/// it is never old: the data to (czxid, mzxid, version), the ACL to (czxid, aversion).
struct KnownFacts: Sendable {
    private struct Fact: Sendable {
        var czxid: Zxid
        var content: (mzxid: Zxid, version: Int32, kind: ContentKind)?
        var acl: (version: Int32, permissions: Permissions)?
    }

    static let limit = 65_536
    private var facts: [ZnodePath: Fact] = [:]

    func content(_ path: ZnodePath, _ stat: Stat) -> ContentKind? {
        // Too long for a directive, and neither null nor empty.
        if stat.dataLength > Directive.longest { return .other }
        guard let fact = facts[path], fact.czxid == stat.czxid, let content = fact.content,
            content.mzxid == stat.mzxid, content.version == stat.version
        else { return nil }
        return content.kind
    }

    func permissions(_ path: ZnodePath, _ stat: Stat) -> Permissions? {
        guard let fact = facts[path], fact.czxid == stat.czxid, let acl = fact.acl,
            acl.version == stat.aversion
        else { return nil }
        return acl.permissions
    }

    mutating func learn(_ path: ZnodePath, _ stat: Stat, _ kind: ContentKind) {
        change(path, stat) { $0.content = (stat.mzxid, stat.version, kind) }
    }

    mutating func learn(_ path: ZnodePath, _ stat: Stat, _ permissions: Permissions) {
        change(path, stat) { $0.acl = (stat.aversion, permissions) }
    }

    private mutating func change(
        _ path: ZnodePath,
        _ stat: Stat,
        _ change: (inout Fact) -> Void
    ) {
        if facts.count >= Self.limit, facts[path] == nil { facts.removeAll() }
        var fact = facts[path] ?? Fact(czxid: stat.czxid)
        if fact.czxid != stat.czxid { fact = Fact(czxid: stat.czxid) }
        change(&fact)
        facts[path] = fact
    }
}
