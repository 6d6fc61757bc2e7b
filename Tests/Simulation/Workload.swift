internal import ClientCore
internal import ZooKeeperModel

/// What a simulated client does, and what it was told: enough to judge the ensemble by.
///
/// - It creates znodes of its own and never deletes them: every acknowledged one must be there in
///   the end, with its data.
/// - It writes growing numbers to a register of its own: the last one must be at least the last
///   that was acknowledged, and no larger than the last that was sent.
/// - It counts in a shared counter by compare-and-set: the counter must end between the sum of what
///   was acknowledged and that plus what was lost on the way.
/// - It reads its own register and others': what it sees never goes back, and never lacks its own
///   acknowledged writes.
/// - It watches the counter: the event comes before any reply that shows the change.
/// - It holds an ephemeral.
struct Workload: Sendable {
    let number: Int
    var random: SimulationRandom
    private(set) var acknowledgedCreates: [ZnodePath: [UInt8]] = [:]
    private(set) var creates = 0
    private(set) var registerSent = 0
    private(set) var registerAcknowledged = 0
    private(set) var increments = 0
    private(set) var lostIncrements = 0
    private(set) var acknowledged = 0
    private(set) var lost = 0
    /// The newest change this client has seen, by path: it must not see an older one.
    private var seen: [ZnodePath: Zxid] = [:]
    private var pending: [RequestToken: Step] = [:]
    private var lastToken: UInt64 = 0
    /// The version of the counter on which a watch was set, until its event comes.
    private var watchedVersion: Int32?
    /// How many of the znodes that the work needs were asked for.
    private var prepared = 0

    enum Step: Sendable {
        case prepare
        case create(ZnodePath, [UInt8])
        case register(Int)
        case readCounter
        case increment(Int)
        case readRegister(ZnodePath, isOwn: Bool, atLeast: Int)
        case ephemeral
        case multi(ZnodePath, [UInt8])
        case sync
    }

    init(number: Int, random: SimulationRandom) {
        self.number = number
        self.random = random
    }

    static let counter: ZnodePath = "/counter"
    var register: ZnodePath { ZnodePath("/register-\(number)") }
    var pendingCount: Int { pending.count }

    /// The next operation, or nil where enough is under way.
    mutating func next() -> (RequestToken, Operation)? {
        guard pending.count < 6 else { return nil }
        if prepared < 2 {
            let path = prepared == 0 ? register : Self.counter
            prepared += 1
            return submit(.prepare, .create(CreateRequest(path: path, data: Self.bytes(0))))
        }
        switch random.below(10) {
        case 0, 1:
            creates += 1
            let path = ZnodePath("/c\(number)-\(creates)")
            let data = Self.bytes(creates)
            return submit(
                .create(path, data),
                .create(CreateRequest(path: path, data: data))
            )
        case 2, 3:
            registerSent += 1
            return submit(
                .register(registerSent),
                .setData(register, data: Self.bytes(registerSent), version: -1)
            )
        case 4, 5: return submit(.readCounter, .getData(Self.counter, watch: true))
        case 6:
            return submit(
                .readRegister(register, isOwn: true, atLeast: registerAcknowledged),
                .getData(register, watch: false)
            )
        case 7:
            let other = ZnodePath("/register-\(random.below(4))")
            return submit(
                .readRegister(other, isOwn: other == register, atLeast: 0),
                .getData(other, watch: false)
            )
        case 8:
            creates += 1
            let path = ZnodePath("/m\(number)-\(creates)")
            let data = Self.bytes(creates)
            return submit(
                .multi(path, data),
                .multi([
                    .create(CreateRequest(kind: .create, path: path, data: data)),
                    .create(
                        CreateRequest(
                            kind: .create,
                            path: path.appending("child"),
                            data: data
                        )
                    ),
                ])
            )
        default:
            if random.chance(1, in: 2) {
                return submit(
                    .ephemeral,
                    .create(
                        CreateRequest(
                            path: ZnodePath("/ephemeral-\(number)"),
                            data: nil,
                            mode: .ephemeral
                        )
                    )
                )
            }
            return submit(.sync, .sync("/"))
        }
    }

    private mutating func submit(
        _ step: Step,
        _ operation: Operation
    ) -> (RequestToken, Operation) {
        lastToken += 1
        let token = RequestToken(rawValue: lastToken)
        pending[token] = step
        return (token, operation)
    }

    static func bytes(_ value: Int) -> [UInt8] { Array("\(value)".utf8) }
    static func value(_ bytes: [UInt8]?) -> Int? {
        bytes.flatMap { Int(String(decoding: $0, as: UTF8.self)) }
    }

    /// Takes an answer; returns what to ask next because of it, and what is wrong with it.
    mutating func completed(
        _ token: RequestToken,
        _ result: Result<Response, ErrorCode>
    ) -> (next: (RequestToken, Operation)?, failure: String?) {
        guard let step = pending.removeValue(forKey: token) else {
            return (nil, "client \(number) got an answer to \(token.rawValue) twice")
        }
        switch result {
        case .success(let response):
            acknowledged += 1
            return succeeded(step, response)
        case .failure(let code):
            return (nil, failed(step, code))
        }
    }

    private mutating func succeeded(
        _ step: Step,
        _ response: Response
    ) -> (next: (RequestToken, Operation)?, failure: String?) {
        switch (step, response) {
        case (.create(let path, let data), .createdWithStat(let made, let stat)):
            acknowledgedCreates[path] = data
            guard made == path else { return (nil, "\(path) was created as \(made)") }
            return (nil, see(path, stat.mzxid))
        case (.register(let value), .stat(let stat)):
            registerAcknowledged = max(registerAcknowledged, value)
            return (nil, see(register, stat.mzxid))
        case (.readCounter, .data(let data, let stat)):
            if let version = watchedVersion, stat.version > version {
                return (
                    nil,
                    "client \(number) read version \(stat.version) of the counter before the"
                        + " event of its watch on version \(version)"
                )
            }
            watchedVersion = stat.version
            if let failure = see(Self.counter, stat.mzxid) { return (nil, failure) }
            guard let value = Self.value(data) else { return (nil, "the counter is no number") }
            guard random.chance(1, in: 2) else { return (nil, nil) }
            return (
                submit(
                    .increment(value + 1),
                    .setData(
                        Self.counter,
                        data: Self.bytes(value + 1),
                        version: stat.version
                    )
                ),
                nil
            )
        case (.increment, .stat(let stat)):
            increments += 1
            return (nil, see(Self.counter, stat.mzxid))
        case (.readRegister(let path, let isOwn, let atLeast), .data(let data, let stat)):
            if let failure = see(path, stat.mzxid) { return (nil, failure) }
            guard let value = Self.value(data) else { return (nil, "\(path) is no number") }
            if isOwn, value < atLeast {
                return (
                    nil, "client \(number) read \(value) after its own \(atLeast) was answered"
                )
            }
            return (nil, nil)
        case (.multi(let path, let data), .multi(let results)):
            for case .failure(let code) in results {
                // A second attempt never happens: names are fresh.
                return (nil, "the multi that makes \(path) failed with \(code)")
            }
            acknowledgedCreates[path] = data
            acknowledgedCreates[path.appending("child")] = data
            return (nil, nil)
        case (.prepare, _), (.ephemeral, _), (.sync, _): return (nil, nil)
        default: return (nil, "client \(number) got \(response) for \(step)")
        }
    }

    private mutating func failed(_ step: Step, _ code: ErrorCode) -> String? {
        if code == .connectionLoss || code == .sessionExpired {
            lost += 1
            if case .increment = step { lostIncrements += 1 }
            return nil
        }
        switch (step, code) {
        case (.increment, .badVersion), (.ephemeral, .nodeExists), (.prepare, .nodeExists),
            (.readRegister(_, false, _), .noNode):
            return nil
        case (.readCounter, .noNode):
            // Its creation was lost on the way: make it again.
            prepared = min(prepared, 1)
            return increments > 0 ? "the counter is gone" : nil
        case (.register, .noNode), (.readRegister, .noNode):
            prepared = 0
            return registerAcknowledged > 0 ? "\(register) is gone" : nil
        default: return "client \(number) got \(code) for \(step)"
        }
    }

    private mutating func see(_ path: ZnodePath, _ zxid: Zxid) -> String? {
        if let before = seen[path], zxid < before {
            return "client \(number) saw \(path) at \(zxid) after \(before)"
        }
        seen[path] = zxid
        return nil
    }

    mutating func saw(_ event: WatchEvent) {
        if event.path == Self.counter { watchedVersion = nil }
    }

    /// A new session: it has no watches, and its reads may start anywhere after what was seen.
    mutating func sessionRenewed() { watchedVersion = nil }
}
