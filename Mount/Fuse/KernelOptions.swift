/// What the kernel is told at mount(2). `nosuid` and `nodev` always hold.
package struct KernelOptions: Hashable, Sendable {
    package enum Access: Hashable, Sendable {
        case mountingUser
        case mountingUserAndRoot
        case everyone
    }
    /// Shown as the source in /proc/mounts and df.
    package var source: String
    package var isReadOnly: Bool
    package var allowsExecution: Bool
    package var access: Access

    package init(
        source: String,
        isReadOnly: Bool = false,
        allowsExecution: Bool = false,
        access: Access = .mountingUser
    ) {
        self.source = source
        self.isReadOnly = isReadOnly
        self.allowsExecution = allowsExecution
        self.access = access
    }

    /// As `-o` takes them.
    var text: String {
        var words = ["fsname=" + Self.escaped(source), "subtype=zkfs", "nosuid", "nodev"]
        if !allowsExecution { words.append("noexec") }
        words.append(isReadOnly ? "ro" : "rw")
        switch access {
        case .mountingUser: break
        // Others than the mounting user are held to the modes shown.
        case .mountingUserAndRoot: words += ["allow_root", "default_permissions"]
        case .everyone: words += ["allow_other", "default_permissions"]
        }
        return words.joined(separator: ",")
    }

    private static func escaped(_ text: String) -> String {
        var result = ""
        for character in text {
            if character == "," || character == "\\" { result.append("\\") }
            result.append(character)
        }
        return result
    }
}

/// Why there is no mount, as a sentence for people.
package struct MountFailure: Error, Hashable, Sendable {
    package var sentence: String
    package init(_ sentence: String) { self.sentence = sentence }
}
