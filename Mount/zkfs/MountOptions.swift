import ZooKeeperModel

/// What `-o` said: one field an option, with the defaults of those that were not given.
struct MountOptions: Equatable {
    var user: UInt32?
    var group: UInt32?
    var umask: UInt32 = 0o022
    var hold: Duration = .seconds(30)
    var connect: Duration = .seconds(10)
    var sessionTimeout: Duration = .seconds(10)
    var facets = true
    var emptyIsDirectory = false
    var acl: [ACL] = .open
    var authenticationFile: String?
    var linearizableReads = false
    var ignoresPermissions = false
    var isReadOnly = false
    var allowsExecution = false
    var allowsEveryone = false
    var allowsRoot = false
    var makesRoot = false
    var logFile: String?

    static let help = """
          ro               mount read-only
          exec             let programs in the tree be run
          allow_other      let every local user in, within the modes shown
          allow_root       let root in beside the mounting user
          auth=FILE        credentials to present, lines of scheme:credential; mode 0600
          acl=LIST         ACL of what is made here: scheme:id:perms[;…], or creator
                           (default world:anyone:cdrwa)
          uid=N, gid=N     owner shown (default: who mounts)
          umask=OCTAL      cut from every mode shown (default 022)
          perms=ignore     accept every chmod and remember it here alone
          reads=linearizable
                           see what was committed anywhere before each open and stat
          facets=off       take @ in names as a plain character
          empty=dir        show znodes with empty data as directories
          hold=SECONDS     how long to wait for an ensemble that is away (default 30)
          timeout=SECONDS  session timeout to ask for (default 10)
          connect=SECONDS  how long to wait for a server at the start (default 10)
          mkchroot         make the chroot if it does not exist
          log=FILE         log there and not to syslog
        """
}

/// An option that cannot be, as a sentence.
struct OptionError: Error, Equatable {
    var sentence: String
    init(_ sentence: String) { self.sentence = sentence }
}

extension MountOptions {
    /// Each text is a list separated by commas; `\,` is a comma inside of a value. A later option
    /// wins over an earlier one.
    init(_ texts: [String]) throws(OptionError) {
        for text in texts {
            for word in Self.split(text) where !word.isEmpty { try apply(word) }
        }
        guard !(allowsEveryone && allowsRoot) else {
            throw OptionError("allow_other and allow_root exclude each other")
        }
        guard acl != .creator || authenticationFile != nil else {
            throw OptionError("acl=creator needs an identity: give auth=FILE too")
        }
    }

    private mutating func apply(_ word: String) throws(OptionError) {
        let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let name = String(parts[0])
        guard parts.count == 2 else {
            try apply(flag: name)
            return
        }
        let value = Value(name: name, text: String(parts[1]))
        switch name {
        case "uid": user = try value.number()
        case "gid": group = try value.number()
        case "umask": umask = try value.mode()
        case "hold": hold = try value.seconds()
        case "connect": connect = try value.seconds()
        case "timeout": sessionTimeout = try value.seconds()
        case "facets": facets = try value.choice(["on": true, "off": false])
        case "empty": emptyIsDirectory = try value.choice(["dir": true, "file": false])
        case "acl": acl = try value.acl()
        case "auth": authenticationFile = try value.path()
        case "log": logFile = try value.path()
        case "reads":
            linearizableReads = try value.choice(["linearizable": true, "session": false])
        case "perms": ignoresPermissions = try value.choice(["ignore": true, "acl": false])
        case "away", "local", "state", "symlinks":
            throw OptionError("-o \(name)= is not supported yet")
        case "comment", "user": break
        case let name where name.hasPrefix("x-"): break
        default: throw OptionError("-o \(word): there is no such option")
        }
    }

    private mutating func apply(flag name: String) throws(OptionError) {
        switch name {
        case "ro": isReadOnly = true
        case "rw": isReadOnly = false
        case "exec": allowsExecution = true
        case "noexec": allowsExecution = false
        case "allow_other": allowsEveryone = true
        case "allow_root": allowsRoot = true
        case "mkchroot": makesRoot = true
        case "suid", "dev":
            throw OptionError("-o \(name): a zkfs mount is always nosuid and nodev")
        case "remount":
            throw OptionError("a zkfs mount cannot be remounted; unmount it and mount it again")
        // What mount(8) and /etc/fstab say to others, or what always holds.
        case "defaults", "auto", "noauto", "user", "nouser", "users", "owner", "group", "nofail",
            "_netdev", "nosuid", "nodev", "async", "sync", "dirsync", "atime", "noatime",
            "relatime", "norelatime", "strictatime", "nostrictatime", "diratime", "nodiratime",
            "lazytime", "nolazytime", "silent", "loud", "default_permissions":
            break
        case let name where name.hasPrefix("x-"): break
        default: throw OptionError("-o \(name): there is no such option")
        }
    }

    private static func split(_ text: String) -> [String] {
        var words = [""]
        var isEscaped = false
        for character in text {
            if isEscaped {
                if character != "," && character != "\\" { words[words.count - 1] += "\\" }
                words[words.count - 1].append(character)
                isEscaped = false
            } else if character == "\\" {
                isEscaped = true
            } else if character == "," {
                words.append("")
            } else {
                words[words.count - 1].append(character)
            }
        }
        if isEscaped { words[words.count - 1] += "\\" }
        return words
    }
}

/// The text after the equals sign, and whose it is.
private struct Value {
    var name: String
    var text: String

    private func error(_ reason: String) -> OptionError {
        OptionError("-o \(name)=\(text): \(reason)")
    }

    func number() throws(OptionError) -> UInt32 {
        guard let number = UInt32(text), number != .max else { throw error("not a number") }
        return number
    }

    func mode() throws(OptionError) -> UInt32 {
        guard let number = UInt32(text, radix: 8), number <= 0o777 else {
            throw error("not an octal number up to 777")
        }
        return number
    }

    /// Up to a day, with fractions.
    func seconds() throws(OptionError) -> Duration {
        guard let number = Double(text), number >= 0, number <= 86_400 else {
            throw error("not a number of seconds between 0 and 86400")
        }
        return .milliseconds(Int64(number * 1000))
    }

    func choice(_ values: [String: Bool]) throws(OptionError) -> Bool {
        guard let value = values[text] else {
            throw error("not one of " + values.keys.sorted().joined(separator: ", "))
        }
        return value
    }

    func path() throws(OptionError) -> String {
        guard !text.isEmpty else { throw error("a path is missing") }
        return text
    }

    func acl() throws(OptionError) -> [ACL] {
        if text == "creator" { return .creator }
        if text == "open" { return .open }
        var list: [ACL] = []
        for entry in text.split(separator: ";") {
            // The id may hold colons.
            guard let first = entry.firstIndex(of: ":"), let last = entry.lastIndex(of: ":"),
                first != last
            else { throw error("\(entry) is not scheme:id:perms") }
            var permissions: Permissions = []
            for letter in entry[entry.index(after: last)...] {
                switch letter {
                case "c": permissions.insert(.create)
                case "d": permissions.insert(.delete)
                case "r": permissions.insert(.read)
                case "w": permissions.insert(.write)
                case "a": permissions.insert(.admin)
                default: throw error("\(letter) is none of the permissions c, d, r, w, a")
                }
            }
            let id = entry[entry.index(after: first)..<last]
            list.append(
                ACL(
                    permissions: permissions,
                    identity: Identity(scheme: String(entry[..<first]), id: String(id))
                )
            )
        }
        guard !list.isEmpty else { throw error("the list is empty") }
        return list
    }
}
