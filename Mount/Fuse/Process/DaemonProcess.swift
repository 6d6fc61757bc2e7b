internal import CFuse
internal import Glibc

/// A daemon whose starter waits until it is of use.
///
/// ```
/// zkfs (started by a shell) ── fork ──▶ daemon: connects, mounts
///      │ waits                             │
///      │ ◀────────── "ready" ──────────────┤  exit 0
///      │ ◀────────── a sentence ───────────┘  printed, exit 1
/// ```
package struct DaemonProcess: Sendable {
    private let pipe: Int32

    /// Forks. Returns in the daemon alone; the starter waits for its word and exits. To be called
    /// before any thread exists.
    package static func detach(complaint: String) throws(MountFailure) -> DaemonProcess {
        var ends: [Int32] = [0, 0]
        guard unsafe Glibc.pipe(&ends) == 0 else { throw MountFailure.system("pipe") }
        // A program that the daemon starts must not keep the starter waiting.
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        let child = zkfs_fork()
        guard child >= 0 else { throw MountFailure.system("fork") }
        guard child == 0 else {
            close(ends[1])
            waitForWord(from: ends[0], complaint: complaint)
        }
        close(ends[0])
        setsid()
        unsafe chdir("/")
        return DaemonProcess(pipe: ends[1])
    }

    private static let ready = "ready"

    /// Lets the starter go with success. False where it is gone: nobody wants this daemon any more.
    package func reportReady() -> Bool {
        let isWanted = Descriptor.write(Array(Self.ready.utf8), to: pipe)
        close(pipe)
        let null = unsafe open("/dev/null", O_RDWR | O_CLOEXEC)
        if null >= 0 {
            for standard in 0...2 { dup2(null, Int32(standard)) }
            close(null)
        }
        return isWanted
    }

    /// Lets the starter go with a failure that it prints.
    package func report(failure sentence: String) {
        _ = Descriptor.write(Array(sentence.utf8), to: pipe)
        close(pipe)
    }

    private static func waitForWord(from pipe: Int32, complaint: String) -> Never {
        let word = String(decoding: Descriptor.readAll(from: pipe) ?? [], as: UTF8.self)
        if word == ready { exit(0) }
        let sentence = word.isEmpty ? "the daemon ended before the mount answered" : word
        _ = Descriptor.write(Array((complaint + sentence + "\n").utf8), to: STDERR_FILENO)
        exit(1)
    }
}

extension MountFailure {
    /// Names the system call that failed and why, from `errno`.
    package static func system(_ what: String) -> MountFailure {
        let reason = unsafe String(cString: strerror(errno))
        return MountFailure("\(what): \(reason)")
    }
}

/// Whole reads and writes of descriptors.
enum Descriptor {
    static func write(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes {
                unsafe Glibc.write(descriptor, $0.baseAddress, $0.count)
            }
            if count < 0 {
                if errno == EINTR { continue }
                return false
            }
            rest = rest.dropFirst(count)
        }
        return true
    }

    /// Up to the end or `limit`; nil where reading fails.
    static func readAll(from descriptor: Int32, limit: Int = 1 << 20) -> [UInt8]? {
        var result: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while result.count < limit {
            let count = unsafe read(descriptor, &buffer, buffer.count)
            if count < 0 {
                if errno == EINTR { continue }
                return nil
            }
            if count == 0 { break }
            result += buffer[..<count]
        }
        return result
    }
}
