import ArgumentParser

/// The command line, as words; ``MountPlan`` says what they mean.
struct MountCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "zkfs",
        abstract: "Mount a ZooKeeper tree as a file system.",
        usage: """
            zkfs HOST:PORT[,HOST:PORT…][/CHROOT] MOUNTPOINT [-f] [-o OPTION[,OPTION…]]
            zkfs --embedded DIR MOUNTPOINT [-f] [-o OPTION[,OPTION…]]
            """,
        discussion: """
            Returns once the mount answers; `umount MOUNTPOINT` or `fusermount3 -u MOUNTPOINT` ends it.

            Options:
            \(MountOptions.help)
            """
    )

    @Flag(name: .customShort("f"), help: "Stay in the foreground and log to stderr.")
    var foreground = false

    @Option(
        name: .customShort("o"),
        help: "Mount options, separated by commas; may be repeated."
    )
    var options: [String] = []

    @Option(help: "Run a server inside, with its data in DIR, and mount that.")
    var embedded: String?

    @Argument(help: "HOST:PORT[,HOST:PORT…][/CHROOT] and the mount point.")
    var words: [String] = []
}
