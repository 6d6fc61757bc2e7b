import Simulation
import Testing

/// The checker of histories sees violations, and only those.
struct LinearizabilityTests {
    private static func judge(_ text: String) throws -> Linearizability.Verdict {
        let history = try History(lines: text.split(separator: "\n").map(String.init))
        #expect(history.lines == text.split(separator: "\n").map(String.init))
        return try #require(Linearizability.judge(history)["/k"])
    }

    private static func isViolated(_ verdict: Linearizability.Verdict) -> Bool {
        if case .violated = verdict { true } else { false }
    }

    @Test(arguments: [
        // In turn.
        """
        1 2 c1 s1 /k create 7 = created
        3 4 c1 s1 /k write 8 any = version 1
        5 6 c2 s2 /k read = value 8 1
        """,
        // A read that overlaps a write sees either.
        """
        1 2 c1 s1 /k create 7 = created
        3 9 c1 s1 /k write 8 any = version 1
        4 5 c2 s2 /k read = value 8 1
        """,
        """
        1 2 c1 s1 /k create 7 = created
        3 9 c1 s1 /k write 8 any = version 1
        4 5 c2 s2 /k read = value 7 0
        """,
        // A lost write that took effect late, and one that never did.
        """
        1 2 c1 s1 /k create 7 = created
        3 - c1 s1 /k write 8 any = lost
        4 5 c2 s2 /k read = value 7 0
        6 7 c2 s2 /k read = value 8 1
        """,
        """
        1 2 c1 s1 /k create 7 = created
        3 - c1 s1 /k write 8 any = lost
        4 5 c1 s1 /k write 9 0 = version 1
        6 7 c2 s2 /k read = value 9 1
        """,
        // A lost write that has taken effect before its session went on.
        """
        1 2 c1 s1 /k create 7 = created
        3 8 c1 s1 /k write 8 any = lost
        4 5 c2 s2 /k read = value 7 0
        6 7 c2 s2 /k read = value 8 1
        """,
        // The search has to take its first choice back.
        """
        1 9 c1 s1 /k create 7 = created
        2 8 c2 s2 /k create 8 = node-exists
        3 7 c3 s3 /k delete any = deleted
        4 6 c4 s4 /k read = no-node
        """,
        // Deleted and made anew: versions begin again.
        """
        1 2 c1 s1 /k create 7 = created
        3 4 c1 s1 /k delete 0 = deleted
        5 6 c2 s2 /k create 8 = created
        7 8 c1 s1 /k write 9 1 = bad-version
        9 10 c2 s2 /k read = value 8 0
        """,
    ])
    func `a history that one order explains is linearizable`(text: String) throws {
        #expect(try Self.judge(text) == .linearizable)
    }

    @Test(arguments: [
        // A stale read.
        """
        1 2 c1 s1 /k create 7 = created
        3 4 c1 s1 /k write 8 any = version 1
        5 6 c2 s2 /k read = value 7 0
        """,
        // An acknowledged write is lost.
        """
        1 2 c1 s1 /k create 7 = created
        3 4 c1 s1 /k write 8 any = version 1
        5 6 c2 s2 /k write 9 any = version 1
        """,
        // Two compare-and-sets of one version.
        """
        1 2 c1 s1 /k create 7 = created
        3 8 c1 s1 /k write 8 0 = version 1
        4 9 c2 s2 /k write 9 0 = version 1
        """,
        // Two creates of one znode.
        """
        1 5 c1 s1 /k create 7 = created
        2 6 c2 s2 /k create 8 = created
        """,
        // Reads that go back.
        """
        1 2 c1 s1 /k create 7 = created
        3 20 c1 s1 /k write 8 any = version 1
        4 5 c2 s2 /k read = value 8 1
        6 7 c3 s3 /k read = value 7 0
        """,
        // A write that was refused for another version than there was.
        """
        1 2 c1 s1 /k create 7 = created
        3 4 c1 s1 /k write 8 0 = bad-version
        """,
        // A lost write takes effect after a later one of its session was answered.
        """
        1 2 c1 s1 /k create 7 = created
        3 - c1 s1 /k write 8 any = lost
        4 5 c1 s1 /k write 9 0 = version 1
        6 7 c2 s2 /k read = value 9 1
        8 9 c2 s2 /k read = value 8 2
        """,
        // A lost write takes effect after its session went on.
        """
        1 2 c1 s1 /k create 7 = created
        3 5 c1 s1 /k write 8 any = lost
        6 7 c2 s2 /k read = value 7 0
        8 9 c2 s2 /k read = value 8 1
        """,
        // A value that nobody wrote.
        """
        1 2 c1 s1 /k create 7 = created
        3 4 c2 s2 /k read = value 6 0
        """,
        // A deleted znode is read.
        """
        1 2 c1 s1 /k create 7 = created
        3 4 c1 s1 /k delete any = deleted
        5 6 c2 s2 /k read = value 7 0
        """,
    ])
    func `a violation is seen`(text: String) throws {
        #expect(Self.isViolated(try Self.judge(text)))
    }

    @Test func `one wrong answer in a recorded run is seen`() throws {
        let world = World(plan: SimulationPlan(seed: 4))
        world.run()
        let honest = world.history
        let verdicts = Linearizability.judge(honest)
        #expect(!verdicts.isEmpty)
        #expect(verdicts.values.allSatisfy { $0 == .linearizable })
        var tried = 0
        for index in honest.operations.indices {
            guard case .version(let version) = honest.operations[index].outcome else { continue }
            var planted = honest
            planted.operations[index].outcome = .version(version + 1000)
            #expect(
                Linearizability.judge(planted).values.contains { Self.isViolated($0) },
                "\(planted.operations[index].line)"
            )
            tried += 1
            if tried == 20 { break }
        }
        #expect(tried == 20)
    }

    @Test func `a search that takes too long is given up`() throws {
        let lines =
            (0..<40).map { "\($0) - c\($0) s\($0) /k create \($0) = lost" }
            + ["100 101 c99 s99 /k read = value 1000 0"]
        let history = try History(lines: lines)
        #expect(Linearizability.judge(history, steps: 1000) == ["/k": .undecided])
    }

    @Test(arguments: [
        "", "1 2 c1 s1 /k read =", "1 2 c1 s1 /k read value 7 0", "x 2 c1 s1 /k read = no-node",
        "3 2 c1 s1 /k read = no-node", "1 2 1 s1 /k read = no-node", "1 2 c1 s1 /k jump = lost",
        "1 2 c1 s1 /k write 7 = lost", "1 2 c1 s1 /k read = value 7",
    ])
    func `a line that is no operation is refused`(line: String) {
        #expect(History.Operation(line: line) == nil)
    }
}
