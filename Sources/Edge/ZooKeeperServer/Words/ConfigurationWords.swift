internal import Journal
internal import Platform
internal import Replication
internal import ZooKeeperModel

// conf, dirs, envi: how the server is set up, and where.

extension WordSource {
    func conf() -> String {
        let journal = configuration.journal
        var text = """
            clientPort=\(configuration.clientPort)
            secureClientPort=-1
            dataDir=\(journal.dataDirectory)
            dataDirSize=\(directorySizes.data)
            dataLogDir=\(journal.logDirectory)
            dataLogSize=\(directorySizes.log)
            tickTime=\(configuration.tickTime.wholeMilliseconds)
            maxClientCnxns=\(configuration.maxClientConnections)
            minSessionTimeout=\(configuration.minSessionTimeout.wholeMilliseconds)
            maxSessionTimeout=\(configuration.maxSessionTimeout.wholeMilliseconds)
            clientPortListenBacklog=\(configuration.listenBacklog)
            serverId=\(status.quorum == nil ? 0 : configuration.serverID.rawValue)

            """
        if status.quorum != nil { text += memberLines }
        return text
    }

    /// Ends without a newline where the members are listed, as Apache's does.
    private var memberLines: String {
        guard let mine = configuration.ensemble.mine, let address = mine.addresses.first else {
            return ""
        }
        let lines = """
            initLimit=\(configuration.initLimit)
            syncLimit=\(configuration.syncLimit)
            electionAlg=3
            electionPort=\(address.electionPort)
            quorumPort=\(address.quorumPort)
            peerType=\(mine.isObserver ? 1 : 0)

            """
        return status.mode == .readOnly
            ? lines : lines + "membership: \n" + configuration.ensemble.text
    }

    func dirs() -> String {
        "datadir_size: \(directorySizes.data)\nlogdir_size: \(directorySizes.log)\n"
    }

    func envi() -> String {
        let host = HostFigures()
        return """
            Environment:
            zookeeper.version=\(ServerVersion.text)
            host.name=\(host.name)
            os.name=\(host.system)
            os.arch=\(host.architecture == "x86_64" ? "amd64" : host.architecture)
            os.version=\(host.release)
            user.name=\(host.userName)
            user.home=\(host.userHome)
            user.dir=\(currentDirectory())

            """
    }
}
