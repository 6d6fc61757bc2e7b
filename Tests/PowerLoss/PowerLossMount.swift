internal import Foundation

/// A file system that forgets, when told so, whatever was not synced: `powerlossfs`, mounted.
///
/// Each directory at its top is a disk of its own, called by its label. The mount ends with this
/// value, and with this process however it ends.
package final class PowerLossMount: Sendable {
    package let mountPoint: String
    // Never touched after init but to wait for its end.
    private let process: Process
    /// One command and its answer at a time.
    private let control = NSLock()

    package struct Failure: Error, CustomStringConvertible {
        package var description: String
    }

    /// Whether this machine lets a test mount at all.
    package static var isPossible: Bool {
        ProcessInfo.processInfo.environment["ZKFS_REQUIRE_ALL"] != nil
            || (FileManager.default.isWritableFile(atPath: "/dev/fuse")
                && FileManager.default.isExecutableFile(atPath: program))
    }

    private static var program: String {
        let own = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent().path
        return (ProcessInfo.processInfo.environment["ZKFS_BIN"] ?? own) + "/powerlossfs"
    }

    package init() throws {
        mountPoint =
            FileManager.default.temporaryDirectory.path + "/zkfs-power-" + UUID().uuidString
        try FileManager.default.createDirectory(
            atPath: mountPoint,
            withIntermediateDirectories: true
        )
        process = Process()
        process.executableURL = URL(fileURLWithPath: Self.program)
        process.arguments = [mountPoint]
        process.standardInput = FileHandle.nullDevice
        try process.run()
        let end = Date(timeIntervalSinceNow: 30)
        while !FileManager.default.fileExists(atPath: mountPoint + "/.control") {
            guard process.isRunning, Date() < end else {
                throw Failure(description: "powerlossfs does not mount \(mountPoint)")
            }
            Thread.sleep(forTimeInterval: 0.005)
        }
    }

    deinit {
        resume()
        process.terminate()
        process.waitUntilExit()
        try? FileManager.default.removeItem(atPath: mountPoint)
    }

    /// No call is answered before ``resume()``: not even SIGKILL ends a process that waits for one.
    package func pause() { _ = kill(process.processIdentifier, SIGSTOP) }
    package func resume() { _ = kill(process.processIdentifier, SIGCONT) }

    package func path(_ label: String) -> String { mountPoint + "/" + label }

    /// A new, empty disk; its path.
    @discardableResult package func makeDisk(_ label: String) throws -> String {
        try FileManager.default.createDirectory(
            atPath: path(label),
            withIntermediateDirectories: false
        )
        return path(label)
    }

    package func dropDisk(_ label: String) {
        guard unsafe rmdir(path(label)) == 0 else {
            preconditionFailure("disk \(label) cannot be dropped: errno \(errno)")
        }
    }

    /// One of the commands at the head of Tests/powerlossfs/main.c; its answer.
    @discardableResult package func tell(_ command: String) throws -> String {
        control.lock()
        defer { control.unlock() }
        let file = mountPoint + "/.control"
        guard let handle = FileHandle(forUpdatingAtPath: file) else {
            throw Failure(description: "\(file) cannot be opened")
        }
        defer { try? handle.close() }
        do {
            try handle.write(contentsOf: Data(command.utf8))
            try handle.seek(toOffset: 0)
            return String(decoding: try handle.readToEnd() ?? Data(), as: UTF8.self)
        } catch {
            throw Failure(description: "\(command): \(error)")
        }
    }

    package struct Report: Equatable {
        /// Calls that change something, and how many of them were syncs.
        package var calls = 0, syncs = 0
        /// Syncs that answered as if they had happened.
        package var ignored = 0
        package var usedBytes = 0
    }

    package func report(_ label: String) throws -> Report {
        var report = Report()
        for line in try tell("report \(label)").split(separator: "\n") {
            let words = line.split(separator: " ")
            guard words.count == 2, let number = Int(words[1]) else { continue }
            switch words[0] {
            case "calls": report.calls = number
            case "syncs": report.syncs = number
            case "ignored": report.ignored = number
            case "used": report.usedBytes = number
            default: continue
            }
        }
        return report
    }

    /// The power comes back: of what was not synced each piece survives or not. 0: nothing does.
    package func crash(_ label: String, seed: UInt64) throws {
        try tell("crash \(label) \(seed)")
    }
}
