import Glibc
package import Journal

/// Keeps a second server out of data directories for as long as this value lives.
///
/// An open file's lock (`flock`) and not a file's existence: the kernel takes it back when the
/// process ends, however it ends.
package final class DirectoryLock {
    package static let fileName = "zkserver.lock"
    private var descriptors: [Int32] = []

    /// The directories must exist; one may be there twice, also under another name. Throws a sentence
    /// with the path where another process, or another server of this one, holds a lock.
    package init(directories: [String]) throws(DiskError) {
        var locked: [stat] = []
        for directory in directories {
            let path = directory + "/" + Self.fileName
            // Variadic open: the mode counts only where the file is created.
            let descriptor = unsafe open(path, O_RDWR | O_CREAT | O_CLOEXEC, mode_t(0o640))
            guard descriptor >= 0 else { throw Self.failure("open", path) }
            descriptors.append(descriptor)
            var status = stat()
            // Writes into the structure given, which outlives the call.
            guard unsafe fstat(descriptor, &status) == 0 else {
                throw Self.failure("look at", path)
            }
            if locked.contains(where: { $0.st_dev == status.st_dev && $0.st_ino == status.st_ino })
            {
                continue
            }
            try Self.lock(descriptor, path, of: directory)
            locked.append(status)
        }
    }

    private static func lock(
        _ descriptor: Int32,
        _ path: String,
        of directory: String
    ) throws(DiskError) {
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            if errno == EINTR { continue }
            guard errno == EWOULDBLOCK else { throw failure("lock", path) }
            throw DiskError("\(directory) is in use by another server (\(path) is locked)")
        }
    }

    private static func failure(_ what: String, _ path: String) -> DiskError {
        let code = errno
        let reason = SystemError.text(code)
        return DiskError("cannot \(what) \(path): \(reason)", isNoSpace: code == ENOSPC)
    }

    deinit {
        for descriptor in descriptors { close(descriptor) }
    }
}
