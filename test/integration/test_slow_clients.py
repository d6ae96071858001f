"""500 clients that send a byte at a time or do not read: others are served as
before, memory is bounded, and the slow ones are gone when their time is up.
And 500 that hardly read lists and OCSP answers: a revocation is told at once
all the same."""
import base64
import contextlib
import socket
import ssl
import threading
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from world import World, sanitized, until

N = 500
ASKS = 600         # of one that hardly reads, all at once
SOURCES = 10       # addresses that they come from
TICK_S = 0.5       # between two bytes of one of them
TIMEOUT_S = 6      # for a handshake, a head, a body
DEVICES = 1000     # an answer of 2 MiB
OTHERS = 60        # calls that are measured
ASKED = 8          # ... of lists and answers
WRITE_S = 20       # what a reader has for an answer (src/server/serve.c)


class Slow:
    """One client: what it sends byte by byte, what it reads so.  It never
    gets to the end."""

    def __init__(self, sock, data, tls=None):
        self.sock, self.data, self.tls = sock, data, tls
        self.at, self.gone = 0, False
        sock.setblocking(False)

    def tick(self):
        try:
            self.step()
        except (BlockingIOError, ssl.SSLWantReadError,
                ssl.SSLWantWriteError):
            pass
        except OSError:
            self.gone = True

    def step(self):
        if self.at < len(self.data) - 1:
            self.sock.send(self.data[self.at:self.at + 1])
            self.at += 1
        if self.sock.recv(1) == b"":
            self.gone = True


class Crowd:
    """All of them, on a thread of their own."""

    def __init__(self):
        self.all, self.ending = [], False
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.ending:
            began = time.monotonic()
            for s in self.all:
                if not s.gone:
                    s.tick()
            time.sleep(max(0.01, TICK_S - (time.monotonic() - began)))

    def left(self, kind=None):
        return sum(not s.gone for s in self.all
                   if kind is None or s.kind == kind)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.ending = True
        if self.thread.ident is not None:
            self.thread.join()
        for s in self.all:
            s.sock.close()


def connect(port, i, small=False):
    s = socket.socket()
    if small:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.settimeout(20)
    s.bind((f"127.3.0.{1 + i % SOURCES}", 0))
    s.connect(("127.0.0.1", port))
    return s


def hello(w):
    """The bytes of a ClientHello."""
    out = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        w.tls().wrap_bio(ssl.MemoryBIO(), out,
                         server_hostname="localhost").do_handshake()
    return out.read()


def secured(w, ctx, port, i, small=False):
    return ctx.wrap_socket(connect(port, i, small),
                           server_hostname="localhost")


HEAD = b"GET /.well-known/est/cacerts HTTP/1.1\r\nHost: localhost\r\n" + \
    b"X-Pad: " + b"x" * 200
BODY = b"POST /.well-known/est/simpleenroll HTTP/1.1\r\nHost: localhost\r\n" \
    b"Authorization: Basic bW0xLXg6eQ==\r\n" \
    b"Content-Type: application/pkcs10\r\nContent-Length: 2000\r\n\r\n"


def slow_hello(w, ctx, i):
    return Slow(connect(w.devices, i), hello(w))


def slow_head(w, ctx, i):
    return Slow(secured(w, ctx, w.devices, i), HEAD)


def slow_body(w, ctx, i):
    s = secured(w, ctx, w.devices, i)
    s.sendall(BODY)
    return Slow(s, b"M" * 2000)


def slow_reader(w, ctx, i):
    s = secured(w, ctx, w.operators, i, small=True)
    s.sendall(f"GET /api/v1/devices?limit=1000 HTTP/1.1\r\nHost: localhost\r\n"
              f"Authorization: Bearer {w.admin_key}\r\n\r\n".encode())
    return Slow(s, b"")


KINDS = (slow_hello, slow_head, slow_body, slow_reader)


@pytest.fixture(scope="module")
def w():
    with World(profile="\tbearer = true", threads=2) as it:
        for key in ("handshake_timeout", "header_timeout", "body_timeout"):
            it.set_conf(key, f'"{TIMEOUT_S}s"')
        it.set_conf("idle_timeout", f'"{2 * TIMEOUT_S}s"')
        it.start().product()
        rows = [{"id": f"BIG-{i}", "product": "thermo",
                 "attributes": {"note": "x" * 1900}} for i in range(DEVICES)]
        a = it.rest("POST", "/devices/import", {"rows": rows})
        assert a.status == 200 and a.json["created"] == DEVICES, a
        yield it


def serve_others(w, csrs, tokens):
    """Seconds that each call took: enrolments, and an operator's."""
    took = []
    for i in range(OTHERS):
        began = time.monotonic()
        a = w.enrol_basic(tokens[i], csrs[i]) if i % 2 else \
            w.rest("GET", "/status")
        took.append(time.monotonic() - began)
        assert a.status == 200, a
    return sorted(took)


def opened(w):
    """Connections that the server has, this one among them."""
    a = w.rest("GET", "/status").json["listeners"]
    return a["devices"]["open"] + a["operators"]["open"]


def test_500_slow_clients_hold_up_nobody(w):
    names = [f"SC-{i}" for i in range(2 * OTHERS)]
    tokens = [w.token(n, door="bearer") for n in names]
    csrs = [w.key_and_csr(n)[1] for n in names]
    alone = serve_others(w, csrs, tokens)
    ctx, before = w.tls(), w.resident()
    with Crowd() as crowd:
        began = time.monotonic()
        for i in range(N):
            kind = KINDS[-1 - i * len(KINDS) // N]  # the quick to go are last
            crowd.all.append(kind(w, ctx, i))
            crowd.all[-1].kind = kind
        crowd.thread.start()
        held = crowd.left()
        beside = serve_others(w, csrs[OTHERS:], tokens[OTHERS:])
        still, most = crowd.left(), w.resident() - before
        print(f"{held} slow clients: median {alone[OTHERS // 2] * 1e3:.1f} -> "
              f"{beside[OTHERS // 2] * 1e3:.1f} ms, worst {alone[-1] * 1e3:.0f}"
              f" -> {beside[-1] * 1e3:.0f} ms, {most:.0f} MiB more")
        assert still > N / 2, f"only {still} were there all the time"
        assert beside[OTHERS // 2] < 10 * alone[OTHERS // 2] + 0.05
        assert beside[-1] < 2, beside[-5:]
        assert sanitized() or most < 200, f"{most} MiB"
        until(lambda: sum(crowd.left(k) for k in KINDS[:3]) == 0,
              TIMEOUT_S + 10)
        # what a reader has not taken yet hides from it that it is cut off;
        # where the kernel took all of an answer, it has been idle since
        until(lambda: opened(w) <= 2,
              WRITE_S + 15 - (time.monotonic() - began))
    kept = w.resident() - before
    assert sanitized() or kept < 100, f"{kept} MiB"


# ---- lists and answers ----

class Piped(Slow):
    """Asks as much as the server takes, and reads a byte at a time."""

    def step(self):
        if self.at < len(self.data):
            self.at += self.sock.send(self.data[self.at:])
        if self.sock.recv(1) == b"":
            self.gone = True


class Public:
    """The lists and the responder, as relying parties ask them."""

    def __init__(self, w, name):
        self.w = w
        _, self.csr = w.key_and_csr(name)
        a = w.enrol_basic(w.token(name, door="bearer"), self.csr)
        assert a.status == 200, a
        self.serial = w.rest("GET", f"/certificates?device={name}").json[
            "items"][0]["serial"]
        pem = w.rest("GET", f"/certificates/{self.serial}").json["pem"]
        self.cert = x509.load_pem_x509_certificate(pem.encode())
        self.issuer = x509.load_der_x509_certificate(
            w.get_public("/issuer/issuing.cer").body)
        der = ocsp.OCSPRequestBuilder().add_certificate(
            self.cert, self.issuer, hashes.SHA1()).build().public_bytes(
                Encoding.DER)
        self.path = "/ocsp/" + base64.b64encode(der).decode().replace(
            "+", "%2B").replace("/", "%2F").replace("=", "%3D")
        self.asks = [f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"
                     .encode() * ASKS
                     for path in ("/crl/bundle.pem", self.path)]

    def status(self):
        return ocsp.load_der_ocsp_response(
            self.w.get_public(self.path).body).certificate_status

    def listed(self):
        crl = x509.load_der_x509_crl(
            self.w.get_public("/crl/issuing.crl").body)
        return crl.get_revoked_certificate_by_serial_number(
            self.cert.serial_number) is not None

    def serve(self):
        """Seconds that each call took."""
        took = []
        for i in range(ASKED):
            began = time.monotonic()
            assert not self.listed() if i % 2 else \
                self.status() == ocsp.OCSPCertStatus.GOOD
            took.append(time.monotonic() - began)
        return sorted(took)

    def reader(self, i):
        return Piped(connect(self.w.public, i, small=True), self.asks[i % 2])


@pytest.mark.alone
def test_500_slow_readers_of_lists_hold_up_no_revocation(w):
    p = Public(w, "SC-public")
    alone, before = p.serve(), w.resident()
    with Crowd() as crowd:
        for i in range(N):
            crowd.all.append(p.reader(i))
        crowd.thread.start()
        beside = p.serve()
        began = time.monotonic()
        a = w.rest("POST", f"/certificates/{p.serial}/revoke", {})
        assert a.status == 200, a
        assert p.status() == ocsp.OCSPCertStatus.REVOKED
        until(p.listed)
        told = time.monotonic() - began
        still, most = crowd.left(), w.resident() - before
        print(f"{still} slow readers: median {alone[ASKED // 2] * 1e3:.1f} "
              f"-> {beside[ASKED // 2] * 1e3:.1f} ms, worst "
              f"{alone[-1] * 1e3:.0f} -> {beside[-1] * 1e3:.0f} ms, listed "
              f"after {told:.2f} s, {most:.0f} MiB more")
        assert still == N
        assert beside[-1] < 4, beside[-5:]
        assert told < 5
        assert sanitized() or most < 100, f"{most} MiB"
    until(lambda: w.rest("GET", "/status").json["listeners"]["public"]
          ["open"] == 0)
