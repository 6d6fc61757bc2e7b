import ClientCore
import Testing
import ZooKeeperModel

@Suite struct `A hostile server` {
    /// Numbers that depend on the seed alone.
    private struct Numbers: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return (state >> 32) | (state << 32)
        }
    }

    /// Whatever it sends, the session goes on to another server and every request ends once.
    @Test(arguments: 0..<300 as Range<UInt64>)
    func `never traps the session nor loses a request`(seed: UInt64) throws {
        var numbers = Numbers(state: seed)
        var server = try ScriptedServer.connected()
        var submitted: UInt64 = 0
        for _ in 0..<40 {
            submitted += 1
            server.submit(submitted, .getData("/a", watch: true))
            submitted += 1
            server.submit(submitted, .multi([.check("/a", version: 0)]))
            let xid = Int32.random(in: -9...Int32(submitted), using: &numbers)
            var bytes =
                switch numbers.next() % 3 {
                case 0: ScriptedServer.bytes(xid, .success(.data([1, 2], ScriptedServer.stat)))
                case 1: ScriptedServer.bytes(xid, .success(.multi([.failure(.badVersion)])))
                default: ScriptedServer.bytes(WatchEvent(kind: .deleted, path: "/a"))
                }
            for _ in 0..<Int.random(in: 0...2, using: &numbers) {
                let index = Int.random(in: 0..<bytes.count, using: &numbers)
                bytes[index] = UInt8.random(in: 0...255, using: &numbers)
            }
            server.handle(.received(server.attempt, bytes))
            if server.states.last == .disconnected {
                if let deadline = server.session.nextDeadline, numbers.next() % 2 == 0 {
                    server.now = deadline
                    server.handle(.wake)
                }
                server.handle(.connected(server.attempt))
                server.answerConnect()
            }
        }
        server.handle(.close)
        server.hangUp()
        let ended = server.completions.map(\.token).sorted()
        #expect(ended == Array(1...submitted))
    }
}
