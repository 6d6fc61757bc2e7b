import Foundation
import Testing

/// Ensembles of real processes: ours, and ours beside Apache's.
@Suite(.serialized)
struct EnsembleProcessTests {
    @Test(.enabled(if: Requirement.hasKazoo))
    func `each member of three is killed in turn and nothing is lost`() throws {
        let workspace = try Workspace()
        defer { workspace.tearDown() }
        let ensemble = try Ensemble([.ours, .ours, .ours], in: workspace)
        let writer = try ConstantWriter(ensemble.addresses, in: workspace)
        writer.waitForProgress("at first")
        for round in 0..<2 {
            for (index, member) in ensemble.members.enumerated() {
                member.kill()
                writer.waitForProgress("without server \(index + 1), round \(round)")
                try member.launchAgain()
                ensemble.waitUntilServing()
            }
        }
        // The leader, wherever it is by now.
        let leader = try #require(ensemble.leader)
        ensemble.members[leader].kill()
        writer.waitForProgress("without the leader")
        try ensemble.members[leader].launchAgain()
        ensemble.waitUntilServing()
        #expect(writer.stop() == "")
        writer.verify(on: ensemble.members)
    }

    @Test(.enabled(if: Requirement.hasKazoo && Requirement.hasApache))
    func `an ensemble of Apache's becomes ours and Apache's again under constant writes`() throws {
        let workspace = try Workspace()
        defer { workspace.tearDown() }
        let ensemble = try Ensemble([.apache, .apache, .apache], in: workspace)
        let writer = try ConstantWriter(ensemble.addresses, in: workspace)
        writer.waitForProgress("at first")
        for kind in [ServerProcess.Kind.ours, .apache] {
            for (index, member) in ensemble.members.enumerated() {
                _ = member.terminate()
                writer.waitForProgress("while server \(index + 1) becomes \(kind)")
                try member.launchAgain(as: kind)
                ensemble.waitUntilServing()
                writer.waitForProgress("with server \(index + 1) as \(kind)")
            }
        }
        #expect(writer.stop() == "")
        writer.verify(on: ensemble.members)
    }

    @Test(
        .enabled(if: Requirement.hasKazoo && Requirement.hasApache),
        arguments: [0, 1, 2]
    )
    func `any member of a mixture leads`(ours: Int) throws {
        let workspace = try Workspace()
        defer { workspace.tearDown() }
        var kinds = [ServerProcess.Kind](repeating: .apache, count: 3)
        kinds[ours] = .ours
        let ensemble = try Ensemble(kinds, in: workspace)
        let writer = try ConstantWriter(ensemble.addresses, in: workspace)
        writer.waitForProgress("at first")
        for wanted in 0..<3 {
            let behind = ensemble.members[(wanted + 1) % 3]
            let gone = ensemble.members[(wanted + 2) % 3]
            behind.kill()
            // These writes are on the other two alone: of it and one of them that one is elected.
            writer.waitForProgress("without one")
            gone.kill()
            try behind.launchAgain()
            eventually("server \(wanted + 1) leads", limit: 60) { ensemble.leader == wanted }
            writer.waitForProgress("with leader \(wanted + 1)")
            try gone.launchAgain()
            ensemble.waitUntilServing()
        }
        #expect(writer.stop() == "")
        writer.verify(on: ensemble.members)
    }

    @Test(.enabled(if: Requirement.hasKazoo && Requirement.hasApache))
    func `observers of both kinds serve clients of an ensemble of both`() throws {
        let workspace = try Workspace()
        defer { workspace.tearDown() }
        let ensemble = try Ensemble(
            [.ours, .apache, .ours, .ours, .apache],
            in: workspace,
            observers: [4, 5]
        )
        let observers = [ensemble.members[3], ensemble.members[4]]
        #expect(observers.map(ensemble.mode(of:)) == ["observer", "observer"])
        let writer = try ConstantWriter(
            observers.map(\.address).joined(separator: ","),
            in: workspace
        )
        writer.waitForProgress("through observers")
        let leader = try #require(ensemble.leader)
        ensemble.members[leader].kill()
        writer.waitForProgress("after the leader's end")
        try ensemble.members[leader].launchAgain()
        ensemble.waitUntilServing()
        #expect(writer.stop() == "")
        writer.verify(on: ensemble.members)
    }
}
