import Glibc
package import Journal

/// Keeps a second server out of a data directory for as long as this value lives.
///
/// An open file's lock (`flock`) and not a file's existence: the kernel takes it back when the
/// process ends, however it ends.
package final class DirectoryLock {
    package static let fileName = "zkserver.lock"
    private let descriptor: Int32

    /// The directory must exist. Throws a sentence with the path where another process, or another
    /// server of this one, holds the lock.
    package init(directory: String) throws(DiskError) {
        let path = directory + "/" + Self.fileName
        // Variadic open: the mode counts only where the file is created.
        descriptor = unsafe open(path, O_RDWR | O_CREAT | O_CLOEXEC, mode_t(0o640))
        guard descriptor >= 0 else {
            let reason = unsafe String(cString: strerror(errno))
            throw DiskError("cannot open \(path): \(reason)", isNoSpace: errno == ENOSPC)
        }
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            if errno == EINTR { continue }
            let code = errno
            close(descriptor)
            if code == EWOULDBLOCK {
                throw DiskError("\(directory) is in use by another server (\(path) is locked)")
            }
            let reason = unsafe String(cString: strerror(code))
            throw DiskError("cannot lock \(path): \(reason)")
        }
    }

    deinit { close(descriptor) }
}
