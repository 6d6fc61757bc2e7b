internal import ZooKeeperModel

/// Access control lists, each stored once, with the number of znodes that use it.
///
/// Nearly all znodes of a tree share a handful of lists. Lists are told apart by their bytes: two
/// spellings of one accented name are equal as strings, and different here.
struct ACLTable: Sendable {
    /// `world:anyone:cdrwa`. It is not counted, and snapshots do not list it.
    static let open: UInt32 = 0
    /// What a snapshot calls the open list.
    static let openID: Int64 = -1

    private struct Entry {
        var acl: [ACL]
        var useCount: Int
    }
    private var entries = [Entry(acl: .open, useCount: 0)]
    private var free: [UInt32] = []
    private var indexes: [[UInt8]: UInt32] = [:]

    func acl(at index: UInt32) -> [ACL] { entries[Int(index)].acl }
    /// Znodes that use the list; 0 for ``open``.
    func useCount(at index: UInt32) -> Int { entries[Int(index)].useCount }
    var endIndex: UInt32 { UInt32(entries.count) }

    /// What snapshots call the list.
    static func id(of index: UInt32) -> Int64 { index == open ? openID : Int64(index) }

    /// The index of a list, with one more use of it.
    mutating func use(_ acl: [ACL]) -> UInt32 {
        if Self.isOpen(acl) { return Self.open }
        let key = Self.key(of: acl)
        if let index = indexes[key] {
            entries[Int(index)].useCount += 1
            return index
        }
        let entry = Entry(acl: acl, useCount: 1)
        let index: UInt32
        if let reused = free.popLast() {
            index = reused
            entries[Int(index)] = entry
        } else {
            index = UInt32(entries.count)
            entries.append(entry)
        }
        indexes[key] = index
        return index
    }

    mutating func use(at index: UInt32) {
        if index != Self.open { entries[Int(index)].useCount += 1 }
    }

    mutating func drop(_ index: UInt32) {
        guard index != Self.open else { return }
        entries[Int(index)].useCount -= 1
        guard entries[Int(index)].useCount == 0 else { return }
        indexes[Self.key(of: entries[Int(index)].acl)] = nil
        entries[Int(index)].acl = []
        free.append(index)
    }

    private static func isOpen(_ acl: [ACL]) -> Bool {
        acl.count == 1 && acl[0].permissions == .all && acl[0].identity.isAnyone
    }

    private static func key(of acl: [ACL]) -> [UInt8] {
        var key: [UInt8] = []
        func append(_ number: UInt32) {
            for shift in [24, 16, 8, 0] as [UInt32] {
                key.append(UInt8(truncatingIfNeeded: number >> shift))
            }
        }
        for entry in acl {
            append(UInt32(bitPattern: entry.permissions.rawValue))
            append(UInt32(truncatingIfNeeded: entry.identity.scheme.utf8.count))
            key.append(contentsOf: entry.identity.scheme.utf8)
            append(UInt32(truncatingIfNeeded: entry.identity.id.utf8.count))
            key.append(contentsOf: entry.identity.id.utf8)
        }
        return key
    }
}
