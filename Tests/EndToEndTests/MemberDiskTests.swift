import Foundation
import Testing

/// Members whose disk is not what they left: wiped, damaged, or another ensemble's.
@Suite(.serialized)
struct MemberDiskTests {
    private func files(_ member: ServerProcess) -> String { member.dataDirectory + "/version-2" }

    private func wipe(_ member: ServerProcess) throws {
        try FileManager.default.removeItem(atPath: files(member))
    }

    /// The newest log with entries in it.
    private func newestLog(_ member: ServerProcess) throws -> String {
        let names = try FileManager.default.contentsOfDirectory(atPath: files(member))
        let zxids = names.filter { $0.hasPrefix("log.") }
            .compactMap { UInt64($0.dropFirst(4), radix: 16) }
        return files(member) + "/log." + String(try #require(zxids.max()), radix: 16)
    }

    private func followers(_ ensemble: Ensemble) throws -> (leader: Int, others: [Int]) {
        let leader = try #require(ensemble.leader)
        return (leader, ensemble.members.indices.filter { $0 != leader })
    }

    private func epoch(_ ensemble: Ensemble) throws -> Int {
        let leader = ensemble.members[try #require(ensemble.leader)]
        let text = try String(contentsOfFile: files(leader) + "/currentEpoch", encoding: .utf8)
        return try #require(Int(text.trimmingCharacters(in: .whitespacesAndNewlines)))
    }

    /// An election may have taken one epoch more here than there.
    private func equalizeEpochs(_ one: Ensemble, _ other: Ensemble) throws {
        while try epoch(one) != epoch(other) {
            let behind = try epoch(one) < epoch(other) ? one : other
            let leader = behind.members[try #require(behind.leader)]
            leader.kill()
            eventually("another one leads", limit: 60) { behind.leader != nil }
            try leader.launchAgain()
            behind.waitUntilServing()
        }
    }

    @Test(.enabled(if: Requirement.hasKazoo))
    func `a wiped member has no vote while another one is down, and is repaired`() throws {
        let workspace = try Workspace()
        defer { workspace.tearDown() }
        let ensemble = try Ensemble([.ours, .ours, .ours], in: workspace)
        let writer = try ConstantWriter(ensemble.addresses, in: workspace)
        writer.waitForProgress("at first")
        let (leader, others) = try followers(ensemble)
        let (behind, wiped) = (ensemble.members[others[0]], ensemble.members[others[1]])
        // What is written now is on the leader and on the disk that will be wiped alone.
        behind.kill()
        writer.waitForProgress("without one")
        wiped.kill()
        ensemble.members[leader].kill()
        try wipe(wiped)
        try wiped.launchAgain()
        try behind.launchAgain()
        eventually("the wiped server says that it has no vote: \(wiped.child.log)") {
            wiped.child.log.contains("its vote does not count until it is synchronized")
        }
        // Long enough for several elections; a slow machine only makes it easier.
        for _ in 0..<30 {
            #expect(ensemble.leader == nil, "a quorum without what was acknowledged")
            Thread.sleep(forTimeInterval: 0.1)
        }
        try ensemble.members[leader].launchAgain()
        ensemble.waitUntilServing()
        writer.waitForProgress("with all three")
        #expect(writer.stop() == "")
        writer.verify(on: ensemble.members)
    }

    @Test(.enabled(if: Requirement.hasKazoo))
    func `a log damaged in the middle is named, put aside and replaced by the leader's`() throws {
        let workspace = try Workspace()
        defer { workspace.tearDown() }
        let ensemble = try Ensemble([.ours, .ours, .ours], in: workspace)
        let writer = try ConstantWriter(ensemble.addresses, in: workspace)
        writer.waitForProgress("at first")
        let damaged = ensemble.members[try followers(ensemble).others[0]]
        damaged.kill()
        let log = try newestLog(damaged)
        let file = try #require(FileHandle(forUpdatingAtPath: log))
        // In its first entries; much has been written and synced after them.
        try file.seek(toOffset: 60)
        let byte = try #require(try file.read(upToCount: 1)?.first)
        try file.seek(toOffset: 60)
        try file.write(contentsOf: [byte ^ 1])
        try file.close()
        try damaged.launchAgain()
        ensemble.waitUntilServing()
        writer.waitForProgress("with the damaged one")
        #expect(damaged.child.log.contains("is damaged at offset 16"))
        #expect(damaged.child.log.contains("its vote does not count until it is synchronized"))
        let kept = try FileManager.default.contentsOfDirectory(atPath: files(damaged))
            .filter { $0.hasPrefix("damaged.log.") }
        #expect(kept.count >= 1)
        #expect(writer.stop() == "")
        writer.verify(on: ensemble.members)
    }

    @Test(.enabled(if: Requirement.hasKazoo), arguments: [true, false])
    func `a disk of another ensemble ends the start with a sentence`(_ isNamed: Bool) throws {
        let workspace = try Workspace()
        defer { workspace.tearDown() }
        // Both have transactions of the same zxids.
        let elsewhere = try Workspace()
        defer { elsewhere.tearDown() }
        let ensemble = try Ensemble([.ours, .ours, .ours], in: workspace)
        let foreign = try Ensemble([.ours, .ours, .ours], in: elsewhere)
        try equalizeEpochs(ensemble, foreign)
        for (ensemble, place) in [(ensemble, workspace), (foreign, elsewhere)] {
            let writer = try ConstantWriter(ensemble.addresses, in: place, clients: 1)
            writer.waitForProgress("in \(place.directory.path)")
            #expect(writer.stop() == "")
        }
        let stranger = ensemble.members[try followers(ensemble).others[0]]
        let source = foreign.members[try followers(foreign).others[0]]
        for member in [stranger, source] { member.kill() }
        try wipe(stranger)
        try FileManager.default.copyItem(atPath: files(source), toPath: files(stranger))
        if !isNamed { try FileManager.default.removeItem(atPath: files(stranger) + "/zkfs") }
        try stranger.launchAgain()
        eventually("the disk is refused: \(stranger.child.log.suffix(2000))", limit: 60) {
            !stranger.child.isRunning
        }
        try #require(!stranger.child.isRunning)
        #expect(stranger.child.process.terminationStatus == 1)
        let sentence =
            isNamed ? "this server's disk belongs to ensemble " : "holds another history than"
        #expect(stranger.child.log.contains(sentence), "\(stranger.child.log.suffix(2000))")
        #expect(ensemble.leader != nil)
    }
}
