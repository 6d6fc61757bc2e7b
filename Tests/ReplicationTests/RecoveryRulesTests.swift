@testable import Replication
import Testing
import Zab
import ZooKeeperModel
import ZooKeeperWire

/// What a server makes of its own disk and of a leader's database, where a crash or damage has
/// left less than a clean end.
@Suite struct RecoveryRulesTests {
    private let now = ClockReading(
        instant: Instant(nanoseconds: 1_000_000_000),
        timestamp: Timestamp(rawValue: 1_700_000_000_000)
    )
    private let link = ConnectionID(rawValue: 7)

    private func transaction(_ zxid: Zxid, digest: Int64? = nil) -> Transaction {
        Transaction(
            session: SessionID(rawValue: 1),
            cxid: 1,
            zxid: zxid,
            time: Timestamp(rawValue: 1),
            body: .error(.noNode),
            digest: digest.map { TreeDigestValue(value: $0) }
        )
    }

    private func state(_ zxids: [Zxid], digest: Int64? = nil) -> RecoveredState {
        var state = RecoveredState()
        for zxid in zxids {
            let transaction = transaction(zxid, digest: digest)
            state.apply(transaction, bytes: TransactionCodec.encode(transaction))
        }
        return state
    }

    private func replica(_ state: RecoveredState, voters: Int64) -> Replica {
        Replica(
            configuration: ReplicaConfiguration(
                ensemble: EnsembleConfiguration(
                    me: one,
                    members: (1...voters).map {
                        EnsembleConfiguration.Member(id: ServerID(rawValue: $0))
                    }
                ),
                sessionSeedMilliseconds: 1
            ),
            recovered: state,
            sha1: knownSHA1,
            now: now
        )
    }

    private func halts(_ actions: [ReplicaAction]) -> [String] {
        actions.compactMap { if case .halt(let reason) = $0 { reason } else { nil } }
    }

    @Test func `a server starts although its last synchronization was not finished`() {
        var state = state([Zxid(epoch: 4, counter: 1)])
        state.finish(acceptedEpoch: 4, currentEpoch: 3)
        var replica = replica(state, voters: 1)
        var actions: [ReplicaAction] = []
        replica.handle(.start, at: now, actions: &actions)
        #expect(halts(actions) == [])
        #expect(replica.nextDeadline != nil)
    }

    @Test func `a server does not start with a log beyond all it has promised`() {
        var state = state([Zxid(epoch: 4, counter: 1)])
        state.finish(acceptedEpoch: 3, currentEpoch: 3)
        var replica = replica(state, voters: 1)
        var actions: [ReplicaAction] = []
        replica.handle(.start, at: now, actions: &actions)
        #expect(halts(actions).count == 1)
    }

    @Test func `learners are not given a window with a hole`() {
        let whole = [Zxid(epoch: 1, counter: 8), Zxid(epoch: 1, counter: 9)]
        let after = [Zxid(epoch: 2, counter: 3), Zxid(epoch: 3, counter: 1)]
        #expect(state(whole).recent.map(\.zxid) == whole)
        #expect(state(whole + after).recent.map(\.zxid) == after)
    }

    @Test func `digests that differ are counted where they mean something`() throws {
        var state = state([Zxid(epoch: 0, counter: 1)], digest: 99)
        state.finish(digestMismatches: 3)
        var replica = replica(state, voters: 3)
        #expect(replica.status.digestMismatches == 3, "the journal's count, not that of the replay")

        var log: [String] = []
        try follow(&replica, epoch: 1)
        for counter in UInt32(1)...6 {
            let transaction = transaction(Zxid(epoch: 1, counter: counter), digest: 99)
            let proposal = Proposal(
                zxid: transaction.zxid,
                bytes: TransactionCodec.encode(transaction)
            )
            for message in [LearnerMessage.proposal(proposal), .commit(proposal.zxid)] {
                for case .log(.error, let text) in feed(&replica, .fromLeader(link, message)) {
                    log.append(text)
                }
            }
        }
        #expect(replica.status.digestMismatches == 9)
        #expect(log.count == 2, "at the fourth and the eighth")
    }

    @Test func `a leader's database that ends too early is refused, and the old one stays`() throws
    {
        var state = state([Zxid(epoch: 0, counter: 1)])
        state.finish()
        var replica = replica(state, voters: 3)
        try join(&replica, epoch: 1)
        let actions = feed(
            &replica,
            .fromLeader(link, .snapshot(Zxid(epoch: 0, counter: 9))),
            .fromLeader(link, .snapshotSlice([0, 0, 0])),
            .fromLeader(link, .snapshotEnd)
        )
        #expect(halts(actions) == [])
        let storage = actions.compactMap {
            if case .storage(let request) = $0 { request } else { nil }
        }
        #expect(storage.first == .beginInstall(zxid: Zxid(epoch: 0, counter: 9)))
        #expect(storage.last == .abandonSnapshot)
        #expect(
            actions.contains { if case .close(link, _) = $0 { true } else { false } },
            "the leader is left"
        )
        #expect(
            actions.contains { if case .sendNotification = $0 { true } else { false } },
            "and looked for again"
        )
        #expect(replica.status.lastZxid == Zxid(epoch: 0, counter: 1))
        replica.checkInvariants()
    }

    @Test func `a create2 stays one in its transaction, for an Apache learner's sake`() throws {
        let ensemble = try Ensemble.standalone()
        let client = try ensemble.connect(one)
        for kind in [CreateKind.create, .create2] {
            let reply = try client.call(
                .create(
                    CreateRequest(
                        kind: kind,
                        path: kind == .create ? "/a" : "/b",
                        data: nil,
                        mode: .persistent
                    )
                )
            )
            let proposal = try #require(
                ensemble.node(one).disk.log.first { $0.zxid == reply.zxid }
            )
            guard case .create(let create) = try TransactionCodec.decode(proposal.bytes).body else {
                Issue.record("not a create")
                return
            }
            #expect(create.kind == kind)
        }
    }

    @Test func `a snapshot waits for a slow disk and not in memory`() throws {
        let ensemble = try Ensemble.standalone { $0.snapshotCount = 40 }
        let client = try ensemble.connect(one)
        let big = [UInt8](repeating: 7, count: 900_000)
        for index in 0..<8 {
            _ = try client.create(ZnodePath("/big\(index)"), big)
        }
        let node = ensemble.node(one)
        func waitingBytes() -> Int {
            node.storage.reduce(0) {
                if case .snapshotSlice(let slice) = $1 { $0 + slice.count } else { $0 }
            }
        }
        node.isDiskHeld = true
        for index in 0..<40 {
            client.send(.create(CreateRequest(path: ZnodePath("/small\(index)"), data: nil)))
        }
        ensemble.advance(.seconds(2))
        #expect((4 << 20..<(4 << 20) + 1_000_000).contains(waitingBytes()))
        node.isDiskHeld = false
        try #require(ensemble.run { node.disk.snapshotsStored == 1 })
        #expect(node.disk.snapshot?.body.count ?? 0 > 8 * 900_000)
    }

    // MARK: A follower by hand

    // MARK: - A disk from elsewhere

    private static let places: [(String, [UInt32], Bool)] = [
        ("an equal end", [8, 9], true), ("behind", [8, 9, 10, 11], true),
        ("ahead", [7, 8], true), ("nothing in common", [1, 2], false),
    ]

    /// Of the tree that transactions without an effect leave.
    private let ownDigest = RecoveredState().treeDigest.value

    @Test(arguments: places)
    func `a disk with another tree under a zxid that the leader has ends the start`(
        _ what: String,
        _ counters: [UInt32],
        _ isFound: Bool
    ) throws {
        var own = state([7, 8, 9].map { Zxid(epoch: 0, counter: $0) }, digest: ownDigest)
        own.finish(acceptedEpoch: 0, currentEpoch: 0)
        for (digest, isOther) in [(ownDigest, false), (6, true)] as [(Int64, Bool)] {
            var replica = replica(own, voters: 3)
            let marks = counters.map {
                HistoryMark(zxid: Zxid(epoch: 0, counter: $0), digest: digest)
            }
            let actions = feed(
                &replica,
                .fromLeader(link, .ensemble(EnsembleName(number: 1), marks: marks))
            )
            let sentences = halts(actions)
            #expect(sentences.count == (isFound && isOther ? 1 : 0), "\(what)")
            guard let sentence = sentences.first else { continue }
            let text = String(UInt64(bitPattern: ownDigest), radix: 16)
            #expect(sentence.contains("digest is \(text) here and 6 there"))
            let common = try #require(counters.last { $0 <= 9 })
            #expect(sentence.contains("\(Zxid(epoch: 0, counter: common))"))
        }
    }

    @Test func `the newest transaction that both logs hold decides`() {
        var own = state([7, 8, 9].map { Zxid(epoch: 0, counter: $0) }, digest: ownDigest)
        own.finish(acceptedEpoch: 0, currentEpoch: 0)
        var replica = replica(own, voters: 3)
        let marks = [
            HistoryMark(zxid: Zxid(epoch: 0, counter: 7), digest: 6),
            HistoryMark(zxid: Zxid(epoch: 0, counter: 8), digest: ownDigest),
        ]
        let actions = feed(
            &replica,
            .fromLeader(link, .ensemble(EnsembleName(number: 1), marks: marks))
        )
        #expect(halts(actions) == [])
    }

    @Test func `histories of very different lengths have transactions in common`() {
        let long = (1...UInt32(4000)).map { Zxid(epoch: 1, counter: $0) }
        let leader = state(long, digest: ownDigest).marks.all
        for length in [1, 2, 3, 127, 600, 2_000] {
            let mine = state(Array(long[..<length]), digest: ownDigest).marks.all
            let known = Set(leader.map(\.zxid))
            #expect(mine.contains { known.contains($0.zxid) }, "\(length) of 4000")
        }
        #expect(leader.map(\.zxid) == leader.map(\.zxid).sorted())
    }

    @Test func `a digest that came with a transaction is no mark, the tree's own is`() {
        let marks = state([Zxid(epoch: 1, counter: 1)], digest: 5).marks.all
        #expect(marks == [HistoryMark(zxid: Zxid(epoch: 1, counter: 1), digest: ownDigest)])
    }

    @Test(arguments: [0, 8, nil] as [UInt32?])
    func `a snapshot's end is a mark if the tree is known not to be ahead of it`(
        _ counter: UInt32?
    ) throws {
        var state = RecoveredState()
        let zxid = Zxid(epoch: 1, counter: 8)
        state.beginSnapshot(zxid: zxid)
        let stat = PersistedStat(
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
        try state.add(.znode(SnapshotZnode(path: "", data: nil, aclID: -1, stat: stat)))
        try state.endSnapshot(
            zxid: zxid,
            digestsHoldAfter: counter.map { Zxid(epoch: 1, counter: 8 + $0) }
        )
        state.finish(acceptedEpoch: 1, currentEpoch: 1)
        #expect(state.marks.all.map(\.zxid) == (counter == 0 ? [zxid] : []))
        let next = transaction(zxid.next)
        state.apply(next, bytes: TransactionCodec.encode(next))
        #expect(state.marks.all.map(\.zxid) == (counter == 0 ? [zxid, zxid.next] : []))
    }

    @discardableResult
    private func feed(_ replica: inout Replica, _ inputs: ReplicaInput...) -> [ReplicaAction] {
        var actions: [ReplicaAction] = []
        for input in inputs { replica.handle(input, at: now, actions: &actions) }
        return actions
    }

    /// Up to the point at which the leader, server 3, says how it will synchronize.
    private func join(_ replica: inout Replica, epoch: Int64) throws {
        feed(&replica, .start)
        let leader = ServerID(rawValue: 3)
        let vote = ElectionNotification(
            state: .looking,
            leader: leader,
            zxid: Zxid(epoch: 0, counter: 9),
            electionEpoch: 1,
            peerEpoch: 0,
            configuration: []
        )
        feed(
            &replica,
            .notification(from: leader, vote),
            .notification(from: ServerID(rawValue: 2), vote),
            .leaderConnected(link),
            .fromLeader(link, .leaderInfo(epoch: epoch))
        )
        let actions = feed(&replica, .storage(.epochStored(.accepted, epoch)))
        try #require(
            actions.contains { if case .send(link, .ackEpoch) = $0 { true } else { false } }
        )
    }

    private func follow(_ replica: inout Replica, epoch: Int64) throws {
        try join(&replica, epoch: epoch)
        feed(
            &replica,
            .fromLeader(link, .diff(Zxid(epoch: 0, counter: 1))),
            .fromLeader(link, .newLeader(epoch: epoch, configuration: [])),
            .storage(.epochStored(.current, epoch)),
            .fromLeader(link, .upToDate)
        )
        try #require(replica.status.mode == .follower)
    }
}
