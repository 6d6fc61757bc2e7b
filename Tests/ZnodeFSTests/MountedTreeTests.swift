import Testing
import ZnodeFS
import ZooKeeperModel

@Suite struct `files and directories` {
    @Test func `a file written by echo is read by cat`() throws {
        var world = MountWorld()
        try world.write(0, "/f", "hello\n")
        #expect(world.data("/f") == "hello\n")
        #expect(world.version("/f") == 0)
        #expect(try world.read(0, "/f") == "hello\n")
        try world.write(0, "/f", "again\n")
        #expect(world.version("/f") == 1)
    }
}
