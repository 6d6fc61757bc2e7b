internal import CFuse
internal import Glibc

/// What the process asks of the system, or tells it, once.
package enum ProcessFacts {
    package static var user: UInt32 { geteuid() }
    package static var group: UInt32 { getegid() }

    /// Lets go of every descriptor but the standard ones that whoever started this process left open:
    /// a daemon would keep them open for its whole life, and some wait for their end.
    package static func closeInheritedDescriptors() {
        zkfs_close_from(3)
    }

    /// Writing to a pipe or socket whose reader has gone is an error then, and not the end.
    package static func ignoreBrokenPipes() { signal(SIGPIPE, SIG_IGN) }

    /// `path` as it is meant in the present working directory.
    package static func absolute(_ path: String) throws(MountFailure) -> String {
        guard !path.hasPrefix("/") else { return path }
        guard let directory = unsafe getcwd(nil, 0) else {
            throw MountFailure.system("the working directory")
        }
        defer { unsafe free(directory) }
        return unsafe String(cString: directory) + "/" + path
    }

    package static func exists(_ path: String) -> Bool { unsafe access(path, F_OK) == 0 }

    package static func complain(_ sentence: String) {
        _ = Descriptor.write(Array((sentence + "\n").utf8), to: STDERR_FILENO)
    }
}
