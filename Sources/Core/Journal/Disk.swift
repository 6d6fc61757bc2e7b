/// The few file operations that the journal needs. Synchronous; in production it runs on the disk
/// thread, in the simulation over a model that forgets what was not synced.
///
/// Rules an implementation keeps, and one contract suite checks on all of them:
/// - written bytes survive a power loss only after ``syncFile(_:)`` of that file;
/// - creation, rename and removal survive only after ``syncDirectory(_:)`` of the directory;
/// - a failed sync is final: the caller never retries it.
///
/// Paths are relative to the disk's root, with `/` between elements.
package protocol Disk: AnyObject {
    func list(_ directory: String) throws(DiskError) -> [String]
    /// Nil where there is no such file.
    func size(_ file: String) throws(DiskError) -> Int?
    /// Fewer bytes than asked for only at the end of the file.
    func read(_ file: String, at offset: Int, count: Int) throws(DiskError) -> [UInt8]
    /// Creates the file where it is missing, and extends it where the range ends beyond its end.
    func write(_ file: String, at offset: Int, _ bytes: [UInt8]) throws(DiskError)
    func truncate(_ file: String, to size: Int) throws(DiskError)
    func syncFile(_ file: String) throws(DiskError)
    func createDirectory(_ directory: String) throws(DiskError)
    func syncDirectory(_ directory: String) throws(DiskError)
    /// Replaces `to` where it exists.
    func rename(_ from: String, to: String) throws(DiskError)
    func remove(_ file: String) throws(DiskError)
}

package struct DiskError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What was tried and what the system said, as a sentence for the operator.
    package var description: String
    package var isNoSpace: Bool
    package init(_ description: String, isNoSpace: Bool = false) {
        self.description = description
        self.isNoSpace = isNoSpace
    }
}
