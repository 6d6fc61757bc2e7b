/// What happened in a run: a digest of every line, and the lines themselves where they are wanted.
///
/// Two runs of one seed are the same run exactly if their digests are equal.
package struct Trace: Sendable {
    /// FNV-1a over all lines, each ended by a newline.
    package private(set) var digest: UInt64 = 0xCBF2_9CE4_8422_2325
    package private(set) var lineCount = 0
    /// The newest lines; all of them where `keepsAll`.
    package private(set) var lines: [String] = []
    package let keepsAll: Bool
    private static let keptLines = 400

    package init(keepsAll: Bool) { self.keepsAll = keepsAll }

    /// For the reader alone, who asked for all lines: the digest does not count it, since making it
    /// costs more than all the rest.
    package mutating func addDetail(_ line: @autoclosure () -> String) {
        if keepsAll { lines.append(line()) }
    }

    package mutating func add(_ line: String) {
        for byte in line.utf8 { digest = (digest ^ UInt64(byte)) &* 0x100_0000_01B3 }
        digest = (digest ^ 10) &* 0x100_0000_01B3
        lineCount += 1
        lines.append(line)
        if !keepsAll, lines.count > Self.keptLines * 2 {
            lines.removeFirst(Self.keptLines)
        }
    }
}
