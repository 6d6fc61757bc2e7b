internal import Journal

/// What every ``Disk`` may leave after a power loss, and what it must. One list of checks for the
/// simulated disk, and for real files on a file system that forgets what was not synced.
///
/// Each check is tried with many seeds. All that may be left must be seen at least once, so that the
/// disk under test is as cruel as its contract allows, and nothing else ever.
package enum PowerLossContract {
    package struct Check: Sendable, CustomStringConvertible {
        package let description: String
        let leaves: Set<String>
        let prepare: @Sendable (any CrashableDisk) throws(DiskError) -> Void
        let look: @Sendable (any CrashableDisk) throws(DiskError) -> String

        /// What went wrong, or nil.
        package func run(
            _ makeDisk: () throws -> any CrashableDisk,
            seeds: Range<UInt64> = 0..<96
        ) throws -> String? {
            var seen: Set<String> = []
            for seed in seeds {
                let disk = try makeDisk()
                try prepare(disk)
                var generator = SimulationRandom(seed: seed)
                disk.crash(using: &generator)
                seen.insert(try look(disk))
            }
            guard seen != leaves else { return nil }
            return "left \(seen.sorted()), should be \(leaves.sorted())"
        }
    }

    /// A file's bytes, each run of equal ones as `value×count`; or that it is gone.
    private static func content(
        _ file: String,
        _ disk: any CrashableDisk
    ) throws(DiskError) -> String {
        guard try disk.size(file) != nil else { return "gone" }
        var runs: [(value: UInt8, count: Int)] = []
        for byte in try disk.read(file, at: 0, count: 1 << 20) {
            if let last = runs.last, last.value == byte {
                runs[runs.count - 1].count += 1
            } else {
                runs.append((byte, 1))
            }
        }
        return runs.map { "\($0.value)×\($0.count)" }.joined(separator: " ")
    }

    private static func bytes(_ value: UInt8, _ count: Int) -> [UInt8] {
        [UInt8](repeating: value, count: count)
    }

    /// With its bytes and its name durable.
    private static func store(
        _ file: String,
        _ bytes: [UInt8],
        _ disk: any CrashableDisk
    ) throws(DiskError) {
        try disk.write(file, at: 0, bytes)
        try disk.syncFile(file)
        try disk.syncDirectory("")
    }

    package static let checks: [Check] = [
        Check(
            description: "a file whose bytes and name were synced is there",
            leaves: ["1×600"],
            prepare: { disk throws(DiskError) in try store("a", bytes(1, 600), disk) },
            look: { disk throws(DiskError) in try content("a", disk) }
        ),
        Check(
            description: "of a file that was never synced nothing needs to be there",
            leaves: ["gone", "", "0×1", "1×1"],
            prepare: { disk throws(DiskError) in try disk.write("a", at: 0, [1]) },
            look: { disk throws(DiskError) in try content("a", disk) }
        ),
        Check(
            description: "a name may be lost although its bytes were synced",
            leaves: ["gone", "1×1"],
            prepare: { disk throws(DiskError) in
                try disk.write("a", at: 0, [1])
                try disk.syncFile("a")
            },
            look: { disk throws(DiskError) in try content("a", disk) }
        ),
        Check(
            description: "bytes may be lost although their file's name was synced",
            leaves: ["", "0×1", "1×1"],
            prepare: { disk throws(DiskError) in
                try disk.write("a", at: 0, [1])
                try disk.syncDirectory("")
            },
            look: { disk throws(DiskError) in try content("a", disk) }
        ),
        Check(
            description: "of bytes written over synced ones any sectors survive",
            leaves: ["1×1024", "1×512 2×512", "2×512 1×512", "2×1024"],
            prepare: { disk throws(DiskError) in
                try store("a", bytes(1, 1024), disk)
                try disk.write("a", at: 0, bytes(2, 1024))
            },
            look: { disk throws(DiskError) in try content("a", disk) }
        ),
        Check(
            description: "a sync covers what was written before it and nothing later",
            leaves: ["1×1", "2×1"],
            prepare: { disk throws(DiskError) in
                try store("a", [1], disk)
                try disk.syncFile("a")
                try disk.write("a", at: 0, [2])
            },
            look: { disk throws(DiskError) in try content("a", disk) }
        ),
        Check(
            description: "synced bytes stay where the file grows, and the growth may be lost",
            leaves: ["old", "zeros", "new"],
            prepare: { disk throws(DiskError) in
                try store("a", bytes(1, 512), disk)
                try disk.write("a", at: 512, bytes(2, 512))
            },
            look: { disk throws(DiskError) in
                let found = try disk.read("a", at: 0, count: 4000)
                guard found.starts(with: bytes(1, 512)) else { return "damaged" }
                let tail = found[512...]
                if tail.isEmpty { return "old" }
                return tail.allSatisfy { $0 == 2 }
                    ? "new" : tail.allSatisfy { $0 == 0 } ? "zeros" : "mixed"
            }
        ),
        Check(
            description: "growth that was synced stays",
            leaves: ["1×512 2×512"],
            prepare: { disk throws(DiskError) in
                try store("a", bytes(1, 512), disk)
                try disk.write("a", at: 512, bytes(2, 512))
                try disk.syncFile("a")
            },
            look: { disk throws(DiskError) in try content("a", disk) }
        ),
        Check(
            description: "a cut may be undone",
            leaves: ["cut", "whole", "between"],
            prepare: { disk throws(DiskError) in
                try store("a", bytes(9, 1536), disk)
                try disk.truncate("a", to: 512)
            },
            look: { disk throws(DiskError) in
                let found = try disk.read("a", at: 0, count: 4000)
                guard found.allSatisfy({ $0 == 9 }), found.count >= 512 else { return "damaged" }
                return found.count == 512 ? "cut" : found.count == 1536 ? "whole" : "between"
            }
        ),
        Check(
            description: "a cut that was synced stays",
            leaves: ["9×600"],
            prepare: { disk throws(DiskError) in
                try store("a", bytes(9, 1300), disk)
                try disk.truncate("a", to: 600)
                try disk.syncFile("a")
            },
            look: { disk throws(DiskError) in try content("a", disk) }
        ),
        Check(
            description: "cut bytes do not come back where the file has grown again",
            leaves: ["9×600 0×700"],
            prepare: { disk throws(DiskError) in
                try store("a", bytes(9, 1300), disk)
                try disk.truncate("a", to: 600)
                try disk.truncate("a", to: 1300)
                try disk.syncFile("a")
            },
            look: { disk throws(DiskError) in try content("a", disk) }
        ),
        Check(
            description: "a rename happens as a whole or not at all",
            leaves: ["1×1, 2×1", "gone, 1×1"],
            prepare: { disk throws(DiskError) in
                try store("a", [1], disk)
                try store("b", [2], disk)
                try disk.rename("a", to: "b")
            },
            look: { disk throws(DiskError) in
                try content("a", disk) + ", " + content("b", disk)
            }
        ),
        Check(
            description: "a rename whose directory was synced stays",
            leaves: ["gone, 1×1"],
            prepare: { disk throws(DiskError) in
                try store("a", [1], disk)
                try store("b", [2], disk)
                try disk.rename("a", to: "b")
                try disk.syncDirectory("")
            },
            look: { disk throws(DiskError) in
                try content("a", disk) + ", " + content("b", disk)
            }
        ),
        Check(
            description: "a sync of the file does not make its new name durable",
            leaves: ["1×1, gone", "gone, 1×1"],
            prepare: { disk throws(DiskError) in
                try store("a", [1], disk)
                try disk.rename("a", to: "b")
                try disk.syncFile("b")
            },
            look: { disk throws(DiskError) in
                try content("a", disk) + ", " + content("b", disk)
            }
        ),
        Check(
            description: "a removed file may come back",
            leaves: ["gone", "1×1"],
            prepare: { disk throws(DiskError) in
                try store("a", [1], disk)
                try disk.remove("a")
            },
            look: { disk throws(DiskError) in try content("a", disk) }
        ),
        Check(
            description: "a removed file whose directory was synced stays away",
            leaves: ["gone"],
            prepare: { disk throws(DiskError) in
                try store("a", [1], disk)
                try disk.remove("a")
                try disk.syncDirectory("")
            },
            look: { disk throws(DiskError) in try content("a", disk) }
        ),
        Check(
            description: "a sync of one directory says nothing of another",
            leaves: ["1×1, gone", "1×1, 2×1"],
            prepare: { disk throws(DiskError) in
                try disk.createDirectory("d")
                try disk.createDirectory("e")
                try disk.syncDirectory("")
                for (file, byte) in [("d/a", UInt8(1)), ("e/a", 2)] {
                    try disk.write(file, at: 0, [byte])
                    try disk.syncFile(file)
                }
                try disk.syncDirectory("d")
            },
            look: { disk throws(DiskError) in
                try content("d/a", disk) + ", " + content("e/a", disk)
            }
        ),
        Check(
            description: "a directory is there with what was synced in it",
            leaves: ["1×1"],
            prepare: { disk throws(DiskError) in
                try disk.createDirectory("d/e")
                try disk.syncDirectory("")
                try disk.syncDirectory("d")
                try disk.write("d/e/a", at: 0, [1])
                try disk.syncFile("d/e/a")
                try disk.syncDirectory("d/e")
            },
            look: { disk throws(DiskError) in try content("d/e/a", disk) }
        ),
        Check(
            description: "what a failed sync has given up never becomes durable",
            leaves: ["1×1"],
            prepare: { disk throws(DiskError) in
                try store("a", [1], disk)
                try disk.write("a", at: 0, [2])
                disk.failingCall = (disk.callCount, .inputOutput)
                if (try? disk.syncFile("a")) != nil { throw DiskError("the sync did not fail") }
                try disk.syncFile("a")
                guard try content("a", disk) == "2×1" else {
                    throw DiskError("the running system forgot it")
                }
            },
            look: { disk throws(DiskError) in try content("a", disk) }
        ),
        Check(
            description: "what is written once more after a failed sync can become durable",
            leaves: ["2×1"],
            prepare: { disk throws(DiskError) in
                try store("a", [1], disk)
                try disk.write("a", at: 0, [2])
                disk.failingCall = (disk.callCount, .inputOutput)
                if (try? disk.syncFile("a")) != nil { throw DiskError("the sync did not fail") }
                try disk.write("a", at: 0, [2])
                try disk.syncFile("a")
            },
            look: { disk throws(DiskError) in try content("a", disk) }
        ),
        Check(
            description: "a process that dies takes nothing along",
            leaves: ["1×1, 2×1, gone"],
            prepare: { disk throws(DiskError) in
                try store("gone", [3], disk)
                try disk.write("a", at: 0, [1])
                try disk.write("b", at: 0, [2])
                try disk.remove("gone")
                disk.restart()
                for file in ["a", "b"] { try disk.syncFile(file) }
                try disk.syncDirectory("")
            },
            look: { disk throws(DiskError) in
                try content("a", disk) + ", " + content("b", disk) + ", " + content("gone", disk)
            }
        ),
    ]
}
