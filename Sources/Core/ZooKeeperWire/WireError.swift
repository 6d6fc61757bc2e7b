/// Why bytes from outside could not be understood. The edge closes that connection, or stops at
/// that log record, and does nothing else.
package struct WireError: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Reason: Hashable, Sendable {
        /// The bytes end before the value does. A stream decoder waits for more.
        case truncated
        /// A length below −1, or −1 where null has no meaning.
        case negativeLength
        /// A length or count above the bound that holds for it.
        case tooLong
        /// A number that stands for nothing in its place.
        case unknownValue
        /// Well-formed, but not allowed here.
        case notAllowed
        /// A file or stream that does not begin or end with its fixed mark.
        case wrongMark
        /// The checksum of the bytes read is another one.
        case wrongChecksum
        /// Bytes follow where the value has ended.
        case trailingBytes
    }
    package var reason: Reason
    /// In bytes, from the beginning of the frame, packet, record or stream being decoded.
    package var offset: Int
    /// What was being read.
    package var subject: StaticText

    package init(_ reason: Reason, at offset: Int, reading subject: StaticText) {
        self.reason = reason
        self.offset = offset
        self.subject = subject
    }

    package var description: String {
        let problem =
            switch reason {
            case .truncated: "the bytes end too early"
            case .negativeLength: "a length is negative"
            case .tooLong: "a length is above its bound"
            case .unknownValue: "a number stands for nothing here"
            case .notAllowed: "a value is not allowed here"
            case .wrongMark: "a fixed mark is missing"
            case .wrongChecksum: "the checksum does not match"
            case .trailingBytes: "bytes follow the end"
            }
        return "\(problem), at byte \(offset) reading \(subject)"
    }
}

/// A literal that costs nothing to carry in an error and compares by its text.
package struct StaticText: Hashable, Sendable, ExpressibleByStringLiteral, CustomStringConvertible {
    private let text: StaticString
    package init(stringLiteral value: StaticString) { text = value }
    package var description: String { text.description }
    package static func == (left: StaticText, right: StaticText) -> Bool {
        left.description == right.description
    }
    package func hash(into hasher: inout Hasher) { hasher.combine(description) }
}
