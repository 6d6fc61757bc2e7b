import Foundation
import Testing

/// What the tree must hold, by the acknowledgements that clients have got.
///
/// Each writer sends its writes in order over one connection. Those that were not answered when the
/// server died may have happened or not, but only in order: once one is missing, so are all behind
/// it. After each restart they are looked up, and what they turned out to be is part of the promise
/// from then on.
struct PromisedTree {
    /// Data by path, of every round's directory.
    var rounds: [Int: [String: [UInt8]]] = [:]
    /// What each writer's register holds.
    var registers: [Int]

    init(writers: Int) { registers = Array(repeating: 0, count: writers) }

    static func directory(of round: Int) -> String { "/kill/\(round)" }
    static func register(of writer: Int) -> String { "/register-\(writer)" }
    static func content(of value: Int) -> [UInt8] { Array("value \(value)".utf8) }

    mutating func take(_ effect: Effect, writer: Int) {
        switch effect {
        case .create(let round, let path, let data): rounds[round, default: [:]][path] = data
        case .delete(let round, let path): rounds[round]?[path] = nil
        case .set(let value): registers[writer] = value
        case .both(let round, let path, let data, let value):
            rounds[round, default: [:]][path] = data
            registers[writer] = value
        case .refused: break
        }
    }
}

/// What one request does when it takes effect.
enum Effect {
    case create(round: Int, path: String, data: [UInt8])
    case delete(round: Int, path: String)
    case set(Int)
    /// One transaction: a znode and the register.
    case both(round: Int, path: String, data: [UInt8], value: Int)
    /// Must be refused, and leave no trace.
    case refused(Int32)
}

/// One connection that writes without waiting for replies.
final class PipelinedWriter {
    static let window = 48
    static let createsPerRound = 100
    static let neverToBeSeen = Array("refused".utf8)

    let number: Int
    let client: RawClient
    private let round: Int
    /// In the order in which they were sent; those before `answered` have their reply.
    private(set) var sent: [Effect] = []
    private(set) var answered = 0
    private var created = 0
    private var value: Int
    /// What it may delete: acknowledged in earlier rounds, each named once.
    private var deletable: [(round: Int, path: String)]
    private(set) var complaints: [String] = []

    init(
        number: Int,
        client: RawClient,
        round: Int,
        value: Int,
        deletable: [(round: Int, path: String)]
    ) {
        self.number = number
        self.client = client
        self.round = round
        self.value = value
        self.deletable = deletable
    }

    var unanswered: ArraySlice<Effect> { sent[answered...] }

    /// Sends up to the window; false when the connection is gone.
    func fill(_ random: inout SeededRandom) -> Bool {
        var bytes: [UInt8] = []
        while sent.count - answered < Self.window {
            let (request, effect) = next(&random)
            bytes += request.frame(xid: client.nextXid())
            sent.append(effect)
        }
        return bytes.isEmpty || client.send(bytes)
    }

    /// Takes the replies that are here; false when the connection is gone.
    func takeReplies(into tree: inout PromisedTree) -> Bool {
        let isThere = client.receiveWhatIsThere()
        while let frame = client.frameAtHand() {
            guard let reply = RawReply(frame) else {
                complaints.append("a reply of \(frame.count) bytes")
                continue
            }
            let effect = sent[answered]
            answered += 1
            check(reply, of: effect)
            tree.take(effect, writer: number)
        }
        return isThere
    }

    private func check(_ reply: RawReply, of effect: Effect) {
        let expected: Int32 = if case .refused(let code) = effect { code } else { 0 }
        if reply.xid != Int32(answered) || reply.error != expected {
            complaints.append(
                "reply \(reply.xid) with \(reply.error) for request \(answered), \(effect)"
            )
        }
    }

    private func next(_ random: inout SeededRandom) -> (RawRequest, Effect) {
        let register = PromisedTree.register(of: number)
        switch Int.random(in: 0..<10, using: &random) {
        case 0:
            // There from the start.
            return (.create(register, Self.neverToBeSeen), .refused(-110))
        case 1:
            return (
                .setData(register, Self.neverToBeSeen, version: .max - 1), .refused(-103)
            )
        case 2...5 where created < Self.createsPerRound:
            let (path, data) = newZnode(&random)
            return (.create(path, data), .create(round: round, path: path, data: data))
        case 6 where created < Self.createsPerRound:
            let (path, data) = newZnode(&random)
            value += 1
            return (
                .multi([
                    .create(path, data), .setData(register, PromisedTree.content(of: value)),
                ]), .both(round: round, path: path, data: data, value: value)
            )
        case 7, 8:
            guard let (round, path) = deletable.popLast() else { fallthrough }
            return (.delete(path), .delete(round: round, path: path))
        default:
            value += 1
            return (.setData(register, PromisedTree.content(of: value)), .set(value))
        }
    }

    private func newZnode(_ random: inout SeededRandom) -> (String, [UInt8]) {
        created += 1
        let path = PromisedTree.directory(of: round) + "/\(number)-\(created)"
        let padding = Int.random(in: 0..<200, using: &random)
        return (path, Array(path.utf8) + [UInt8](repeating: 0x2E, count: padding))
    }
}

/// The same numbers from the same seed (SplitMix64).
struct SeededRandom: RandomNumberGenerator {
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
