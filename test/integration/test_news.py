"""Who has the lists waits for others (RFC 7240 4.3), at the public listener
and in "mintmark crl sync"."""
import contextlib
import hashlib
import select
import signal
import socket
import subprocess
import threading

import pytest

import relying
from world import MINT, until

OF_ONE = 16  # places that one source has


@pytest.fixture(scope="module")
def have(world):
    until(lambda: world.get_public("/crl/bundle.pem").status == 200)
    return lambda: world.get_public("/crl/bundle.pem").headers["etag"]


def ask(world, etag, wait=30):
    s = socket.create_connection(("127.0.0.1", world.public))
    s.settimeout(40)
    s.sendall(f"GET /crl/bundle.pem HTTP/1.1\r\nHost: x\r\nIf-None-Match: "
              f"{etag}\r\nPrefer: wait={wait}\r\n\r\n".encode())
    return s


def head(s):
    """Status, and whether it was waited."""
    text = b""
    while b"\r\n\r\n" not in text:
        more = s.recv(4096)
        assert more, text
        text += more
    return int(text.split()[1]), b"Preference-Applied: wait" in text


def is_silent(*socks):
    return not select.select(socks, [], [], 0.2)[0]


def test_other_lists_come_when_they_are_there(world, have):
    with ask(world, have()) as s:
        assert is_silent(s)
        _, crt, _ = relying.device(world, "NW")
        relying.revoke(world, crt)
        assert head(s) == (200, True)


def test_who_has_waited_is_told(world, have):
    with ask(world, have(), 1) as s:
        assert head(s) == (304, True)
    with ask(world, '"another"') as s:
        assert head(s) == (200, False)
    with ask(world, have(), 0) as s:
        assert head(s) == (304, False)


def test_places_are_few_and_come_back(world, have):
    etag = have()
    with contextlib.ExitStack() as all_:
        waiting = [all_.enter_context(ask(world, etag))
                   for _ in range(OF_ONE)]
        assert is_silent(*waiting)
        with ask(world, etag) as s:
            assert head(s) == (304, False)

    def again():
        with ask(world, etag) as s:
            return is_silent(s)
    assert until(again, 10)


def test_who_waits_holds_up_no_end(world, have):
    with ask(world, have()) as s:
        assert is_silent(s)
        assert world.stop() == 0
        assert head(s) == (304, True)
    world.start()
    until(lambda: world.get_public("/crl/bundle.pem").status == 200)


class Holding:
    """The real files by a server that keeps who has them waiting."""

    def __init__(self, world):
        self.world, self.seen, self.held = world, [], 0
        self.go = threading.Event()
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.sock.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                conn, _ = self.sock.accept()
                threading.Thread(target=self._answer, args=(conn,),
                                 daemon=True).start()

    def _answer(self, conn):
        with conn, contextlib.suppress(OSError):
            asked = conn.recv(65536).decode()
            self.seen.append(asked)
            path = asked.split()[1]
            body = self.world.get_public(path).body
            tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
            if tag in asked and "Prefer: wait=" in asked:
                self.held += 1
                self.go.wait(60)
                body = self.world.get_public(path).body
            conn.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nPreference-"
                         b"Applied: wait\r\nContent-Length: %d\r\n\r\n"
                         % len(body) + body)


@pytest.fixture
def holding(world, have):
    h = Holding(world)
    yield h
    h.go.set()
    h.sock.shutdown(socket.SHUT_RDWR)
    h.sock.close()


@contextlib.contextmanager
def syncing(world, url, out, *more):
    with subprocess.Popen([str(x) for x in (
            MINT, "crl", "sync", "--ca", world.anchor, "--url", url, "--out",
            out, *more)], stdout=subprocess.DEVNULL) as p:
        try:
            yield p
        finally:
            p.terminate()
            assert p.wait(10) == -signal.SIGTERM


def test_sync_waits(world, holding, tmp_path):
    """One question is open, and what comes is written; a file that somebody
    takes away, and a signal, end it before."""
    out = tmp_path / "crls.pem"
    with syncing(world, holding.url, out):
        until(lambda: holding.held == 1, 20)
        old = out.read_text()
        _, crt, _ = relying.device(world, "NW")
        relying.revoke(world, crt)
        until(lambda: world.get_public("/crl/bundle.pem").text != old, 10)
        holding.go.set()
        until(lambda: out.read_text() != old, 10)
        holding.go.clear()
        n = holding.held
        until(lambda: holding.held > n, 10)
        out.unlink()
        until(out.exists, 10)
    assert not [x for x in holding.seen if "issuers.pem" in x and
                "Prefer" in x]


def test_who_says_how_often_polls(world, holding, tmp_path):
    out = tmp_path / "crls.pem"
    with syncing(world, holding.url, out, "--every", "1s"):
        until(lambda: len([x for x in holding.seen if "If-None-Match" in x])
              > 1, 20)
    assert holding.held == 0
