"""A whole Mintmark in a temporary folder: real programs, real sockets.

World() sets a test CA up with "mintmark init", starts mintmarkd on free
ports and ends it; nothing it starts outlives it.

With MINTMARK_DATABASE=postgresql in the environment every World has a
database of its own on a private PostgreSQL instead of SQLite.
"""
import base64
import contextlib
import functools
import glob
import http.client
import itertools
import json
import os
import pathlib
import random
import re
import select
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.parse
import zlib

import keys
import postgres
from keys import serial_of  # noqa: F401  who asks a world asks this, too

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("MINTMARK_BUILD", ROOT / "build/test"))
MINT = BUILD / "src/cli/mintmark"
DAEMON = BUILD / "src/server/mintmarkd"
SIGNER = BUILD / "src/signer/mintmark-signer"
AGENT = BUILD / "src/agent/mintmark-agent"
STATION = BUILD / "src/station/mintmark-station"
READY_S = 60
KEPT_S = 5


def open_files(pid):
    """What a process holds open; it may close some while this looks."""
    names = []
    for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            names.append(os.readlink(fd))
    return names


given = []


def free_ports(n):
    """n ports that were free a moment ago.  Below those that the kernel gives
    to whoever connects, so that no client of a neighbour takes one before the
    daemon listens; each of pytest's workers has ports of its own, and so
    has what runs beside them."""
    global given
    ports = []
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw4")[2:]) % 5
    low = 10000 + 4400 * worker
    while len(ports) < n:
        port = random.randrange(low, low + 4400)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in given:
            ports.append(port)
            given = [*given[-200:], port]  # perhaps not listened at yet
    return ports


# Half of what a sanitized program takes is to start and to end: to look for
# leaks, to note where each piece of memory is from.  In files that say LEAKS =
# True, or everywhere with MINTMARK_LEAKS=1, all do (conftest.py); elsewhere the
# first two Worlds that a file makes, whenever they are started, and no commands.
LEAKS_ALWAYS = bool(os.environ.get("MINTMARK_LEAKS"))
leaks = LEAKS_ALWAYS
COMMANDS = (MINT, AGENT, STATION)
made = itertools.count()  # this file's Worlds

# Where the build that is released is, too (script/test): what a file has run
# sanitized once it runs as released when the same words and options come again.
# Not after one that was killed, had an environment of its own or, of programs
# that keep a state, failed: the next of each kind may find what that one left.
# Not in files that say HOSTILE = True nor in tests that use hostile_input
# (conftest.py), where what is read is another each time.
PLAIN = None if LEAKS_ALWAYS or "MINTMARK_PLAIN" not in os.environ \
    else pathlib.Path(os.environ["MINTMARK_PLAIN"])
hostile = False
# MINTMARK_SANITIZED=I/N: of the other files one in N is sanitized, which ones
# says I; what the rest run, servers too, is as released.  Not of test/fault, nor
# where servers are told to die, which released ones are not (FAULTS = True).
PART = tuple(map(int, os.environ["MINTMARK_SANITIZED"].split("/"))) \
    if PLAIN and "MINTMARK_SANITIZED" in os.environ else None
released = False
ran = set()  # by this file: program, words (no name has a digit), options
WORD = re.compile(r"-[a-z0-9-]+|[a-z][a-z-]*")


@contextlib.contextmanager
def of_file(module, recovers=False):
    """The tests of a file.  What CPU time they and what they started took, in
    seconds, is a line of MINTMARK_CPU's file."""
    global leaks, made, hostile, released
    leaks = LEAKS_ALWAYS or getattr(module, "LEAKS", False)
    hostile = getattr(module, "HOSTILE", False)
    released = not (hostile or recovers or getattr(module, "FAULTS", False)
                    or is_of_part(module.__name__))
    made = itertools.count()
    ran.clear()
    before = sum(os.times()[:4])
    yield
    if "MINTMARK_CPU" in os.environ:
        with open(os.environ["MINTMARK_CPU"], "a") as f:
            f.write(f"{sum(os.times()[:4]) - before:6.1f} "
                    f"{module.__name__}{' (released)' * released}\n")


def is_of_part(name):
    return not PART or zlib.crc32(name.encode()) % PART[1] == PART[0]


def as_released(program):
    return PLAIN / pathlib.Path(program).relative_to(BUILD)


def again(argv):
    """argv, by the released program if it is a repetition.  What "init" seals
    opens in no time only where the sanitized build has made it."""
    argv = [str(a) for a in argv]
    how = tuple(a for a in argv if a == argv[0] or WORD.fullmatch(a))
    if not PLAIN or hostile or "init" in how:
        return argv
    if how not in ran and not released:
        ran.add(how)
        return argv
    return [str(as_released(argv[0])), *argv[1:]]


def ended(program, status, env=None):
    """A run of one of the commands is over; what it left is to be read by
    sanitized ones."""
    if env or status < 0 or (status and program in (AGENT, STATION)):
        ran.difference_update([h for h in ran if h[0] == str(program)])


def hasty(env=None):
    """Environment of a sanitized command; what somebody asked for counts."""
    env = dict(os.environ if env is None else env)
    if not leaks:
        env["ASAN_OPTIONS"] = ":".join(filter(None, [
            "detect_leaks=0:malloc_context_size=4", env.get("ASAN_OPTIONS")]))
    return env


def run(*argv, check=True, timeout=60, **kw):
    """A program; its output as text."""
    program, env = argv[0], kw.get("env")
    if program in COMMANDS and "env" not in kw:
        kw["env"] = hasty()
        argv = again(argv)
    p = subprocess.run([str(a) for a in argv], text=True, timeout=timeout,
                       capture_output=True, **kw)
    if program in COMMANDS:
        ended(program, p.returncode, env)
    if check and p.returncode != 0:
        raise AssertionError(f"{argv[0]} {argv[1:3]} ended with "
                             f"{p.returncode}\n{p.stdout}\n{p.stderr}")
    no_finding(p.stderr)
    return p


def no_finding(said):
    """Fails where a sanitizer has reported, whatever became of the program:
    a server that was ended by one is started again, and a command that was
    may have been meant to fail."""
    at = min((i for i in (said.find("Sanitizer: "),
                          said.find(": runtime error: ")) if i >= 0),
             default=None)
    assert at is None, said[max(0, at - 200):at + 3000]


def selected(sock):
    """What can be read at once."""
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return poll.poll(0)


def until(what, seconds=60, passing=(), told=lambda: "in time"):
    """The first true answer of what(), of which those exceptions say "not
    yet"; told() is what a failure shows."""
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(*passing):
            got = what()
            if got:
                return got
        assert time.monotonic() < end, told()
        time.sleep(0.02)


def sanitized():
    """Whether a sanitizer's memory and time are in what is measured."""
    return b"__asan_init" in DAEMON.read_bytes()


def alive(pid):
    """One whose first thread has ended holds its files until the last has."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
        threads = len(os.listdir(f"/proc/{pid}/task"))
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z" or threads > 1


class Answer:
    """Status, headers (lower-case names) and body of an HTTP answer."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.text[:200]}>"


class World:
    """One CA, running or not.  profile: lines added to profile "thermo".

    A production CA wants two users of its own, so it can be had by root only.
    """

    def __init__(self, profile="", extra="", threads=None, users=None,
                 production=False, database=None, init=(),
                 maker="Acme, Inc.", folder=None):
        if database is None and os.environ.get("MINTMARK_DATABASE"):
            database = postgres.shared().database()
        self._is_at(pathlib.Path(
            folder or tempfile.mkdtemp(prefix="mintmark-")))
        if users:
            self.dir.chmod(0o755)
        (self.devices, self.operators, self.public) = free_ports(3)
        self.passphrase.write_text("correct horse battery staple\n")
        self.passphrase.chmod(0o600)
        # libcurl takes every name under .localhost for this machine
        name = "mint.localhost" if production else "localhost"
        public = "pki.example.com" if production else name
        self.init = run(
            MINT, "--json", "init",
            *(["--audit-group", "nogroup"] if production else ["--test"]),
            "--yes", "--name", maker,
            "--dir", self.etc, "--state", self.state, "--public-url",
            f"http://{public}:{self.public}", "--host",
            f"{name},localhost,127.0.0.1", "--product", "thermo", "--admin", "boss",
            "--devices-listen", f"127.0.0.1:{self.devices}",
            "--operators-listen", f"127.0.0.1:{self.operators}",
            "--public-listen", f"127.0.0.1:{self.public}",
            "--passphrase-file", self.passphrase,
            *(["--server-user", users[0], "--signer-user", users[1]]
              if users else []),
            *(["--database", database] if database else []), *init)
        self.database = database or \
            f"sqlite:{self.state}/server/mintmark.db"
        if threads:
            self.set_conf("threads", threads)
        self.set_conf("connections", 5000)  # whatever the system's limits
        if released and not hostile:
            self.set_conf("signer_program", f'"{as_released(SIGNER)}"')
        if profile or extra:
            self.edit(profile, extra)
        self.admin_key = (self.etc / "admin.key").read_text().strip()

    def _is_at(self, folder):
        self.dir, self.daemon, self.log_n = folder, None, 0
        self.leaks = next(made) < 2
        self.etc, self.state = folder / "etc", folder / "state"
        self.conf = self.etc / "mintmark.conf"
        self.context = self.etc / "context.json"
        self.anchor = self.etc / "root.crt"
        self.passphrase = folder / "passphrase"

    @classmethod
    def left(cls, folder):
        """One that leave() left there: what takes an hour to fill is looked
        at again."""
        w = cls.__new__(cls)
        w._is_at(pathlib.Path(folder))
        for name in ("devices", "operators", "public"):
            line = next(li for li in w.conf.read_text().splitlines()
                        if li.startswith(f"{name}_listen ="))
            setattr(w, name, int(line.rstrip('"').rpartition(":")[2]))
        w.database = f"sqlite:{w.state}/server/mintmark.db"
        w.admin_key = (w.etc / "admin.key").read_text().strip()
        return w

    def leave(self):
        self.stop()
        no_finding(self.log())

    def edit(self, profile, extra):
        """Adds lines to profile "thermo" (replacing keys) and blocks."""
        text = self.conf.read_text()
        if profile and "version" not in profile:
            profile += "\n\tversion = 2"  # version 1 is in the ledger
        head, tail = text.split('profile "thermo" {', 1)
        body, rest = tail.split("\n}", 1)
        names = [line.split("=")[0].strip() for line in profile.splitlines()
                 if "=" in line]
        kept = [line for line in body.splitlines()
                if line.split("=")[0].strip() not in names]
        self.conf.write_text(head + 'profile "thermo" {' + "\n".join(kept) +
                             "\n" + profile + "\n}" + rest + extra)

    def set_conf(self, key, value):
        lines = [f"{key} = {value}" if line.startswith(f"{key} =") else line
                 for line in self.conf.read_text().splitlines()]
        if f"{key} = {value}" not in lines:
            lines.insert(0, f"{key} = {value}")
        self.conf.write_text("\n".join(lines) + "\n")

    # ---- running ----

    def start(self, wait=True, env=None, args=(), **more):
        self.log_n += 1
        log = open(self.dir / f"log{self.log_n}", "wb")
        env = {**os.environ, **(env or {})}
        daemon = as_released(DAEMON) if released and not hostile else DAEMON
        self.daemon = subprocess.Popen(
            [str(daemon), "run", "--config", str(self.conf), *args],
            env=env if self.leaks else hasty(env),
            **{"stderr": log, "stdout": log, "stdin": subprocess.DEVNULL,
               **more})
        log.close()
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self, seconds=READY_S):
        """Until /readyz says so; polls, because that is what it is for."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.daemon.poll() is not None:
                raise AssertionError(f"mintmarkd ended with {self.daemon.poll()}"
                                     f": {self.log()[-2000:]}")
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self.get_public("/readyz").status == 200:
                    return
            time.sleep(0.02)
        raise AssertionError(f"not ready: {self.log()[-2000:]}")

    def log(self):
        return "".join(p.read_text(errors="replace")
                       for p in sorted(self.dir.glob("log*")))

    def stop(self, sig=signal.SIGTERM, timeout=30):
        if self.daemon is None:
            return None
        if self.daemon.poll() is None:
            self.daemon.send_signal(sig)
        try:
            return self.daemon.wait(timeout)
        finally:
            if self.daemon.poll() is None:
                self.daemon.kill()
                self.daemon.wait()
            self.daemon = None

    def children(self):
        """Pids of the monitor's children by what they are."""
        out = {}
        mon = self.daemon.pid
        kids = pathlib.Path(f"/proc/{mon}/task/{mon}/children").read_text()
        for pid in kids.split():
            try:
                cmd = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
            except FileNotFoundError:
                continue  # it has ended since
            name = "signer" if b"mintmark-signer" in cmd else \
                "courier" if b"\0courier\0" in cmd else \
                "registrar" if b"\0registrar\0" in cmd else \
                "registrar-est" if b"\0registrar-est\0" in cmd else "server"
            out[name] = int(pid)
        return out

    def kill_all(self):
        """Monitor, server and signer at once; returns when all are gone."""
        pids = [self.daemon.pid, *self.children().values()]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):  # it was about to go
                os.kill(pid, signal.SIGKILL)
        self.daemon.wait()
        self.daemon = None
        while any(alive(pid) for pid in pids):
            time.sleep(0.005)

    def resident(self):
        """The server's memory, MiB."""
        with open(f"/proc/{self.children()['server']}/statm") as f:
            return int(f.read().split()[1]) * 4096 / (1 << 20)

    def close(self):
        self.stop()
        log = self.log()
        shutil.rmtree(self.dir, ignore_errors=True)
        no_finding(log)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    # ---- asking ----

    def tls(self, cert=None, key=None):
        ctx = ssl.create_default_context(cafile=str(self.anchor))
        if cert:
            ctx.load_cert_chain(cert, key)
        return ctx

    def https(self, port, cert=None, key=None, timeout=30):
        return http.client.HTTPSConnection("127.0.0.1", port, timeout=timeout,
                                           context=self.tls_of(cert, key))

    def tls_of(self, cert=None, key=None):
        files = [self.anchor, *(f for f in (cert, key) if f)]
        stats = [os.stat(f) for f in files]
        return self._tls_of(cert, key, tuple(
            (s.st_ino, s.st_mtime_ns, s.st_size) for s in stats))

    @functools.lru_cache(maxsize=64)
    def _tls_of(self, cert, key, _stats):
        """Half of what a request takes here is to make one; files may have
        been replaced since."""
        return self.tls(cert, key)

    @staticmethod
    def ask(conn, method, path, body=None, headers=None):
        conn.request(method, path, body=body, headers=headers or {})
        r = conn.getresponse()
        return Answer(r.status, {k.lower(): v for k, v in r.getheaders()},
                      r.read())

    def device_call(self, method, path, body=None, headers=None, cert=None,
                    key=None):
        conn = self.https(self.devices, cert, key)
        try:
            return self.ask(conn, method, path, body, headers)
        finally:
            conn.close()

    def tls_serial(self):
        """Of the certificate that the devices listener shows."""
        pem = ssl.get_server_certificate(("127.0.0.1", self.devices))
        p = subprocess.run(["openssl", "x509", "-noout", "-serial"],
                           input=pem, text=True, capture_output=True,
                           check=True)
        return p.stdout.strip()

    def get_public(self, path, headers=None):
        conn = http.client.HTTPConnection("127.0.0.1", self.public, timeout=30)
        try:
            return self.ask(conn, "GET", path, headers=headers)
        finally:
            conn.close()

    def rest(self, method, path, body=None, key=None, headers=None,
             base="/api/v1"):
        """The operators' API as the administrator, or with another key."""
        head = {"Authorization": f"Bearer {key or self.admin_key}"}
        if key == "":
            head = {}
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        if body is not None:
            head["Content-Type"] = "application/json"
        head.update(headers or {})
        conn = self.kept()
        try:
            a = self.ask(conn, method, base + path, body, head)
        except BaseException:
            conn.close()
            raise
        self.local.asked_at = time.monotonic()
        return a

    @functools.cached_property
    def local(self):
        """A thread's own: its connection, and when it asked last."""
        return threading.local()

    def kept(self):
        """This thread's connection to the operators' listener: a handshake
        takes both sides longer than what most ask.  A new one where the
        server has ended it, or may be about to because it is idle."""
        tls = self.tls_of()
        conn, made_for = getattr(self.local, "kept", (None, None))
        if conn is not None and (made_for != tls or self.ended(conn)):
            conn.close()
            conn = None
        if conn is None:
            conn = self.https(self.operators)
            self.local.kept = conn, tls
        return conn

    def ended(self, conn):
        """Nothing is asked: what can be read is the connection's end."""
        return conn.sock is None or \
            time.monotonic() - self.local.asked_at > KEPT_S or \
            bool(selected(conn.sock))

    def cli(self, *argv, check=True, timeout=120, **how):
        return run(MINT, "--context", self.context, *argv, check=check,
                   timeout=timeout, **how)

    def entries(self, kind):
        """All of that type, by pages: one that took too long ends early."""
        found, after = [], ""
        while after is not None:
            a = self.rest("GET",
                          f"/ledger/entries?type={kind}&limit=1000{after}")
            assert a.status == 200, a
            found += [i["entry"] for i in a.json["items"]]
            after = f"&after={a.json['next']}" if "next" in a.json else None
        return found

    def product(self, name="thermo", **more):
        a = self.rest("POST", "/products",
                      {"name": name, "ldevid_profile": name, **more})
        assert a.status in (201, 409), a
        return self

    def token(self, device, door="handshake", **more):
        a = self.rest("POST", "/tokens", {"device": device,
                                          "product": "thermo", "door": door,
                                          **more})
        assert a.status == 201, a
        return a.json

    def agent(self, *argv, check=True, timeout=60):
        return run(AGENT, "--json", *argv, check=check, timeout=timeout)

    # ---- devices made of openssl and http.client ----

    def key_and_csr(self, name, cn=None, kind="p256"):
        """Paths of a new key and its request (DER)."""
        key, csr = self.dir / f"{name}.key", self.dir / f"{name}.csr"
        pem, der = keys.request(cn or name, kind)
        key.touch(0o600)
        key.write_bytes(pem)
        csr.write_bytes(der)
        return key, csr

    def enrol_basic(self, token, csr, path="simpleenroll", label="",
                    conn=None, headers={}):
        """simpleenroll by HTTP Basic with a bearer token's text."""
        user, secret = basic_of(token["token"])
        head = {"Authorization": "Basic " + base64.b64encode(
                    f"{user}:{secret}".encode()).decode(),
                "Content-Type": "application/pkcs10", **headers}
        body = base64.encodebytes(pathlib.Path(csr).read_bytes())
        where = f"/.well-known/est/{label + '/' if label else ''}{path}"
        if conn is not None:
            return self.ask(conn, "POST", where, body, head)
        return self.device_call("POST", where, body, head)

    def save_p7(self, answer, name):
        """The certificates of a certs-only answer as a PEM file."""
        pem = self.dir / f"{name}.crt"
        pem.write_text(keys.certificates(base64.b64decode(answer.body)))
        return pem


def basic_of(text):
    """("mm1-<id>", "<secret>") of a token's text form."""
    digits = text[4:].replace("-", "").replace(" ", "")
    return "mm1-" + digits[:20], digits[20:52]


def faketime(when):
    """Environment under which a program sees another wall clock.  Its waits
    by the monotonic clock would all end at once, and a thread of it so take a
    processor, if the library were left to mend what glibc has no more."""
    found = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
    assert found, "libfaketime is not installed"
    return {"LD_PRELOAD": found[0], "FAKETIME": when,
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",
            "ASAN_OPTIONS": "verify_asan_link_order=0:detect_leaks=0"}


def x509(path, *what):
    """Fields of a certificate as openssl prints them."""
    return run("openssl", "x509", "-in", path, "-noout", *what).stdout


def quote(s):
    return urllib.parse.quote(s, safe="")
