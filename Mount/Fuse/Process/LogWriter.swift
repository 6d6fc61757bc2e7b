internal import CFuse
internal import Glibc
package import ZnodeFS

/// Where the mount's messages go, one line each.
package struct LogWriter: Sendable {
    package enum Destination: Hashable, Sendable {
        case standardError
        case file(String)
        case system
    }

    private enum Target { case descriptor(Int32), system }
    private let target: Target
    private let minimum: MountLogLevel

    /// A file is made with mode 0600 and appended to. Stays open for the life of the process.
    package init(
        to destination: Destination,
        minimum: MountLogLevel = .info
    ) throws(MountFailure) {
        self.minimum = minimum
        switch destination {
        case .standardError:
            target = .descriptor(STDERR_FILENO)
        case .file(let path):
            let descriptor = unsafe open(
                path,
                O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC,
                0o600
            )
            guard descriptor >= 0 else { throw MountFailure.system("log=\(path)") }
            target = .descriptor(descriptor)
        case .system:
            zkfs_open_syslog()
            target = .system
        }
    }

    /// A full disk loses the line: there is nobody left to tell.
    package func write(_ level: MountLogLevel, _ message: String) {
        guard level.severity >= minimum.severity else { return }
        switch target {
        case .descriptor(let descriptor):
            let line = "\(Self.time()) \(level.word) \(Self.printable(message))\n"
            _ = Descriptor.write(Array(line.utf8), to: descriptor)
        case .system:
            unsafe zkfs_syslog(level.priority, Self.printable(message))
        }
    }

    /// A znode's name may hold line breaks; a message is one line.
    private static func printable(_ message: String) -> String {
        guard message.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7F }) else {
            return message
        }
        var result = ""
        for scalar in message.unicodeScalars {
            let isControl = scalar.value < 0x20 || scalar.value == 0x7F
            result += isControl ? scalar.escaped(asASCII: true) : String(scalar)
        }
        return result
    }

    private static func time() -> String {
        var now = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &now)
        var parts = unsafe tm()
        unsafe gmtime_r(&now.tv_sec, &parts)
        var text = [CChar](repeating: 0, count: 32)
        let count = unsafe strftime(&text, text.count, "%Y-%m-%dT%H:%M:%S", &parts)
        let seconds = String(decoding: text[..<count].map(UInt8.init(bitPattern:)), as: UTF8.self)
        let milliseconds = String(1000 + now.tv_nsec / 1_000_000).dropFirst()
        return "\(seconds).\(milliseconds)Z"
    }
}

extension MountLogLevel {
    fileprivate var severity: Int {
        switch self {
        case .debug: 0
        case .info: 1
        case .warning: 2
        case .error: 3
        }
    }
    fileprivate var word: String {
        switch self {
        case .debug: "debug"
        case .info: "info"
        case .warning: "warning"
        case .error: "error"
        }
    }
    fileprivate var priority: Int32 {
        switch self {
        case .debug: LOG_DEBUG
        case .info: LOG_INFO
        case .warning: LOG_WARNING
        case .error: LOG_ERR
        }
    }
}
