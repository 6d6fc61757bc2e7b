internal import CFuse
internal import Glibc
internal import ZnodeFS

/// libfuse's callbacks: each copies what it was handed into one ``FileOperation`` and returns.
///
/// What is not in the table libfuse answers with ENOSYS, which the kernel remembers: it then seeks,
/// copies ranges and checks access by itself.
extension FuseSession {
    static var callbacks: fuse_lowlevel_ops {
        var table = fuse_lowlevel_ops()
        addSession(to: &table)
        addNames(to: &table)
        addAttributes(to: &table)
        addFiles(to: &table)
        addDirectories(to: &table)
        addLocks(to: &table)
        return table
    }

    private static func addSession(to table: inout fuse_lowlevel_ops) {
        unsafe table.`init` = { _, connection in
            guard let connection = unsafe connection else { return }
            unsafe FuseSession.negotiate(&connection.pointee)
        }
        unsafe table.forget = { request, node, count in
            unsafe hand(request, forgetting: [(node, count)])
        }
        unsafe table.forget_multi = { request, count, list in
            let entries = unsafe UnsafeBufferPointer(start: list, count: count)
            unsafe hand(request, forgetting: entries.map { ($0.ino, $0.nlookup) })
        }
        unsafe table.statfs = { request, node in
            unsafe hand(request, node, .statistics(NodeID(rawValue: node)))
        }
    }

    /// What the kernel may and may not do on its own.
    private static func negotiate(_ connection: inout fuse_conn_info) {
        connection.max_write = writeLimitBytes
        connection.max_background = backgroundLimit
        connection.congestion_threshold = backgroundLimit / 4 * 3
        connection.time_gran = 1
        let wanted =
            FUSE_CAP_ASYNC_READ | FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_POSIX_LOCKS
            | FUSE_CAP_FLOCK_LOCKS | FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO
            | FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_AUTO_INVAL_DATA
        // Writing back would acknowledge what no server has. Killing set-id bits is a setattr that the
        // tree should see. Splices save nothing at these sizes. Direct writes of one handle stay in order.
        let refused =
            FUSE_CAP_WRITEBACK_CACHE | FUSE_CAP_HANDLE_KILLPRIV | FUSE_CAP_SPLICE_READ
            | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE | FUSE_CAP_ASYNC_DIO
            | FUSE_CAP_POSIX_ACL | FUSE_CAP_CACHE_SYMLINKS | FUSE_CAP_DONT_MASK
            | FUSE_CAP_EXPORT_SUPPORT | FUSE_CAP_IOCTL_DIR
        connection.want |= UInt32(wanted) & connection.capable
        connection.want &= ~UInt32(refused)
    }

    // MARK: - Names

    private static func addNames(to table: inout fuse_lowlevel_ops) {
        unsafe table.lookup = { request, parent, name in
            unsafe hand(
                request,
                parent,
                .lookup(parent: NodeID(rawValue: parent), name: bytes(name))
            )
        }
        unsafe table.mknod = { request, parent, name, mode, _ in
            unsafe hand(
                request,
                parent,
                .makeNode(parent: NodeID(rawValue: parent), name: bytes(name), mode: mode)
            )
        }
        unsafe table.mkdir = { request, parent, name, mode in
            unsafe hand(
                request,
                parent,
                .makeDirectory(parent: NodeID(rawValue: parent), name: bytes(name), mode: mode)
            )
        }
        unsafe table.unlink = { request, parent, name in
            unsafe hand(
                request,
                parent,
                .unlink(parent: NodeID(rawValue: parent), name: bytes(name))
            )
        }
        unsafe table.rmdir = { request, parent, name in
            unsafe hand(
                request,
                parent,
                .removeDirectory(parent: NodeID(rawValue: parent), name: bytes(name))
            )
        }
        unsafe table.symlink = { request, target, parent, name in
            unsafe hand(
                request,
                parent,
                .symbolicLink(
                    parent: NodeID(rawValue: parent),
                    name: bytes(name),
                    target: bytes(target)
                )
            )
        }
        unsafe table.rename = { request, parent, name, newParent, newName, flags in
            unsafe hand(
                request,
                parent,
                .rename(
                    parent: NodeID(rawValue: parent),
                    name: bytes(name),
                    newParent: NodeID(rawValue: newParent),
                    newName: bytes(newName),
                    flags: flags
                )
            )
        }
        unsafe table.link = { request, node, newParent, newName in
            unsafe hand(
                request,
                node,
                .link(
                    NodeID(rawValue: node),
                    newParent: NodeID(rawValue: newParent),
                    newName: bytes(newName)
                )
            )
        }
        unsafe table.readlink = { request, node in
            unsafe hand(request, node, .readLink(NodeID(rawValue: node)))
        }
    }

    // MARK: - Attributes

    private static func addAttributes(to table: inout fuse_lowlevel_ops) {
        unsafe table.getattr = { request, node, file in
            unsafe hand(
                request,
                node,
                .getAttributes(NodeID(rawValue: node), handle: handle(file))
            )
        }
        unsafe table.setattr = { request, node, status, fields, file in
            guard let status = unsafe status else { return }
            let change = unsafe AttributeChange(status.pointee, fields: fields)
            unsafe hand(
                request,
                node,
                .setAttributes(NodeID(rawValue: node), change, handle: handle(file))
            )
        }
        unsafe table.getxattr = { request, node, name, size in
            unsafe hand(
                request,
                node,
                room: size,
                .getExtendedAttribute(NodeID(rawValue: node), name: bytes(name))
            )
        }
        unsafe table.listxattr = { request, node, size in
            unsafe hand(
                request,
                node,
                room: size,
                .listExtendedAttributes(NodeID(rawValue: node))
            )
        }
        unsafe table.setxattr = { request, node, name, value, size, flags in
            unsafe hand(
                request,
                node,
                .setExtendedAttribute(
                    NodeID(rawValue: node),
                    name: bytes(name),
                    value: bytes(value, count: size),
                    flags: flags
                )
            )
        }
        unsafe table.removexattr = { request, node, name in
            unsafe hand(
                request,
                node,
                .removeExtendedAttribute(NodeID(rawValue: node), name: bytes(name))
            )
        }
    }

    // MARK: - Files

    private static func addFiles(to table: inout fuse_lowlevel_ops) {
        unsafe table.open = { request, node, file in
            unsafe hand(request, node, .open(NodeID(rawValue: node), flags: flags(file)))
        }
        unsafe table.create = { request, parent, name, mode, file in
            unsafe hand(
                request,
                parent,
                .create(
                    parent: NodeID(rawValue: parent),
                    name: bytes(name),
                    mode: mode,
                    flags: flags(file)
                )
            )
        }
        unsafe table.read = { request, node, size, offset, file in
            unsafe hand(
                request,
                node,
                room: size,
                .read(
                    NodeID(rawValue: node),
                    knownHandle(file),
                    offset: Int64(offset),
                    size: size
                )
            )
        }
        unsafe table.write = { request, node, data, size, offset, file in
            unsafe hand(
                request,
                node,
                .write(
                    NodeID(rawValue: node),
                    knownHandle(file),
                    offset: Int64(offset),
                    bytes: bytes(data, count: size)
                )
            )
        }
        unsafe table.flush = { request, node, file in
            unsafe hand(
                request,
                node,
                .flush(
                    NodeID(rawValue: node),
                    knownHandle(file),
                    lockOwner: file?.pointee.lock_owner ?? 0
                )
            )
        }
        unsafe table.release = { request, node, file in
            unsafe hand(request, node, .release(NodeID(rawValue: node), knownHandle(file)))
        }
        unsafe table.fsync = { request, node, dataOnly, file in
            unsafe hand(
                request,
                node,
                .sync(NodeID(rawValue: node), knownHandle(file), dataOnly: dataOnly != 0)
            )
        }
        unsafe table.fallocate = { request, node, mode, offset, length, file in
            unsafe hand(
                request,
                node,
                .allocate(
                    NodeID(rawValue: node),
                    knownHandle(file),
                    mode: mode,
                    offset: Int64(offset),
                    length: Int64(length)
                )
            )
        }
        unsafe table.poll = { request, node, file, poll in
            guard let request = unsafe request else { return }
            let wake = unsafe FuseSession.of(request).keep(poll)
            unsafe hand(
                request,
                node,
                .poll(
                    NodeID(rawValue: node),
                    knownHandle(file),
                    events: file?.pointee.poll_events ?? 0,
                    wake: wake
                )
            )
        }
    }

    // MARK: - Directories

    private static func addDirectories(to table: inout fuse_lowlevel_ops) {
        unsafe table.opendir = { request, node, _ in
            unsafe hand(request, node, .openDirectory(NodeID(rawValue: node)))
        }
        unsafe table.readdir = { request, node, size, offset, file in
            unsafe hand(
                request,
                node,
                room: size,
                .readDirectory(
                    NodeID(rawValue: node),
                    knownHandle(file),
                    offset: UInt64(bitPattern: Int64(offset)),
                    size: size,
                    withAttributes: false
                )
            )
        }
        unsafe table.readdirplus = { request, node, size, offset, file in
            unsafe hand(
                request,
                node,
                room: size,
                .readDirectory(
                    NodeID(rawValue: node),
                    knownHandle(file),
                    offset: UInt64(bitPattern: Int64(offset)),
                    size: size,
                    withAttributes: true
                )
            )
        }
        unsafe table.releasedir = { request, node, file in
            unsafe hand(
                request,
                node,
                .releaseDirectory(NodeID(rawValue: node), knownHandle(file))
            )
        }
        unsafe table.fsyncdir = { request, node, _, file in
            unsafe hand(
                request,
                node,
                .syncDirectory(NodeID(rawValue: node), knownHandle(file))
            )
        }
    }

    // MARK: - Locks

    private static func addLocks(to table: inout fuse_lowlevel_ops) {
        unsafe table.getlk = { request, node, file, _ in
            unsafe hand(request, node, .getLock(NodeID(rawValue: node), knownHandle(file)))
        }
        unsafe table.setlk = { request, node, file, _, waits in
            unsafe hand(
                request,
                node,
                .setLock(NodeID(rawValue: node), knownHandle(file), waits: waits != 0)
            )
        }
        unsafe table.flock = { request, node, file, operation in
            unsafe hand(
                request,
                node,
                .flock(NodeID(rawValue: node), knownHandle(file), operation: operation)
            )
        }
    }
}

// MARK: - Copies of what C hands over

private func hand(
    _ request: fuse_req_t?,
    _ node: fuse_ino_t,
    room: Int = 0,
    _ operation: FileOperation
) {
    guard let request = unsafe request else { return }
    unsafe FuseSession.of(request).accept(request, node: node, room: room, operation)
}

private func hand(
    _ request: fuse_req_t?,
    forgetting nodes: [(fuse_ino_t, UInt64)]
) {
    guard let request = unsafe request else { return }
    let session = unsafe FuseSession.of(request)
    unsafe fuse_reply_none(request)
    session.post(
        nodes.map { node, count in
            session.unanswered(.forget(NodeID(rawValue: node), count: count))
        }
    )
}

private func bytes(_ name: UnsafePointer<CChar>?) -> [UInt8] {
    guard let name = unsafe name else { return [] }
    return unsafe bytes(name, count: strlen(name))
}

private func bytes(_ start: UnsafePointer<CChar>?, count: Int) -> [UInt8] {
    unsafe [UInt8](UnsafeRawBufferPointer(start: start, count: count))
}

private func flags(_ file: UnsafeMutablePointer<fuse_file_info>?) -> OpenFlags {
    unsafe OpenFlags(rawValue: file?.pointee.flags ?? 0)
}

private func handle(_ file: UnsafeMutablePointer<fuse_file_info>?) -> FileHandle? {
    unsafe file.map { unsafe FileHandle(rawValue: $0.pointee.fh) }
}

/// For requests on an open file, which always name it.
private func knownHandle(_ file: UnsafeMutablePointer<fuse_file_info>?) -> FileHandle {
    unsafe handle(file) ?? FileHandle(rawValue: .max)
}

extension AttributeChange {
    fileprivate init(_ status: stat, fields: Int32) {
        self.init()
        if fields & FUSE_SET_ATTR_MODE != 0 { mode = status.st_mode }
        if fields & FUSE_SET_ATTR_UID != 0 { user = status.st_uid }
        if fields & FUSE_SET_ATTR_GID != 0 { group = status.st_gid }
        if fields & FUSE_SET_ATTR_SIZE != 0 { size = Int64(status.st_size) }
        if fields & FUSE_SET_ATTR_ATIME_NOW != 0 {
            accessTime = .now
        } else if fields & FUSE_SET_ATTR_ATIME != 0 {
            accessTime = .at(FileTime(status.st_atim))
        }
        if fields & FUSE_SET_ATTR_MTIME_NOW != 0 {
            modificationTime = .now
        } else if fields & FUSE_SET_ATTR_MTIME != 0 {
            modificationTime = .at(FileTime(status.st_mtim))
        }
    }
}

extension FileTime {
    fileprivate init(_ time: timespec) {
        self.init(seconds: Int64(time.tv_sec), nanoseconds: UInt32(clamping: time.tv_nsec))
    }
}
