internal import ZooKeeperModel

/// `version-2/zkfs`: what this server must remember that ZooKeeper's own files have no place for.
/// ZooKeeper does not look at it. Where there is nothing to remember there is no file.
///
/// ```
/// zkfs 1
/// disk damaged
/// ensemble 5d0c2a4419b7e6f3 settled
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
    struct Content: Equatable {
        var state: State?
        var ensemble = EnsembleName()
    }

    private static let firstLine = "zkfs 1"
    private static let maximumBytes = 256
    let disk: any Disk
    let directory: String
    private var file: String { directory + "/zkfs" }

    /// A file that cannot be read was written for a reason, so it counts as the most careful one.
    func load() throws(DiskError) -> Content {
        guard try disk.size(file) != nil else { return Content() }
        let bytes = try disk.read(file, at: 0, count: Self.maximumBytes)
        return Self.parse(String(decoding: bytes, as: UTF8.self)) ?? Content(state: .damaged)
    }

    private static func parse(_ text: String) -> Content? {
        var lines = text.split(separator: "\n")[...]
        guard text.last == "\n", lines.popFirst() == firstLine[...] else { return nil }
        var content = Content()
        for line in lines {
            let words = line.split(separator: " ")
            switch words.first {
            case "disk":
                guard words.count == 2, let state = State(rawValue: String(words[1])) else {
                    return nil
                }
                content.state = state
            case "ensemble":
                guard words.count == 3, words[2] == "settled" || words[2] == "proposed",
                    let number = UInt64(words[1], radix: 16)
                else { return nil }
                content.ensemble = EnsembleName(
                    number: Int64(bitPattern: number),
                    isSettled: words[2] == "settled"
                )
            default: return nil
            }
        }
        return content
    }

    private static func text(_ content: Content) -> String {
        var lines = [firstLine]
        if let state = content.state { lines.append("disk \(state.rawValue)") }
        if content.ensemble.number != 0 {
            let state = content.ensemble.isSettled ? "settled" : "proposed"
            lines.append("ensemble \(content.ensemble.text) \(state)")
        }
        return lines.map { $0 + "\n" }.joined()
    }

    /// Durable once this returns.
    func update(_ change: (inout Content) -> Void) throws(DiskError) {
        let old = try load()
        var new = old
        change(&new)
        guard new != old else { return }
        guard new != Content() else {
            try disk.remove(file)
            return try disk.syncDirectory(directory)
        }
        let draft = file + ".tmp"
        let bytes = Array(Self.text(new).utf8)
        try disk.write(draft, at: 0, bytes)
        try disk.truncate(draft, to: bytes.count)
        try disk.syncFile(draft)
        try disk.rename(draft, to: file)
        try disk.syncDirectory(directory)
    }
}
