import Testing
import ZooKeeperModel

@testable import ZnodeFS

/// Which signals end a request, and when.
@Suite struct InterruptionTests {
    private static func bit(_ number: UInt64) -> UInt64 { 1 << (number - 1) }
    private static let child = CallerSignals(pending: bit(17), caught: bit(17))
    private static let interrupt = CallerSignals(
        pending: bit(2) | bit(17),
        caught: bit(2) | bit(17)
    )

    @Test(arguments: [
        (CallerSignals(pending: 0), false),
        // SIGCHLD with a handler, as every shell has; and without.
        (child, false), (CallerSignals(pending: bit(17)), false),
        // Ctrl-C: a shell catches it, others die of it, some ignore or block it.
        (interrupt, true), (CallerSignals(pending: bit(2)), true),
        (CallerSignals(pending: bit(2), ignored: bit(2)), false),
        (CallerSignals(pending: bit(2), blocked: bit(2), caught: bit(2)), false),
        // SIGKILL, which is also how the kernel ends all threads of a process.
        (CallerSignals(pending: bit(9) | bit(17), caught: bit(17)), true),
        // What kills who has no handler, and is news for who has one.
        (CallerSignals(pending: bit(10)), true),
        (CallerSignals(pending: bit(10), caught: bit(10)), false),
        (CallerSignals(pending: bit(64)), true),
        // alarm(2) and timeout(1).
        (CallerSignals(pending: bit(14), caught: bit(14)), true),
        (CallerSignals(pending: bit(15), caught: bit(15)), true),
        // Ctrl-Z, the window, a profiler.
        (CallerSignals(pending: bit(20)), false), (CallerSignals(pending: bit(28)), false),
        (CallerSignals(pending: bit(27), caught: bit(27)), false),
    ])
    func `a signal that is to end the call ends it`(signals: CallerSignals, ends: Bool) {
        #expect(signals.endTheCall == ends)
    }

    @Test func `a contended append goes on after the end of a child`() throws {
        var world = MountWorld()
        try world.write(0, "/log", "a\n")
        let (node, handle) = try world.open(0, "/log", [.writeOnly, .append])
        let append = world.send(0, .write(node, handle, offset: 0, bytes: bytes("b\n")))
        // Another is faster, twice.
        world.other(.setData("/log", data: bytes("a\nx\n"), version: -1))
        world.input(0, .interrupted(append, Self.child))
        world.settle()
        #expect(world.reply(0, append) == .written(2))
        #expect(world.data("/log") == "a\nx\nb\n")
    }

    @Test func `a request goes on through a disconnection after the end of a child`() throws {
        var world = MountWorld()
        try world.write(0, "/f", "x")
        let (node, handle) = try world.open(0, "/f", [.writeOnly])
        world.disconnect(0)
        let write = world.send(0, .write(node, handle, offset: 0, bytes: bytes("y")))
        let lookup = world.send(0, .lookup(parent: .root, name: bytes("f")))
        for request in [write, lookup] { world.input(0, .interrupted(request, Self.child)) }
        #expect(world.reply(0, write) == nil)
        #expect(world.reply(0, lookup) == nil)
        world.connect(0)
        world.settle()
        #expect(world.reply(0, write) == .written(1))
        #expect(world.data("/f") == "y")
    }

    private func wake(_ world: inout MountWorld, after duration: Duration) {
        world.now.instant = world.now.instant + duration
        world.input(0, .wake)
    }

    @Test func `the caller of a request that goes on is looked at again`() throws {
        var world = MountWorld()
        world.disconnect(0)
        let lookup = world.send(0, .lookup(parent: .root, name: bytes("f")))
        world.input(0, .interrupted(lookup, Self.child))
        for _ in 0..<3 {
            world.mounts[0].looks = []
            wake(&world, after: .milliseconds(100))
            #expect(world.mounts[0].looks == [lookup])
            world.input(0, .interrupted(lookup, Self.child))
        }
        // Ctrl-C, of which the kernel says nothing.
        world.input(0, .interrupted(lookup, Self.interrupt))
        #expect(world.reply(0, lookup) == .failed(.interrupted))
        world.mounts[0].looks = []
        wake(&world, after: .milliseconds(500))
        #expect(world.mounts[0].looks.isEmpty)
    }

    @Test func `a handler waits no longer than hold`() throws {
        var world = MountWorld { $0.hold = .seconds(5) }
        try world.write(0, "/f", "x")
        let (node, handle) = try world.open(0, "/f", [.writeOnly, .append])
        let begin = world.now.instant
        let write = world.send(0, .write(node, handle, offset: 0, bytes: bytes("y")))
        world.input(0, .interrupted(write, Self.child))
        for _ in 0..<1_000 where world.reply(0, write) == nil {
            // Another is faster, every time.
            if world.mounts[0].outbox.first?.1.isWrite == true {
                world.other(.setData("/f", data: bytes("z"), version: -1))
            }
            if world.step(0) { continue }
            wake(&world, after: .milliseconds(100))
            for request in world.mounts[0].looks {
                world.input(0, .interrupted(request, Self.child))
            }
            world.mounts[0].looks = []
        }
        #expect(world.reply(0, write) == .failed(.interrupted))
        #expect(world.now.instant - begin > .seconds(4))
        #expect(world.data("/f") == "z")
    }
}
