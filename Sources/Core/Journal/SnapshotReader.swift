internal import ZooKeeperModel
internal import ZooKeeperWire

/// Reads a snapshot file from front to end, in chunks, and hands its elements on as they come.
///
/// Whether the file is sound is known only at its end: ``SnapshotSeal`` names the layout.
struct SnapshotReader {
    private static let chunkBytes = 1 << 20
    /// Digest and last zxid with their seals, and some air for parts that later versions may add.
    private static let maximumTailBytes = 4096

    enum Outcome: Hashable {
        case sound(digest: SnapshotDigest?, sizeBytes: Int)
        /// Why this file cannot be used.
        case unsound(String)
    }

    let disk: any Disk
    let file: String

    /// The quick look: long enough, and the last bytes are those of a seal.
    func looksComplete() throws(DiskError) -> Bool {
        guard let size = try disk.size(file), size >= FileHeader.size + SnapshotSeal.size else {
            return false
        }
        let count = SnapshotSeal.ending.count
        return try disk.read(file, at: size - count, count: count) == SnapshotSeal.ending
    }

    func read(
        _ body: (SnapshotElement) throws(RecoveryRefusal) -> Void
    ) throws(DiskError) -> Outcome {
        guard try looksComplete() else { return .unsound("it is not complete") }
        let start = try disk.read(file, at: 0, count: FileHeader.size)
        do throws(WireError) {
            var reader = JuteReader(start)
            _ = try FileHeader.decode(&reader, magic: FileHeader.snapshotMagic)
        } catch {
            return .unsound("\(error)")
        }
        var sum = Adler32()
        sum.update(start)

        var decoder = SnapshotBodyDecoder()
        var offset = FileHeader.size
        var tail: [UInt8] = []
        while !decoder.isComplete {
            let chunk = try disk.read(file, at: offset, count: Self.chunkBytes)
            if chunk.isEmpty { return .unsound("it ends within its body") }
            offset += chunk.count
            decoder.append(chunk)
            do throws(WireError) {
                while let element = try decoder.next() {
                    do throws(RecoveryRefusal) {
                        try body(element)
                    } catch {
                        return .unsound(error.reason)
                    }
                }
            } catch {
                return .unsound("\(error)")
            }
            if decoder.isComplete { tail = decoder.takeRemainder() }
            // The end of the body lies in this chunk, so the remainder is a part of it.
            sum.update(chunk[..<(chunk.count - tail.count)])
        }
        let bodyEnd = offset - tail.count
        if tail.count <= Self.maximumTailBytes {
            tail += try disk.read(file, at: offset, count: Self.maximumTailBytes + 1)
        }
        guard tail.count <= Self.maximumTailBytes else {
            return .unsound("it goes on after its end")
        }
        do throws(WireError) {
            let digest = try Self.verify(tail, sum)
            return .sound(digest: digest, sizeBytes: bodyEnd + tail.count)
        } catch {
            return .unsound("\(error)")
        }
    }

    /// What follows the body: seal, and optionally digest and seal, last zxid and seal.
    private static func verify(
        _ tail: [UInt8],
        _ bodySum: Adler32
    ) throws(WireError) -> SnapshotDigest? {
        var sum = bodySum
        var reader = JuteReader(tail)
        func seal() throws(WireError) {
            let start = reader.offset
            try SnapshotSeal.verify(&reader, sum: sum)
            sum.update(tail[start..<reader.offset])
        }
        try seal()
        guard reader.offset < tail.count else { return nil }
        let start = reader.offset
        let digest = try SnapshotDigest.decode(&reader)
        sum.update(tail[start..<reader.offset])
        try seal()
        // The last processed zxid of 3.9 and whatever comes later: passed over, as 3.8 does.
        return digest
    }
}
