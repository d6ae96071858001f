"""The link to a device, spoken by an SMP implementation that others wrote
(the `smp` package of the mcumgr world): its packets, its headers, its CBOR,
against the device library behind a pseudo-terminal."""
import base64
import hashlib
import json
import os
import subprocess

import pytest

from world import BUILD, ROOT

from smpline import GROUP, Line, cbor2, packet, read_back, request, smphdr
from smp.error import ErrorV1, MGMT_ERR  # smpline found it
from smp.os_management import EchoWriteRequest

SIM = BUILD / "examples/linux-sim/linux-sim"
LOCKED, NO_CERT, PIECE, HASH, OTHER = 1, 3, 6, 7, 10
VECTORS = json.loads((ROOT / "test/vectors/link.json").read_text())


@pytest.fixture
def device(tmp_path):
    sim = subprocess.Popen([SIM, "-l", "-i", tmp_path], text=True,
                           stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        yield json.loads(sim.stdout.readline())["port"]
    finally:
        sim.stdin.close()
        assert sim.wait(10) == 0


@pytest.fixture(params=[64, 128])
def line(device, request):
    ln = Line(device, request.param)
    try:
        yield ln
    finally:
        ln.close()


def openssl(*argv, data=None):
    return subprocess.run(["openssl", *map(str, argv)], input=data, check=True,
                          capture_output=True).stdout


@pytest.fixture
def ca(tmp_path):
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:P-256", "-nodes", "-keyout",
            tmp_path / "ca.key", "-out", tmp_path / "ca.crt", "-subj",
            "/CN=Interop line", "-days", "30")
    return tmp_path


def certify(ca, csr):
    """(certificate, issuer, public key of the request), in DER and PEM."""
    (ca / "d.csr").write_bytes(csr)
    out = openssl("req", "-inform", "DER", "-in", ca / "d.csr", "-verify",
                  "-noout", "-pubkey")
    (ca / "d.pub").write_bytes(out)
    # Extensions make it version 3, which a device wants.
    (ca / "ext").write_text("keyUsage=critical,digitalSignature\n")
    cert = openssl("x509", "-req", "-extfile", ca / "ext", "-inform", "DER", "-in", ca / "d.csr",
                   "-CA", ca / "ca.crt", "-CAkey", ca / "ca.key",
                   "-set_serial", "4711", "-days", "3", "-outform", "DER")
    issuer = openssl("x509", "-in", ca / "ca.crt", "-outform", "DER")
    return cert, issuer


def der_of(pem):
    body = b"".join(ln for ln in pem.splitlines() if b"-----" not in ln)
    return base64.b64decode(body)


def put_all(line, hello, bundle):
    piece = 256 // hello["step"] * hello["step"]
    off = 0
    while off < len(bundle):
        data = bundle[off:off + piece]
        got = line.tell("put", len=len(bundle), off=off, data=data)
        assert got == {"off": off + len(data)}
        off = got["off"]


def test_a_salt_for_the_bundle(line, ca):
    """What hello tells of a bundle proves nothing to who lacks the salt."""
    hello = line.tell("hello")
    line.tell("key", kind=0, stir=os.urandom(32))
    cert, issuer = certify(ca, line.tell("csr")["csr"])
    bundle, salt = cert + issuer + b"\0\0\0\1{}", os.urandom(16)
    put_all(line, hello, bundle)
    plain = hashlib.sha256(bundle).digest()
    salted = hashlib.sha256(plain + salt).digest()
    took = dict(cert=len(cert), chain=len(issuer), conf=6)
    for bad in plain + salt, salted, salted + bytes(16), salted + salt[:15]:
        assert line.tell("commit", all=bad, **took) == {
            "err": {"group": GROUP, "rc": HASH}}
    for bad in salted[:31], salted + salt + b"\0":
        assert line.tell("commit", all=bad, **took) == {
            "rc": MGMT_ERR.EINVAL}
    for _ in range(2):
        assert "cert" in line.tell("commit", all=salted + salt, **took)
    line.tell("lock", cert=hashlib.sha256(cert).digest())
    assert line.tell("hello")["all"] == salted


def test_a_whole_unit(line, ca):
    hello = line.tell("hello", time=1780000000)
    assert hello["v"] == 2 and hello["state"] == 0
    assert hello["hw"] == b"SIM-0001" and hello["max"] == 512
    assert hello["time"] == 1780000000 and "key" not in hello
    pub = line.tell("key", kind=0, stir=os.urandom(32))["pub"]
    assert line.tell("key", kind=0, stir=os.urandom(32))["pub"] == pub
    cert, issuer = certify(ca, line.tell("csr")["csr"])
    assert der_of((ca / "d.pub").read_bytes()) == pub
    assert line.tell("get") == {"err": {"group": GROUP, "rc": NO_CERT}}
    bundle = cert + issuer + b"{}"
    put_all(line, hello, bundle)
    digest = hashlib.sha256(cert).digest()
    took = dict(cert=len(cert), chain=len(issuer), conf=2,
                all=hashlib.sha256(bundle).digest())
    for _ in range(2):
        assert line.tell("commit", **took) == {"cert": digest}
    nonce = os.urandom(32)
    (ca / "sig").write_bytes(line.tell("prove", nonce=nonce)["sig"])
    said = b"mintmark-prove" + nonce + b"SIM-0001" + digest
    assert b"OK" in openssl("dgst", "-sha256", "-verify", ca / "d.pub",
                            "-signature", ca / "sig", data=said)
    assert line.tell("lock", cert=bytes(32)) == {
        "err": {"group": GROUP, "rc": OTHER}}
    for _ in range(2):
        assert line.tell("lock", cert=digest) == {}
    assert line.tell("put", len=16, off=0, data=bytes(16)) == {
        "err": {"group": GROUP, "rc": LOCKED}}
    # what everybody may see of it, and not its configuration
    assert read_back(line) == (cert, issuer)
    end = len(cert + issuer)
    assert line.tell("get", off=end)["data"] == b""
    assert line.tell("get", off=end + 1) == {
        "err": {"group": GROUP, "rc": PIECE}}
    hello = line.tell("hello")
    assert hello["state"] == 3 and hello["cert"] == digest
    assert hello["key"] == hashlib.sha256(pub).digest()


def test_errors_are_smps(line):
    """What is none of ours is answered as smp's own types want it."""
    for version in smphdr.Version:
        echo = EchoWriteRequest(version=version, d="hello")
        told = ErrorV1(header=smphdr.Header(
            op=smphdr.OP.WRITE_RSP, version=version, flags=smphdr.Flag(0),
            length=5, group_id=0, sequence=1, command_id=0), **line.ask(echo))
        assert told.rc == MGMT_ERR.ENOTSUP
    refused = request("prove", nonce=bytes(32))
    assert line.ask(refused) == {"err": {"group": GROUP, "rc": 2}}
    first = request("prove", version=smphdr.Version.V1, nonce=bytes(32))
    assert line.ask(first) == {"rc": MGMT_ERR.EPERUSER + 2}
    short = request("prove", nonce=bytes(31))
    assert line.ask(short) == {"rc": MGMT_ERR.EINVAL}


def test_maps_of_indefinite_length(line):
    body = b"\xbf" + cbor2.dumps("time") + cbor2.dumps(5) + \
        cbor2.dumps("later") + b"\x9f\xbf\xff\xff" + b"\xff"
    head = smphdr.Header(op=smphdr.OP.READ, version=smphdr.Version.V2,
                         flags=smphdr.Flag(0), length=len(body),
                         group_id=GROUP, sequence=9, command_id=0)
    told = cbor2.loads(line.ask_raw(bytes(head) + body)[8:])
    assert told["time"] == 5


@pytest.mark.parametrize("row", VECTORS["frames"], ids=lambda r: r["what"])
def test_vectors_of_frames(row):
    data, line = bytes.fromhex(row["packet"]), bytes.fromhex(row["line"])
    assert b"".join(packet.encode(data, line_length=128)) == line
    decoder = packet.decode()
    next(decoder)
    with pytest.raises(StopIteration) as e:
        for part in line.splitlines(keepends=True):
            decoder.send(part)
    assert bytes(e.value.value) == data


@pytest.mark.parametrize("row", VECTORS["exchanges"],
                         ids=lambda r: r["message"])
def test_vectors_of_messages(row):
    for part in "request", "answer":
        data = bytes.fromhex(row[part])
        head = smphdr.Header.loads(data[:8])
        assert head.group_id == GROUP and head.length == len(data) - 8
        assert cbor2.dumps(cbor2.loads(data[8:])) == data[8:]
        line = bytes.fromhex(row[part + "_line"])
        assert b"".join(packet.encode(data, line_length=128)) == line


def test_the_page_shows_the_vectors():
    page = (ROOT / "docs/protocol/link.md").read_text()
    shown = subprocess.run([ROOT / "test/vectors/link.py", "--page"],
                           capture_output=True, text=True, check=True).stdout
    assert page.endswith(shown)
    made = subprocess.run([ROOT / "test/vectors/link.py"],
                          capture_output=True, text=True, check=True).stdout
    assert json.loads(made) == VECTORS
