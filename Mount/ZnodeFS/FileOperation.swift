/// What the kernel asks of the mount: one case per FUSE request, as plain values.
///
/// Numbers that the kernel chose (unique ids, node ids) and those that the tree chose (handles) have
/// types of their own. Names are bytes without a slash.
package enum FileOperation: Hashable, Sendable {
    case lookup(parent: NodeID, name: [UInt8])
    /// Not answered.
    case forget(NodeID, count: UInt64)
    case getAttributes(NodeID, handle: FileHandle?)
    case setAttributes(NodeID, AttributeChange, handle: FileHandle?)
    case readLink(NodeID)
    case makeNode(parent: NodeID, name: [UInt8], mode: UInt32)
    case makeDirectory(parent: NodeID, name: [UInt8], mode: UInt32)
    case unlink(parent: NodeID, name: [UInt8])
    case removeDirectory(parent: NodeID, name: [UInt8])
    case symbolicLink(parent: NodeID, name: [UInt8], target: [UInt8])
    case rename(
        parent: NodeID,
        name: [UInt8],
        newParent: NodeID,
        newName: [UInt8],
        flags: UInt32
    )
    case link(NodeID, newParent: NodeID, newName: [UInt8])
    case open(NodeID, flags: OpenFlags)
    case create(parent: NodeID, name: [UInt8], mode: UInt32, flags: OpenFlags)
    case read(NodeID, FileHandle, offset: Int64, size: Int)
    case write(NodeID, FileHandle, offset: Int64, bytes: [UInt8])
    /// One close(2) of a descriptor; the handle may have more.
    case flush(NodeID, FileHandle, lockOwner: UInt64)
    /// The last use of the handle is over.
    case release(NodeID, FileHandle)
    case sync(NodeID, FileHandle, dataOnly: Bool)
    case openDirectory(NodeID)
    /// `size` is the room in the kernel's buffer; see ``DirectoryEntry/size(withAttributes:)``.
    case readDirectory(NodeID, FileHandle, offset: UInt64, size: Int, withAttributes: Bool)
    case releaseDirectory(NodeID, FileHandle)
    case syncDirectory(NodeID, FileHandle)
    case statistics(NodeID)
    case getExtendedAttribute(NodeID, name: [UInt8])
    case listExtendedAttributes(NodeID)
    case setExtendedAttribute(NodeID, name: [UInt8], value: [UInt8], flags: Int32)
    case removeExtendedAttribute(NodeID, name: [UInt8])
    case getLock(NodeID, FileHandle)
    case setLock(NodeID, FileHandle, waits: Bool)
    case flock(NodeID, FileHandle, operation: Int32)
    /// `wake`, if given, names a waiter that wants `.wakePoll` when readiness changes.
    case poll(NodeID, FileHandle, events: UInt32, wake: PollHandle?)
    case allocate(NodeID, FileHandle, mode: Int32, offset: Int64, length: Int64)
}

/// A request that the kernel waits on; ends with exactly one reply.
package struct FileRequestID: RawRepresentable, Hashable, Comparable, Sendable {
    package var rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }
    package static func < (left: FileRequestID, right: FileRequestID) -> Bool {
        left.rawValue < right.rawValue
    }
}

/// What the kernel calls a node id: one remembered file of this mount. 1 is the root. Not the
/// inode number that stat shows.
package struct NodeID: RawRepresentable, Hashable, Comparable, Sendable {
    package var rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }
    package static let root = NodeID(rawValue: 1)
    package static func < (left: NodeID, right: NodeID) -> Bool { left.rawValue < right.rawValue }
}

/// One open file or directory.
package struct FileHandle: RawRepresentable, Hashable, Comparable, Sendable {
    package var rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }
    package static func < (left: FileHandle, right: FileHandle) -> Bool {
        left.rawValue < right.rawValue
    }
}

/// One poller's wake-up, owned by the edge until it is used or replaced.
package struct PollHandle: RawRepresentable, Hashable, Comparable, Sendable {
    package var rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }
    package static func < (left: PollHandle, right: PollHandle) -> Bool {
        left.rawValue < right.rawValue
    }
}

/// Who made a request, as the kernel says.
package struct Caller: Hashable, Sendable {
    package var user: UInt32
    package var group: UInt32
    /// The thread that made the system call.
    package var thread: Int32
    package var umask: UInt32
    package init(user: UInt32, group: UInt32, thread: Int32, umask: UInt32) {
        self.user = user
        self.group = group
        self.thread = thread
        self.umask = umask
    }
}

/// open(2)'s flags with Linux's numbers (x86-64 and arm64 agree on all of these but O_DIRECT,
/// O_DIRECTORY and O_NOFOLLOW, which never reach a file system this way).
package struct OpenFlags: OptionSet, Hashable, Sendable {
    package var rawValue: Int32
    package init(rawValue: Int32) { self.rawValue = rawValue }

    package static let writeOnly = OpenFlags(rawValue: 0o1)
    package static let readWrite = OpenFlags(rawValue: 0o2)
    package static let create = OpenFlags(rawValue: 0o100)
    package static let exclusive = OpenFlags(rawValue: 0o200)
    package static let truncate = OpenFlags(rawValue: 0o1000)
    package static let append = OpenFlags(rawValue: 0o2000)
    package static let nonBlocking = OpenFlags(rawValue: 0o4000)

    package var reads: Bool { rawValue & 3 != 1 }
    package var writes: Bool { rawValue & 3 != 0 }
}

/// What a setattr changes; nil leaves a field as it is.
package struct AttributeChange: Hashable, Sendable {
    package enum Time: Hashable, Sendable {
        case now
        case at(FileTime)
    }
    package var mode: UInt32?
    package var user: UInt32?
    package var group: UInt32?
    package var size: Int64?
    package var accessTime: Time?
    package var modificationTime: Time?
    package init(
        mode: UInt32? = nil,
        user: UInt32? = nil,
        group: UInt32? = nil,
        size: Int64? = nil,
        accessTime: Time? = nil,
        modificationTime: Time? = nil
    ) {
        self.mode = mode
        self.user = user
        self.group = group
        self.size = size
        self.accessTime = accessTime
        self.modificationTime = modificationTime
    }
}

package struct FileTime: Hashable, Sendable {
    package var seconds: Int64
    package var nanoseconds: UInt32
    package init(seconds: Int64, nanoseconds: UInt32 = 0) {
        self.seconds = seconds
        self.nanoseconds = nanoseconds
    }
}
