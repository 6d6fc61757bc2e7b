#!/usr/bin/env python3
"""Captures what a running Apache ZooKeeper sends and writes, as text files for the codec tests.

    capture.py VERSION [CLASSPATH]

starts servers of that class path (by default Debian's) on free ports of 127.0.0.1 with their data
in a temporary directory, speaks to them over plain sockets, and fills the folder
apache-VERSION beside this script:

    client.txt    frames between a client and a standalone server, in order
    log.hex       the transaction log that this left, without its zero padding
    snapshot.hex  the snapshot that the server takes when it starts again
    quorum.txt    election and learner protocol between a leader and this script as voter 1

Lines of the .txt files are: direction (> to the server, < from it), a name, the bytes.
"""
import os
import socket
import struct
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
OPEN = [(31, b"world", b"anyone")]


def i32(n):
    return struct.pack(">i", n)


def i64(n):
    return struct.pack(">q", n)


def buf(b):
    return i32(-1) if b is None else i32(len(b)) + b


def vec(items):
    return i32(len(items)) + b"".join(items)


def acls(entries):
    return vec([i32(p) + buf(s) + buf(i) for p, s, i in entries])


def create(path, data, flags, acl=OPEN, ttl=None):
    return buf(path) + buf(data) + acls(acl) + i32(flags) + (b"" if ttl is None else i64(ttl))


def stat_request(path, watch):
    return buf(path) + (b"\1" if watch else b"\0")


def multi(parts):
    return b"".join(i32(code) + b"\0" + i32(-1) + body for code, body in parts) + i32(-1) + b"\1" + i32(-1)


def free_ports(n):
    sockets = [socket.socket() for _ in range(n)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


class Server:
    def __init__(self, classpath, config, directory, properties=()):
        path = os.path.join(directory, "zoo.cfg")
        with open(path, "w") as f:
            f.write(config)
        self.log = open(os.path.join(directory, "server.out"), "ab")
        self.process = subprocess.Popen(
            ["java", "-Xmx256m", *properties, "-cp", classpath,
             "org.apache.zookeeper.server.quorum.QuorumPeerMain", path],
            stdout=self.log, stderr=self.log)

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.log.close()


def dial(port, seconds=60):
    deadline = time.monotonic() + seconds
    while True:
        try:
            s = socket.create_connection(("127.0.0.1", port), timeout=30)
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return s
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def wait_until_serving(port):
    """A connection that comes before the server is ready may never be answered."""
    while True:
        s = dial(port)
        s.settimeout(2)
        try:
            s.sendall(b"srvr")
            if b"Zxid" in s.recv(4096):
                return
        except OSError:
            pass
        finally:
            s.close()
        time.sleep(0.1)


def exactly(s, n):
    data = b""
    while len(data) < n:
        piece = s.recv(n - len(data))
        if not piece:
            raise EOFError("closed after %d of %d bytes" % (len(data), n))
        data += piece
    return data


class Transcript:
    def __init__(self):
        self.lines = []

    def add(self, direction, name, data):
        self.lines.append("%s %s %s\n" % (direction, name, data.hex()))

    def write(self, path, title):
        with open(path, "w") as f:
            f.write("# " + title + "\n")
            f.writelines(self.lines)


class Client:
    def __init__(self, port, transcript):
        self.socket = dial(port)
        self.transcript = transcript
        self.xid = 0

    def send(self, name, payload):
        frame = i32(len(payload)) + payload
        self.transcript.add(">", name, frame)
        self.socket.sendall(frame)

    def receive(self, name):
        size = exactly(self.socket, 4)
        frame = size + exactly(self.socket, struct.unpack(">i", size)[0])
        self.transcript.add("<", name, frame)
        return frame

    def connect(self, name, flag=True):
        self.send(name, i32(0) + i64(0) + i32(40000) + i64(0) + buf(bytes(16)) + (b"\0" if flag else b""))
        return self.receive(name)

    def call(self, name, code, body=b"", xid=None, events=0):
        if xid is None:
            self.xid += 1
            xid = self.xid
        self.send(name, i32(xid) + i32(code) + body)
        for _ in range(events):
            self.receive("event")
        return self.receive(name)


def hex_file(path, title, data):
    with open(path, "w") as f:
        f.write("# " + title + "\n")
        for start in range(0, len(data), 48):
            f.write(data[start:start + 48].hex() + "\n")


def without_padding(log):
    position = 16
    while position + 12 <= len(log):
        length = struct.unpack(">i", log[position + 8:position + 12])[0]
        if length == 0:
            break
        position += 12 + length + 1
    return log[:position]


def capture_client(classpath, folder, version):
    with tempfile.TemporaryDirectory(prefix="capture-") as directory:
        (port,) = free_ports(1)
        config = ("tickTime=2000\ndataDir=%s\nclientPort=%d\nclientPortAddress=127.0.0.1\n"
                  "admin.enableServer=false\n4lw.commands.whitelist=srvr\npreAllocSize=64\n" % (directory, port))
        properties = ["-Dzookeeper.extendedTypesEnabled=true", "-Dzookeeper.preAllocSize=64"]
        server = Server(classpath, config, directory, properties)
        try:
            wait_until_serving(port)
            transcript = Transcript()
            client = Client(port, transcript)
            client.connect("connect")
            exchange(client)
            old = Client(port, transcript)
            old.connect("connect-old", flag=False)
            old.call("create", 1, create(b"/a/old", b"", 1))
            old.call("unknown", 999)
            transcript.write(os.path.join(folder, "client.txt"),
                             "client frames, Apache ZooKeeper " + version)
            with open(os.path.join(directory, "version-2", "log.1"), "rb") as f:
                log = without_padding(f.read())
            hex_file(os.path.join(folder, "log.hex"), "log.1 of Apache ZooKeeper " + version, log)
        finally:
            server.stop()
        server = Server(classpath, config, directory, properties)
        try:
            wait_until_serving(port)
            names = [n for n in os.listdir(os.path.join(directory, "version-2"))
                     if n.startswith("snapshot.")]
            newest = max(names, key=lambda n: int(n.split(".")[1], 16))
            with open(os.path.join(directory, "version-2", newest), "rb") as f:
                hex_file(os.path.join(folder, "snapshot.hex"),
                         newest + " of Apache ZooKeeper " + version, f.read())
        finally:
            server.stop()


def exchange(c):
    c.call("create", 1, create(b"/a", b"x", 0))
    c.call("create", 1, create(b"/a", b"x", 0))
    c.call("create2", 15, create(b"/c", None, 0))
    c.call("createContainer", 19, create(b"/k", b"", 4))
    c.call("createTTL", 21, create(b"/t", b"ttl", 5, ttl=100000))
    c.call("create", 1, create(b"/a/e-", b"", 3))
    c.call("exists", 3, stat_request(b"/a", False))
    c.call("exists", 3, stat_request(b"/absent", False))
    c.call("getData", 4, stat_request(b"/a", True))
    c.call("setData", 5, buf(b"/a") + buf(b"yz") + i32(0), events=1)
    c.call("getData", 4, stat_request(b"/c", False))
    c.call("getData", 4, stat_request(b"/k", False))
    c.call("setACL", 7, buf(b"/c") + acls([(1, b"world", b"anyone"),
                                          (31, b"digest", b"u:BmyMVBpnsVyXrfFjCLPHuV4Cjqg=")]) + i32(0))
    c.call("getACL", 6, buf(b"/c"))
    c.call("getChildren", 8, stat_request(b"/", False))
    c.call("getChildren2", 12, stat_request(b"/", False))
    c.call("sync", 9, buf(b"/a"))
    c.call("multi", 14, multi([(1, create(b"/m", b"1", 0)), (5, buf(b"/m") + buf(b"2") + i32(0)),
                               (13, buf(b"/m") + i32(1)), (2, buf(b"/m") + i32(-1))]))
    c.call("multi", 14, multi([(1, create(b"/n", b"", 0)), (13, buf(b"/a") + i32(99)),
                               (2, buf(b"/a") + i32(-1))]))
    c.call("multi", 14, multi([]))
    c.call("addWatch", 106, buf(b"/a") + i32(1))
    c.call("delete", 2, buf(b"/t") + i32(0))
    c.call("create", 1, create(b"/a/f", b"", 0), events=1)
    c.call("delete", 2, buf(b"/a/f") + i32(-1), events=1)
    c.call("checkWatches", 17, buf(b"/a") + i32(3))
    c.call("removeWatches", 18, buf(b"/a") + i32(3))
    c.call("removeWatches", 18, buf(b"/absent") + i32(3))
    c.call("setWatches", 101, i64(1 << 40) + vec([buf(b"/a")]) + vec([]) + vec([buf(b"/")]), xid=-8)
    c.call("setWatches2", 105, i64(1 << 40) + vec([buf(b"/a")]) + vec([buf(b"/absent")]) + vec([]) +
           vec([buf(b"/k")]) + vec([buf(b"/")]), xid=-8)
    c.call("auth", 100, i32(0) + buf(b"digest") + buf(b"u:p"), xid=-4)
    c.call("ping", 11, xid=-2)
    c.call("malformed", 1, buf(b"/short"))
    c.call("closeSession", -11, events=1)


def packet(kind, zxid, data):
    return i32(kind) + i64(zxid) + buf(data) + i32(-1)


def capture_quorum(classpath, folder, version):
    with tempfile.TemporaryDirectory(prefix="capture-") as directory:
        mine_quorum, mine_election, quorum, election, client_port = free_ports(5)
        with open(os.path.join(directory, "myid"), "w") as f:
            f.write("2\n")
        config = ("tickTime=1000\ninitLimit=20\nsyncLimit=10\ndataDir=%s\nclientPort=%d\n"
                  "clientPortAddress=127.0.0.1\nadmin.enableServer=false\n"
                  "server.1=127.0.0.1:%d:%d\nserver.2=127.0.0.1:%d:%d\n"
                  % (directory, client_port, mine_quorum, mine_election, quorum, election))
        listener = socket.create_server(("127.0.0.1", mine_election))
        server = Server(classpath, config, directory, ["-Dzookeeper.forceSnapshotSync=true"])
        transcript = Transcript()
        try:
            listener.settimeout(60)
            channel, _ = listener.accept()
            head = exactly(channel, 20)
            greeting = head + exactly(channel, struct.unpack(">i", head[16:])[0])
            transcript.add("<", "greeting", greeting)
            size = exactly(channel, 4)
            notification = size + exactly(channel, struct.unpack(">i", size)[0])
            transcript.add("<", "notification", notification)
            transcript.add(">", "notification", notification)
            channel.sendall(notification)

            learner = dial(quorum)
            received = bytearray()

            def say(name, data):
                transcript.add(">", name, data)
                learner.sendall(data)

            def until(found):
                """Reads what the leader sends until `found` is true of it, answering pings."""
                while not found():
                    piece = learner.recv(65536)
                    if not piece:
                        raise EOFError("the leader closed the connection")
                    received.extend(piece)

            say("followerInfo", packet(11, 0, i64(1) + i32(0x10000) + i64(0)))
            until(lambda: len(received) >= 24)
            say("ackEpoch", packet(18, 0, i32(0)))
            until(lambda: b"BenWasHere" in received)
            new_leader = received.index(b"BenWasHere") + 10
            until(lambda: len(received) >= new_leader + 12)
            say("ack", packet(3, 1 << 32, None))
            until(lambda: struct.pack(">iq", 12, -1) in received)
            say("ack", packet(3, 1 << 32, None))
            wait_until_serving(client_port)
            client = Client(client_port, Transcript())
            client.send("connect", i32(0) + i64(0) + i32(40000) + i64(0) + buf(bytes(16)) + b"\0")
            proposal = struct.pack(">iq", 2, (1 << 32) + 1)
            until(lambda: proposal in received)
            say("ack", packet(3, (1 << 32) + 1, None))
            commit = packet(4, (1 << 32) + 1, None)
            until(lambda: commit in received)
            end = bytes(received).index(commit) + len(commit)
            transcript.add("<", "leaderStream", bytes(received[:end]))
            transcript.write(os.path.join(folder, "quorum.txt"),
                             "election and learner protocol, Apache ZooKeeper " + version)
        finally:
            server.stop()
            listener.close()


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    version = sys.argv[1]
    classpath = sys.argv[2] if len(sys.argv) == 3 else "/usr/share/java/*"
    folder = os.path.join(HERE, "apache-" + version)
    os.makedirs(folder, exist_ok=True)
    capture_client(classpath, folder, version)
    capture_quorum(classpath, folder, version)


main()
