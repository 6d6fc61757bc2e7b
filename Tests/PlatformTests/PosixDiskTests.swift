import Foundation
import Journal
import Platform
import PowerLoss
import Simulation
import Testing
import ZooKeeperModel
import ZooKeeperWire

struct PosixDiskTests {
    /// Runs with a directory that is gone afterwards.
    private func withDirectory(_ body: (String) throws -> Void) throws {
        let path = NSTemporaryDirectory() + "/zkfs-disk-" + UUID().uuidString
        defer { try? FileManager.default.removeItem(atPath: path) }
        try body(path)
    }

    @Test(arguments: DiskContract.checks)
    func `real files keep the contract`(_ check: DiskContract.Check) throws {
        try withDirectory { path in
            let disk = try PosixDisk(root: path + "/deeper/data")
            #expect(try check.run(disk) == nil)
        }
    }

    @Test(.enabled(if: PowerLossMount.isPossible), arguments: DiskContract.checks)
    func `real files keep the contract on the file system that forgets`(
        _ check: DiskContract.Check
    ) throws {
        #expect(try check.run(PowerLossDisk(on: PowerLossMount())) == nil)
    }

    @Test func `an error names the file and what the system said`() throws {
        try withDirectory { path in
            let disk = try PosixDisk(root: path)
            let error = #expect(throws: DiskError.self) { try disk.read("gone", at: 0, count: 1) }
            #expect(error?.description == "cannot open \(path)/gone: No such file or directory")
            #expect(error?.isNoSpace == false)
        }
    }

    @Test func `a full file system is told from other errors`() throws {
        // Linux keeps a device for this very purpose.
        let disk = try PosixDisk(root: "/dev")
        let error = #expect(throws: DiskError.self) { try disk.write("full", at: 0, [1]) }
        #expect(error?.isNoSpace == true)
    }

    @Test func `a journal finds after a restart what it wrote`() throws {
        struct Counter: RecoveryVisitor {
            var zxids: [Zxid] = []
            var treeDigest: TreeDigestValue? { nil }
            mutating func beginSnapshot(zxid: Zxid) {}
            mutating func visit(_ element: SnapshotElement) throws(RecoveryRefusal) {}
            mutating func endSnapshot(
                zxid: Zxid,
                digestsHoldAfter: Zxid?
            ) throws(RecoveryRefusal) {}
            mutating func visit(
                _ transaction: Transaction,
                encoded: [UInt8]
            ) throws(RecoveryRefusal) {
                zxids.append(transaction.zxid)
            }
        }
        try withDirectory { path in
            let expected = (1...300).map { Zxid(epoch: 0, counter: UInt32($0)) }
            for (start, end) in [(0, 100), (100, 300)] {
                let journal = Journal(
                    disk: try PosixDisk(root: path),
                    configuration: JournalConfiguration()
                )
                var counter = Counter()
                _ = try journal.recover(&counter)
                #expect(counter.zxids == Array(expected[..<start]))
                for zxid in expected[start..<end] {
                    // A created session: no digest, no record but its timeout.
                    var bytes = [UInt8](repeating: 0, count: 32)
                    for index in 0..<8 {
                        bytes[12 + index] = UInt8(
                            truncatingIfNeeded: zxid.rawValue >> (56 - 8 * Int64(index))
                        )
                    }
                    bytes.replaceSubrange(28..<32, with: [0xFF, 0xFF, 0xFF, 0xF6])
                    bytes += [0, 0, 0x27, 0x10]
                    let result = journal.perform(.append([Proposal(zxid: zxid, bytes: bytes)]))
                    #expect(result == .persisted(upTo: zxid))
                }
            }
            let journal = Journal(
                disk: try PosixDisk(root: path),
                configuration: JournalConfiguration()
            )
            var counter = Counter()
            _ = try journal.recover(&counter)
            #expect(counter.zxids == expected)
        }
    }

    @Test func `a directory serves one server at a time`() throws {
        try withDirectory { path in
            _ = try PosixDisk(root: path)
            var first: DirectoryLock? = try DirectoryLock(directories: [path, path + "/."])
            let error = #expect(throws: DiskError.self) { try DirectoryLock(directories: [path]) }
            #expect(error?.description.contains("in use by another server") == true)
            withExtendedLifetime(first) {}
            first = nil
            _ = try DirectoryLock(directories: [path])
        }
    }

    @Test func `a log's directory of its own serves one server at a time`() throws {
        try withDirectory { path in
            let disk = try PosixDisk(root: path)
            for name in ["one", "other", "log"] { try disk.createDirectory(name) }
            let first = try DirectoryLock(directories: [path + "/one", path + "/log"])
            let error = #expect(throws: DiskError.self) {
                try DirectoryLock(directories: [path + "/other", path + "/log"])
            }
            #expect(error?.description.contains("/log is in use by another server") == true)
            withExtendedLifetime(first) {}
        }
    }
}

struct SystemClockTests {
    @Test func `deadlines' clock never goes back, and the wall clock is the system's`() {
        var last = SystemClock.now()
        for _ in 0..<1000 {
            let now = SystemClock.now()
            #expect(now >= last)
            last = now
        }
        let before = Int64(Date().timeIntervalSince1970 * 1000) - 1
        let timestamp = SystemClock.timestamp().rawValue
        #expect(timestamp >= before)
        #expect(timestamp <= Int64(Date().timeIntervalSince1970 * 1000) + 1)
    }

    @Test func `random bytes differ from draw to draw`() {
        var random = SystemRandom()
        #expect(random.bytes(16).count == 16)
        #expect(random.bytes(16) != random.bytes(16))
    }
}
