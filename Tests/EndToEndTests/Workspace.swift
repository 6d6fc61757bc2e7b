import Foundation
import Synchronization
import Testing

/// One test's private place: a temporary directory, processes and mounts that end with it.
///
/// `ZKFS_BIN` names the directory of the built programs, `ZKFS_PYTHON` an interpreter that has kazoo.
final class Workspace {
    let directory: URL
    private var children: [ChildProcess] = []
    private var mountPoints: [String] = []

    init() throws {
        directory = URL(
            fileURLWithPath: "/tmp/zkfs-test-\(getpid())-\(UInt32.random(in: 0...(.max)))"
        )
        try FileManager.default.createDirectory(
            at: directory,
            withIntermediateDirectories: true
        )
    }

    func path(_ name: String) -> String { directory.appendingPathComponent(name).path }

    func makeDirectory(_ name: String) throws -> String {
        try FileManager.default.createDirectory(
            atPath: path(name),
            withIntermediateDirectories: true
        )
        return path(name)
    }

    func adopt(_ child: ChildProcess) { children.append(child) }
    func adoptMount(_ mountPoint: String) { mountPoints.append(mountPoint) }

    /// Ends everything that the test started, mounts first.
    func tearDown() {
        for mountPoint in mountPoints { _ = run(["fusermount3", "-u", "-z", mountPoint]) }
        for child in children.reversed() { child.kill() }
        try? FileManager.default.removeItem(at: directory)
    }
    deinit { tearDown() }

    static func program(_ name: String) throws -> String {
        if let bin = ProcessInfo.processInfo.environment["ZKFS_BIN"] { return bin + "/" + name }
        // Tests stand beside the programs.
        let own = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
        let candidate = own.appendingPathComponent(name).path
        try #require(
            FileManager.default.isExecutableFile(atPath: candidate),
            "ZKFS_BIN does not say where \(name) is"
        )
        return candidate
    }

    static var python: String {
        ProcessInfo.processInfo.environment["ZKFS_PYTHON"] ?? "python3"
    }

    /// A port that nobody listens on now, and that nobody is given later: below those from which the
    /// system takes one for a connection that is opened, also while its server is down.
    static func freePort() throws -> Int {
        for _ in 0..<1000 {
            let port = Int.random(in: 15_000..<32_000)
            if givenPorts.withLock({ $0.insert(port).inserted }), isFree(port) { return port }
        }
        throw NoFreePort()
    }
    private static let givenPorts = Mutex<Set<Int>>([])
    private struct NoFreePort: Error {}

    private static func isFree(_ port: Int) -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        let length = socklen_t(MemoryLayout<sockaddr_in>.size)
        return unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                unsafe bind(descriptor, generic, length) == 0
            }
        }
    }
}

/// A process that a test started.
final class ChildProcess {
    let process = Process()
    let logPath: String

    init(_ arguments: [String], log: String, environment: [String: String] = [:]) throws {
        logPath = log
        _ = FileManager.default.createFile(atPath: log, contents: nil)
        let output = try #require(FileHandle(forWritingAtPath: log))
        try output.seekToEnd()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = defaultSignals + arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        process.standardOutput = output
        process.standardError = output
        process.standardInput = FileHandle.nullDevice
        // The child has its own by then.
        defer { try? output.close() }
        try process.run()
    }

    var identifier: Int32 { process.processIdentifier }
    var isRunning: Bool { process.isRunning }
    var log: String { (try? String(contentsOfFile: logPath, encoding: .utf8)) ?? "" }

    func signal(_ number: Int32) { _ = Foundation.kill(identifier, number) }

    /// kill -9, and waits for the end.
    func kill() {
        guard process.isRunning else { return }
        signal(SIGKILL)
        process.waitUntilExit()
    }

    /// SIGTERM, and waits for the end.
    @discardableResult func terminate() -> Int32 {
        if process.isRunning { signal(SIGTERM) }
        process.waitUntilExit()
        return process.terminationStatus
    }
}

/// For env(1). A shell without job control has its background jobs ignore SIGINT, and what is ignored
/// stays so in all descendants: a test that sends it must not depend on how the tests were started.
private let defaultSignals = ["--default-signal"]

/// Foundation sees the end of a process by a descriptor that its child inherits. A daemon that the
/// child leaves running would keep it open, so what a shell would not have is closed first.
private let closedDescriptors = [
    "bash", "-c",
    """
    for file in /proc/self/fd/*; do
        number=${file##*/}
        [ "$number" -le 2 ] || eval "exec $number>&-"
    done
    exec "$@"
    """, "run",
]

struct CommandResult {
    var status: Int32
    var output: String
    var errors: String
}

/// Runs a command to its end. One that takes longer than `limit` seconds is killed and reported as
/// status −1: a hang is a failure with a name.
@discardableResult
func run(
    _ arguments: [String],
    input: String? = nil,
    limit: Double = 60,
    environment: [String: String] = [:]
) -> CommandResult {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = defaultSignals + closedDescriptors + arguments
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    let base = "/tmp/zkfs-run-\(getpid())-\(UInt64.random(in: 0...(.max)))"
    let outputPath = base + ".out"
    let errorPath = base + ".err"
    let inputPath = base + ".in"
    var handles: [FileHandle] = []
    defer {
        // Nothing else closes them: by the end of all tests there were hundreds.
        for handle in handles { try? handle.close() }
        for path in [outputPath, errorPath, inputPath] {
            try? FileManager.default.removeItem(atPath: path)
        }
    }
    func opened(_ handle: FileHandle?) -> FileHandle? {
        if let handle { handles.append(handle) }
        return handle
    }
    _ = FileManager.default.createFile(atPath: outputPath, contents: nil)
    _ = FileManager.default.createFile(atPath: errorPath, contents: nil)
    process.standardOutput = opened(FileHandle(forWritingAtPath: outputPath))
    process.standardError = opened(FileHandle(forWritingAtPath: errorPath))
    if let input {
        _ = FileManager.default.createFile(atPath: inputPath, contents: Data(input.utf8))
        process.standardInput = opened(FileHandle(forReadingAtPath: inputPath))
    } else {
        process.standardInput = FileHandle.nullDevice
    }
    let finished = DispatchSemaphore(value: 0)
    process.terminationHandler = { _ in finished.signal() }
    do {
        try process.run()
    } catch {
        return CommandResult(status: -2, output: "", errors: "\(error)")
    }
    let inTime = finished.wait(timeout: .now() + limit) == .success
    if !inTime {
        Foundation.kill(process.processIdentifier, SIGKILL)
        _ = finished.wait(timeout: .now() + 10)
    }
    func text(_ path: String) -> String {
        String(decoding: FileManager.default.contents(atPath: path) ?? Data(), as: UTF8.self)
    }
    return CommandResult(
        status: inTime ? process.terminationStatus : -1,
        output: text(outputPath),
        errors: text(errorPath)
    )
}

/// Runs a script of bash, which stops at its first failing command.
@discardableResult
func shell(
    _ script: String,
    limit: Double = 60,
    environment: [String: String] = [:]
) -> CommandResult {
    run(
        ["bash", "-c", "set -eu -o pipefail\n" + script],
        limit: limit,
        environment: environment
    )
}

/// Waits until `condition` holds; records a failure that says what was waited for when it does not
/// come true within `limit` seconds.
func eventually(
    _ what: @autoclosure () -> String,
    limit: Double = 30,
    _ condition: () throws -> Bool
) rethrows {
    let end = Date(timeIntervalSinceNow: limit)
    while Date() < end {
        if try condition() { return }
        // The interval only paces the question; the condition decides.
        Thread.sleep(forTimeInterval: 0.02)
    }
    Issue.record("waited \(limit) s in vain until \(what())")
}
