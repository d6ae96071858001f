"""A PostgreSQL server of a test's own, and a proxy before it."""
import atexit
import contextlib
import pathlib
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
READY_S = 30


class Postgres:
    """test/tools/postgres-private, started; databases by number.  In memory,
    where a commit's sync costs nothing, or beneath `where`."""

    def __init__(self, *settings, where=None):
        if where is None and pathlib.Path("/dev/shm").is_dir():
            where = "/dev/shm"
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="mm-pg-", dir=where))
        self.dir.chmod(0o755)
        self.settings = [a for s in settings for a in ("-c", s)]
        self.server = None
        self.n = 0
        self.start()

    def start(self):
        self.server = subprocess.Popen(
            [str(ROOT / "test/tools/postgres-private"), str(self.dir),
             *self.settings], stdin=subprocess.DEVNULL)
        end = time.monotonic() + READY_S
        while not self.ready():
            assert self.server.poll() is None and time.monotonic() < end, \
                (self.dir / "log").read_text()[-2000:]
            time.sleep(0.01)
        self.port = int((self.dir / "port").read_text())
        return self

    def ready(self):
        with contextlib.suppress(OSError):
            lines = (self.dir / "data/postmaster.pid").read_text().split("\n")
            return len(lines) > 7 and lines[7].strip() == "ready" and \
                int(lines[0]) == self.server.pid
        return False

    def stop(self, sig=signal.SIGINT):
        """SIGINT: fast; SIGQUIT: at once, as if it had crashed."""
        self.server.send_signal(sig)
        self.server.wait(READY_S)

    def close(self):
        if self.server.poll() is None:
            self.stop(signal.SIGQUIT)
        shutil.rmtree(self.dir, ignore_errors=True)

    def _psql(self, database):
        return ["psql", "-qAtX", "-v", "ON_ERROR_STOP=1", "-h",
                str(self.dir), "-p", str(self.port), "-U", "postgres", "-d",
                database]

    def sql(self, text, database="postgres"):
        return subprocess.run(
            [*self._psql(database), "-c", text], check=True,
            capture_output=True, text=True).stdout.strip()

    @contextlib.contextmanager
    def asking(self, database):
        """One connection for many questions that have a line for an answer."""
        with subprocess.Popen(self._psql(database), stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True) as p:
            def ask(text):
                p.stdin.write(text + ";\n")
                p.stdin.flush()
                return p.stdout.readline().strip()
            yield ask
            p.stdin.close()

    def database(self, port=None):
        """URL of a new one; by socket, or by a port of 127.0.0.1."""
        self.n += 1
        self.sql(f"CREATE DATABASE mm{self.n}")
        if port:
            return f"postgresql://postgres@127.0.0.1:{port}/mm{self.n}"
        return f"postgresql://postgres@/mm{self.n}?host={self.dir}" \
            f"&port={self.port}"

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


_shared = []


def shared():
    """One for all tests of this process."""
    if not _shared:
        _shared.append(Postgres())
        atexit.register(_shared[0].close)
    return _shared[0]


class Proxy:
    """Passes bytes between clients and the server.

    cut_at(words): the connection whose client sends these bytes at once is cut
    when the server has answered them, and the answer is kept back; with
    forward=False the server does not get them either.

    delay_s: every answer is that late.
    """

    def __init__(self, port):
        self.to = port
        self.words, self.forward = (), True
        self.cuts = 0
        self.delay_s = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.ending = False
        self.threads = [threading.Thread(target=self._accept)]
        self.threads[0].start()

    def cut_at(self, *words, forward=True):
        self.words, self.forward = words, forward

    def _accept(self):
        while not self.ending:
            if not select.select([self.listener], [], [], 0.05)[0]:
                continue
            client = self.listener.accept()[0]
            try:
                server = socket.create_connection(("127.0.0.1", self.to))
            except OSError:
                client.close()
                continue
            t = threading.Thread(target=self._pass, args=(client, server))
            self.threads.append(t)
            t.start()

    def _pass(self, client, server):
        with client, server:
            while not self.ending:
                for s in select.select([client, server], [], [], 0.05)[0]:
                    with contextlib.suppress(OSError):
                        data = s.recv(1 << 20)
                        if data and not self._forward(data, s is client,
                                                      client, server):
                            return
                        if data:
                            continue
                    return

    def _forward(self, data, from_client, client, server):
        if not from_client:
            time.sleep(self.delay_s)
            client.sendall(data)
            return True
        hit = self.words and all(w in data for w in self.words)
        if hit:
            self.words = ()
            self.cuts += 1
        if not hit or self.forward:
            server.sendall(data)
        if hit and self.forward:
            server.recv(1)  # it has answered, so it is done
        return not hit

    def close(self):
        self.ending = True
        for t in self.threads:
            t.join()
        self.listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()
