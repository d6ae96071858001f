"""Line CAs that the centre's signer makes while it works: one a station and
batch, without a block in the configuration and without a restart."""
import base64
import datetime
import json
import re
import socket
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import postgres
from nodes import Cluster, passphrase_run
from records import records
from test_offline_order import Line, Lone
from world import MINT, World, run, until

LINES = """
issuer "lines" {{
  certificate = "{dir}/lines.crt"
  key = "{dir}/lines.key"
  lines = {most}
}}
"""
FEW = 200  # in one centre


def add_lines(w, most=FEW + 20):
    """Once in a centre's life."""
    with open(w.conf, "a") as f:
        f.write(LINES.format(dir=w.dir, most=most))
    passphrase_run(w, "issuer", "--issuer", "lines")


def certificate(folder, name):
    """As a station's signer has one; its key is of no interest here."""
    path = folder / f"{name}.crt"
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
        "ec_paramgen_curve:P-256", "-nodes", "-keyout", folder / "k.key",
        "-subj", f"/CN={name}", "-out", path)
    return path.read_text()


@pytest.fixture(scope="module")
def centre():
    with World() as world:
        add_lines(world)
        yield Line(world)


def stations(w, names):
    for n in names:
        key = w.rest("POST", "/keys", {"name": n, "roles": ["line"]})
        assert w.rest("POST", "/stations", {
            "id": n, "key": key.json["id"]}).status == 201


def batch(w, name, names):
    w.cli("batch", "create", "--id", name, "--product", "thermo",
          "--quantity", str(len(names)), "--until", "30d", "--mode",
          "offline", "--serials", f"{name.upper()}-{{001..{len(names):03}}}",
          "--shares", ",".join(f"{n}=1" for n in names))


def ask(w, batch, station, pem, key=None, **more):
    return w.rest("POST", f"/batches/{batch}/order", {
        "station": station, "recipient": pem, **more}, key=key)


def ca_of(order):
    """(its name, its chain as DER)"""
    text = json.loads(order["order"].splitlines()[1])
    chain, all_ = base64.b64decode(text["ca_chain"]), []
    while chain:  # lengths of two bytes: RFC 5280's certificates
        assert chain[:2] == b"\x30\x82", chain[:4]
        n = int.from_bytes(chain[2:4], "big") + 4
        all_.append(chain[:n])
        chain = chain[n:]
    return text["ca_name"], all_


def made(centre):
    return {e["issuer"]: e for e in centre.entries("issuer.made")
            if "serial" in e}


def agrees(w):
    p = w.cli("--json", "ledger", "reconcile", "--config", w.conf,
              check=False)
    assert json.loads(p.stdout)["agree"], p.stdout
    assert p.returncode == 0


def crl(w, name):
    a = w.get_public(f"/crl/{name}.crl")
    return a.body if a.status == 200 else None


def number(der):
    text = subprocess.run(["openssl", "crl", "-inform", "DER", "-noout",
                           "-crlnumber"], input=der, capture_output=True,
                          check=True).stdout.decode()
    return int(text.partition("=")[2].removeprefix("0x"), 16)


def verify(w, folder, name, chain):
    """The line CA below the root, and its list by its key."""
    for i, der in enumerate(chain):
        (folder / f"c{i}.der").write_bytes(der)
        run("openssl", "x509", "-inform", "DER", "-in", folder / f"c{i}.der",
            "-out", folder / f"c{i}.crt")
    run("openssl", "verify", "-CAfile", w.anchor, "-untrusted",
        folder / "c1.crt", folder / "c0.crt")
    (folder / "l.crl").write_bytes(crl(w, name))
    p = run("openssl", "crl", "-inform", "DER", "-in", folder / "l.crl",
            "-CAfile", folder / "c0.crt", "-noout")
    assert "verify OK" in p.stderr


def ocsp(w, folder, serial, issuer="c0.crt"):
    """What the responder says, for this line CA (c0.crt below c1.crt), or for
    who made it."""
    between = folder / "between.crt"
    between.write_text("".join((folder / f"c{i}.crt").read_text()
                               for i in range(2)))
    p = run("openssl", "ocsp", "-issuer", folder / issuer, "-serial",
            f"0x{serial}", "-CAfile", w.anchor, "-verify_other", between,
            "-url", f"http://127.0.0.1:{w.public}/ocsp")
    assert "Response verify OK" in p.stderr, p.stderr
    return p.stdout.split(": ", 1)[1].split()[0]


def test_an_order_makes_its_line_ca(centre, tmp_path):
    w = centre.w
    s = Lone(w, tmp_path / "made-1", "made-1")
    try:
        batch(w, "mk", ["made-1"])
        out = tmp_path / "mk.json"
        pid = w.daemon.pid
        # a station has two certificates: by this one it logs in
        p = w.cli("batch", "order", "mk", "--station", "made-1",
                  "--recipient", s.dir / "station.crt", "--out", out,
                  check=False)
        assert p.returncode == 2 and "made-1 logs in" in p.stderr, p.stderr
        w.cli("batch", "order", "mk", "--station", "made-1", "--recipient",
              s.transport, "--out", out)
        name, chain = ca_of(json.loads(out.read_text()))
        assert len(chain) == 3 and name.startswith("made-1-")
        # who it is for is in the ledger before the order is
        entry = made(centre)[name]
        assert (entry["batch"], entry["station"]) == ("mk", "made-1")
        (whose,) = [e for e in centre.entries("line.assigned")
                    if e["issuer"] == name]
        assert whose["cert_sha256"] == entry["cert_sha256"]
        # again: the same, with the certificate and without
        for more in (("--recipient", s.transport), ()):
            again = tmp_path / "again.json"
            w.cli("batch", "order", "mk", "--station", "made-1", "--out",
                  again, *more)
            assert again.read_text() == out.read_text()
        until(lambda: crl(w, name))
        verify(w, tmp_path, name, chain)
        assert w.get_public(f"/issuer/{name}.cer").body == chain[0]
        # the station works by it, and the centre takes what it made
        assert s.imports(out)["share"] == 1
        s.plug()
        s.passes("MK-001")
        run(*s.argv("export", "--out", s.dir / "l.jsonl"))
        key = s.dir / "ledger.pub"
        key.write_text(s.made["ledger_key"])
        p = w.cli("line", "check", s.dir / "l.jsonl", out, "--key", key)
        assert "1 certificates, 1 proved, 0 faults" in p.stdout
        w.cli("station", "trust", "made-1", key)
        w.cli("station", "sync", "made-1", s.dir / "l.jsonl")
        w.cli("device", "birth-record", "--verify",
              s.dir / "state/records/mk-001.json", "--key", key, "--root",
              w.anchor)
        # a device of it that is revoked is on its list, and on no other
        (cert,) = w.rest("GET", "/devices/MK-001").json["certificates"]
        others = number(crl(w, "lines"))
        old = number(crl(w, name))
        assert ocsp(w, tmp_path, cert["serial"]) == "good"
        assert w.rest("POST", f"/certificates/{cert['serial']}/revoke",
                      {"reason": "keyCompromise"}).status == 200
        assert ocsp(w, tmp_path, cert["serial"]) == "revoked"
        assert ocsp(w, tmp_path, "01" * 16) == "unknown"
        # so is its own, to who looks through the whole chain, and no alarm
        assert ocsp(w, tmp_path, entry["serial"], "c1.crt") == "good"
        assert "ocsp-unknown-serial" not in [
            e["reason"] for e in centre.entries("alert")]
        until(lambda: number(crl(w, name)) > old)
        text = subprocess.run(
            ["openssl", "crl", "-inform", "DER", "-noout", "-text"],
            input=crl(w, name), capture_output=True, check=True)
        assert cert["serial"].upper() in text.stdout.decode().replace(
            ":", ""), text
        assert number(crl(w, "lines")) >= others
        # its certificates name one list, which says that it is that one
        until(lambda: number(crl(w, f"{name}/0")) > old)
        named = x509.load_der_x509_crl(crl(w, f"{name}/0"))
        idp = named.extensions.get_extension_for_class(
            x509.IssuingDistributionPoint)
        assert idp.critical and idp.value.full_name[0].value == \
            f"http://localhost:{w.public}/crl/{name}/0.crl"
        assert [x.serial_number for x in named] == [int(cert["serial"], 16)]
        assert w.daemon.pid == pid
        agrees(w)
    finally:
        s.close()


def test_whose_it_is(centre, tmp_path):
    w = centre.w
    pem, other = (certificate(tmp_path, n) for n in ("one", "two"))
    stations(w, ["who-1"])
    batch(w, "who", ["who-1"])
    w.cli("batch", "create", "--id", "online", "--product", "thermo",
          "--quantity", "1", "--until", "30d", "--serials", "ON-{1..1}",
          "--shares", "who-1=1")
    before = len(made(centre))
    for want, body in ((400, {"recipient": "no certificate"}),
                       (400, {"recipient": pem, "line": {}})):
        a = w.rest("POST", "/batches/who/order", {"station": "who-1", **body})
        assert a.status == want, a
    # a station has no say in it
    key = w.rest("POST", "/keys", {"name": "x", "roles": ["line"]}).json
    w.rest("POST", "/stations", {"id": "who-2", "key": key["id"]})
    a = ask(w, "who", "who-2", pem, key=key["key"])
    assert a.status == 403, a
    # nor has whoever may read beside it: each in the name of another
    for role in ("support", "auditor", "metrics"):
        mine = w.rest("POST", "/keys", {"name": role, "roles": [
            "line", role]}).json["key"]
        for path, body in (
                ("/batches/who/order", {"station": "who-1", "recipient": pem}),
                ("/batches/who/order", {"station": "who-1"}),
                ("/batches/who/units", {"station": "who-1", "units": [
                    {"serial": "WHO-1", "result": "failed"}]}),
                ("/stations/who-1/sync", {})):
            a = w.rest("POST", path, body, key=mine)
            assert a.status == 403, (role, path, a)
        a = w.rest("GET", "/batches/who/configurations/WHO-1", key=mine)
        assert a.status == 403, (role, a)
    assert len(made(centre)) == before
    a = ask(w, "who", "who-1", pem)
    assert a.status == 200, a
    # the station has one, which another signer could not open
    assert ask(w, "who", "who-1", pem).json == a.json
    b = ask(w, "who", "who-1", other)
    assert b.status == 409 and "another signer" in b.json["detail"], b
    assert w.rest("POST", "/batches/who/order",
                  {"station": "who-1"}).json == a.json
    assert len(made(centre)) == before + 1


def test_two_hundred(centre, tmp_path):
    w = centre.w
    pem = certificate(tmp_path, "all")
    names = [f"many-{i}" for i in range(50)]
    stations(w, names)
    lines = {}
    for b in ("m1", "m2", "m3", "m4"):
        batch(w, b, names)
        for n in names:
            a = ask(w, b, n, pem)
            assert a.status == 200, a
            lines[ca_of(a.json)[0]] = (b, n)
    assert len(lines) == FEW
    until(lambda: all(crl(w, n) for n in lines))
    entries = made(centre)
    assert lines.items() <= {n: (e["batch"], e["station"])
                             for n, e in entries.items()}.items()
    serials = {e["serial"] for e in entries.values()}
    assert len(serials) == len(entries)
    # numbers only grow, whoever's list it is; a restart signs none anew
    numbers = {n: number(crl(w, n)) for n in lines}
    assert len(set(numbers.values())) == FEW
    w.kill_all()
    w.start()
    until(lambda: all(crl(w, n) for n in lines))
    assert {n: number(crl(w, n)) for n in lines} == numbers
    a = w.rest("POST", f"/issuers/{min(lines)}/crl", {})
    assert a.json["number"] > max(numbers.values()), a
    assert number(crl(w, min(lines))) == a.json["number"]
    agrees(w)


def test_so_many_a_day(tmp_path):
    with World() as w:
        add_lines(w, most=1)
        centre = Line(w)
        pem = certificate(tmp_path, "few")
        stations(w, ["few-1", "few-2"])
        batch(w, "few", ["few-1", "few-2"])
        assert ask(w, "few", "few-1", pem).status == 200
        a = ask(w, "few", "few-2", pem)
        assert a.status == 403 and "1 a day" in a.text, a
        assert ask(w, "few", "few-1", pem).status == 200
        centre.again()  # the journal knows
        assert ask(w, "few", "few-2", pem).status == 403
        # one that is in journal and ledger alone is seen
        w.stop()
        records(w).sql("DELETE FROM doc WHERE kind = 20")
        p = w.cli("--json", "ledger", "reconcile", "--config", w.conf,
                  check=False)
        assert p.returncode == 9 and "not in the database" in p.stdout, p


def test_of_several_nodes_each_signs_its_list(tmp_path):
    with Cluster(postgres.shared().database(), 2, add_lines) as c:
        a, b = c.nodes
        c.start()
        pem = certificate(tmp_path, "n")
        stations(a, ["n-1", "n-2"])
        batch(a, "nn", ["n-1", "n-2"])
        first, second = (ask(w, "nn", n, pem) for w, n in (
            (a, "n-1"), (b, "n-2")))
        name, chain = ca_of(first.json)
        other, _ = ca_of(second.json)
        until(lambda: crl(b, name) and crl(a, other))
        assert b.get_public(f"/issuer/{name}.cer").body == chain[0]
        # the one that did not make it
        z = b.rest("POST", f"/issuers/{name}/crl", {})
        assert z.status == 200, z
        until(lambda: number(crl(a, name)) == z.json["number"])
        assert ask(b, "nn", "n-1", pem).json == first.json
        assert json.loads(c.reconcile().stdout)["agree"]


def below(folder, ca_pem, ca_key, names):
    """What a line CA's thief signs: a server of that name."""
    key = ec.generate_private_key(ec.SECP256R1())
    ca = x509.load_pem_x509_certificate(ca_pem)
    now = datetime.datetime.now(datetime.timezone.utc)
    leaf = x509.CertificateBuilder().subject_name(x509.Name([])).issuer_name(
        ca.subject).public_key(key.public_key()).serial_number(
        x509.random_serial_number()).not_valid_before(
        now - datetime.timedelta(hours=1)).not_valid_after(
        now + datetime.timedelta(hours=1)).add_extension(
        x509.SubjectAlternativeName(names), True).add_extension(
        x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.SERVER_AUTH]),
        False).sign(ca_key, hashes.SHA256())
    (folder / "thief.crt").write_bytes(
        leaf.public_bytes(serialization.Encoding.PEM) + ca_pem)
    (folder / "thief.key").write_bytes(key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption()))
    (folder / "thief.key").chmod(0o600)


def test_its_key_makes_no_server(tmp_path):
    """Whoever has it: OpenSSL, and so the command line, asks the CA's purpose.
    Nothing else is wrong with what it signs."""
    certificate(tmp_path, "thief")
    with World() as w:
        with open(w.conf, "a") as f:
            f.write(f'issuer "l1" {{\n  certificate = "{w.dir}/l1.crt"\n'
                    f'  key = "{w.dir}/l1.key"\n  line = true\n}}\n')
        passphrase_run(w, "issuer", "--issuer", "l1")
        made = json.loads(passphrase_run(
            w, "export-line", "--issuer", "l1", "--recipient",
            tmp_path / "thief.crt").stdout)
        (tmp_path / "key.cms").write_bytes(base64.b64decode(made["ca_key"]))
        run("openssl", "cms", "-decrypt", "-binary", "-inform", "DER", "-in",
            tmp_path / "key.cms", "-inkey", tmp_path / "k.key", "-recip",
            tmp_path / "thief.crt", "-out",
            tmp_path / "ca.der")
        ca_key = serialization.load_der_private_key(
            (tmp_path / "ca.der").read_bytes(), None)
        pem = (w.dir / "l1.crt").read_bytes()
        below(tmp_path, pem, ca_key, [x509.DNSName("localhost")])
        for purpose in ("any", "sslserver"):
            p = run("openssl", "verify", "-CAfile", w.anchor, "-purpose",
                    purpose, "-untrusted", tmp_path / "thief.crt",
                    tmp_path / "thief.crt", check=False)
            assert (p.returncode == 0) == (purpose == "any"), p
        with socket.create_server(("127.0.0.1", 0)) as s:
            port = s.getsockname()[1]
        server = subprocess.Popen(
            ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert",
             tmp_path / "thief.crt", "-cert_chain", tmp_path / "thief.crt",
             "-key", tmp_path / "thief.key", "-www", "-quiet"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            def listens():
                with socket.socket() as s:
                    return s.connect_ex(("127.0.0.1", port)) == 0
            until(listens)
            (tmp_path / "api").write_text("mmk_x\n")
            (tmp_path / "api").chmod(0o600)
            p = run(MINT, "--server", f"https://localhost:{port}", "--ca",
                    w.anchor, "--key-file", tmp_path / "api", "device",
                    "list", check=False)
            assert p.returncode != 0 and "purpose" in p.stderr, p
        finally:
            server.kill()
            server.wait()


def add_line(w, name):
    """One of the configuration."""
    with open(w.conf, "a") as f:
        f.write(f'issuer "{name}" {{\n  certificate = "{w.dir}/{name}.crt"\n'
                f'  key = "{w.dir}/{name}.key"\n  line = true\n}}\n')
    passphrase_run(w, "issuer", "--issuer", name)


def give(w, folder, batch, station, line):
    p = passphrase_run(w, "export-line", "--issuer", line, "--recipient",
                       folder / f"{station}.crt")
    return w.rest("POST", f"/batches/{batch}/order", {
        "station": station, "line": json.loads(p.stdout)})


def test_it_is_good_for_what_the_batch_has(tmp_path):
    """Below a CA that does not name a purpose nobody takes it: the first order
    is refused, and spends neither a line CA nor a number."""
    with World(profile='\teku = {"clientAuth", "emailProtection"}') as w:
        add_lines(w)
        add_line(w, "both")
        centre = Line(w)
        one, two = (certificate(tmp_path, f"fit-{i}") for i in (1, 2))
        stations(w, ["fit-1", "fit-2"])
        batch(w, "fit", ["fit-1", "fit-2"])
        assert ask(w, "fit", "fit-1", one).status == 200
        # the configuration goes on, and names one purpose less
        w.edit('\teku = {"clientAuth"}\n\tversion = 3', "")
        add_line(w, "less")
        centre.again()
        n = len(centre.entries("issuer.made"))
        for a in (ask(w, "fit", "fit-2", two),
                  give(w, tmp_path, "fit", "fit-2", "less")):
            assert a.status == 409 and "emailProtection" in a.json["detail"], a
        assert len(centre.entries("issuer.made")) == n
        assert len(centre.entries("line.assigned")) == 1
        assert give(w, tmp_path, "fit", "fit-2", "both").status == 200
