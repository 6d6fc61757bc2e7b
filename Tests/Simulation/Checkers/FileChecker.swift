internal import ZnodeFS
internal import ZooKeeperModel
internal import Znodes

/// Lines that processes appended over a mount: an acknowledged one is there once, another at most once.
extension World {
    func checkFiles(_ mount: MountWorkload, _ tree: ZnodeTree) {
        note(
            "mount \(mount.number): \(mount.calls) calls, \(mount.failures) failed,"
                + " \(mount.appended.count) lines"
        )
        let log = data("/log", tree) ?? []
        var counts: [Int: Int] = [:]
        let prefix = "\(mount.number)-"
        for line in String(decoding: log, as: UTF8.self).split(separator: "\n")
        where line.hasPrefix(prefix) {
            guard let number = Int(line.dropFirst(prefix.count)),
                number <= mount.appendsTried
            else {
                fail("the log has a line that nobody wrote: \(line)")
                continue
            }
            counts[number, default: 0] += 1
        }
        for number in counts.keys.sorted() where counts[number, default: 0] > 1 {
            fail("line \(prefix)\(number) is in the log twice")
        }
        for number in mount.appended where counts[number] == nil {
            fail("line \(prefix)\(number) was acknowledged and is not in the log")
        }
    }
}
