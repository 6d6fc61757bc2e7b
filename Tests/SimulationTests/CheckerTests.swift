import Foundation
import Simulation
import Testing

/// The checkers must see what they are there to see.
struct CheckerTests {
    @Test func `every planted bug is seen again`() throws {
        let (status, output) = try Zksim.run(["--recorded-bugs"])
        #expect(status == 0, "\(output)")
        let lines = output.split(separator: "\n")
        #expect(lines.count { $0.hasPrefix("| ") } == PlantedBug.all.count, "\(output)")
    }

    @Test func `at least twenty bugs are planted, each under its own name`() {
        #expect(Set(PlantedBug.all.map(\.name)).count == PlantedBug.all.count)
        #expect(PlantedBug.all.count >= 20)
    }

    /// They are planted in the simulation; a program that serves must not know them.
    @Test func `no planted bug is in a program that serves`() throws {
        for program in ["zkserver", "zkfs"] {
            let file = Zksim.directory.appendingPathComponent(program)
            guard let bytes = try? Data(contentsOf: file) else {
                // A build of the core alone makes no servers.
                continue
            }
            let found = PlantedBug.all.map(\.mistake).filter {
                bytes.range(of: Data($0.utf8)) != nil
            }
            #expect(found.isEmpty)
        }
        let simulator = try Data(contentsOf: Zksim.directory.appendingPathComponent("zksim"))
        for bug in PlantedBug.all {
            #expect(simulator.range(of: Data(bug.mistake.utf8)) != nil, "\(bug.name)")
        }
    }
}
