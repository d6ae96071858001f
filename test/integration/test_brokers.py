"""docs/brokers.md: revocation lists as brokers load them, "mintmark crl sync",
and Debian's own mosquitto and nginx, which refuse a device within 5 s of its
revocation.  An open session ends by examples/mosquitto-kick."""
import contextlib
import datetime
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

import relying
from relying import revoke, serial
from world import MINT, ROOT, faketime, free_ports, run, until

pytestmark = pytest.mark.skipif(
    not pathlib.Path("/usr/sbin/mosquitto").exists(),
    reason="script/setup test installs mosquitto")
PLUGIN = "/usr/lib/x86_64-linux-gnu/mosquitto_dynamic_security.so"


@pytest.fixture(scope="module")
def pki(world):
    """What a broker trusts: the issuing CA and the root."""
    chain = world.dir / "broker-chain.pem"
    chain.write_text(relying.issuer(world) + world.anchor.read_text())
    until(lambda: world.get_public("/crl/bundle.pem").status == 200)
    return chain


def device(world):
    return relying.device(world, "BR")


def lists(text):
    return re.findall(r"-----BEGIN X509 CRL-----.+?-----END X509 CRL-----\n",
                      text, re.S)


def number(pem):
    out = run("openssl", "crl", "-noout", "-crlnumber", input=pem).stdout
    return int(out.strip().split("=")[1], 16)


def issuer(pem):
    return run("openssl", "crl", "-noout", "-issuer", input=pem).stdout


def bundle(world):
    a = world.get_public("/crl/bundle.pem")
    assert a.status == 200, a
    return a.text


# ---- the bundle ----

def test_openssl_checks_a_whole_chain_by_it(world, pki):
    """Each certificate of the chain, the issuing CA's by the root's list."""
    _, crt, _ = device(world)
    path = world.dir / "all.pem"

    def verify():
        path.write_text(bundle(world))
        return run("openssl", "verify", "-crl_check_all", "-CAfile",
                   world.anchor, "-untrusted", pki, "-CRLfile", path, crt,
                   check=False)

    assert verify().returncode == 0, verify().stderr
    revoke(world, crt)
    until(lambda: "certificate revoked" in verify().stderr, 10)


def test_it_is_for_caches_and_says_who_signed(world, pki):
    a = world.get_public("/crl/bundle.pem")
    assert a.headers["content-type"] == "application/x-pem-file"
    assert "max-age" in a.headers["cache-control"]
    assert "GMT" in a.headers["last-modified"]
    b = world.get_public("/crl/bundle.pem",
                         {"If-None-Match": a.headers["etag"]})
    assert b.status == 304 and b.body == b""
    certs = world.get_public("/crl/issuers.pem").text
    assert certs.count("BEGIN CERTIFICATE") == 2


def test_the_roots_lists_are_signed_for_years(world, pki):
    """One of them is in the bundle: the one whose time it is.  Every one is
    signed by the root and has its line in the journal."""
    path = world.state / "server/root.crl"
    signed = lists(path.read_text())
    assert len(signed) == 30
    root = [x for x in lists(bundle(world)) if "Root CA" in issuer(x)]
    assert root == signed[:1]
    lines = [json.loads(x) for x in (world.state / "signer/journal.jsonl")
             .read_text().splitlines()]
    assert [x["number"] for x in lines if x["kind"] == "root-crl"] == \
        [number(x) for x in signed]
    ends = run("openssl", "crl", "-noout", "-lastupdate", "-nextupdate",
               "-verify", "-CAfile", world.anchor, input=signed[29])
    assert "verify OK" in ends.stderr + ends.stdout


def test_new_ones_of_the_root_are_taken_while_it_runs(world, pki):
    path = world.state / "server/root.crl"
    argv = ["ca", "root-crl", "--config", world.conf, "--passphrase-file",
            world.passphrase, "--root-years", "2"]
    p = world.cli(*argv, check=False)
    assert p.returncode != 0 and "move it away" in p.stderr
    before = path.read_text()
    path.rename(path.with_name("old.crl"))
    world.cli(*argv)
    assert len(lists(path.read_text())) == 2
    want = lists(path.read_text())[0]
    until(lambda: want in bundle(world), 10)
    assert lists(before)[0] not in bundle(world)


def root_numbers(world):
    return [number(x) for x in lists(bundle(world)) if "Root CA" in issuer(x)]


def doctor_says(world, words):
    return words in world.cli("doctor", check=False).stdout


def test_an_older_or_a_foreign_list_of_the_root_is_left_out(world, pki):
    """What a root has revoked cannot be undone by the file of before; and who
    may write the file has no say in whom to trust."""
    path = world.state / "server/root.crl"
    assert path.stat().st_mode & 0o777 == 0o600
    good, have = path.read_text(), root_numbers(world)
    assert len(have) == 1
    path.write_text(path.with_name("old.crl").read_text())
    until(lambda: doctor_says(world, "older lists than were published"), 10)
    assert root_numbers(world) == have
    name = x509.load_pem_x509_certificate(
        world.anchor.read_bytes()).subject
    now = datetime.datetime(2026, 1, 1)
    foreign = x509.CertificateRevocationListBuilder().issuer_name(
        name).last_update(now).next_update(now.replace(2090)).add_extension(
        x509.CRLNumber(2 ** 60), False).sign(
        ec.generate_private_key(ec.SECP256R1()),
        hashes.SHA256()).public_bytes(Encoding.PEM).decode()
    path.write_text(foreign + lists(good)[0].replace("M", "A", 1) + good)
    until(lambda: doctor_says(world, "it cannot be read"), 10)
    assert root_numbers(world) == have
    path.write_text(foreign + good)
    until(lambda: doctor_says(world, "no CA above our issuers has signed"),
          10)
    assert root_numbers(world) == have and foreign not in bundle(world)
    path.write_text(good)
    path.chmod(0o644)
    until(lambda: doctor_says(world, "everybody may read it"), 10)
    path.chmod(0o600)
    path.write_text(good + "\n")
    until(lambda: not doctor_says(world, "root_crl:"), 10)


def test_reconcile_agrees(world, pki):
    p = world.cli("--json", "ledger", "reconcile", "--config", world.conf,
                  check=False)
    assert '"agree":true' in p.stdout.replace(" ", ""), p.stdout


# ---- mintmark crl sync ----

def sync_argv(world, out, *more, url=None, anchor=None):
    return [MINT, "crl", "sync", "--ca", anchor or world.anchor, "--url",
            url or f"http://127.0.0.1:{world.public}", "--out", out, *more]


def sync(world, out, *more, url=None, check=True, json_=False, anchor=None):
    argv = sync_argv(world, out, *more, url=url, anchor=anchor)
    if json_:
        argv.insert(1, "--json")
    return run(*argv, check=check)


def test_sync_keeps_a_file(world, pki, tmp_path):
    out, ran = tmp_path / "crls.pem", tmp_path / "ran"
    hook = f"echo x >>{ran}"
    p = sync(world, out, "--dry-run", json_=True)
    told = json.loads(p.stdout)
    assert told["changed"] and told["dry_run"] and not out.exists()
    assert {x["issuer"].split()[-2] for x in told["lists"]} >= {"Issuing"}
    sync(world, out, "--once", "--on-change", hook)
    assert out.read_text() == bundle(world) and ran.read_text() == "x\n"
    assert out.stat().st_mode & 0o777 == 0o644
    p = sync(world, out, "--once", "--on-change", hook, json_=True)
    assert not json.loads(p.stdout)["changed"] and ran.read_text() == "x\n"
    _, crt, _ = device(world)
    revoke(world, crt)
    until(lambda: json.loads(sync(world, out, "--once", "--on-change", hook,
                                  json_=True).stdout)["changed"], 10)
    assert ran.read_text() == "x\nx\n"


def test_a_command_that_failed_runs_again(world, pki, tmp_path):
    out = tmp_path / "crls.pem"
    p = sync(world, out, "--once", "--on-change", "exit 3", check=False)
    assert p.returncode != 0 and "status 3" in p.stderr
    assert out.exists() and (tmp_path / "crls.pem.changed").exists()
    sync(world, out, "--once", "--on-change", f"touch {tmp_path}/ran")
    assert (tmp_path / "ran").exists()
    assert not (tmp_path / "crls.pem.changed").exists()


class Site:
    """A server of files, for lists that the real one never gives."""

    def __init__(self):
        self.files, self.status = {}, 200
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.sock.getsockname()[1]}"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                conn, _ = self.sock.accept()
            except OSError:
                return
            with conn:
                path = conn.recv(65536).split(b" ")[1].decode()
                body = self.files.get(path, "").encode()
                if self.status == 304:
                    body = b""
                conn.sendall(b"HTTP/1.1 %d X\r\nConnection: close\r\n"
                             b"Content-Length: %d\r\n\r\n" %
                             (self.status, len(body)) + body)


@pytest.fixture(scope="module")
def site():
    s = Site()
    yield s
    s.sock.shutdown(socket.SHUT_RDWR)
    s.sock.close()


def test_what_sync_refuses(world, pki, tmp_path, site):
    """The file stays as it is."""
    out = tmp_path / "crls.pem"
    old = bundle(world)
    world.cli("ca", "crl", "issuing")
    until(lambda: bundle(world) != old, 10)
    new = bundle(world)
    certs = world.get_public("/crl/issuers.pem").text
    issuing = next(x for x in lists(new) if "Issuing" in issuer(x))
    der = bytearray(ssl.PEM_cert_to_DER_cert(
        issuing.replace("X509 CRL", "CERTIFICATE")))
    der[-1] ^= 1
    forged = ssl.DER_cert_to_PEM_cert(bytes(der)).replace("CERTIFICATE",
                                                          "X509 CRL")
    other = tmp_path / "other.crt"
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
        "ec_paramgen_curve:P-256", "-nodes", "-keyout", tmp_path / "k",
        "-out", other, "-subj", "/CN=Other", "-days", "2")
    site.files["/crl/issuers.pem"] = certs
    out.write_text(new)
    rows = [
        ("an older one", old, 5, "older", None),
        ("without an issuer", issuing, 5, "no longer at the server", None),
        ("nothing", "", 2, "no list", None),
        ("a page of a proxy", "<html>sign in</html>", 2, "no list", None),
        ("another's signature", new.replace(issuing, forged), 8,
         "not signed", None),
        ("two of one issuer", issuing + new, 2, "two lists", None),
        ("another anchor", new + "\n", 8, "trust anchor",
         other),
    ]
    for what, text, status, words, anchor in rows:
        site.files["/crl/bundle.pem"] = text
        p = sync(world, out, "--once", url=site.url, check=False,
                 anchor=anchor)
        assert p.returncode == status, (what, p.stderr)
        assert words in p.stderr, (what, p.stderr)
        assert out.read_text() == new, what
    site.files["/crl/bundle.pem"] = issuing
    sync(world, out, "--once", "--allow-fewer", url=site.url)
    assert out.read_text() == issuing
    (port,) = free_ports(1)
    p = sync(world, out, "--once", url=f"http://127.0.0.1:{port}",
             check=False)
    assert p.returncode == 7, p.stderr


def test_only_a_list_makes_news(world, pki, tmp_path, site):
    """Whoever is in between says the same in other words, or puts something
    between the lists: the file stays, and nobody is told."""
    out, ran = tmp_path / "crls.pem", tmp_path / "ran"
    hook = ("--once", "--on-change", f"echo x >>{ran}")
    text = bundle(world)
    site.files["/crl/issuers.pem"] = world.get_public("/crl/issuers.pem").text
    out.write_text(text)
    other = world.anchor.read_text()
    for same in (text + "\n", "".join(reversed(lists(text))), text + other,
                 "a word\n" + text):
        site.files["/crl/bundle.pem"] = same
        p = sync(world, out, *hook, url=site.url)
        assert out.read_text() == text and "nothing new" in p.stdout
    assert not ran.exists()
    world.cli("ca", "crl", "issuing")
    until(lambda: bundle(world) != text, 10)
    new = bundle(world)
    site.files["/crl/bundle.pem"] = other + new + other
    sync(world, out, *hook, url=site.url)
    assert ran.read_text() == "x\n" and out.read_text() == new
    out.write_text(other + out.read_text())  # as nobody but we writes it
    sync(world, out, *hook)
    assert ran.read_text() == "x\nx\n"
    assert "CERTIFICATE" not in out.read_text()


def test_what_keeps_news_back_is_told(world, pki, tmp_path, site):
    """Also by 304 for ever, and while nobody answers."""
    out, ran = tmp_path / "crls.pem", tmp_path / "ran"
    (port,) = free_ports(1)
    away = f"http://127.0.0.1:{port}"
    site.status = 304
    p = sync(world, out, "--once", url=site.url, check=False)
    assert p.returncode == 7 and "304" in p.stderr and not out.exists()
    sync(world, out, "--once")
    late = {**os.environ, **faketime("+400d")}
    for url, status in ((site.url, 0), (away, 7)):
        p = run(*sync_argv(world, out, "--once", url=url), check=False,
                env=late)
        assert p.returncode == status, p.stderr
        assert "there is no newer one" in p.stderr
        p = sync(world, out, "--once", url=url, check=False)
        assert "there is no newer one" not in p.stderr
    site.status = 200
    (tmp_path / "crls.pem.changed").touch()
    p = sync(world, out, "--once", "--on-change", f"touch {ran}", url=away,
             check=False)
    assert p.returncode == 7 and ran.exists()
    assert not (tmp_path / "crls.pem.changed").exists()


def test_a_file_that_others_write(world, pki, tmp_path):
    out, pipe = tmp_path / "crls.pem", tmp_path / "pipe"
    os.mkfifo(pipe)
    p = sync(world, pipe, "--once", check=False)
    assert p.returncode == 2 and "no regular file" in p.stderr
    for junk in (b"", bytes(4096), b"-----BEGIN X509 CRL-----\nAAAA\n"
                 b"-----END X509 CRL-----\n"):
        out.write_bytes(junk)
        p = sync(world, out, "--once")
        assert out.read_text() == bundle(world)
    assert "counts as none" in p.stderr
    old = bundle(world)
    world.cli("ca", "crl", "issuing")
    until(lambda: bundle(world) != old, 10)
    p = subprocess.Popen([str(x) for x in sync_argv(world, out, "--every",
                                                    "1s")],
                         stdout=subprocess.DEVNULL)
    try:
        until(lambda: out.read_text() != old, 20)
        (tmp_path / "old").write_text(old)
        os.replace(tmp_path / "old", out)
        until(lambda: out.read_text() == bundle(world), 20)
    finally:
        p.terminate()
        p.wait(10)


def test_two_do_not_keep_one_file(world, pki, tmp_path):
    out = tmp_path / "crls.pem"
    p = subprocess.Popen([str(x) for x in sync_argv(world, out)],
                         stdout=subprocess.PIPE)
    try:
        until(out.exists, 20)
        other = sync(world, out, "--once", check=False)
        assert other.returncode == 5, other.stderr
    finally:
        p.terminate()
        assert p.wait(10) == -signal.SIGTERM
        p.stdout.close()


# ---- real brokers ----

@pytest.fixture(scope="module")
def server_cert(tmp_path_factory):
    d = tmp_path_factory.mktemp("tls")
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
        "ec_paramgen_curve:P-256", "-nodes", "-keyout", d / "tls.key",
        "-out", d / "tls.crt", "-subj", "/CN=localhost", "-days", "2")
    for path in d.iterdir():
        path.chmod(0o644)
    d.chmod(0o755)
    return d


class Kept:
    """A program with "crl sync" beside it, which tells it of new lists."""

    def __init__(self, world, argv, out):
        self.p = subprocess.Popen([str(x) for x in argv],
                                  stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL)
        self.sync = subprocess.Popen(
            [str(x) for x in sync_argv(world, out, "--every", "1s",
                                       "--on-change",
                                       f"kill -HUP {self.p.pid}")],
            stdout=subprocess.DEVNULL)

    def close(self):
        for p in (self.sync, self.p):
            p.terminate()
            p.wait(10)


NGINX = """
daemon off; {user} worker_processes 1; pid {d}/nginx.pid;
error_log {d}/error.log info;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {d}/t1; proxy_temp_path {d}/t2;
  fastcgi_temp_path {d}/t3; uwsgi_temp_path {d}/t4; scgi_temp_path {d}/t5;
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {tls}/tls.crt; ssl_certificate_key {tls}/tls.key;
    ssl_client_certificate {chain}; ssl_verify_client on;
    ssl_verify_depth 3; ssl_session_cache off; ssl_session_tickets off;
    ssl_crl {crl};
    location / {{ return 200 "in\\n"; }}
  }}
}}
"""


@pytest.fixture
def nginx(world, pki, server_cert, tmp_path):
    crl = tmp_path / "crls.pem"
    sync(world, crl, "--once")
    (port,) = free_ports(1)
    (tmp_path / "nginx.conf").write_text(NGINX.format(
        d=tmp_path, port=port, tls=server_cert, chain=pki, crl=crl,
        user="user root;" if os.geteuid() == 0 else ""))
    kept = Kept(world, ["/usr/sbin/nginx", "-p", tmp_path, "-c",
                        tmp_path / "nginx.conf", "-e",
                        tmp_path / "error.log"], crl)
    yield port
    kept.close()


def nginx_revokes(world, port):
    """Seconds until a revoked device is refused."""
    _, crt, key = device(world)

    def call():
        return relying.page(port, crt, key)

    until(lambda: call() == "in\n", 20)
    revoke(world, crt)
    done = time.monotonic()
    until(lambda: "SSL certificate error" in call())
    return time.monotonic() - done


def test_nginx_refuses_by_the_list(world, nginx):
    """ssl_crl: it looks at every certificate of the chain, and at the list
    when it is told to."""
    nginx_revokes(world, nginx)


@pytest.fixture
def some_lists(world, pki, tmp_path):
    """A file that lacks the list of the devices' issuer, and all of it."""
    whole = bundle(world)
    ours = run("openssl", "x509", "-in", pki, "-noout", "-subject").stdout
    ours = ours.split("=", 1)[1].strip()
    rest = [x for x in lists(whole) if ours not in issuer(x)]
    assert 0 < len(rest) < len(lists(whole))
    path = tmp_path / "crls.pem"
    path.write_text("".join(rest))
    return path, whole


@contextlib.contextmanager
def running(*argv):
    p = subprocess.Popen([str(x) for x in argv], stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL)
    try:
        yield p
    finally:
        p.terminate()
        p.wait(10)


def page_or_nothing(port, crt, key):
    try:
        return relying.page(port, crt, key) or ""
    except OSError:
        return ""


def test_nginx_refuses_all_whose_issuer_has_no_list(
        world, pki, some_lists, server_cert, tmp_path):
    crl, whole = some_lists
    _, crt, key = device(world)
    (port,) = free_ports(1)
    (tmp_path / "nginx.conf").write_text(NGINX.format(
        d=tmp_path, port=port, tls=server_cert, chain=pki, crl=crl,
        user="user root;" if os.geteuid() == 0 else ""))
    with running("/usr/sbin/nginx", "-p", tmp_path, "-c",
                 tmp_path / "nginx.conf", "-e", tmp_path / "error.log") as p:
        until(lambda: "SSL certificate error" in
              page_or_nothing(port, crt, key), 20)
        assert "unable to get certificate CRL" in \
            (tmp_path / "error.log").read_text()
        crl.write_text(whole)
        p.send_signal(signal.SIGHUP)
        until(lambda: page_or_nothing(port, crt, key) == "in\n", 20)


@pytest.mark.alone
def test_nginx_refuses_within_five_seconds(world, nginx):
    assert nginx_revokes(world, nginx) < 5


MOSQUITTO = """
per_listener_settings false
allow_anonymous false
plugin {plugin}
plugin_opt_config_file {d}/dynsec.json
listener {port} 127.0.0.1
cafile {chain}
certfile {tls}/tls.crt
keyfile {tls}/tls.key
require_certificate true
use_identity_as_username true
crlfile {crl}
listener {admin} 127.0.0.1
"""


class Session:
    """A device's MQTT 3.1.1 connection: CONNECT, CONNACK, PINGREQ."""

    def __init__(self, port, name, crt, key):
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
        tls.load_cert_chain(crt, key)
        self.s = tls.wrap_socket(
            socket.create_connection(("127.0.0.1", port), 10))
        cid = name.encode()
        var = b"\0\4MQTT\4\2\0\x3c" + len(cid).to_bytes(2, "big") + cid
        self.s.sendall(bytes([0x10, len(var)]) + var)
        assert self.s.recv(4) == b"\x20\2\0\0"

    def alive(self):
        try:
            self.s.sendall(b"\xc0\0")
            return self.s.recv(2) == b"\xd0\0"
        except OSError:
            return False

    def close(self):
        self.s.close()


@pytest.fixture
def mosquitto(world, pki, server_cert, tmp_path):
    """Its port for devices, and the folder of mosquitto_ctrl's options."""
    crl = tmp_path / "crls.pem"
    sync(world, crl, "--once")
    port, admin = free_ports(2)
    run("mosquitto_ctrl", "dynsec", "init", tmp_path / "dynsec.json", "admin",
        "secret")
    options = tmp_path / "ctrl"
    options.mkdir()
    (options / "mosquitto_ctrl").write_text(
        f"-h 127.0.0.1\n-p {admin}\n-u admin\n-P secret\n")
    conf = tmp_path / "mosquitto.conf"
    conf.write_text(MOSQUITTO.format(
        plugin=PLUGIN, d=tmp_path, port=port, admin=admin, chain=pki,
        tls=server_cert, crl=crl) + ("user root\n" if os.geteuid() == 0
                                     else ""))
    kept = Kept(world, ["/usr/sbin/mosquitto", "-c", conf], crl)
    yield port, options
    kept.close()


def let_in(port, name, crt, key):
    try:
        return Session(port, name, crt, key)
    except (OSError, AssertionError):
        return None


def is_refused(port, name, crt, key):
    """For what the list says, and not because the broker is away."""
    try:
        Session(port, name, crt, key).close()
    except ssl.SSLError as e:
        return "CERTIFICATE_REVOKED" in (e.reason or "")
    except (OSError, AssertionError):
        pass
    return False


def unknown_to(port, crt, key):
    """Refused for want of a list, and not as one that is revoked."""
    try:
        Session(port, "x", crt, key).close()
    except ssl.SSLError as e:
        return "UNKNOWN_CA" in (e.reason or "")
    except (OSError, AssertionError):
        pass
    return False


def test_mosquitto_refuses_all_whose_issuer_has_no_list(
        world, pki, some_lists, server_cert, tmp_path):
    crl, whole = some_lists
    name, crt, key = device(world)
    port, admin = free_ports(2)
    run("mosquitto_ctrl", "dynsec", "init", tmp_path / "dynsec.json", "admin",
        "secret")
    conf = tmp_path / "mosquitto.conf"
    conf.write_text(MOSQUITTO.format(
        plugin=PLUGIN, d=tmp_path, port=port, admin=admin, chain=pki,
        tls=server_cert, crl=crl) + ("user root\n" if os.geteuid() == 0
                                     else ""))
    with running("/usr/sbin/mosquitto", "-c", conf) as p:
        until(lambda: unknown_to(port, crt, key), 20)
        crl.write_text(whole)
        p.send_signal(signal.SIGHUP)
        until(lambda: let_in(port, name, crt, key), 20).close()


@pytest.mark.alone
def test_mosquitto_refuses_within_five_seconds(world, mosquitto):
    port, _ = mosquitto
    name, crt, key = device(world)
    until(lambda: let_in(port, name, crt, key), 20).close()
    revoke(world, crt)
    done = time.monotonic()
    until(lambda: is_refused(port, name, crt, key))
    assert time.monotonic() - done < 5


def test_mosquitto_refuses_and_a_kick_ends_the_session(world, mosquitto,
                                                       tmp_path):
    port, options = mosquitto
    name, crt, key = device(world)
    other, other_crt, other_key = device(world)
    first = until(lambda: let_in(port, name, crt, key), 20)
    stays = until(lambda: let_in(port, other, other_crt, other_key), 20)
    auditor = tmp_path / "auditor.key"
    auditor.write_text(world.cli("--json", "key", "create", "kicks", "--role",
                                 "auditor").stdout)
    auditor.write_text(json.loads(auditor.read_text())["key"])
    auditor.chmod(0o600)
    consumer = subprocess.Popen(
        ["/usr/bin/python3", ROOT / "examples/broker-allow-list/allow_list.py",
         "--server", f"https://localhost:{world.operators}", "--ca",
         world.anchor, "--key-file", auditor, "--dir", tmp_path, "--on-gone",
         ROOT / "examples/mosquitto-kick/kick.sh"],
        env={**os.environ, "MOSQUITTO_CTRL": str(options), "KICK_WAIT": "5"})
    try:
        until(lambda: name in (tmp_path / "allow.txt").read_text(), 20,
              passing=(OSError,))
        revoke(world, crt)
        until(lambda: is_refused(port, name + "-2", crt, key))
        Session(port, other + "-2", other_crt, other_key).close()
        until(lambda: not first.alive())
        assert stays.alive(), "another device's session was ended"
        until(lambda: is_refused(port, name, crt, key))
    finally:
        consumer.terminate()
        consumer.wait(10)
        first.close()
        stays.close()


def test_a_client_of_the_plugin_keeps_its_roles(world, mosquitto):
    port, options = mosquitto
    name, crt, key = device(world)

    def ctrl(*argv):
        return run("mosquitto_ctrl", "dynsec", *argv, check=False,
                   env={**os.environ, "XDG_CONFIG_HOME": str(options)}).stdout

    until(lambda: "admin" in ctrl("listClients"), 20)
    ctrl("createClient", name, "-p", "x")
    ctrl("createRole", "reads")
    ctrl("addClientRole", name, "reads")
    assert "reads" in ctrl("getClient", name)
    session = until(lambda: let_in(port, name, crt, key), 20)
    run(ROOT / "examples/mosquitto-kick/kick.sh", name,
        env={**os.environ, "MOSQUITTO_CTRL": str(options), "KICK_WAIT": "0"})
    until(lambda: not session.alive(), 10)
    told = ctrl("getClient", name)
    assert "reads" in told and "Disabled" not in told, told
    session.close()


def test_a_kick_that_reaches_nobody_fails(mosquitto, tmp_path):
    _, options = mosquitto
    kick = ROOT / "examples/mosquitto-kick/kick.sh"
    conf = options / "mosquitto_ctrl"

    def tried(device="BR-none", **env):
        return run("/bin/sh", kick, device, check=False, env={
            **os.environ, "MOSQUITTO_CTRL": str(options), "KICK_WAIT": "0",
            **env})

    until(lambda: tried().returncode == 0, 20)
    p = tried("admin")
    assert p.returncode != 0 and "our own name" in p.stderr
    only = tmp_path / "bin"  # all that it needs, but the broker's program
    only.mkdir()
    for name in ("sed", "od", "tr", "sleep"):
        (only / name).symlink_to(shutil.which(name))
    p = tried(PATH=str(only))
    assert p.returncode != 0 and "status 127" in p.stderr
    right = conf.read_text()
    (closed,) = free_ports(1)
    for wrong in (right.replace("secret", "guess"),
                  re.sub("-p .*", f"-p {closed}", right)):
        conf.write_text(wrong)
        p = tried()
        assert p.returncode != 0 and "BR-none" in p.stderr, (wrong, p.stderr)
    conf.write_text(right)
    assert tried().returncode == 0


def test_the_list_does_not_wait_for_a_kick(tmp_path):
    """examples/broker-allow-list: whom the kick does not reach is off the
    list, and in a file of those to be tried again."""
    sys.path.insert(0, str(ROOT / "examples/broker-allow-list"))
    try:
        from allow_list import Follower, tell_of_gone
    finally:
        sys.path.pop(0)
    allow, saw = tmp_path / "allow.txt", tmp_path / "saw"
    kick = tmp_path / "kick"
    kick.write_text(f"#!/bin/sh\necho \"$@\" >>{saw}\ncat {allow} >>{saw}\n"
                    f"test -e {tmp_path}/works\n")
    kick.chmod(0o755)

    def follower():
        return Follower(None, tmp_path, on_gone=tell_of_gone(kick))

    f = follower()
    for name in ("a", "b"):
        f.known.take({"type": "certificate.issued", "serial": name,
                      "device": name, "cert_sha256": f"hash-{name}",
                      "not_after": "9999-12-31T23:59:59Z"})
    f.store()
    assert not saw.exists()
    f.known.take({"type": "certificate.revoked", "serial": "a"})
    f.store()
    assert allow.read_text() == "hash-b b\n"
    assert saw.read_text() == "a\nhash-b b\n"
    assert (tmp_path / "gone.txt").read_text() == "a\n"
    (tmp_path / "works").touch()
    follower().store()  # after a crash
    assert saw.read_text() == "a\nhash-b b\n" * 2
    assert (tmp_path / "gone.txt").read_text() == ""


def test_the_unit_is_well_formed(tmp_path):
    text = (ROOT / "etc/systemd/mintmark-crl-sync.service").read_text()
    unit = tmp_path / "mintmark-crl-sync.service"
    unit.write_text(text.replace("/usr/bin/mintmark", str(MINT)))
    p = run("systemd-analyze", "verify", "--man=no", unit, check=False)
    wrong = [x for x in (p.stdout + p.stderr).splitlines() if unit.name in x]
    assert not wrong, wrong
    p = run("systemd-analyze", "security", "--offline=true", "--threshold=30",
            unit, check=False)
    assert p.returncode == 0, p.stdout[-400:] + p.stderr


def test_the_roots_next_list_when_its_time_has_come(world):
    """Last: the server goes on 400 days later."""
    signed = lists((world.state / "server/root.crl").read_text())
    assert signed[0] in bundle(world) and signed[1] not in bundle(world)
    world.stop()
    world.start(wait=False, env=faketime("+400d"))
    until(lambda: world.get_public("/crl/bundle.pem").status == 200,
          passing=(OSError,))
    until(lambda: signed[1] in bundle(world))
    assert signed[0] not in bundle(world)
