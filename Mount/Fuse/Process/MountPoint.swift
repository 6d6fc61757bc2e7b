internal import CFuse
internal import Glibc

/// The directory a mount goes to, as the system has it now.
package enum MountPoint {
    /// Returns the absolute path to mount at. Where a zkfs mount whose daemon has died still stands, it is
    /// taken away; a live one, and anything that is no directory, is refused with a sentence.
    package static func prepare(_ given: String) throws(MountFailure) -> String {
        let path = try resolve(given)
        var status = stat()
        if unsafe stat(path, &status) != 0 {
            guard errno == ENOTCONN || errno == ECONNABORTED else {
                throw MountFailure.system(path)
            }
            guard isMount(path, ofType: "fuse.zkfs") else {
                throw MountFailure("\(path) is a dead mount of something else; unmount it first")
            }
            try detach(path)
            return try prepare(path)
        }
        guard status.st_mode & S_IFMT == S_IFDIR else {
            throw MountFailure("\(path) is not a directory")
        }
        guard !isMount(path, ofType: "fuse.zkfs") else {
            throw MountFailure("\(path) is a zkfs mount already")
        }
        return path
    }

    /// Whether the file system at `path` answers.
    package static func answers(_ path: String) -> Bool {
        var status = stat()
        return unsafe stat(path, &status) == 0
    }

    /// Takes the mount out of the tree of names, now; what is open stays open.
    static func detach(_ path: String) throws(MountFailure) {
        if geteuid() == 0 {
            guard unsafe umount2(path, Int32(MNT_DETACH)) == 0 else {
                throw MountFailure.system("unmounting \(path)")
            }
            return
        }
        guard run(["fusermount3", "-u", "-z", "--", path]) == 0 else {
            throw MountFailure("fusermount3 cannot unmount the dead mount at \(path)")
        }
    }

    /// The last part of a dead mount's path answers to nothing, so it is resolved by its parent.
    private static func resolve(_ given: String) throws(MountFailure) -> String {
        if let path = realPath(given) { return path }
        guard errno == ENOTCONN || errno == ECONNABORTED else { throw MountFailure.system(given) }
        var trimmed = given[...]
        while trimmed.count > 1, trimmed.last == "/" { trimmed.removeLast() }
        let parent: String
        let name: Substring
        if let slash = trimmed.lastIndex(of: "/") {
            parent = String(trimmed[...slash])
            name = trimmed[trimmed.index(after: slash)...]
        } else {
            parent = "."
            name = trimmed
        }
        guard let directory = realPath(parent) else { throw MountFailure.system(given) }
        return directory == "/" ? "/\(name)" : "\(directory)/\(name)"
    }

    private static func realPath(_ path: String) -> String? {
        guard let result = unsafe realpath(path, nil) else { return nil }
        defer { unsafe free(result) }
        return unsafe String(cString: result)
    }

    private static func isMount(_ path: String, ofType type: String) -> Bool {
        MountTable.read()?.topmost(at: path)?.type == type
    }

    private static func run(_ words: [String]) -> Int32 {
        var arguments: [UnsafeMutablePointer<CChar>?] = unsafe words.map { unsafe strdup($0) }
        unsafe arguments.append(nil)
        defer { unsafe arguments.forEach { unsafe free($0) } }
        var child = pid_t()
        guard unsafe posix_spawnp(&child, words[0], nil, nil, arguments, environ) == 0 else {
            return -1
        }
        var status: Int32 = 0
        while unsafe waitpid(child, &status, 0) < 0 {
            guard errno == EINTR else { return -1 }
        }
        return status
    }
}
