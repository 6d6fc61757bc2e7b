internal import ZooKeeperModel

/// A listing as it was at opendir. Offsets count its entries, so that a listing read in many pages
/// is stable while others create and delete.
struct DirectorySnapshot: Sendable {
    enum Entry: Hashable, Sendable {
        case itself
        case parent
        case child([UInt8])
        /// The data of this directory, listed last so that an archive of a mount carries it.
        case ownData
        case control(Facet)
    }
    var path: ZnodePath
    var entries: [Entry]
}

extension MountedTree {
    mutating func openDirectory(_ job: inout Job, _ id: NodeID) throws(Stop) -> FileReply {
        guard let node = nodes[id] else { throw .failed(.stale) }
        guard node.key.kind == .directory else { throw .failed(.notDirectory) }
        var entries: [DirectorySnapshot.Entry] = [.itself, .parent]
        if node.key.facet == .control {
            entries += Self.controlFiles.map { .control($0.facet) }
        } else {
            let path = node.key.path
            guard let znode = try inspect(&job, path) else { throw .failed(.stale) }
            let listing = try ask(&job, .getChildren(path, watch: false))
            guard case .success(.children(let names)) = listing.first else {
                throw .failed(failure(listing.first))
            }
            var all = names
            let known = Set(names)
            for deferred in nodes.deferredPaths where deferred.parent == path {
                let name = Array(deferred.name)
                if !known.contains(name) { all.append(name) }
            }
            all.sort { $0.lexicographicallyPrecedes($1) }
            entries += all.map { .child($0) }
            if settings.facets, node.key.facet == .itself, znode.carriesOwnData {
                entries.append(.ownData)
            }
        }
        let snapshot = DirectorySnapshot(path: node.key.path, entries: entries)
        return .opened(try addFile(id, .directory(snapshot)), [])
    }

    mutating func readDirectory(
        _ job: inout Job,
        _ handle: FileHandle,
        _ offset: UInt64,
        _ size: Int,
        _ withAttributes: Bool
    ) throws(Stop) -> FileReply {
        guard let open = files[handle], case .directory(let snapshot) = open.content else {
            throw .failed(.badDescriptor)
        }
        var position = Int(clamping: offset)
        while position < snapshot.entries.count {
            let page = self.page(snapshot, from: position, size, withAttributes)
            guard !page.isEmpty else { throw .failed(.invalidArgument) }
            let paths = page.compactMap { lookedUp(snapshot, snapshot.entries[$0]) }
            let znodes = try inspect(&job, paths)
            var found: [ZnodePath: Znode] = [:]
            let isNewest = isNewest(job)
            for case let znode? in znodes {
                found[znode.path] = znode
                if isNewest { recent.list(znode, at: now.instant) }
            }
            var result: [DirectoryEntry] = []
            for index in page {
                let next = UInt64(index + 1)
                if let entry = listed(
                    snapshot,
                    snapshot.entries[index],
                    found,
                    next,
                    withAttributes,
                    open.node
                ) {
                    result.append(entry)
                }
            }
            // An empty page would mean the end; that all of one were deleted does not.
            if !result.isEmpty { return .directory(result, withAttributes: withAttributes) }
            position = page.upperBound
        }
        return .directory([], withAttributes: withAttributes)
    }

    /// As many entries as fit into the kernel's buffer.
    private func page(
        _ snapshot: DirectorySnapshot,
        from start: Int,
        _ size: Int,
        _ withAttributes: Bool
    ) -> Range<Int> {
        var end = start
        var room = size
        while end < snapshot.entries.count {
            let entry = DirectoryEntry(
                name: shownName(snapshot.entries[end]),
                nextOffset: 0,
                entry: nil,
                inode: 0,
                kind: .regular
            )
            room -= entry.size(withAttributes: withAttributes)
            guard room >= 0 else { break }
            end += 1
        }
        return start..<end
    }

    private func shownName(_ entry: DirectorySnapshot.Entry) -> [UInt8] {
        switch entry {
        case .itself: Array(".".utf8)
        case .parent: Array("..".utf8)
        case .child(let name): ParsedName.shown(name, facets: settings.facets)
        case .ownData: Array("@data".utf8)
        case .control(let facet): Self.controlFiles.first { $0.facet == facet }?.name ?? []
        }
    }

    private func lookedUp(
        _ snapshot: DirectorySnapshot,
        _ entry: DirectorySnapshot.Entry
    ) -> ZnodePath? {
        switch entry {
        case .child(let name): snapshot.path.appending(name)
        case .ownData: snapshot.path
        case .itself, .parent, .control: nil
        }
    }

    /// One entry; nil where the znode is gone.
    private mutating func listed(
        _ snapshot: DirectorySnapshot,
        _ item: DirectorySnapshot.Entry,
        _ found: [ZnodePath: Znode],
        _ next: UInt64,
        _ withAttributes: Bool,
        _ directory: NodeID
    ) -> DirectoryEntry? {
        let name = shownName(item)
        let key: NodeKey
        var znode: Znode?
        var facet = Facet.itself
        switch item {
        case .itself, .parent:
            // The kernel knows these two itself; it takes no lookup for them.
            let own = nodes[directory]?.key
            let inode = own.map { Self.inode($0) } ?? 2
            return DirectoryEntry(
                name: name,
                nextOffset: next,
                entry: nil,
                inode: inode,
                kind: .directory
            )
        case .control(let control):
            key = NodeKey(czxid: .zero, path: snapshot.path, facet: control, kind: .regular)
        case .ownData:
            guard let own = found[snapshot.path], own.carriesOwnData else { return nil }
            facet = .data
            znode = own
            key = self.key(own, .data, .regular)
        case .child(let child):
            let path = snapshot.path.appending(child)
            if let present = found[path] {
                znode = present
                key = self.key(present, .itself, kind(present))
            } else if let id = nodes.deferredNode(path), let node = nodes[id] {
                key = node.key
            } else {
                return nil
            }
        }
        var entry: Entry?
        if withAttributes {
            if let znode {
                entry = self.entry(znode, facet)
            } else if let id = nodes.find(key), let node = nodes[id], node.deferred != nil {
                entry = self.entry(key, deferredAttributes(node))
            } else {
                entry = self.entry(key, virtualAttributes(key))
            }
        }
        return DirectoryEntry(
            name: name,
            nextOffset: next,
            entry: entry,
            inode: Self.inode(key),
            kind: key.kind
        )
    }

    mutating func synchronizeDirectory(_ job: inout Job, _ id: NodeID) throws(Stop) -> FileReply {
        guard let path = nodes[id]?.key.path else { throw .failed(.stale) }
        let answers = try ask(&job, .sync(path))
        guard case .success = answers.first else { throw .failed(failure(answers.first)) }
        return .done
    }
}
