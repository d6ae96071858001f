"""The fixture server and a reader of answers, for the tests beside."""
import os
import json
import socket
import ssl
import subprocess
import time

TRUSTING = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
TRUSTING.check_hostname = False
TRUSTING.verify_mode = ssl.CERT_NONE


class Server:
    """The C fixture (test/unit/http/fixture_main.c) with these limits."""

    def __init__(self, **limits):
        self.run = subprocess.Popen(
            [os.environ["MM_HTTP_FIXTURE"]]
            + [f"{k}={v}" for k, v in limits.items()],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.tls, self.plain = map(int, self.run.stdout.readline().split())

    def tell(self, word):
        self.run.stdin.write(word + "\n")
        self.run.stdin.flush()

    def counters(self):
        self.tell("counters")
        return [json.loads(self.run.stdout.readline()) for _ in range(2)]

    def until(self, what, seconds=5):
        """Waits until what(counters) holds."""
        end = time.monotonic() + seconds
        while not what(self.counters()):
            assert time.monotonic() < end, self.counters()
            time.sleep(0.01)

    def dial(self, secure=True, timeout=10, source="127.0.0.1"):
        s = socket.create_connection(
            ("127.0.0.1", self.tls if secure else self.plain), timeout,
            (source, 0))
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not secure:
            return s
        return TRUSTING.wrap_socket(s)

    def curl(self, *args, path="/hello", secure=True):
        port = self.tls if secure else self.plain
        scheme = "https" if secure else "http"
        done = subprocess.run(
            ["curl", "-sS", "-k", "--max-time", "10", *args,
             f"{scheme}://127.0.0.1:{port}{path}"],
            capture_output=True, timeout=20)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def stop(self):
        if self.run.poll() is None:
            self.run.stdin.close()
        return self.run.wait(timeout=10)


class Answers:
    """Reads answers off a connection."""

    def __init__(self, sock):
        self.sock, self.data = sock, b""

    def more(self):
        try:
            got = self.sock.recv(65536)
        except (ConnectionResetError, ssl.SSLEOFError):
            got = b""
        self.data += got
        return got != b""

    def one(self, head_only=False):
        """(status, fields, body), or None at the end."""
        while b"\r\n\r\n" not in self.data:
            if not self.more():
                return None
        head, self.data = self.data.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        status = int(lines[0].split(" ")[1])
        fields = {}
        for line in lines[1:]:
            name, value = line.split(":", 1)
            fields[name.lower()] = value.strip()
        n = 0 if head_only else int(fields.get("content-length", 0))
        while len(self.data) < n:
            assert self.more(), "cut"
        body, self.data = self.data[:n], self.data[n:]
        return status, fields, body

    def all(self):
        out = []
        while (a := self.one()) is not None:
            if a[0] != 100:
                out.append(a)
        return out
