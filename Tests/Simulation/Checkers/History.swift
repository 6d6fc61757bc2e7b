/// What clients asked about a few znodes and what they were told, as a plain list.
///
/// The simulation writes it, and so can any program that talks to real servers: ``lines`` is the text
/// form, one operation a line, and ``init(lines:)`` reads it back.
///
///     called returned client session key call… = outcome…
///
///     1000 2400 c1 s7 /s0 write 12 any = version 3
///     1100 - c2 s9 /s0 write 13 3 = lost
///
/// | field | meaning |
/// | --- | --- |
/// | called, returned | nanoseconds of one clock for all clients; `-` for an answer that never came. Of a lost operation: when it has taken effect or never will, since its session went on over another connection |
/// | session | the session in which it was sent; any word, another one for another session |
/// | call | `create VALUE`, `write VALUE VERSION`, `delete VERSION`, `read`; `any` for version −1 |
/// | outcome | `created`, `version N` of a write, `deleted`, `value VALUE VERSION` of a read, `no-node`, `node-exists`, `bad-version`, `lost` |
///
/// A `read` here is one that must be linearizable: a sync and a read on one connection. Values are
/// numbers; every write of a key has its own.
package struct History: Sendable, Equatable {
    package enum Call: Hashable, Sendable {
        case create(value: Int)
        /// Any version where it is nil.
        case write(value: Int, version: Int32?)
        case delete(version: Int32?)
        case read
    }
    package enum Outcome: Hashable, Sendable {
        case created
        case version(Int32)
        case deleted
        case value(Int, version: Int32)
        case noNode
        case nodeExists
        case badVersion
        /// It may have taken effect or not.
        case lost
    }
    package struct Operation: Hashable, Sendable {
        package var called: Int64
        package var returned: Int64?
        package var client: Int
        package var session: Int64
        package var key: String
        package var call: Call
        package var outcome: Outcome

        package init(
            called: Int64,
            returned: Int64?,
            client: Int,
            session: Int64,
            key: String,
            call: Call,
            outcome: Outcome
        ) {
            self.called = called
            self.returned = returned
            self.client = client
            self.session = session
            self.key = key
            self.call = call
            self.outcome = outcome
        }
    }

    /// Of one client in the order of its calls.
    package var operations: [Operation] = []

    package init() {}

    package var keys: [String] { Set(operations.map(\.key)).sorted() }
}

// MARK: Text

extension History {
    package struct Unreadable: Error, Hashable, Sendable {
        package let line: String
    }

    package var lines: [String] { operations.map(\.line) }

    package init(lines: some Sequence<String>) throws(Unreadable) {
        for line in lines where !line.isEmpty && !line.hasPrefix("#") {
            guard let operation = Operation(line: line) else { throw Unreadable(line: line) }
            operations.append(operation)
        }
    }
}

extension History.Operation {
    package var line: String {
        "\(called) \(returned.map(String.init) ?? "-") c\(client) s\(session) \(key) \(call.text)"
            + " = \(outcome.text)"
    }

    package init?(line: String) {
        let words = line.split(separator: " ").map(String.init)
        guard words.count >= 8, let equals = words.firstIndex(of: "="), equals >= 6,
            let called = Int64(words[0]), words[2].hasPrefix("c"), words[3].hasPrefix("s"),
            let client = Int(words[2].dropFirst()), let session = Int64(words[3].dropFirst()),
            let call = History.Call(words: words[5..<equals]),
            let outcome = History.Outcome(words: words[(equals + 1)...])
        else { return nil }
        var returned: Int64?
        if words[1] != "-" {
            guard let time = Int64(words[1]), time >= called else { return nil }
            returned = time
        }
        self.init(
            called: called,
            returned: returned,
            client: client,
            session: session,
            key: words[4],
            call: call,
            outcome: outcome
        )
    }
}

extension History.Call {
    fileprivate var text: String {
        switch self {
        case .create(let value): "create \(value)"
        case .write(let value, let version): "write \(value) \(version.map(String.init) ?? "any")"
        case .delete(let version): "delete \(version.map(String.init) ?? "any")"
        case .read: "read"
        }
    }

    fileprivate init?(words: ArraySlice<String>) {
        func version(_ word: String?) -> Int32?? {
            word == "any" ? .some(nil) : word.flatMap { Int32($0) }.map { .some($0) }
        }
        let rest = Array(words.dropFirst())
        switch (words.first, rest.count) {
        case ("create", 1):
            guard let value = Int(rest[0]) else { return nil }
            self = .create(value: value)
        case ("write", 2):
            guard let value = Int(rest[0]), let version = version(rest[1]) else { return nil }
            self = .write(value: value, version: version)
        case ("delete", 1):
            guard let version = version(rest[0]) else { return nil }
            self = .delete(version: version)
        case ("read", 0): self = .read
        default: return nil
        }
    }
}

extension History.Outcome {
    fileprivate var text: String {
        switch self {
        case .created: "created"
        case .version(let version): "version \(version)"
        case .deleted: "deleted"
        case .value(let value, let version): "value \(value) \(version)"
        case .noNode: "no-node"
        case .nodeExists: "node-exists"
        case .badVersion: "bad-version"
        case .lost: "lost"
        }
    }

    fileprivate init?(words: ArraySlice<String>) {
        let rest = Array(words.dropFirst())
        switch (words.first, rest.count) {
        case ("created", 0): self = .created
        case ("deleted", 0): self = .deleted
        case ("no-node", 0): self = .noNode
        case ("node-exists", 0): self = .nodeExists
        case ("bad-version", 0): self = .badVersion
        case ("lost", 0): self = .lost
        case ("version", 1):
            guard let version = Int32(rest[0]) else { return nil }
            self = .version(version)
        case ("value", 2):
            guard let value = Int(rest[0]), let version = Int32(rest[1]) else { return nil }
            self = .value(value, version: version)
        default: return nil
        }
    }
}
