import ClientCore
import Testing
import ZooKeeperModel

@testable import zkfs

struct MountSourceTests {
    @Test(arguments: [
        ("zk1", [ServerAddress(host: "zk1", port: 2181)], "/"),
        ("zk1:2182/", [ServerAddress(host: "zk1", port: 2182)], "/"),
        (
            "zk1:1,zk2:2/app/part/",
            [ServerAddress(host: "zk1", port: 1), ServerAddress(host: "zk2", port: 2)], "/app/part"
        ),
        ("[::1]:2181/a", [ServerAddress(host: "::1", port: 2181)], "/a"),
        ("[::1]", [ServerAddress(host: "::1", port: 2181)], "/"),
    ])
    func `a source names servers and a root`(
        text: String,
        servers: [ServerAddress],
        root: String
    ) throws {
        let source = try MountSource(text)

        #expect(source.servers == servers)
        #expect(source.root == ZnodePath(root))
    }

    @Test(arguments: [
        "", "/app", "zk1:", "zk1:0", "zk1:70000", "zk1:x", "zk1,,zk2", ":2181", "::1:2181",
        "[::1", "[::1]x", "zk1//a", "zk1/a/../b",
    ])
    func `what names no server or no znode is refused`(text: String) {
        #expect(throws: OptionError.self) { try MountSource(text) }
    }
}
