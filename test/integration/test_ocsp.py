"""docs/revocation.md, OCSP: what "openssl ocsp", nginx and a plain HTTP client
are told of certificates, and how soon."""
import base64
import http.client
import os
import pathlib
import re
import subprocess
import time
import urllib.parse

import pytest

import relying
from relying import revoke, serial
from world import free_ports, run, until

GOOD, MALFORMED, LATER, UNAUTHORIZED = b"\0", b"\1", b"\3", b"\6"


@pytest.fixture(scope="module")
def pki(world):
    """The issuing CA's certificate, and three devices of a product."""
    pem = world.dir / "issuing.pem"
    pem.write_text(relying.issuer(world))
    return pem


def device(world):
    return relying.device(world, "OC")


def ocsp(world, pki, *what, check=True):
    return run("openssl", "ocsp", "-issuer", pki, *what, "-CAfile",
               world.anchor, "-url", f"http://127.0.0.1:{world.public}/ocsp",
               check=check)


def says(world, pki, crt, *more):
    p = ocsp(world, pki, *more, "-cert", crt)
    assert "Response verify OK" in p.stderr + p.stdout, p.stderr
    return re.search(r"\.crt: (\w+)", p.stdout)[1]


def question(world, pki, *what):
    der = world.dir / "question.der"
    run("openssl", "ocsp", "-issuer", pki, *what, "-no_nonce", "-reqout", der)
    return der.read_bytes()


def post(world, body, kind="application/ocsp-request"):
    conn = http.client.HTTPConnection("127.0.0.1", world.public, timeout=30)
    try:
        return world.ask(conn, "POST", "/ocsp", body, {"Content-Type": kind})
    finally:
        conn.close()


def refusal(a):
    """An answer that nobody signed, by its one byte."""
    assert a.status == 200 and \
        a.headers["content-type"] == "application/ocsp-response", a
    assert a.body[:4] == bytes([0x30, 3, 0x0a, 1]) and len(a.body) == 5, a
    assert a.headers["cache-control"] == "no-store"
    return a.body[4:]


def counted(world, answer):
    text = world.rest("GET", "/metrics", base="").text  # counters
    return int(re.search(
        rf'ocsp_answers_total\{{answer="{answer}"\}} (\d+)', text)[1])


def test_the_certificate_names_it(world):
    _, crt, _ = device(world)
    out = run("openssl", "x509", "-in", crt, "-noout", "-ocsp_uri").stdout
    assert out.strip() == f"http://localhost:{world.public}/ocsp"


@pytest.mark.parametrize("more", [(), ("-no_nonce",), ("-sha256",),
                                  ("-sha256", "-no_nonce")])
def test_good_then_revoked_at_once(world, pki, more):
    _, crt, _ = device(world)
    assert says(world, pki, crt, *more) == "good"
    assert says(world, pki, crt, *more) == "good"  # a kept one, or not
    revoke(world, crt)
    p = ocsp(world, pki, *more, "-cert", crt)
    assert "Response verify OK" in p.stderr and ": revoked" in p.stdout
    assert "Reason: keyCompromise" in p.stdout, p.stdout


def test_a_hold_is_a_hold_until_it_is_released(world, pki):
    _, crt, _ = device(world)
    world.cli("cert", "hold", serial(crt))
    p = ocsp(world, pki, "-cert", crt, "-no_nonce")
    assert ": revoked" in p.stdout and "certificateHold" in p.stdout
    world.cli("cert", "release", serial(crt))
    assert says(world, pki, crt, "-no_nonce") == "good"


def test_the_nonce_comes_back(world, pki):
    _, crt, _ = device(world)
    p = ocsp(world, pki, "-cert", crt, "-nonce", "-resp_text")
    assert "OCSP Nonce" in p.stdout
    assert "WARNING" not in p.stderr and "Nonce Verify" not in p.stderr


def test_the_responder_may_answer_and_nothing_else(world, pki):
    _, crt, _ = device(world)
    p = ocsp(world, pki, "-cert", crt, "-no_nonce", "-resp_text")
    assert "OCSP Signing" in p.stdout and "OCSP No Check" in p.stdout
    assert "CA:TRUE" not in p.stdout
    entries = world.rest(
        "GET", "/ledger/entries?type=responder.made").json["items"]
    assert len(entries) == 1 and entries[0]["entry"]["issuer"] == "issuing"
    shown = re.search(r"Serial Number:\s+([0-9a-f:]+)\s", p.stdout)[1]
    assert shown.replace(":", "") == entries[0]["entry"]["serial"]
    lines = (world.state / "signer/journal.jsonl").read_text().splitlines()
    assert sum('"kind":"responder"' in line for line in lines) == 1


def test_what_was_never_issued_is_unknown_and_an_alarm(world, pki):
    made_up = f"{int(time.time() * 1000):012x}" + "ab" * 10
    for number in ("0x" + made_up, "0x1234"):
        p = ocsp(world, pki, "-serial", number, "-no_nonce")
        assert "Response verify OK" in p.stderr and ": unknown" in p.stdout
    alerts = [i["entry"] for i in world.rest(
        "GET", "/ledger/entries?type=alert").json["items"]
        if i["entry"]["reason"] == "ocsp-unknown-serial"]
    assert [a["serial"] for a in alerts] == [made_up]


def test_another_ca_is_nobody_here(world, pki):
    """A certificate of an issuer that is not ours: the answer is not
    signed."""
    key, crt = world.dir / "other.key", world.dir / "other.crt"
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
        "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", crt,
        "-subj", "/CN=Other", "-days", "2")
    body = question(world, crt, "-cert", crt)
    assert refusal(post(world, body)) == UNAUTHORIZED


@pytest.mark.parametrize("spoil", [
    lambda q: b"", lambda q: q[:-1], lambda q: q + b"\0",
    lambda q: b"\x30\x80" + q[2:], lambda q: b"x" * 1024])
def test_what_is_no_request_is_malformed(world, pki, spoil):
    _, crt, _ = device(world)
    q = question(world, pki, "-cert", crt)
    assert refusal(post(world, spoil(q))) == MALFORMED


def test_too_long_a_request_is_not_read(world):
    assert post(world, b"x" * 1025).status == 413


def test_two_questions_at_once_are_malformed(world, pki):
    """RFC 9919 3.1.1: one certificate a request."""
    one, two = (device(world)[1] for _ in range(2))
    q = question(world, pki, "-cert", one, "-cert", two)
    assert refusal(post(world, q)) == MALFORMED


def get(world, q, headers=None, quoted=True):
    text = base64.b64encode(q).decode()
    return world.get_public(
        "/ocsp/" + (urllib.parse.quote(text, safe="") if quoted else text),
        headers)


@pytest.mark.parametrize("quoted", [True, False])
def test_get_is_for_caches(world, pki, quoted):
    _, crt, _ = device(world)
    q = question(world, pki, "-cert", crt)
    first = get(world, q, quoted=quoted)
    again = get(world, q, quoted=quoted)
    assert first.status == again.status == 200
    assert first.body == again.body, "signed twice"
    for name in ("cache-control", "etag", "last-modified"):
        assert first.headers[name] == again.headers[name], name
    assert again.headers["cache-control"] == "public, max-age=60"
    tag = again.headers["etag"]
    same = get(world, q, {"If-None-Match": tag}, quoted=quoted)
    assert same.status == 304 and same.body == b""
    revoke(world, crt)
    after = get(world, q, {"If-None-Match": tag}, quoted=quoted)
    assert after.status == 200 and after.body != first.body


def test_an_escaped_slash_is_for_this_path_alone(world):
    for path in ("/healthz%2f", "/crl%2fissuing.crl", "/crl/a%2fb",
                 "/nosuch%2f"):
        assert world.get_public(path).status == 400, path


def test_get_of_nonsense(world):
    for path in ("/ocsp/", "/ocsp/%%%", "/ocsp/AAAA", "/ocsp/*"):
        a = world.get_public(path)
        assert a.status == 400 or refusal(a) == MALFORMED, (path, a)


def test_answers_are_counted(world, pki):
    _, crt, _ = device(world)
    before = {a: counted(world, a) for a in ("good", "malformed")}
    assert says(world, pki, crt, "-no_nonce") == "good"
    post(world, b"")
    assert counted(world, "good") == before["good"] + 1
    assert counted(world, "malformed") == before["malformed"] + 1


def test_reconcile_agrees(world):
    p = world.cli("--json", "ledger", "reconcile", "--config", world.conf,
                  check=False)
    assert '"agree":true' in p.stdout.replace(" ", ""), p.stdout


def test_a_signer_that_was_started_anew(world, pki):
    """Its responder's key is gone: a new one is certified, and what the old
    one signed is still good."""
    _, crt, _ = device(world)
    q = question(world, pki, "-cert", crt)
    kept = post(world, q).body
    os.kill(world.children()["signer"], 9)
    until(lambda: world.get_public("/readyz").status == 200)
    assert post(world, q).body == kept
    until(lambda: says(world, pki, device(world)[1]) == "good", 30,
          passing=(AssertionError,))
    entries = world.rest(
        "GET", "/ledger/entries?type=responder.made").json["items"]
    assert len(entries) == 2


NGINX = """
daemon off; master_process off; pid {d}/nginx.pid;
error_log {d}/error.log info;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {d}/t1; proxy_temp_path {d}/t2;
  fastcgi_temp_path {d}/t3; uwsgi_temp_path {d}/t4; scgi_temp_path {d}/t5;
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {crt}; ssl_certificate_key {key};
    ssl_client_certificate {anchor}; ssl_verify_client on;
    ssl_verify_depth 3; ssl_session_cache off; ssl_session_tickets off;
    ssl_ocsp leaf; ssl_ocsp_responder http://127.0.0.1:{public}/ocsp;
    location / {{ return 200 "in\\n"; }}
  }}
}}
"""


@pytest.fixture(scope="module")
def nginx(world, tmp_path_factory):
    d = tmp_path_factory.mktemp("nginx")
    key, crt = d / "tls.key", d / "tls.crt"
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
        "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", crt,
        "-subj", "/CN=localhost", "-days", "2")
    chain = d / "chain.pem"
    chain.write_bytes((world.dir / "issuing.pem").read_bytes() +
                      world.anchor.read_bytes())
    (port,) = free_ports(1)
    conf = d / "nginx.conf"
    conf.write_text(NGINX.format(d=d, port=port, crt=crt, key=key,
                                 anchor=chain, public=world.public))
    p = subprocess.Popen(["/usr/sbin/nginx", "-p", d, "-c", conf, "-e",
                          d / "error.log"], stderr=subprocess.PIPE)
    try:
        until(lambda: (d / "nginx.pid").exists() or p.poll() is not None)
        assert p.poll() is None, p.stderr.read()
        yield port
    finally:
        p.terminate()
        p.wait(10)


def test_nginx_lets_a_device_in_until_it_is_revoked(world, pki, nginx):
    """ssl_ocsp: within 5 s of the command, a new connection is refused."""
    _, crt, key = device(world)

    def call():
        return relying.page(nginx, crt, key)

    until(lambda: call() == "in\n", 10)
    revoke(world, crt)
    done = time.monotonic()
    until(lambda: "400" in call(), 5)
    assert time.monotonic() - done < 5


def test_what_was_drawn_is_entered_at_the_end(world, pki):
    """More than are entered at once: the others wait for their hour, or for
    the server's end."""
    began = f"{int(time.time() * 1000):012x}"
    numbers = {began + f"{i:02x}" * 10 for i in range(11)}

    def told():
        return numbers & {e["serial"] for e in world.entries("alert")
                          if "serial" in e}

    for n in numbers:
        q = question(world, pki, "-serial", "0x" + n)
        assert post(world, q).status == 200
    assert 1 <= len(told()) <= 8
    assert world.stop() == 0
    world.start()
    assert told() == numbers
