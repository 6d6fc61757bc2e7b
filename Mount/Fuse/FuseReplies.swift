internal import CFuse
internal import Glibc
package import ZnodeFS

/// Values to libfuse's replies.
extension FuseSession {
    /// Answers a request; one that was answered before stays answered.
    package func reply(_ id: FileRequestID, _ reply: FileReply) {
        guard let pending = state.change({ $0.pending.removeValue(forKey: id) })
        else { return }
        // ENOENT says that the kernel gave the request up. What it would have remembered is undone.
        if send(reply, to: pending) == -ENOENT {
            post(undoing(reply, of: pending.node))
        }
    }

    private func send(_ reply: FileReply, to pending: Pending) -> Int32 {
        let request = unsafe pending.request
        switch reply {
        case .done:
            return unsafe fuse_reply_err(request, 0)
        case .failed(let errno):
            // libfuse takes 1 to 999.
            let isKnown = (1...999).contains(errno.rawValue)
            return unsafe fuse_reply_err(request, isKnown ? errno.rawValue : EIO)
        case .entry(let entry):
            var parameters = fuse_entry_param(entry)
            return unsafe fuse_reply_entry(request, &parameters)
        case .attributes(let attributes, let validity):
            var status = stat(attributes)
            return unsafe fuse_reply_attr(request, &status, validity.seconds)
        case .opened(let handle, let options):
            return unsafe zkfs_reply_open(request, handle.rawValue, options.kernelFlags)
        case .created(let entry, let handle, let options):
            var parameters = fuse_entry_param(entry)
            return unsafe zkfs_reply_create(
                request,
                &parameters,
                handle.rawValue,
                options.kernelFlags
            )
        case .data(let bytes):
            return unsafe send(bytes, upTo: pending.room, to: request)
        case .written(let count):
            return unsafe fuse_reply_write(request, count)
        case .link(let target):
            return unsafe (target.map { CChar(bitPattern: $0) } + [0]).withUnsafeBufferPointer {
                unsafe fuse_reply_readlink(request, $0.baseAddress)
            }
        case .directory(let entries, let withAttributes):
            return send(entries, withAttributes: withAttributes, to: pending)
        case .statistics(let statistics):
            var status = statvfs(statistics)
            return unsafe fuse_reply_statfs(request, &status)
        case .extendedAttribute(let value):
            if pending.room == 0 { return unsafe fuse_reply_xattr(request, value.count) }
            if value.count > pending.room { return unsafe fuse_reply_err(request, ERANGE) }
            return unsafe send(value, upTo: value.count, to: request)
        case .poll(let events):
            return unsafe fuse_reply_poll(request, events)
        }
    }

    /// The kernel takes no more than the caller's room.
    private func send(_ bytes: [UInt8], upTo room: Int, to request: fuse_req_t) -> Int32 {
        unsafe bytes.withUnsafeBytes { bytes in
            let text = unsafe bytes.bindMemory(to: CChar.self)
            return unsafe fuse_reply_buf(request, text.baseAddress, min(text.count, room))
        }
    }

    private func send(
        _ entries: [DirectoryEntry],
        withAttributes: Bool,
        to pending: Pending
    ) -> Int32 {
        let request = unsafe pending.request
        let room = pending.room
        var buffer = [CChar](repeating: 0, count: room)
        var used = 0
        var sent = 0
        for entry in entries {
            let name = entry.name.map { CChar(bitPattern: $0) } + [0]
            let size = unsafe buffer.withUnsafeMutableBufferPointer { buffer in
                let free = unsafe buffer.baseAddress.map { unsafe $0 + used }
                if withAttributes {
                    var parameters = fuse_entry_param(listed: entry)
                    return unsafe fuse_add_direntry_plus(
                        request,
                        free,
                        room - used,
                        name,
                        &parameters,
                        Int(entry.nextOffset)
                    )
                }
                var status = stat(listed: entry)
                return unsafe fuse_add_direntry(
                    request,
                    free,
                    room - used,
                    name,
                    &status,
                    Int(entry.nextOffset)
                )
            }
            // One that has no room is not there for the kernel: it asks again from the offset before.
            guard size <= room - used else { break }
            used += size
            sent += 1
        }
        let status = unsafe buffer.withUnsafeBufferPointer {
            unsafe fuse_reply_buf(request, $0.baseAddress, used)
        }
        if withAttributes {
            post(entries[sent...].compactMap { undoing($0.entry) })
        }
        return status
    }

    // MARK: - Replies nobody took

    private func undoing(_ reply: FileReply, of node: NodeID) -> [MountInput] {
        switch reply {
        case .entry(let entry):
            return [undoing(entry)].compactMap { $0 }
        case .opened(let handle, _):
            // Whether file or directory, the tree knows by the handle.
            return [unanswered(.release(node, handle))]
        case .created(let entry, let handle, _):
            let release = entry.node.map { unanswered(.release($0, handle)) }
            return [release, undoing(entry)].compactMap { $0 }
        case .directory(let entries, let withAttributes):
            return withAttributes ? entries.compactMap { undoing($0.entry) } : []
        case .done, .failed, .attributes, .data, .written, .link, .statistics, .extendedAttribute,
            .poll:
            return []
        }
    }

    private func undoing(_ entry: Entry?) -> MountInput? {
        entry?.node.map { unanswered(.forget($0, count: 1)) }
    }
}

extension Duration {
    fileprivate var seconds: Double {
        Double(components.seconds) + Double(components.attoseconds) * 1e-18
    }
}

extension OpenOptions {
    /// linux/fuse.h's FOPEN_ numbers.
    fileprivate var kernelFlags: UInt32 {
        var flags: UInt32 = 0
        if contains(.directIO) { flags |= 1 << 0 }
        if contains(.keepCache) { flags |= 1 << 1 }
        if contains(.nonSeekable) { flags |= 1 << 2 }
        if contains(.cacheDirectory) { flags |= 1 << 3 }
        if contains(.stream) { flags |= 1 << 4 }
        if contains(.noFlush) { flags |= 1 << 5 }
        return flags
    }
}

extension FileKind {
    fileprivate var modeBits: mode_t {
        switch self {
        case .regular: S_IFREG
        case .directory: S_IFDIR
        case .symbolicLink: S_IFLNK
        }
    }
}

extension timespec {
    fileprivate init(_ time: FileTime) {
        self.init(tv_sec: Int(time.seconds), tv_nsec: Int(time.nanoseconds))
    }
}

extension stat {
    fileprivate init(_ attributes: FileAttributes) {
        self.init()
        st_ino = .init(attributes.inode)
        st_mode = attributes.kind.modeBits | (attributes.permissions & 0o7777)
        st_nlink = .init(attributes.links)
        st_uid = attributes.user
        st_gid = attributes.group
        st_size = Int(attributes.size)
        st_blksize = 4096
        st_blocks = Int(attributes.size / 512) + (attributes.size % 512 == 0 ? 0 : 1)
        st_atim = timespec(attributes.accessTime)
        st_mtim = timespec(attributes.modificationTime)
        st_ctim = timespec(attributes.changeTime)
    }

    fileprivate init(listed entry: DirectoryEntry) {
        self.init()
        st_ino = .init(entry.inode)
        st_mode = entry.kind.modeBits
    }
}

extension fuse_entry_param {
    fileprivate init(_ entry: Entry) {
        self.init()
        ino = entry.node?.rawValue ?? 0
        attr = stat(entry.attributes)
        attr_timeout = entry.attributeValidity.seconds
        entry_timeout = entry.entryValidity.seconds
    }

    /// Without an entry the kernel takes name, inode and kind, and looks nothing up.
    fileprivate init(listed entry: DirectoryEntry) {
        if let known = entry.entry {
            self.init(known)
        } else {
            self.init()
            attr = stat(listed: entry)
        }
    }
}

extension statvfs {
    fileprivate init(_ statistics: FileSystemStatistics) {
        self.init()
        f_bsize = .init(statistics.blockSize)
        f_frsize = .init(statistics.blockSize)
        f_blocks = .init(statistics.blocks)
        f_bfree = .init(statistics.freeBlocks)
        f_bavail = .init(statistics.freeBlocks)
        f_files = .init(statistics.files)
        f_ffree = .init(statistics.freeFiles)
        f_favail = .init(statistics.freeFiles)
        f_namemax = .init(statistics.longestName)
    }
}
