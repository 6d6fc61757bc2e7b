import Foundation
import Testing

/// Which signals end a call on a real mount.
@Suite(.serialized, .enabled(if: Requirement.hasFuse, "no /dev/fuse, or not root"))
struct MountSignalTests {
    private static let helpers = """
        import os, sys, time, signal, threading
        M = sys.argv[1]
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        def start(body):
            # Says when it is about to call, and ends with what the call gave.
            r, w = os.pipe()
            pid = os.fork()
            if pid == 0:
                os.write(w, b"x")
                try:
                    body()
                    os._exit(7)
                except OSError as error:
                    os._exit(error.errno)
            os.read(r, 1); os.close(r); os.close(w)
            return pid
        def waits(pid):
            # Until it sleeps in the kernel, where a signal can find it.
            while open(f"/proc/{pid}/stat").read().rsplit(")")[1].split()[0] not in "SD": pass
            time.sleep(0.05)
        def end(pid, limit):
            stop = time.time() + limit
            while time.time() < stop:
                done, status = os.waitpid(pid, os.WNOHANG)
                if done: return os.waitstatus_to_exitcode(status)
                time.sleep(0.01)
            raise SystemExit("the call did not end")

        """

    @Test func `a call goes on after the end of a child, and ends with what is to end it`() throws {
        let workspace = try Workspace()
        defer { workspace.tearDown() }
        let server = try ServerProcess(.ours, in: workspace)
        let mount = try MountProcess(
            server.address,
            in: workspace,
            options: ["timeout=40", "hold=60"]
        )
        #expect(shell("echo x > \(mount.path("f"))").status == 0)
        // It answers nothing any more, and no connection is lost.
        server.child.signal(SIGSTOP)
        let result = run(
            [
                Workspace.python, "-c",
                Self.helpers + """
                    def look(name):
                        def body():
                            signal.signal(signal.SIGCHLD, lambda *a: None)
                            signal.signal(signal.SIGUSR1, lambda *a: None)
                            os.stat(f"{M}/{name}")
                        return body
                    # Each asks for a name of its own: the second of one name waits in the kernel.
                    ends = {}
                    for name, first, then in (
                        ("int", signal.SIGINT, None), ("kill", signal.SIGKILL, None),
                        ("term", signal.SIGTERM, None), ("quit", signal.SIGQUIT, None),
                        ("late", signal.SIGCHLD, signal.SIGINT),
                        ("killed", signal.SIGUSR1, signal.SIGKILL),
                    ):
                        pid = start(look(name))
                        waits(pid)
                        os.kill(pid, first)
                        if then:
                            time.sleep(0.3)
                            assert os.waitpid(pid, os.WNOHANG) == (0, 0), name
                            os.kill(pid, then)
                        assert end(pid, 5) == -(then or first), name
                    # A handler for Ctrl-C hears of it.
                    def caught():
                        signal.signal(signal.SIGINT, lambda *a: None)
                        os.stat(f"{M}/caught")
                    pid = start(caught)
                    waits(pid)
                    os.kill(pid, signal.SIGINT)
                    assert end(pid, 5) == 4  # EINTR
                    """,
                mount.mountPoint,
            ],
            limit: 60
        )
        server.child.signal(SIGCONT)
        #expect(result.status == 0, "\(result.errors)\n\(mount.child.log)")
    }
}
