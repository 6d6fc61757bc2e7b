internal import CFuse
internal import Glibc

/// Tells a service manager how the process is (sd_notify(3)): a datagram to `NOTIFY_SOCKET`.
package enum ServiceNotification {
    /// `state` is lines of `NAME=value`. Does nothing where nobody asked to be told.
    package static func send(_ state: String) {
        guard let name = unsafe getenv("NOTIFY_SOCKET") else { return }
        var path = unsafe Array(UnsafeRawBufferPointer(start: name, count: strlen(name)))
        var address = sockaddr_un()
        guard !path.isEmpty, path.count < MemoryLayout.size(ofValue: address.sun_path) else {
            return
        }
        // A leading @ stands for the zero byte of an abstract name.
        if path[0] == UInt8(ascii: "@") { path[0] = 0 }
        address.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: path) }
        let descriptor = socket(
            AF_UNIX,
            Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue),
            0
        )
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        let pathOffset = MemoryLayout<sa_family_t>.size
        let length = socklen_t(pathOffset + path.count)
        let bytes = Array(state.utf8)
        unsafe withUnsafePointer(to: &address) { address in
            unsafe address.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                _ = unsafe sendto(
                    descriptor,
                    bytes,
                    bytes.count,
                    Int32(MSG_NOSIGNAL),
                    address,
                    length
                )
            }
        }
    }
}
