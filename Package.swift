// swift-tools-version: 6.2
import PackageDescription

/// `CORE_ONLY=1` leaves out all that needs SwiftNIO or libfuse: a quick loop for work on the core.
let coreOnly = Context.environment["CORE_ONLY"] != nil

let settings: [SwiftSetting] =
    [
        .strictMemorySafety(),
        .enableUpcomingFeature("MemberImportVisibility"),
        .enableUpcomingFeature("ExistentialAny"),
        // The checks at run time cost several percent of every request. Builds for debugging have
        // them, and what runs in those is the same code.
        .unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release)),
        // Layers are for readers. The compiler may look through them.
        .unsafeFlags(["-cross-module-optimization"], .when(configuration: .release)),
    ]
    // Dependencies move, so what they deprecate stays a warning.
    + (Context.environment["ZKFS_WARNINGS_AS_ERRORS"] == nil
        ? []
        : [
            .treatAllWarnings(as: .error),
            .treatWarning("DeprecatedDeclaration", as: .warning),
        ])

func core(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(
        name: name,
        dependencies: dependencies,
        path: "Sources/Core/\(name)",
        swiftSettings: settings
    )
}

func edge(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(
        name: name,
        dependencies: dependencies,
        path: "Sources/Edge/\(name)",
        swiftSettings: settings
    )
}

/// With Swift's own libraries inside: calls to the runtime are direct ones, a server takes two MiB
/// less, and the program runs on machines without Swift. Not for what tests depend on: such
/// settings would count for the tests' own program, too.
let selfContained: [LinkerSetting] =
    [.unsafeFlags(["-static-stdlib", "-use-ld=lld"], .when(configuration: .release))]
    + ["FoundationEssentials", "_FoundationCShims", "_FoundationCollections"].map {
        .linkedLibrary($0, .when(configuration: .release))
    }

func command(
    _ name: String,
    _ path: String,
    _ dependencies: [Target.Dependency] = [],
    linkerSettings: [LinkerSetting] = []
) -> Target {
    .executableTarget(
        name: name,
        dependencies: dependencies,
        path: path,
        swiftSettings: settings,
        linkerSettings: linkerSettings
    )
}

func tests(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .testTarget(
        name: name,
        dependencies: dependencies,
        path: "Tests/\(name)",
        swiftSettings: settings
    )
}

let collections: [Target.Dependency] = [
    .product(name: "DequeModule", package: "swift-collections"),
    .product(name: "HeapModule", package: "swift-collections"),
    .product(name: "OrderedCollections", package: "swift-collections"),
]
let nio: [Target.Dependency] = [
    .product(name: "NIOCore", package: "swift-nio"),
    .product(name: "NIOPosix", package: "swift-nio"),
]
let log: Target.Dependency = .product(name: "Logging", package: "swift-log")
let arguments: Target.Dependency = .product(
    name: "ArgumentParser",
    package: "swift-argument-parser"
)

// Pure and deterministic, from the vocabulary upwards.
var targets: [Target] = [
    // The vocabulary: Zxid, Stat, Operation…
    core("ZooKeeperModel"),
    // Bytes ↔ values, all protocols and formats.
    core("ZooKeeperWire", ["ZooKeeperModel"]),
    // The tree: apply, watches, ACLs, digest.
    core("Znodes", ["ZooKeeperModel", "ZooKeeperWire"] + collections),
    // Election, synchronization, broadcast.
    core("Zab", ["ZooKeeperModel"] + collections),
    // Transaction log and snapshots over a Disk.
    core("Journal", ["ZooKeeperModel", "ZooKeeperWire"] + collections),
    // Client session, pending requests, watches.
    core("ClientCore", ["ZooKeeperModel", "ZooKeeperWire"] + collections),
    // Request → transaction → reply; sessions.
    core("Replication", ["ZooKeeperModel", "ZooKeeperWire", "Zab", "Znodes"] + collections),
    // File-system semantics over znodes.
    .target(
        name: "ZnodeFS",
        dependencies: ["ZooKeeperModel"] + collections,
        path: "Mount/ZnodeFS",
        swiftSettings: settings
    ),
    // World, network, disk, kernel, faults, checkers.
    .target(
        name: "Simulation",
        dependencies: [
            "ZooKeeperModel", "ZooKeeperWire", "Znodes", "Zab", "Journal", "ClientCore",
            "Replication", "ZnodeFS",
        ] + collections,
        path: "Tests/Simulation",
        swiftSettings: settings
    ),
    // One seed, one run; or a range of seeds.
    command("zksim", "Tests/zksim", ["Simulation", arguments]),
    tests("ZooKeeperModelTests", ["ZooKeeperModel"]),
    tests("ZooKeeperWireTests", ["ZooKeeperWire", "ZooKeeperModel"]),
    tests("ZnodesTests", ["Znodes", "ZooKeeperWire", "ZooKeeperModel"]),
    tests("ZabTests", ["Zab", "ZooKeeperModel"]),
    tests("JournalTests", ["Journal", "ZooKeeperWire", "ZooKeeperModel", "Simulation"]),
    tests("ClientCoreTests", ["ClientCore", "ZooKeeperWire", "ZooKeeperModel"]),
    tests(
        "ReplicationTests",
        ["Replication", "Zab", "Znodes", "ZooKeeperWire", "ZooKeeperModel"]
    ),
    tests("ZnodeFSTests", ["ZnodeFS", "ZooKeeperModel"]),
    tests("SimulationTests", ["Simulation", "ZooKeeperModel"]),
    // Checks that imports only point down this list.
    tests("LayeringTests"),
]

if !coreOnly {
    targets += [
        // PosixDisk, clocks, random source.
        edge(
            "Platform",
            [
                "Journal", "ZooKeeperModel",
                .product(name: "SystemPackage", package: "swift-system"),
            ]
        ),
        // Runs one ClientSession; the public library.
        edge(
            "ZooKeeperClient",
            ["Platform", "ClientCore", "ZooKeeperWire", "ZooKeeperModel", log] + nio + collections
        ),
        // Runs one Replica: ports, disk thread, admin.
        edge(
            "ZooKeeperServer",
            [
                "Platform", "Replication", "Zab", "Znodes", "Journal", "ZooKeeperWire",
                "ZooKeeperModel", log, .product(name: "Crypto", package: "swift-crypto"),
            ] + nio + collections
        ),
        command(
            "zkserver",
            "Sources/Commands/zkserver",
            ["ZooKeeperServer", "Platform", arguments, log],
            linkerSettings: selfContained
        ),
        command(
            "zkbench",
            "Sources/Commands/zkbench",
            ["ZooKeeperClient", "ClientCore", "ZooKeeperModel", arguments, log] + nio
        ),
        // Debian's libfuse3, the low-level API.
        .systemLibrary(
            name: "CFuse",
            path: "Mount/CFuse",
            pkgConfig: "fuse3",
            providers: [.apt(["libfuse3-dev"])]
        ),
        // libfuse callbacks ↔ values.
        .target(
            name: "Fuse",
            dependencies: ["CFuse", "ZnodeFS", "ZooKeeperModel", log],
            path: "Mount/Fuse",
            swiftSettings: settings
        ),
        // Real files on a file system that forgets what was not synced.
        .executableTarget(
            name: "powerlossfs",
            dependencies: ["CFuse"],
            path: "Tests/powerlossfs",
            cSettings: [.define("_GNU_SOURCE"), .define("_FILE_OFFSET_BITS", to: "64")]
        ),
        .target(
            name: "PowerLoss",
            dependencies: ["Platform", "Journal", "Simulation"],
            path: "Tests/PowerLoss",
            swiftSettings: settings
        ),
        // The mount command: options, signals, runs one MountedTree.
        command(
            "zkfs",
            "Mount/zkfs",
            [
                "Fuse", "ZnodeFS", "ZooKeeperClient", "ZooKeeperServer", "Platform",
                "ClientCore", "ZooKeeperModel", arguments, log,
                .product(name: "Crypto", package: "swift-crypto"),
            ] + nio
        ),
        tests(
            "PlatformTests",
            [
                "Platform", "Journal", "Simulation", "PowerLoss", "ZooKeeperWire",
                "ZooKeeperModel",
            ]
        ),
        tests(
            "ZooKeeperServerTests",
            ["ZooKeeperServer", "Zab", "ZooKeeperWire", "ZooKeeperModel"] + nio
        ),
        tests(
            "ZooKeeperClientTests",
            ["ZooKeeperClient", "ClientCore", "ZooKeeperModel", log] + nio
        ),
        tests(
            "MountCommandTests",
            ["zkfs", "Fuse", "ZnodeFS", "ClientCore", "ZooKeeperModel"]
        ),
        // Real sockets, real disks, real mounts, other people's clients.
        tests("EndToEndTests", ["PowerLoss", "Simulation", "ZooKeeperClient", "ZooKeeperModel"]),
    ]
}

let package = Package(
    name: "zkfs",
    products: coreOnly
        ? []
        : [
            .executable(name: "zkserver", targets: ["zkserver"]),
            .executable(name: "zkfs", targets: ["zkfs"]),
            .library(name: "ZooKeeperClient", targets: ["ZooKeeperClient"]),
        ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-collections", from: "1.2.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
    ]
        + (coreOnly
            ? []
            : [
                .package(url: "https://github.com/apple/swift-nio", from: "2.86.0"),
                .package(url: "https://github.com/apple/swift-log", from: "1.6.0"),
                .package(url: "https://github.com/apple/swift-system", from: "1.4.0"),
                .package(url: "https://github.com/apple/swift-crypto", from: "4.0.0"),
            ]),
    targets: targets,
    swiftLanguageModes: [.v6]
)
