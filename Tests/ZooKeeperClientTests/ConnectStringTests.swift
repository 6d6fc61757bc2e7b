import ClientCore
import Testing
import ZooKeeperClient
import ZooKeeperModel

@Suite struct `Connect strings` {
    @Test(
        arguments: [
            ("zk", ["zk:2181"], "/"), ("zk:1", ["zk:1"], "/"), ("a:1,b:2", ["a:1", "b:2"], "/"),
            (" a:1 , b ", ["a:1", "b:2181"], "/"), ("a/x/y", ["a:2181"], "/x/y"),
            ("a/", ["a:2181"], "/"), ("[::1]:7,[fe80::1]", ["[::1]:7", "[fe80::1]:2181"], "/"),
        ] as [(String, [String], ZnodePath)]
    )
    func `are understood`(text: String, servers: [String], chroot: ZnodePath) throws {
        let parsed = try ConnectString(text)
        #expect(parsed.servers.map(\.description) == servers)
        #expect(parsed.chroot == chroot)
    }

    @Test(arguments: [
        "", ",", "a,,b", "a:", "a:0", "a:65536", "a:x", ":1", "::1", "[::1", "[::1]7", "a//x",
        "a/x/", "a/../x",
    ])
    func `are refused with a reason`(text: String) {
        #expect(throws: ConnectStringError.self) { try ConnectString(text) }
    }
}
