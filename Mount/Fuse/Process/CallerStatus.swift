internal import CFuse
internal import Glibc
package import ZnodeFS

extension CallerSignals {
    /// Of a thread that waits for a reply; nil where they cannot be seen: the thread is gone, is in a
    /// process namespace that is hidden from this one, or there is no /proc.
    init?(of thread: Int32) {
        // The kernel's number for a caller that has none here.
        guard thread > 0 else { return nil }
        let path = "/proc/\(thread)/status"
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        guard let text = Descriptor.readAll(from: descriptor, limit: 1 << 16) else { return nil }
        self.init(status: text)
    }

    /// From lines such as `ShdPnd:	0000000000010000` (proc_pid_status(5)).
    package init?(status text: [UInt8]) {
        var masks: [String: UInt64] = [:]
        for line in text.split(separator: UInt8(ascii: "\n")) {
            guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { continue }
            let value = line[(colon + 1)...].drop { $0 == UInt8(ascii: "\t") }
            let name = String(decoding: line[..<colon], as: UTF8.self)
            guard Self.names.contains(name),
                let mask = UInt64(String(decoding: value, as: UTF8.self), radix: 16)
            else { continue }
            masks[name] = mask
        }
        guard let thread = masks["SigPnd"], let process = masks["ShdPnd"],
            let blocked = masks["SigBlk"], let ignored = masks["SigIgn"],
            let caught = masks["SigCgt"]
        else { return nil }
        self.init(pending: thread | process, blocked: blocked, ignored: ignored, caught: caught)
    }

    private static let names: Set = ["SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt"]
}
