package import Journal

/// What every ``Disk`` must do as far as a running system can see it. One list of checks for the
/// simulated disk and for real files; what only a power loss shows is in ``PowerLossContract``.
package enum DiskContract {
    package struct Check: Sendable, CustomStringConvertible {
        package let description: String
        /// What went wrong, or nil.
        package let run: @Sendable (any Disk) throws(DiskError) -> String?
    }

    package static let checks: [Check] = [
        Check(description: "a write beyond the end leaves zeros between") {
            disk throws(DiskError) in
            try disk.write("a", at: 0, [1, 2])
            try disk.write("a", at: 1500, [3])
            let bytes = try disk.read("a", at: 0, count: 4000)
            let expected = [1, 2] + [UInt8](repeating: 0, count: 1498) + [3]
            let size = try disk.size("a")
            return bytes == expected && size == 1501
                ? nil : "\(bytes.count) bytes, size \(size ?? -1)"
        },
        Check(description: "a write in the middle replaces just these bytes") {
            disk throws(DiskError) in
            try disk.write("a", at: 0, [UInt8](repeating: 7, count: 2000))
            try disk.write("a", at: 510, [1, 2, 3, 4])
            let bytes = try disk.read("a", at: 508, count: 8)
            let size = try disk.size("a")
            return bytes == [7, 7, 1, 2, 3, 4, 7, 7] && size == 2000 ? nil : "\(bytes)"
        },
        Check(description: "a read behind the end is short") { disk throws(DiskError) in
            try disk.write("a", at: 0, [1, 2, 3])
            let tail = try disk.read("a", at: 2, count: 10)
            let behind = try disk.read("a", at: 10, count: 10)
            return tail == [3] && behind.isEmpty ? nil : "\(tail), \(behind)"
        },
        Check(description: "an empty write creates the file") { disk throws(DiskError) in
            try disk.write("a", at: 0, [])
            let size = try disk.size("a")
            return size == 0 ? nil : "size \(size ?? -1)"
        },
        Check(description: "a missing file has no size and cannot be read or removed") {
            disk throws(DiskError) in
            guard try disk.size("a") == nil else { return "it has a size" }
            if (try? disk.read("a", at: 0, count: 1)) != nil { return "it was read" }
            if (try? disk.remove("a")) != nil { return "it was removed" }
            if (try? disk.truncate("a", to: 0)) != nil { return "it was cut" }
            if (try? disk.syncFile("a")) != nil { return "it was synced" }
            return try disk.size("a") == nil ? nil : "it was created"
        },
        Check(description: "cut and grown bytes read as zeros") { disk throws(DiskError) in
            try disk.write("a", at: 0, [UInt8](repeating: 9, count: 1300))
            try disk.syncFile("a")
            try disk.truncate("a", to: 600)
            try disk.truncate("a", to: 1300)
            let bytes = try disk.read("a", at: 0, count: 2000)
            let expected =
                [UInt8](repeating: 9, count: 600) + [UInt8](repeating: 0, count: 700)
            return bytes == expected ? nil : "\(bytes.count) bytes"
        },
        Check(description: "a rename replaces its target and takes the bytes along") {
            disk throws(DiskError) in
            try disk.write("a", at: 0, [1])
            try disk.write("b", at: 0, [2, 2])
            try disk.rename("a", to: "b")
            let bytes = try disk.read("b", at: 0, count: 9)
            let old = try disk.size("a")
            try disk.write("a", at: 0, [5])
            let untouched = try disk.read("b", at: 0, count: 9)
            return bytes == [1] && old == nil && untouched == [1] ? nil : "\(bytes), \(untouched)"
        },
        Check(description: "a removed name can be written anew") { disk throws(DiskError) in
            try disk.write("a", at: 0, [1, 2, 3])
            try disk.syncFile("a")
            try disk.remove("a")
            try disk.syncDirectory("")
            try disk.write("a", at: 1, [4])
            let bytes = try disk.read("a", at: 0, count: 9)
            return bytes == [0, 4] ? nil : "\(bytes)"
        },
        Check(description: "directories nest, and creating them again does nothing") {
            disk throws(DiskError) in
            try disk.createDirectory("d/e")
            try disk.createDirectory("d/e")
            try disk.syncDirectory("d")
            try disk.write("d/e/f", at: 0, [1])
            try disk.write("g", at: 0, [1])
            try disk.syncDirectory("d/e")
            let inner = try disk.list("d/e")
            let middle = try disk.list("d")
            let outer = try disk.list("").filter { $0 == "d" || $0 == "g" }
            return inner == ["f"] && middle == ["e"] && outer == ["d", "g"]
                ? nil : "\(inner) \(middle) \(outer)"
        },
        Check(description: "a missing directory cannot be listed, synced or written into") {
            disk throws(DiskError) in
            if (try? disk.list("d")) != nil { return "it was listed" }
            if (try? disk.syncDirectory("d")) != nil { return "it was synced" }
            if (try? disk.write("d/a", at: 0, [1])) != nil { return "it was written into" }
            return nil
        },
        Check(description: "more files are used in turn than stay open") { disk throws(DiskError) in
            for round in 0..<3 {
                for index in 0..<40 {
                    try disk.write("f\(index)", at: round, [UInt8(index)])
                }
            }
            for index in 0..<40 {
                let bytes = try disk.read("f\(index)", at: 0, count: 9)
                if bytes != [UInt8](repeating: UInt8(index), count: 3) {
                    return "f\(index): \(bytes)"
                }
            }
            try disk.syncFile("f0")
            return nil
        },
    ]
}
