import Dispatch
import Foundation
import Simulation
import Synchronization

/// Several processes of this program that share a range of seeds. Each seed runs in one thread; a
/// process that dies is replaced by one that goes on with the next seed.
struct Fleet {
    struct Failure: Sendable {
        var seed: UInt64
        var reason: String
    }

    let range: ClosedRange<UInt64>
    let jobs: Int
    /// The run ends at the first seed that sees it.
    let bug: String?

    private(set) var failures: [Failure] = []
    private(set) var passed = 0
    private(set) var coverage: [String: Int] = [:]
    private(set) var faults = FaultCoverage()

    init(range: ClosedRange<UInt64>, jobs: Int, bug: String? = nil) {
        self.range = range
        self.jobs = max(1, min(jobs, Int(clamping: range.upperBound - range.lowerBound) + 1))
        self.bug = bug
    }

    /// The smallest seed of the range that sees the bug, of those that were run until one did.
    static func look(
        for bug: PlantedBug,
        in range: ClosedRange<UInt64>,
        jobs: Int
    ) -> (seed: UInt64, reason: String)? {
        var fleet = Fleet(range: range, jobs: jobs, bug: bug.name)
        fleet.run { _ in }
        return fleet.failures.first.map { ($0.seed, $0.reason) }
    }

    private final class Findings: Sendable {
        struct Content: Sendable {
            var failures: [Failure] = []
            var passed = 0
            var coverage: [String: Int] = [:]
            var faults = FaultCoverage()
        }
        let content = Mutex(Content())
        var isOver: Bool { content.withLock { !$0.failures.isEmpty } }
    }

    mutating func run(_ say: @escaping @Sendable (String) -> Void) {
        let findings = Findings()
        let range = range
        let jobs = jobs
        let bug = bug
        DispatchQueue.concurrentPerform(iterations: jobs) { index in
            var next: UInt64? = range.lowerBound + UInt64(index)
            while let seed = next, seed <= range.upperBound, bug == nil || !findings.isOver {
                next = Self.runWorker(range, seed, jobs, bug, findings, say)
            }
        }
        let found = findings.content.withLock { $0 }
        failures = found.failures.sorted { $0.seed < $1.seed }
        passed = found.passed
        coverage = found.coverage
        faults = found.faults
    }

    /// Where to go on if the worker died; nil once it has done all.
    private static func runWorker(
        _ range: ClosedRange<UInt64>,
        _ first: UInt64,
        _ jobs: Int,
        _ bug: String?,
        _ findings: Findings,
        _ say: (String) -> Void
    ) -> UInt64? {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        process.arguments =
            [
                "--seeds", "\(range.lowerBound)-\(range.upperBound)", "--worker",
                "\(first)/\(jobs)",
            ] + (bug.map { ["--bug", $0] } ?? [])
        let output = Pipe()
        let errors = Pipe()
        process.standardOutput = output
        process.standardError = errors
        do { try process.run() } catch {
            findings.content.withLock {
                $0.failures.append(Failure(seed: first, reason: "no worker: \(error)"))
            }
            return nil
        }
        var seed = first
        var isUnderWay = false
        var isStopped = false
        for line in Lines(output.fileHandleForReading) {
            let words = line.split(separator: " ", maxSplits: 1).map(String.init)
            guard words.count == 2 else { continue }
            switch words[0] {
            case "begin":
                seed = UInt64(words[1]) ?? seed
                isUnderWay = true
            case "part", "cell": take(words[0], words[1], findings)
            case "passed":
                isUnderWay = false
                findings.content.withLock { $0.passed += 1 }
                say(words[1])
            case "failed":
                isUnderWay = false
                let failed = seed
                say("FAILED seed \(failed): \(words[1])")
                findings.content.withLock {
                    $0.failures.append(Failure(seed: failed, reason: words[1]))
                }
            default: break
            }
            if bug != nil, findings.isOver {
                isStopped = true
                // A worker started on a thread of Dispatch inherits its mask, which blocks SIGTERM.
                kill(process.processIdentifier, SIGKILL)
                break
            }
        }
        let complaint = String(
            decoding: errors.fileHandleForReading.readDataToEndOfFile(),
            as: UTF8.self
        )
        process.waitUntilExit()
        guard isUnderWay, !isStopped else { return nil }
        let reason =
            complaint.split(separator: "\n").first { $0.contains("Fatal error") }
            .map(String.init) ?? "the process died with status \(process.terminationStatus)"
        let failed = seed
        say("FAILED seed \(failed): \(reason)")
        findings.content.withLock {
            $0.failures.append(Failure(seed: failed, reason: reason))
        }
        return failed + UInt64(jobs)
    }

    private static func take(_ word: String, _ rest: String, _ findings: Findings) {
        let parts = rest.split(separator: " ", maxSplits: 1).map(String.init)
        guard parts.count == 2, let count = Int(parts[0]) else { return }
        findings.content.withLock { content in
            if word == "part" {
                content.coverage[parts[1], default: 0] += count
                return
            }
            let names = parts[1].split(separator: "/").map(String.init)
            guard names.count == 2, let kind = FaultKind(rawValue: names[0]),
                let phase = ProtocolPhase(rawValue: names[1])
            else { return }
            content.faults.add(kind, phase, count)
        }
    }
}

/// A pipe's lines, as they come.
private struct Lines: Sequence, IteratorProtocol {
    private let handle: FileHandle
    private var buffer: [UInt8] = []
    private var start = 0

    init(_ handle: FileHandle) { self.handle = handle }

    mutating func next() -> String? {
        while true {
            if let end = buffer[start...].firstIndex(of: 10) {
                let line = String(decoding: buffer[start..<end], as: UTF8.self)
                start = end + 1
                return line
            }
            buffer.removeFirst(start)
            start = 0
            let data = handle.availableData
            guard !data.isEmpty else { return nil }
            buffer += data
        }
    }
}
