import ZooKeeperModel

@testable import Znodes

/// Steele, Lea and Flood's SplitMix64: the same numbers for the same seed everywhere.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

let firstSession = SessionID(rawValue: 0x100_0000_0000_0001)
let otherSession = SessionID(rawValue: 0x200_0000_0000_0001)

func transaction(
    _ zxid: Int64,
    _ body: TransactionBody,
    session: SessionID = firstSession
) -> Transaction {
    Transaction(
        session: session,
        cxid: 0,
        zxid: Zxid(rawValue: zxid),
        time: Timestamp(rawValue: 1_000_000 + zxid),
        body: body
    )
}

func creation(
    _ path: ZnodePath,
    data: [UInt8]? = [1],
    acl: [ACL] = .open,
    ephemeral: Bool = false,
    cversion: Int32 = -1,
    kind: CreateKind = .create
) -> TransactionBody {
    .create(
        CreateTransaction(
            path: path,
            data: data,
            acl: acl,
            isEphemeral: ephemeral,
            parentCVersion: cversion,
            kind: kind
        )
    )
}

extension ZnodeTree {
    /// Applies at the next zxid.
    @discardableResult
    mutating func apply(_ body: TransactionBody, session: SessionID = firstSession) -> ApplyResult {
        var changes: [TreeChange] = []
        return apply(
            transaction(lastZxid.rawValue + 1, body, session: session),
            changes: &changes
        )
    }

    mutating func changes(of body: TransactionBody, session: SessionID = firstSession) -> [String] {
        var changes: [TreeChange] = []
        _ = apply(
            transaction(lastZxid.rawValue + 1, body, session: session),
            changes: &changes
        )
        return changes.map { "\($0.kind) \($0.path)" }
    }

    func stat(_ path: ZnodePath) -> Stat? { find(path).map { stat(of: $0) } }

    /// Everything there is to know, sorted.
    var contents: [String] {
        var result: [String] = []
        var pending = [ZnodeIndex.root]
        while let index = pending.popLast() {
            let path = path(of: index)
            result.append(
                "\(path) \(persistedStat(of: index)) \(data(of: index).map { "\($0)" } ?? "null") "
                    + "\(acl(of: index)) \(children(of: index).map { "\($0)" }.sorted())"
            )
            for name in children(of: index) {
                if let child = find(path.appending(name)) { pending.append(child) }
            }
        }
        return result.sorted()
    }
}

/// The lines that are in one of the two alone: short, where a failed `==` would print both.
func difference(_ left: [String], _ right: [String]) -> [String] {
    Set(left).symmetricDifference(right).sorted()
}
