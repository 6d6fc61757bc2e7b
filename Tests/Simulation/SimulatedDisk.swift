package import Journal

/// A disk that forgets what was not synced.
///
/// Each file has bytes that a power loss leaves and bytes that only the running system sees, sector
/// by sector. Each directory has the names that a power loss leaves and the changes since. At
/// ``crash(using:)`` every unsynced sector, size and change of names survives or not, each by
/// itself: torn and reordered as real disks do it. Pure: the same calls and the same generator give
/// the same disk.
package final class SimulatedDisk {
    package static let sectorBytes = 512

    private var files: [Int: SimulatedFile] = [:]
    private var nextFile = 1
    /// Names as the running system sees them; nil stands for a directory.
    private var names: [String: Int?] = [:]
    private var durableNames: [String: Int?] = [:]
    /// Since the last sync of the directory that holds the name, oldest first.
    private var changes: [Change] = []

    private enum Change {
        case link(String, file: Int?)
        case unlink(String)
        /// Both names in one step, as file systems promise within a directory.
        case rename(from: String, to: String, file: Int?)
    }

    // MARK: Faults

    /// How many calls were made, and how many of them were syncs of a file or a directory.
    package private(set) var callCount = 0
    package private(set) var syncCount = 0
    /// What was synced, in order: a file's or a directory's path, and the call's number.
    package private(set) var syncs: [(name: String, call: Int)] = []
    /// After so many calls the power is off: every further call fails without effect.
    package var powerOffAfter: Int?
    /// This sync, counted from 0, answers as if it had happened.
    package var ignoredSync: Int?
    /// Every sync answers as if it had happened. Not cleared by a crash.
    package var ignoresSyncs = false
    /// This call, counted from 0, fails as given.
    package var failingCall: (number: Int, failure: Failure)?
    /// Writes that would make all files together larger than this fail.
    package var capacityBytes: Int?

    /// Called before each call takes effect, with its number: the moment for a copy.
    package var beforeCall: ((Int) -> Void)?

    package enum Failure: Hashable, Sendable { case inputOutput, noSpace }

    package init() {}

    /// What is left when the power comes back. Faults are cleared, counters begin again.
    package func crash(using generator: inout some RandomNumberGenerator) {
        for change in changes where Bool.random(using: &generator) {
            Self.apply(change, to: &durableNames)
        }
        changes = []
        // A name survives only with the directories above it.
        for name in durableNames.keys.sorted() {
            let parent = Self.parent(of: name)
            if !parent.isEmpty, durableNames[parent] == nil { durableNames[name] = nil }
        }
        names = durableNames
        let linked = Set(names.values.compactMap { $0 })
        for file in files.keys.sorted() {
            if linked.contains(file) {
                files[file]?.crash(using: &generator)
            } else {
                files[file] = nil
            }
        }
        restart()
    }

    /// The process dies and the system lives on: nothing is lost. Faults are cleared.
    package func restart() {
        callCount = 0
        syncCount = 0
        syncs = []
        powerOffAfter = nil
        beforeCall = nil
        ignoredSync = nil
        failingCall = nil
        capacityBytes = nil
    }

    /// Damage at rest.
    package func flipBit(_ file: String, at offset: Int, bit: Int = 0) {
        guard case .some(.some(let number)) = names[file] else {
            preconditionFailure("there is no file \(file)")
        }
        files[number]?.flipBit(at: offset, bit: bit)
    }

    /// All files with their content as the running system sees it, by name.
    package var contents: [(name: String, bytes: [UInt8])] {
        names.keys.sorted().compactMap { name in
            guard case .some(.some(let number)) = names[name], let file = files[number] else {
                return nil
            }
            return (name, file.read(at: 0, count: file.size))
        }
    }

    package var fileNames: [String] {
        names.keys.filter { names[$0].flatMap { $0 } != nil }.sorted()
    }

    /// As the running system sees it; 0 where there is no such file.
    package func size(of file: String) -> Int {
        guard case .some(.some(let number)) = names[file] else { return 0 }
        return files[number]?.size ?? 0
    }

    /// Other files take all but so many of the bytes that are left.
    package func fill(leaving bytes: Int) {
        capacityBytes = files.values.reduce(0) { $0 + $1.size } + bytes
    }

    /// An independent disk in the same state.
    package func copy() -> SimulatedDisk {
        let other = SimulatedDisk()
        other.files = files
        other.nextFile = nextFile
        other.names = names
        other.durableNames = durableNames
        other.changes = changes
        return other
    }

    // MARK: Calls

    private func beginCall(_ what: String) throws(DiskError) {
        let number = callCount
        if let powerOffAfter, number >= powerOffAfter {
            throw DiskError("\(what): the power is off")
        }
        beforeCall?(number)
        callCount += 1
        guard let failingCall, failingCall.number == number else { return }
        switch failingCall.failure {
        case .inputOutput: throw DiskError("\(what): input/output error")
        case .noSpace: throw DiskError("\(what): no space left on device", isNoSpace: true)
        }
    }

    private func existing(_ file: String, _ what: String) throws(DiskError) -> Int {
        guard case .some(.some(let number)) = names[file] else {
            throw DiskError("\(what): there is no file \(file)")
        }
        return number
    }

    private func checkDirectory(_ directory: String, _ what: String) throws(DiskError) {
        guard directory.isEmpty || names[directory] == .some(.none) else {
            throw DiskError("\(what): there is no directory \(directory)")
        }
    }

    private func change(_ change: Change) {
        Self.apply(change, to: &names)
        changes.append(change)
    }

    private static func apply(_ change: Change, to names: inout [String: Int?]) {
        switch change {
        case .link(let name, let file): names.updateValue(file, forKey: name)
        case .unlink(let name): names.removeValue(forKey: name)
        case .rename(let from, let to, let file):
            names.removeValue(forKey: from)
            names.updateValue(file, forKey: to)
        }
    }

    private static func parent(of name: String) -> String {
        name.lastIndex(of: "/").map { String(name[..<$0]) } ?? ""
    }

    private func takesSync(_ name: String) -> Bool {
        let number = syncCount
        syncs.append((name, callCount - 1))
        syncCount += 1
        return !ignoresSyncs && ignoredSync != number
    }
}

extension SimulatedDisk: Disk {
    package func list(_ directory: String) throws(DiskError) -> [String] {
        try beginCall("list \(directory)")
        try checkDirectory(directory, "list")
        return names.keys.filter { Self.parent(of: $0) == directory }
            .map { directory.isEmpty ? $0 : String($0.dropFirst(directory.count + 1)) }
            .sorted()
    }

    package func size(_ file: String) throws(DiskError) -> Int? {
        try beginCall("size of \(file)")
        guard case .some(.some(let number)) = names[file] else { return nil }
        return files[number]?.size
    }

    package func read(_ file: String, at offset: Int, count: Int) throws(DiskError) -> [UInt8] {
        try beginCall("read \(file)")
        return files[try existing(file, "read")]?.read(at: offset, count: count) ?? []
    }

    package func write(_ file: String, at offset: Int, _ bytes: [UInt8]) throws(DiskError) {
        try beginCall("write \(file)")
        try checkDirectory(Self.parent(of: file), "write \(file)")
        let number: Int
        if case .some(.some(let found)) = names[file] {
            number = found
        } else {
            number = nextFile
            nextFile += 1
            files[number] = SimulatedFile()
            change(.link(file, file: number))
        }
        if let capacityBytes {
            let size = files[number]?.size ?? 0
            let used = files.values.reduce(0) { $0 + $1.size }
            guard used + max(0, offset + bytes.count - size) <= capacityBytes else {
                // As much as fits is written, as the system does it.
                let room = max(0, size + capacityBytes - used - offset)
                files[number]?.write(at: offset, Array(bytes.prefix(room)))
                throw DiskError("write \(file): no space left on device", isNoSpace: true)
            }
        }
        files[number]?.write(at: offset, bytes)
    }

    package func truncate(_ file: String, to size: Int) throws(DiskError) {
        try beginCall("truncate \(file)")
        files[try existing(file, "truncate")]?.truncate(to: size)
    }

    package func syncFile(_ file: String) throws(DiskError) {
        let number = try existing(file, "sync \(file)")
        // The system drops what it could not write, and a second sync will not say so.
        if failingCall?.number == callCount { files[number]?.failSync() }
        try beginCall("sync \(file)")
        if takesSync(file) { files[number]?.sync() }
    }

    package func createDirectory(_ directory: String) throws(DiskError) {
        try beginCall("create \(directory)")
        var path = ""
        for element in directory.split(separator: "/") {
            path += (path.isEmpty ? "" : "/") + element
            switch names[path] {
            case .none: change(.link(path, file: nil))
            case .some(.none): continue
            case .some(.some): throw DiskError("create \(directory): \(path) is a file")
            }
        }
    }

    package func syncDirectory(_ directory: String) throws(DiskError) {
        try beginCall("sync \(directory)")
        try checkDirectory(directory, "sync")
        guard takesSync(directory) else { return }
        var others: [Change] = []
        for change in changes {
            let name =
                switch change {
                case .link(let name, _), .unlink(let name), .rename(_, let name, _): name
                }
            if Self.parent(of: name) == directory {
                Self.apply(change, to: &durableNames)
            } else {
                others.append(change)
            }
        }
        changes = others
    }

    package func rename(_ from: String, to: String) throws(DiskError) {
        try beginCall("rename \(from)")
        let number = try existing(from, "rename")
        guard Self.parent(of: from) == Self.parent(of: to) else {
            throw DiskError("rename \(from): \(to) is in another directory")
        }
        change(.rename(from: from, to: to, file: number))
    }

    package func remove(_ file: String) throws(DiskError) {
        try beginCall("remove \(file)")
        _ = try existing(file, "remove")
        change(.unlink(file))
    }
}
