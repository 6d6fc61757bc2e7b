/// What the mount answers the kernel.
package enum FileReply: Hashable, Sendable {
    case done
    case failed(Errno)
    case entry(Entry)
    case attributes(FileAttributes, validity: Duration)
    case opened(FileHandle, OpenOptions)
    case created(Entry, FileHandle, OpenOptions)
    case data([UInt8])
    case written(Int)
    case link([UInt8])
    case directory([DirectoryEntry], withAttributes: Bool)
    case statistics(FileSystemStatistics)
    /// getxattr and listxattr; the edge answers a size query from the length.
    case extendedAttribute([UInt8])
    case poll(events: UInt32)
}

/// The answer to a lookup. A `node` of nil is a negative entry: the kernel may remember for
/// `entryValidity` that the name does not exist.
package struct Entry: Hashable, Sendable {
    package var node: NodeID?
    package var attributes: FileAttributes
    package var attributeValidity: Duration
    package var entryValidity: Duration
    package init(
        node: NodeID?,
        attributes: FileAttributes,
        attributeValidity: Duration,
        entryValidity: Duration
    ) {
        self.node = node
        self.attributes = attributes
        self.attributeValidity = attributeValidity
        self.entryValidity = entryValidity
    }
}

/// How the kernel treats an open file.
package struct OpenOptions: OptionSet, Hashable, Sendable {
    package var rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }
    /// Every read and write reaches the mount: no page cache.
    package static let directIO = OpenOptions(rawValue: 1)
    /// Pages from earlier opens of this node are still right.
    package static let keepCache = OpenOptions(rawValue: 2)
    package static let nonSeekable = OpenOptions(rawValue: 4)
    /// Reads do not queue behind one another on the file position (FOPEN_STREAM).
    package static let stream = OpenOptions(rawValue: 8)
    package static let cacheDirectory = OpenOptions(rawValue: 16)
    /// close(2) need not be told.
    package static let noFlush = OpenOptions(rawValue: 32)
}

package enum FileKind: Hashable, Sendable { case regular, directory, symbolicLink }

/// What stat shows.
package struct FileAttributes: Hashable, Sendable {
    package var inode: UInt64
    package var kind: FileKind
    /// Permission bits with set-id and sticky, without the kind.
    package var permissions: UInt32
    package var links: UInt32
    package var user: UInt32
    package var group: UInt32
    package var size: Int64
    package var accessTime: FileTime
    package var modificationTime: FileTime
    package var changeTime: FileTime
    package init(
        inode: UInt64,
        kind: FileKind,
        permissions: UInt32,
        links: UInt32,
        user: UInt32,
        group: UInt32,
        size: Int64,
        accessTime: FileTime,
        modificationTime: FileTime,
        changeTime: FileTime
    ) {
        self.inode = inode
        self.kind = kind
        self.permissions = permissions
        self.links = links
        self.user = user
        self.group = group
        self.size = size
        self.accessTime = accessTime
        self.modificationTime = modificationTime
        self.changeTime = changeTime
    }
}

package struct DirectoryEntry: Hashable, Sendable {
    package var name: [UInt8]
    /// Where a later readdir goes on after this entry.
    package var nextOffset: UInt64
    /// With attributes the kernel counts one lookup of `entry.node`; nil for `.` and `..`, and where
    /// only inode and kind are known.
    package var entry: Entry?
    package var inode: UInt64
    package var kind: FileKind
    package init(
        name: [UInt8],
        nextOffset: UInt64,
        entry: Entry?,
        inode: UInt64,
        kind: FileKind
    ) {
        self.name = name
        self.nextOffset = nextOffset
        self.entry = entry
        self.inode = inode
        self.kind = kind
    }

    /// The bytes this entry takes in the kernel's buffer: a header of 24 (152 with attributes) and
    /// the name, rounded up to 8 (`fuse_dirent`, `fuse_direntplus` in linux/fuse.h).
    package func size(withAttributes: Bool) -> Int {
        ((withAttributes ? 152 : 24) + name.count + 7) & ~7
    }
}

package struct FileSystemStatistics: Hashable, Sendable {
    package var blockSize: UInt32
    package var blocks: UInt64
    package var freeBlocks: UInt64
    package var files: UInt64
    package var freeFiles: UInt64
    package var longestName: UInt32
    package init(
        blockSize: UInt32,
        blocks: UInt64,
        freeBlocks: UInt64,
        files: UInt64,
        freeFiles: UInt64,
        longestName: UInt32
    ) {
        self.blockSize = blockSize
        self.blocks = blocks
        self.freeBlocks = freeBlocks
        self.files = files
        self.freeFiles = freeFiles
        self.longestName = longestName
    }
}
