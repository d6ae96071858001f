"""Other programs use a device's key by OpenSSL's provider mintmark-key: what
docs/device-keys.md says of openssl, curl, mosquitto and nginx."""
import base64
import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import urllib.parse

import pytest
from cryptography.x509 import load_der_x509_csr

import fleet
import keys
import relying
from places import CNF, SOFTHSM, THERE, InToken, InTpm
from test_agent import identity, token_file
from test_existing_ca import make_ca
from world import (AGENT, MINT, ROOT, World, free_ports, run, sanitized, until,
                   x509)

# A module that is built with a sanitizer wants a program that is so, too.
pytestmark = pytest.mark.skipif(sanitized(), reason="other programs load it")
PLACES = [pytest.param(name, marks=pytest.mark.skipif(
    not THERE.get(name, True), reason="script/setup test installs it"))
    for name in ("tpm2", "pkcs11")]
needs_mosquitto = pytest.mark.skipif(
    not shutil.which("mosquitto", path="/usr/sbin:/usr/bin") or
    not shutil.which("mosquitto_pub"),
    reason="script/setup test installs mosquitto and its clients")


class Device:
    """One whose key is in the place: its folder and what it calls its own."""

    def __init__(self, world, place):
        self.world, self.place = world, place
        self.dir = world.dir / f"device-{place.name}"
        run(AGENT, "enrol", "--token-file",
            token_file(world, f"PR-{place.name}"), "--server",
            f"127.0.0.1:{world.devices}", "--dir", self.dir, "--key",
            place.uri, env=place.env)
        self.crt, self.key = identity(self.dir)
        self.uri = f"mintmark:{self.dir}"
        self.public = place.dir / "public.pem"
        self.public.write_text(x509(self.crt, "-pubkey", "-noout"))
        self.chain = place.dir / "device-chain.pem"
        self.chain.write_text(self.crt.read_text() +
                              (self.crt.parent / "chain.pem").read_text())

    def openssl(self, *argv, **kw):
        return self.place.openssl(*argv, **kw)


@pytest.fixture(scope="module")
def world():
    with World(profile="\tbearer = true\n\tsubject = {\"CN={device}\"}\n"
               "\teku = { clientAuth, serverAuth }") as w:
        yield w.start().product()


@pytest.fixture(scope="module", params=PLACES)
def device(request, world):
    place = (InToken if request.param == "pkcs11" else InTpm)(
        world.dir / f"place-{request.param}")
    try:
        yield Device(world, place)
    finally:
        place.close()


def test_openssl_signs(device, tmp_path):
    """By the folder's URI: of files openssl 3.0's own commands know the usual
    blocks only."""
    key = device.uri
    data, sig = tmp_path / "data", tmp_path / "sig"
    data.write_bytes(os.urandom(3000))
    assert device.openssl("pkey", "-in", key, "-pubout").stdout == \
        device.public.read_text()
    for md in ("sha256", "sha384", "sha512"):
        device.openssl("pkeyutl", "-sign", "-rawin", "-digest", md, "-in",
                       data, "-inkey", key, "-out", sig)
        run("openssl", "pkeyutl", "-verify", "-rawin", "-digest", md, "-in",
            data, "-pubin", "-inkey", device.public, "-sigfile", sig)
        device.openssl("dgst", f"-{md}", "-sign", key, "-out", sig, data)
        run("openssl", "dgst", f"-{md}", "-verify", device.public,
            "-signature", sig, data)
    data.write_bytes(os.urandom(32))
    device.openssl("pkeyutl", "-sign", "-in", data, "-inkey", key, "-out",
                   sig)
    run("openssl", "pkeyutl", "-verify", "-in", data, "-pubin", "-inkey",
        device.public, "-sigfile", sig)
    p = device.openssl("req", "-new", "-key", key, "-subj", "/CN=x")
    run("openssl", "req", "-verify", "-noout", input=p.stdout)


def test_the_key_stays(device, tmp_path):
    """Nobody gets the private half: the provider has none to give."""
    for argv in (["pkey", "-in", device.uri], ["ec", "-in", device.uri],
                 ["pkcs8", "-topk8", "-nocrypt", "-in", device.uri]):
        p = device.openssl(*argv, check=False)
        assert p.returncode != 0 and "PRIVATE" not in p.stdout, p
    p = device.openssl("dgst", "-sha1", "-sign", device.uri, device.crt,
                       check=False)
    assert p.returncode != 0 and "no digest" in p.stderr.lower(), p


def test_what_is_in_the_folder(device):
    said = device.openssl("storeutl", device.uri, check=False).stdout
    certs = device.openssl("storeutl", "-certs", "-noout", device.uri).stdout
    assert "Total found: 2" in certs, certs
    assert x509(device.crt).strip() in said
    assert device.openssl("storeutl", "-noout", "mintmark:/none",
                          check=False).returncode != 0


def test_other_keys_are_others(device, tmp_path):
    """With the provider active, what has nothing to do with it is as before;
    a file of ours that is damaged is said to be."""
    for argv in (["ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
                 ["rsa:2048"], ["ed25519"]):
        key, crt = tmp_path / "k", tmp_path / "c"
        device.openssl("req", "-x509", "-newkey", *argv, "-nodes", "-keyout",
                       key, "-out", crt, "-subj", "/CN=y", "-days", "2")
        device.openssl("verify", "-CAfile", crt, crt)
        device.openssl("pkey", "-in", key, "-pubout")
    bad = tmp_path / "bad"
    lines = device.key.read_text().splitlines()
    bad.write_text("\n".join([lines[0], lines[1][:60], lines[-1]]) + "\n")
    p = device.openssl("pkey", "-in", bad, check=False)
    assert p.returncode != 0 and "PRIVATE" not in p.stdout


# ---- what a key's file names ----

def tlv(tag, body):
    n = len(body)
    size = bytes([n]) if n < 128 else bytes([0x81, n]) if n < 256 else \
        b"\x82" + n.to_bytes(2, "big")
    return bytes([tag]) + size + body


def parts(der):
    """Tag and content of each (X.690 8.1)."""
    while der:
        n, at = der[1], 2
        if n >= 128:
            at = 2 + (n & 127)
            n = int.from_bytes(der[2:at], "big")
        yield der[0], der[at:at + n]
        der = der[at + n:]


def key_that_names(device, uri, folder):
    """The device's key, but that its file says another place; as a folder."""
    lines = device.key.read_text().splitlines()
    (_, body), = parts(base64.b64decode("".join(lines[1:-1])))
    body = b"".join(tlv(t, uri.encode() if t == 0x0c else v)
                    for t, v in parts(body))
    text = base64.encodebytes(tlv(0x30, body)).decode()
    (folder / "current").mkdir(parents=True)
    (folder / "current/key.pem").write_text(
        f"{lines[0]}\n{text}{lines[-1]}\n")
    return f"mintmark:{folder}"


def signs_by(device, uri, folder, line):
    """What openssl says, told line in its configuration."""
    key = key_that_names(device, uri, folder)
    (folder / "cnf").write_text(CNF + line)
    (folder / "data").write_text("x")
    return run("openssl", "dgst", "-sha256", "-sign", key, "-out",
               folder / "sig", folder / "data", check=False,
               env={**device.place.env, "OPENSSL_CONF": str(folder / "cnf"),
                    "LD_DEBUG": "files"})


def uri_of(device, path="", other=""):
    """Its key's, with another path in place of one (RFC 3986 2.1)."""
    p = run(AGENT, "--json", "status", "--dir", device.dir)
    uri = json.loads(p.stdout)["key"]["uri"]
    named, other = (urllib.parse.quote(str(s), safe="")
                    for s in (path, other))
    assert named in uri
    return uri.replace(named, other) if named else uri


def test_a_keys_file_loads_no_code(device, tmp_path):
    """A "private key" that somebody hands a program names a module of his."""
    if device.place.name != "pkcs11":
        pytest.skip("of a token")
    module = tmp_path / "module.so"
    shutil.copy(SOFTHSM, module)
    uri = uri_of(device, SOFTHSM, module)
    for i, line in enumerate(("", device.place.line)):
        p = signs_by(device, uri, tmp_path / str(i), line)
        assert "mintmark-key.so" in p.stderr and str(module) not in p.stderr
    assert p.returncode == 0, "by the module that openssl.cnf names"
    p = signs_by(device, uri, tmp_path / "told", f"pkcs11-module = {module}\n")
    assert p.returncode == 0 and str(module) in p.stderr, p.stdout
    p = signs_by(device, uri, tmp_path / "bad", "pkcs11-module = module.so\n")
    assert p.returncode != 0 and str(module) not in p.stderr, p.stdout


def test_a_keys_file_reads_no_file_for_a_pin(device, tmp_path):
    if device.place.name != "pkcs11":
        pytest.skip("of a token")
    pin, fifo = tmp_path / "pin", tmp_path / "fifo"
    shutil.copy(device.place.pin, pin)
    os.mkfifo(fifo, 0o600)
    for path, mode, words in ((pin, 0o604, "others cannot read"),
                              (fifo, 0o600, "others cannot read"),
                              (pin, 0o640, "")):
        path.chmod(mode)
        uri = uri_of(device, device.place.pin, path)
        p = signs_by(device, uri, tmp_path / f"{mode}-{path.name}",
                     device.place.line)
        assert words in p.stderr and (p.returncode != 0) == bool(words), p


def test_a_keys_file_writes_to_no_file(device, tmp_path):
    """Neither where it names it nor where openssl.cnf does, by mistake."""
    if device.place.name != "tpm2":
        pytest.skip("of a TPM")
    victim = tmp_path / "victim"
    victim.write_text("as it was")
    for i, (path, line, words) in enumerate((
            (victim, "", "not in a key's file"),
            (device.place.tpm.path, "", "not in a key's file"),
            (f"/dev/../{victim}", "", "not in a key's file"),
            (f"/dev/tpm0/../..{victim}", "", "not in a key's file"),
            (victim, f"tpm-device = {victim}\n", "character device"))):
        p = signs_by(device, f"tpm2:device={path}", tmp_path / str(i), line)
        assert p.returncode != 0 and words in p.stderr, (path, p.stdout)
        assert victim.read_text() == "as it was"
    assert signs_by(device, uri_of(device), tmp_path / "told",
                    device.place.line).returncode == 0


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_s_client(device, version):
    w = device.world
    p = device.openssl(
        "s_client", version, "-quiet", "-verify_return_error", "-CAfile",
        w.anchor, "-cert", device.crt, "-cert_chain", device.chain, "-key",
        device.uri, "-connect", f"127.0.0.1:{w.devices}",
        input="GET /.well-known/mintmark/renewal HTTP/1.1\r\nHost: x\r\n"
        "Connection: close\r\n\r\n")
    assert "200 OK" in p.stdout and "suggestedWindow" in p.stdout, p


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_curl(device, version):
    w = device.world
    argv = ["curl", "-sS", f"--tlsv{version}", "--tls-max", version,
            "--cacert", w.anchor, "--cert", device.chain, "--key",
            device.key, f"https://127.0.0.1:{w.devices}/.well-known/mintmark/"
            "renewal"]
    p = run(*argv, env=device.place.other)
    assert "suggestedWindow" in p.stdout, p
    p = run(*argv, check=False)  # without the provider
    assert p.returncode == 58, p


def test_what_curl_says_of_a_chip_that_is_away(device):
    w = device.world
    with device.place.away():
        p = run("curl", "-sS", "--cacert", w.anchor, "--cert", device.chain,
                "--key", device.key, f"https://127.0.0.1:{w.devices}/.well-"
                "known/mintmark/renewal", env=device.place.other, check=False)
    assert p.returncode in (35, 56), p


# ---- mosquitto ----

@contextlib.contextmanager
def broker(folder, conf, env=None):
    folder.mkdir()
    (folder / "conf").write_text("log_dest stderr\nlog_type all\n" + conf)
    with open(folder / "log", "wb") as log:
        p = subprocess.Popen(
            ["/usr/sbin/mosquitto", "-c", str(folder / "conf")],
            stderr=log, stdout=log, env=env)
    try:
        yield lambda: (folder / "log").read_text()
    finally:
        p.terminate()
        p.wait(60)


@pytest.fixture(scope="module")
def centre(world):
    """A broker that wants a device's certificate: the cloud's."""
    folder = world.dir / "centre"
    (port,) = free_ports(1)
    folder_ca = world.dir / "centre-chain.pem"
    folder_ca.write_text(relying.issuer(world) + world.anchor.read_text())
    _, crt, key = relying.device(world, "CE")
    own = run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
              "ec_paramgen_curve:P-256", "-nodes", "-keyout",
              world.dir / "broker.key", "-out", world.dir / "broker.crt",
              "-subj", "/CN=localhost", "-addext",
              "subjectAltName=DNS:localhost", "-days", "2")
    assert own.returncode == 0
    for f in ("broker.key", "broker.crt", "centre-chain.pem"):
        (world.dir / f).chmod(0o644)
    world.dir.chmod(0o755)
    with broker(folder, f"listener {port} 127.0.0.1\n"
                f"cafile {folder_ca}\ncertfile {world.dir}/broker.crt\n"
                f"keyfile {world.dir}/broker.key\nrequire_certificate true\n"
                "use_identity_as_username true\n") as log:
        until(lambda: "running" in log(), told=log)
        yield port, crt, key


def take(world, port, crt, key, topic):
    """Waits for a message as another device does."""
    return subprocess.Popen(
        ["mosquitto_sub", "-h", "localhost", "-p", str(port), "--cafile",
         str(world.dir / "broker.crt"), "--cert", str(crt), "--key", str(key),
         "-t", topic, "-C", "1", "-W", "30", "-q", "1"],
        stdout=subprocess.PIPE, text=True)


@needs_mosquitto
def test_a_client_of_mosquitto(device, centre):
    port, crt, key = centre
    sub = take(device.world, port, crt, key, "from/device")
    argv = ["mosquitto_pub", "-h", "localhost", "-p", port, "--cafile",
            device.world.dir / "broker.crt", "--cert", device.chain, "--key",
            device.key, "-t", "from/device", "-m", "it is me", "-r", "-q",
            "1"]
    run(*argv, env=device.place.other)
    assert sub.communicate(timeout=60)[0] == "it is me\n"
    assert run(*argv, check=False).returncode != 0


@needs_mosquitto
def test_a_bridge_of_mosquitto(device, centre, tmp_path):
    """The device's own broker, which the maker's cloud knows by that key."""
    port, crt, key = centre
    (local,) = free_ports(1)
    name = device.place.name
    conf = (f"user root\nlistener {local} 127.0.0.1\nallow_anonymous true\n"
            f"connection cloud\naddress localhost:{port}\ntopic # out 1\n"
            f"bridge_cafile {device.world.dir}/broker.crt\n"
            f"bridge_certfile {device.chain}\n"
            f"bridge_keyfile {device.key}\nbridge_insecure false\n")
    with broker(tmp_path / "bridge", conf, device.place.other) as log:
        sub = take(device.world, port, crt, key, f"bridged/{name}")
        until(lambda: "CONNACK" in log(), told=log)
        run("mosquitto_pub", "-h", "127.0.0.1", "-p", local, "-t",
            f"bridged/{name}", "-m", "over it", "-r", "-q", "1")
        assert sub.communicate(timeout=60)[0] == "over it\n", log()


@needs_mosquitto
def test_a_broker_of_its_own(device, centre, tmp_path):
    """mosquitto as a TLS server by the device's key."""
    _, crt, key = centre
    (port,) = free_ports(1)
    w = device.world
    conf = (f"user root\nlistener {port} 127.0.0.1\nallow_anonymous true\n"
            f"certfile {device.chain}\nkeyfile {device.key}\n")
    with broker(tmp_path / "own", conf, device.place.other) as log:
        until(lambda: "running" in log(), told=log)
        p = run("mosquitto_pub", "-h", "127.0.0.1", "-p", port, "--cafile",
                w.anchor, "--insecure", "-t", "x", "-m", "y", check=False)
        assert p.returncode == 0, (p, log())


# ---- nginx ----

@pytest.mark.skipif(not shutil.which("nginx", path="/usr/sbin:/usr/bin"),
                    reason="script/setup test installs nginx")
def test_nginx(device, tmp_path):
    """A TLS server by the device's key, and a client of the maker's cloud;
    its workers are processes that were forked when the key was read."""
    w = device.world
    (port,) = free_ports(1)
    conf = tmp_path / "nginx.conf"
    conf.write_text(f"""
daemon off; pid {tmp_path}/pid; error_log {tmp_path}/log; user root;
worker_processes 2;
events {{ }}
http {{
	access_log off; client_body_temp_path {tmp_path}/b;
	proxy_temp_path {tmp_path}/p; fastcgi_temp_path {tmp_path}/f;
	uwsgi_temp_path {tmp_path}/u; scgi_temp_path {tmp_path}/s;
	server {{
		listen 127.0.0.1:{port} ssl;
		ssl_certificate {device.chain};
		ssl_certificate_key {device.key};
		location / {{
			proxy_pass https://127.0.0.1:{w.devices};
			proxy_ssl_certificate {device.chain};
			proxy_ssl_certificate_key {device.key};
		}}
	}}
}}
""")
    env = device.place.other
    p = subprocess.Popen(["/usr/sbin/nginx", "-c", str(conf), "-g", " ".join(
        f"env {k};" for k in ("OPENSSL_CONF", "OPENSSL_MODULES",
                              "SOFTHSM2_CONF"))], env=env,
        stderr=subprocess.DEVNULL)
    try:
        url = f"https://127.0.0.1:{port}/.well-known/mintmark/renewal"
        for _ in range(3):
            got = until(lambda: run("curl", "-sk", url, check=False).stdout)
            assert "suggestedWindow" in got, (tmp_path / "log").read_text()
    finally:
        p.terminate()
        p.wait(60)


ASK = ROOT / "examples/est-by-token/ask.sh"


def test_an_existing_ca_by_est(device, world):
    """The key that it knows us by stays where it is: examples/est-by-token.
    The CA is a second mintmarkd, and takes our certificate for a list."""
    d = device.place.dir / "est"
    d.mkdir()
    make_ca(d, "ca", "/CN=Who knows us")
    csr = device.openssl("req", "-new", "-key", device.uri, "-subj",
                         "/CN=our registrar").stdout
    run("openssl", "x509", "-req", "-CA", d / "ca.crt", "-CAkey", d / "ca.key",
        "-set_serial", "7", "-days", "9", "-out", d / "registrar.pem",
        input=csr)
    shutil.copy(device.key, d / "key.pem")
    shutil.copy(world.anchor, d / "anchors.pem")
    shutil.copy(device.place.cnf, d / "openssl.cnf")
    (d / "environment").write_text("".join(
        f"export {k}={device.place.env[k]}\n" for k in
        ("OPENSSL_MODULES", "SOFTHSM2_CONF") if k in device.place.env))
    name = f"by-{device.place.name}"
    fleet.make(world, name, [d / "registrar.pem"], "certificates")
    chain = d / "corporate.pem"
    chain.write_text((world.state / "signer/issuers/issuing.crt").read_text()
                     + world.anchor.read_text())
    with World(profile="\tbearer = true", maker="Ours") as w:
        w.edit('\tissuer = "corporate"\n\tbearer = true\n\tlifetime = "400d"'
               '\n\tsubject = {"CN={device}"}\n\tversion = 2\n'
               '\teku = { "clientAuth", "serverAuth" }', f"""
issuer "corporate" {{
	certificate = "{chain}"
	exec = {{"{ASK}", "{d}", "https://localhost:{world.devices}/.well-known/est"}}
}}
""")
        w.start().product()
        token, (_, request) = w.token(name, door="bearer"), w.key_and_csr(name)
        a = w.enrol_basic(token, request)
        assert a.status == 503, a  # not of its list: 403 there
        [e] = w.entries("upstream.refused")
        assert e["reason"] == "refused", e
        public = load_der_x509_csr(request.read_bytes()).public_key()
        fleet.listed(world, name, {"device": name, "key": hashlib.sha256(
            keys.spki(public)).hexdigest()})
        other = w.key_and_csr(f"{name}-2")[1]
        fleet.listed(world, name, {
            "device": f"{name}-2", "key": hashlib.sha256(keys.spki(
                load_der_x509_csr(other.read_bytes()).public_key())
            ).hexdigest()})
        a = w.enrol_basic(w.token(f"{name}-2", door="bearer"), other)
        assert a.status == 200, w.log()


def test_what_the_page_says(device, world, tmp_path):
    """docs/device-keys.md, with the place that there is here."""
    text = (ROOT / "docs/device-keys.md").read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```$", text, re.M | re.S)
    assert len(blocks) == 4 and blocks[0].count("--key tpm2:") == 1
    script = "set -euo pipefail\n" + "\n".join(blocks)
    script = script.replace("--key tpm2:", f"--key '{device.place.uri}'") \
        .replace("localhost:8443", f"localhost:{world.devices}") \
        .replace("sect]\nactivate = 1\nEOF",
                 f"sect]\nactivate = 1\n{device.place.line}EOF") \
        .replace("DK-0001", f"DK-{device.place.name}")
    env = {**device.place.env, "DEMO": str(world.dir),
           "MINTMARK_CONTEXT": f"{world.dir}/etc/context.json",
           "PATH": f"{MINT.parent}:{AGENT.parent}:{os.environ['PATH']}"}
    p = run("bash", "-c", script, cwd=tmp_path, env=env, check=False)
    assert p.returncode == 0, p.stdout[-1500:] + p.stderr[-1500:]
    for word in (f"key        {device.place.name}:", "suggestedWindow",
                 "Signature Verified Successfully"):
        assert word in p.stdout, (word, p.stdout)
