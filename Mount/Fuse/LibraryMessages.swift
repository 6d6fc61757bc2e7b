internal import CFuse
internal import Glibc

/// libfuse's own messages, which would go to stderr.
package enum LibraryMessages {
    private struct State: Sendable {
        var collected: [String]?
        var forward: (@Sendable (String) -> Void)?
    }
    private static let state = Monitor(State())

    /// From now on every message goes to `receiver`.
    package static func send(to receiver: @escaping @Sendable (String) -> Void) {
        state.change { $0.forward = receiver }
        install()
    }

    /// Runs `body` and returns what libfuse said meanwhile.
    static func collect(_ body: () -> Int32) -> (result: Int32, text: String) {
        install()
        state.change { $0.collected = [] }
        let result = body()
        let lines = state.change { $0.collected.take() } ?? []
        return (result, lines.joined(separator: "; "))
    }

    private static func install() {
        unsafe fuse_set_log_func { _, format, arguments in
            guard let format = unsafe format, let arguments = unsafe arguments else { return }
            var bytes = [CChar](repeating: 0, count: 1024)
            unsafe vsnprintf(&bytes, bytes.count, format, arguments)
            let text = String(
                decoding: bytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) },
                as: UTF8.self
            )
            LibraryMessages.receive(text.trimmed)
        }
    }

    private static func receive(_ line: String) {
        let forward = state.change { state -> (@Sendable (String) -> Void)? in
            guard state.collected == nil else {
                state.collected?.append(line)
                return nil
            }
            return state.forward
        }
        forward?(line)
    }
}

extension String {
    /// Without white space at either end.
    fileprivate var trimmed: String {
        var text = self[...]
        while text.last?.isWhitespace == true { text.removeLast() }
        while text.first?.isWhitespace == true { text.removeFirst() }
        return String(text)
    }
}
