"""A source of wrong tokens is slowed, never refused; nobody else notices."""
import concurrent.futures
import socket
import ssl
import time

import pytest

from tokens import http_request, psk, s_client, token_request
from world import World

SLOW_S = 1.0
ENOUGH = 10  # failures; one event loop sees them all
CACERTS = http_request("GET", "/.well-known/est/cacerts")


@pytest.fixture
def w():
    it = World(profile="\tbearer = true", threads=1)
    try:
        yield it.start().product()
    finally:
        it.close()


def fail(w, times):
    identity, _ = psk(w.token("WRONG")["token"])
    for _ in range(times):
        s_client(w.devices, "-psk_identity", identity, "-psk", "ab" * 32,
                 "-tls1_3")


def shake(w, source):
    """Seconds that a certificate handshake takes from there."""
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", w.devices), 20,
                                  (source, 0)) as s, \
            w.tls().wrap_socket(s, server_hostname="localhost"):
        return time.monotonic() - began


def slowed(w):
    return w.rest("GET", "/status").json["listeners"]["devices"]["slowed"]


def test_a_right_token_from_the_same_address_gets_in(w):
    t = w.token("RIGHT")
    fail(w, ENOUGH)
    assert slowed(w) == 0
    began = time.monotonic()
    out = token_request(w.devices, t["token"], CACERTS)[1]
    assert b"HTTP/1.1 200" in out, out
    assert SLOW_S <= time.monotonic() - began < 30
    assert slowed(w) == 1


@pytest.mark.alone
def test_nobody_else_is_slowed_or_kept_waiting(w):
    fail(w, ENOUGH)
    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        held = [pool.submit(shake, w, "127.0.0.1") for _ in range(50)]
        end = time.monotonic() + 30
        while slowed(w) < 50:
            assert time.monotonic() < end
        others = [shake(w, f"127.0.0.{n}") for n in range(2, 12)]
        assert min(h.result() for h in held) >= SLOW_S
    assert slowed(w) == 50  # none of the others
    assert min(others) < SLOW_S / 2


def test_what_is_no_token_does_not_count(w):
    """Probes, scanners and clients that do not trust the CA."""
    for _ in range(2 * ENOUGH):
        socket.create_connection(("127.0.0.1", w.devices), 5).close()
        with socket.create_connection(("127.0.0.1", w.devices), 5) as s:
            s.sendall(b"GET / HTTP/1.1\r\n\r\n")
            s.recv(100)
        with pytest.raises(ssl.SSLError), \
                socket.create_connection(("127.0.0.1", w.devices), 5) as s:
            ssl.create_default_context().wrap_socket(
                s, server_hostname="localhost")
    shake(w, "127.0.0.1")
    assert slowed(w) == 0
