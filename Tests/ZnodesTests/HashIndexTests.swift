import Testing

@testable import Znodes

struct HashIndexTests {
    @Test func `each insertion adds at most one bucket, and chains stay short`() {
        var index = HashIndex()
        var random = SeededGenerator(seed: 5)
        var hashes: [UInt32] = []
        for number in 0..<20_000 as Range<UInt32> {
            let before = index.bucketCount
            let hash = UInt32.random(in: 0...(.max), using: &random)
            index.insert(number, hash: hash)
            hashes.append(hash)
            #expect(index.bucketCount <= before + 1)
        }
        index.checkInvariants()
        #expect(index.bucketCount >= 20_000)
        for (number, hash) in hashes.enumerated() {
            var found = index.first(hash)
            while found != HashIndex.none, found != UInt32(number) {
                found = index.next(after: found)
            }
            #expect(found == UInt32(number))
        }
    }

    @Test func `entries of one hash are all found, and each can go`() {
        var index = HashIndex()
        for number in 0..<100 as Range<UInt32> { index.insert(number, hash: 42) }
        for number in stride(from: 0 as UInt32, to: 100, by: 2) { index.remove(number) }
        var found: [UInt32] = []
        var next = index.first(42)
        while next != HashIndex.none {
            found.append(next)
            next = index.next(after: next)
        }
        #expect(found.sorted() == (0..<50).map { $0 * 2 + 1 })
        #expect(index.first(43) == HashIndex.none)
        index.checkInvariants()
    }
}
