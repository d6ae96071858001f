"""A device that comes to another owner, or back with another board."""
import base64
import hashlib
import json
import subprocess
import threading

import pytest

import postgres
from test_batches import Factory
from test_est import IDEVID
from world import DAEMON, World, serial_of, until

FAULTS = True  # see world.py


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def world(request):
    database = postgres.shared().database() \
        if request.param == "postgresql" else None
    with World(profile="\tbearer = true", database=database) as w:
        w.start().product()
        yield w.product("second", ldevid_profile="thermo")


def enrolled(world, name, **more):
    """A device with a confirmed certificate: its state by serial."""
    t = world.token(name, door="bearer", **more)
    key, csr = world.key_and_csr(name)
    pem = world.save_p7(world.enrol_basic(t, csr), name)
    a = world.device_call("POST", "/.well-known/mintmark/confirm", cert=pem,
                          key=key)
    assert a.status in (200, 204), a
    return key, pem


def device(world, name):
    return world.rest("GET", f"/devices/{name}").json


def states(world, name):
    return {c["serial"]: c["state"] for c in device(world, name)
            ["certificates"]}


def entries(world, name):
    world.cli("ledger", "checkpoint")
    a = world.rest("GET", f"/devices/{name}/history?limit=1000")
    assert a.status == 200, a
    return [i["entry"] for i in a.json["items"]]


def renew(world, key, pem):
    csr = world.key_and_csr(key.stem + "-next", cn=key.stem)[1]
    return world.device_call(
        "POST", "/.well-known/est/simplereenroll",
        base64.encodebytes(csr.read_bytes()),
        {"Content-Type": "application/pkcs10"}, cert=pem, key=key)


def by_idevid(world, cert, key, name):
    """A first enrolment as the factory's certificate asks for one."""
    csr = world.key_and_csr(name, cn=name.rsplit("-", 1)[0])
    return world.device_call(
        "POST", "/.well-known/est/simpleenroll",
        base64.encodebytes(csr[1].read_bytes()),
        {"Content-Type": "application/pkcs10"}, cert=cert, key=key), csr[0]


@pytest.mark.parametrize("where", ["sqlite", "postgresql"])
def test_a_new_owner_by_the_idevid(where):
    """Where the transfer says so: as often as it changes hands, and never
    what is not there any more."""
    with World(profile="\tbearer = true", extra=IDEVID, database=postgres
               .shared().database() if where == "postgresql" else None) as w:
        w.start().product(idevid_profile="factory")
        for name in ("second", "third"):
            w.product(name, ldevid_profile="thermo",
                      idevid_profile="factory")
        t = w.token("TI-1", door="bearer", profile="factory")
        key, csr = w.key_and_csr("TI-1")
        factory = w.save_p7(w.enrol_basic(t, csr), "TI-1")
        a, first = by_idevid(w, factory, key, "TI-1-a")
        assert a.status == 200, a
        # without a word of it, the claim is spent
        w.cli("device", "transfer", "TI-1", "--product", "second",
              "--reason", "sold", "--yes")
        a, _ = by_idevid(w, factory, key, "TI-1-b")
        assert a.status == 403 and "certificate-revoked" in a.text, a
        seen = set()
        for n, product in enumerate(("third", "second", "third")):
            p = w.cli("device", "transfer", "TI-1", "--product", product,
                      "--reason", "sold", "--idevid", "--yes")
            a, new = by_idevid(w, factory, key, f"TI-1-{n}")
            assert a.status == 200, (p, a)
            crt = w.save_p7(a, f"ldev{n}")
            # the same again is the same, another key replaces it until used
            b = w.device_call(
                "POST", "/.well-known/est/simpleenroll",
                base64.encodebytes((new.parent / f"TI-1-{n}.csr")
                                   .read_bytes()),
                {"Content-Type": "application/pkcs10"}, cert=factory,
                key=key)
            assert b.status == 200 and b.body == a.body
            assert w.device_call("POST", "/.well-known/mintmark/confirm",
                                 cert=crt, key=new).status == 204
            got = [c for c in device(w, "TI-1")["certificates"]
                   if not c["idevid"] and c["state"] == "confirmed"]
            assert len(got) == 1, got
            c = w.rest("GET", f"/certificates/{got[0]['serial']}").json
            assert c["product"] == product, c
            seen.add(got[0]["serial"])
            a, _ = by_idevid(w, factory, key, f"TI-1-again{n}")
            assert a.status == 409 and "already-confirmed" in a.text, a
        assert len(seen) == 3
        permission_ends(w)
        told = [e for e in entries(w, "TI-1") if e.get("action", "")
                .startswith("transfer")]
        assert [e["action"] for e in told].count("transfer-idevid") == 3
        out = json.loads(w.cli("--json", "ledger", "reconcile", "--config",
                               w.conf).stdout)
        assert out["agree"], out


def permission_ends(w):
    """One that nobody used is over with the next transfer: when the device
    comes to that product again, nobody has said so."""
    t = w.token("TI-2", door="bearer", profile="factory")
    key, csr = w.key_and_csr("TI-2")
    factory = w.save_p7(w.enrol_basic(t, csr), "TI-2")
    a, _ = by_idevid(w, factory, key, "TI-2-a")
    assert a.status == 200, a
    for product, more in (("second", ["--idevid"]), ("third", []),
                          ("second", [])):
        w.cli("device", "transfer", "TI-2", "--product", product,
              "--reason", "sold", "--yes", *more)
    a, _ = by_idevid(w, factory, key, "TI-2-b")
    assert a.status == 403 and "certificate-revoked" in a.text, a


def slowed(w, name):
    """A transfer that takes its time, and a certificate, and a token, of the
    time between its last look and its turn.  Its answer, or None."""
    enrolled(w, name)
    done = []

    def transfer():
        try:
            done.append(w.rest("POST", f"/devices/{name}/transfer",
                               {"product": "second", "reason": "sold"}))
        except OSError:
            done.append(None)
    t = threading.Thread(target=transfer)
    t.start()
    until(lambda: "revoked" in states(w, name).values(), 20)
    # in the gap: of the product before
    late = w.token(name, door="bearer")
    key, csr = w.key_and_csr(f"{name}-late", cn=name)
    a = w.enrol_basic(late, csr)
    w.token(name, door="bearer")
    in_time = device(w, name)["product"] == "thermo"
    t.join(60)
    if not in_time:
        pytest.skip("a slow machine")
    assert a.status == 200, a
    return done[0]


def nothing_left(w, name, mine=()):
    assert device(w, name)["product"] == "second"
    assert set(states(w, name).values()) - set(mine) == {"revoked"}
    tokens = w.rest("GET", f"/tokens?device={name}").json["items"]
    assert {x["state"] for x in tokens} - set(mine) <= {
        "confirmed", "cancelled"}


def test_what_comes_between_the_last_look_and_the_turn():
    """A certificate that is issued, and a token that is minted, while a
    transfer is on its way: neither survives it."""
    if b"MINTMARK_SLOW_AT" not in DAEMON.read_bytes():
        pytest.skip("a build without faults")
    with World(profile="\tbearer = true") as w:
        w.start(env={"MINTMARK_SLOW_AT": "transfer:3000000"}).product()
        w.product("second", ldevid_profile="thermo")
        a = slowed(w, "TR-1")
        assert a is not None and a.status == 200, a
        nothing_left(w, "TR-1")


def test_a_transfer_that_failed_after_its_turn_is_finished():
    """By the same call; what the new owner has meanwhile is not touched."""
    if b"MINTMARK_SLOW_AT" not in DAEMON.read_bytes():
        pytest.skip("a build without faults")
    with World(profile="\tbearer = true") as w:
        w.start(env={"MINTMARK_SLOW_AT": "transfer:3000000",
                     "MINTMARK_DIE_AT": "transferred:1"}).product()
        w.product("second", ldevid_profile="thermo")
        a = slowed(w, "TR-2")
        assert a is None or a.status >= 500, a
        w.wait_ready()
        assert device(w, "TR-2")["product"] == "second"
        assert "issued" in states(w, "TR-2").values()
        # the new owner's; and another change of the device after its turn
        t = w.token("TR-2", door="bearer", product="second")
        _, csr = w.key_and_csr("TR-2-new", cn="TR-2")
        new = serial_of(w.save_p7(w.enrol_basic(t, csr), "TR-2-new"))
        a = w.rest("PATCH", "/devices/TR-2", {"bound_spki_sha256": "aa" * 32})
        assert a.status == 200, a
        again = {"product": "second", "reason": "sold"}
        a = w.rest("POST", "/devices/TR-2/transfer", again)
        assert a.status == 200, a
        assert states(w, "TR-2")[new] == "issued"
        nothing_left(w, "TR-2", ["issued"])
        a = w.rest("POST", "/devices/TR-2/transfer", again)
        assert a.status == 409 and "nothing was ended" in a.text, a
        assert states(w, "TR-2")[new] == "issued"


def test_a_new_owner(world):
    key, pem = enrolled(world, "TO-1")
    old = world.token("TO-1", door="bearer")
    look = world.cli("device", "transfer", "TO-1", "--product", "second",
                     "--reason", "sold", "--dry-run")
    assert "1 certificate would be revoked" in look.stdout
    assert device(world, "TO-1")["product"] == "thermo"
    p = world.cli("--json", "device", "transfer", "TO-1", "--product",
                  "second", "--reason", "sold-to-acme", "--yes")
    assert json.loads(p.stdout)["product"] == "second"
    assert states(world, "TO-1") == {serial_of(pem): "revoked"}
    assert renew(world, key, pem).status == 403
    csr = world.key_and_csr("TO-1b", cn="TO-1")[1]
    assert world.enrol_basic(old, csr).status == 403
    told = entries(world, "TO-1")
    (turn,) = [e for e in told if e.get("action") == "transfer"]
    assert (turn["type"], turn["from"], turn["product"], turn["reason"]) == (
        "device.changed", "thermo", "second", "sold-to-acme")
    (gone,) = [e for e in told if e["type"] == "certificate.revoked"]
    assert gone["reason"] == "cessationOfOperation"
    # the new owner's token
    new = world.token("TO-1", door="bearer", product="second")
    assert world.enrol_basic(new, csr).status == 200
    # the same again touches nothing of the new owner's, and says so
    look = world.cli("device", "transfer", "TO-1", "--product", "second",
                     "--reason", "again", "--dry-run")
    assert "nothing would be ended" in look.stdout
    p = world.cli("device", "transfer", "TO-1", "--product", "second",
                  "--reason", "again", "--yes", check=False)
    assert p.returncode == 5 and "already" in p.stderr
    assert sorted(states(world, "TO-1").values()) == ["issued", "revoked"]


def test_what_cannot_come_loses_nothing(world):
    """Its attributes do not fit: it is as it was."""
    world.product("strict", ldevid_profile="thermo")
    a = world.rest("PUT", "/products/strict/schema", {
        "type": "object", "required": ["lot"],
        "properties": {"lot": {"type": "string"}}})
    assert a.status in (200, 201), a
    _, pem = enrolled(world, "TO-2")
    a = world.rest("POST", "/devices/TO-2/transfer",
                   {"product": "strict", "reason": "sold"})
    assert a.status == 400 and "lot" in a.text
    assert states(world, "TO-2")[serial_of(pem)] == "confirmed"
    assert device(world, "TO-2")["product"] == "thermo"


def test_another_board(world):
    key, pem = enrolled(world, "RB-1")
    factory = Factory(world)
    line = factory.station("rb-line")
    # as long as the first board is in the field the line gives no other key
    factory.csr[0] = base64.b64encode(world.key_and_csr("RB-1b", cn="RB-1")[
        1].read_bytes()).decode()
    b = factory.batch(3, serials="RB-{1..9}")
    a = factory.enrol("RB-1", key=line, batch=b["id"])
    assert a.status == 403 and "field" in a.text
    look = world.cli("device", "repair", "RB-1", "--reason", "rma-1",
                     "--dry-run")
    assert "another key" in look.stdout
    world.cli("device", "repair", "RB-1", "--reason", "rma-1", "--yes")
    assert states(world, "RB-1") == {serial_of(pem): "revoked"}
    assert renew(world, key, pem).status == 403
    assert factory.enrol("RB-1", key=line, batch=b["id"]).status == 200
    assert sorted(states(world, "RB-1").values()) == ["issued", "revoked"]
    told = entries(world, "RB-1")
    (turn,) = [e for e in told if e.get("action") == "repair"]
    assert (turn["type"], turn["reason"]) == ("device.changed", "rma-1")
    (gone,) = [e for e in told if e["type"] == "certificate.revoked"]
    assert gone["reason"] == "superseded"


def test_a_repair_said_again_spares_the_new_board(world):
    _, old = enrolled(world, "RB-3")
    key, csr = world.key_and_csr("RB-3b", cn="RB-3")
    pub = subprocess.run(["openssl", "pkey", "-in", key, "-pubout",
                          "-outform", "DER"], capture_output=True,
                         check=True).stdout
    said = {"reason": "rma", "bound_spki_sha256":
            hashlib.sha256(pub).hexdigest()}
    assert world.rest("POST", "/devices/RB-3/repair", said).status == 200
    t = world.token("RB-3", door="bearer")
    new = world.save_p7(world.enrol_basic(t, csr), "RB-3b")
    assert world.rest("POST", "/devices/RB-3/repair", said).status == 200
    assert states(world, "RB-3") == {serial_of(old): "revoked",
                                     serial_of(new): "issued"}


def test_another_boards_key_is_recorded(world):
    world.rest("POST", "/devices", {"id": "RB-2", "product": "thermo",
                                    "bound_spki_sha256": "aa" * 32})
    a = world.rest("POST", "/devices/RB-2/repair",
                   {"reason": "x", "bound_spki_sha256": "bb" * 32})
    assert a.json["bound_spki_sha256"] == "bb" * 32
    a = world.rest("POST", "/devices/RB-2/repair", {"reason": "x"})
    assert "bound_spki_sha256" not in a.json


@pytest.mark.parametrize("path, body, status", [
    ("transfer", {"product": "second"}, 400),
    ("transfer", {"reason": "x"}, 400),
    ("transfer", {"product": "nosuch", "reason": "x"}, 404),
    ("transfer", {"product": "second", "reason": "Two words"}, 400),
    ("repair", {}, 400),
    ("repair", {"reason": "x", "bound_spki_sha256": "zz"}, 400),
])
def test_what_is_no_turn(world, path, body, status):
    world.rest("POST", "/devices", {"id": "NT-1", "product": "thermo"})
    a = world.rest("POST", f"/devices/NT-1/{path}", body)
    assert a.status == status, a
    assert device(world, "NT-1")["product"] == "thermo"


def test_what_is_retired_stays_so(world):
    world.rest("POST", "/devices", {"id": "NT-2", "product": "thermo"})
    world.rest("POST", "/devices/NT-2/retire", {})
    for path, body in (("transfer", {"product": "second", "reason": "x"}),
                       ("repair", {"reason": "x"})):
        a = world.rest("POST", f"/devices/NT-2/{path}", body)
        assert a.status == 409 and "retired" in a.text
