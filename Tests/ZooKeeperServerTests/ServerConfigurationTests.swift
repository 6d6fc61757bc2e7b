import Testing
import ZooKeeperModel
import ZooKeeperServer

struct ServerConfigurationTests {
    private func read(_ text: String) throws -> ServerConfiguration {
        try ServerConfiguration(text: text, file: "zoo.cfg")
    }
    private let base = "dataDir=/var/lib/zk\nclientPort=2181\n"

    @Test func `defaults are those of ZooKeeper`() throws {
        let configuration = try read(base)
        #expect(configuration.tickTime == .milliseconds(3000))
        #expect(configuration.minSessionTimeout == .milliseconds(6000))
        #expect(configuration.maxSessionTimeout == .milliseconds(60000))
        #expect(configuration.maxClientConnections == 60)
        #expect(configuration.fourLetterWords == .some(["srvr"]))
        #expect(configuration.warnings.isEmpty)
    }

    @Test func `a Java property is a line with or without its prefix`() throws {
        #expect(try read(base + "zookeeper.snapCount=7").snapshotTransactionCount == 7)
        #expect(try read(base + "snapCount=7").snapshotTransactionCount == 7)
        #expect(try read(base + "jute.maxbuffer=4194304").maxFrameBytes == 4_194_304)
    }

    @Test func `kinds of sessions are off, and read as true and false`() throws {
        let plain = try read(base)
        #expect(!plain.localSessions && !plain.localSessionsUpgrading && !plain.readOnlyMode)
        let all = try read(
            base + "localSessionsEnabled=true\nlocalSessionsUpgradingEnabled=TRUE\n"
                + "readonlymode.enabled=true"
        )
        #expect(all.localSessions && all.localSessionsUpgrading && all.readOnlyMode)
        #expect(all.warnings.isEmpty)
        #expect(throws: ConfigurationError.self) { try read(base + "localSessionsEnabled=yes") }
    }

    @Test func `an unknown key is named in a warning`() throws {
        let configuration = try read(base + "\n# a comment\nclientPrt=5\nadmin.serverPort=1")
        #expect(
            configuration.warnings == [
                "zoo.cfg, line 5: clientPrt is not a key that is known; it has no effect",
                "zoo.cfg, line 6: admin.serverPort is not supported yet and has no effect",
            ]
        )
    }

    @Test(arguments: [
        ("dataDir=/d", "zoo.cfg: clientPort is missing"),
        ("clientPort=1", "zoo.cfg: dataDir is missing"),
        (
            "dataDir=/d\nclientPort=70000",
            "zoo.cfg, line 2: clientPort=70000: not between 1 and 65535"
        ),
        (
            "dataDir=/d\nclientPort=1\ntickTime=2s",
            "zoo.cfg, line 3: tickTime=2s: not a whole number"
        ),
        (
            "dataDir=/d\nclientPort=1\nextendedTypesEnabled=yes",
            "zoo.cfg, line 3: extendedTypesEnabled=yes: neither true nor false"
        ),
        (
            "dataDir=/d\nclientPort=1\nminSessionTimeout=9\nmaxSessionTimeout=8",
            "zoo.cfg: minSessionTimeout is larger than maxSessionTimeout"
        ),
        (
            "dataDir=/d\nclientPort=1\nsecureClientPort=2281",
            "zoo.cfg, line 3: secureClientPort=2281: it guards access in a way that this version"
                + " does not know yet; remove the line only if you can do without it"
        ),
    ])
    func `a wrong value stops with file, line and reason`(text: String, message: String) {
        let error = #expect(throws: ConfigurationError.self) { try read(text) }
        #expect(error?.description == message)
    }

    @Test func `the format is that of Java's properties`() {
        let text = "! note\n  a = 1 \n b:2\nc\\ d  3\nlong=x\\\n   y\nu=\\u0041\\t!\nempty\n"
        let entries = PropertiesFile(text, file: "zoo.cfg").entries
        let rows = entries.map { "\($0.line) \($0.key)|\($0.value)" }
        #expect(rows == ["2 a|1", "3 b|2", "4 c d|3", "5 long|xy", "7 u|A\t!", "8 empty|"])
    }

    @Test func `one configured voter serves alone under its own number`() throws {
        let configuration = try read("dataDir=/d\nserver.7=h:2888:3888;2181")
        #expect(configuration.serverID == ServerID(rawValue: 7))
        #expect(configuration.clientPort == 2181)
    }
}
