import Glibc
package import ZooKeeperModel

/// What the system says of this process. Linux; figures that cannot be had are −1.
package struct ProcessFigures: Sendable {
    package var openDescriptors: Int
    package var maxDescriptors: Int
    package var residentBytes: Int
    package var uptimeMilliseconds: Int64

    package init(since start: Instant, now: Instant) {
        openDescriptors = Self.countEntries(of: "/proc/self/fd")
        var limit = rlimit()
        maxDescriptors =
            unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0
            ? Int(clamping: limit.rlim_cur) : -1
        residentBytes = Self.residentPages() * Int(sysconf(Int32(_SC_PAGESIZE)))
        uptimeMilliseconds = (now - start).wholeMilliseconds
    }

    private static func countEntries(of directory: String) -> Int {
        guard let handle = unsafe opendir(directory) else { return -1 }
        defer { unsafe closedir(handle) }
        var count = 0
        while unsafe readdir(handle) != nil { count += 1 }
        // Without `.`, `..` and the descriptor that this listing has open.
        return count - 3
    }

    /// The second field of /proc/self/statm.
    private static func residentPages() -> Int {
        let descriptor = unsafe open("/proc/self/statm", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return -1 }
        defer { close(descriptor) }
        var buffer = [UInt8](repeating: 0, count: 256)
        let count = unsafe read(descriptor, &buffer, buffer.count)
        guard count > 0 else { return -1 }
        let fields = String(decoding: buffer[..<count], as: UTF8.self).split(separator: " ")
        return fields.count > 1 ? Int(fields[1]) ?? -1 : -1
    }
}

/// The directory that relative paths start from.
package func currentDirectory() -> String {
    guard let path = unsafe getcwd(nil, 0) else { return "/" }
    defer { unsafe free(path) }
    return unsafe String(cString: path)
}
