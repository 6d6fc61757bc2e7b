import Testing
import ZooKeeperModel
import ZooKeeperWire

/// Against what Apache ZooKeeper 3.8.0 sent and wrote; see Tests/Golden/README.md.
@Suite struct GoldenTests {
    @Test func `a conversation with Apache decodes, and encodes to the same bytes`() throws {
        var pending: [(xid: Int32, operation: Operation)] = []
        var replies: [Reply] = []
        var events: [WatchEvent] = []
        for line in try Golden.lines("apache-3.8.0/client.txt") {
            var decoder = FrameDecoder()
            decoder.append(line.bytes)
            var frame = try #require(try decoder.next())
            var again = JuteWriter()
            switch (line.name, line.isFromServer) {
            case ("connect", false), ("connect-old", false):
                let request = try ConnectCodec.decodeRequest(&frame)
                #expect(request.timeout == 40_000)
                #expect(request.hasReadOnlyFlag == (line.name == "connect"))
                ConnectCodec.encode(request, into: &again)
            case ("connect", true), ("connect-old", true):
                let response = try ConnectCodec.decodeResponse(&frame)
                #expect(response.password == SessionPassword.password(of: response.session))
                #expect(response.hasReadOnlyFlag == (line.name == "connect"))
                ConnectCodec.encode(response, into: &again)
            case (_, false):
                let request = try RequestCodec.decode(&frame)
                pending.append((request.xid, request.operation))
                if case .malformed = request.operation { continue }
                RequestCodec.encode(request, into: &again)
            case ("event", true):
                let header = try ReplyCodec.decodeHeader(&frame)
                let event = try #require(try ReplyCodec.decodeEvent(header, &frame))
                events.append(event)
                ReplyCodec.encode(event, into: &again)
            case (_, true):
                let (xid, operation) = pending.removeFirst()
                let header = try ReplyCodec.decodeHeader(&frame)
                #expect(header.xid == xid)
                let reply = try ReplyCodec.decodeReply(header, to: operation, &frame)
                replies.append(reply)
                ReplyCodec.encode(reply, into: &again)
            }
            #expect(again.bytes == line.bytes, "\(line.name)")
        }
        #expect(pending.isEmpty)
        #expect(
            events == [
                WatchEvent(kind: .dataChanged, path: "/a"),
                WatchEvent(kind: .created, path: "/a/f"), WatchEvent(kind: .deleted, path: "/a/f"),
                WatchEvent(kind: .deleted, path: "/a/e-0000000000"),
            ]
        )
        let failures = replies.compactMap { reply -> ErrorCode? in
            if case .failure(let error) = reply.result { error } else { nil }
        }
        #expect(failures == [.nodeExists, .noNode, .noWatcher, .marshallingError, .unimplemented])
    }

    @Test func `what Apache answered is understood`() throws {
        var replies: [String: [[UInt8]]] = [:]
        for line in try Golden.lines("apache-3.8.0/client.txt") where line.isFromServer {
            replies[line.name, default: []].append(content(line.bytes))
        }
        func response(_ name: String, _ index: Int, to operation: Operation) throws -> Response {
            let all = try #require(replies[name])
            var frame = JuteReader(all[index])
            let header = try ReplyCodec.decodeHeader(&frame)
            return try ReplyCodec.decodeReply(header, to: operation, &frame).result.get()
        }
        let read = Operation.getData("/a", watch: false)
        guard case .data(let data, let stat) = try response("getData", 0, to: read) else {
            Issue.record("getData answers data")
            return
        }
        #expect(data == [0x78])
        #expect(stat.version == 0)
        #expect(stat.cversion == 1)
        #expect(stat.numChildren == 1)
        #expect(stat.dataLength == 1)
        guard case .data(nil, _) = try response("getData", 1, to: read),
            case .data([], _) = try response("getData", 2, to: read)
        else {
            Issue.record("null and empty data are different")
            return
        }
        guard case .acl(let acl, _) = try response("getACL", 0, to: .getACL("/c")) else {
            Issue.record("getACL answers a list")
            return
        }
        #expect(acl.map(\.identity.scheme) == ["world", "digest"])
        guard
            case .children(let names) = try response(
                "getChildren",
                0,
                to: .getChildren("/", watch: false)
            )
        else {
            Issue.record("getChildren answers names")
            return
        }
        #expect(
            Set(names) == Set(["a", "c", "k", "t", "zookeeper"].map { Array($0.utf8) })
        )
        guard case .multi(let results) = try response("multi", 0, to: .multi([])) else {
            Issue.record("multi answers results")
            return
        }
        #expect(results.count == 4)
        #expect(results[0] == .success(.created("/m")))
        #expect(results[2] == .success(.checked))
        #expect(results[3] == .success(.empty))
        #expect(
            try response("multi", 1, to: .multi([]))
                == .multi([
                    .failure(.ok), .failure(.badVersion), .failure(.runtimeInconsistency),
                ])
        )
    }

    @Test func `a log of Apache decodes, and encodes to the same bytes`() throws {
        let file = try Golden.file("apache-3.8.0/log.hex")
        var reader = JuteReader(file)
        #expect(try FileHeader.decode(&reader, magic: FileHeader.logMagic) == .log)
        var transactions: [Transaction] = []
        while !reader.isAtEnd {
            let checksum = try reader.int64()
            let entry = try #require(try reader.buffer())
            #expect(try reader.byte() == 0x42)
            #expect(checksum == Int64(Adler32.checksum(of: entry)))
            let transaction = try TransactionCodec.decode(entry)
            #expect(TransactionCodec.encode(transaction) == entry)
            #expect(try TransactionCodec.peekZxid(entry) == transaction.zxid)
            transactions.append(transaction)
        }
        #expect(transactions.map(\.zxid.rawValue) == Array(1...Int64(transactions.count)))
        #expect(transactions.map(\.body).contains(.error(.nodeExists)))
        #expect(transactions.map(\.body).contains(.closeSession(["/a/e-0000000000"])))
        let kinds = transactions.compactMap { transaction -> CreateKind? in
            if case .create(let create) = transaction.body { create.kind } else { nil }
        }
        #expect(
            kinds == [
                .create, .create2, .container, .timeToLive(100_000), .create, .create, .create,
            ]
        )
    }

    @Test func `a snapshot of Apache decodes, and encodes to the same bytes`() throws {
        let file = try Golden.file("apache-3.8.0/snapshot.hex")
        var header = JuteReader(file)
        #expect(try FileHeader.decode(&header, magic: FileHeader.snapshotMagic) == .snapshot)

        var decoder = SnapshotBodyDecoder()
        decoder.append(header.rest())
        var encoder = SnapshotBodyEncoder()
        var sessions: [(session: SessionID, timeout: Int32)] = []
        var acls: [(id: Int64, acl: [ACL])] = []
        var znodes: [SnapshotZnode] = []
        while let element = try decoder.next() {
            switch element {
            case .session(let session, let timeout): sessions.append((session, timeout))
            case .acl(let id, let acl): acls.append((id, acl))
            case .znode(let znode): znodes.append(znode)
            }
        }
        #expect(decoder.isComplete)
        encoder.begin(sessions: sessions, acls: acls)
        for znode in znodes { encoder.add(znode) }
        encoder.finish()
        let body = encoder.takeSlice()
        let bodyEnd = FileHeader.size + body.count
        #expect(body.elementsEqual(file[FileHeader.size..<bodyEnd]))

        #expect(sessions.map(\.timeout) == [40_000])
        #expect(
            Set(znodes.map(\.path)) == [
                "/", "/zookeeper", "/zookeeper/config", "/zookeeper/quota", "/a", "/c", "/k",
                "/a/old",
            ]
        )
        let old = try #require(znodes.first { $0.path == "/a/old" })
        #expect(
            ZnodeOwner(persisted: old.stat.ephemeralOwner, extendedTypes: true)
                == .session(sessions[0].session)
        )
        let container = try #require(znodes.first { $0.path == "/k" })
        #expect(
            ZnodeOwner(persisted: container.stat.ephemeralOwner, extendedTypes: true)
                == .container
        )

        var tail = JuteReader(file, in: bodyEnd..<file.count)
        var sum = Adler32()
        sum.update(file[..<bodyEnd])
        try SnapshotSeal.verify(&tail, sum: sum)
        let digest = try SnapshotDigest.decode(&tail)
        #expect(digest.zxid == Zxid(rawValue: 19))
        #expect(digest.digest.version == 2)
        sum.update(file[bodyEnd..<(file.count - SnapshotSeal.size)])
        try SnapshotSeal.verify(&tail, sum: sum)
        #expect(tail.isAtEnd)
    }

    @Test(arguments: [1, 7, 100_000])
    func `a leader of Apache is understood byte by byte`(chunkBytes: Int) throws {
        let stream = try #require(
            try Golden.lines("apache-3.8.0/quorum.txt").first { $0.name == "leaderStream" }
        ).bytes
        var decoder = LearnerStreamDecoder(from: .leader)
        var again = JuteWriter()
        var kinds: [String] = []
        for start in stride(from: 0, to: stream.count, by: chunkBytes) {
            decoder.append(Array(stream[start..<min(start + chunkBytes, stream.count)]))
            while let message = try decoder.next() {
                LearnerCodec.encode(message, from: .leader, into: &again)
                let kind = String(describing: message).prefix { $0 != "(" }
                if kinds.last != "snapshotSlice" || kind != "snapshotSlice" {
                    kinds.append(String(kind))
                }
                guard case .proposal(let proposal) = message else { continue }
                let transaction = try TransactionCodec.decode(proposal.bytes)
                #expect(transaction.body == .createSession(timeout: 20_000))
            }
        }
        #expect(again.bytes == stream)
        #expect(
            kinds.filter { $0 != "ping" } == [
                "leaderInfo", "snapshot", "snapshotSlice", "snapshotEnd", "newLeader", "upToDate",
                "proposal", "commit",
            ]
        )
    }

    @Test func `the election of Apache is understood`() throws {
        let lines = try Golden.lines("apache-3.8.0/quorum.txt")
        let greeting = try #require(lines.first { $0.name == "greeting" }).bytes
        let decoded = try #require(try ElectionGreeting.decode(greeting))
        #expect(decoded.greeting.server == ServerID(rawValue: 2))
        #expect(decoded.greeting.addresses.count == 1)
        #expect(decoded.greeting.bytes == greeting)

        let notification = try #require(lines.first { $0.name == "notification" }).bytes
        var frame = JuteReader(content(notification))
        let vote = try ElectionCodec.decode(&frame)
        #expect(vote.state == .looking)
        #expect(vote.leader == ServerID(rawValue: 2))
        #expect(vote.electionEpoch == 1)
        #expect(vote.version == 2)
        #expect(encoded { ElectionCodec.encode(vote, into: &$0) } == notification)
    }

    @Test func `what the script said as a learner decodes`() throws {
        var decoder = LearnerStreamDecoder(from: .learner)
        for line in try Golden.lines("apache-3.8.0/quorum.txt")
        where !line.isFromServer && line.name != "notification" {
            decoder.append(line.bytes)
            let message = try #require(try decoder.next())
            #expect(
                encoded { LearnerCodec.encode(message, from: .learner, into: &$0) } == line.bytes
            )
        }
    }
}
