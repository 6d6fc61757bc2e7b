internal import ZooKeeperModel

/// `version-2/zkfs`: what this server must remember that ZooKeeper's own files have no place for.
/// ZooKeeper does not look at it. Where there is nothing to remember there is no file.
///
/// ```
/// zkfs 1
/// disk damaged
/// ```
struct SideFile {
    enum State: String {
        /// What was here could not be relied on, and is being put aside.
        case leaving
        /// It was put aside. What is here since then came from a leader, or is nothing.
        case damaged
        /// The operator has said that nothing is missing.
        case trusted
    }

    private static let firstLine = "zkfs 1"
    let disk: any Disk
    let directory: String
    private var file: String { directory + "/zkfs" }

    /// Nil where there is no such file. One that cannot be read was written for a reason, so it
    /// counts as the most careful one.
    func load() throws(DiskError) -> State? {
        guard try disk.size(file) != nil else { return nil }
        let bytes = try disk.read(file, at: 0, count: 256)
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
        guard lines.count == 2, lines[0] == Self.firstLine, lines[1].hasPrefix("disk ") else {
            return .damaged
        }
        return State(rawValue: String(lines[1].dropFirst(5))) ?? .damaged
    }

    /// Durable once this returns.
    func store(_ state: State) throws(DiskError) {
        let draft = file + ".tmp"
        let text = Array((Self.firstLine + "\ndisk " + state.rawValue + "\n").utf8)
        try disk.write(draft, at: 0, text)
        try disk.truncate(draft, to: text.count)
        try disk.syncFile(draft)
        try disk.rename(draft, to: file)
        try disk.syncDirectory(directory)
    }

    func remove() throws(DiskError) {
        guard try disk.size(file) != nil else { return }
        try disk.remove(file)
    }
}
