import Testing
import ZooKeeperModel
import ZooKeeperWire

@Suite struct TransactionCodecTests {
    @Test(arguments: Samples.transactions)
    func `every transaction reads back as it was written`(transaction: Transaction) throws {
        let bytes = TransactionCodec.encode(transaction)
        #expect(try TransactionCodec.decode(bytes) == transaction)
        #expect(try TransactionCodec.peekZxid(bytes) == transaction.zxid)
    }

    @Test(arguments: Samples.transactions)
    func `every truncation is refused, unless it is an older form`(transaction: Transaction) {
        let bytes = TransactionCodec.encode(transaction)
        var withoutDigest = transaction
        withoutDigest.digest = nil
        let recordEnd = TransactionCodec.encode(withoutDigest).count
        var whole = [recordEnd]
        switch transaction.body {
        case .create(let create) where create.kind == .create || create.kind == .create2:
            whole.append(recordEnd - 4)
        // Without a list; and twelve bytes of one can pass for a digest behind none.
        case .closeSession: whole += [32, 44]
        default: break
        }
        for end in 0..<bytes.count where !whole.contains(end) {
            #expect(throws: WireError.self, "cut at \(end)") {
                try TransactionCodec.decode(Array(bytes[..<end]))
            }
        }
    }

    @Test func `a create of a log before 3 4 leaves the parent's counter open`() throws {
        let create = CreateTransaction(
            path: "/a",
            data: [1],
            acl: .open,
            isEphemeral: true,
            parentCVersion: 7
        )
        let bytes = TransactionCodec.encode(
            Transaction(
                session: .none,
                cxid: 0,
                zxid: Zxid(rawValue: 1),
                time: Timestamp(rawValue: 1),
                body: .create(create)
            )
        )
        var expected = create
        expected.parentCVersion = -1
        let decoded = try TransactionCodec.decode(Array(bytes.dropLast(4)))
        #expect(decoded.body == .create(expected))
    }

    @Test func `a create2 stays one, but not inside a multi`() throws {
        var transaction = Samples.transactions[0]
        let create = CreateTransaction(
            path: "/a",
            data: nil,
            acl: .open,
            isEphemeral: false,
            parentCVersion: 1,
            kind: .create2
        )
        transaction.body = .multi([.create(create)])
        var expected = create
        expected.kind = .create
        let decoded = try TransactionCodec.decode(TransactionCodec.encode(transaction))
        #expect(decoded.body == .multi([.create(expected)]))
    }

    @Test func `a log entry has the bytes of Apache`() throws {
        let bytes = hex(
            """
            0100000ce6f60000 00000000 0000000000000001 000001a2032b7c35 fffffff6 00002710
            00000002 0000000051c6d660
            """
        )
        let transaction = Transaction(
            session: SessionID(rawValue: 0x0100_000C_E6F6_0000),
            cxid: 0,
            zxid: Zxid(rawValue: 1),
            time: Timestamp(rawValue: 0x1A2_032B_7C35),
            body: .createSession(timeout: 10_000),
            digest: TreeDigestValue(value: 0x51C6_D660)
        )
        #expect(try TransactionCodec.decode(bytes) == transaction)
        #expect(TransactionCodec.encode(transaction) == bytes)
        #expect(Adler32.checksum(of: bytes) == 0xC848_09E6)
    }

    @Test func `a closed session's ephemerals have the bytes of Apache`() {
        let transaction = Transaction(
            session: .none,
            cxid: 0,
            zxid: .zero,
            time: Timestamp(rawValue: 0),
            body: .closeSession(["/x/e", "/x/f"])
        )
        #expect(
            Array(TransactionCodec.encode(transaction)[28...])
                == hex("fffffff5 00000002 00000004 2f782f65 00000004 2f782f66")
        )
    }

    @Test(arguments: ["00000003", "0000000e", "00000064", "000003e7", "7fffffff"])
    func `a type that is no transaction is refused`(type: String) {
        let header = [UInt8](repeating: 0, count: 28)
        #expect(throws: WireError.self) {
            try TransactionCodec.decode(header + hex(type) + hex("ffffffff 00000000"))
        }
    }

    @Test func `a multi inside a multi is refused`() {
        let header = [UInt8](repeating: 0, count: 28)
        #expect(throws: WireError.self) {
            try TransactionCodec.decode(
                header + hex("0000000e 00000001 0000000e 00000004 00000000")
            )
        }
    }
}

@Suite struct ChecksumTests {
    @Test func `Adler-32 and CRC-32 have their published values`() {
        #expect(Adler32.checksum(of: []) == 1)
        #expect(Adler32.checksum(of: Array("Wikipedia".utf8)) == 0x11E6_0398)
        #expect(Adler32.checksum(of: [UInt8](repeating: 0xFF, count: 100_000)) == 0x149A_302C)
        #expect(CRC32.checksum(of: []) == 0)
        #expect(CRC32.checksum(of: Array("123456789".utf8)) == 0xCBF4_3926)
        #expect(CRC32.checksum(of: [UInt8](repeating: 0xFF, count: 100_000)) == 0x68C6_CEC4)
    }

    @Test func `pieces have the checksum of the whole`() {
        var random = FixedRandom(seed: 1)
        let bytes = (0..<20_000).map { _ in UInt8.random(in: 0...255, using: &random) }
        var adler = Adler32()
        var crc = CRC32()
        var start = 0
        while start < bytes.count {
            let end = min(start + Int.random(in: 0...997, using: &random), bytes.count)
            adler.update(bytes[start..<end])
            crc.update(bytes[start..<end])
            start = end
        }
        #expect(adler.value == Adler32.checksum(of: bytes))
        #expect(crc.value == CRC32.checksum(of: bytes))
    }

    @Test func `the digest of an empty tree is that of Apache`() {
        let stat = [UInt8](repeating: 0, count: 60)
        let sum =
            UInt64(CRC32.checksum(of: stat))
            + UInt64(CRC32.checksum(of: Array("/zookeeper".utf8) + stat))
        #expect(sum == 0x51C6_D660)
    }
}
