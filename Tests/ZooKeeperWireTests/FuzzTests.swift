import Testing
import ZooKeeperModel
import ZooKeeperWire

/// Whatever the bytes, a decoder ends in an error or in a value that survives being written and
/// read again.
@Suite struct FuzzTests {
    private static let rounds = 3000

    /// Random bytes, and real messages with a few bytes changed or cut off.
    private func inputs(seed: UInt64, from samples: [[UInt8]]) -> [[UInt8]] {
        var random = FixedRandom(seed: seed)
        return (0..<Self.rounds).map { round in
            if round.isMultiple(of: 4) {
                return (0..<Int.random(in: 0...80, using: &random)).map { _ in
                    // Mostly small numbers, so that lengths are often plausible.
                    Bool.random(using: &random) ? 0 : UInt8.random(in: 0...255, using: &random)
                }
            }
            var bytes = samples[Int.random(in: 0..<samples.count, using: &random)]
            for _ in 0..<Int.random(in: 1...4, using: &random) where !bytes.isEmpty {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] =
                    [0, 1, 0x7F, 0x80, 0xFF, UInt8.random(in: 0...255, using: &random)]
                    .randomElement(using: &random) ?? 0
            }
            if Bool.random(using: &random) {
                bytes.removeLast(Int.random(in: 0...bytes.count, using: &random))
            }
            return bytes
        }
    }

    @Test func `requests`() throws {
        let samples = Samples.operations.map { operation in
            content(
                encoded { RequestCodec.encode(Request(xid: 1, operation: operation), into: &$0) }
            )
        }
        for bytes in inputs(seed: 11, from: samples) {
            var reader = JuteReader(bytes)
            guard let request = try? RequestCodec.decode(&reader) else {
                #expect(bytes.count < 8)
                continue
            }
            reader = JuteReader(content(encoded { RequestCodec.encode(request, into: &$0) }))
            #expect(try RequestCodec.decode(&reader) == request)
        }
    }

    @Test func `replies and events`() throws {
        let samples = Samples.responses.map { _, response in
            content(
                encoded {
                    ReplyCodec.encode(
                        Reply(xid: 1, zxid: .zero, result: .success(response)),
                        into: &$0
                    )
                }
            )
        }
        for (index, bytes) in inputs(seed: 12, from: samples).enumerated() {
            let operation = Samples.responses[index % Samples.responses.count].0
            var reader = JuteReader(bytes)
            guard let header = try? ReplyCodec.decodeHeader(&reader) else { continue }
            var eventReader = reader
            if let event = try? ReplyCodec.decodeEvent(header, &eventReader) {
                #expect(eventReader.offset <= bytes.count)
                #expect(event.path.bytes.count <= bytes.count)
            }
            guard let reply = try? ReplyCodec.decodeReply(header, to: operation, &reader) else {
                continue
            }
            reader = JuteReader(content(encoded { ReplyCodec.encode(reply, into: &$0) }))
            let again = try ReplyCodec.decodeHeader(&reader)
            #expect(try ReplyCodec.decodeReply(again, to: operation, &reader) == reply)
        }
    }

    @Test func `transactions`() throws {
        for bytes in inputs(seed: 13, from: Samples.transactions.map(TransactionCodec.encode)) {
            guard let transaction = try? TransactionCodec.decode(bytes) else { continue }
            // What a multi holds as create2 is written as a create, and only then settles.
            let settled = try TransactionCodec.decode(TransactionCodec.encode(transaction))
            #expect(settled.zxid == transaction.zxid)
            #expect(
                try TransactionCodec.decode(TransactionCodec.encode(settled)) == settled
            )
        }
    }

    @Test func `connect messages, notifications and greetings`() {
        let samples =
            Samples.notifications.map { notification in
                content(encoded { ElectionCodec.encode(notification, into: &$0) })
            } + [ElectionGreeting(server: ServerID(rawValue: 1), addresses: ["a:1"]).bytes]
        var read = 0
        for bytes in inputs(seed: 14, from: samples) {
            var reader = JuteReader(bytes)
            if let notification = try? ElectionCodec.decode(&reader) {
                read += 1
                if let configuration = notification.configuration {
                    #expect(configuration.count <= bytes.count - 44)
                }
            }
            reader = JuteReader(bytes)
            if let request = try? ConnectCodec.decodeRequest(&reader) {
                #expect((request.password?.count ?? 0) <= bytes.count - 28)
            }
            reader = JuteReader(bytes)
            if let response = try? ConnectCodec.decodeResponse(&reader) {
                #expect(response.password.count <= bytes.count - 20)
            }
            if let decoded = try? ElectionGreeting.decode(bytes) {
                #expect(decoded.consumedBytes <= bytes.count)
            }
        }
        #expect(read > 100)
    }

    @Test func `learner streams are decoded alike however they are cut`() {
        for sender in [LearnerCodec.Sender.leader, .learner] {
            let messages = sender == .leader ? Samples.fromLeader : Samples.fromLearner
            let whole = encoded { writer in
                for message in messages {
                    LearnerCodec.encode(message, from: sender, into: &writer)
                }
            }
            for bytes in inputs(seed: 15, from: [whole]).prefix(600) {
                #expect(
                    outcome(of: bytes, from: sender, chunkBytes: bytes.count + 1)
                        == outcome(of: bytes, from: sender, chunkBytes: 3)
                )
            }
        }
    }

    /// The messages, slices joined, and whether it ended in an error.
    private func outcome(
        of bytes: [UInt8],
        from sender: LearnerCodec.Sender,
        chunkBytes: Int
    ) -> [LearnerMessage?] {
        var decoder = LearnerStreamDecoder(from: sender)
        var messages: [LearnerMessage?] = []
        var snapshot: [UInt8] = []
        do {
            for start in stride(from: 0, to: bytes.count, by: chunkBytes) {
                decoder.append(Array(bytes[start..<min(start + chunkBytes, bytes.count)]))
                while let message = try decoder.next() {
                    if case .snapshotSlice(let slice) = message {
                        snapshot += slice
                    } else {
                        messages.append(message)
                    }
                }
            }
            messages.append(.snapshotSlice(snapshot))
        } catch {
            messages.append(nil)
        }
        return messages
    }

    @Test func `snapshot bodies are decoded alike however they are cut`() {
        for bytes in inputs(seed: 16, from: [Samples.snapshotBody]).prefix(1000) {
            let whole = outcome(ofSnapshot: bytes, chunkBytes: bytes.count + 1)
            let cut = outcome(ofSnapshot: bytes, chunkBytes: 5)
            #expect(whole.elements == cut.elements)
            #expect(whole.hasFailed == cut.hasFailed)
        }
    }

    private func outcome(
        ofSnapshot bytes: [UInt8],
        chunkBytes: Int
    ) -> (elements: [SnapshotElement], hasFailed: Bool) {
        var decoder = SnapshotBodyDecoder()
        var elements: [SnapshotElement] = []
        for start in stride(from: 0, to: bytes.count, by: chunkBytes) {
            decoder.append(Array(bytes[start..<min(start + chunkBytes, bytes.count)]))
            do {
                while let element = try decoder.next() { elements.append(element) }
            } catch {
                return (elements, true)
            }
        }
        return (elements, false)
    }

    @Test func `frames`() {
        for bytes in inputs(seed: 17, from: [encoded { $0.buffer([1, 2, 3]) }]) {
            var decoder = FrameDecoder(maxFrameBytes: 64)
            decoder.append(bytes)
            var taken = 0
            while let frame = try? decoder.next() { taken += 4 + frame.remaining }
            #expect(taken <= bytes.count)
        }
    }
}
