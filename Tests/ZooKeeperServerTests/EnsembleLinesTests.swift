import Testing
import Zab
import ZooKeeperModel
import ZooKeeperServer

struct EnsembleLinesTests {
    private struct NoSuchFile: Error, CustomStringConvertible {
        var description: String
    }

    /// Reads a configuration beside files that are only here.
    private func read(
        _ text: String,
        files: [String: String] = ["/d/myid": "2\n"]
    ) throws -> ServerConfiguration {
        try ServerConfiguration(text: "dataDir=/d\n" + text, file: "zoo.cfg") { path in
            guard let text = files[path] else {
                throw NoSuchFile(description: "\(path): No such file or directory")
            }
            return text
        }
    }
    private let three = """
        clientPort=2181
        server.3=zk3:2888:3888
        server.1=zk1:2888:3888:participant
        server.2=[fd00::2]:2888:3888;10.0.0.2:2181
        server.4=zk4:2888:3888:observer

        """

    @Test func `members, roles and addresses are read and told to others`() throws {
        let lines = try read(three).ensemble
        #expect(lines.me == ServerID(rawValue: 2))
        #expect(
            lines.text == """
                server.1=zk1:2888:3888:participant
                server.2=[fd00::2]:2888:3888:participant;10.0.0.2:2181
                server.3=zk3:2888:3888:participant
                server.4=zk4:2888:3888:observer
                version=0
                """
        )
        #expect(lines.mine?.addresses.first?.election.description == "[fd00::2]:3888")
    }

    @Test func `the own line says the client port`() throws {
        let configuration = try read("server.1=a:1:2\nserver.2=b:1:2;2182\n")
        #expect(configuration.clientPort == 2182)
        #expect(configuration.clientPortAddress == nil)
        let bound = try read("server.1=a:1:2\nserver.2=b:1:2;10.1.1.1:2182\n")
        #expect(bound.clientPortAddress == "10.1.1.1")
        let alone = try read("clientPort=1\nclientPortAddress=[::1]\n")
        #expect(alone.clientPortAddress == "::1")
    }

    @Test func `several addresses of a member are parted by a bar`() throws {
        let lines = try read("clientPort=1\nserver.1=a:1:2\nserver.2=b:1:2|c:3:4:observer\n")
            .ensemble
        #expect(lines.mine?.addresses.map(\.quorum.description) == ["b:1", "c:3"])
        #expect(lines.mine?.isObserver == true)
        #expect(lines.mine?.text == "server.2=b:1:2|c:3:4:observer")
    }

    @Test func `groups and weights are read`() throws {
        let lines = try read(three + "group.1=1:2\ngroup.2=3\nweight.1=2\nweight.3=0\n").ensemble
        let groups = [[1, 2], [3]].map { $0.map(ServerID.init(rawValue:)) }
        #expect(lines.groups.map(\.members) == groups)
        #expect(lines.weights == [ServerID(rawValue: 1): 2, ServerID(rawValue: 3): 0])
        #expect(lines.text.hasSuffix("weight.1=2\nweight.2=1\nweight.3=0\nweight.4=1\nversion=0"))
    }

    @Test func `the members' lines may stand in a file of their own`() throws {
        let files = [
            "/d/myid": "1", "/etc/zk.dynamic": "server.1=a:1:2;2181\nserver.2=b:1:2;2181\nx=1\n",
        ]
        let configuration = try read("dynamicConfigFile=/etc/zk.dynamic\n", files: files)
        #expect(configuration.ensemble.members.count == 2)
        #expect(configuration.clientPort == 2181)
        #expect(configuration.warnings.first?.hasPrefix("/etc/zk.dynamic, line 3: x says") == true)
        let twice = #expect(throws: ConfigurationError.self) {
            try read("server.2=c:1:2\ndynamicConfigFile=/etc/zk.dynamic\n", files: files)
        }
        #expect(
            twice?.description
                == "/etc/zk.dynamic, line 2: server.2=b:1:2;2181: server 2 is there already"
        )
    }

    @Test(arguments: [
        ("server.1=a:1:2\nserver.1=b:1:2", "line 4: server.1=b:1:2: server 1 is there already"),
        ("server.x=a:1:2", "line 3: server.x=a:1:2: the server's number is not a number"),
        ("server.1=a:1", "line 3: server.1=a:1: not of the form host:quorumPort:electionPort"),
        (
            "server.1=a:1:1",
            "line 3: server.1=a:1:1: the quorum port and the election port are the same"
        ),
        (
            "server.1=a:1:2:leader",
            "line 3: server.1=a:1:2:leader: the role is neither participant nor observer"
        ),
        (
            "server.1=a:1:2\nserver.2=a:2:3",
            "line 4: server.2=a:2:3: a:2 is server 1's already"
        ),
        (
            "server.1=a:1:2;x\nserver.2=b:1:2",
            "line 3: server.1=a:1:2;x: the client port is not a port number"
        ),
        (
            "server.1=a:1:2\nserver.2=b:1:2\ngroup.1=1",
            "line 5: group.1=1: server 2 is in no group"
        ),
        (
            "server.1=a:1:2\nserver.2=b:1:2\ngroup.1=1:2\ngroup.2=2",
            "line 6: group.2=2: server 2 is in a group already"
        ),
        ("server.1=a:1:2\nserver.2=b:1:2\nweight.1=2", "line 5: weight.1=2: weights need groups"),
        (
            "server.1=a:1:2\nserver.2=b:1:2\ngroup.1=1:2\nweight.1=0\nweight.2=0",
            "line 5: group.1=1:2: no server has a weight above 0"
        ),
        (
            "server.1=a:1:2\nserver.2=b:1:2;3",
            "line 2: clientPort=1: the line of server 2 says 3"
        ),
        ("electionAlg=0", "line 3: electionAlg=0: only 3, the fast leader election, is there"),
    ])
    func `a wrong line stops with file, line and reason`(text: String, message: String) {
        let error = #expect(throws: ConfigurationError.self) { try read("clientPort=1\n" + text) }
        #expect(error?.description == "zoo.cfg, " + message)
    }

    @Test func `myid must be there and name a member`() {
        let missing = #expect(throws: ConfigurationError.self) { try read(three, files: [:]) }
        #expect(missing?.description == "/d/myid: No such file or directory")
        let wrong = #expect(throws: ConfigurationError.self) {
            try read(three, files: ["/d/myid": "two\n"])
        }
        #expect(wrong?.description == "/d/myid: “two” is not a server's number")
        let stranger = #expect(throws: ConfigurationError.self) {
            try read(three, files: ["/d/myid": "9"])
        }
        #expect(stranger?.description == "/d/myid: 9 is none of the servers in zoo.cfg")
    }

    @Test func `a role that peerType contradicts is named`() throws {
        let configuration = try read(three + "peerType=observer\n")
        #expect(configuration.warnings.count == 1)
        #expect(configuration.ensemble.mine?.isObserver == false)
    }
}
