"""docs/existing-ca.md: an existing CA that is asked by EST.  One is a second
mintmarkd; the other is the test's own and does what none should."""
import base64
import contextlib
import datetime
import email.utils
import json
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import ssl
import threading
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

import fleet
import keys
import test_registrar
from receiver import Receiver
from test_agent import enrol, identity, token_file
from test_existing_ca import make_ca
from test_registrar import AWAY, LOST, MADE, OURS, PENDING, REFUSED, WRONG
from world import DAEMON, World, alive, basic_of, run, sanitized, until

SECRET = "vAlL5-not-in-any-log"
DAY = datetime.timedelta(days=1)


class Registrar(test_registrar.Registrar):
    command = "registrar-est"


class Signer:
    """A CA's key and certificate."""

    def __init__(self, d, who, subject):
        make_ca(d, who, subject)
        self.path = d / f"{who}.crt"
        self.cert = keys.load(self.path)
        self.key = keys.private((d / f"{who}.key").read_bytes())

    def sign(self, public, cn, purpose=ExtendedKeyUsageOID.CLIENT_AUTH,
             names=()):
        now = datetime.datetime.now(datetime.timezone.utc)
        b = (x509.CertificateBuilder()
             .subject_name(fleet.name_of(cn)).public_key(public)
             .issuer_name(self.cert.subject)
             .serial_number(x509.random_serial_number())
             .not_valid_before(now - DAY).not_valid_after(now + 20 * DAY)
             .add_extension(x509.BasicConstraints(False, None), True)
             .add_extension(x509.ExtendedKeyUsage([purpose]), False))
        if names:
            b = b.add_extension(x509.SubjectAlternativeName(
                [x509.DNSName(n) for n in names]), False)
        return b.sign(self.key, hashes.SHA256())

    def save(self, d, name, **more):
        """A new key's (certificate, key), as files."""
        key = ec.generate_private_key(ec.SECP256R1())
        cert = self.sign(key.public_key(), name, **more)
        pem, kpem = d / f"{name}.pem", d / f"{name}.key"
        pem.write_bytes(cert.public_bytes(keys.PEM))
        kpem.touch(0o600)
        kpem.write_bytes(key.private_bytes(
            keys.PEM, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption()))
        return pem, kpem


def answered(status, body=b"", wrap=base64.encodebytes, claim=None, **heads):
    def give(handler):
        body64 = wrap(body)
        handler.send_response(status)
        for k, v in heads.items():
            handler.send_header(k.replace("_", "-"), v)
        handler.send_header("Content-Length", str(claim or len(body64)))
        handler.end_headers()
        handler.wfile.write(body64)
        handler.close_connection = claim is not None
    return give


def certs(*which):
    # not cryptography's, which will not have one twice
    der = [c.public_bytes(keys.DER) for c in which]

    def tlv(tag, *parts):
        body = b"".join(parts)
        n = len(body)
        size = bytes([n]) if n < 128 else b"\x82" + n.to_bytes(2, "big")
        return bytes([tag]) + size + body
    signed = bytes.fromhex("06092a864886f70d010702")
    data = bytes.fromhex("06092a864886f70d010701")
    return tlv(0x30, signed, tlv(0xa0, tlv(
        0x30, b"\x02\x01\x01", tlv(0x31), tlv(0x30, data),
        tlv(0xa0, *der), tlv(0x31))))


def ber(*which):
    """As BouncyCastle writes it: X.690 8.1.3.6, but for the certificates."""
    der = [c.public_bytes(keys.DER) for c in which]
    data = bytes.fromhex("06092a864886f70d010701")
    return (bytes.fromhex("308006092a864886f70d010702a0803080020101 3100"
                          "3080") + data + b"\0\0" +
            b"\xa0\x80" + b"".join(der) + b"\0\0" + b"\x31\x00" +
            b"\0\0" * 3)


def pem(label):
    def wrap(body):
        return (f"-----BEGIN {label}-----\n".encode() +
                base64.encodebytes(body) + f"-----END {label}-----\n"
                .encode())
    return wrap


def silent(handler):
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)


def heads_without_end(handler):
    handler.send_response(200)
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n" + b"X-More: yes\r\n" * 9000)
    handler.close_connection = True


def in_an_hour():
    return email.utils.formatdate(time.time() + 3600, usegmt=True)


class Hostile:
    """An EST server; a device's name says what it gets."""

    def __init__(self, d):
        self.ca = Signer(d, "ca", "/O=Corp/CN=Corp Devices")
        self.tls = Signer(d, "tls", "/O=Corp/CN=Corp TLS")
        self.ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ctx.load_cert_chain(*self.tls.save(
            d, "server", purpose=ExtendedKeyUsageOID.SERVER_AUTH,
            names=["localhost"]))
        self.ctx.load_verify_locations(self.tls.path)
        self.ctx.verify_mode = ssl.CERT_OPTIONAL
        self.est = Receiver(self.answer, self.ctx)

    def url(self, host="localhost"):
        return self.est.url("/.well-known/est/devices", host)

    def answer(self, delivery):
        csr = x509.load_der_x509_csr(base64.b64decode(delivery.body))
        cn = csr.subject.get_attributes_for_oid(
            NameOID.COMMON_NAME)[0].value
        key, other = csr.public_key(), ec.generate_private_key(
            ec.SECP256R1()).public_key()
        mode = cn.rsplit("-", 1)[0]
        if mode.isdigit():
            return int(mode), {"Location": self.url() + "/elsewhere"}

        def sign(public=key, name=cn, **more):
            return self.ca.sign(public, name, **more)
        return {
            "good": lambda: answered(200, certs(sign())),
            "line": lambda: answered(200, certs(sign()), base64.b64encode),
            "chain": lambda: answered(200, certs(self.ca.cert, sign())),
            "ber": lambda: answered(200, ber(self.ca.cert, sign())),
            "ber-cut": lambda: answered(200, ber(sign())[:-2]),
            "ber-two": lambda: answered(200, ber(sign(), sign())),
            "raw": lambda: answered(200, ber(sign()), bytes),
            "pem": lambda: answered(200, certs(sign()), pem("PKCS7")),
            "pem-cms": lambda: answered(200, ber(sign()), pem("CMS")),
            "pem-key": lambda: answered(200, certs(sign()),
                                        pem("PRIVATE KEY")),
            "other-name": lambda: answered(200, certs(sign(name="dev-0"))),
            "purpose": lambda: answered(200, certs(sign(
                purpose=ExtendedKeyUsageOID.SERVER_AUTH))),
            "other-key": lambda: answered(200, certs(sign(other))),
            "two": lambda: answered(200, certs(sign(), sign())),
            "none": lambda: answered(200, certs()),
            "empty": lambda: answered(200),
            "html": lambda: answered(200, b"<html>", bytes),
            "many": lambda: answered(200, certs(
                *[self.ca.cert] * 8, sign())),
            "half": lambda: answered(200, certs(sign()), claim=8000),
            "long": lambda: answered(200, bytes(100000)),
            "long403": lambda: answered(403, bytes(1 << 20)),
            "heads": lambda: heads_without_end,
            "silent": lambda: silent,
            "never": lambda: self.est.never,
            "wait": lambda: answered(202, Retry_After="7"),
            "wait-date": lambda: answered(202, Retry_After=in_an_hour()),
            "wait-long": lambda: answered(202, Retry_After="99999999"),
            "wait-some": lambda: answered(202),
            "busy": lambda: answered(503, Retry_After="120"),
            "busy-date": lambda: answered(429, Retry_After=in_an_hour()),
            "busy-long": lambda: answered(503, Retry_After="99999999"),
            "busy-odd": lambda: answered(503, Retry_After="soon"),
        }[mode]()

    def asked(self):
        return len(self.est.got)


class Corporate:
    """A World whose profile "thermo" has its certificates by EST."""

    def __init__(self, make, within="20s", lifetime="60d",
                 eku='{"clientAuth"}', **world):
        self.w = World(**world)
        self.d = self.w.dir / "corporate"
        self.d.mkdir()
        self.password = self.d / "password"
        self.password.touch(0o600)
        self.password.write_text(f"mint:{SECRET}\n")
        block = make(self)
        self.w.edit('\tissuer = "corporate"\n\tbearer = true\n'
                    f'\tlifetime = "{lifetime}"\n'
                    '\tper_day = 1000\n\tsubject = {"CN={device}"}\n'
                    f'\teku = {eku}\n\tversion = 2', f"""
issuer "corporate" {{
	answer_within = "{within}"
{block}
}}
""")

    @contextlib.contextmanager
    def having(self, **to):
        """These in its block; None: not there."""
        before = self.w.conf.read_text()
        head, tail = before.split('issuer "corporate" {')
        body, rest = tail.split("\n}", 1)
        kept = [line for line in body.splitlines()
                if line.split("=")[0].strip() not in to]
        kept += [f"\t{k} = {v if v[0] == '{' else chr(34) + v + chr(34)}"
                 for k, v in to.items() if v]
        self.w.conf.write_text(head + 'issuer "corporate" {' +
                               "\n".join(kept) + "\n}" + rest)
        try:
            yield
        finally:
            self.w.conf.write_text(before)


@pytest.fixture(scope="module")
def hostile():
    """No server of ours: the registrar is asked by the test."""
    def make(c):
        c.ca = Hostile(c.d)
        c.pair = c.ca.tls.save(c.d, "registrar")
        return f"""
	certificate = "{c.d}/ca.crt"
	est = "{c.ca.url()}"
	est_anchors = "{c.d}/tls.crt"
	est_certificate = "{c.pair[0]}"
	est_key = "{c.pair[1]}"
"""
    c = Corporate(make, within="2s")
    try:
        yield c
    finally:
        c.ca.est.close()
        c.w.close()


# ---- what its answers mean ----

ANSWERS = {
    "good": (MADE, ""), "line": (MADE, ""), "chain": (MADE, ""),
    "ber": (MADE, ""), "raw": (MADE, ""), "pem": (MADE, ""),
    "pem-cms": (MADE, ""), "pem-key": (LOST, "answer"),
    "ber-cut": (LOST, "pkcs7"), "ber-two": (LOST, "more than one"),
    "other-name": (WRONG, "subject"), "purpose": (WRONG, "key usage"),
    "other-key": (LOST, "for the request's key"),
    "two": (LOST, "more than one"), "none": (LOST, "for the request's key"),
    "empty": (LOST, "answer"), "html": (LOST, "answer"),
    "many": (LOST, "9 certificates"), "half": (LOST, ""),
    "long": (LOST, "too long"), "long403": (REFUSED, "403"),
    "heads": (LOST, "too long"), "silent": (LOST, ""), "never": (LOST, ""),
    "wait": (PENDING, 7), "wait-date": (PENDING, 3600),
    "wait-long": (PENDING, 86400), "wait-some": (PENDING, 60),
    "busy": (AWAY, 120), "busy-date": (AWAY, 3600),
    "busy-long": (AWAY, 3600), "busy-odd": (AWAY, 0),
    **{str(n): (REFUSED, str(n)) for n in (400, 401, 403, 404, 409, 413,
                                           307)},
    **{str(n): (AWAY, str(n)) for n in (429, 503)},
    **{str(n): (LOST, str(n)) for n in (303, 500, 502, 504, 204)},
}


def test_one_that_hangs_goes_with_its_warden(hostile):
    with Registrar(hostile) as r:
        worker = r.worker()
        os.kill(worker, signal.SIGSTOP)
        r.p.kill()
        r.p.wait(30)
        until(lambda: not alive(worker))


def test_what_its_answers_mean(hostile):
    # no proxy of the environment's is taken
    os.environ["https_proxy"] = "http://127.0.0.1:9"
    try:
        r = Registrar(hostile)
    finally:
        del os.environ["https_proxy"]
    with r:
        for mode, (want, says) in ANSWERS.items():
            n = hostile.ca.asked()
            how, why, der = r.ask(f"{mode}-1")
            assert how == want, (mode, how, why)
            assert hostile.ca.asked() == n + 1, mode
            assert len(der) == 32 if how == WRONG else bool(der) == (
                how == MADE), mode
            if how == PENDING or isinstance(says, int):
                assert abs(r.retry_after - says) < 60 and why, mode
            else:
                assert r.retry_after == 0, mode
                assert says in why and bool(why) == (how != MADE), (mode, why)
        d = hostile.ca.est.got[0]
        assert d.path == "/.well-known/est/devices/simpleenroll"
        assert d.headers["content-type"] == "application/pkcs10"
        assert "authorization" not in d.headers
        # only what may have been made counts, and is on the disk
        used = json.loads((hostile.w.state / "registrar/est/used.json")
                          .read_text())["thermo"]["in_day"]
        assert used == sum(w in (MADE, WRONG, LOST)
                           for w, _ in ANSWERS.values())
        # it is shut in, and starts nothing
        status = pathlib.Path(f"/proc/{r.worker()}/status").read_text()
        assert "NoNewPrivs:\t1" in status
        assert sanitized() or "Seccomp:\t2" in status
        assert r.p.poll() is None


def test_it_believes_the_server_as_little_as_the_other_one(hostile):
    n = hostile.ca.asked()
    with Registrar(hostile) as r:
        for what, kw in test_registrar.REFUSALS.items():
            how, why, _ = r.ask(**{"device": "dev-1", **kw})
            assert how == OURS and why, what
    assert hostile.ca.asked() == n


def test_no_more_at_once(hostile):
    n = hostile.ca.asked()
    with Registrar(hostile) as r:
        sent = [r.send(f"never-{i}") for i in range(6)]
        got = [r.hear() for _ in range(2)]
        assert {g[0] for g in got} == set(sent[4:])
        assert all(g[1] == OURS and "at_once" in g[2] for g in got)
        until(lambda: hostile.ca.asked() == n + 4)


# ---- whom it believes, and who it is ----

def refused_port():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        return closed.getsockname()[1]


def two_files(c, name, text, mode=0o600):
    path = c.d / name
    path.touch()
    path.write_text(text)
    path.chmod(mode)
    return path


def picky(c):
    """By TLS 1.3 the request is on its way by then; what is closed unread
    would take the alert along."""
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ctx.load_cert_chain(c.d / "server.pem", c.d / "server.key")
    ctx.load_verify_locations(c.d / "ca.crt")
    ctx.verify_mode = ssl.CERT_REQUIRED
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        with listener, listener.accept()[0] as s:
            tls = ctx.wrap_socket(s.dup(), server_side=True,
                                  do_handshake_on_connect=False)
            with contextlib.suppress(ssl.SSLError):
                tls.do_handshake()
            while s.recv(4096):
                pass
    threading.Thread(target=serve, daemon=True).start()
    return f"https://localhost:{listener.getsockname()[1]}/est"


BAD = {
    "another CA's server": (lambda c: {"est_anchors": f"{c.d}/ca.crt"},
                            AWAY, "certificate"),
    "another name": (lambda c: {"est": c.ca.url("127.0.0.1")}, AWAY, "name"),
    "nobody": (lambda c: {"est": f"https://localhost:{refused_port()}/e"},
               AWAY, ""),
    "a cloud's own address": (
        lambda c: {"est": "https://169.254.169.254/.well-known/est"}, AWAY,
        "no CA is asked"),
    "a certificate that it does not take": (
        lambda c: {"est": picky(c)}, AWAY, "TLS alert unknown CA"),
    "another certificate's key": (
        lambda c: {"est_key": str(c.ca.tls.save(c.d, "else")[1])}, AWAY,
        "is not est_certificate's key"),
    "a key that others read": (
        lambda c: {"est_key": str(two_files(
            c, "open.key", c.pair[1].read_text(), 0o644))}, AWAY,
        "chmod 0600"),
    "no anchors": (lambda c: {"est_anchors": str(two_files(c, "no.crt",
                                                           "none"))},
                   AWAY, "no CERTIFICATE"),
    "nothing to judge by": (
        lambda c: {"certificate": str(two_files(c, "no.crt", "none"))},
        AWAY, "the issuer's certificate"),
}


@pytest.mark.parametrize("what", BAD)
def test_whom_it_believes_and_who_it_is(hostile, what):
    change, want, says = BAD[what]
    n = hostile.ca.asked()
    with hostile.having(**change(hostile)):
        with Registrar(hostile) as r:
            how, why, _ = r.ask("good-1")
        assert how == want and says in why, (how, why)
        assert hostile.ca.asked() == n
        if any(w in what for w in ("key", "anchors", "judge")):
            p = run(DAEMON, "check", "--config", hostile.w.conf, check=False)
            assert p.returncode != 0 and says in p.stderr, p.stderr


SLOW = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <poll.h>
#include <string.h>
int
getaddrinfo(const char *name, const char *service,
    const struct addrinfo *hints, struct addrinfo **out)
{
	int (*next)(const char *, const char *, const struct addrinfo *,
	    struct addrinfo **) = dlsym(RTLD_NEXT, "getaddrinfo");

	if (name == NULL || strcmp(name, "slow.invalid") != 0)
		return next(name, service, hints, out);
	poll(NULL, 0, 30000);
	return EAI_AGAIN;
}
"""


def test_a_dead_name_server_holds_nobody_up(hostile, tmp_path, monkeypatch):
    (tmp_path / "slow.c").write_text(SLOW)
    run("gcc", "-shared", "-fPIC", "-o", tmp_path / "slow.so",
        tmp_path / "slow.c")
    with hostile.having(est="https://slow.invalid/est"):
        with monkeypatch.context() as m:
            m.setenv("LD_PRELOAD", str(tmp_path / "slow.so"))
            m.setenv("ASAN_OPTIONS",
                     "verify_asan_link_order=0:detect_leaks=0")
            r = Registrar(hostile)
        with r:
            began = time.monotonic()
            assert r.ask("good-1")[0] == AWAY
            assert time.monotonic() - began < 20


def test_a_password_is_in_no_log_and_its_file_is_read_again(hostile):
    with hostile.having(est_certificate=None, est_key=None,
                        est_password_file=str(hostile.password)):
        with Registrar(hostile) as r:
            for said in f"mint:{SECRET}", "mint:its-next:one":
                hostile.password.write_text(said + "\n")
                assert r.ask("good-2")[0] == MADE
                assert hostile.ca.est.got[-1].headers["authorization"] == \
                    "Basic " + base64.b64encode(said.encode()).decode()
                # what a server repeats of it stays out, too
                assert r.ask("401-1")[0] == REFUSED
            assert SECRET not in r.said() and "its-next" not in r.said()
            hostile.password.write_text("no colon\n")
            how, why, _ = r.ask("good-3")
            assert how == AWAY and "USER:PASSWORD" in why
            assert "no colon" not in why + r.said()


@contextlib.contextmanager
def as_its_user(c):
    before, user = c.w.conf.read_text(), test_registrar.REGISTRAR
    folder = c.w.state / "registrar"
    shutil.rmtree(folder, ignore_errors=True)
    c.w.dir.chmod(0o755)
    c.w.set_conf("registrar_user", f'"{user}"')
    shutil.chown(c.pair[1], user)
    try:
        yield
    finally:
        c.w.conf.write_text(before)
        shutil.chown(c.pair[1], "root")
        shutil.rmtree(folder, ignore_errors=True)


def test_a_folder_out_of_reach_is_one_issuers_trouble(hostile):
    """By root only; and of no issuer's that is retired."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    shut = hostile.d / "shut"
    shut.mkdir(mode=0o700)
    block = f"""
issuer "shut" {{
	certificate = "{hostile.d}/ca.crt"
	est = "{hostile.ca.url()}"
	est_anchors = "{shut}/in/tls.crt"
	est_certificate = "{hostile.pair[0]}"
	est_key = "{hostile.pair[1]}"
"""
    profile = """
profile "shut" {
	issuer = "shut"
	lifetime = "60d"
	subject = {"CN={device}"}
	eku = {"clientAuth"}
}
"""
    with as_its_user(hostile):
        text = hostile.w.conf.read_text()
        hostile.w.conf.write_text(text + block + "}\n" + profile)
        with Registrar(hostile) as r:
            assert r.ask("good-1")[0] == MADE
            assert re.search("shut/in.*Permission", r.said()), r.said()
            how, why, _ = r.ask("good-1", profile="shut", version=1,
                                issuer="shut")
            assert how == AWAY and "est_anchors" in why
        n = len(r.said())
        hostile.w.conf.write_text(text + block + "\tretired = true\n}\n")
        with Registrar(hostile) as r:
            assert r.ask("good-1")[0] == MADE
        assert "shut/in" not in r.said()[n:]


def test_who_may_change_whom_it_believes_is_said(hostile):
    crt, loose = hostile.d / "tls.crt", hostile.d / "loose"
    loose.mkdir()
    loose.chmod(0o777)
    files = {
        "est_anchors": two_files(hostile, "loose.crt", crt.read_text(),
                                 0o664),
        "est_certificate": two_files(hostile, "loose/pair.crt",
                                     hostile.pair[0].read_text(), 0o644),
    }
    for key, path in files.items():
        with hostile.having(**{key: str(path)}):
            p = run(DAEMON, "check", "--config", hostile.w.conf, check=False)
            assert p.returncode != 0 and f"{key}: others may change" in \
                p.stderr, p.stdout + p.stderr


def test_its_user_reads_it_and_nobody_else(hostile):
    """By root only, who can be both."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    w, user = hostile.w, test_registrar.REGISTRAR

    def check():
        return run(DAEMON, "check", "--config", w.conf, check=False).stderr
    with as_its_user(hostile):
        shutil.chown(hostile.pair[1], "root")
        assert "est_key" in check() and "Permission" in check()
        shutil.chown(hostile.pair[1], user)
        assert "registrar" not in check()
        with Registrar(hostile) as r:
            assert r.ask("good-4")[0] == MADE
            assert test_registrar.status_of(r.worker(), "Uid") == str(
                pwd.getpwnam(user).pw_uid)
            part = w.state / "registrar/est"
            assert part.owner() == user and \
                part.stat().st_mode & 0o777 == 0o700


CONF = {
    "both ways": ({"exec": '{"/bin/true"}'}, "not both"),
    "no https": ({"est": "http://localhost/.well-known/est"}, "https://"),
    "a user in it": ({"est": "https://a:b@localhost/.well-known/est"},
                     "https://"),
    "no path": ({"est": "https://localhost"}, "https://"),
    "no anchors": ({"est_anchors": None}, "est_anchors"),
    "a key alone": ({"est_certificate": None}, "est_certificate and est_key"),
    "nothing": ({"est_certificate": None, "est_key": None},
                "est_password_file"),
    "both of them": ({"est_password_file": "/x"}, "est_password_file"),
    "its parts alone": ({"est": None, "exec": '{"/bin/true"}'}, "goes with est"),
}


@pytest.mark.parametrize("what", CONF)
def test_the_configuration_says_what_it_wants(hostile, what):
    change, says = CONF[what]
    with hostile.having(**change):
        p = run(DAEMON, "check", "--config", hostile.w.conf, check=False)
        assert p.returncode != 0 and says in p.stderr, p.stdout + p.stderr


def test_check_has_nothing_against_a_good_one(hostile):
    p = run(DAEMON, "check", "--config", hostile.w.conf, check=False)
    assert re.search(r"(?m)^registrar +ok$", p.stdout), p.stdout + p.stderr


def test_its_next_certificate_is_asked_for_the_same_way(hostile):
    w, before = hostile.w, hostile.w.conf.read_text()
    make_ca(hostile.d, "second", "/O=Corp/CN=Corp Devices 2")
    try:
        p = w.cli("ca", "rollover", "corporate", "--config", w.conf, "--from",
                  "2090-01-01T00:00:00Z", "--certificate",
                  hostile.d / "second.crt")
        assert hostile.ca.url() in p.stdout
        block = w.conf.read_text().split('issuer "corporate-2" {')[1]
        for line in re.findall(r'(?m)^\test.* = ".+"$', before):
            assert line in block
        p = run(DAEMON, "check", "--config", w.conf, check=False)
        assert p.returncode == 0, p.stdout + p.stderr
    finally:
        w.conf.write_text(before)


def test_all_wait_as_long_as_the_ca_says(hostile):
    """RFC 9110 15.6.4: of 503 and 429; the device is told, too."""
    w = hostile.w
    # where the server sees it: beside its own
    beside = pathlib.Path(re.search(r'(?m)^tls_certificate = "(.*)"',
                                    w.conf.read_text())[1]).with_name("est.crt")
    shutil.copy(hostile.pair[0], beside)
    before = w.conf.read_text()
    w.conf.write_text(before.replace(str(hostile.pair[0]), str(beside)))
    w.start().product()
    try:
        until(lambda: "registrar-est" in w.children())
        jobs = [(w.token(d, door="bearer"), w.key_and_csr(d)[1])
                for d in ("busy-1", "good-5")]
        n = hostile.ca.asked()
        for job, least in zip(jobs, (120, 100)):
            a = w.enrol_basic(*job)
            assert a.status == 503, a
            assert least <= int(a.headers["retry-after"]) <= 120, a
        assert hostile.ca.asked() == n + 1
        up = w.rest("GET", "/issuers/corporate").json["upstream"]
        assert up["state"] == "resting" and "120 s" in up["why"], up
        again(w)  # which forgets it
        assert w.enrol_basic(*jobs[1]).status == 200
        # what it knows us by ends in 20 days
        [end] = [e for e in w.rest("GET", "/expiry/ends").json["items"]
                 if e["kind"] == "est-certificate"]
        assert end["name"] == "corporate" and end["renewed"] == "by-hand"
        until(lambda: "est-certificate-ends" in
              [e.get("reason") for e in w.entries("alert")])
    finally:
        w.stop()
        w.conf.write_text(before)


# ---- a second mintmarkd ----

@pytest.fixture(scope="module")
def two():
    """Ours, and the CA's: its group takes our certificate for any device of
    its list, after a person has approved it or with the key's hash."""
    up = World(profile="\tbearer = true\n\tsubject = {\"CN={device}\"}\n"
               "\teku = {\"clientAuth\"}\n\tlifetime = \"30d\"",
               maker="Corp")
    up.start().product()
    old = fleet.Fleet(up)
    cert, key = old.leaf("our registrar")
    fleet.make(up, "makers", [cert], "certificates")

    def make(c):
        chain = c.d / "issuing.crt"
        chain.write_text((up.state / "signer/issuers/issuing.crt").read_text()
                         + up.anchor.read_text())
        return f"""
	certificate = "{chain}"
	est = "https://localhost:{up.devices}/.well-known/est"
	est_anchors = "{up.anchor}"
	est_certificate = "{cert}"
	est_key = "{key}"
"""
    c = Corporate(make)
    c.up, c.cert, c.key = up, cert, key
    try:
        c.w.start(env={"OTHERS": SECRET, "SSLKEYLOGFILE": str(
            c.d / "keys.log")}).product()
        until(lambda: "registrar-est" in c.w.children())
        yield c
    finally:
        c.w.close()
        up.close()


def test_its_environment_is_what_it_needs(two):
    """Others' passwords are not, nor where libcurl would write its keys."""
    pid = two.w.children()["registrar-est"]
    have = pathlib.Path(f"/proc/{pid}/environ").read_bytes()
    assert SECRET.encode() not in have and b"SSLKEYLOGFILE" not in have


def again(w):
    w.stop()
    w.start()
    until(lambda: "registrar-est" in w.children())


def entries(w, kind, device):
    return [e for e in w.entries(f"upstream.{kind}") if e["device"] == device]


def test_it_has_yet_to_decide(two):
    """RFC 7030 4.2.3: 202, and the same request again once a person has been
    there."""
    w, up, device = two.w, two.up, "pend-1"
    fleet.listed(up, "makers", device)
    comer = fleet.Comer(w, device, (two.cert, two.key))
    token = w.token(device, door="bearer")
    csr = w.dir / "pend.csr"
    csr.write_bytes(comer.csr)
    a = w.enrol_basic(token, csr)
    assert a.status == 503 and "yet to decide" in w.log(), a
    assert int(a.headers["retry-after"]) > 3
    assert w.rest("GET", f"/tokens/{token['id']}").json["state"] == "minted"
    [e] = entries(w, "refused", device)
    assert e["reason"] == "pending"
    # it is not asked again before that, and nobody else waits for it
    assert w.enrol_basic(token, csr).status == 503
    assert len(entries(w, "asked", device)) == 1
    n = w.rest("GET", "/issuers/corporate").json["upstream"]
    assert (n["by"], n["state"], n["pending"]) == ("est", "answering", 1)
    assert fleet.approve(up, "makers", comer).status == 200
    again(w)  # which forgets that it waits
    assert w.enrol_basic(token, csr).status == 200
    said = w.cli("doctor", "--verbose", "--config", w.conf, check=False)
    for what in "est_certificate of issuer corporate: ends", "est_key: ":
        assert what in said.stdout, said
    # its lists are its own, and not looked for here
    assert "corporate.crl" not in said.stdout, said


def keys_hash(csr):
    digest = hashes.Hash(hashes.SHA256())
    digest.update(keys.spki(x509.load_der_x509_csr(
        csr.read_bytes()).public_key()))
    return digest.finalize().hex()


def test_away_nothing_is_spent(two):
    w, up, device = two.w, two.up, "away-1"
    token, (_, csr) = w.token(device, door="bearer"), w.key_and_csr(device)
    up.stop()
    try:
        a = w.enrol_basic(token, csr)
        assert a.status == 503 and int(a.headers["retry-after"]) > 0, a
        [e] = entries(w, "refused", device)
        assert e["reason"] == "unavailable"
        for other in "away-2", "away-3":  # one alone is no CA that is away
            assert w.enrol_basic(w.token(other, door="bearer"),
                                 w.key_and_csr(other)[1]).status == 503
        found = [f for f in w.rest("GET", "/doctor").json["findings"]
                 if f["check"] == "upstream" and f["level"] == "fail"]
        assert any("est_anchors" in json.dumps(f) for f in found), found
    finally:
        up.start()
    fleet.listed(up, "makers", {"device": device, "key": keys_hash(
        csr)})
    got = []

    def good():
        got.append(w.enrol_basic(token, csr))
        return got[-1].status == 200
    until(good, told=lambda: got[-1])


def test_the_agent_enrols_and_renews(two):
    w, up, device = two.w, two.up, "agent-1"
    # by Basic here: a token of the other mintmarkd for each certificate
    def allow():
        two.password.write_text(":".join(basic_of(up.token(
            device, door="bearer")["token"])) + "\n")
    with two.having(est_certificate=None, est_key=None,
                    est_password_file=str(two.password)):
        again(w)
        allow()
        d, _, p = enrol(w, device, token=token_file(w, device))
        assert json.loads(p.stdout)["confirmed"], p
        first = keys.load(identity(d)[0])
        run("openssl", "verify", "-CAfile", up.anchor, "-untrusted",
            two.d / "issuing.crt", "-purpose", "sslclient", identity(d)[0])
        allow()
        p = w.agent("renew", "--now", "--dir", d)
        assert json.loads(p.stdout)["confirmed"], p
        second = keys.load(identity(d)[0])
        assert second.subject == first.subject
        assert second.serial_number != first.serial_number
        assert len(entries(w, "asked", device)) == 2
        # both of them know both
        for serial in first.serial_number, second.serial_number:
            assert up.rest("GET", f"/certificates/{serial:032x}").json[
                "device"] == device
            assert w.rest("GET", f"/certificates/{serial:032x}").json[
                "device"] == device
