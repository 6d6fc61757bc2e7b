import Testing
import ZooKeeperModel

@testable import Znodes

/// What must fire, written without regard to speed.
struct NaiveWatches {
    struct Watch: Hashable {
        var connection: UInt64
        var path: ZnodePath
        var kind: WatchKind
    }
    var watches: Set<Watch> = []

    mutating func fire(_ change: TreeChange) -> [String] {
        var told: [String] = []
        func tell(
            _ kind: WatchEvent.Kind,
            _ path: ZnodePath,
            _ kinds: Set<WatchKind>,
            recursive: Bool,
            except: Set<UInt64>
        ) -> Set<UInt64> {
            let matching = watches.filter { watch in
                (watch.path == path && kinds.contains(watch.kind))
                    || (recursive && watch.kind == .persistentRecursive
                        && path.isEqualOrBelow(watch.path))
            }
            for watch in matching where watch.kind == .data || watch.kind == .child {
                watches.remove(watch)
            }
            let found = Set(matching.map(\.connection))
            for connection in found.subtracting(except).sorted() {
                told.append("\(connection) \(kind) \(path)")
            }
            return found
        }
        switch change.kind {
        case .dataChanged:
            _ = tell(.dataChanged, change.path, [.data, .persistent], recursive: true, except: [])
            return told
        case .created:
            _ = tell(.created, change.path, [.data, .persistent], recursive: true, except: [])
        case .deleted:
            let found = tell(
                .deleted,
                change.path,
                [.data, .persistent],
                recursive: true,
                except: []
            )
            _ = tell(.deleted, change.path, [.child], recursive: false, except: found)
        }
        if let parent = change.path.parent {
            _ = tell(
                .childrenChanged,
                parent,
                [.child, .persistent],
                recursive: false,
                except: []
            )
        }
        return told
    }
}

struct WatchTableTests {
    private func fire(
        _ table: inout WatchTable,
        _ kind: TreeChange.Kind,
        _ path: ZnodePath,
        mayRead: (ConnectionID, [ACL]) -> Bool = { _, _ in true }
    ) -> [String] {
        var events: [FiredWatch] = []
        let change = TreeChange(kind: kind, path: path, zxid: Zxid(rawValue: 7))
        table.trigger(change, mayRead: mayRead, events: &events)
        table.checkInvariants()
        return events.map {
            #expect($0.event.zxid == Zxid(rawValue: 7))
            return "\($0.connection.rawValue) \($0.event.kind) \($0.event.path)"
        }
    }

    private func table(
        _ watches: (connection: UInt64, kind: WatchKind, path: ZnodePath)...
    ) -> WatchTable {
        var table = WatchTable()
        for watch in watches {
            table.add(
                watch.kind,
                watch.path,
                for: ConnectionID(rawValue: watch.connection)
            )
        }
        return table
    }

    @Test func `a deletion tells data watchers, then child watchers, then the parent's`() {
        var table = table(
            (1, .child, "/a"),
            (2, .data, "/a/b"),
            (3, .child, "/a/b"),
            (1, .data, "/a/b"),
            (1, .child, "/a/b"),
            (9, .data, "/a")
        )
        #expect(
            fire(&table, .deleted, "/a/b") == [
                "1 deleted /a/b", "2 deleted /a/b", "3 deleted /a/b", "1 childrenChanged /a",
            ]
        )
        #expect(table.watchCount == 1)
        #expect(fire(&table, .deleted, "/a/b").isEmpty)
    }

    @Test func `a creation tells the root's child watchers by the name of slash`() {
        var table = table((1, .data, "/a"), (2, .child, "/"), (3, .child, ""), (4, .child, "/a"))
        #expect(
            fire(&table, .created, "/a") == [
                "1 created /a", "2 childrenChanged /", "3 childrenChanged /",
            ]
        )
        #expect(table.watchCount == 1, "a child watch waits on")
    }

    @Test func `a change of data is nothing to child watchers`() {
        var table = table((1, .child, "/a"), (2, .data, "/a"), (3, .child, "/"))
        #expect(fire(&table, .dataChanged, "/a") == ["2 dataChanged /a"])
        #expect(table.watchCount == 2)
    }

    @Test func `persistent watches stay, and one connection hears one event`() {
        var table = table(
            (1, .persistent, "/a"),
            (1, .data, "/a"),
            (1, .persistentRecursive, "/"),
            (1, .persistentRecursive, "/a")
        )
        #expect(fire(&table, .dataChanged, "/a") == ["1 dataChanged /a"])
        #expect(fire(&table, .deleted, "/a") == ["1 deleted /a"])
        #expect(fire(&table, .created, "/a/b") == ["1 created /a/b", "1 childrenChanged /a"])
        #expect(table.pathCount == 2 && table.connectionCount == 1)
    }

    @Test func `a recursive watch hears of all below it but no child events`() {
        var table = table((5, .persistentRecursive, "/a"), (4, .persistentRecursive, "/a/b/c"))
        #expect(fire(&table, .created, "/a/b/c") == ["4 created /a/b/c", "5 created /a/b/c"])
        #expect(fire(&table, .dataChanged, "/a") == ["5 dataChanged /a"])
        #expect(fire(&table, .deleted, "/ab").isEmpty)
    }

    @Test func `who may not read hears nothing, and its watch is used up`() {
        var table = table((1, .data, "/a"), (2, .data, "/a"), (1, .child, "/"))
        let told = fire(&table, .deleted, "/a") { connection, _ in connection.rawValue == 2 }
        #expect(told == ["2 deleted /a"])
        #expect(table.watchCount == 0 && table.connectionCount == 0 && table.pathCount == 0)
    }

    @Test func `the znode's own ACL and the parent's are asked for`() {
        var table = table((1, .data, "/a"), (1, .child, "/"))
        var events: [FiredWatch] = []
        let change = TreeChange(
            kind: .created,
            path: "/a",
            zxid: .zero,
            acl: .creator,
            parentACL: .open
        )
        table.trigger(change, mayRead: { _, acl in acl == .open }, events: &events)
        #expect(events.map(\.event.kind) == [.childrenChanged])
    }

    @Test func `removal goes by type and says when there was nothing`() {
        let one = ConnectionID(rawValue: 1)
        var table = table(
            (1, .data, "/a"),
            (1, .child, "/a"),
            (1, .persistent, "/a"),
            (2, .data, "/a")
        )
        #expect(table.watchCount == 3)
        #expect(table.remove(.data, "/a", for: one) == true)
        #expect(table.remove(.data, "/a", for: one) == false)
        #expect(table.contains(.data, "/a", for: one) == false)
        #expect(table.contains(.children, "/a", for: one))
        #expect(table.remove(.any, "/a", for: one) == true)
        #expect(table.remove(.any, "/a", for: one) == false)
        #expect(table.remove(.any, "/b", for: one) == false)
        table.checkInvariants()
        #expect(fire(&table, .dataChanged, "/a") == ["2 dataChanged /a"])
    }

    @Test(arguments: ["", "/", "a", "/a/", "//", "/a//b", "///", "no slash/at all"])
    func `any text can be watched and found again`(text: String) {
        let one = ConnectionID(rawValue: 1)
        var table = table((1, .data, ZnodePath(text)))
        table.checkInvariants()
        #expect(table.contains(.any, ZnodePath(text), for: one))
        table.removeAll(of: one)
        table.checkInvariants()
        #expect(!table.contains(.any, ZnodePath(text), for: one))
    }

    @Test func `very deep and very long paths are watched as well`() {
        let deep = ZnodePath(String(repeating: "/a", count: 5000))
        let long = ZnodePath("/" + String(repeating: "b", count: 5000))
        var table = table((1, .data, deep), (2, .data, long), (3, .persistentRecursive, "/a"))
        table.checkInvariants()
        #expect(fire(&table, .created, deep).count == 2)
        #expect(fire(&table, .created, long).count == 1)
    }

    @Test func `tables do as a plain list of watches`() {
        var random = SeededGenerator(seed: 99)
        var table = WatchTable()
        var model = NaiveWatches()
        let paths: [ZnodePath] = ["/", "/a", "/a/b", "/a/b/c", "/a/c", "/b", "/ab", "/a/b/c/d"]
        for step in 0..<20_000 {
            let path = paths[Int.random(in: 0..<paths.count, using: &random)]
            let connection = UInt64.random(in: 1...6, using: &random)
            let id = ConnectionID(rawValue: connection)
            switch Int.random(in: 0..<20, using: &random) {
            case 0..<12:
                let kind = WatchKind.allCases[Int.random(in: 0..<4, using: &random)]
                table.add(kind, path, for: id)
                model.watches.insert(.init(connection: connection, path: path, kind: kind))
            case 12..<17:
                let kinds: [TreeChange.Kind] = [.created, .deleted, .dataChanged]
                let change = TreeChange(
                    kind: path.isRoot ? .dataChanged : kinds[step % 3],
                    path: path,
                    zxid: .zero
                )
                var events: [FiredWatch] = []
                table.trigger(change, mayRead: { _, _ in true }, events: &events)
                #expect(
                    events.map { "\($0.connection.rawValue) \($0.event.kind) \($0.event.path)" }
                        == model.fire(change),
                    "step \(step)"
                )
            case 17..<19:
                let type: WatcherType = [.children, .data, .any][step % 3]
                let removed = model.watches.filter {
                    $0.connection == connection && $0.path == path
                        && (type == .any || $0.kind == (type == .data ? .data : .child))
                }
                model.watches.subtract(removed)
                #expect(table.contains(type, path, for: id) == !removed.isEmpty)
                #expect(table.remove(type, path, for: id) == !removed.isEmpty, "step \(step)")
            default:
                table.removeAll(of: id)
                model.watches = model.watches.filter { $0.connection != connection }
            }
            if step % 100 == 0 { table.checkInvariants() }
            #expect(table.connectionCount == Set(model.watches.map(\.connection)).count)
            #expect(table.pathCount == Set(model.watches.map(\.path)).count)
        }
    }
}
