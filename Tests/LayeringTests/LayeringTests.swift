import Foundation
import Testing

/// Holds the source tree against the arrows that Docs/Architecture.md draws.
struct LayeringTests {
    /// What each folder may import of this package. An arrow only points down the list.
    static let allowed: [(folder: String, imports: Set<String>)] = [
        ("Sources/Core/ZooKeeperModel", []),
        ("Sources/Core/ZooKeeperWire", ["ZooKeeperModel"]),
        ("Sources/Core/Znodes", ["ZooKeeperModel", "ZooKeeperWire"]),
        ("Sources/Core/Zab", ["ZooKeeperModel"]),
        ("Sources/Core/Journal", ["ZooKeeperModel", "ZooKeeperWire"]),
        ("Sources/Core/ClientCore", ["ZooKeeperModel", "ZooKeeperWire"]),
        ("Sources/Core/Replication", ["ZooKeeperModel", "ZooKeeperWire", "Zab", "Znodes"]),
        ("Mount/ZnodeFS", ["ZooKeeperModel"]),
        (
            "Tests/Simulation",
            [
                "ZooKeeperModel", "ZooKeeperWire", "Znodes", "Zab", "Journal", "ClientCore",
                "Replication", "ZnodeFS",
            ]
        ),
        ("Sources/Edge/Platform", ["ZooKeeperModel", "Journal"]),
        (
            "Sources/Edge/ZooKeeperClient",
            ["ZooKeeperModel", "ZooKeeperWire", "ClientCore", "Platform"]
        ),
        (
            "Sources/Edge/ZooKeeperServer",
            [
                "ZooKeeperModel", "ZooKeeperWire", "Zab", "Znodes", "Journal", "Replication",
                "Platform",
            ]
        ),
        ("Sources/Commands/zkserver", ["ZooKeeperServer", "Platform", "ZooKeeperModel"]),
        ("Sources/Commands/zkbench", ["ZooKeeperClient", "ClientCore", "ZooKeeperModel"]),
        ("Mount/Fuse", ["CFuse", "ZnodeFS", "ZooKeeperModel"]),
        (
            "Mount/zkfs",
            [
                "Fuse", "ZnodeFS", "ZooKeeperClient", "ZooKeeperServer", "Platform",
                "ZooKeeperModel", "ClientCore",
            ]
        ),
    ]
    /// Folders whose code must be the same machine at every run: only these outside modules.
    static let pure: Set = [
        "Sources/Core/ZooKeeperModel", "Sources/Core/ZooKeeperWire", "Sources/Core/Znodes",
        "Sources/Core/Zab", "Sources/Core/Journal", "Sources/Core/ClientCore",
        "Sources/Core/Replication", "Mount/ZnodeFS", "Tests/Simulation",
    ]
    static let pureModules: Set = [
        "DequeModule", "HeapModule", "OrderedCollections", "Collections",
    ]
    static let unsafeFolders = ["Mount/Fuse", "Sources/Edge/Platform"]

    static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    static func files(in folder: String) throws -> [(name: String, text: String)] {
        let url = root.appendingPathComponent(folder)
        let names = try FileManager.default.subpathsOfDirectory(atPath: url.path)
        return try names.sorted().filter { $0.hasSuffix(".swift") }.map { name in
            let file = url.appendingPathComponent(name)
            return (folder + "/" + name, try String(contentsOf: file, encoding: .utf8))
        }
    }

    static func imports(of text: String) -> [String] {
        text.split(separator: "\n").compactMap { line in
            var words = line.split(separator: " ")
            while let first = words.first, first.hasPrefix("@") || accessWords.contains(first) {
                words.removeFirst()
            }
            guard words.first == "import", words.count > 1 else { return nil }
            let name = kindWords.contains(words[1]) && words.count > 2 ? words[2] : words[1]
            return name.split(separator: ".").first.map(String.init)
        }
    }
    static let accessWords: Set<Substring> = ["public", "package", "internal", "private"]
    static let kindWords: Set<Substring> = ["struct", "class", "enum", "protocol", "func", "var"]

    @Test(arguments: allowed.indices)
    func `a folder imports only what its arrows allow`(index: Int) throws {
        let (folder, allowedImports) = Self.allowed[index]
        let ours = Set(Self.allowed.map { $0.folder.split(separator: "/").last.map(String.init) })
        for (name, text) in try Self.files(in: folder) {
            for module in Self.imports(of: text) where ours.contains(module) {
                #expect(allowedImports.contains(module), "\(name) imports \(module)")
            }
        }
    }

    @Test(arguments: pure.sorted())
    func `the core touches nothing outside itself`(folder: String) throws {
        let ours = Set(
            Self.allowed.compactMap { $0.folder.split(separator: "/").last }
                .map(String.init)
        )
        let forbidden = [
            "ContinuousClock", "SystemRandomNumberGenerator", ".random()", "DispatchQueue",
            "Task {", "Task.", "UnsafeMutable", "UnsafePointer", " async ", "@MainActor",
        ]
        for (name, text) in try Self.files(in: folder) {
            for module in Self.imports(of: text) {
                #expect(
                    ours.contains(module) || Self.pureModules.contains(module),
                    "\(name) imports \(module)"
                )
            }
            for line in text.split(separator: "\n") {
                let code = line.prefix(upTo: line.firstRange(of: "//")?.lowerBound ?? line.endIndex)
                for word in forbidden where code.contains(word) {
                    Issue.record("\(name) uses \(word): \(line)")
                }
            }
        }
    }

    @Test func `unsafe code stands only where it is allowed`() throws {
        for (folder, _) in Self.allowed where !Self.unsafeFolders.contains(folder) {
            for (name, text) in try Self.files(in: folder) {
                for line in text.split(separator: "\n") {
                    let words = line.split { !$0.isLetter && $0 != "(" && $0 != ")" && $0 != "/" }
                    if line.drop(while: { $0 == " " }).hasPrefix("//") { continue }
                    let isUnsafe =
                        words.contains("unsafe") || line.contains("nonisolated(unsafe)")
                    #expect(!isUnsafe, "\(name): \(line)")
                }
            }
        }
    }

    @Test func `every source file belongs to a folder that this test knows`() throws {
        for top in ["Sources", "Mount"] {
            for (name, _) in try Self.files(in: top) {
                #expect(
                    Self.allowed.contains { name.hasPrefix($0.folder + "/") },
                    "\(name) is in no known folder"
                )
            }
        }
    }
}
