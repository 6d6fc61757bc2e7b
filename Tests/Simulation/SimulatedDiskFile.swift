/// One file of a ``SimulatedDisk``: what a power loss leaves, and what was written over it since
/// the last sync, sector by sector.
struct SimulatedFile {
    private static let sectorBytes = SimulatedDisk.sectorBytes

    private(set) var size = 0
    private var durable: [UInt8] = []
    /// Of `durable`, so many bytes are still part of the file: it may have been cut and grown.
    private var durableLimit = 0
    /// Whole sectors written since the last sync.
    private var unsynced: [Int: [UInt8]] = [:]
    /// Sectors that a failed sync has given up: seen until the power goes, and never written.
    private var lost: Set<Int> = []

    func read(at offset: Int, count: Int) -> [UInt8] {
        let end = min(size, offset + count)
        guard offset < end else { return [] }
        var result: [UInt8] = []
        result.reserveCapacity(end - offset)
        var position = offset
        while position < end {
            let sector = position / Self.sectorBytes
            let start = sector * Self.sectorBytes
            let stop = min(end, start + Self.sectorBytes)
            if let bytes = unsynced[sector] {
                result += bytes[(position - start)..<(stop - start)]
            } else {
                let known = max(position, min(stop, durableLimit))
                if known > position { result += durable[position..<known] }
                result += [UInt8](repeating: 0, count: stop - known)
            }
            position = stop
        }
        return result
    }

    /// The sector as it is now, zeros behind the file's end.
    private func content(of sector: Int) -> [UInt8] {
        var bytes = read(at: sector * Self.sectorBytes, count: Self.sectorBytes)
        bytes += [UInt8](repeating: 0, count: Self.sectorBytes - bytes.count)
        return bytes
    }

    mutating func write(at offset: Int, _ bytes: [UInt8]) {
        guard !bytes.isEmpty else { return }
        var position = offset
        let end = offset + bytes.count
        while position < end {
            let sector = position / Self.sectorBytes
            let start = sector * Self.sectorBytes
            let stop = min(end, start + Self.sectorBytes)
            var content = content(of: sector)
            content.replaceSubrange(
                (position - start)..<(stop - start),
                with: bytes[(position - offset)..<(stop - offset)]
            )
            unsynced[sector] = content
            lost.remove(sector)
            position = stop
        }
        size = max(size, end)
    }

    mutating func truncate(to newSize: Int) {
        if newSize < size {
            let boundary = newSize / Self.sectorBytes
            if newSize % Self.sectorBytes != 0 {
                var bytes = content(of: boundary)
                let kept = newSize - boundary * Self.sectorBytes
                bytes.replaceSubrange(
                    kept...,
                    with: [UInt8](repeating: 0, count: Self.sectorBytes - kept)
                )
                if unsynced[boundary] != nil || kept > 0 { unsynced[boundary] = bytes }
            }
            let first = newSize % Self.sectorBytes == 0 ? boundary : boundary + 1
            unsynced = unsynced.filter { $0.key < first }
            durableLimit = min(durableLimit, newSize)
        }
        size = newSize
    }

    mutating func sync() {
        settle(size: size, keeping: Set(unsynced.keys).subtracting(lost))
        unsynced = unsynced.filter { lost.contains($0.key) }
    }

    mutating func failSync() { lost.formUnion(unsynced.keys) }

    /// Each unsynced sector is there or not; the size is the old one, the new one, or between.
    mutating func crash(using generator: inout some RandomNumberGenerator) {
        var survivors: Set<Int> = []
        for sector in unsynced.keys.sorted()
        where Bool.random(using: &generator) && !lost.contains(sector) {
            survivors.insert(sector)
        }
        let low = min(durable.count, size)
        let high = max(durable.count, size)
        let newSize =
            switch Int.random(in: 0..<3, using: &generator) {
            case 0: durable.count
            case 1: size
            default: Int.random(in: low...high, using: &generator)
            }
        // Cut bytes are gone only where the cut itself survives.
        if newSize > size { durableLimit = max(durableLimit, min(durable.count, newSize)) }
        settle(size: newSize, keeping: survivors)
        size = newSize
        unsynced = [:]
        lost = []
    }

    /// Makes the durable bytes this long, with these unsynced sectors in them.
    private mutating func settle(size: Int, keeping kept: Set<Int>) {
        let known = min(durableLimit, size)
        if durable.count > known { durable.removeLast(durable.count - known) }
        durable.append(contentsOf: repeatElement(0, count: size - durable.count))
        durableLimit = size
        for sector in unsynced.keys.sorted() where kept.contains(sector) {
            let start = sector * Self.sectorBytes
            guard let content = unsynced[sector], start < size else { continue }
            let count = min(Self.sectorBytes, size - start)
            durable.replaceSubrange(start..<(start + count), with: content[..<count])
        }
    }

    mutating func flipBit(at offset: Int, bit: Int) {
        let mask = UInt8(1) << UInt8(bit & 7)
        if offset < durable.count { durable[offset] ^= mask }
        let sector = offset / Self.sectorBytes
        unsynced[sector]?[offset % Self.sectorBytes] ^= mask
    }
}
