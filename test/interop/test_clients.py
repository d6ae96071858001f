"""EST clients that others wrote, against the real server: curl and
strongSwan through a device's whole life, tokens by GnuTLS and mbed TLS, and
the requests of further clients byte for byte."""
import base64
import subprocess
import textwrap

import pytest

from peers import build_c, confirm, need, says
from tokens import http_request, psk
from world import World, basic_of, run, x509

EST = "/.well-known/est"
PKCS10 = "application/pkcs10"


@pytest.fixture(scope="module")
def world():
    w = World(profile="\tbearer = true")
    try:
        yield w.start().product()
    finally:
        w.close()


def lines(der, width=64, end="\n"):
    text = base64.b64encode(der).decode()
    return (end.join(textwrap.wrap(text, width)) + end).encode()


def leaf_of(w, body, name):
    """The certificate in a certs-only body, as a PEM file."""
    der, pem = w.dir / f"{name}.p7", w.dir / f"{name}.crt"
    der.write_bytes(base64.b64decode(body))
    pem.write_text(run("openssl", "pkcs7", "-inform", "DER", "-print_certs",
                       "-in", der).stdout)
    assert f"CN={name.split('+')[0]}" in x509(pem, "-subject", "-nameopt",
                                              "RFC2253")
    return pem


# ---- curl ----

def curl(w, path, csr, *more):
    body, out = w.dir / "curl.b64", w.dir / "curl.out"
    body.write_bytes(lines(csr.read_bytes()))
    code = run("curl", "-sS", "--cacert", w.anchor, "-H",
               f"Content-Type: {PKCS10}", "--data-binary", f"@{body}", "-w",
               "%{http_code}", "-o", out, *more,
               f"https://localhost:{w.devices}{EST}/{path}").stdout
    assert code == "200", out.read_text()
    return out.read_bytes()


@pytest.mark.parametrize("label", ["", "thermo/"])
@pytest.mark.parametrize("tls", ["1.2", "1.3"])
def test_curl_enrols_and_renews(world, label, tls):
    need("curl")
    name = f"CURL-{label.strip('/')}{tls}"
    key, csr = world.key_and_csr(name)
    user, secret = basic_of(world.token(name, door="bearer")["token"])
    pem = leaf_of(world, curl(world, f"{label}simpleenroll", csr, "--tls-max",
                              tls, "-u", f"{user}:{secret}"), name)
    confirm(world, pem, key)
    key2, csr2 = world.key_and_csr(name + "+", cn=name)
    pem2 = leaf_of(world, curl(world, f"{label}simplereenroll", csr2,
                               "--tls-max", tls, "--cert", pem, "--key", key),
                   name + "+")
    confirm(world, pem2, key2)
    assert x509(pem, "-pubkey") != x509(pem2, "-pubkey")


# ---- strongSwan's pki 5.9.8 (no label, no wrapped body) ----

def pki(*argv, stdin=None):
    p = subprocess.run(["pki", *(str(a) for a in argv)], input=stdin,
                       capture_output=True, timeout=60)
    assert p.returncode == 0, p.stderr.decode("utf-8", "replace")
    return p.stdout


def strongswan_request(w, name, key):
    run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout",
        "-outform", "DER", "-out", key)
    return pki("--req", "--in", key, "--type", "ecdsa", "--dn",
               f"O=Acme, CN={name}")


def test_strongswan_enrols_and_renews():
    need("pki")
    with World(profile="\tbearer = true") as w:
        w.set_conf("default_label", '"thermo"')
        w.set_conf("est_unwrapped_labels", '{ "thermo" }')
        w.start().product()
        anchors = []
        for n, path in enumerate([w.anchor, w.etc / "issuing.crt"]):
            der = w.dir / f"anchor{n}"
            run("openssl", "x509", "-in", path, "-outform", "DER", "-out",
                der)
            anchors += ["--cacert", der]
        est = ["--est", "--url", f"https://localhost:{w.devices}",
               "--outform", "pem", *anchors]
        key, pem, pem2 = w.dir / "k1", w.dir / "c1", w.dir / "c2"
        csr = strongswan_request(w, "SW-1", key)
        user, secret = basic_of(w.token("SW-1", door="bearer")["token"])
        pem.write_bytes(pki(*est, "--userpass", f"{user}:{secret}",
                            stdin=csr))
        assert "CN=SW-1" in x509(pem, "-subject", "-nameopt", "RFC2253")
        csr2 = strongswan_request(w, "SW-1", w.dir / "k2")
        pem2.write_bytes(pki(*est, "--cert", pem, "--key", key, stdin=csr2))
        assert x509(pem, "-subject") == x509(pem2, "-subject")
        assert x509(pem, "-pubkey") != x509(pem2, "-pubkey")


# ---- the token's handshake by other TLS implementations ----

SUITE_12 = ("NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+ECDHE-PSK:-CIPHER-ALL:"
            "+CHACHA20-POLY1305")
SUITE_13 = ("NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:"
            "+CHACHA20-POLY1305:+ECDHE-PSK")


class GnuTLS13:
    version, means = "1.3", "(TLS1.3)-"  # it has no other credential

    def __init__(self, tmp):
        self.exe = build_c("gnutls_psk.c", tmp / "gnutls", "-lgnutls",
                           header="gnutls/gnutls.h")

    def argv(self, port, identity, key):
        return [self.exe, port, identity, key,
                SUITE_13 if self.version == "1.3" else SUITE_12]


class GnuTLS12(GnuTLS13):
    version, means = "1.2", "(TLS1.2)-(ECDHE-"


class MbedTLS:
    version, means = "1.2", "ECDHE-PSK-WITH-CHACHA20-POLY1305"

    def __init__(self, tmp):
        self.exe = build_c("mbed_psk.c", tmp / "mbed", "-lmbedtls",
                           "-lmbedx509", "-lmbedcrypto",
                           header="mbedtls/ssl.h")

    def argv(self, port, identity, key):
        return [self.exe, port, identity, key]


@pytest.fixture(scope="module", params=[GnuTLS13, GnuTLS12, MbedTLS],
                ids=lambda c: c.__name__)
def stack(request, tmp_path_factory):
    return request.param(tmp_path_factory.mktemp(request.param.__name__))


def over(w, stack, identity, key, request):
    return says(stack.argv(w.devices, identity, key), request, timeout=60)


def test_a_token_by_another_stack(world, stack):
    name = type(stack).__name__
    identity, key = psk(world.token(name)["token"], stack.version)
    body = lines(world.key_and_csr(name)[1].read_bytes())
    request = http_request("POST", EST + "/simpleenroll", body,
                           Content_Type=PKCS10)
    p = subprocess.run(
        [str(a) for a in stack.argv(world.devices, identity, key)],
        input=request, capture_output=True, timeout=60)
    head, _, body = p.stdout.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 "), (p.stdout, p.stderr)
    assert stack.means in p.stderr.decode(), p.stderr
    pem = leaf_of(world, body, name)
    confirm(world, pem, world.dir / f"{name}.key")


def test_a_wrong_token_by_another_stack(world, stack):
    identity, key = psk(world.token("WRONG")["token"], stack.version)
    ok, words = over(world, stack, identity, key[::-1],
                     http_request("GET", EST + "/cacerts"))
    assert not ok and "HTTP/" not in words, words


# ---- others' requests, byte for byte ----
# {auth}: the value of Authorization; {n}: the body's length; {port}: ours

LIBEST = ("POST /.well-known/est/simpleenroll HTTP/1.1\r\n"
          "User-Agent: Cisco EST client 1.0\r\n"
          "Connection: close\r\n"
          "Host: localhost:{port}\r\n"
          "Accept: */*\r\n"
          "Content-Type: application/pkcs10\r\n"
          "Content-Length: {n}\r\n")
GLOBALSIGN = ("POST /.well-known/est/simpleenroll HTTP/1.1\r\n"
              "Host: localhost:{port}\r\n"
              "User-Agent: GlobalSign EST Client 1.0.6 "
              "github.com/globalsign/est\r\n"
              "Transfer-Encoding: chunked\r\n"
              "Accept: application/pkcs7-mime\r\n"
              "Authorization: {auth}\r\n"
              "Content-Transfer-Encoding: base64\r\n"
              "Content-Type: application/pkcs10\r\n"
              "Accept-Encoding: gzip\r\n\r\n")
OLD = ("POST /.well-known/est/simpleenroll HTTP/1.0\r\n"
       "Authorization: {auth}\r\n"
       "Content-Type: application/pkcs10\r\n"
       "Content-Length: {n}\r\n\r\n")
PLAIN = ("POST /.well-known/est/simpleenroll HTTP/1.1\r\n"
         "host: localhost\r\n"
         "authorization: {auth}\r\n"
         "content-type: {type}\r\n"
         "content-length: {n}\r\n\r\n")


def chunked(body, size=2048):
    parts = [body[i:i + size] for i in range(0, len(body), size)] + [b""]
    return b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in parts)


def pem(der, end="\n", new=""):
    return (f"-----BEGIN {new}CERTIFICATE REQUEST-----{end}".encode() +
            lines(der, end=end) +
            f"-----END {new}CERTIFICATE REQUEST-----{end}".encode())


HABITS = {
    "libest: 64 columns, LF": (
        LIBEST + "Authorization: {auth}\r\n\r\n", lines),
    "globalsign: chunks, 76 columns, CRLF": (
        GLOBALSIGN, lambda d: chunked(lines(d, 76, "\r\n"))),
    "globalsign: chunks of 100 bytes": (
        GLOBALSIGN, lambda d: chunked(lines(d, 76, "\r\n"), 100)),
    "globalsign: no Accept-Encoding, an extension on each chunk": (
        GLOBALSIGN, lambda d: b"%x;x=y\r\n%s\r\n0\r\n\r\n" %
        (len(lines(d)), lines(d))),
    "HTTP/1.0": (OLD, lines),
    "76 columns, CRLF": (PLAIN, lambda d: lines(d, 76, "\r\n")),
    "64 columns, CRLF, no final line end": (
        PLAIN, lambda d: lines(d, 64, "\r\n").rstrip()),
    "one line, no line end": (PLAIN, base64.b64encode),
    "one line, LF": (PLAIN, lambda d: base64.b64encode(d) + b"\n"),
    "two empty lines after": (PLAIN, lambda d: lines(d) + b"\r\n\n"),
    "PEM": (PLAIN, pem),
    "PEM, CRLF": (PLAIN, lambda d: pem(d, "\r\n")),
    "PEM of old Windows": (PLAIN, lambda d: pem(d, "\r\n", "NEW ")),
    "DER": (PLAIN, bytes),
    "a type with a parameter": (
        PLAIN.replace("{type}", "application/pkcs10; charset=utf-8"), lines),
    "a type in capitals": (
        PLAIN.replace("{type}", "Application/PKCS10"), lines),
    "a transfer encoding in capitals": (
        PLAIN.replace("{n}", "{n}\r\nContent-Transfer-Encoding: BASE64"),
        lines),
    "a transfer encoding that is not true": (
        PLAIN.replace("{n}", "{n}\r\nContent-Transfer-Encoding: binary"),
        lines),
}


def authorization(token):
    user, secret = basic_of(token["token"])
    return "Basic " + base64.b64encode(f"{user}:{secret}".encode()).decode()


class Wire:
    """A TLS connection; answers read by hand."""

    def __init__(self, w):
        self.conn = w.https(w.devices)
        self.conn.connect()
        self.file = self.conn.sock.makefile("rb")
        self.port = w.devices

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.conn.close()
        self.file.close()

    def send(self, head, body=b"", auth=""):
        text = head.format(port=self.port, n=len(body), auth=auth,
                           type=PKCS10)
        self.conn.sock.sendall(text.encode() + body)

    def head(self):
        status = int(self.file.readline().split()[1])
        headers = {}
        while (line := self.file.readline()) not in (b"\r\n", b""):
            name, value = line.decode().split(":", 1)
            headers[name.lower()] = value.strip()
        return status, headers

    def answer(self):
        status, headers = self.head()
        return status, headers, self.file.read(
            int(headers["content-length"]))


@pytest.mark.parametrize("habit", HABITS)
def test_a_habit(world, habit):
    head, layout = HABITS[habit]
    name = f"HABIT-{list(HABITS).index(habit)}"
    csr = world.key_and_csr(name)[1].read_bytes()
    with Wire(world) as wire:
        wire.send(head, layout(csr),
                  authorization(world.token(name, door="bearer")))
        status, headers, body = wire.answer()
    assert status == 200, body
    assert headers["content-type"] == \
        "application/pkcs7-mime; smime-type=certs-only"
    assert headers["content-transfer-encoding"] == "base64"
    assert "transfer-encoding" not in headers
    leaf_of(world, body, name)


def test_libest_asks_first_without_authorization(world):
    """Both requests as libest sends them: the second on a new connection."""
    body = lines(world.key_and_csr("LIBEST")[1].read_bytes())
    with Wire(world) as wire:
        wire.send(LIBEST + "\r\n", body)
        status, headers, _ = wire.answer()
        assert status == 401, headers
        assert headers["www-authenticate"].startswith('Basic realm="')
        assert wire.file.read() == b""
    with Wire(world) as wire:
        wire.send(LIBEST + "Authorization: {auth}\r\n\r\n", body,
                  authorization(world.token("LIBEST", door="bearer")))
        status, _, body = wire.answer()
    assert status == 200
    leaf_of(world, body, "LIBEST")


def test_a_client_that_keeps_its_connection_after_401(world):
    body = lines(world.key_and_csr("KEPT")[1].read_bytes())
    with Wire(world) as wire:
        wire.send(PLAIN.replace("authorization: {auth}\r\n", ""), body)
        assert wire.answer()[0] == 401
        wire.send(PLAIN, body,
                  authorization(world.token("KEPT", door="bearer")))
        assert wire.answer()[0] == 200


def test_expect_100_continue(world):
    """The body is sent only after the word to go on."""
    body = lines(world.key_and_csr("EXPECT")[1].read_bytes())
    with Wire(world) as wire:
        wire.send(PLAIN.format(
            auth=authorization(world.token("EXPECT", door="bearer")),
            type=PKCS10, n=len(body)).replace(
                "\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n"))
        assert wire.head()[0] == 100
        wire.conn.sock.sendall(body)
        assert wire.answer()[0] == 200


def test_one_byte_at_a_time(world):
    """A modem's way: every byte a record of its own."""
    body = base64.b64encode(world.key_and_csr("SLOW")[1].read_bytes())
    with Wire(world) as wire:
        text = PLAIN.format(
            auth=authorization(world.token("SLOW", door="bearer")),
            type=PKCS10, n=len(body)).encode() + body
        for i in range(len(text)):
            wire.conn.sock.sendall(text[i:i + 1])
        assert wire.answer()[0] == 200
