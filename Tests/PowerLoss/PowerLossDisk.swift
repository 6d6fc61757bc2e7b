package import Journal
internal import Platform
package import Simulation

/// Real files, by way of the product's own ``PosixDisk``, on a file system that forgets what was not
/// synced: what the simulated disk promises to be like.
package final class PowerLossDisk: CrashableDisk {
    private let mount: PowerLossMount
    private let label: String
    private let counter: Counter
    private var files: PosixDisk

    package private(set) var callCount = 0
    package private(set) var syncCount = 0
    package private(set) var syncs: [(name: String, call: Int)] = []
    package var powerOffAfter: Int?
    package var ignoredSync: Int?
    package var failingCall: (number: Int, failure: SimulatedDisk.Failure)?
    package var beforeCall: ((Int) -> Void)?

    /// Numbers the disks of one mount.
    private final class Counter {
        private var last = 0
        func next() -> Int {
            last += 1
            return last
        }
    }

    /// A new, empty disk on a mount that nobody else makes disks of this kind on.
    package convenience init(on mount: PowerLossMount) throws {
        let counter = Counter()
        let label = "disk-\(UInt64.random(in: 0...(.max)))"
        try mount.makeDisk(label)
        try self.init(mount, label, counter)
    }

    private init(_ mount: PowerLossMount, _ label: String, _ counter: Counter) throws {
        self.mount = mount
        self.label = label
        self.counter = counter
        files = try PosixDisk(root: mount.path(label))
    }

    deinit { mount.dropDisk(label) }

    package func copy() -> PowerLossDisk {
        let name = label.prefix { $0 != "." } + ".\(counter.next())"
        tell("copy \(label) \(name)")
        do {
            return try PowerLossDisk(mount, String(name), counter)
        } catch {
            preconditionFailure("\(error)")
        }
    }

    package func crash(using generator: inout some RandomNumberGenerator) {
        // 0 means that nothing survives, which every disk may do.
        tell("crash \(label) \(generator.next(upperBound: UInt64(1) << 62))")
        restart()
    }

    package func restart() {
        callCount = 0
        syncCount = 0
        syncs = []
        powerOffAfter = nil
        ignoredSync = nil
        failingCall = nil
        beforeCall = nil
        // The process died: so did its descriptors.
        do { files = try PosixDisk(root: mount.path(label)) } catch {
            preconditionFailure("\(error)")
        }
    }

    private func tell(_ command: String) {
        do { try mount.tell(command) } catch { preconditionFailure("\(error)") }
    }

    // MARK: Calls

    private func beginCall(_ what: String) throws(DiskError) -> SimulatedDisk.Failure? {
        let number = callCount
        if let powerOffAfter, number >= powerOffAfter {
            throw DiskError("\(what): the power is off")
        }
        beforeCall?(number)
        callCount += 1
        guard let failingCall, failingCall.number == number else { return nil }
        return failingCall.failure
    }

    private func perform<Result>(
        _ what: String,
        _ call: (PosixDisk) throws(DiskError) -> Result
    ) throws(DiskError) -> Result {
        if let failure = try beginCall(what) {
            throw DiskError("\(what): was made to fail", isNoSpace: failure == .noSpace)
        }
        return try call(files)
    }

    private func sync(
        _ name: String,
        _ call: (PosixDisk) throws(DiskError) -> Void
    ) throws(DiskError) {
        let failure = try beginCall("sync \(name)")
        let number = syncCount
        syncs.append((name, callCount - 1))
        syncCount += 1
        if failure != nil {
            // The system itself is to see it fail, and to drop what it could not write.
            for kind in ["file", "cut", "link", "unlink", "rename"] {
                tell("fail \(label) \(kind) *")
            }
            defer { tell("obey \(label)") }
            try call(files)
            throw DiskError("sync \(name): was made to fail")
        }
        if ignoredSync == number { tell("skip \(label) 1") }
        try call(files)
    }
}

extension PowerLossDisk: Disk {
    package func list(_ directory: String) throws(DiskError) -> [String] {
        try perform("list \(directory)") { files throws(DiskError) in try files.list(directory) }
    }
    package func size(_ file: String) throws(DiskError) -> Int? {
        try perform("size of \(file)") { files throws(DiskError) in try files.size(file) }
    }
    package func read(_ file: String, at offset: Int, count: Int) throws(DiskError) -> [UInt8] {
        try perform("read \(file)") { files throws(DiskError) in
            try files.read(file, at: offset, count: count)
        }
    }
    package func write(_ file: String, at offset: Int, _ bytes: [UInt8]) throws(DiskError) {
        try perform("write \(file)") { files throws(DiskError) in
            try files.write(file, at: offset, bytes)
        }
    }
    package func truncate(_ file: String, to size: Int) throws(DiskError) {
        try perform("truncate \(file)") { files throws(DiskError) in
            try files.truncate(file, to: size)
        }
    }
    package func syncFile(_ file: String) throws(DiskError) {
        try sync(file) { files throws(DiskError) in try files.syncFile(file) }
    }
    package func createDirectory(_ directory: String) throws(DiskError) {
        try perform("create \(directory)") { files throws(DiskError) in
            try files.createDirectory(directory)
        }
    }
    package func syncDirectory(_ directory: String) throws(DiskError) {
        try sync(directory) { files throws(DiskError) in try files.syncDirectory(directory) }
    }
    package func rename(_ from: String, to: String) throws(DiskError) {
        try perform("rename \(from)") { files throws(DiskError) in
            try files.rename(from, to: to)
        }
    }
    package func remove(_ file: String) throws(DiskError) {
        try perform("remove \(file)") { files throws(DiskError) in try files.remove(file) }
    }
}
