import Testing
import Zab
import ZooKeeperModel

/// Whole runs from a seed: faults first, then healing, after which the ensemble must work again.
struct ZabRandomRunTests {
    struct Outcome: Sendable {
        var failures: [String]
        var isLive: Bool
        var agreedCount: Int
        var sent: [String: Int]
        var wipeCount: Int
    }

    static func run(
        seed: UInt64,
        voters: Int,
        observers: Int,
        groups: [EnsembleConfiguration.Group] = [],
        weights: [ServerID: Int64] = [:],
        wipes: Bool = false,
        steps: Int = 2500
    ) -> Outcome {
        var world = ZabWorld(
            seed: seed,
            voters: voters,
            observers: observers,
            groups: groups,
            weights: weights,
            namelessPercent: seed % 3 == 0 ? 40 : 0
        )
        for index in world.servers.indices { world.start(index) }
        for _ in 0..<steps where world.failures.isEmpty {
            let one = world.random.below(world.servers.count)
            switch world.random.below(1000) {
            case 0..<4: if world.servers[one].peer != nil { world.crash(one) }
            // Half of the crashes find a disk at work.
            case 4..<8:
                if let busy = world.servers.firstIndex(where: { !$0.jobs.isEmpty }) {
                    world.crash(busy)
                }
            case 8..<26: if world.servers[one].peer == nil { world.start(one) }
            case 26..<32:
                let other = world.random.below(world.servers.count)
                if other != one { world.setCut(one, other, true) }
            case 32..<48:
                let other = world.random.below(world.servers.count)
                if other != one { world.setCut(one, other, false) }
            case 48..<130: if let leader = world.leader { world.propose(at: leader) }
            case 150..<158: world.slow[one].toggle()
            // A leader that does not yet know that it is one no more.
            case 130..<150: world.propose(at: one)
            case 158..<180: world.confirm(at: one)
            case 180..<183: if let leader = world.leader { world.feed(.handOver, to: leader) }
            case 183..<188: world.feed(.diskFull(world.random.chance(30)), to: one)
            case 188..<191: world.stopped[one] = true
            case 191..<197: world.stopped[one] = false
            case 197..<203:
                guard wipes, world.mayWipe else { break }
                world.wipe(one, isDamaged: world.random.chance(50))
            default: world.step()
            }
        }
        // Healed: everybody is up and hears everybody.
        world.slow = world.slow.map { _ in false }
        world.stopped = world.slow
        for one in world.servers.indices {
            for other in world.servers.indices where other > one {
                world.setCut(one, other, false)
            }
            if world.servers[one].peer == nil { world.start(one) }
            world.feed(.diskFull(false), to: one)
        }
        func isHealed(_ agreedBefore: Int) -> Bool {
            world.leader != nil && world.agreed.count > agreedBefore
                && world.servers.allSatisfy { $0.tree.count == world.agreed.count }
                && world.servers.allSatisfy { $0.role != .looking && $0.role != .preparing }
        }
        let agreedBefore = world.agreed.count
        var budget = 40_000
        while world.failures.isEmpty, budget > 0, !isHealed(agreedBefore) {
            budget -= 1
            if let leader = world.leader, world.agreed.count <= agreedBefore,
                world.servers[leader].peer?.pendingProposalCount == 0
            {
                world.propose(at: leader)
            }
            world.step()
        }
        return Outcome(
            failures: world.failures,
            isLive: isHealed(agreedBefore),
            agreedCount: world.agreed.count,
            sent: world.sent,
            wipeCount: world.wipeCount
        )
    }

    /// The messages that a batch of runs must have exercised to mean anything.
    static let required = [
        "diff", "truncate", "snapshot", "inform", "upToDate", "commit", "confirmed", "read",
    ]

    @Test(arguments: [(3, 0, 120), (5, 0, 40), (3, 1, 40), (1, 1, 10)])
    func `faults never split the sequence, and a healed ensemble goes on`(
        voters: Int,
        observers: Int,
        seeds: Int
    ) {
        var sent: [String: Int] = [:]
        for seed in 0..<UInt64(seeds) {
            let outcome = Self.run(seed: seed, voters: voters, observers: observers)
            #expect(outcome.failures.isEmpty, "seed \(seed): \(outcome.failures)")
            #expect(outcome.isLive, "seed \(seed) does not recover")
            sent.merge(outcome.sent) { $0 + $1 }
        }
        for kind in Self.required where kind != "inform" || observers > 0 {
            // Alone, a voter has every history that it gives to others.
            if voters == 1, ["truncate", "commit", "read"].contains(kind) { continue }
            #expect(sent[kind, default: 0] > 0, "no run sent \(kind)")
        }
    }

    @Test func `groups and weights never split the sequence either`() {
        // Two of three in each of two groups, and a group of one with a bystander.
        let groups = QuorumTests.groups([1, 2, 3], [4, 5, 6], [7])
        let weights: [ServerID: Int64] = [ServerID(rawValue: 3): 0, ServerID(rawValue: 5): 3]
        for seed in 0..<UInt64(40) {
            let outcome = Self.run(
                seed: seed,
                voters: 7,
                observers: 0,
                groups: groups,
                weights: weights
            )
            #expect(outcome.failures.isEmpty, "seed \(seed): \(outcome.failures)")
            #expect(outcome.isLive, "seed \(seed) does not recover")
        }
    }

    @Test func `the same seed gives the same run`() {
        let one = Self.run(seed: 7, voters: 3, observers: 1)
        let two = Self.run(seed: 7, voters: 3, observers: 1)
        #expect(one.agreedCount == two.agreedCount)
        #expect(one.sent == two.sent)
    }
}
