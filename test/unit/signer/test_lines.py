"""Line CAs that the running signer makes, and what a server that is not its
friend cannot do with them."""
import os
import subprocess
import time

import pytest
from cryptography import x509

from harness import (EAGAIN, EAUTH, EINPUT, EPOLICY, Link, Refused, Signer,
                     program)

LINES = """
issuer "lines" {{
  certificate = "{dir}/server/lines.crt"
  key = "{dir}/signer/keys/lines.key"
  crl_hours = 48
  lines = {most}
}}
profile "serves" {{
  version = 1
  issuer = "issuing"
  eku = {{serverAuth, 1.3.6.1.4.1.4711.9}}
  san = {{"DNS:{{device}}.dev.example"}}
}}
profile "bare" {{
  version = 1
  issuer = "issuing"
  eku = {{}}
}}
"""
CLIENT, SERVER, OWN = "1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.1", \
    "1.3.6.1.4.1.4711.9"


def make(tmp_path, most=20):
    s = Signer(program(), tmp_path,
               lambda conf: conf + LINES.format(dir=tmp_path, most=most))
    s.init()
    s.command("issuer", "--issuer", "lines")
    s.start()
    return s


def recipient(folder, kind=("ec", "-pkeyopt", "ec_paramgen_curve:P-256")):
    subprocess.run(["openssl", "req", "-x509", "-newkey", *kind, "-nodes",
                    "-keyout", folder / "to.key", "-subj", "/CN=l3",
                    "-outform", "DER", "-out", folder / "to.der"],
                   check=True, capture_output=True)
    return (folder / "to.der").read_bytes()


@pytest.fixture(scope="module")
def signer(tmp_path_factory):
    Link.heard.clear()
    s = make(tmp_path_factory.mktemp("lines"))
    yield s
    s.kill()


@pytest.fixture(scope="module")
def to(tmp_path_factory):
    return recipient(tmp_path_factory.mktemp("to"))


@pytest.fixture(scope="module")
def line(signer, to):
    return signer["ops"].call("line_make", "l3-b7", "l3", to, b"")


def refused(code, f, *args):
    with pytest.raises(Refused) as e:
        f(*args)
    assert e.value.code == code, e.value


def begin(signer, name, number=1):
    now = int(time.time())
    return signer["ops"].call("crl_begin", name, number, now, now + 3600,
                               1, b"")


def test_it_is_journalled_before_it_leaves(signer, line):
    made, given = [x for x in signer.journal() if x["kind"] in (
        "certificate", "export")][:2]
    assert (made["issuer"], made["device"], made["profile"],
            made["authority"]) == ("lines", "l3-b7", "line+ca@1", "line:l3")
    assert (given["kind"], given["issuer"], given["device"]) == (
        "export", "l3-b7", "l3")
    _, sealed, kept = line
    for blob in (sealed, kept):  # neither is PKCS#8 in the clear
        assert b"\x02\x01\x00\x30\x13\x06\x07" not in blob
    # nothing of it is a file of the signer's
    names = [f for _, _, files in os.walk(signer.dir) for f in files]
    assert not [f for f in names if "l3-b7" in f]


@pytest.mark.parametrize("profiles, purposes", [
    ("plain", {CLIENT}), ("plain few", {CLIENT}), ("bare", {CLIENT, SERVER}),
    ("plain serves", {CLIENT, SERVER, OWN}), ("", {CLIENT, SERVER, OWN})])
def test_it_is_good_for_what_its_profiles_are(signer, to, profiles, purposes):
    """And it names no server but devices: never the centre, and no address."""
    der, _, _ = signer["ops"].call(
        "line_make", "p-" + profiles.replace(" ", "-"), "l3", to,
        profiles.encode())
    e = x509.load_der_x509_certificate(der).extensions
    own = e.get_extension_for_class(x509.ExtendedKeyUsage)
    assert {o.dotted_string for o in own.value} == purposes
    if SERVER not in purposes:
        with pytest.raises(x509.ExtensionNotFound):
            e.get_extension_for_class(x509.NameConstraints)
        return
    names = e.get_extension_for_class(x509.NameConstraints)
    assert not names.critical and names.value.permitted_subtrees is None
    assert {str(n.value) for n in names.value.excluded_subtrees} == {
        "localhost", "0.0.0.0/0", "::/0"}


def test_no_configuration_is_signed_below_it(signer, line):
    der, _, kept = line
    refused(EPOLICY, signer["ocsp"].call, "ocsp_start", "l3-b7", der, kept, 1)
    signer["ocsp"].call("ocsp_start", "l3-b7", der, kept, 0)


def test_its_profiles_are_the_configurations(signer, to):
    for profiles in (b"none", b"plain none", b"plain plain", b" "):
        refused(EPOLICY, signer["ops"].call, "line_make", "l3-x", "l3", to,
                profiles)


def test_its_list_is_by_its_key(signer, line, tmp_path):
    der, _, kept = line
    refused(EPOLICY, begin, signer, "l3-b7")
    signer["ops"].call("line_open", "l3-b7", der, kept)
    (number,) = begin(signer, "l3-b7")
    n, _ = signer["ops"].call("crl_sign", 0)
    (crl,) = signer["ops"].call("crl_read", 0, n)
    (tmp_path / "l.crl").write_bytes(crl)
    subprocess.run(["openssl", "x509", "-inform", "DER", "-out",
                    tmp_path / "l.crt"], input=der, check=True)
    p = subprocess.run(["openssl", "crl", "-inform", "DER", "-in",
                        tmp_path / "l.crl", "-CAfile", tmp_path / "l.crt",
                        "-noout"], capture_output=True, text=True)
    assert "verify OK" in p.stderr, p
    last = signer.journal()[-1]
    assert (last["kind"], last["issuer"], last["authority"],
            last["number"]) == ("crl", "l3-b7", "lines", number)
    # all of theirs have one run of numbers; a restart knows it
    signer.kill()
    signer.start()
    signer["ops"].call("line_open", "l3-b7", der, kept)
    assert begin(signer, "l3-b7")[0] > number


@pytest.mark.parametrize("what", ["name", "kept", "cut", "empty", "cert",
                                  "version"])
def test_what_was_not_kept_for_it_opens_nothing(signer, line, to, what):
    der, _, kept = line
    other = signer["ops"].call("line_make", f"other-{what}", "l3", to, b"")
    name, cert, blob = {
        "name": (f"other-{what}", der, kept),
        "kept": ("l3-b7", der, other[2]),
        "cut": ("l3-b7", der, kept[:-1]),
        "empty": ("l3-b7", der, b""),
        "cert": ("l3-b7", other[0], kept),
        "version": ("l3-b7", der, b"\x01" + kept[1:])}[what]
    with pytest.raises(Refused) as e:
        signer["ops"].call("line_open", name, cert, blob)
    assert e.value.code in (EAUTH, EPOLICY), (what, e.value)
    refused(EPOLICY, begin, signer, "l3-b7")


def test_what_is_not_made(signer, to, tmp_path):
    before = len(signer.journal())
    call = signer["ops"].call
    for name, station, cert in (("lines", "l3", to), ("issuing", "l3", to),
                                ("", "l3", to), ("A B", "l3", to),
                                ("x", "", to), ("x", "l3", b"nothing")):
        refused(EINPUT, call, "line_make", name, station, cert, b"")
    # a key that nothing can be sealed for
    ed = recipient(tmp_path, ("ed25519",))
    refused(EINPUT, call, "line_make", "x", "l3", ed, b"")
    assert len(signer.journal()) == before


def test_so_many_a_day_whatever_starts_anew(tmp_path):
    Link.heard.clear()
    to = recipient(tmp_path)
    folder = tmp_path / "ed"
    folder.mkdir()
    ed = recipient(folder, ("ed25519",))
    s = make(tmp_path, most=2)
    try:
        for _ in range(3):  # what is refused spends nothing
            refused(EINPUT, s["ops"].call, "line_make", "l3-x", "l3", ed, b"")
        noted = tmp_path / "signer/line-masters"
        noted.mkdir()  # it cannot be noted by what they are kept
        for _ in range(3):
            refused(EAGAIN, s["ops"].call, "line_make", "l3-x", "l3", to, b"")
        noted.rmdir()
        for n in range(2):
            s["ops"].call("line_make", f"l3-{n}", "l3", to, b"")
        refused(EPOLICY, s["ops"].call, "line_make", "l3-2", "l3", to, b"")
        s.kill()
        s.start()
        refused(EPOLICY, s["ops"].call, "line_make", "l3-2", "l3", to, b"")
    finally:
        s.kill()


def test_the_master_that_they_are_kept_by_stays(tmp_path):
    """Tokens may have gone on to another one: lists are signed by it still."""
    Link.heard.clear()
    s = make(tmp_path)
    der, _, kept = s["ops"].call("line_make", "l3-b7", "l3",
                                 recipient(tmp_path), b"")
    s.stop()
    s.command("token-key")
    first, second = sorted((tmp_path / "signer/keys").glob("token-*.key"))
    away = tmp_path / "away"
    second.rename(away)  # of no use yet
    assert s.start().stop() == 0
    away.rename(second)
    first.rename(away)
    s.start()
    assert s.wait() != 0
    log = (tmp_path / "log").read_text()
    assert f"keys/{first.name} is gone" in log, log
    away.rename(first)
    s.start()
    s["ops"].call("line_open", "l3-b7", der, kept)
    s.kill()


def test_a_signer_without_such_an_issuer_makes_none(tmp_path):
    Link.heard.clear()
    s = Signer(program(), tmp_path)
    s.init()
    s.start()
    try:
        refused(EPOLICY, s["ops"].call, "line_make", "x", "l3",
                recipient(tmp_path), b"")
        refused(EAUTH, s["ops"].call, "line_open", "x", b"cert", b"key")
    finally:
        s.kill()
