import Foundation
import Testing

/// Clients of kazoo that write all the time, whatever happens to the servers, and remember what was
/// acknowledged to them.
///
/// Each creates one znode after the other under a name that is never used again, and tries again on
/// a lost connection: what is there already was its own doing. Each also holds an ephemeral: losing
/// its session is a failure, for a session lives on another server as long as any serves.
final class ConstantWriter {
    static let root = "/constant"

    private let child: ChildProcess
    private let outputPath: String
    private let stopPath: String

    init(_ addresses: String, in workspace: Workspace, clients: Int = 3) throws {
        outputPath = workspace.path("acknowledged.txt")
        stopPath = workspace.path("stop")
        _ = FileManager.default.createFile(atPath: outputPath, contents: nil)
        child = try ChildProcess(
            [
                Workspace.python, "-u", "-c", Self.script, addresses, "\(clients)", outputPath,
                stopPath, Self.root,
            ],
            log: workspace.path("writer.log")
        )
        workspace.adopt(child)
    }

    /// Paths in the order of their acknowledgement.
    var acknowledged: [String] {
        let text = (try? String(contentsOfFile: outputPath, encoding: .utf8)) ?? ""
        // A line without its end is still being written.
        guard let end = text.lastIndex(of: "\n") else { return [] }
        return text[..<end].split(separator: "\n").map(String.init)
    }

    /// Waits until writes are acknowledged again, after whatever has just happened.
    func waitForProgress(_ what: String) {
        let before = acknowledged.count
        eventually("writes go on \(what)", limit: 60) { acknowledged.count >= before + 20 }
    }

    /// Ends the clients; returns what they complain of.
    func stop() -> String {
        _ = FileManager.default.createFile(atPath: stopPath, contents: nil)
        eventually("the writers have ended", limit: 60) { !child.isRunning }
        return child.log
    }

    /// Everything acknowledged is on each of these servers, once, and nothing else.
    func verify(on members: [ServerProcess], unknown: Int = 3) {
        let promised = acknowledged
        let distinct = Set(promised).count
        #expect(distinct == promised.count, "acknowledged twice")
        for member in members {
            let result = run(
                [Workspace.python, "-c", Self.lister, member.address, Self.root],
                limit: 120
            )
            #expect(result.status == 0, "\(member.address): \(result.errors)")
            let found = Set(result.output.split(separator: "\n").map(String.init))
            let lost = promised.filter { !found.contains($0) }
            let lostCount = lost.count
            #expect(lostCount == 0, "lost on \(member.kind): \(lost.prefix(5))")
            let surplus = found.subtracting(promised)
            let surplusCount = surplus.count
            // At the end each client may have had one write on its way.
            #expect(surplusCount <= unknown, "\(surplus.prefix(5))")
        }
    }

    private static let script = """
        import sys, os, threading, logging, time
        from kazoo.client import KazooClient, KazooState
        from kazoo.exceptions import NodeExistsError, ConnectionLoss, SessionExpiredError
        from kazoo.exceptions import ConnectionClosedError, OperationTimeoutError
        from kazoo.handlers.threading import KazooTimeoutError
        addresses, count, output, stop, root = sys.argv[1:]
        lock = threading.Lock()
        acknowledged = open(output, "a", buffering=1)
        logging.basicConfig(level=logging.CRITICAL)
        def work(number):
            # Left alone it would look again after up to a minute, longer than its session lives.
            retry = dict(max_tries=-1, max_delay=1)
            client = KazooClient(hosts=addresses, timeout=30, connection_retry=retry)
            def listen(state):
                if state == KazooState.LOST and not os.path.exists(stop):
                    print("client", number, "has lost its session", flush=True)
            client.add_listener(listen)
            client.start(timeout=60)
            client.ensure_path(root)
            client.create(root + "-owner-%d" % number, b"", ephemeral=True)
            made = 0
            while not os.path.exists(stop):
                made += 1
                path = "%s/%d-%d" % (root, number, made)
                while not os.path.exists(stop):
                    try:
                        client.create(path, path.encode())
                    except NodeExistsError:
                        pass
                    except (ConnectionLoss, ConnectionClosedError, OperationTimeoutError,
                            KazooTimeoutError):
                        continue
                    except Exception as error:
                        print("client", number, repr(error), flush=True)
                        return
                    with lock:
                        acknowledged.write(path + "\\n")
                    # All the time, but not as much as can be: each is looked at in the end.
                    time.sleep(0.01)
                    break
            if client.exists(root + "-owner-%d" % number) is None:
                print("client", number, "has lost its ephemeral", flush=True)
            client.stop(); client.close()
        threads = [threading.Thread(target=work, args=(n,)) for n in range(int(count))]
        [t.start() for t in threads]; [t.join() for t in threads]
        """

    private static let lister = """
        import sys
        from kazoo.client import KazooClient
        client = KazooClient(hosts=sys.argv[1], timeout=30)
        client.start(timeout=30)
        root = sys.argv[2]
        client.sync(root)
        paths = [root + "/" + name for name in client.get_children(root)]
        for path, answer in [(path, client.get_async(path)) for path in paths]:
            assert answer.get(timeout=60)[0] == path.encode(), path
            print(path)
        client.stop(); client.close()
        """
}
