import ZooKeeperModel
import ZooKeeperWire

/// One value of every kind that the codecs carry.
enum Samples {
    static let acl = [
        ACL(permissions: .read, identity: .anyone),
        ACL(permissions: .all, identity: Identity(scheme: "digest", id: "ü:x")),
    ]
    static let stat = Stat(
        czxid: Zxid(epoch: 1, counter: 2),
        mzxid: Zxid(epoch: 1, counter: 3),
        ctime: Timestamp(rawValue: 1_700_000_000_000),
        mtime: Timestamp(rawValue: -1),
        version: .max,
        cversion: .min,
        aversion: -1,
        ephemeralOwner: SessionID(rawValue: .min),
        dataLength: 5,
        numChildren: 7,
        pzxid: Zxid(rawValue: .max)
    )
    static let persistedStat = PersistedStat(
        czxid: Zxid(epoch: 1, counter: 2),
        mzxid: Zxid(epoch: 1, counter: 3),
        ctime: Timestamp(rawValue: 4),
        mtime: Timestamp(rawValue: 5),
        version: 6,
        cversion: 7,
        aversion: 8,
        ephemeralOwner: .min,
        pzxid: Zxid(epoch: 9, counter: .max)
    )
    /// Not UTF-8, and not valid as a path: the codecs carry it all the same.
    static let oddPath = ZnodePath(bytes: [0x2F, 0xFF, 0x00, 0xC3])

    static let partsOfMulti: [Operation] = [
        .create(CreateRequest(kind: .create, path: "/a", data: [1], acl: acl, flags: 0)),
        .create(CreateRequest(kind: .create2, path: "/a", data: nil, acl: [], flags: 99)),
        .create(CreateRequest(kind: .container, path: "/k", data: [], acl: .open, flags: 4)),
        .create(CreateRequest(kind: .timeToLive(1 << 39), path: "/t", data: [], flags: 5)),
        .delete("/a", version: -1), .delete("", version: 3),
        .setData("/a", data: [1, 2, 3], version: 0), .setData("/a", data: nil, version: 0),
        .setData("/a", data: [], version: 0), .check("/a", version: 4),
    ]
    static let watches = WatchRegistrations(
        relativeZxid: Zxid(epoch: 2, counter: 1),
        data: ["/a", "/b"],
        exist: [],
        child: ["/"]
    )
    static var watches2: WatchRegistrations {
        var watches = watches
        watches.persistent = ["/p"]
        watches.persistentRecursive = ["/", "/r"]
        watches.isSecondVersion = true
        return watches
    }
    static let operations: [Operation] =
        partsOfMulti + [
            .exists("/a", watch: true), .getData(oddPath, watch: false), .getData("", watch: true),
            .getACL("/a"), .setACL("/a", acl: acl, version: 2), .setACL("/a", acl: [], version: -1),
            .getChildren("/", watch: true), .getChildren2("/", watch: false), .sync("/a"),
            .multi(partsOfMulti), .multi([]), .setWatches(watches), .setWatches(watches2),
            .addWatch("/a", mode: 1), .addWatch("/a", mode: 77), .checkWatches("/a", type: 3),
            .removeWatches("/a", type: 1), .auth(scheme: "digest", credential: [0x75, 0x3A, 0x70]),
            .ping, .closeSession, .unsupported(code: 999), .unsupported(code: 107),
            .malformed(code: 1), .malformed(code: 14), .malformed(code: 100),
        ]

    static let responses: [(Operation, Response)] = [
        (.create(CreateRequest(kind: .create, path: "/a", data: nil, flags: 0)), .created("/a")),
        (.create(CreateRequest(path: "/a", data: nil, flags: 0)), .createdWithStat("/a", stat)),
        (.delete("/a", version: 1), .empty), (.exists("/a", watch: false), .stat(stat)),
        (.getData("/a", watch: false), .data([1, 2], stat)),
        (.getData("/a", watch: false), .data(nil, stat)),
        (.getData("/a", watch: false), .data([], stat)),
        (.setData("/a", data: nil, version: 0), .stat(stat)), (.getACL("/a"), .acl(acl, stat)),
        (.setACL("/a", acl: acl, version: 0), .stat(stat)),
        (.getChildren("/", watch: false), .children([[0x61], [0xFF, 0xC3]])),
        (.getChildren("/", watch: false), .children([])),
        (.getChildren2("/", watch: false), .childrenWithStat([[0x61]], stat)),
        (.sync("/a"), .synced("/a")), (.multi([]), .multi([])),
        (
            .multi(partsOfMulti),
            .multi([
                .success(.created("/a")), .success(.createdWithStat("/b", stat)),
                .success(.empty), .success(.checked), .success(.stat(stat)),
            ])
        ),
        (
            .multi(partsOfMulti),
            .multi([.failure(.ok), .failure(.badVersion), .failure(.runtimeInconsistency)])
        ),
        (.setWatches(watches), .empty), (.addWatch("/a", mode: 0), .watchAdded),
        (.checkWatches("/a", type: 3), .empty), (.removeWatches("/a", type: 3), .empty),
        (.auth(scheme: "ip", credential: []), .empty), (.ping, .empty), (.closeSession, .empty),
    ]

    /// All of them may also stand in a multi.
    static let partsOfTransaction: [TransactionBody] = [
        .create(
            CreateTransaction(
                path: "/a",
                data: [1],
                acl: acl,
                isEphemeral: true,
                parentCVersion: 3
            )
        ),
        .create(
            CreateTransaction(
                path: "/k",
                data: nil,
                acl: .open,
                isEphemeral: false,
                parentCVersion: 4,
                kind: .container
            )
        ),
        .create(
            CreateTransaction(
                path: "/t",
                data: [],
                acl: [],
                isEphemeral: false,
                parentCVersion: .min,
                kind: .timeToLive(0xFF_FFFF_FFFF)
            )
        ),
        .delete("/a"), .deleteContainer("/k"), .setData("/a", data: nil, version: 5),
        .setData("/a", data: [9], version: -1), .setACL("/a", acl: acl, version: 6),
        .check("/a", version: 7), .error(.noNode), .error(.ok),
    ]
    static let transactions: [Transaction] =
        (partsOfTransaction + [
            .create(
                CreateTransaction(
                    path: "/a2",
                    data: nil,
                    acl: .open,
                    isEphemeral: false,
                    parentCVersion: 3,
                    kind: .create2
                )
            ),
            .reconfigure("/zookeeper/config", data: [1], version: 1),
            .createSession(timeout: 30_000), .closeSession(nil), .closeSession([]),
            .closeSession(["/a", "/b"]), .multi(partsOfTransaction), .multi([]),
        ]).enumerated().map { index, body in
            Transaction(
                session: SessionID(rawValue: 0x0100_0000_0000_0001),
                cxid: Int32(index),
                zxid: Zxid(epoch: 3, counter: UInt32(index + 1)),
                time: Timestamp(rawValue: 1_700_000_000_000),
                body: body,
                digest: index.isMultiple(of: 2) ? TreeDigestValue(value: 0x51C6_D660) : nil
            )
        }
        // The digest of a closeSession without list is the hard one.
        + [
            Transaction(
                session: SessionID(rawValue: 1),
                cxid: 0,
                zxid: Zxid(rawValue: 1),
                time: Timestamp(rawValue: 1),
                body: .closeSession(nil),
                digest: TreeDigestValue(value: 0x51C6_D660)
            )
        ]

    static let proposal = Proposal(
        zxid: transactions[0].zxid,
        bytes: TransactionCodec.encode(transactions[0])
    )

    static let fromLearner: [LearnerMessage] = [
        .learnerInfo(
            LearnerInfo(server: ServerID(rawValue: 1), isObserver: false, acceptedEpoch: 0)
        ),
        .learnerInfo(
            LearnerInfo(
                server: ServerID(rawValue: -1),
                isObserver: true,
                acceptedEpoch: 7,
                configurationVersion: 0x1_0000_0000
            )
        ),
        .learnerInfo(
            LearnerInfo(
                server: ServerID(rawValue: 2),
                isObserver: false,
                acceptedEpoch: 1,
                ensemble: EnsembleName(number: .min, isSettled: true)
            )
        ),
        .learnerInfo(
            LearnerInfo(
                server: ServerID(rawValue: 2),
                isObserver: false,
                acceptedEpoch: 1,
                ensemble: EnsembleName()
            )
        ),
        .ackEpoch(lastZxid: Zxid(epoch: 2, counter: 9), currentEpoch: 2),
        .ackEpoch(lastZxid: .zero, currentEpoch: nil), .ack(Zxid(epoch: 3, counter: 0)),
        .request(
            ForwardedRequest(
                session: SessionID(rawValue: 5),
                cxid: 4,
                operationCode: 9,
                body: [0, 0, 0, 2, 0x2F, 0x78],
                identities: [Identity(scheme: "ip", id: "127.0.0.1")]
            )
        ),
        .request(
            ForwardedRequest(
                session: SessionID(rawValue: 5),
                cxid: 0,
                operationCode: -10,
                body: [0, 0, 0x27, 0x10],
                identities: []
            )
        ),
        .request(
            ForwardedRequest(
                session: SessionID(rawValue: 5),
                cxid: 1,
                operationCode: -11,
                body: [],
                identities: []
            )
        ),
        .ping(Zxid(epoch: 1, counter: 3), touched: []),
        .ping(
            Zxid(epoch: 1, counter: 3),
            touched: [
                TouchedSession(session: SessionID(rawValue: 1), timeout: 10_000),
                TouchedSession(session: SessionID(rawValue: .max), timeout: 8000),
            ]
        ),
        .revalidate(SessionID(rawValue: 6), timeout: 8000, isValid: nil),
    ]

    static let znodes: [SnapshotZnode] = [
        SnapshotZnode(path: .root, data: nil, aclID: -1, stat: persistedStat),
        SnapshotZnode(path: "/a", data: [1, 2, 3], aclID: 2, stat: persistedStat),
        SnapshotZnode(path: "/a/b", data: [], aclID: -1, stat: persistedStat),
        SnapshotZnode(
            path: "/big",
            data: [UInt8](repeating: 0x2F, count: 300),
            aclID: -1,
            stat: persistedStat
        ),
    ]
    static let snapshotElements: [SnapshotElement] =
        [
            .session(SessionID(rawValue: 1), timeout: 4000),
            .session(SessionID(rawValue: 2), timeout: 5000), .acl(id: 1, []), .acl(id: 2, acl),
        ] + znodes.map { .znode($0) }
    static let snapshotBody: [UInt8] = {
        var encoder = SnapshotBodyEncoder()
        encoder.begin(
            sessions: [(SessionID(rawValue: 1), 4000), (SessionID(rawValue: 2), 5000)],
            acls: [(1, []), (2, acl)]
        )
        for znode in znodes { encoder.add(znode) }
        encoder.finish()
        return encoder.takeSlice()
    }()

    /// As a decoder gives it back when all has come at once: one slice.
    static let fromLeader: [LearnerMessage] = [
        .ensemble(EnsembleName(number: -5, isSettled: true), marks: []),
        .ensemble(
            EnsembleName(number: 5),
            marks: [
                HistoryMark(zxid: Zxid(epoch: 1, counter: 2), digest: -3),
                HistoryMark(zxid: Zxid(epoch: 1, counter: 3), digest: .max),
            ]
        ),
        .leaderInfo(epoch: 4), .diff(Zxid(epoch: 3, counter: 9)), .truncate(.zero),
        .snapshot(Zxid(epoch: 3, counter: 1)), .snapshotSlice(snapshotBody), .snapshotEnd,
        .newLeader(epoch: 4, configuration: [0x76]), .newLeader(epoch: 4, configuration: nil),
        .upToDate, .proposal(proposal), .commit(proposal.zxid), .inform(proposal), .sync,
        .ping(Zxid(epoch: 1, counter: 3), touched: []),
        .revalidate(SessionID(rawValue: 6), timeout: 0, isValid: true),
        .revalidate(SessionID(rawValue: 6), timeout: 0, isValid: false),
    ]

    static let notifications: [ElectionNotification] = [
        ElectionNotification(
            state: .looking,
            leader: ServerID(rawValue: 3),
            zxid: Zxid(epoch: 2, counter: 8),
            electionEpoch: 5,
            peerEpoch: 2,
            configuration: Array("version=0".utf8)
        ),
        ElectionNotification(
            state: .observing,
            leader: ServerID(rawValue: .min),
            zxid: Zxid(rawValue: .min),
            electionEpoch: .min,
            peerEpoch: .min,
            configuration: []
        ),
    ]
}
