"""Confirmation at the line: POST /devices/{id}/proof with what a device
signed.  It is as good as the device's first mutual TLS, and no better."""
import base64

import pytest

import possession


@pytest.fixture(scope="module")
def line(world):
    """A credential of role line."""
    world.product()
    a = world.rest("POST", "/keys", {"name": "line", "roles": ["line"]})
    assert a.status == 201, a
    return a.json["key"]


def enrol(world, line, name):
    world.rest("POST", "/devices", {"id": name, "product": "thermo"},
               key=line)
    key, csr = world.key_and_csr(name)
    a = world.rest("POST", f"/devices/{name}/enrol",
                   {"csr": base64.b64encode(csr.read_bytes()).decode()},
                   key=line)
    assert a.status == 200, a
    return key, a.json["serial"]


def state(world, serial):
    return world.rest("GET", f"/certificates/{serial}").json["state"]


def test_a_proof_confirms_once(world, line):
    key, serial = enrol(world, line, "proof-1")
    body = possession.proof(key, possession.der_of(world, serial), serial,
                            b"\x01\xff chip")
    assert state(world, serial) == "issued"
    for _ in range(2):
        a = world.rest("POST", "/devices/proof-1/proof", body, key=line)
        assert a.status == 200 and a.json == {"state": "confirmed"}, a
    assert state(world, serial) == "confirmed"
    entries = world.rest("GET", "/ledger/entries?device=proof-1").json["items"]
    kinds = [e["type"] if "type" in e else e["entry"]["type"]
             for e in entries]
    assert kinds.count("certificate.confirmed") == 1, kinds


def test_what_is_no_proof(world, line):
    key, serial = enrol(world, line, "proof-2")
    other, other_serial = enrol(world, line, "proof-3")
    der = possession.der_of(world, serial)
    good = possession.proof(key, der, serial)
    rows = [
        (400, "possession-not-proved", possession.proof(other, der, serial)),
        (400, "possession-not-proved",
         {**good, "nonce": "00" * 32}),
        (400, "possession-not-proved", {**good, "hardware": "32"}),
        (400, "possession-not-proved",
         possession.proof(key, possession.der_of(world, other_serial),
                          serial)),
        (400, "possession-not-proved",
         possession.proof(key, der, serial, label=b"mintmark-other")),
        (400, "possession-not-proved", {**good, "signature": ""}),
        (400, None, {**good, "signature": "%"}),
        (400, None, {**good, "hardware": ""}),
        (400, None, {**good, "hardware": "3"}),
        (400, None, {**good, "hardware": "31" * 33}),
        (400, None, {**good, "serial": "x"}),
        (400, None, {**good, "more": 1}),
        (400, None, {k: v for k, v in good.items() if k != "nonce"}),
        (404, None, {**good, "serial": "0" * 32}),
        (404, None, possession.proof(
            other, possession.der_of(world, other_serial), other_serial)),
    ]
    for status, reason, body in rows:
        a = world.rest("POST", "/devices/proof-2/proof", body, key=line)
        assert a.status == status, (a, body)
        assert a.json.get("reason") == reason, (a, body)
    assert state(world, serial) == "issued"
    for roles in (["operator"], ["support"], ["auditor"]):
        k = world.rest("POST", "/keys", {"name": "x", "roles": roles}).json
        a = world.rest("POST", "/devices/proof-2/proof", good, key=k["key"])
        assert a.status == 403, a
    # What was wrong spoilt nothing.
    a = world.rest("POST", "/devices/proof-2/proof", good, key=line)
    assert a.status == 200, a


def test_a_revoked_certificate_is_not_confirmed(world, line):
    key, serial = enrol(world, line, "proof-4")
    body = possession.proof(key, possession.der_of(world, serial), serial)
    assert world.rest("POST", f"/certificates/{serial}/revoke",
                      {"reason": "keyCompromise"}).status == 200
    a = world.rest("POST", "/devices/proof-4/proof", body, key=line)
    assert a.status == 403 and \
        a.json["reason"] == "certificate-revoked", a
