import ZooKeeperClient

/// Makes a tree of a certain size, to see what a large one costs: `path/fill/D/N`, a thousand
/// znodes in each directory D.
struct Fill: Sendable {
    let client: ZooKeeper
    let path: String
    let data: [UInt8]

    private static let perDirectory = 1000
    private static let perTransaction = 100
    private static let directoriesAtOnce = 8

    func run(count: Int) async throws {
        for parent in [path, path + "/fill"] where try await client.exists(parent) == nil {
            try await client.create(parent, data: nil)
        }
        let directories = (count + Self.perDirectory - 1) / Self.perDirectory
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<directories {
                if number >= Self.directoriesAtOnce { try await group.next() }
                let size = min(Self.perDirectory, count - number * Self.perDirectory)
                group.addTask { try await fill("\(path)/fill/\(number)", size) }
            }
            try await group.waitForAll()
        }
    }

    private func fill(_ directory: String, _ count: Int) async throws {
        try await client.create(directory, data: nil)
        for first in stride(from: 0, to: count, by: Self.perTransaction) {
            let names = first..<min(first + Self.perTransaction, count)
            try await client.multi(
                names.map { .create("\(directory)/\($0)", data: data) }
            )
        }
    }
}
