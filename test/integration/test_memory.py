"""Who has no key makes the server hold little, and nothing afterwards."""
import contextlib
import selectors
import socket
import ssl

import pytest

from world import World, sanitized

MIB = 1 << 20
N = 200
FALSE = "mmk_0123456789abcdef_" + "A" * 43  # well formed, nobody's


@pytest.fixture
def w():
    with World(threads=2) as it:
        yield it.start()


def begin(stack, w, i, key):
    """A body of a megabyte that lacks its last byte."""
    ctx = ssl.create_default_context(cafile=str(w.anchor))
    ctx.check_hostname = False
    s = stack.enter_context(socket.create_connection(
        ("127.0.0.1", w.operators), 20, (f"127.2.0.{i + 1}", 0)))
    s = stack.enter_context(ctx.wrap_socket(s))
    s.settimeout(30)
    with contextlib.suppress(OSError):
        s.sendall(f"POST /api/v1/tokens HTTP/1.1\r\nHost: a\r\nContent-Type: "
                  f"application/json\r\nContent-Length: {MIB}\r\n"
                  f"Authorization: Bearer {key}\r\n\r\n".encode())
        s.sendall(b" " * (MIB - 1))
    return s


def answers(socks, begin, enough):
    """How many have such an answer; ends when these are more than enough."""
    n, sel = 0, selectors.DefaultSelector()
    for s in socks:
        s.setblocking(False)
        sel.register(s, selectors.EVENT_READ)
    while n <= enough:
        ready = sel.select(30)
        if not ready:
            break
        for key, _ in ready:
            try:
                n += key.fileobj.recv(100).startswith(begin)
            except ssl.SSLWantReadError:
                continue  # a session's ticket
            except OSError:
                pass
            sel.unregister(key.fileobj)
    return n


def test_a_key_has_its_form_before_a_body_is_read(w):
    for key in ("mmk_x", FALSE[:-1], FALSE + "A", FALSE.upper(),
                FALSE.replace("_A", "-A")):
        with contextlib.ExitStack() as stack:
            got = begin(stack, w, 0, key).recv(100)
            assert got.startswith(b"HTTP/1.1 401 "), (key, got)


@pytest.mark.alone
@pytest.mark.skipif(sanitized(),
                    reason="a sanitizer's memory is not the server's")
def test_bodies_before_login_are_bounded(w):
    before = w.resident()
    with contextlib.ExitStack() as stack:
        held = [begin(stack, w, i, FALSE) for i in range(N)]
        most = w.resident() - before
        assert 30 < most < 110, f"{most} MiB"
        assert w.rest("GET", "/status").status == 200
        assert answers(held, b"HTTP/1.1 503 ", N // 3) > N / 3
    for _ in range(3):
        w.rest("GET", "/status")
    kept = w.resident() - before
    assert kept < 40, f"{kept} MiB"
