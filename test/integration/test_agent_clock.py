"""mintmark-agent and a time that is nonsense: heard once, it stops nothing."""
import email.utils
import json
import os
import pathlib
import re
import socket
import ssl
import threading
import time

import pytest

from agent_service import Service
from test_agent import enrol
from world import AGENT, World, faketime, free_ports, run

FAR = 4070908800  # 2099


@pytest.fixture(scope="module")
def world():
    with World(profile="\tbearer = true") as w:
        yield w.start().product()


def noted(d):
    return (d / "current" / "time").resolve()


@pytest.mark.parametrize("clock, when", [
    ("auto", None), ("server", None), ("auto", "-50y"), ("server", "-50y"),
    ("server", "+60y")])
def test_a_far_date_that_was_noted(world, clock, when):
    """As by a token's channel to a server whose clock ran ahead."""
    name = f"FAR-{clock}{(when or '')[1:3]}"
    d, _, _ = enrol(world, name)
    env = {**os.environ, **(faketime(when) if when else {})}
    for more, status in (("--now",), 0), ((), 9):
        noted(d).write_text(f"{FAR}\n")
        p = run(AGENT, "--json", "renew", "--dir", d, "--clock", clock, *more,
                check=False, env=env)
        assert p.returncode == status, p.stdout + p.stderr
        assert abs(int(noted(d).read_text()) - time.time()) < 86400
    noted(d).write_text(f"{FAR}\n")
    p = run(AGENT, "config", "--dir", d, "--clock", clock, check=False,
            env=env)
    assert "404" in p.stdout + p.stderr, p  # it has none: the server says so


def test_our_own_clock_alone_is_no_reason_to_doubt_it(world):
    """The server's certificate has ended by the system's clock, and nobody
    has told another time."""
    d, _, _ = enrol(world, "FAR-own")
    p = run(AGENT, "renew", "--now", "--dir", d, "--retry", "0", check=False,
            env={**os.environ, **faketime("+60y")})
    assert p.returncode == 3 and "expired" in p.stdout + p.stderr, p


class Ahead:
    """The server's address: first one with its key whose clock is 73 years
    ahead, then itself."""

    def __init__(self, world):
        self.world, self.right, self.heard = world, False, 0
        (self.port,) = free_ports(1)
        self.listener = socket.create_server(("127.0.0.1", self.port))
        conf = world.conf.read_text()
        cert, key = (pathlib.Path(re.search(
            rf'^\s*{k} = "([^"]+)"', conf, re.M).group(1))
            for k in ("tls_certificate", "tls_key"))
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(cert, key)
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.pass_on if self.right else
                             self.answer, args=(s,), daemon=True).start()

    def answer(self, s):
        try:
            with self.tls.wrap_socket(s, server_side=True) as t:
                t.recv(4096)
                t.sendall(b"HTTP/1.1 503 Busy\r\nDate: " +
                          email.utils.formatdate(FAR, usegmt=True).encode() +
                          b"\r\nContent-Length: 0\r\n\r\n")
                self.heard += 1
        except OSError:
            pass

    def pass_on(self, s):
        with s, socket.create_connection(
                ("127.0.0.1", self.world.devices)) as up:
            back = threading.Thread(target=self.copy, args=(up, s),
                                    daemon=True)
            back.start()
            self.copy(s, up)
            back.join()

    @staticmethod
    def copy(a, b):
        try:
            while data := a.recv(4096):
                b.sendall(data)
            b.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()


def test_a_server_that_was_ahead_for_a_while(world):
    """The service hears it, authenticated, and goes on when it is over."""
    with Service(world, "AHEAD-1") as s:
        serial = s.good()["identity"]["serial"]
        assert s.stop() == 0
    a = Ahead(world)
    try:
        with Service(world, "AHEAD-1", token=False,
                     server=f"127.0.0.1:{a.port}") as s:
            got = s.reaches(lambda x: x.get("failures", 0) >= 2)
            assert a.heard >= 2 and "503" in json.dumps(got), got
            a.right = True
            got = s.reaches(lambda x: x.get("failures") == 0 and
                            x.get("state") == "waiting")
            assert got["identity"]["serial"] == serial
            assert s.stop() == 0
    finally:
        a.close()
