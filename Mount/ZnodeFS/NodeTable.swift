internal import OrderedCollections
internal import ZooKeeperModel

/// What makes two lookups the same FUSE node. The kind belongs to it because a node whose kind
/// changed would turn its open handles into EIO, and the czxid because a znode deleted and made
/// again is another file.
struct NodeKey: Hashable, Sendable {
    /// Zero where the node is no znode yet, or stands for a path whether or not one is there.
    var czxid: Zxid
    var path: ZnodePath
    var facet: Facet
    var kind: FileKind
}

/// A file or directory that the kernel remembers.
struct Node: Sendable {
    var key: NodeKey
    /// How often the kernel was given this node and has not forgotten it.
    var lookups: UInt64
    /// Open handles, in the order they were opened.
    var handles: [FileHandle] = []
    /// The last Stat seen, for handles of a znode that is gone.
    var stat: Stat?
    var permissions: Permissions = .all
    var content: ContentKind = .other
    /// Set when the name was taken away through this mount while handles are open: the file lives
    /// on here, shared by them.
    var detached: [UInt8]?
    /// The creation that waits for the first write; see Docs/Mount.md, deferred creation.
    var deferred: DeferredCreation?

    var isUnlinked: Bool { detached != nil }
}

struct DeferredCreation: Hashable, Sendable {
    var isEphemeral: Bool
    var caller: Caller
    var time: Timestamp
}

/// The nodes that the kernel knows, by number and by identity.
///
/// A node goes when its lookup count is zero and no handle is open on it; the root never goes.
/// Numbers are not used twice.
struct NodeTable: Sendable {
    private var nodes: [NodeID: Node] = [:]
    /// For each key the node that a lookup answers. A node moved onto another's key by a rename is
    /// in `nodes` alone.
    private var index: [NodeKey: NodeID] = [:]
    /// Paths whose creation waits, in the order they were opened.
    private var deferred: OrderedDictionary<ZnodePath, NodeID> = [:]
    private var last = NodeID.root

    init(root: ZnodePath) {
        let key = NodeKey(czxid: .zero, path: root, facet: .itself, kind: .directory)
        nodes[.root] = Node(key: key, lookups: 1)
        index[key] = .root
    }

    var count: Int { nodes.count }

    subscript(id: NodeID) -> Node? { nodes[id] }

    /// The file at this path whose creation waits.
    func deferredNode(_ path: ZnodePath) -> NodeID? { deferred[path] }
    var deferredPaths: [ZnodePath] { Array(deferred.keys) }

    func find(_ key: NodeKey) -> NodeID? { index[key] }

    /// The node of this identity, made if need be, with one more lookup.
    mutating func remember(_ key: NodeKey) -> NodeID {
        let id: NodeID
        if let known = index[key] {
            id = known
        } else {
            last.rawValue += 1
            id = last
            nodes[id] = Node(key: key, lookups: 0)
            index[key] = id
        }
        nodes[id]?.lookups += 1
        return id
    }

    mutating func update(_ id: NodeID, _ change: (inout Node) -> Void) {
        guard var node = nodes[id] else { return }
        let before = node.key
        change(&node)
        nodes[id] = node
        precondition(node.key == before, "a node's key changed behind the index")
    }

    mutating func forget(_ id: NodeID, count: UInt64) {
        guard id != .root, var node = nodes[id] else { return }
        precondition(node.lookups >= count, "the kernel forgets more than it was given")
        node.lookups -= count
        nodes[id] = node
        dropIfUnused(id)
    }

    mutating func opened(_ id: NodeID, _ handle: FileHandle) {
        nodes[id]?.handles.append(handle)
    }

    mutating func closed(_ id: NodeID, _ handle: FileHandle) {
        nodes[id]?.handles.removeAll { $0 == handle }
        dropIfUnused(id)
    }

    mutating func deferCreation(of id: NodeID, _ creation: DeferredCreation) {
        guard let path = nodes[id]?.key.path else { return }
        nodes[id]?.deferred = creation
        deferred[path] = id
    }

    /// The deferred creation was carried out or given up.
    mutating func settleCreation(of id: NodeID) {
        guard let node = nodes[id], node.deferred != nil else { return }
        nodes[id]?.deferred = nil
        if deferred[node.key.path] == id { deferred[node.key.path] = nil }
    }

    /// The node now stands for another znode: it was created, or renamed. Where a node of that
    /// identity is known, lookups go on answering that one.
    mutating func rekey(_ id: NodeID, to key: NodeKey) {
        guard let node = nodes[id] else { return }
        if index[node.key] == id { index[node.key] = nil }
        if node.deferred != nil, deferred[node.key.path] == id {
            deferred[node.key.path] = nil
            deferred[key.path] = id
        }
        nodes[id]?.key = key
        if index[key] == nil { index[key] = id }
    }

    /// The name is gone: no lookup may find this node any more.
    mutating func detach(_ id: NodeID, content: [UInt8]) {
        guard let node = nodes[id] else { return }
        settleCreation(of: id)
        if index[node.key] == id { index[node.key] = nil }
        nodes[id]?.detached = content
    }

    mutating func setDetached(_ id: NodeID, content: [UInt8]) {
        nodes[id]?.detached = content
    }

    /// Every node at or below a path, in the order of their numbers.
    func below(_ path: ZnodePath) -> [NodeID] {
        nodes.filter { $0.value.key.path.isEqualOrBelow(path) && !$0.value.isUnlinked }
            .keys.sorted()
    }

    private mutating func dropIfUnused(_ id: NodeID) {
        guard id != .root, let node = nodes[id], node.lookups == 0, node.handles.isEmpty else {
            return
        }
        // A creation that is still to be published keeps its node.
        guard node.deferred == nil else { return }
        if index[node.key] == id { index[node.key] = nil }
        nodes[id] = nil
    }

    mutating func collect(_ id: NodeID) { dropIfUnused(id) }

    func checkInvariants() {
        precondition(nodes[.root] != nil, "the root was forgotten")
        for (key, id) in index {
            precondition(nodes[id]?.key == key, "the index names a node of another identity")
        }
        for (path, id) in deferred {
            precondition(nodes[id]?.deferred != nil, "\(path) is no deferred creation")
            precondition(nodes[id]?.key.path == path, "\(path) is deferred under another path")
        }
        for (id, node) in nodes where id != .root {
            precondition(
                node.lookups > 0 || !node.handles.isEmpty || node.deferred != nil,
                "node \(id.rawValue) is kept for nothing"
            )
        }
    }
}
