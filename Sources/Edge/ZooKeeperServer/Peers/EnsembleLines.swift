package import Zab
package import ZooKeeperModel

/// What `zoo.cfg` says about the other members: `server.N`, `group.N`, `weight.N`, `peerType`, and the
/// file `myid` beside the data.
package struct EnsembleLines: Hashable, Sendable {
    /// By number.
    package var members: [MemberLine] = []
    /// Each group's members; empty: no groups, a plain majority decides.
    package var groups: [EnsembleConfiguration.Group] = []
    /// 1 where nothing is said.
    package var weights: [ServerID: Int64] = [:]
    package var me = ServerID(rawValue: 1)

    /// Whether the protocol of the ensemble is spoken; else this server serves alone.
    package var isEnsemble: Bool { members.count > 1 }
    package var mine: MemberLine? { members.first { $0.id == me } }

    /// What members tell each other of the configuration.
    package var text: String {
        guard isEnsemble else { return "" }
        var lines = members.map(\.text)
        for group in groups {
            let ids = group.members.map(\.description).joined(separator: ":")
            lines.append("group.\(group.id)=\(ids)")
        }
        if !groups.isEmpty {
            lines += members.map { "weight.\($0.id)=\(weights[$0.id] ?? 1)" }
        }
        return (lines + ["version=0"]).joined(separator: "\n")
    }
}

extension EnsembleLines {
    /// Collects the entries that belong here while a file is read.
    struct Reader {
        let file: String
        private var servers: [(MemberLine, PropertiesFile.Entry)] = []
        private var groups: [(EnsembleConfiguration.Group, PropertiesFile.Entry)] = []
        private var weights: [(ServerID, Int64, PropertiesFile.Entry)] = []
        private var peerType: (isObserver: Bool, entry: PropertiesFile.Entry)?

        init(file: String) { self.file = file }

        /// False: the key is not one of these.
        mutating func take(
            _ key: String,
            _ entry: PropertiesFile.Entry
        ) throws(ConfigurationError) -> Bool {
            if key.hasPrefix("server.") {
                let id = try number(key, entry, "the server's number is not a number")
                let member: MemberLine
                do throws(ConfigurationError) {
                    member = try MemberLine(id: ServerID(rawValue: id), value: entry.value)
                } catch {
                    throw wrong(entry, error.description)
                }
                if servers.contains(where: { $0.0.id == member.id }) {
                    throw wrong(entry, "server \(id) is there already")
                }
                servers.append((member, entry))
            } else if key.hasPrefix("group.") {
                let number = try number(key, entry, "the group's number is not a number")
                var members: [ServerID] = []
                for text in entry.value.split(separator: ":") {
                    guard let id = Int64(text) else {
                        throw wrong(entry, "\(text) is not a server's number")
                    }
                    members.append(ServerID(rawValue: id))
                }
                groups.append((EnsembleConfiguration.Group(id: number, members: members), entry))
            } else if key.hasPrefix("weight.") {
                let id = try number(key, entry, "the server's number is not a number")
                guard let weight = Int64(entry.value), (0...1_000_000).contains(weight) else {
                    throw wrong(entry, "not between 0 and 1000000")
                }
                weights.append((ServerID(rawValue: id), weight, entry))
            } else if key == "peerType" {
                switch entry.value.lowercased() {
                case "participant": peerType = (false, entry)
                case "observer": peerType = (true, entry)
                default: throw wrong(entry, "neither participant nor observer")
                }
            } else {
                return false
            }
            return true
        }

        /// `readIdentity` reads the file `myid`; it is asked only in an ensemble.
        func lines(
            identityFile: String,
            warnings: inout [String],
            readIdentity: () throws(ConfigurationError) -> String
        ) throws(ConfigurationError) -> EnsembleLines {
            var lines = EnsembleLines()
            lines.members = servers.map(\.0).sorted { $0.id < $1.id }
            guard let first = lines.members.first else {
                if let entry = groups.first?.1 ?? weights.first?.2 {
                    throw wrong(entry, "there is no ensemble: no line says server.N")
                }
                return lines
            }
            guard lines.isEnsemble else {
                // One voter alone is a standalone server, as Apache has it.
                lines.me = first.id
                return lines
            }
            try checkPlaces()
            try addGroups(to: &lines)
            let identity = try readIdentity()
            let digits = identity.split { $0.isWhitespace }
            guard digits.count == 1, let me = Int64(digits[0]) else {
                let shown = digits.joined(separator: " ").prefix(40)
                throw ConfigurationError("\(identityFile): “\(shown)” is not a server's number")
            }
            lines.me = ServerID(rawValue: me)
            guard let mine = lines.mine else {
                throw ConfigurationError("\(identityFile): \(me) is none of the servers in \(file)")
            }
            if let peerType, peerType.isObserver != mine.isObserver {
                warnings.append(
                    "\(peerType.entry.file), line \(peerType.entry.line): peerType says otherwise than the line"
                        + " of server \(me), which counts"
                )
            }
            let voters = lines.members.count { !$0.isObserver }
            guard voters > 0 else { throw ConfigurationError("\(file): all servers are observers") }
            if voters == 2, lines.groups.isEmpty {
                warnings.append(
                    "\(file): two voting servers tolerate no failure; three tolerate one"
                )
            }
            return lines
        }

        /// Two members cannot be reached in one place.
        private func checkPlaces() throws(ConfigurationError) {
            var seen: [HostPort: ServerID] = [:]
            for (member, entry) in servers {
                for place in member.addresses.flatMap({ [$0.quorum, $0.election] }) {
                    if let other = seen.updateValue(member.id, forKey: place), other != member.id {
                        throw wrong(entry, "\(place) is server \(other)'s already")
                    }
                }
            }
        }

        private func addGroups(to lines: inout EnsembleLines) throws(ConfigurationError) {
            for (id, weight, entry) in weights {
                guard lines.members.contains(where: { $0.id == id }) else {
                    throw wrong(entry, "there is no server \(id)")
                }
                lines.weights[id] = weight
            }
            guard let anyGroup = groups.first else {
                guard let entry = weights.first?.2 else { return }
                throw wrong(entry, "weights need groups")
            }
            var grouped: Set<ServerID> = []
            for (group, entry) in groups {
                for id in group.members {
                    guard lines.members.contains(where: { $0.id == id }) else {
                        throw wrong(entry, "there is no server \(id)")
                    }
                    guard grouped.insert(id).inserted else {
                        throw wrong(entry, "server \(id) is in a group already")
                    }
                }
            }
            for member in lines.members where !member.isObserver {
                guard grouped.contains(member.id) else {
                    throw wrong(anyGroup.1, "server \(member.id) is in no group")
                }
            }
            lines.groups = groups.map(\.0).sorted { $0.id < $1.id }
            let voters = lines.members.filter { !$0.isObserver }
            guard voters.contains(where: { (lines.weights[$0.id] ?? 1) > 0 }) else {
                throw wrong(anyGroup.1, "no server has a weight above 0")
            }
        }

        private func number(
            _ key: String,
            _ entry: PropertiesFile.Entry,
            _ reason: String
        ) throws(ConfigurationError) -> Int64 {
            guard let number = Int64(key.drop { $0 != "." }.dropFirst()),
                (0...Int64(Int32.max)).contains(number)
            else { throw wrong(entry, reason) }
            return number
        }

        private func wrong(_ entry: PropertiesFile.Entry, _ reason: String) -> ConfigurationError {
            ConfigurationError(
                "\(entry.file), line \(entry.line): \(entry.key)=\(entry.value): \(reason)"
            )
        }
    }
}
