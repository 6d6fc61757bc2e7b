import Testing
import ZooKeeperModel
import ZooKeeperWire

@Suite struct JuteTests {
    @Test func `every type has the bytes of the Java archives`() {
        #expect(encoded { $0.byte(0x9F) } == hex("9f"))
        #expect(encoded { $0.bool(true) } == hex("01"))
        #expect(encoded { $0.int32(-2) } == hex("fffffffe"))
        #expect(encoded { $0.int64(0x0102_0304_0506_0708) } == hex("0102030405060708"))
        #expect(encoded { $0.buffer(nil) } == hex("ffffffff"))
        #expect(encoded { $0.buffer([]) } == hex("00000000"))
        #expect(encoded { $0.buffer([7]) } == hex("0000000107"))
        #expect(encoded { $0.string("é") } == hex("00000002c3a9"))
        #expect(encoded { $0.vectorCount(nil) } == hex("ffffffff"))
    }

    @Test func `what was written reads back`() throws {
        let path = Samples.oddPath
        var reader = JuteReader(
            encoded {
                $0.byte(200)
                $0.bool(false)
                $0.int32(.min)
                $0.int64(.min)
                $0.buffer(nil)
                $0.buffer([])
                $0.string("日本")
                $0.path(path)
                $0.paths(["/a", "/b"])
                $0.acl(Samples.acl)
                $0.stat(Samples.stat)
                $0.persistedStat(Samples.persistedStat)
            }
        )
        #expect(try reader.byte() == 200)
        #expect(try reader.bool() == false)
        #expect(try reader.int32() == .min)
        #expect(try reader.int64() == .min)
        #expect(try reader.buffer() == nil)
        #expect(try reader.buffer() == [])
        #expect(try reader.string() == "日本")
        #expect(try reader.path() == path)
        #expect(try reader.paths() == ["/a", "/b"])
        #expect(try reader.acl() == Samples.acl)
        #expect(try reader.stat() == Samples.stat)
        #expect(try reader.persistedStat() == Samples.persistedStat)
        #expect(reader.isAtEnd)
    }

    @Test func `any byte but zero is true`() throws {
        var reader = JuteReader([2])
        #expect(try reader.bool())
    }

    @Test func `bytes that are not UTF-8 become replacement characters in a string`() throws {
        var reader = JuteReader(hex("00000003 61ff62"))
        #expect(try reader.string() == "a\u{FFFD}b")
    }

    @Test(arguments: [
        ("fffffffe", WireError.Reason.negativeLength), ("80000000", .negativeLength),
        ("7fffffff", .tooLong), ("00200000", .tooLong), ("00000001", .truncated),
    ])
    func `a length out of bounds is refused`(bytes: String, reason: WireError.Reason) {
        let error = #expect(throws: WireError.self) {
            var reader = JuteReader(hex(bytes))
            _ = try reader.buffer()
        }
        #expect(error?.reason == reason)
        #expect(error?.offset == 4)
    }

    @Test(arguments: [
        ("fffffffe", WireError.Reason.negativeLength), ("7fffffff", .tooLong),
        ("00000002 00000000", .truncated),
    ])
    func `a vector longer than what is left is refused before it is made`(
        bytes: String,
        reason: WireError.Reason
    ) {
        let error = #expect(throws: WireError.self) {
            var reader = JuteReader(hex(bytes))
            _ = try reader.paths()
        }
        #expect(error?.reason == reason)
    }

    @Test func `a reader stays within its range`() throws {
        var reader = JuteReader([9, 9, 1, 2, 3, 4, 9, 9], in: 2..<6)
        #expect(reader.remaining == 4)
        #expect(try reader.int32() == 0x0102_0304)
        #expect(throws: WireError(.truncated, at: 4, reading: "a byte")) { try reader.byte() }
        #expect(throws: WireError.self) { try reader.skip(1) }
        #expect(throws: WireError.self) { try reader.skip(-1) }
    }

    @Test func `an error names its place in a sentence`() {
        #expect(
            WireError(.truncated, at: 7, reading: "a Stat").description
                == "the bytes end too early, at byte 7 reading a Stat"
        )
    }
}

@Suite struct FrameDecoderTests {
    private let frames: [[UInt8]] = [[], [1], [2, 3], [UInt8](repeating: 7, count: 300), [4]]
    private var stream: [UInt8] {
        encoded { writer in
            for frame in frames { writer.buffer(frame) }
        }
    }

    @Test(arguments: [1, 2, 3, 5, 7, 64, 1000])
    func `frames come out however the stream is cut`(chunkBytes: Int) throws {
        var decoder = FrameDecoder()
        var decoded: [[UInt8]] = []
        for start in stride(from: 0, to: stream.count, by: chunkBytes) {
            decoder.append(Array(stream[start..<min(start + chunkBytes, stream.count)]))
            while var frame = try decoder.next() { decoded.append(frame.rest()) }
        }
        #expect(decoded == frames)
        #expect(decoder.bufferedBytes == 0)
    }

    @Test func `chunks may gather before frames are taken`() throws {
        var decoder = FrameDecoder()
        var decoded: [[UInt8]] = []
        for (index, byte) in stream.enumerated() {
            decoder.append([byte])
            // One frame for seven chunks, so that more and more wait.
            if index.isMultiple(of: 7), var frame = try decoder.next() {
                decoded.append(frame.rest())
            }
        }
        while var frame = try decoder.next() { decoded.append(frame.rest()) }
        #expect(decoded == frames)
    }

    @Test func `a frame outlives the next chunk`() throws {
        var decoder = FrameDecoder()
        decoder.append(hex("00000001 05 0000"))
        var frame = try #require(try decoder.next())
        decoder.append(hex("0001 06"))
        var second = try #require(try decoder.next())
        #expect(frame.rest() == [5])
        #expect(second.rest() == [6])
    }

    @Test(arguments: [
        ("ffffffff", WireError.Reason.negativeLength), ("80000000", .negativeLength),
        ("00100000", .tooLong), ("7fffffff", .tooLong),
    ])
    func `a length out of bounds is refused at once`(length: String, reason: WireError.Reason) {
        var decoder = FrameDecoder()
        decoder.append(hex("00000001 05") + hex(length))
        #expect(throws: WireError(reason, at: 5, reading: "a frame")) {
            _ = try decoder.next()
            _ = try decoder.next()
        }
    }

    @Test func `the longest frame that Apache accepts is accepted`() throws {
        var decoder = FrameDecoder()
        decoder.append(hex("000fffff") + [UInt8](repeating: 0, count: 0xF_FFFF))
        #expect(try decoder.next()?.remaining == 1_048_575)
    }
}
