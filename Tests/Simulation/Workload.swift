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
/// - It creates, writes, deletes and reads a few znodes that all clients share: the history from which
///   ``Linearizability`` judges.
/// - It takes numbers from the ensemble by sequential creates: never one twice, never a smaller one.
/// - It runs ``Errands``.
/// - The zxids of its answers never go back, and a write's is above those of all writes, of whatever
///   client, that were answered before it was asked for.
struct Workload: Sendable {
    let number: Int
    var random: SimulationRandom
    private(set) var acknowledgedCreates: [ZnodePath: [UInt8]] = [:]
    private(set) var creates = 0
    private(set) var own = OwnRegister()
    private(set) var increments = 0
    private(set) var lostIncrements = 0
    private(set) var acknowledged = 0
    private(set) var lost = 0
    /// The newest change this client has seen, by path: it must not see an older one.
    private var seen: [ZnodePath: Zxid] = [:]
    private var pending: [RequestToken: Pending] = [:]
    /// What was asked of the shared znodes.
    private(set) var history: [History.Operation] = []
    private(set) var writes = 0
    /// The zxid of the newest answer.
    private var lastZxid = Zxid.zero
    private var errands: Errands
    private var sharedWrites = 0
    /// Those that were lost since the session went on for the last time.
    private var lostShared: [Int] = []
    /// What it last heard of each shared znode's version.
    private var sharedVersions: [String: Int32] = [:]
    /// Its ephemeral was created in the present session.
    private(set) var hasEphemeral = false
    private var lastToken: UInt64 = 0
    /// The version of the counter on which a watch was set, until its event comes.
    private var watchedVersion: Int32?
    /// How many of the znodes that the work needs were asked for.
    private var prepared = 0

    private struct Pending {
        var step: Step
        var moment: Moment
    }

    init(number: Int, random: SimulationRandom) {
        self.number = number
        self.random = random
        errands = Errands(number: number)
    }

    static let counter: ZnodePath = "/counter"
    var register: ZnodePath { ZnodePath("/register-\(number)") }
    var pendingCount: Int { pending.count }
    static let sharedCount = 3

    /// The next operations, none where enough is under way.
    mutating func next(at moment: Moment) -> [(RequestToken, Operation)] {
        guard pending.count < 6 else { return [] }
        switch random.below(14) {
        case 0, 1, 2: return nextShared(at: moment)
        case 10...:
            let operation = errands.next(&random)
            return [submit(.errand(operation), operation, moment)]
        case 3 where random.chance(1, in: 4):
            return [
                submit(
                    .sequential,
                    .create(
                        CreateRequest(
                            path: "/q-",
                            data: nil,
                            mode: .persistentSequential
                        )
                    ),
                    moment
                )
            ]
        default: return nextOwn(at: moment).map { [$0] } ?? []
        }
    }

    private mutating func nextShared(at moment: Moment) -> [(RequestToken, Operation)] {
        let key = "/s\(random.below(Self.sharedCount))"
        let path = ZnodePath(key)
        let call: History.Call
        let operation: Operation
        sharedWrites += 1
        // Unique among all clients.
        let value = sharedWrites * 100 + number
        let version = random.chance(1, in: 2) ? sharedVersions[key] : nil
        switch random.below(8) {
        case 0, 1:
            call = .create(value: value)
            operation = .create(CreateRequest(path: path, data: Self.bytes(value)))
        case 2, 3, 4:
            call = .write(value: value, version: version)
            operation = .setData(path, data: Self.bytes(value), version: version ?? -1)
        case 5:
            call = .delete(version: version)
            operation = .delete(path, version: version ?? -1)
        default: return readShared(key, at: moment)
        }
        let index = record(call, key, moment)
        return [submit(.shared(index), operation, moment)]
    }

    /// A read that has to be linearizable.
    private mutating func readShared(
        _ key: String,
        at moment: Moment
    ) -> [(RequestToken, Operation)] {
        let path = ZnodePath(key)
        let index = record(.read, key, moment)
        // Both go over one connection, or are lost with it.
        let sync = submit(.sharedSync(index), .sync(path), moment)
        return [sync, submit(.shared(index), .getData(path, watch: false), moment)]
    }

    /// Another client says, past all servers, that it has written something: this one looks.
    mutating func told(at moment: Moment) -> [(RequestToken, Operation)] {
        guard pending.count < 6 else { return [] }
        return readShared("/s\(random.below(Self.sharedCount))", at: moment)
    }

    private mutating func record(_ call: History.Call, _ key: String, _ moment: Moment) -> Int {
        history.append(
            History.Operation(
                called: moment.nanoseconds,
                returned: nil,
                client: number,
                session: moment.session,
                key: key,
                call: call,
                outcome: .lost
            )
        )
        return history.count - 1
    }

    private mutating func nextOwn(at moment: Moment) -> (RequestToken, Operation)? {
        if prepared < 2 {
            let path = prepared == 0 ? register : Self.counter
            prepared += 1
            return submit(.prepare, .create(CreateRequest(path: path, data: Self.bytes(0))), moment)
        }
        switch random.below(10) {
        case 0, 1:
            creates += 1
            let path = ZnodePath("/c\(number)-\(creates)")
            let data = Self.bytes(creates)
            return submit(
                .create(path, data),
                .create(CreateRequest(path: path, data: data)),
                moment
            )
        case 2, 3:
            let value = own.next()
            return submit(
                .register(value),
                .setData(register, data: Self.bytes(value), version: -1),
                moment
            )
        case 4, 5: return submit(.readCounter, .getData(Self.counter, watch: true), moment)
        case 6:
            return submit(
                .readRegister(register, isOwn: true, atLeast: own.floor),
                .getData(register, watch: false),
                moment
            )
        case 7:
            let other = ZnodePath("/register-\(random.below(4))")
            return submit(
                .readRegister(other, isOwn: other == register, atLeast: 0),
                .getData(other, watch: false),
                moment
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
                ]),
                moment
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
                    ),
                    moment
                )
            }
            return submit(.sync, .sync("/"), moment)
        }
    }

    private mutating func submit(
        _ step: Step,
        _ operation: Operation,
        _ moment: Moment
    ) -> (RequestToken, Operation) {
        lastToken += 1
        let token = RequestToken(rawValue: lastToken)
        pending[token] = Pending(step: step, moment: moment)
        return (token, operation)
    }

    static func bytes(_ value: Int) -> [UInt8] { Array("\(value)".utf8) }
    static func value(_ bytes: [UInt8]?) -> Int? {
        bytes.flatMap { Int(String(decoding: $0, as: UTF8.self)) }
    }

    /// Takes an answer; what to ask next because of it, and what is wrong with it.
    mutating func completed(
        _ token: RequestToken,
        _ result: Result<Response, ErrorCode>,
        _ zxid: Zxid,
        at moment: Moment
    ) -> Outcome {
        guard let entry = pending.removeValue(forKey: token) else {
            return Outcome(
                failure: "client \(number) got an answer to \(token.rawValue) twice"
            )
        }
        var outcome = Outcome()
        if zxid != .none {
            if zxid < lastZxid {
                outcome.failure = "client \(number) was answered at \(zxid) after \(lastZxid)"
                return outcome
            }
            lastZxid = zxid
        }
        switch result {
        case .success(let response):
            acknowledged += 1
            let (next, failure) = succeeded(entry.step, response, moment)
            outcome.next = next
            outcome.failure = failure
            if isWrite(entry.step) {
                writes += 1
                outcome.written = zxid
                if zxid <= entry.moment.writtenZxid {
                    outcome.failure =
                        "client \(number) wrote at \(zxid), after a write at"
                        + " \(entry.moment.writtenZxid) had been answered"
                }
            }
            if case .sequential = entry.step, case .createdWithStat(let path, _) = response {
                outcome.sequence = given(path, entry.moment, &outcome)
            }
            if let late = lateSync(entry.step, entry.moment, zxid) { outcome.failure = late }
        case .failure(let code):
            outcome.failure = failed(entry.step, code, moment)
        }
        return outcome
    }

    /// The answer to an operation on a shared znode.
    private mutating func answered(
        _ index: Int,
        _ outcome: History.Outcome?,
        _ moment: Moment
    ) -> String? {
        guard let outcome else {
            return "client \(number) got a wrong kind of answer to \(history[index].line)"
        }
        history[index].outcome = outcome
        history[index].returned = moment.nanoseconds
        // It may have waited for a connection, and for another session.
        history[index].session = moment.session
        let key = history[index].key
        switch outcome {
        case .created: sharedVersions[key] = 0
        case .version(let version), .value(_, let version): sharedVersions[key] = version
        case .deleted, .noNode: sharedVersions[key] = nil
        case .nodeExists, .badVersion, .lost: break
        }
        return nil
    }

    private mutating func succeeded(
        _ step: Step,
        _ response: Response,
        _ moment: Moment
    ) -> (next: (RequestToken, Operation)?, failure: String?) {
        switch (step, response) {
        case (.create(let path, let data), .createdWithStat(let made, let stat)):
            acknowledgedCreates[path] = data
            guard made == path else { return (nil, "\(path) was created as \(made)") }
            return (nil, see(path, stat.mzxid))
        case (.register(let value), .stat(let stat)):
            own.wasAcknowledged(value)
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
                    ),
                    moment
                ),
                nil
            )
        case (.increment, .stat(let stat)):
            increments += 1
            return (nil, see(Self.counter, stat.mzxid))
        case (.readRegister(let path, let isOwn, let atLeast), .data(let data, let stat)):
            if let failure = see(path, stat.mzxid) { return (nil, failure) }
            guard let value = Self.value(data) else { return (nil, "\(path) is no number") }
            if isOwn, !own.mayBeRead(value, floor: atLeast) {
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
        case (.shared(let index), _):
            return (
                nil,
                answered(index, Self.outcome(of: history[index].call, response), moment)
            )
        case (.ephemeral, _):
            hasEphemeral = true
            return (nil, nil)
        case (.errand(.create(let create)), .createdWithStat(let path, _))
        where create.path != path:
            errands.created(path)
            return (nil, nil)
        case (.errand, _): return (nil, nil)
        case (.prepare, _), (.sync, _), (.sharedSync, _), (.sequential, _): return (nil, nil)
        default: return (nil, "client \(number) got \(response) for \(step)")
        }
    }

    private mutating func failed(
        _ step: Step,
        _ code: ErrorCode,
        _ moment: Moment
    ) -> String? {
        if code == .connectionLoss || code == .sessionExpired {
            lost += 1
            if case .increment = step { lostIncrements += 1 }
            if case .register(let value) = step { own.wasLost(value) }
            if case .shared(let index) = step { lostShared.append(index) }
            return nil
        }
        if case .shared(let index) = step {
            return answered(index, Self.outcome(of: code), moment)
        }
        switch (step, code) {
        case (.errand, .noNode), (.errand, .nodeExists), (.errand, .notEmpty), (.errand, .noAuth):
            return nil
        case (.errand(let operation), _):
            return "client \(number) got \(code) for \(AnswerChecker.name(operation))"
        case (.increment, .badVersion), (.ephemeral, .nodeExists), (.prepare, .nodeExists),
            (.readRegister(_, false, _), .noNode):
            return nil
        case (.readCounter, .noNode):
            // Its creation was lost on the way: make it again.
            prepared = min(prepared, 1)
            return increments > 0 ? "the counter is gone" : nil
        case (.register, .noNode), (.readRegister, .noNode):
            prepared = 0
            return own.acknowledged > 0 ? "\(register) is gone" : nil
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
    mutating func sessionRenewed() {
        own.sessionLeft()
        watchedVersion = nil
        hasEphemeral = false
    }

    /// The session goes on, or is known to be over: what was lost has taken effect or never will.
    mutating func lostIsDecided(at moment: Moment) {
        for index in lostShared { history[index].returned = moment.nanoseconds }
        lostShared = []
        own.lostIsDecided()
    }

    /// Another process goes on with the work, and has seen nothing.
    mutating func processDied() {
        lost += pending.count
        lostIncrements += pending.values.count {
            if case .increment = $0.step { true } else { false }
        }
        for case .register(let value) in pending.values.map(\.step) { own.wasLost(value) }
        pending = [:]
        seen = [:]
        lastZxid = .zero
        own.processDied()
        lostShared = []
        errands.forget()
        sessionRenewed()
    }
}
