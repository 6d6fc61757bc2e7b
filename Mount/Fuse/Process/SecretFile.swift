internal import CFuse
internal import Glibc

/// A file of credentials, read only where nobody else can have read or written it.
package enum SecretFile {
    static let limitBytes = 1 << 16

    /// Throws a sentence unless `path` is a regular file, no link, that belongs to this user or root and
    /// that nobody else may use in any way.
    package static func read(_ path: String) throws(MountFailure) -> [UInt8] {
        // Not blocking, in case it is a pipe.
        let descriptor = unsafe open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
        guard descriptor >= 0 else {
            guard errno != ELOOP else { throw MountFailure("\(path) is a symbolic link") }
            throw MountFailure.system(path)
        }
        defer { close(descriptor) }
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else { throw MountFailure.system(path) }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw MountFailure("\(path) is not a regular file")
        }
        guard status.st_uid == geteuid() || status.st_uid == 0 else {
            throw MountFailure("\(path) belongs neither to you nor to root")
        }
        guard status.st_mode & 0o7177 == 0 else {
            throw MountFailure("\(path) is open to others: its mode may be 0600 at most")
        }
        guard status.st_size <= limitBytes,
            let bytes = Descriptor.readAll(from: descriptor, limit: limitBytes)
        else { throw MountFailure("\(path) cannot be read or is larger than \(limitBytes) bytes") }
        return bytes
    }

    /// Keeps the memory of this process out of core dumps and away from debuggers of the same user.
    package static func protectMemory() { _ = zkfs_hide_memory() }
}
