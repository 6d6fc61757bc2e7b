import Foundation
import ZooKeeperModel
import ZooKeeperWire

/// The captured bytes in Tests/Golden.
enum Golden {
    struct Line {
        var isFromServer: Bool
        var name: String
        var bytes: [UInt8]
    }

    static func text(_ file: String) throws -> String {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("Golden")
        return try String(contentsOf: folder.appendingPathComponent(file), encoding: .utf8)
    }

    /// A `.txt` file.
    static func lines(_ file: String) throws -> [Line] {
        try text(file).split(separator: "\n").filter { !$0.hasPrefix("#") }.map { line in
            let fields = line.split(separator: " ")
            return Line(
                isFromServer: fields[0] == "<",
                name: String(fields[1]),
                bytes: hex(fields[2])
            )
        }
    }

    /// A `.hex` file.
    static func file(_ file: String) throws -> [UInt8] {
        hex(try text(file).split(separator: "\n").filter { !$0.hasPrefix("#") }.joined())
    }
}

/// Bytes from hexadecimal digits; spaces and bars between them mean nothing.
func hex(_ text: some StringProtocol) -> [UInt8] {
    let digits = text.compactMap(\.hexDigitValue)
    precondition(digits.count.isMultiple(of: 2), "half a byte in \(text)")
    return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
}

func encoded(_ write: (inout JuteWriter) -> Void) -> [UInt8] {
    var writer = JuteWriter()
    write(&writer)
    return writer.bytes
}

/// The content of a frame, without its length.
func content(_ frame: [UInt8]) -> [UInt8] { Array(frame[4...]) }

/// A generator of random numbers that is the same in every run (SplitMix64).
struct FixedRandom: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return value ^ value >> 31
    }
}
