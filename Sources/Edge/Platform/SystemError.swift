import Glibc

package enum SystemError {
    /// What the system calls this `errno`.
    package static func text(_ code: Int32) -> String {
        // strerror's text stays valid until the next call of this thread: copied at once.
        unsafe String(cString: strerror(code))
    }
}
