/// A file in the format that `zoo.cfg` has: Java's properties. Keeps the line each entry came from,
/// so that a wrong value can be reported where it stands.
///
/// `#` and `!` begin a comment line; the key ends at the first unescaped `=`, `:` or white space; a
/// backslash at a line's end continues it; `\t \n \r \f \uXXXX` and `\c` are escapes. (java.util.
/// Properties, "load").
package struct PropertiesFile: Sendable {
    package struct Entry: Hashable, Sendable {
        package var key: String
        package var value: String
        /// Counted from 1; the first line of an entry that is continued.
        package var line: Int
        package var file: String
    }
    package var entries: [Entry] = []
    private let file: String

    /// `file` is its name, for messages.
    package init(_ text: String, file: String) {
        self.file = file
        var pending = ""
        var pendingLine = 0
        var number = 0
        let lines = text.split(omittingEmptySubsequences: false) {
            $0 == "\n" || $0 == "\r\n" || $0 == "\r"
        }
        for line in lines {
            number += 1
            let content = line.drop { Self.isBlank($0) }
            if pending.isEmpty {
                guard let first = content.first, first != "#", first != "!" else { continue }
                pendingLine = number
            }
            let backslashes = content.reversed().prefix { $0 == "\\" }.count
            if backslashes % 2 == 1 {
                pending += content.dropLast()
                continue
            }
            appendEntry(pending + content, line: pendingLine)
            pending = ""
        }
        if !pending.isEmpty { appendEntry(pending, line: pendingLine) }
    }

    private static func isBlank(_ character: Character) -> Bool {
        character == " " || character == "\t" || character == "\u{0C}"
    }

    private mutating func appendEntry(_ text: String, line: Int) {
        var key = ""
        var rest = text[...]
        while let character = rest.first {
            if character == "\\" {
                key += Self.unescape(&rest)
                continue
            }
            if character == "=" || character == ":" || Self.isBlank(character) { break }
            key.append(character)
            rest.removeFirst()
        }
        rest = rest.drop { Self.isBlank($0) }
        if let separator = rest.first, separator == "=" || separator == ":" {
            rest = rest.dropFirst().drop { Self.isBlank($0) }
        }
        var value = ""
        while let character = rest.first {
            if character == "\\" {
                value += Self.unescape(&rest)
            } else {
                value.append(character)
                rest.removeFirst()
            }
        }
        while let last = value.last, Self.isBlank(last) { value.removeLast() }
        entries.append(Entry(key: key, value: value, line: line, file: file))
    }

    /// Takes a backslash and what it escapes off the front of `rest`.
    private static func unescape(_ rest: inout Substring) -> String {
        rest.removeFirst()
        guard let character = rest.popFirst() else { return "" }
        switch character {
        case "t": return "\t"
        case "n": return "\n"
        case "r": return "\r"
        case "f": return "\u{0C}"
        case "u":
            guard rest.count >= 4, let code = UInt32(rest.prefix(4), radix: 16),
                let scalar = Unicode.Scalar(code)
            else { return "u" }
            rest = rest.dropFirst(4)
            return String(Character(scalar))
        default: return String(character)
        }
    }
}
