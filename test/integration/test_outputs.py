"""Outputs, labels and birth records, read again by programs of others."""
import base64
import hashlib
import json
import os
import socket
import subprocess
import threading

import pytest

from test_qr import read_code
from world import MINT, ROOT, World, run, serial_of

LEAKS = True

TOOLS = ROOT / "var/venv/bin/python"  # script/setup makes it
FORMS = ("pem", "der", "header", "pkcs12", "esp-secure-cert", "nvs", "hex")


class Device:
    def __init__(self, world, name, path="simpleenroll"):
        self.name, self.world = name, world
        token = world.token(name, door="bearer")
        key, csr = world.key_and_csr(name)
        a = world.enrol_basic(token, csr, path=path)
        assert a.status == 200, a
        if path == "serverkeygen":
            mark = a.headers["content-type"].split("boundary=")[1].encode()
            key, p7 = [base64.b64decode(p.split(b"\r\n\r\n")[1])
                       for p in a.body.split(b"--" + mark)[1:3]]
            der = world.dir / f"{name}.p8"
            der.write_bytes(key)
            self.key = world.dir / f"{name}.made"
            run("openssl", "pkey", "-inform", "DER", "-in", der, "-out",
                self.key)
            self.key.chmod(0o600)
            a.body = base64.b64encode(p7)
        else:
            self.key = key
        self.pem = world.save_p7(a, name)
        self.serial = serial_of(self.pem)
        self.leaf = run("openssl", "x509", "-in", self.pem, "-outform",
                        "PEM").stdout

    def export(self, form, out, *more, check=True, **how):
        return self.world.cli("cert", "export", self.serial, "--format", form,
                              "--out", out, *more, check=check, **how)


@pytest.fixture(scope="module")
def device(world):
    return Device(world, "OUT-1")


@pytest.fixture(scope="module")
def keyed(world):
    return Device(world, "OUT-2", path="serverkeygen")


@pytest.fixture
def passphrase(tmp_path):
    p = tmp_path / "pass"
    p.write_text("open sesame\n")
    p.chmod(0o600)
    return p


def tool(script, *argv):
    """Python of the tools' own corner; its answer is JSON."""
    return json.loads(run(TOOLS, "-c", script, *argv).stdout.splitlines()[-1])


def der_of(pem):
    return subprocess.run(["openssl", "x509", "-outform", "DER"], check=True,
                          input=pem.encode(), capture_output=True).stdout


def root_of(world):
    return world.dir / "etc/root.crt"


# ---- outputs ----

def test_pem(world, device, tmp_path):
    device.export("pem", tmp_path)
    out = tmp_path / "OUT-1.pem"
    assert out.read_text().startswith(device.leaf)
    assert "PRIVATE" not in out.read_text()
    run("openssl", "verify", "-partial_chain", "-untrusted", out, "-trusted",
        root_of(world), out)


def test_der(device, tmp_path):
    device.export("der", tmp_path)
    assert (tmp_path / "OUT-1.der").read_bytes() == der_of(device.leaf)
    run("openssl", "x509", "-inform", "DER", "-noout", "-in",
        tmp_path / "OUT-1-ca1.der")


def test_header(keyed, tmp_path):
    """A C compiler reads it, and what it then holds is the certificate."""
    (tmp_path / "c.json").write_text('{"a":1}')
    keyed.export("header", tmp_path, "--key", keyed.key, "--config",
                 tmp_path / "c.json")
    (tmp_path / "t.c").write_text(
        '#include <stdio.h>\n#include "OUT-2.h"\nint main(int c, char **v) '
        "{ (void)v; (void)device_chain; (void)device_config;"
        " if (c > 1) fwrite(device_key, 1, device_key_len, stdout);"
        " else fwrite(device_cert, 1, device_cert_len, stdout); }\n")
    run("gcc", "-Wall", "-Wextra", "-Werror", "-std=c99", "-o", tmp_path / "t",
        tmp_path / "t.c")
    got = subprocess.run([tmp_path / "t"], capture_output=True).stdout
    assert got == der_of(keyed.leaf)
    key = subprocess.run([tmp_path / "t", "k"], capture_output=True).stdout
    (tmp_path / "k").write_bytes(key)
    pub = run("openssl", "pkey", "-inform", "DER", "-in", tmp_path / "k",
              "-pubout").stdout
    assert pub == run("openssl", "x509", "-in", keyed.pem, "-noout",
                      "-pubkey").stdout
    assert (tmp_path / "OUT-2.h").stat().st_mode & 0o777 == 0o600


def test_a_header_with_a_configuration_alone(device, tmp_path):
    """It may have secrets: nobody else reads it."""
    (tmp_path / "c.json").write_text('{"a":1}')
    device.export("header", tmp_path, "--config", tmp_path / "c.json")
    assert (tmp_path / "OUT-1.h").stat().st_mode & 0o777 == 0o600


def test_pkcs12(keyed, tmp_path, passphrase):
    keyed.export("pkcs12", tmp_path, "--key", keyed.key, "--passphrase-file",
                 passphrase)
    p12 = tmp_path / "OUT-2.p12"
    text = run("openssl", "pkcs12", "-in", p12, "-nodes", "-passin",
               f"file:{passphrase}").stdout
    assert keyed.leaf in text and "BEGIN PRIVATE KEY" in text
    assert text.count("BEGIN CERTIFICATE") >= 2
    p = run("openssl", "pkcs12", "-in", p12, "-nodes", "-passin", "pass:x",
            check=False)
    assert p.returncode != 0


TLV = """
import json, sys
from esp_secure_cert import tlv_parser as t
from esp_secure_cert.tlv_format_construct import TlvPartitionBuilder
data, at, rows = open(sys.argv[1], "rb").read(), 0, []
build = TlvPartitionBuilder()
while True:
    head, n = t.parse_tlv_header(data, at)
    if head["magic"] != t.ESP_SECURE_CERT_TLV_MAGIC:
        break
    size = t.get_tlv_total_length(head)
    body = data[at + n:at + n + head["length"]]
    foot, _ = t.parse_tlv_footer(data, at + size - 4)
    ok, _ = t.verify_tlv_integrity(head, data[at:], foot)
    rows.append([head["type"], body.decode(), ok])
    build.add_tlv_entry(head["type"], 0, body, 0)
    at += size
print(json.dumps({"rows": rows, "size": len(data),
    "same": bytes(build.partition_data) == data}))
"""


def test_esp_secure_cert(world, keyed, tmp_path):
    """Read by Espressif's parser, and byte for byte what its builder makes."""
    (tmp_path / "c.json").write_text('{"ssid":"net"}')
    keyed.export("esp-secure-cert", tmp_path, "--key", keyed.key, "--config",
                 tmp_path / "c.json")
    got = tool(TLV, tmp_path / "OUT-2-esp_secure_cert.bin")
    assert got["size"] == 0x2000 and got["same"]
    assert all(ok for *_, ok in got["rows"])
    rows = {kind: text for kind, text, _ in got["rows"]}
    assert set(rows) == {0, 1, 2, 51}
    assert rows[1].startswith(keyed.leaf) and rows[1].endswith("\n\0")
    assert der_of(rows[0].rstrip("\0")) == der_of(root_of(world).read_text())
    assert "BEGIN PRIVATE KEY" in rows[2]
    assert rows[51] == '{"ssid":"net"}'


NVS = """
import io, json, sys
from esp_idf_nvs_partition_gen import nvs_partition_gen as g
data, want = open(sys.argv[1], "rb").read(), json.load(open(sys.argv[2]))
out = io.BytesIO()
with g.NVS(out, len(data) - 4096, g.Page.VERSION2) as nvs:  # one is spare
    nvs.write_namespace("esp_secure_cert")
    for key, kind, value in want:
        nvs.write_entry(key, bytes.fromhex(value) if kind == "binary"
                        else value, kind)
print(json.dumps(out.getvalue() == data))
"""


@pytest.mark.parametrize("size", (1, 31, 32, 33, 2000, 4000, 9000, 30000))
def test_nvs(world, keyed, tmp_path, size):
    """Byte for byte what Espressif's generator makes of the same."""
    (tmp_path / "c").write_bytes(bytes(i * 7 % 256 for i in range(size)))
    keyed.export("nvs", tmp_path, "--key", keyed.key, "--size", "0x10000",
                 "--config", tmp_path / "c")
    keyed.export("pem", tmp_path, "--key", keyed.key)
    certs = (tmp_path / "OUT-2.pem").read_text()
    end = certs.rindex("-----BEGIN")
    rows = [("ca_cert", "string", certs[end:]),
            ("dev_cert", "string", certs[:end]),
            ("priv_key", "string", (tmp_path / "OUT-2.key").read_text()),
            ("device", "string", "OUT-2"),
            ("config", "binary", (tmp_path / "c").read_bytes().hex())]
    (tmp_path / "want").write_text(json.dumps(rows))
    assert tool(NVS, tmp_path / "OUT-2-nvs.bin", tmp_path / "want") is True


HEX = """
import json, sys
from intelhex import IntelHex
h = IntelHex(sys.argv[1])
print(json.dumps([h.minaddr(), h.tobinarray().tobytes().hex()]))
"""


def test_hex(device, tmp_path):
    device.export("hex", tmp_path, "--address", "0x1fff8")
    device.export("der", tmp_path)
    at, data = tool(HEX, tmp_path / "OUT-1.hex")
    want = (tmp_path / "OUT-1.der").read_bytes()
    for ca in sorted(tmp_path.glob("OUT-1-ca*.der")):
        want += ca.read_bytes()
    assert at == 0x1fff8 and bytes.fromhex(data) == want
    (tmp_path / "OUT-1.hex").unlink()
    device.export("hex", tmp_path, "--address", "0x9000", "--image", "nvs")
    device.export("nvs", tmp_path)
    at, data = tool(HEX, tmp_path / "OUT-1.hex")
    assert at == 0x9000
    assert bytes.fromhex(data) == (tmp_path / "OUT-1-nvs.bin").read_bytes()


def test_a_devices_own_key_stays(device, tmp_path, passphrase):
    device.key.chmod(0o600)
    for form in FORMS:
        more = ["--passphrase-file", passphrase] if form == "pkcs12" else \
            ["--address", "0", "--image", "nvs"] if form == "hex" else []
        p = device.export(form, tmp_path, "--key", device.key, *more,
                          check=False)
        assert p.returncode == 3 and "made on the device" in p.stderr, (form,
                                                                        p)
    assert {f.name for f in tmp_path.iterdir()} == {"pass"}


def test_pkcs12_says_whose_passphrase_is_missing(keyed, tmp_path):
    """A job without a terminal, as cron has none."""
    p = keyed.export("pkcs12", tmp_path, "--key", keyed.key, check=False,
                     start_new_session=True)
    assert p.returncode == 2, p
    assert "the passphrase of the file is missing" in p.stderr, p
    assert "--passphrase-file" in p.stderr and "internal" not in p.stderr
    assert not list(tmp_path.iterdir())


def test_nothing_is_written_over(device, tmp_path):
    (tmp_path / "OUT-1-ca1.der").write_text("mine")
    p = device.export("der", tmp_path, check=False)
    assert p.returncode == 5 and "is there already" in p.stderr
    assert [f.name for f in tmp_path.iterdir()] == ["OUT-1-ca1.der"]
    device.export("pem", tmp_path / "made/anew")
    assert (tmp_path / "made/anew/OUT-1.pem").exists()
    p = device.export("papyrus", tmp_path, check=False)
    assert p.returncode == 4 and "reference outputs" in p.stderr
    assert "mintmark.conf" not in p.stderr  # --config is the device's here


def test_wrong_words(device, tmp_path):
    for argv in (["pem", "--address", "1"], ["hex"], ["what"],
                 ["hex", "--address", "010x"], ["esp-secure-cert", "--size",
                                                "100"]):
        p = device.export(argv[0], tmp_path, *argv[1:], check=False)
        assert p.returncode in (2, 4), (argv, p)


def test_a_revoked_certificate_is_not_exported(world, tmp_path):
    d = Device(world, "OUT-9")
    world.cli("cert", "revoke", d.serial)
    p = d.export("pem", tmp_path, check=False)
    assert p.returncode == 3 and "revoked" in p.stderr


# ---- labels ----

class Printer:
    """Takes n jobs, one connection each, as port 9100 does."""

    def __init__(self, n):
        self.jobs, self.n = [], n
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.name = "tcp:127.0.0.1:%d" % self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        for _ in range(self.n):
            c = self.socket.accept()[0]
            with c, c.makefile("rb") as f:
                self.jobs.append(f.read().decode())
        self.socket.close()

    def end(self):
        self.thread.join(30)
        assert not self.thread.is_alive()
        return self.jobs


def test_a_picture(world, device, tmp_path):
    world.cli("device", "label", "OUT-1", "--format", "png", "--out",
              tmp_path / "l.png")
    assert read_code(tmp_path / "l.png") == "OUT-1"


def test_zpl_of_a_template(world, device, tmp_path):
    (tmp_path / "t").write_text("^XA^FO1,1^FH^FD{{device}}/{{product}}/"
                                "{{code}}^FS^XZ")
    world.cli("device", "label", "OUT-1", "--template", tmp_path / "t",
              "--code", "^~_", "--out", tmp_path / "l.zpl")
    assert (tmp_path / "l.zpl").read_text() == \
        "^XA^FO1,1^FH^FDOUT-1/thermo/_5E_7E_5F^FS^XZ"
    (tmp_path / "t").write_text("^XA\n^FH^FD{{serial}}^FS^XZ")
    p = world.cli("device", "label", "OUT-1", "--template", tmp_path / "t",
                  "--out", tmp_path / "m.zpl", check=False)
    assert p.returncode == 2 and "serial" in p.stderr


def test_a_label_is_printed_once(world, tmp_path):
    rows = tmp_path / "rows.csv"
    rows.write_text("device,product\nLB-1,thermo\nLB-2,thermo\n")
    tokens, log = tmp_path / "tokens.csv", tmp_path / "printed"
    world.cli("token", "create", "--csv", rows, "--out", tokens)
    argv = ["--json", "token", "label", tokens, "--printed", log]
    printer = Printer(2)
    done = json.loads(world.cli(*argv, "--printer", printer.name).stdout)
    assert done == {"printed": 2, "skipped": 0}
    jobs = printer.end()
    assert all("mintmark_3A" in j and j.endswith("^XZ\n") for j in jobs)
    # The printer is off; nothing is due, so nobody notices.
    done = json.loads(world.cli(*argv, "--printer", printer.name).stdout)
    assert done == {"printed": 0, "skipped": 2}
    p = world.cli(*argv, "--again", "--printer", printer.name, check=False)
    assert p.returncode == 7, p
    printer = Printer(2)
    world.cli(*argv, "--printer", printer.name)  # the first had failed
    world.cli(*argv, "--again", "--printer", printer.name, check=False)
    assert len(printer.end()) == 2
    secret = tokens.read_text().split("\n")[1].split(",")[2]
    assert secret not in log.read_text() and secret not in world.log()
    assert log.stat().st_mode & 0o777 == 0o600


def test_a_label_that_was_begun(world, device, tmp_path):
    log = tmp_path / "printed"
    printer = Printer(1)
    argv = ["device", "label", "OUT-1", "--printed", log, "--printer",
            printer.name]
    world.cli(*argv)
    printer.end()
    lines = log.read_text().splitlines(keepends=True)
    assert [line.split()[2] for line in lines] == ["begun", "printed"]
    log.write_text(lines[0] + lines[1][:20])  # killed while it wrote
    p = world.cli(*argv, check=False)
    assert p.returncode == 5 and "may be printed" in p.stderr
    assert log.read_text() == lines[0]


def test_label_files_of_tokens(world, tmp_path):
    made = tmp_path / "one.json"
    world.cli("token", "create", "--device", "LB-9", "--product", "thermo",
              "--out", made)
    world.cli("token", "label", made, "--format", "png", "--out",
              tmp_path / "one.png")
    assert read_code(tmp_path / "one.png") == \
        json.loads(made.read_text())["uri"]
    assert (tmp_path / "one.png").stat().st_mode & 0o777 == 0o600
    for argv in (["--out", "x", "--printer", "y"], [],
                 ["--out", "x", "--printed", "z"],
                 ["--format", "png", "--printer", "y"]):
        p = world.cli("token", "label", made, *argv, check=False)
        assert p.returncode == 2, p


# ---- birth records ----

@pytest.fixture(scope="module")
def born(world, tmp_path_factory):
    """A device that has proved its certificate, its record and the key."""
    d = Device(world, "BR-1")
    a = world.device_call("POST", "/.well-known/mintmark/confirm",
                          cert=d.pem, key=d.key)
    assert a.status in (200, 204), a
    d.dir = tmp_path_factory.mktemp("born")
    d.record, d.ledger = d.dir / "record", d.dir / "key"
    world.cli("device", "birth-record", "BR-1", "--out", d.record)
    d.ledger.write_text(world.cli("ledger", "key").stdout)
    return d


def verify(d, record, *more):
    """Offline: without a context, and with the network taken away."""
    return run("unshare", "-rn", MINT, "--json", "device", "birth-record",
               "--verify", record, "--key", d.ledger, *more, check=False,
               env={"PATH": os.environ["PATH"], "HOME": str(d.dir)})


def test_a_birth_record_verifies_offline(world, born):
    p = verify(born, born.record, "--root", root_of(world))
    assert p.returncode == 0, p
    assert json.loads(p.stdout) == {
        "verified": True, "device": "BR-1", "serial": born.serial,
        "signed_by": born.ledger.read_text().split("+")[0],
        "key": born.ledger.read_text().split("+")[1], "root_given": True}


def test_it_says_what_openssl_says(born):
    """The facts, found again without our code; the form is RFC 8785's."""
    text = born.record.read_text()
    record = json.loads(text)
    assert text == json.dumps(record, sort_keys=True, ensure_ascii=False,
                              separators=(",", ":"))
    facts = record["facts"]
    cert = der_of(born.leaf)
    spki = subprocess.run(
        ["openssl", "pkey", "-pubin", "-outform", "DER"], check=True,
        input=run("openssl", "x509", "-in", born.pem, "-noout",
                  "-pubkey").stdout.encode(), capture_output=True).stdout
    for name, grade, value in (
            ("certificate_sha256", "proved", hashlib.sha256(cert).hexdigest()),
            ("key_sha256", "proved", hashlib.sha256(spki).hexdigest()),
            ("serial", "proved", born.serial), ("device", "proved", "BR-1"),
            ("key_type", "proved", "p256"),
            ("key_origin", "claimed", "device"),
            ("product", "observed", "thermo")):
        assert facts[name] == {"grade": grade, "value": value}, name
    assert facts["confirmed_at"]["grade"] == "observed"
    entry = json.loads(json.loads(record["confirmation"])["entry"])
    assert entry["type"] == "certificate.confirmed"


@pytest.mark.parametrize("what, old, new", (
    ("a fact", '"value":"BR-1"', '"value":"BR-2"'),
    ("a grade", '"grade":"observed"', '"grade":"proved"'),
    ("the entry", '\\\\\\"product\\\\\\":\\\\\\"thermo',
     '\\\\\\"product\\\\\\":\\\\\\"thermp'),
    ("form", '"v":1}', '"v": 1}')))
def test_a_changed_record_does_not_verify(born, tmp_path, what, old, new):
    text = born.record.read_text()
    assert old in text
    (tmp_path / "r").write_text(text.replace(old, new, 1))
    p = verify(born, tmp_path / "r")
    assert p.returncode == 9, (what, p)


def test_other_keys_roots_and_names_do_not_verify(world, born, tmp_path):
    other = tmp_path / "other.crt"
    run("openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-keyout",
        tmp_path / "k", "-subj", "/CN=other", "-out", other)
    assert verify(born, born.record, "--root", other).returncode == 9
    assert verify(born, born.record, "BR-2").returncode == 9
    with World() as w:
        w.start()
        born_key, born.ledger = born.ledger, tmp_path / "key"
        born.ledger.write_text(w.cli("ledger", "key").stdout)
        assert verify(born, born.record).returncode == 9
        born.ledger = born_key


def test_the_page(born, tmp_path):
    """Of the record that was kept: another has a later checkpoint, perhaps."""
    p = verify(born, born.record, "--html", "--out", tmp_path / "r.html")
    assert p.returncode == 0, p
    html = (tmp_path / "r.html").read_text()
    digest = hashlib.sha256(born.record.read_bytes()).hexdigest()
    for words in ("BR-1", digest, "Proved", "Claimed", "does not prove",
                  "<svg"):
        assert words in html
    for words in ("<script", "http-equiv=\"refresh", "src=", "href="):
        assert words not in html


def test_who_may_not_audit_gets_it_without_the_confirmation(world, born):
    key = world.rest("POST", "/keys", {"name": "o", "roles": ["operator"]})
    assert key.status == 201, key
    path = world.dir / "operator.key"
    path.write_text(key.json["key"] + "\n")
    path.chmod(0o600)
    p = world.cli("--key-file", path, "device", "birth-record", "BR-1")
    assert json.loads(p.stdout)["confirmation"] == ""
    assert "without" in p.stderr


def test_nobody_is_born_without_a_certificate(world):
    world.rest("POST", "/devices", {"id": "BR-0", "product": "thermo"})
    p = world.cli("device", "birth-record", "BR-0", check=False)
    assert p.returncode == 4 and "not born" in p.stderr
