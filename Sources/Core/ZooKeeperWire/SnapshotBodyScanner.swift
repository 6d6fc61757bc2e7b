/// Finds the end of a snapshot's body in chunks cut anywhere, without decoding it: it reads the
/// lengths and passes over the rest. See ``SnapshotElement`` for the layout.
struct SnapshotBodyScanner {
    /// What is read next, once ``skipBytes`` have passed.
    private enum Field {
        case sessionCount
        case aclCount
        case aclID
        case aclEntryCount
        case permissions
        case schemeLength
        case identityLength
        case pathLength
        case endMark
        case dataLength
        case end
    }
    private var field = Field.sessionCount
    /// Content to pass over before ``field``.
    private var skipBytes = 0
    /// The integer being read, and how many of its four bytes are in it.
    private var number: UInt32 = 0
    private var numberBytes = 0
    private var aclsLeft = 0
    private var entriesLeft = 0

    var isComplete: Bool { field == .end && skipBytes == 0 }

    /// How many of these bytes belong to the body: all of them, unless it ends here.
    mutating func scan(_ bytes: ArraySlice<UInt8>) throws(WireError) -> Int {
        var index = bytes.startIndex
        while index < bytes.endIndex && !isComplete {
            if skipBytes > 0 {
                let step = min(skipBytes, bytes.endIndex - index)
                skipBytes -= step
                index += step
                continue
            }
            let byte = bytes[index]
            index += 1
            if field == .endMark {
                // A path of one byte: "/" is the end. No znode's path is any other byte.
                guard byte == 0x2F else {
                    throw WireError(
                        .wrongMark,
                        at: index - bytes.startIndex,
                        reading: "a snapshot's path"
                    )
                }
                field = .end
                continue
            }
            number = number << 8 | UInt32(byte)
            numberBytes += 1
            guard numberBytes == 4 else { continue }
            let value = Int(Int32(bitPattern: number))
            number = 0
            numberBytes = 0
            guard accept(value) else {
                throw WireError(
                    .negativeLength,
                    at: index - bytes.startIndex,
                    reading: "a snapshot's body"
                )
            }
        }
        return index - bytes.startIndex
    }

    /// False for a number that cannot stand there.
    private mutating func accept(_ value: Int) -> Bool {
        switch field {
        case .sessionCount:
            guard value >= 0 else { return false }
            field = .aclCount
            skipBytes = value * 12
        case .aclCount:
            guard value >= 0 else { return false }
            aclsLeft = value
            beginACL()
        case .aclID:
            // The second half of the id; the first was skipped.
            field = .aclEntryCount
        case .aclEntryCount:
            guard value >= -1 else { return false }
            entriesLeft = max(0, value)
            beginEntry()
        case .permissions:
            field = .schemeLength
        case .schemeLength:
            guard value >= -1 else { return false }
            field = .identityLength
            skipBytes = max(0, value)
        case .identityLength:
            guard value >= -1 else { return false }
            entriesLeft -= 1
            beginEntry()
            skipBytes += max(0, value)
        case .pathLength:
            guard value >= 0 else { return false }
            field = value == 1 ? .endMark : .dataLength
            skipBytes = value == 1 ? 0 : value
        case .dataLength:
            guard value >= -1 else { return false }
            field = .pathLength
            // The data, the list's id and the persisted Stat.
            skipBytes = max(0, value) + 8 + 60
        case .endMark, .end:
            break
        }
        return true
    }

    private mutating func beginACL() {
        guard aclsLeft > 0 else {
            field = .pathLength
            return
        }
        aclsLeft -= 1
        field = .aclID
        skipBytes = 4
    }

    private mutating func beginEntry() {
        if entriesLeft > 0 {
            field = .permissions
        } else {
            beginACL()
        }
    }
}
