import Testing
import ZooKeeperModel
import ZooKeeperWire

@Suite struct SnapshotTests {
    private func decode(_ bytes: [UInt8], chunkBytes: Int) throws -> [SnapshotElement] {
        var decoder = SnapshotBodyDecoder()
        var elements: [SnapshotElement] = []
        for start in stride(from: 0, to: bytes.count, by: chunkBytes) {
            decoder.append(Array(bytes[start..<min(start + chunkBytes, bytes.count)]))
            while let element = try decoder.next() { elements.append(element) }
        }
        #expect(decoder.isComplete)
        return elements
    }

    @Test(arguments: [1, 2, 3, 7, 50, 10_000])
    func `a body reads back however it is cut`(chunkBytes: Int) throws {
        #expect(
            try decode(Samples.snapshotBody, chunkBytes: chunkBytes) == Samples.snapshotElements
        )
    }

    @Test func `slices of the encoder make the same body`() {
        var encoder = SnapshotBodyEncoder()
        var bytes: [UInt8] = []
        encoder.begin(
            sessions: [(SessionID(rawValue: 1), 4000), (SessionID(rawValue: 2), 5000)],
            acls: [(1, []), (2, Samples.acl)]
        )
        for znode in Samples.znodes {
            bytes += encoder.takeSlice()
            #expect(encoder.pendingBytes == 0)
            encoder.add(znode)
        }
        encoder.finish()
        bytes += encoder.takeSlice()
        #expect(bytes == Samples.snapshotBody)
    }

    @Test func `what follows the body is left over`() throws {
        var decoder = SnapshotBodyDecoder()
        decoder.append(Samples.snapshotBody + [1, 2])
        while try decoder.next() != nil {}
        #expect(decoder.isComplete)
        #expect(decoder.decodedBytes == Samples.snapshotBody.count)
        decoder.append([3])
        #expect(decoder.takeRemainder() == [1, 2, 3])
    }

    @Test func `a body cut short is never complete`() throws {
        for end in 0..<Samples.snapshotBody.count {
            var decoder = SnapshotBodyDecoder()
            decoder.append(Array(Samples.snapshotBody[..<end]))
            while try decoder.next() != nil {}
            #expect(!decoder.isComplete)
        }
    }

    @Test(arguments: [
        "ffffffff", "00000000 80000000", "00000000 00000000 ffffffff",
        "00000000 00000000 00000002 2f61 fffffffe", "00000000 00000000 7fffffff",
        "00000000 00000001 0000000000000001 fffffffe",
    ])
    func `a body with an impossible number is refused`(bytes: String) {
        var decoder = SnapshotBodyDecoder()
        decoder.append(hex(bytes) + [UInt8](repeating: 0, count: 100))
        #expect(throws: WireError.self) { while try decoder.next() != nil {} }
    }

    @Test func `an empty snapshot has the bytes of Apache`() throws {
        let zero = PersistedStat(
            czxid: .zero,
            mzxid: .zero,
            ctime: Timestamp(rawValue: 0),
            mtime: Timestamp(rawValue: 0),
            version: 0,
            cversion: 0,
            aversion: 0,
            ephemeralOwner: 0,
            pzxid: .zero
        )
        var config = zero
        config.aversion = -1
        var encoder = SnapshotBodyEncoder()
        encoder.begin(
            sessions: [],
            acls: [(1, [ACL(permissions: .read, identity: .anyone)])]
        )
        encoder.add(path: .root, data: [], aclID: -1, stat: zero)
        encoder.add(path: "/zookeeper", data: [], aclID: -1, stat: zero)
        encoder.add(path: "/zookeeper/config", data: [], aclID: 1, stat: config)
        encoder.add(path: "/zookeeper/quota", data: [], aclID: -1, stat: zero)
        encoder.finish()
        var file = FileHeader.snapshot.bytes + encoder.takeSlice()
        var sum = Adler32()
        sum.update(file)
        file += SnapshotSeal.bytes(sum)
        file += SnapshotDigest(zxid: .zero, digest: TreeDigestValue(value: 0)).bytes
        sum = Adler32()
        sum.update(file)
        file += SnapshotSeal.bytes(sum)
        #expect(file.count == 457)
        #expect(file.suffix(46).prefix(13).elementsEqual(hex("00000000b8a23b49 00000001 2f")))
        #expect(file.suffix(13).elementsEqual(hex("0000000095b93d59 00000001 2f")))
    }

    @Test func `a seal is refused with another sum, another mark or cut short`() throws {
        var sum = Adler32()
        sum.update([1, 2, 3])
        let seal = SnapshotSeal.bytes(sum)
        #expect(seal.count == SnapshotSeal.size)
        #expect(seal.suffix(5).elementsEqual(SnapshotSeal.ending))
        var reader = JuteReader(seal)
        try SnapshotSeal.verify(&reader, sum: sum)
        #expect(reader.isAtEnd)
        #expect(throws: WireError.self) {
            var reader = JuteReader(seal)
            try SnapshotSeal.verify(&reader, sum: Adler32())
        }
        #expect(throws: WireError.self) {
            var reader = JuteReader(seal.dropLast() + [0x2E])
            try SnapshotSeal.verify(&reader, sum: sum)
        }
        for end in 0..<seal.count {
            #expect(throws: WireError.self) {
                var reader = JuteReader(seal, in: 0..<end)
                try SnapshotSeal.verify(&reader, sum: sum)
            }
        }
    }

    @Test func `file headers and digests read back, and others are refused`() throws {
        var reader = JuteReader(FileHeader.log.bytes)
        #expect(try FileHeader.decode(&reader, magic: FileHeader.logMagic) == .log)
        #expect(FileHeader.log.bytes == hex("5a4b4c47 00000002 0000000000000000"))
        #expect(FileHeader.snapshot.bytes == hex("5a4b534e 00000002 ffffffffffffffff"))
        #expect(throws: WireError.self) {
            var reader = JuteReader(FileHeader.log.bytes)
            _ = try FileHeader.decode(&reader, magic: FileHeader.snapshotMagic)
        }
        #expect(throws: WireError.self) {
            var reader = JuteReader(hex("5a4b4c47 00000003 0000000000000000"))
            _ = try FileHeader.decode(&reader, magic: FileHeader.logMagic)
        }
        let digest = SnapshotDigest(
            zxid: Zxid(epoch: 1, counter: 2),
            digest: TreeDigestValue(value: -5)
        )
        #expect(digest.bytes.count == SnapshotDigest.size)
        reader = JuteReader(digest.bytes)
        #expect(try SnapshotDigest.decode(&reader) == digest)
    }
}
