import Testing
import ZooKeeperModel
import ZooKeeperWire

@Suite struct RequestCodecTests {
    @Test(arguments: Samples.operations)
    func `every request reads back as it was written`(operation: Operation) throws {
        let request = Request(xid: -8, operation: operation)
        var decoder = FrameDecoder()
        decoder.append(encoded { RequestCodec.encode(request, into: &$0) })
        var frame = try #require(try decoder.next())
        #expect(try RequestCodec.decode(&frame) == request)
        #expect(frame.isAtEnd)

        let (code, body) = RequestCodec.encodeBody(operation)
        #expect(code == RequestCodec.code(of: operation))
        #expect(RequestCodec.decodeBody(code: code, body) == operation)
    }

    @Test(arguments: Samples.operations)
    func `every request cut short is malformed, and one without a header is none`(
        operation: Operation
    ) throws {
        let bytes = content(
            encoded { RequestCodec.encode(Request(xid: 5, operation: operation), into: &$0) }
        )
        for end in 0..<bytes.count {
            var reader = JuteReader(bytes, in: 0..<end)
            if end < 8 {
                #expect(throws: WireError.self) { try RequestCodec.decode(&reader) }
            } else {
                let request = try RequestCodec.decode(&reader)
                #expect(request.xid == 5)
                #expect(request.operation == .malformed(code: RequestCodec.code(of: operation)))
            }
        }
    }

    @Test func `a create has the bytes that Apache accepts`() {
        let request = Request(
            xid: 1,
            operation: .create(CreateRequest(kind: .create, path: "/a", data: [0x78], flags: 0))
        )
        #expect(
            content(encoded { RequestCodec.encode(request, into: &$0) })
                == hex(
                    """
                    00000001 00000001 00000002 2f61 00000001 78 00000001 0000001f 00000005
                    776f726c64 00000006 616e796f6e65 00000000
                    """
                )
        )
    }

    @Test func `addWatch and auth have the bytes that Apache accepts`() {
        let addWatch = Request(xid: 0x22, operation: .addWatch("/w", mode: 0))
        #expect(
            content(encoded { RequestCodec.encode(addWatch, into: &$0) })
                == hex("00000022 0000006a 00000002 2f77 00000000")
        )
        let auth = Request(
            xid: Request.authXid,
            operation: .auth(scheme: "digest", credential: Array("u:p".utf8))
        )
        #expect(
            content(encoded { RequestCodec.encode(auth, into: &$0) })
                == hex("fffffffc 00000064 00000000 00000006 646967657374 00000003 753a70")
        )
    }

    @Test(arguments: [16, 20, 22, 102, 103, 104, 107, -10, -1, 0, 10, 999, .min, .max] as [Int32])
    func `an operation that is not served is known by its code`(code: Int32) {
        #expect(RequestCodec.decodeBody(code: code, [1, 2, 3]) == .unsupported(code: code))
    }

    @Test(
        arguments: [
            .getData("/a", watch: false), .setACL("/a", acl: .open, version: 0), .multi([]), .ping,
            .closeSession, .unsupported(code: 999),
        ] as [Operation]
    )
    func `a multi with another operation in it is malformed`(part: Operation) {
        let (code, body) = RequestCodec.encodeBody(.multi([.delete("/a", version: 0), part]))
        #expect(RequestCodec.decodeBody(code: code, body) == .malformed(code: 14))
    }

    /// Each member has its own `jute.maxbuffer`, and the one that a client talks to has looked at it.
    @Test func `what a learner passes on is as large as it let in`() {
        let data = [UInt8](repeating: 7, count: 5 << 20)
        for operation in [
            .setData("/a", data: data, version: 0),
            .multi([.setData("/a", data: data, version: 0)]),
        ] as [Operation] {
            let (code, body) = RequestCodec.encodeBody(operation)
            #expect(RequestCodec.decodeBody(code: code, body) == operation)
        }
    }

    @Test func `a null path is empty for setting and checking, malformed for all else`() {
        #expect(
            RequestCodec.decodeBody(code: 13, hex("ffffffff 00000000")) == .check("", version: 0)
        )
        #expect(
            RequestCodec.decodeBody(code: 2, hex("ffffffff 00000000")) == .malformed(code: 2)
        )
        #expect(
            RequestCodec.decodeBody(code: 4, hex("ffffffff 00")) == .malformed(code: 4)
        )
    }

    @Test func `a null list of access is an empty one`() {
        #expect(
            RequestCodec.decodeBody(code: 7, hex("00000001 2f ffffffff 00000000"))
                == .setACL("/", acl: [], version: 0)
        )
    }

    @Test func `bytes behind a record are ignored, as Apache ignores them`() {
        #expect(RequestCodec.decodeBody(code: 11, [1, 2, 3]) == .ping)
        #expect(
            RequestCodec.decodeBody(code: 2, hex("00000002 2f61 00000001 ff"))
                == .delete("/a", version: 1)
        )
    }
}

@Suite struct ConnectCodecTests {
    private let request = ConnectRequest(
        lastZxidSeen: .zero,
        timeout: 10_000,
        session: .none,
        password: [UInt8](repeating: 0, count: 16)
    )

    @Test func `both messages have the bytes of Apache`() {
        #expect(
            content(encoded { ConnectCodec.encode(request, into: &$0) })
                == hex("00000000 0000000000000000 00002710 0000000000000000 00000010")
                + [UInt8](repeating: 0, count: 17)
        )
        let response = ConnectResponse(
            timeout: 10_000,
            session: SessionID(rawValue: 0x0100_000A_4C2B_0000),
            password: SessionPassword.password(of: SessionID(rawValue: 0x0100_000A_4C2B_0000))
        )
        #expect(
            content(encoded { ConnectCodec.encode(response, into: &$0) })
                == hex(
                    """
                    00000000 00002710 0100000a4c2b0000 00000010 57b48f009824ffd78df0a366a1628a9b
                    00
                    """
                )
        )
    }

    @Test(arguments: [true, false], [true, false])
    func `both messages read back, with and without the flag`(
        hasFlag: Bool,
        hasPassword: Bool
    ) throws {
        var request = request
        request.hasReadOnlyFlag = hasFlag
        request.readOnly = hasFlag
        if !hasPassword { request.password = nil }
        var reader = JuteReader(content(encoded { ConnectCodec.encode(request, into: &$0) }))
        #expect(try ConnectCodec.decodeRequest(&reader) == request)
        #expect(reader.isAtEnd)

        let response = ConnectResponse(
            timeout: 0,
            session: .none,
            password: SessionPassword.none,
            readOnly: hasFlag,
            hasReadOnlyFlag: hasFlag
        )
        reader = JuteReader(content(encoded { ConnectCodec.encode(response, into: &$0) }))
        #expect(try ConnectCodec.decodeResponse(&reader) == response)
        #expect(reader.isAtEnd)
    }

    @Test func `every truncation is refused, but for the flag`() {
        let bytes = content(encoded { ConnectCodec.encode(request, into: &$0) })
        for end in 0..<(bytes.count - 1) {
            var reader = JuteReader(bytes, in: 0..<end)
            #expect(throws: WireError.self) { try ConnectCodec.decodeRequest(&reader) }
        }
        let response = ConnectResponse(
            timeout: 1,
            session: SessionID(rawValue: 2),
            password: SessionPassword.none
        )
        let answer = content(encoded { ConnectCodec.encode(response, into: &$0) })
        for end in 0..<(answer.count - 1) {
            var reader = JuteReader(answer, in: 0..<end)
            #expect(throws: WireError.self) { try ConnectCodec.decodeResponse(&reader) }
        }
    }

    @Test func `a session is taken with its own password alone`() {
        let session = SessionID(rawValue: 0x0100_000A_4C2B_0000)
        let password = SessionPassword.password(of: session)
        #expect(password == hex("57b48f009824ffd78df0a366a1628a9b"))
        #expect(SessionPassword.isValid(password, for: session))
        #expect(!SessionPassword.isValid(password, for: SessionID(rawValue: 1)))
        #expect(!SessionPassword.isValid(nil, for: session))
        #expect(!SessionPassword.isValid(SessionPassword.password(of: .none), for: .none))
    }
}

@Suite struct ReplyCodecTests {
    @Test(arguments: Samples.responses)
    func `every reply reads back as it was written`(
        operation: Operation,
        response: Response
    ) throws {
        let reply = Reply(
            xid: 9,
            zxid: Zxid(epoch: 1, counter: 7),
            result: .success(response)
        )
        var reader = JuteReader(content(encoded { ReplyCodec.encode(reply, into: &$0) }))
        let header = try ReplyCodec.decodeHeader(&reader)
        #expect(try ReplyCodec.decodeReply(header, to: operation, &reader) == reply)
        #expect(reader.isAtEnd)
    }

    @Test(arguments: Samples.responses)
    func `every truncation of a reply is refused`(operation: Operation, response: Response) {
        let reply = Reply(xid: 9, zxid: .zero, result: .success(response))
        let bytes = content(encoded { ReplyCodec.encode(reply, into: &$0) })
        for end in 0..<bytes.count {
            var reader = JuteReader(bytes, in: 0..<end)
            #expect(throws: WireError.self) {
                let header = try ReplyCodec.decodeHeader(&reader)
                _ = try ReplyCodec.decodeReply(header, to: operation, &reader)
            }
        }
    }

    @Test func `a refusal is a header alone`() throws {
        let reply = Reply(xid: 5, zxid: Zxid(rawValue: 9), result: .failure(.nodeExists))
        let bytes = content(encoded { ReplyCodec.encode(reply, into: &$0) })
        #expect(bytes == hex("00000005 0000000000000009 ffffff92"))
        var reader = JuteReader(bytes)
        let header = try ReplyCodec.decodeHeader(&reader)
        #expect(try ReplyCodec.decodeReply(header, to: .sync("/"), &reader) == reply)
    }

    @Test func `a created path and an added watch have the bytes of Apache`() {
        let created = Reply(
            xid: 1,
            zxid: Zxid(rawValue: 6),
            result: .success(.created("/a"))
        )
        #expect(
            content(encoded { ReplyCodec.encode(created, into: &$0) })
                == hex("00000001 0000000000000006 00000000 00000002 2f61")
        )
        let added = Reply(xid: 0x22, zxid: Zxid(rawValue: 0x4E), result: .success(.watchAdded))
        #expect(
            content(encoded { ReplyCodec.encode(added, into: &$0) })
                == hex("00000022 000000000000004e 00000000 00000000")
        )
    }

    @Test func `a multi that failed has the bytes of Apache`() {
        let reply = Reply(
            xid: 0x14,
            zxid: Zxid(rawValue: 0xE),
            result: .success(
                .multi([.failure(.ok), .failure(.badVersion), .failure(.runtimeInconsistency)])
            )
        )
        #expect(
            content(encoded { ReplyCodec.encode(reply, into: &$0) })
                == hex(
                    """
                    00000014 000000000000000e 00000000 | ffffffff 00 00000000 00000000
                    | ffffffff 00 ffffff99 ffffff99 | ffffffff 00 fffffffe fffffffe
                    | ffffffff 01 ffffffff
                    """
                )
        )
    }

    @Test func `a watch event has the bytes of Apache and reads back`() throws {
        let event = WatchEvent(kind: .dataChanged, path: "/w")
        let bytes = content(encoded { ReplyCodec.encode(event, into: &$0) })
        #expect(bytes == hex("ffffffff ffffffffffffffff 00000000 00000003 00000003 00000002 2f77"))
        var reader = JuteReader(bytes)
        let header = try ReplyCodec.decodeHeader(&reader)
        #expect(header.isEvent)
        #expect(try ReplyCodec.decodeEvent(header, &reader) == event)
        for end in 0..<bytes.count {
            var reader = JuteReader(bytes, in: 0..<end)
            #expect(throws: WireError.self) {
                let header = try ReplyCodec.decodeHeader(&reader)
                _ = try ReplyCodec.decodeEvent(header, &reader)
            }
        }
    }

    @Test func `an event without a znode is nothing`() throws {
        var reader = JuteReader(hex("ffffffff 00000003 00000000"))
        let header = ReplyHeader(xid: -1, zxid: .none, error: .ok)
        #expect(try ReplyCodec.decodeEvent(header, &reader) == nil)
    }
}
