"""Configuration in the field, as mintmark-agent takes it: what it keeps, what
it refuses, whom it tells."""
import contextlib
import hashlib
import json
import os
import resource
import sqlite3
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from agent_service import Service, hook, lines
from test_agent import enrol, identity
from test_field import ask, opened
from world import AGENT, World, run, until

LEAKS = True
FAULTS = b"MINTMARK_DIE_AT" in AGENT.read_bytes()


@pytest.fixture(scope="module")
def world():
    with World(profile="\tbearer = true") as w:
        yield w.start().product()


def put(w, n, kind="products", name="thermo"):
    a = w.rest("PUT", f"/{kind}/{name}/configuration", {
        "template": '{"id":"{{device}}","n":%d}' % n})
    assert a.status == 200, a


def kept(d):
    """(document, version, hash) of the slot in use; whole in itself."""
    at = d / "configuration/current"
    document = (at / "document.json").read_bytes()
    version, sha = (at / "version").read_text().split()
    assert hashlib.sha256(document).hexdigest() == sha
    assert (at / "signed.p7m").read_bytes()
    assert (at / "document.json").stat().st_mode & 0o777 == 0o600
    return json.loads(document), int(version), sha


def config(world, d, server=None, check=False, env=None):
    p = run(AGENT, "--json", "config", "--dir", d, "--retry", "0", "--quiet",
            "--server", f"127.0.0.1:{server or world.devices}", check=check,
            env={**os.environ, **(env or {})})
    return p.returncode, json.loads(p.stdout) if p.stdout else None


# ---- one after the other ----

def test_with_the_identity_and_by_itself(world):
    world.rest("DELETE", "/products/thermo/configuration")
    d, _, p = enrol(world, "FA-none")
    assert json.loads(p.stdout)["configuration"] is None and not p.stderr
    assert config(world, d)[0] == 4
    put(world, 1)
    d, _, p = enrol(world, "FA-1")
    got = json.loads(p.stdout)["configuration"]
    assert got["changed"] is True and got["version"] == 1
    assert kept(d)[0] == {"id": "FA-1", "n": 1}
    assert got["document"] == f"{d}/configuration/current/document.json"
    code, same = config(world, d)
    assert code == 0 and same["configuration"]["changed"] is False
    put(world, 2)
    code, new = config(world, d)
    assert code == 0 and new["configuration"]["changed"] is True
    assert kept(d) == ({"id": "FA-1", "n": 2}, 2,
                       new["configuration"]["sha256"])
    st = json.loads(run(AGENT, "--json", "status", "--dir", d).stdout)
    assert st["configuration"]["version"] == 2
    # a new certificate: what is kept stays, and what comes is for the new one
    put(world, 3)
    p = run(AGENT, "--json", "renew", "--now", "--dir", d)
    assert json.loads(p.stdout)["configuration"]["version"] == 3
    assert config(world, d)[1]["configuration"]["changed"] is False
    text = run(AGENT, "config", "--dir", d).stdout
    assert "configured version 3: " in text
    # gone at the server: the device keeps it
    world.rest("DELETE", "/products/thermo/configuration")
    assert config(world, d)[0] == 4 and kept(d)[1] == 3


def test_what_was_damaged_is_fetched_anew(world):
    put(world, 4)
    d, _, _ = enrol(world, "FA-broken")
    version = kept(d)[1]
    at = d / "configuration/current"
    for spoil in (lambda: (at / "document.json").write_text("{}"),
                  lambda: (at / "document.json").unlink(),
                  lambda: (at / "version").write_text("x\n"),
                  lambda: (d / "configuration/current").unlink()):
        spoil()
        code, got = config(world, d)
        assert code == 0 and got["configuration"]["changed"] is True, got
        assert kept(d)[:2] == ({"id": "FA-broken", "n": 4}, version)
        at = d / "configuration/current"


def test_what_is_damaged_is_told_to_nobody(world):
    """While the server cannot be reached: neither status nor hook says that
    it is in use."""
    put(world, 4)
    told = world.dir / "told-untold"
    with Service(world, "FA-untold") as s:
        heard(s, lambda x: (x.get("configuration") or {}).get("version"))
        assert s.stop() == 0
    d = s.dir
    (d / "configuration/current/document.json").write_text("{}")
    with Service(world, "FA-untold", token=False, server="127.0.0.1:1",
                 on_configuration=hook(told)) as s:
        heard(s, lambda x: x.get("failures", 0) >= 1 or
              (x.get("configuration") or {}).get("failures", 0) >= 1)
        assert s.stop() == 0
    assert not told.exists()
    code, got = config(world, d, 1)
    assert code != 0 and (got or {}).get("configuration") is None
    # a server that is there, and has nothing better
    put(world, 5)
    assert config(world, d)[0] == 0
    (d / "configuration/current/document.json").write_text("{}")
    with Liar(world) as liar:
        liar.say = 503, b"", {}
        code, got = config(world, d, liar.port)
    assert code != 0 and (got or {}).get("configuration") is None, got
    assert config(world, d)[0] == 0 and kept(d)[0]["n"] == 5


@pytest.mark.skipif("MINTMARK_DATABASE" in os.environ,
                    reason="by SQLite's own words")
def test_a_server_that_was_put_back_to_a_backup(world):
    """It has an older version on record, and the device nothing whole: the
    device says which it had, and gets a higher one."""
    put(world, 5)
    d, _, _ = enrol(world, "FA-back")
    path = world.database.removeprefix("sqlite:")

    def record(change=None):
        with contextlib.closing(sqlite3.connect(path)) as db:
            if change:
                db.execute("UPDATE doc SET body = ? WHERE id = 'fa-back'",
                           (change,))
                db.commit()
            (body,), = db.execute("SELECT body FROM doc WHERE id = "
                                  "'fa-back'").fetchall()
        return body
    backup = record()
    for n in (6, 7):
        put(world, n)
        assert config(world, d)[0] == 0
    assert kept(d)[1] == 3
    record(backup)
    (d / "configuration/current/document.json").unlink()
    code, got = config(world, d)
    assert code == 0 and got["configuration"]["version"] == 4, got
    assert kept(d)[:2] == ({"id": "FA-back", "n": 7}, 4)
    # a number that was given twice meanwhile, to somebody with this device's
    # certificate and nothing at hand
    record(backup)
    put(world, 8)
    for _ in range(3):
        ask(world, identity(d))
    code, got = config(world, d)
    assert code == 0 and got["configuration"]["version"] == 5, got
    assert kept(d)[0]["n"] == 8


def test_as_long_as_may_be(world):
    a = world.rest("PUT", "/products/thermo/configuration", {
        "template": '{"x":"' + "y" * (65536 - 8) + '"}'})
    assert a.status == 200, a
    d, _, _ = enrol(world, "FA-long")
    assert len(kept(d)[0]["x"]) == 65528


# ---- a server that lies ----

class Liar:
    """Has the real one's certificate and answers what it is told to."""

    def __init__(self, world):
        answer = self
        ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ctx.load_cert_chain(*tls_files(world))

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                status, body, headers = answer.say
                self.send_response(status)
                for k, v in headers.items():
                    self.send_header(k, v)
                if "Content-Length" not in headers:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.socket = ctx.wrap_socket(self.server.socket,
                                             server_side=True)
        self.port = self.server.server_address[1]
        self.say = 200, b"", {}
        threading.Thread(target=self.server.serve_forever, args=(0.05,),
                         daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.server.shutdown()
        self.server.server_close()


def tls_files(world):
    conf = dict(line.split(" = ", 1) for line in
                world.conf.read_text().splitlines() if " = " in line)
    return (conf["tls_certificate"].strip('"'), conf["tls_key"].strip('"'))


def resigned(world, signed, d):
    """The text of a signed one, signed by the device's own key: a certificate
    with a chain to the anchor, but not for that."""
    cert, key = identity(d)
    head, document = opened(world, type("A", (), {
        "status": 200, "body": signed}))
    text = world.dir / "text"
    text.write_text("mintmark-configuration 1\n" + "".join(
        f"{k} {v}\n" for k, v in {**head, "version": "99"}.items()) + "\n" +
        document)
    chain = cert.parent / "chain.pem"
    out = world.dir / "resigned.p7m"
    run("openssl", "cms", "-sign", "-in", text, "-binary", "-nodetach",
        "-noattr", "-signer", cert, "-inkey", key, "-certfile", chain,
        "-outform", "DER", "-out", out)
    return out.read_bytes()


def test_what_a_device_refuses(world):
    put(world, 10)
    d, _, _ = enrol(world, "FA-liar")
    other, _, _ = enrol(world, "FA-victim")
    old = ask(world, identity(d)).body
    put(world, 11)
    assert config(world, d)[0] == 0
    before = kept(d)
    signed = ask(world, identity(d)).body
    flipped = bytearray(signed)
    at = signed.index(b'"n":11')
    flipped[at + 4:at + 6] = b"12"
    cases = {
        "older": (old, 3), "another device's": (
            ask(world, identity(other)).body, 3),
        "changed": (bytes(flipped), 3),
        "signed by the device itself": (resigned(world, signed, d), 3),
        "cut": (signed[:-1], 2), "more behind it": (signed + b"x", 2),
        "nothing": (b"", 2), "no signature": (b'{"n":1}', 2),
        "html": (b"<html>" * 1000, 2), "zeros": (bytes(5000), 2),
    }
    with Liar(world) as liar:
        for name, (body, want) in cases.items():
            liar.say = 200, body, {}
            code, got = config(world, d, liar.port)
            assert code == want, (name, got)
            assert kept(d) == before, name
        liar.say = 200, b"x" * (1 << 20), {}
        assert config(world, d, liar.port)[0] in (6, 7) and kept(d) == before
        liar.say = 200, b"x", {"Content-Length": str(1 << 40)}
        assert config(world, d, liar.port)[0] in (2, 6, 7)
        for status in (204, 302, 304, 400, 401, 403, 404, 409, 500, 503):
            liar.say = status, b"", {}
            code, got = config(world, d, liar.port)
            assert (code == 0) == (status == 304), (status, got)
            assert kept(d) == before, status
    assert config(world, d)[0] == 0 and kept(d) == before


def test_nothing_is_the_same_as_nothing(world):
    """304 to a device that has none."""
    world.rest("DELETE", "/products/thermo/configuration")
    d, _, _ = enrol(world, "FA-304")
    with Liar(world) as liar:
        liar.say = 304, b"", {}
        assert config(world, d, liar.port)[0] == 2
    assert not (d / "configuration/current").exists()


# ---- disks and power ----

@pytest.mark.skipif(not FAULTS, reason="a build without faults")
def test_power_cuts(world):
    """At each write: the old one or the new one, whole; then the new one."""
    put(world, 20)
    d, _, _ = enrol(world, "FA-cut")
    n = 20
    for place in ["configuration:%d" % i for i in range(1, 7)] + ["nv:1"]:
        before = kept(d)
        n += 1
        put(world, n)
        p = run(AGENT, "config", "--dir", d, "--quiet", check=False, env={
            **os.environ, "MINTMARK_DIE_AT": place})
        assert p.returncode == -9, (place, p)
        assert kept(d) == before, place
        assert config(world, d)[0] == 0
        assert kept(d)[0]["n"] == n
        assert not list(d.glob("configuration/*/*.new")), place


def test_a_disk_that_takes_nothing(world):
    """The identity is as good; the old one stays in use."""
    put(world, 40)
    d, _, _ = enrol(world, "FA-full")
    before = kept(d)
    put(world, 41)

    def full():
        resource.setrlimit(resource.RLIMIT_FSIZE, (8, 8))
    p = run(AGENT, "--json", "config", "--dir", d, "--retry", "0", "--quiet",
            check=False, preexec_fn=full)
    assert p.returncode != 0 and kept(d) == before
    assert config(world, d)[0] == 0 and kept(d)[0]["n"] == 41


# ---- the service ----

def heard(s, what):
    """As s.reaches, with somebody in systemd's place who listens."""
    s.socket.setblocking(False)

    def there(got):
        with contextlib.suppress(BlockingIOError):
            while True:
                s.socket.recv(4096)
        return what(got)
    return s.reaches(there)


def test_the_service_fetches_and_tells(world):
    put(world, 50)
    told, flag = world.dir / "told-conf", world.dir / "flag-conf"
    with Service(world, "FA-run", on_configuration=hook(
            told, f"test -e {flag}")) as s:
        got = heard(s, lambda x: x.get("hooks", {}).get(
            "configuration", {}).get("failures", 0) >= 2)
        first = got["configuration"]
        assert first["version"] == 1 and first["failure"] is None
        flag.touch()
        heard(s, lambda x: x["hooks"]["configuration"]["state"] == "done")
        line = lines(told)[-1]
        assert line["event"] == "configuration" and line["version"] == 1
        assert line["sha256"] == first["sha256"]
        assert json.loads(open(line["document"]).read()) == {
            "id": "FA-run", "n": 50}
        n = len(lines(told))
        put(world, 51)
        s.p.send_signal(1)
        heard(s, lambda x: x["configuration"]["version"] == 2)
        until(lambda: len(lines(told)) == n + 1)
        assert kept(s.dir)[0]["n"] == 51
        # something that cannot be made is said, tried again, and no failure
        a = world.rest("PUT", "/devices/FA-run/configuration?force=true", {
            "template": '{"a":"{{nosuch}}"}'})
        assert a.status == 200, a
        s.p.send_signal(1)
        got = heard(s, lambda x: x["configuration"]["failures"] >= 2)
        assert got["state"] == "waiting" and got["failures"] == 0
        assert "409" in got["configuration"]["failure"], got
        world.rest("DELETE", "/devices/FA-run/configuration")
        heard(s, lambda x: x["configuration"]["failures"] == 0)
        assert s.stop() == 0
    # who starts again tells nobody twice
    with Service(world, "FA-run", token=False, on_configuration=hook(told)) \
            as s:
        s.good()
        s.reaches(lambda x: x["hooks"]["configuration"]["state"] == "done")
        assert len(lines(told)) == n + 1 and s.stop() == 0
