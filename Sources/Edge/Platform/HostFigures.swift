import Glibc

/// What the system says of the machine and of who runs this process. What cannot be had is empty.
package struct HostFigures: Sendable {
    package var name = ""
    package var system = ""
    package var release = ""
    package var architecture = ""
    package var userName = ""
    package var userHome = ""

    package init() {
        var names = utsname()
        if unsafe uname(&names) == 0 {
            name = Self.text(&names.nodename)
            system = Self.text(&names.sysname)
            release = Self.text(&names.release)
            architecture = Self.text(&names.machine)
        }
        guard let entry = unsafe getpwuid(geteuid()) else { return }
        unsafe userName = String(cString: entry.pointee.pw_name)
        unsafe userHome = String(cString: entry.pointee.pw_dir)
    }

    /// A C array of characters up to its zero.
    private static func text<Characters>(_ characters: inout Characters) -> String {
        unsafe withUnsafeBytes(of: &characters) { bytes in
            unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
    }
}

/// Bytes of the files in a directory, not of those below it; 0 where it cannot be read.
package func sizeOfFiles(in directory: String) -> Int64 {
    guard let handle = unsafe opendir(directory) else { return 0 }
    defer { unsafe closedir(handle) }
    var total: Int64 = 0
    while let entry = unsafe readdir(handle) {
        var status = stat()
        // The entry's name is a C array of characters that ends with a zero.
        let isFile = unsafe withUnsafePointer(to: &entry.pointee.d_name) { name in
            unsafe name.withMemoryRebound(to: CChar.self, capacity: 256) { name in
                unsafe fstatat(dirfd(handle), name, &status, AT_SYMLINK_NOFOLLOW) == 0
            }
        }
        if isFile, status.st_mode & S_IFMT == S_IFREG { total += Int64(status.st_size) }
    }
    return total
}
