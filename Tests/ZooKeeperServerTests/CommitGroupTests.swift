import Testing
import ZooKeeperModel

@testable import ZooKeeperServer

struct CommitGroupTests {
    private let sync = Duration.microseconds(200)

    /// Microseconds after the answer that every test begins with.
    private func at(_ microseconds: Int64) -> Instant {
        Instant(nanoseconds: 1_000_000_000 + microseconds * 1000)
    }

    /// A group whose sync of so many writes, while others gathered, has just been answered.
    private func answered(_ writes: Int, gathered: Int = 0) -> CommitGroup {
        var group = CommitGroup()
        add(writes, to: &group)
        group.submitted()
        add(gathered, to: &group)
        group.answered(after: sync, now: at(0))
        return group
    }

    private func add(_ writes: Int, to group: inout CommitGroup) {
        for _ in 0..<writes { group.addAppend() }
    }

    /// One more round: so many are submitted now, and answered a sync later.
    private func sync(_ group: inout CommitGroup, at start: Instant) {
        group.submitted()
        group.answered(after: sync, now: start + sync)
    }

    @Test func `the first write leaves at once`() {
        var group = CommitGroup()
        add(1, to: &group)
        #expect(group.decide(now: at(0)) == .submit)
    }

    @Test func `a lone client's next write leaves at once`() {
        var group = answered(1)
        add(1, to: &group)
        #expect(group.decide(now: at(10)) == .submit)
    }

    @Test func `the first of many clients to come back waits for the others`() {
        var group = answered(9, gathered: 3)
        #expect(group.decide(now: at(0)) == .wait(until: at(200)))
        add(8, to: &group)
        #expect(group.decide(now: at(60)) == .wait(until: at(200)))
        add(1, to: &group)
        #expect(group.decide(now: at(80)) == .submit)
    }

    @Test func `nothing waits longer than a sync after the answer`() {
        var group = answered(12)
        add(5, to: &group)
        #expect(group.decide(now: at(199)) == .wait(until: at(200)))
        #expect(group.decide(now: at(200)) == .submit)
    }

    @Test func `a write that comes late leaves at once, and says nothing of those after it`() {
        var group = answered(12)
        add(1, to: &group)
        #expect(group.decide(now: at(5000)) == .submit)
        add(1, to: &group)
        sync(&group, at: at(5000))
        add(1, to: &group)
        #expect(group.decide(now: at(5210)) == .wait(until: at(5400)))
    }

    @Test(arguments: [
        StorageRequest.storeEpoch(.accepted, 1), .beginSnapshot(zxid: .zero),
        .readLog(after: .zero, through: .zero, maxBytes: 1),
    ])
    func `what is no append takes all with it at once`(request: StorageRequest) {
        var group = answered(12)
        add(1, to: &group)
        group.add(request)
        #expect(group.decide(now: at(10)) == .submit)
    }

    @Test func `a truncation takes all with it at once`() {
        var group = answered(12)
        add(1, to: &group)
        group.addTruncation()
        #expect(group.decide(now: at(10)) == .submit)
    }

    @Test func `slices of a snapshot alone wait for nothing, and hurry no writes`() {
        var group = answered(12)
        group.add(.snapshotSlice([1]))
        #expect(group.decide(now: at(10)) == .submit)
        add(1, to: &group)
        #expect(group.decide(now: at(10)) == .wait(until: at(200)))
    }

    /// Rounds of twelve until a first write is made to wait again; 100 where none is.
    private func rest(_ group: inout CommitGroup, from start: inout Instant) -> Int {
        for count in 0..<100 {
            sync(&group, at: start)
            start = start + sync
            var probe = group
            add(1, to: &probe)
            if probe.decide(now: start) != .submit { return count }
            add(12, to: &group)
        }
        return 100
    }

    @Test func `where waiting did not pay it rests, twice as long each time, up to a limit`() {
        var group = answered(12)
        var start = at(0)
        var rests: [Int] = []
        for _ in 0..<9 {
            // All come back, but the loop was long about it.
            add(3, to: &group)
            #expect(group.decide(now: start + .microseconds(50)) == .wait(until: start + sync))
            add(9, to: &group)
            start = start + .microseconds(900)
            #expect(group.decide(now: start) == .submit)
            rests.append(rest(&group, from: &start))
        }
        #expect(rests == [1, 2, 4, 8, 16, 32, 64, 64, 64])
    }

    @Test func `waiting that pays ends the long rests`() {
        var group = answered(12)
        var start = at(0)
        func wait(for writes: Int) {
            add(1, to: &group)
            #expect(group.decide(now: start) == .wait(until: start + sync))
            add(writes - 1, to: &group)
            start = start + sync
            #expect(group.decide(now: start) == .submit)
            add(12 - writes, to: &group)
        }
        for expected in [1, 2, 4] {
            wait(for: 3)
            #expect(rest(&group, from: &start) == expected)
        }
        // Nearly all are there when the time is up.
        wait(for: 9)
        #expect(rest(&group, from: &start) == 0)
        wait(for: 3)
        #expect(rest(&group, from: &start) == 1)
    }
}
