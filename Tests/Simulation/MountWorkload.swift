internal import ZnodeFS
internal import ZooKeeperModel

/// Processes on a simulated host that use its mount, one system call at a time each, as the kernel
/// would put their calls to the file system.
///
/// One appends numbered lines to a log that all mounts share: every line whose write was answered
/// must be there exactly once, every other at most once. One overwrites a file with growing numbers,
/// and one reads it: the number must never go back or be one that was not written.
struct MountWorkload {
    let number: Int
    var tree: MountedTree
    private(set) var appended: [Int] = []
    private(set) var appendsTried = 0
    private(set) var written = 0
    private(set) var acknowledgedWrite = 0
    private(set) var lastRead = 0
    private(set) var calls = 0
    private(set) var failures = 0
    /// Calls that wrote, and were answered well.
    private(set) var writes = 0
    private var processes: [Process] = [.init(), .init(), .init()]
    private var requests: [FileRequestID: Int] = [:]
    private var lastRequest: UInt64 = 0

    struct Process {
        var call: Call?
        /// Lookup counts to give back when the call is over.
        var known: [NodeID: UInt64] = [:]
    }

    enum Call {
        case looking(Purpose)
        case opening(Purpose, NodeID)
        case transferring(Purpose, NodeID, FileHandle)
        case flushing(Purpose, NodeID, FileHandle, isDone: Bool)
        case releasing(Purpose, isDone: Bool)
    }
    enum Purpose: Hashable {
        case append(Int)
        case overwrite(Int)
        case read

        var name: [UInt8] {
            switch self {
            case .append: Array("log".utf8)
            case .overwrite, .read: Array("config".utf8)
            }
        }
        var flags: OpenFlags {
            switch self {
            case .append: [.writeOnly, .append, .create]
            case .overwrite: [.writeOnly, .truncate, .create]
            case .read: []
            }
        }
    }

    init(number: Int, seed: UInt64, now: ClockReading) {
        self.number = number
        var settings = MountSettings()
        settings.randomSeed = seed
        settings.hold = .seconds(10)
        tree = MountedTree(
            settings: settings,
            now: now
        )
    }

    static let caller = Caller(user: 0, group: 0, thread: 100, umask: 0o022)

    /// Starts a call of every process that has none; the operations for the tree.
    mutating func work() -> [(FileRequestID, FileOperation)] {
        var operations: [(FileRequestID, FileOperation)] = []
        for index in processes.indices where processes[index].call == nil {
            let purpose: Purpose
            switch index {
            case 0:
                appendsTried += 1
                purpose = .append(appendsTried)
            case 1:
                written += 1
                purpose = .overwrite(written)
            default: purpose = .read
            }
            calls += 1
            processes[index].call = .looking(purpose)
            operations.append(
                request(index, .lookup(parent: .root, name: purpose.name))
            )
        }
        return operations
    }

    private mutating func request(
        _ process: Int,
        _ operation: FileOperation
    ) -> (FileRequestID, FileOperation) {
        lastRequest += 1
        let id = FileRequestID(rawValue: lastRequest)
        requests[id] = process
        return (id, operation)
    }

    /// A request that is not answered: the kernel forgets what a call has looked up.
    private mutating func forgetAll(_ process: Int) -> [(FileRequestID, FileOperation)] {
        let known = processes[process].known
        processes[process].known = [:]
        processes[process].call = nil
        return known.keys.sorted().map { node in
            lastRequest += 1
            return (
                FileRequestID(rawValue: lastRequest),
                .forget(node, count: known[node, default: 0])
            )
        }
    }

    /// Takes an answer; the operations that follow from it, and what is wrong with it.
    mutating func answered(
        _ id: FileRequestID,
        _ reply: FileReply
    ) -> (next: [(FileRequestID, FileOperation)], failure: String?) {
        guard let process = requests.removeValue(forKey: id),
            let call = processes[process].call
        else { return ([], "request \(id.rawValue) was answered twice, or never made") }
        if case .entry(let entry) = reply { learn(process, entry) }
        if case .created(let entry, _, _) = reply { learn(process, entry) }
        switch (call, reply) {
        case (.looking(let purpose), .entry(let entry)):
            guard let node = entry.node else { return (missing(process, purpose), nil) }
            return (step(process, .opening(purpose, node), .open(node, flags: purpose.flags)), nil)
        case (.looking(let purpose), .failed(.noEntry)):
            return (missing(process, purpose), nil)
        case (.opening(let purpose, let node), .opened(let handle, _)):
            return (transfer(process, purpose, node, handle), nil)
        case (.opening(let purpose, _), .created(let entry, let handle, _)):
            guard let node = entry.node else { return ([], "a created file has no node") }
            return (transfer(process, purpose, node, handle), nil)
        case (.transferring(let purpose, let node, let handle), _):
            let (isDone, failure) = transferred(purpose, reply)
            return (
                step(
                    process,
                    .flushing(purpose, node, handle, isDone: isDone),
                    .flush(node, handle, lockOwner: 1)
                ),
                failure
            )
        case (.flushing(let purpose, let node, let handle, let isDone), _):
            return (
                step(
                    process,
                    .releasing(purpose, isDone: isDone),
                    .release(node, handle)
                ), nil
            )
        case (.releasing(let purpose, let isDone), .done):
            if isDone { acknowledge(purpose) } else { failures += 1 }
            return (forgetAll(process), nil)
        case (.looking, .failed), (.opening, .failed):
            failures += 1
            return (forgetAll(process), nil)
        default:
            return ([], "the mount answered \(reply) to \(call)")
        }
    }

    private mutating func learn(_ process: Int, _ entry: Entry) {
        guard let node = entry.node else { return }
        processes[process].known[node, default: 0] += 1
    }

    private mutating func step(
        _ process: Int,
        _ call: Call,
        _ operation: FileOperation
    ) -> [(FileRequestID, FileOperation)] {
        processes[process].call = call
        return [request(process, operation)]
    }

    private mutating func missing(
        _ process: Int,
        _ purpose: Purpose
    ) -> [(FileRequestID, FileOperation)] {
        if purpose == .read { return forgetAll(process) }
        return step(
            process,
            .opening(purpose, .root),
            .create(
                parent: .root,
                name: purpose.name,
                mode: 0o644,
                flags: purpose.flags
            )
        )
    }

    private mutating func transfer(
        _ process: Int,
        _ purpose: Purpose,
        _ node: NodeID,
        _ handle: FileHandle
    ) -> [(FileRequestID, FileOperation)] {
        let operation: FileOperation =
            switch purpose {
            case .append(let line):
                .write(node, handle, offset: 0, bytes: Array("\(number)-\(line)\n".utf8))
            case .overwrite(let value):
                .write(node, handle, offset: 0, bytes: Array("\(value)\n".utf8))
            case .read: .read(node, handle, offset: 0, size: 4096)
            }
        return step(process, .transferring(purpose, node, handle), operation)
    }

    private mutating func transferred(
        _ purpose: Purpose,
        _ reply: FileReply
    ) -> (isDone: Bool, failure: String?) {
        switch (purpose, reply) {
        case (_, .failed): return (false, nil)
        case (.append, .written), (.overwrite, .written): return (true, nil)
        case (.read, .data(let bytes)):
            guard !bytes.isEmpty else { return (true, nil) }
            let text = String(decoding: bytes, as: UTF8.self)
            guard text.last == "\n", let value = Int(text.dropLast()), value <= written else {
                return (true, "the mount read \(text), which nobody wrote")
            }
            guard value >= lastRead, value >= acknowledgedWrite else {
                return (
                    true,
                    "the mount read \(value) after \(lastRead) was read and"
                        + " \(acknowledgedWrite) was written"
                )
            }
            lastRead = value
            return (true, nil)
        default: return (false, "the mount answered \(reply) to \(purpose)")
        }
    }

    private mutating func acknowledge(_ purpose: Purpose) {
        switch purpose {
        case .append(let line):
            writes += 1
            appended.append(line)
        case .overwrite(let value):
            writes += 1
            acknowledgedWrite = max(acknowledgedWrite, value)
        case .read: break
        }
    }
}
