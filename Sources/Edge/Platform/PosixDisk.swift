import Glibc
package import Journal

/// Real files under one directory.
///
/// Synchronous, for one thread. Descriptors of files in use stay open, since a log is written and
/// synced thousands of times a second; a name that is renamed or removed loses its descriptor.
/// `fdatasync` for files: it leaves out the times but not the size. What Linux promises after a
/// failed sync: nothing, so it is reported and never retried.
package final class PosixDisk {
    /// Few files are in use at a time: a log, a snapshot, one being read.
    private static let maximumOpenFiles = 16

    private let root: Int32
    private let rootPath: String
    /// By path; least recently opened first in `openOrder`.
    private var descriptors: [String: Int32] = [:]
    private var openOrder: [String] = []

    /// Creates the directory, and those above it, where missing.
    package init(root path: String) throws(DiskError) {
        rootPath = path
        try Self.createAll(path)
        root = unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard root >= 0 else { throw Self.failure("open", path, errno) }
    }

    deinit {
        for descriptor in descriptors.values { close(descriptor) }
        close(root)
    }

    /// Creates each missing directory and makes its name durable in the one above.
    private static func createAll(_ path: String) throws(DiskError) {
        var built = path.hasPrefix("/") ? "/" : ""
        for element in path.split(separator: "/") {
            let parent = built.isEmpty ? "." : built
            built += (built.isEmpty || built == "/" ? "" : "/") + element
            if unsafe mkdir(built, 0o750) == 0 {
                let descriptor = unsafe open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
                guard descriptor >= 0 else { throw failure("open", parent, errno) }
                defer { close(descriptor) }
                guard fsync(descriptor) == 0 else { throw failure("sync", parent, errno) }
            } else if errno != EEXIST {
                throw failure("create", built, errno)
            }
        }
    }

    private static func failure(_ what: String, _ path: String, _ code: Int32) -> DiskError {
        DiskError(
            "cannot \(what) \(path): \(SystemError.text(code))",
            isNoSpace: code == ENOSPC || code == EDQUOT
        )
    }

    private func failure(_ what: String, _ path: String) -> DiskError {
        let isWhole = path.hasPrefix("/") && rootPath == "/"
        let root = rootPath.hasSuffix("/") ? rootPath : rootPath + "/"
        return Self.failure(what, isWhole ? path : root + path, errno)
    }

    /// Repeats what a signal has interrupted.
    private func retrying(_ call: () -> Int) -> Int {
        while true {
            let result = call()
            if result >= 0 || errno != EINTR { return result }
        }
    }

    // MARK: Descriptors

    private func descriptor(_ file: String, creates: Bool = false) throws(DiskError) -> Int32 {
        if let known = descriptors[file] { return known }
        let flags = O_RDWR | O_CLOEXEC | (creates ? O_CREAT : 0)
        // The variadic openat: the mode counts only where the file is created.
        let opened = retrying { unsafe Int(openat(root, file, flags, mode_t(0o640))) }
        guard opened >= 0 else {
            let code = errno
            let isRefused = code == EACCES || code == EPERM || code == EROFS
            errno = code
            throw failure(isRefused ? "open for reading and writing" : "open", file)
        }
        if openOrder.count == Self.maximumOpenFiles { release(openOrder[0]) }
        descriptors[file] = Int32(opened)
        openOrder.append(file)
        return Int32(opened)
    }

    /// For what writes nothing: a file that may only be read will do, a snapshot that was copied here,
    /// say. `isOwn`: to be closed after use.
    private func descriptorForReading(
        _ file: String
    ) throws(DiskError) -> (number: Int32, isOwn: Bool) {
        if descriptors[file] == nil, let readOnly = openForReadingOnly(file) {
            return (readOnly, true)
        }
        return (try descriptor(file), false)
    }

    /// Nil where the file may be written, or cannot be read either.
    private func openForReadingOnly(_ file: String) -> Int32? {
        guard unsafe faccessat(root, file, W_OK, AT_EACCESS) != 0, errno != ENOENT else {
            return nil
        }
        let opened = retrying { unsafe Int(openat(root, file, O_RDONLY | O_CLOEXEC)) }
        return opened >= 0 ? Int32(opened) : nil
    }

    private func release(_ file: String) {
        guard let descriptor = descriptors.removeValue(forKey: file) else { return }
        openOrder.removeAll { $0 == file }
        close(descriptor)
    }

    private func openDirectory(_ directory: String) throws(DiskError) -> Int32 {
        let path = directory.isEmpty ? "." : directory
        let opened = retrying {
            unsafe Int(openat(root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC))
        }
        guard opened >= 0 else { throw failure("open", directory) }
        return Int32(opened)
    }
}

extension PosixDisk: Disk {
    package func list(_ directory: String) throws(DiskError) -> [String] {
        let descriptor = try openDirectory(directory)
        // The stream owns the descriptor from here on and closes it.
        guard let stream = unsafe fdopendir(descriptor) else {
            let error = failure("list", directory)
            close(descriptor)
            throw error
        }
        defer { unsafe closedir(stream) }
        var names: [String] = []
        while true {
            errno = 0
            // The entry is valid until the next call on this stream: its name is copied at once.
            guard let entry = unsafe readdir(stream) else {
                guard errno == 0 else { throw failure("list", directory) }
                return names.sorted()
            }
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { tuple in
                unsafe tuple.withMemoryRebound(to: CChar.self, capacity: 256) {
                    unsafe String(cString: $0)
                }
            }
            if name != "." && name != ".." { names.append(name) }
        }
    }

    package func size(_ file: String) throws(DiskError) -> Int? {
        var status = stat()
        // Writes into the structure given, which outlives the call.
        guard unsafe fstatat(root, file, &status, 0) == 0 else {
            if errno == ENOENT { return nil }
            throw failure("look at", file)
        }
        return Int(status.st_size)
    }

    package func read(_ file: String, at offset: Int, count: Int) throws(DiskError) -> [UInt8] {
        let (descriptor, isOwn) = try descriptorForReading(file)
        defer { if isOwn { close(descriptor) } }
        guard count > 0 else { return [] }
        var failed = false
        // The array hands out its own storage, of `count` bytes, and learns how many were filled.
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            while filled < count {
                let done = retrying {
                    unsafe pread(
                        descriptor,
                        buffer.baseAddress.map { unsafe $0 + filled },
                        count - filled,
                        off_t(offset + filled)
                    )
                }
                if done < 0 { failed = true }
                if done <= 0 { return }
                filled += done
            }
        }
        guard !failed else { throw failure("read", file) }
        return bytes
    }

    package func write(_ file: String, at offset: Int, _ bytes: [UInt8]) throws(DiskError) {
        let descriptor = try descriptor(file, creates: true)
        // The storage stays in place for the length of the closure.
        let isWhole = unsafe bytes.withUnsafeBytes { buffer in
            var written = 0
            while written < buffer.count {
                let done = retrying {
                    unsafe pwrite(
                        descriptor,
                        buffer.baseAddress.map { unsafe $0 + written },
                        buffer.count - written,
                        off_t(offset + written)
                    )
                }
                if done == 0 { errno = ENOSPC }
                if done <= 0 { return false }
                written += done
            }
            return true
        }
        guard isWhole else { throw failure("write", file) }
    }

    package func truncate(_ file: String, to size: Int) throws(DiskError) {
        let descriptor = try descriptor(file)
        guard retrying({ Int(ftruncate(descriptor, off_t(size))) }) == 0 else {
            throw failure("cut", file)
        }
    }

    package func syncFile(_ file: String) throws(DiskError) {
        let (descriptor, isOwn) = try descriptorForReading(file)
        defer { if isOwn { close(descriptor) } }
        guard retrying({ Int(fdatasync(descriptor)) }) == 0 else { throw failure("sync", file) }
    }

    package func createDirectory(_ directory: String) throws(DiskError) {
        try Self.createAll(rootPath + "/" + directory)
    }

    package func syncDirectory(_ directory: String) throws(DiskError) {
        let descriptor = try openDirectory(directory)
        defer { close(descriptor) }
        guard retrying({ Int(fsync(descriptor)) }) == 0 else { throw failure("sync", directory) }
    }

    package func rename(_ from: String, to: String) throws(DiskError) {
        release(from)
        release(to)
        guard unsafe renameat(root, from, root, to) == 0 else { throw failure("rename", from) }
    }

    package func remove(_ file: String) throws(DiskError) {
        release(file)
        guard unsafe unlinkat(root, file, 0) == 0 else { throw failure("remove", file) }
    }
}
