import Testing
import ZooKeeperModel
import ZooKeeperWire

@Suite struct LearnerProtocolTests {
    private func bytes(_ messages: [LearnerMessage], from sender: LearnerCodec.Sender) -> [UInt8] {
        encoded { writer in
            for message in messages { LearnerCodec.encode(message, from: sender, into: &writer) }
        }
    }

    /// Slices that follow one another come out as one.
    private func decode(
        _ bytes: [UInt8],
        from sender: LearnerCodec.Sender,
        chunkBytes: Int
    ) throws -> [LearnerMessage] {
        var decoder = LearnerStreamDecoder(from: sender)
        var messages: [LearnerMessage] = []
        for start in stride(from: 0, to: bytes.count, by: chunkBytes) {
            decoder.append(Array(bytes[start..<min(start + chunkBytes, bytes.count)]))
            while let message = try decoder.next() {
                if case .snapshotSlice(let more) = message,
                    case .snapshotSlice(let sofar) = messages.last
                {
                    messages[messages.count - 1] = .snapshotSlice(sofar + more)
                } else {
                    messages.append(message)
                }
            }
        }
        #expect(decoder.bufferedBytes == 0)
        return messages
    }

    @Test(arguments: [1, 2, 5, 13, 100, 100_000])
    func `both directions read back however they are cut`(chunkBytes: Int) throws {
        let learner = bytes(Samples.fromLearner, from: .learner)
        #expect(
            try decode(learner, from: .learner, chunkBytes: chunkBytes) == Samples.fromLearner
        )
        let leader = bytes(Samples.fromLeader, from: .leader)
        #expect(try decode(leader, from: .leader, chunkBytes: chunkBytes) == Samples.fromLeader)
    }

    @Test(arguments: [
        (
            "0000000b 0000000000000000 00000014 0000000000000001 00010000 0000000000000000 ffffffff",
            LearnerMessage.learnerInfo(
                LearnerInfo(server: ServerID(rawValue: 1), isObserver: false, acceptedEpoch: 0)
            )
        ),
        (
            "00000012 0000000000000000 00000004 00000000 ffffffff",
            .ackEpoch(lastZxid: .zero, currentEpoch: 0)
        ),
        ("00000003 0000000100000000 ffffffff ffffffff", .ack(Zxid(epoch: 1, counter: 0))),
        (
            """
            00000005 0000000100000003 00000018 0200000fda890000 00002710 0100000fda540000 00001f40
            ffffffff
            """,
            .ping(
                Zxid(epoch: 1, counter: 3),
                touched: [
                    TouchedSession(
                        session: SessionID(rawValue: 0x0200_000F_DA89_0000),
                        timeout: 10_000
                    ),
                    TouchedSession(
                        session: SessionID(rawValue: 0x0100_000F_DA54_0000),
                        timeout: 8000
                    ),
                ]
            )
        ),
        (
            "00000005 0000000100000003 00000000 ffffffff",
            .ping(Zxid(epoch: 1, counter: 3), touched: [])
        ),
        (
            "00000006 ffffffffffffffff 0000000c 0100000fda540000 00001f40 ffffffff",
            .revalidate(
                SessionID(rawValue: 0x0100_000F_DA54_0000),
                timeout: 8000,
                isValid: nil
            )
        ),
        (
            """
            00000001 ffffffffffffffff 00000016 0100000fda540000 00000004 00000009 00000002 2f78
            00000001 | 00000002 6970 | 00000009 3132372e302e302e31
            """,
            .request(
                ForwardedRequest(
                    session: SessionID(rawValue: 0x0100_000F_DA54_0000),
                    cxid: 4,
                    operationCode: 9,
                    body: [0, 0, 0, 2, 0x2F, 0x78],
                    identities: [Identity(scheme: "ip", id: "127.0.0.1")]
                )
            )
        ),
    ])
    func `a learner's packets have the bytes of Apache`(
        packet: String,
        message: LearnerMessage
    ) throws {
        #expect(bytes([message], from: .learner) == hex(packet))
        #expect(try decode(hex(packet), from: .learner, chunkBytes: 1000) == [message])
    }

    @Test(arguments: [
        (
            "00000011 0000000100000000 00000004 00010000 ffffffff",
            LearnerMessage.leaderInfo(epoch: 1)
        ),
        ("0000000d 0000000000000000 ffffffff ffffffff", .diff(.zero)),
        ("0000000c ffffffffffffffff ffffffff ffffffff", .upToDate),
        ("0000000e 0000000200000002 ffffffff ffffffff", .truncate(Zxid(epoch: 2, counter: 2))),
        (
            "00000006 ffffffffffffffff 00000009 0100000fda540000 01 ffffffff",
            .revalidate(SessionID(rawValue: 0x0100_000F_DA54_0000), timeout: 0, isValid: true)
        ),
    ])
    func `a leader's packets have the bytes of Apache`(
        packet: String,
        message: LearnerMessage
    ) throws {
        #expect(bytes([message], from: .leader) == hex(packet))
        #expect(try decode(hex(packet), from: .leader, chunkBytes: 1000) == [message])
    }

    @Test func `a packet of an unknown type is passed over`() throws {
        let unknown = hex("00000063 0000000000000000 00000002 0102 ffffffff")
        let stream = unknown + bytes([.sync], from: .leader) + unknown
        #expect(try decode(stream, from: .leader, chunkBytes: 3) == [.sync])
    }

    @Test func `a reconfiguration is refused, since passing over it would lose a commit`() {
        #expect(throws: WireError.self) {
            try decode(
                hex("00000009 0000000100000009 00000008 0000000000000003 ffffffff"),
                from: .leader,
                chunkBytes: 1000
            )
        }
    }

    @Test func `a packet of the other side is refused`() {
        #expect(throws: WireError.self) {
            try decode(bytes([.upToDate], from: .leader), from: .learner, chunkBytes: 1000)
        }
        #expect(throws: WireError.self) {
            try decode(bytes([.ack(.zero)], from: .learner), from: .leader, chunkBytes: 1000)
        }
    }

    @Test func `a proposal under another zxid is refused`() {
        let proposal = Proposal(zxid: Samples.proposal.zxid.next, bytes: Samples.proposal.bytes)
        for message in [LearnerMessage.proposal(proposal), .inform(proposal)] {
            #expect(throws: WireError.self) {
                try decode(bytes([message], from: .leader), from: .leader, chunkBytes: 1000)
            }
        }
    }

    @Test func `a snapshot without its signature is refused`() {
        let stream =
            bytes([.snapshot(.zero), .snapshotSlice(Samples.snapshotBody)], from: .leader)
            + bytes([.upToDate], from: .leader)
        #expect(throws: WireError.self) {
            try decode(stream, from: .leader, chunkBytes: 1000)
        }
    }

    @Test(arguments: [
        "0000000b 0000000000000000 ffffffff ffffffff",
        "00000012 0000000000000000 00000003 000000 ffffffff",
        "00000005 0000000100000003 00000002 0200 ffffffff",
        "00000001 ffffffffffffffff 00000004 00000000 ffffffff",
        "00000003 0000000000000000 fffffffe ffffffff",
        "00000003 0000000000000000 7fffffff ffffffff",
    ])
    func `a packet with too little or impossible data is refused and not waited for`(
        packet: String
    ) {
        #expect(throws: WireError.self) {
            try decode(hex(packet), from: .learner, chunkBytes: 1000)
        }
    }

    @Test func `learners before protocol versions are understood`() throws {
        let messages = try decode(
            hex("0000000b 0000000200000000 00000008 0000000000000004 ffffffff"),
            from: .learner,
            chunkBytes: 1000
        )
        #expect(
            messages == [
                .learnerInfo(
                    LearnerInfo(
                        server: ServerID(rawValue: 4),
                        isObserver: false,
                        acceptedEpoch: 2,
                        protocolVersion: 0
                    )
                )
            ]
        )
    }
}

@Suite struct ElectionCodecTests {
    @Test(arguments: Samples.notifications)
    func `every notification reads back, and is refused when cut short`(
        notification: ElectionNotification
    ) throws {
        let bytes = content(encoded { ElectionCodec.encode(notification, into: &$0) })
        #expect(bytes.count == 44 + (notification.configuration?.count ?? 0))
        var reader = JuteReader(bytes)
        #expect(try ElectionCodec.decode(&reader) == notification)
        for end in 0..<bytes.count where end != 28 && end != 40 {
            var reader = JuteReader(bytes, in: 0..<end)
            #expect(throws: WireError.self, "cut at \(end)") {
                try ElectionCodec.decode(&reader)
            }
        }
    }

    @Test func `a notification from before 3 4 takes its epoch from the zxid`() throws {
        let bytes = content(encoded { ElectionCodec.encode(Samples.notifications[0], into: &$0) })
        var reader = JuteReader(bytes, in: 0..<28)
        var expected = Samples.notifications[0]
        expected.peerEpoch = 2
        expected.version = 0
        expected.configuration = nil
        #expect(try ElectionCodec.decode(&reader) == expected)
    }

    @Test func `a notification of 3 4 has no version that counts`() throws {
        var notification = Samples.notifications[0]
        notification.configuration = nil
        let bytes = content(encoded { ElectionCodec.encode(notification, into: &$0) })
        #expect(bytes.count == 40)
        #expect(bytes.suffix(4).elementsEqual([0, 0, 0, 1]))
        var reader = JuteReader(bytes)
        notification.version = 0
        #expect(try ElectionCodec.decode(&reader) == notification)
    }

    @Test func `an unknown state and a configuration beyond the end are refused`() {
        var bytes = content(encoded { ElectionCodec.encode(Samples.notifications[0], into: &$0) })
        bytes[3] = 4
        #expect(throws: WireError.self) {
            var reader = JuteReader(bytes)
            _ = try ElectionCodec.decode(&reader)
        }
        bytes[3] = 0
        for length in ["ffffffff", "7fffffff", "0000ffff"] {
            bytes.replaceSubrange(40..<44, with: hex(length))
            #expect(throws: WireError.self) {
                var reader = JuteReader(bytes)
                _ = try ElectionCodec.decode(&reader)
            }
        }
    }

    @Test func `a greeting has the bytes of Apache and waits for all of them`() throws {
        let greeting = ElectionGreeting(
            server: ServerID(rawValue: 2),
            addresses: ["127.0.0.1:23882"]
        )
        let bytes = hex(
            "ffffffffffff0000 0000000000000002 0000000f 3132372e302e302e313a3233383832"
        )
        #expect(greeting.bytes == bytes)
        let decoded = try #require(try ElectionGreeting.decode(bytes + [0, 0]))
        #expect(decoded.greeting == greeting)
        #expect(decoded.consumedBytes == bytes.count)
        for end in 0..<bytes.count {
            #expect(try ElectionGreeting.decode(Array(bytes[..<end])) == nil)
        }
    }

    @Test func `greetings with several addresses, and old ones with none, are understood`() throws {
        let greeting = ElectionGreeting(
            server: ServerID(rawValue: 2),
            addresses: ["[::1]:1", "host:2"]
        )
        #expect(try ElectionGreeting.decode(greeting.bytes)?.greeting == greeting)
        let old = try ElectionGreeting.decode(hex("0000000000000003"))
        #expect(old?.greeting == ElectionGreeting(server: ServerID(rawValue: 3), addresses: []))
        #expect(old?.consumedBytes == 8)
    }

    @Test(arguments: [
        "fffffffffffe0000", "ffffffffffff0000 0000000000000002 00000801",
        "ffffffffffff0000 0000000000000002 00000000",
        "ffffffffffff0000 0000000000000002 ffffffff",
    ])
    func `a greeting that is none is refused`(bytes: String) {
        #expect(throws: WireError.self) { try ElectionGreeting.decode(hex(bytes)) }
    }
}
