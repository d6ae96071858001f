"""The HTTP server library end to end: real clients, slow clients, lost ones."""
import os
import resource
import socket
import ssl
import struct
import subprocess
import time

import pytest

from http_wire import Answers

GET = b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"


def test_curl_versions(serve):
    s = serve()
    for args in (["--http1.0"], ["--http1.1"], ["--tls-max", "1.2"],
                 ["--http2"]):
        assert s.curl(*args) == b"hello\n"
    assert s.curl(secure=False) == b"hello\n"
    assert s.curl(path="/later?ms=50") == b"hello\n"


def test_curl_head(serve):
    out = serve().curl("--head")
    assert b"HTTP/1.1 200 OK\r\n" in out and b"Content-Length: 6\r\n" in out
    assert b"Cache-Control: no-store\r\n" in out and b"Server" not in out


@pytest.mark.parametrize("extra", [
    [], ["-H", "Transfer-Encoding: chunked"], ["-H", "Expect: 100-continue"],
    ["-H", "Transfer-Encoding: chunked", "-H", "Expect: 100-continue"]])
@pytest.mark.parametrize("n", [1, 5000, 16384, 65536])
def test_curl_upload(serve, tmp_path, extra, n):
    body = os.urandom(n)
    (tmp_path / "body").write_bytes(body)
    out = serve().curl("--data-binary", f"@{tmp_path}/body", *extra,
                       path="/echo")
    assert out == body


def test_curl_download(serve):
    for n in (0, 16000, 16384, 16385, 5000000):
        assert serve().curl(path=f"/big?n={n}") == b"x" * n


def test_curl_reuses_connection(serve):
    s = serve()
    url = f"https://127.0.0.1:{s.tls}/hello"
    s.curl(url, url, url)
    assert s.counters()[0]["accepted"] == 1
    assert s.counters()[0]["requests"] == 4


def test_expect_refused_before_the_body(serve):
    """RFC 9110 10.1.1: no 100 for a body that is not wanted."""
    for path, status in ((b"/echo", 413), (b"/none", 404)):
        sock = serve().dial()
        sock.sendall(b"POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: 70000"
                     b"\r\nExpect: 100-continue\r\n\r\n" % path)
        got = Answers(sock)
        answer = got.one()
        assert answer[0] == status
        assert answer[1]["connection"] == "close"
        assert got.one() is None


def test_expect_answered(serve):
    sock = serve().dial()
    sock.sendall(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
                 b"Expect: 100-continue\r\n\r\n")
    got = Answers(sock)
    assert got.one()[0] == 100
    sock.sendall(b"abc")
    assert got.one()[2] == b"abc"


def test_413_reaches_who_is_still_sending(serve):
    """Data in flight must not reset the answer away."""
    sock = serve().dial(secure=False)
    sock.sendall(b"POST /echo HTTP/1.1\r\nHost: a\r\n"
                 b"Content-Length: 100000\r\n\r\n" + b"x" * 100000)
    assert [a[0] for a in Answers(sock).all()] == [413]


def test_pipelining(serve):
    for secure in (True, False):
        sock = serve().dial(secure)
        n = 300
        one = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n"
        sock.sendall(b"".join(one + b"%04d" % i for i in range(n)))
        got = Answers(sock)
        assert [got.one()[2] for _ in range(n)] == \
            [b"%04d" % i for i in range(n)]


def test_pipelining_waits_for_a_late_answer(serve):
    sock = serve().dial()
    sock.sendall(GET.replace(b"/hello", b"/later?ms=100") + GET
                 + GET.replace(b"Host: a", b"Host: a\r\nConnection: close"))
    assert [a[0] for a in Answers(sock).all()] == [200] * 3


def test_every_cut(serve):
    """Over the wire too, a request may arrive in any two pieces."""
    s = serve()
    whole = (b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked"
             b"\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\nT: x\r\n\r\n")
    sock = s.dial()
    got = Answers(sock)
    for cut in range(1, len(whole)):
        sock.sendall(whole[:cut])
        sock.sendall(whole[cut:])
        assert got.one()[2] == b"abcde"


def test_405_404(serve):
    got = []
    sock = serve().dial()
    sock.sendall(b"BREW /echo HTTP/1.1\r\nHost: a\r\n\r\n"
                 b"DELETE /hello HTTP/1.1\r\nHost: a\r\n\r\n"
                 b"GET //hello HTTP/1.1\r\nHost: a\r\n\r\n" + GET)
    reader = Answers(sock)
    got = [reader.one() for _ in range(4)]
    assert [a[0] for a in got] == [405, 405, 404, 200]
    assert got[0][1]["allow"] == "POST"
    assert got[1][1]["allow"] == "GET, HEAD"
    assert len({a[1]["x-request-id"] for a in got}) == 4


def test_http10(serve):
    s = serve()
    sock = s.dial()
    sock.sendall(b"GET /hello HTTP/1.0\r\n\r\n" + GET)
    assert [a[0] for a in Answers(sock).all()] == [200]
    sock = s.dial()
    sock.sendall(b"GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
                 b"GET /hello HTTP/1.0\r\n\r\n")
    got = Answers(sock).all()
    assert [a[1]["connection"] for a in got] == ["keep-alive", "close"]


def test_close_notify(serve):
    """A TLS client sees an orderly end, not a truncation."""
    sock = serve().dial()
    sock.sendall(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    data = b""
    while got := sock.recv(4096):  # SSLEOFError would be a truncation
        data += got
    assert data.endswith(b"hello\n")


def test_plain_http_to_the_tls_port(serve):
    s = serve()
    sock = socket.create_connection(("127.0.0.1", s.tls))
    sock.sendall(GET)
    assert [a[0] for a in Answers(sock).all()] == [400]
    assert s.counters()[0]["requests"] == 0
    assert s.counters()[0]["handshake_failed"] == 1


def test_garbage_and_tls_to_the_wrong_port(serve):
    s = serve()
    for port in (s.tls, s.plain):
        sock = socket.create_connection(("127.0.0.1", port))
        sock.sendall(os.urandom(64).replace(b"\n", b"x") + b"\0\r\n\r\n")
        Answers(sock).all()
    with pytest.raises((ssl.SSLError, ConnectionError)):
        ssl.create_default_context().wrap_socket(
            s.dial(secure=False), server_hostname="localhost")
    assert s.curl() == b"hello\n"


def test_no_renegotiation(serve):
    s = serve()
    out = subprocess.run(
        ["openssl", "s_client", "-tls1_2", "-connect",
         f"127.0.0.1:{s.tls}"], input=b"R\n", capture_output=True, timeout=20)
    assert b"no renegotiation" in out.stderr or out.returncode != 0
    assert s.curl() == b"hello\n"


def trickle(sock, data, seconds):
    """A byte now and then until the peer hangs up; how long that took, and
    the last status heard."""
    began, status, sock_data = time.monotonic(), None, Answers(sock)
    sock.settimeout(0.03)
    for b in data * 1000:
        assert time.monotonic() - began < seconds, "never hung up"
        try:
            sock.send(bytes([b]))
        except OSError:
            break
        try:
            got = sock_data.one()
        except (TimeoutError, ssl.SSLWantReadError, socket.timeout):
            continue
        if got is None:
            break
        status = got[0]
    return time.monotonic() - began, status


SLOW = dict(handshake_ms=300, header_ms=300, body_ms=300, idle_ms=300,
            write_ms=300)


@pytest.mark.parametrize("secure", [True, False])
def test_slow_head(serve, secure):
    took, status = trickle(serve(**SLOW).dial(secure),
                           b"GET /hello?x=" + b"a" * 1000, 3)
    assert 0.25 < took and status == 408


@pytest.mark.parametrize("framing", [
    b"Content-Length: 60000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n"])
def test_slow_body(serve, framing):
    sock = serve(**SLOW).dial()
    sock.sendall(b"POST /echo HTTP/1.1\r\nHost: a\r\n" + framing)
    took, status = trickle(sock, b"1\r\na\r\n", 3)
    assert 0.25 < took and status == 408


def test_slow_handshake(serve):
    s = serve(**SLOW)
    sock = socket.create_connection(("127.0.0.1", s.tls))
    took, status = trickle(sock, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03"
                           + b"\x03" * 500, 3)
    assert 0.25 < took and status is None
    assert s.counters()[0]["handshake_timeout"] == 1


def test_idle(serve):
    s = serve(**SLOW)
    for secure in (True, False):
        sock = s.dial(secure)
        began = time.monotonic()
        assert sock.recv(1) == b""
        assert 0.2 < time.monotonic() - began < 3


def test_slow_reader(serve):
    s = serve(**SLOW)
    sock = s.dial()
    sock.sendall(GET.replace(b"/hello", b"/big?n=20000000"))
    s.until(lambda c: c[0]["open"] == 0)


def test_slow_reader_who_reads_on(serve):
    """Several times as long as an answer may take, a piece at a time; then
    nothing any more."""
    s = serve(**SLOW, write_least=200000)
    sock = s.dial()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    sock.sendall(GET.replace(b"/hello", b"/big?n=20000000"))
    began, got = time.monotonic(), 0
    while time.monotonic() - began < 1.5:
        got += len(sock.recv(65536))
        time.sleep(0.01)  # 6 MB/s at most
    assert got > 1000000 and s.counters()[0]["open"] == 1
    s.until(lambda c: c[0]["open"] == 0)


def test_caps(serve):
    s = serve(connections_per_source=3)
    held = [s.dial() for _ in range(3)]
    with pytest.raises((OSError, ssl.SSLError)):
        for _ in range(8):  # two loops, three each
            held.append(s.dial())
    assert s.counters()[0]["refused_source"] >= 1
    for h in held:
        h.close()
    s.until(lambda c: c[0]["open"] == 0)
    assert s.curl() == b"hello\n"
    s = serve(connections=2)
    held = [s.dial(), s.dial()]
    with pytest.raises((OSError, ssl.SSLError)):
        s.dial()
    assert s.counters()[0]["refused_cap"] == 1
    held[0].close()
    s.until(lambda c: c[0]["open"] == 1)
    assert s.curl() == b"hello\n"


def test_the_longest_idle_makes_room(serve):
    """A full listener ends who rests, not who comes; never who is served."""
    s = serve(connections=3, loops=1)
    busy, old, young = s.dial(), s.dial(), s.dial()
    busy.sendall(b"GET /later?ms=4000 HTTP/1.1\r\nHost: a\r\n\r\n")
    for sock in (old, young):
        sock.sendall(GET)
        assert Answers(sock).one()[0] == 200
    with pytest.raises((OSError, ssl.SSLError)):
        s.dial()  # nobody has rested for a second yet
    time.sleep(1.1)
    new = s.dial()
    new.sendall(GET)
    assert Answers(new).one()[0] == 200
    assert Answers(old).one() is None
    assert s.counters()[0]["evicted"] == 1
    young.sendall(GET)
    assert Answers(young).one()[0] == 200
    assert Answers(busy).one()[0] == 200


def from_port(s, port=0):
    """A plain connection from that port, and the loop that has it: the kernel
    chooses by the ports.  It ends without a trace (RST), and can come again.
    """
    sock = socket.socket()
    sock.settimeout(10)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                    struct.pack("ii", 1, 0))
    sock.bind(("127.0.0.1", port))
    sock.connect(("127.0.0.1", s.plain))
    try:
        sock.sendall(b"GET /loop HTTP/1.1\r\nHost: a\r\n\r\n")
        got = Answers(sock).one()
    except OSError:
        got = None
    return sock, got and int(got[2])


def test_room_is_made_by_the_loop_that_has_some(serve):
    """Those that rest are one loop's, and the newcomer another's."""
    s = serve(connections=3)
    first, loop = from_port(s)
    held, other = [first], None
    while other is None or len(held) < 3:
        sock, at = from_port(s)
        if at == loop and other is not None:
            held.append(sock)
            continue
        if at != loop:
            other = sock.getsockname()[1]
        sock.close()
        s.until(lambda c: c[1]["open"] == len(held))
    time.sleep(1.1)  # they have rested
    s.until(lambda c: c[1]["open"] == 3)
    tries = [from_port(s, other)]
    assert tries[0][1] is None, "it was full"
    s.until(lambda c: c[1]["open"] == 2)
    tries.append(from_port(s, other))
    assert tries[1][1] == 1 - loop
    c = s.counters()[1]
    assert (c["evicted"], c["refused_cap"]) == (1, 1), c
    gone = [h for h in held if not alive(h)]
    assert len(gone) == 1


def alive(sock):
    try:
        sock.sendall(b"GET /loop HTTP/1.1\r\nHost: a\r\n\r\n")
        return Answers(sock).one() is not None
    except OSError:
        return False


def test_half_open_handshakes_are_pushed_out(serve):
    """The ceiling costs who only opens connections, not who handshakes."""
    s = serve(handshakes=4, handshake_ms=2000)
    silent = [socket.create_connection(("127.0.0.1", s.tls))
              for _ in range(20)]
    s.until(lambda c: c[0]["accepted"] == 20)
    assert s.counters()[0]["open"] == 4
    time.sleep(0.6)  # a quarter of their time, and a bit
    for _ in range(30):  # a loop that has old ones takes it, soon
        try:
            assert s.curl() == b"hello\n"
            break
        except AssertionError:
            continue
    else:
        pytest.fail("no handshake got in")
    del silent


def begin_body(s, n, of=65000):
    sock = s.dial()
    sock.sendall(b"POST /echo HTTP/1.1\r\nHost: a\r\n"
                 b"Content-Length: %d\r\n\r\n" % of + b"x" * n)
    return sock


def test_bodies_have_a_ceiling(serve):
    """Memory of bodies that do not end is bounded, and theirs to lose."""
    s = serve(loops=1, bodies=300000, body_ms=4000)
    held = [begin_body(s, 40000) for _ in range(4)]  # of 64 KiB each
    s.until(lambda c: c[0]["requests"] == 4)
    time.sleep(0.2)
    late = begin_body(s, 64999)
    status, fields, _ = Answers(late).one()
    assert (status, fields["retry-after"]) == (503, "1")
    assert s.curl("--data-binary", "short", path="/echo") == b"short"
    time.sleep(1.2)  # a quarter of their time, and a bit
    late = begin_body(s, 65000)
    assert Answers(late).one()[0] == 200
    assert Answers(held[0]).one()[0] == 408
    for sock in held[1:]:
        sock.sendall(b"x" * 25000)
        assert Answers(sock).one()[2] == b"x" * 65000
    for _ in range(20):  # what was counted is given back
        assert s.curl("--data-binary", "x" * 65000, path="/echo")


def test_long_answers_have_a_ceiling(serve):
    """What slow readers hold is bounded: the next long answer comes later,
    a short one at once, and so do another address's and one of a request that
    had an effect."""
    n = 5 << 20
    s = serve(loops=1, answers=20 << 20)  # of 8 MiB each
    ask = b"GET /big?n=%d HTTP/1.1\r\nHost: a\r\n\r\n"
    slow = [s.dial(secure=False) for _ in range(2)]
    for sock in slow:
        sock.sendall(ask % n)
        assert sock.recv(12) == b"HTTP/1.1 200"
    late = s.dial(secure=False)
    got = Answers(late)
    late.sendall(ask % n + ask % 200000 + GET)
    status, fields, _ = got.one()
    assert (status, fields["retry-after"]) == (503, "5")
    assert [got.one()[0] for _ in range(2)] == [200, 200]
    other = s.dial(secure=False, source="127.0.0.2")
    other.sendall(ask % n)
    assert Answers(other).one()[0] == 200
    late.sendall((ask % n).replace(b"GET", b"POST"))
    assert got.one()[0] == 200
    slow[0].close()
    for _ in range(100):  # as soon as its end is seen
        late.sendall(ask % n)
        status, _, body = got.one()
        if status == 200:
            break
        time.sleep(0.02)
    assert body == b"x" * n
    # one that is above it alone gets through
    path = f"/big?n={n}"
    assert len(serve(loops=1, answers=1 << 20).curl(path=path)) == n


def test_vanishing_clients(serve):
    s = serve()
    for _ in range(50):
        for secure in (True, False):
            sock = s.dial(secure)
            sock.sendall(GET.replace(b"/hello", b"/later?ms=100"))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                            struct.pack("ii", 1, 0))
            sock.close()  # a reset
    s.until(lambda c: c[0]["open"] == 0 and c[1]["open"] == 0 and
            c[0]["answers_dropped"] == 100)
    assert s.curl() == b"hello\n"


def test_half_closed_client_gets_its_answer(serve):
    sock = serve().dial(secure=False)
    sock.sendall(GET.replace(b"/hello", b"/later?ms=50"))
    sock.shutdown(socket.SHUT_WR)
    assert [a[0] for a in Answers(sock).all()] == [200]


def test_answer_deadline(serve):
    s = serve(answer_ms=100)
    sock = s.dial()
    got = Answers(sock)
    sock.sendall(GET.replace(b"/hello", b"/later?ms=400") + GET)
    assert got.one()[0] == 503
    assert got.one()[2] == b"hello\n"  # and not the late one's
    s.until(lambda c: c[0]["answers_dropped"] == 1)


def test_drain(serve):
    """In flight is answered, idle is closed, nothing new comes in."""
    s = serve()
    idle, busy = s.dial(), s.dial()
    busy.sendall(GET.replace(b"/hello", b"/later?ms=300"))
    s.until(lambda c: c[0]["requests"] == 1)
    s.run.stdin.close()
    assert idle.recv(1) == b""
    (status, fields, body), = Answers(busy).all()
    assert (status, fields["connection"], body) == (200, "close", b"hello\n")
    assert s.stop() == 0


def test_drain_does_not_wait_for_ever(serve):
    s = serve(header_ms=20000)
    sock = s.dial()
    sock.sendall(b"GET /hello HTTP/1.1\r\n")
    began = time.monotonic()
    assert s.stop() == 0
    assert time.monotonic() - began < 5


def test_reload(serve):
    s = serve()
    sock = s.dial()
    for _ in range(20):
        s.tell("reload")
        assert s.curl() == b"hello\n"
    sock.sendall(GET)
    assert Answers(sock).one()[2] == b"hello\n"


@pytest.mark.skipif(os.environ.get("MM_SANITIZE", "none") != "none",
                    reason="a sanitizer's memory is not the server's")
def test_500_idle_connections(serve):
    s = serve()

    def resident():
        with open(f"/proc/{s.run.pid}/smaps_rollup") as f:
            return next(int(line.split()[1]) for line in f
                        if line.startswith("Rss"))

    for _ in range(20):
        s.curl()
    before = resident()
    held = []
    for _ in range(500):
        held.append(s.dial())
        held[-1].sendall(GET)
        assert Answers(held[-1]).one()[0] == 200
    each = (resident() - before) / 500
    assert each < 24, f"{each} KiB a connection"
    rounds = s.counters()[0]["rounds"]
    time.sleep(0.3)
    assert s.counters()[0]["rounds"] - rounds < 20  # idle costs nothing


def test_out_of_descriptors(serve):
    """accept() that fails must not spin, and must recover."""
    s = serve(header_ms=30000)
    n = len(os.listdir(f"/proc/{s.run.pid}/fd"))
    resource.prlimit(s.run.pid, resource.RLIMIT_NOFILE, (n + 2, n + 20))
    held = [socket.create_connection(("127.0.0.1", s.plain))
            for _ in range(6)]
    time.sleep(0.1)
    rounds = s.counters()[0]["rounds"]
    time.sleep(0.5)
    assert s.counters()[0]["rounds"] - rounds < 60
    resource.prlimit(s.run.pid, resource.RLIMIT_NOFILE, (n + 20, n + 20))
    for sock in held:
        sock.sendall(GET)
        assert Answers(sock).one()[0] == 200
