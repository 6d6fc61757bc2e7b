internal import Glibc

/// What is mounted where, in this process's own mount namespace: /proc/self/mountinfo (proc(5)).
package struct MountTable: Sendable {
    package struct Entry: Hashable, Sendable {
        /// `major:minor`; one for all places at which a file system is mounted.
        package var device: String
        package var path: String
        package var type: String
    }

    private static let file = "/proc/self/mountinfo"
    private static let limitBytes = 1 << 24

    /// Later ones cover earlier ones of the same path.
    package let entries: [Entry]

    /// Nil where the system does not tell.
    package static func read() -> MountTable? {
        let descriptor = unsafe open(file, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        return read(from: descriptor)
    }

    private static func read(from descriptor: Int32) -> MountTable? {
        guard let bytes = Descriptor.readAll(from: descriptor, limit: limitBytes) else {
            return nil
        }
        return MountTable(text: String(decoding: bytes, as: UTF8.self))
    }

    package init(text: String) {
        entries = text.split(separator: "\n").compactMap { line in
            // ID PARENT DEVICE ROOT MOUNTPOINT OPTIONS [TAG…] - TYPE SOURCE OPTIONS
            let fields = line.split(separator: " ", omittingEmptySubsequences: false)
            guard fields.count > 6, let dash = fields[5...].firstIndex(of: "-"),
                dash + 1 < fields.count
            else { return nil }
            return Entry(
                device: String(fields[2]),
                path: Self.unescaped(fields[4]),
                type: String(fields[dash + 1])
            )
        }
    }

    package func topmost(at path: String) -> Entry? { entries.last { $0.path == path } }

    package func holds(device: String) -> Bool { entries.contains { $0.device == device } }

    /// Calls back once, on a thread of its own, when this file system is mounted nowhere any more in
    /// this namespace.
    ///
    /// The kernel itself says nothing of that to a file system as long as another namespace, that of
    /// a container or of a service with private mounts, holds a copy of the mount.
    package static func whenGone(device: String, _ act: @escaping @Sendable () -> Void) {
        let descriptor = unsafe open(file, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        _ = SystemThread(name: "mount table") {
            defer { close(descriptor) }
            while true {
                lseek(descriptor, 0, SEEK_SET)
                guard let table = read(from: descriptor) else { return }
                guard table.holds(device: device) else { return act() }
                // Any change of the table since it was last asked for is an exceptional condition.
                var change = pollfd(fd: descriptor, events: Int16(POLLPRI), revents: 0)
                while unsafe poll(&change, 1, -1) < 0, errno == EINTR {}
            }
        }
    }

    /// Blanks, tabs, line breaks and backslashes stand as `\040` and the like.
    private static func unescaped(_ field: Substring) -> String {
        var bytes: [UInt8] = []
        var rest = Array(field.utf8)[...]
        while let byte = rest.popFirst() {
            let digits = rest.prefix(3)
            if byte == UInt8(ascii: "\\"), digits.count == 3,
                let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 8)
            {
                bytes.append(value)
                rest = rest.dropFirst(3)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
