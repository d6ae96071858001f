"""The driver files: a bundle per device, with a key that the station made."""
import hashlib
import json
import os

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from station import Station
from world import run

LEAKS = True
FORMS = ("pem", "der", "header", "esp-secure-cert", "nvs", "hex")


@pytest.fixture(scope="module")
def station(world, tmp_path_factory):
    world.product()
    folder = tmp_path_factory.mktemp("files") / "station"
    s = Station(world, folder, f"files-{os.getpid()}", n=1)
    (folder / "bundles").mkdir()
    forms = ", ".join(f'"{f}"' for f in FORMS)
    s.conf.write_text(
        s.conf.read_text().partition("fixture")[0] +
        f'fixture "f1" {{\n\tdriver = files\n\tfolder = "{folder}/bundles"\n'
        f'\toutputs = {{{forms}}}\n\taddress = 0x1fe000\n}}\n'
        .replace("0x1fe000", str(0x1fe000)))
    try:
        yield s
    finally:
        s.close()


def bundle(station, serial):
    return station.dir / "bundles" / serial


def public(key):
    return key.public_bytes(serialization.Encoding.DER,
                            serialization.PublicFormat.SubjectPublicKeyInfo)


def test_a_bundle(station, tmp_path):
    first = station.passes("FI-1")
    cert = station.once("FI-1")
    assert cert["key_origin"] == "station"
    folder = bundle(station, "FI-1")
    made = json.loads((folder / "bundle.json").read_text())
    assert made["device"] == "FI-1" and made["key_made_by"] == "station"
    assert made["cert_sha256"] == cert["cert_sha256"]
    names = {f["name"] for f in made["files"]}
    assert {"certificate.der", "FI-1.pem", "FI-1.key", "FI-1.der",
            "FI-1-key.der", "FI-1.h", "FI-1-esp_secure_cert.bin",
            "FI-1-nvs.bin", "FI-1.hex"} <= names
    for f in made["files"]:
        path = folder / f["name"]
        assert hashlib.sha256(path.read_bytes()).hexdigest() == f["sha256"]
        assert path.stat().st_mode & 0o777 == \
            (0o600 if f["secret"] else 0o640), f
    assert folder.stat().st_mode & 0o777 == 0o700
    secret = {f["name"] for f in made["files"] if f["secret"]}
    assert secret == {"FI-1.key", "FI-1-key.der", "FI-1.h",
                      "FI-1-esp_secure_cert.bin", "FI-1-nvs.bin"}
    assert (folder / "private.pkcs8").stat().st_mode & 0o777 == 0o600
    key = serialization.load_pem_private_key(
        (folder / "FI-1.key").read_bytes(), None)
    leaf = x509.load_der_x509_certificate(
        (folder / "certificate.der").read_bytes())
    assert public(key.public_key()) == public(leaf.public_key())
    assert (folder / "locked").read_text().strip() == cert["cert_sha256"]
    # the record says who made the key, and verifies
    facts = station.record("FI-1")["facts"]
    assert facts["key_origin"] == {"grade": "observed", "value": "station"}
    assert facts["randomness"] == {"grade": "claimed",
                                   "value": "the station's own"}
    assert facts["lock_state"]["value"] == "locked"
    assert "hardware_id" not in facts
    ledger = tmp_path / "key"
    ledger.write_text(station.world.cli("ledger", "key").stdout)
    station.world.cli("device", "birth-record", "--verify", first["record"],
                      "--key", ledger, "--root", station.world.anchor)
    # once more is the same, not another
    was = (folder / "private.pkcs8").read_bytes()
    again = station.passes("FI-1")
    assert again["again"] and again["serial"] == first["serial"]
    assert (folder / "private.pkcs8").read_bytes() == was


def test_no_second_key_whatever_happened(station):
    conf = station.conf.read_text()
    station.conf.write_text(
        conf.replace(str(station.world.operators), "9")
        .replace("patience = 5s", "patience = 0s"))
    try:
        code, a = station.provision("FI-2")
        assert (code, a["reason"]) == (7, "centre-away"), a
    finally:
        station.conf.write_text(conf)
    # switched off after the request, before there is a bundle
    code, a = station.provision("key")  # a name as a file's
    assert code == 0, a
    folder = bundle(station, "FI-2")
    assert not (folder / "bundle.json").exists()
    station.passes("FI-2")
    key = (folder / "private.pkcs8").read_bytes()
    # half written: what is not named in bundle.json is no bundle
    (folder / "bundle.json").unlink()
    (folder / "FI-2.pem").write_text("")
    code, a = station.provision("FI-2")
    assert (code, a["reason"]) == (22, "certificate-gone"), a
    assert (folder / "private.pkcs8").read_bytes() == key
    station.once("FI-2")


def test_a_damaged_bundle_does_not_pass(station):
    station.passes("FI-3")
    folder = bundle(station, "FI-3")
    with open(folder / "FI-3-nvs.bin", "r+b") as f:
        f.write(b"x")
    code, a = station.provision("FI-3")
    assert (code, a["reason"]) == (22, "certificate-gone"), a
    (folder / "private.pkcs8").write_text("damaged")
    run(*station.argv("release", "--serial", "FI-3"))
    code, a = station.provision("FI-3")
    assert (code, a["reason"]) == (1, "bundle-failed"), a


@pytest.mark.parametrize("was, now, says", [
    ('"pem"', '"pkcs12"', "needs more"), ('"pem"', '"gif"', "no output"),
    ("address", "#address", "needs more"), ("folder", "#folder", "wants fol"),
    ("folder", 'port = "/dev/null"\n\tfolder', "neither port"),
    ("patience", 'signer = "/x"\noffline = always\npatience', "offline"),
])
def test_what_a_fixture_may_say(station, tmp_path, was, now, says):
    other = tmp_path / "other.conf"
    other.write_text(station.conf.read_text().replace(was, now))
    p = run(*station.argv("fixtures", "--config", other), check=False)
    assert p.returncode == 2 and says in p.stderr, p.stderr
