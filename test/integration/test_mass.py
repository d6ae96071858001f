"""Certificates revoked, held and released by selection: looked at first,
counted, and watched where four eyes are asked for."""
import base64
import json
import re

import pytest

import postgres
from test_batches import Factory
from test_operators import key, pages
from world import World


@pytest.fixture(scope="module")
def factory(world):
    return Factory(world)


@pytest.fixture
def made(world, factory, request):
    """A batch of three devices made by two stations."""
    tag = abs(hash(request.node.name)) % 10 ** 8
    stations = [f"l{n}-{tag}" for n in (1, 2)]
    keys = [factory.station(s) for s in stations]
    b = factory.batch(9, shares=[{"station": s, "share": 3}
                                 for s in stations])
    serials = [f"{b['first_serial'][:-3]}{n:03}" for n in (1, 2, 3)]
    for n, serial in enumerate(serials):
        _, csr = world.key_and_csr(serial)
        factory.csr[0] = base64.b64encode(csr.read_bytes()).decode()
        a = factory.enrol(serial, key=keys[n == 2], batch=b["id"])
        assert a.status == 200, a
    return b["id"], stations, serials


def mass(world, want=200, key=None, **body):
    a = world.rest("POST", "/certificates/revoke", body, key=key)
    assert a.status == want, a
    return a.json


def states(world, devices):
    return [world.rest("GET", f"/certificates?device={d}").json["items"][0]
            ["state"] for d in devices]


def test_a_batch_is_looked_at_then_revoked(world, factory, made):
    batch, _, serials = made
    look = mass(world, batch=batch, dry_run=True, reason="keyCompromise")
    assert (look["found"], look["changed"], look["dry_run"]) == (3, 0, True)
    assert look["states"] == {"issued": 3} and len(look["sample"]) == 3
    assert {s["device"] for s in look["sample"]} == set(serials)
    assert states(world, serials) == ["issued"] * 3
    done = mass(world, batch=batch, reason="keyCompromise")
    assert (done["found"], done["changed"], done["left"]) == (3, 3, False)
    assert states(world, serials) == ["revoked"] * 3
    told = [e for e in factory.every_entry()
            if e["type"] == "certificate.revoked" and e["device"] in serials]
    assert len(told) == 3 and {e["reason"] for e in told} == {"keyCompromise"}
    again = mass(world, batch=batch, reason="keyCompromise")
    assert (again["found"], again["changed"]) == (0, 0)
    assert again["states"] == {"revoked": 3}


def test_a_station_of_a_batch(world, made):
    batch, stations, serials = made
    assert mass(world, station=stations[1], reason="superseded")[
        "changed"] == 1
    assert states(world, serials) == ["issued", "issued", "revoked"]
    assert mass(world, batch=batch, station=stations[0], dry_run=True)[
        "found"] == 2


def test_a_hold_can_be_undone_and_nothing_else(world, made):
    batch, _, serials = made
    mass(world, batch=batch, station=made[1][1], reason="superseded")
    assert mass(world, batch=batch, action="hold")["changed"] == 2
    assert states(world, serials) == ["held", "held", "revoked"]
    assert mass(world, batch=batch, action="release")["changed"] == 2
    assert states(world, serials)[2] == "revoked"
    assert "held" not in states(world, serials)


def test_conditions_narrow_it(world, made):
    batch, _, serials = made
    rows = [({"issuer": "issuing"}, 3), ({"issuer": "nosuch"}, 0),
            ({"product": "thermo"}, 3), ({"key_type": "p256"}, 3),
            ({"key_type": "rsa2048"}, 0),
            ({"issued_from": "2020-01-01T00:00:00Z"}, 3),
            ({"issued_to": "2020-01-01T00:00:00Z"}, 0)]
    for more, want in rows:
        assert mass(world, batch=batch, dry_run=True, **more)["found"] == \
            want, more
    assert mass(world, device=serials[0], dry_run=True)["found"] == 1
    assert mass(world, product="thermo", dry_run=True)["found"] >= 3


def test_all_conditions_hold(world, made, tmp_path):
    """A device beside a batch or a station; serial numbers beside anything:
    in the API, and of a file."""
    batch, (one, two), serials = made
    lower = serials[0].lower()
    for more, want in (({"batch": batch}, 1), ({"station": one}, 1),
                       ({"station": two}, 0),
                       ({"batch": batch, "station": one}, 1)):
        for device in (serials[0], lower):
            assert mass(world, device=device, dry_run=True, **more)[
                "found"] == want, (device, more)
    mass(world, 404, device=lower, dry_run=True, batch="nosuch")
    certs = [world.rest("GET", f"/certificates?device={d}").json["items"][0]
             ["serial"] for d in serials]
    csv = tmp_path / "all.csv"
    csv.write_text("\n".join(certs) + "\n")
    rows = [({"batch": batch}, 3), ({"batch": batch, "station": two}, 1),
            ({"device": lower}, 1), ({"product": "nosuch"}, 0),
            ({"key-type": "rsa2048"}, 0),
            ({"issued-to": "2020-01-01T00:00:00Z"}, 0)]
    for more, want in rows:
        body = {k.replace("-", "_"): v for k, v in more.items()}
        assert mass(world, serials=certs, dry_run=True, **body)[
            "found"] == want, more
        p = world.cli("--json", "cert", "revoke", "--csv", csv, "--dry-run",
                      *(x for k, v in more.items() for x in ("--" + k, v)))
        assert json.loads(p.stdout)["found"] == want, more
    mass(world, 400, serials=certs, station=two, dry_run=True)
    mass(world, batch=batch, device=lower, reason="keyCompromise")
    assert states(world, serials) == ["revoked", "issued", "issued"]


def test_what_it_refuses(world):
    rows = [{}, {"reason": "keyCompromise"}, {"batch": "x", "reason": "moon"},
            {"batch": "x", "reason": "certificateHold"},
            {"batch": "x", "action": "hold", "reason": "superseded"},
            {"batch": "x", "action": "burn"}, {"bach": "x"},
            {"serials": ["12"]}, {"serials": ["0" * 32] * 1001},
            {"key_type": "rsa7", "batch": "x"}]
    # a script's unset variable is no condition that is left out
    rows += [{"product": "thermo", "dry_run": True, name: None}
             for name in ("batch", "serials", "device", "where", "station",
                          "issued_from", "reason", "action", "dry_run")]
    for body in rows:
        assert world.rest("POST", "/certificates/revoke", body).status == \
            400, body
    limited = key(world, "limited", roles=["admin"], products=["thermo"])
    assert world.rest("POST", "/certificates/revoke", {"product": "thermo"},
                      key=limited).status == 403


def test_the_command_line(world, made, tmp_path):
    batch, stations, serials = made
    p = world.cli("cert", "revoke", "--batch", batch, "--dry-run")
    assert "3 certificates would be changed" in p.stdout and \
        serials[0] in p.stdout
    p = world.cli("cert", "revoke", "--batch", batch, check=False)
    assert p.returncode == 3 and "--dry-run" in p.stderr
    certs = [world.rest("GET", f"/certificates?device={d}").json["items"][0]
             for d in serials]
    csv = tmp_path / "stolen.csv"
    csv.write_text("serial,why\n" + "".join(
        f"{c['serial']},stolen\n" for c in certs[:2]) + "0" * 32 + ",x\n")
    p = world.cli("--json", "cert", "revoke", "--csv", csv, "--yes",
                  "--reason", "keyCompromise")
    told = json.loads(p.stdout)
    assert (told["changed"], told["unknown"]) == (2, 1)
    p = world.cli("cert", "hold", "--station", stations[1], "--yes")
    assert "1 changed" in p.stdout
    assert states(world, serials) == ["revoked", "revoked", "held"]
    world.cli("cert", "release", "--station", stations[1], "--yes")
    p = world.cli("cert", "revoke", certs[2]["serial"], "--batch", batch,
                  check=False)
    assert p.returncode == 2 and "not both" in p.stderr
    for text, line in (("serial\nnonsense\n", 2), ("0" * 31 + "\n", 1),
                       ("0" * 31 + "O,x\n" + "0" * 32 + "\n", 1)):
        csv.write_text(text)
        p = world.cli("cert", "revoke", "--csv", csv, "--yes", check=False)
        assert p.returncode == 2 and f"line {line} " in p.stderr, text
    for text in ("\ufeff" + "0" * 32 + "\n", '"' + "0" * 32 + '",x\r\n',
                 '\ufeff"Serial number"\n"' + "0" * 32 + '"\n'):
        csv.write_text(text)
        p = world.cli("--json", "cert", "revoke", "--csv", csv, "--yes")
        assert json.loads(p.stdout)["unknown"] == 1, text


def test_call_by_call(world, made):
    """A certificate a call: the next call goes on where the last one ended,
    and is the same but for that."""
    batch, stations, serials = made
    where = {"batch": batch, "dry_run": True}
    one = mass(world, **where)
    assert one["found"] == 3 and "next" not in one
    body = {"batch": batch, "reason": "superseded"}
    path, changed, seen = "/certificates/revoke?limit=1", [], ""
    while True:
        a = world.rest("POST", path + seen, body)
        assert a.status == 200, a
        changed.append(a.json["changed"])
        assert a.json["left"] == ("next" in a.json)
        if not a.json["left"]:
            break
        seen = "&after=" + a.json["next"]
    assert changed == [1, 1, 1, 0]
    assert states(world, serials) == ["revoked"] * 3
    for query, b in ((seen, where), (seen[:7] + "A" * 10 + seen[17:], body),
                     ("&after=AAAA", body), ("&after=%00", body)):
        assert world.rest("POST", path + query, b).status == 400, (query, b)
    for limit in ("0", "10001", "-1", "x"):
        a = world.rest("POST", f"/certificates/revoke?limit={limit}", body)
        assert a.status == 400, a


def test_the_command_goes_on(world, made, tmp_path):
    batch, stations, serials = made
    last = world.rest("GET", f"/certificates?device={serials[2]}").json[
        "items"][0]["serial"]
    for verb, *selection in (
            ("hold", "--batch", batch), ("release", "--station", stations[0]),
            ("release", "--batch", batch, "--station", stations[1])):
        p = world.cli("--json", "cert", verb, *selection, "--limit", "1",
                      "--yes")
        told = json.loads(p.stdout)
        want = {"hold": 3}.get(verb, 2 if batch not in selection else 1)
        assert (told["changed"], told["left"]) == (want, False), selection
    csv = tmp_path / "two-parts.csv"
    csv.write_text("".join(f"{n:032x}\n" for n in range(1000)) + last + "\n")
    p = world.cli("cert", "revoke", "--csv", csv, "--yes")
    assert "1 changed, 0 refused, 1000 unknown" in p.stdout
    assert states(world, serials)[2] == "revoked"
    p = world.cli("cert", "revoke", "--batch", batch, "--yes", "--limit",
                  "0x", check=False)
    assert p.returncode == 2


# ---- by an attribute of the device ----

GAUGE = {"properties": {
    "hw_rev": {"type": "string", "maxLength": 8, "x-indexed": True},
    "lot": {"type": "integer", "x-indexed": True}, "grade": {"type": "string"}}}


class Gauges:
    """Five devices with attributes and a certificate each, and what a
    selection of them finds."""

    def __init__(self, world, product="gauge", prefix="GA"):
        self.world = world.product(product, ldevid_profile="thermo")
        a = world.rest("PUT", f"/products/{product}/schema", GAUGE)
        assert a.status == 200, a
        self.names = [f"{prefix}-{n}" for n in range(5)]
        for n, name in enumerate(self.names):
            a = world.rest("POST", "/devices", {
                "id": name, "product": product, "attributes": {
                    "hw_rev": "B0" if n < 3 else "A1", "lot": 100 + n,
                    "grade": "x"}})
            assert a.status == 201, a
            self.enrol(name)

    def enrol(self, name, **more):
        key, csr = self.world.key_and_csr(name)
        a = self.world.rest("POST", f"/devices/{name}/enrol", {
            "csr": base64.b64encode(csr.read_bytes()).decode(), **more})
        assert a.status == 200, a
        pem = self.world.dir / f"{name}.crt"
        pem.write_text(a.json["certificate"])
        return pem, key

    def call(self, path, want, body=b"", **credential):
        a = self.world.device_call(
            "POST", f"/.well-known/{path}", body,
            {"Content-Type": "application/pkcs10"}, **credential)
        assert a.status == want, a
        return a

    def renew(self, name):
        """Confirmed, so that both certificates are in force."""
        w = self.world
        key, csr = w.key_and_csr(f"{name}-new", cn=name)
        a = self.call("est/simplereenroll", 200,
                      base64.encodebytes(csr.read_bytes()),
                      cert=w.dir / f"{name}.crt", key=w.dir / f"{name}.key")
        self.call("mintmark/confirm", 204, cert=w.save_p7(a, f"{name}-new"),
                  key=key)

    def change(self, name, **attributes):
        a = self.world.rest("PATCH", f"/devices/{name}", {
            "attributes": attributes})
        assert a.status == 200, a

    def find(self, where, **more):
        return mass(self.world, where=where, dry_run=True,
                    **{"product": "gauge", **more})["found"]

    def calls(self, limit, between=lambda n: None, **body):
        """What each call of a selection changed."""
        changed, seen = [], ""
        while True:
            a = self.world.rest("POST", f"/certificates/revoke?limit={limit}"
                                f"{seen}", {"product": "gauge", **body})
            assert a.status == 200, a
            changed.append(a.json["changed"])
            if not a.json["left"]:
                return changed
            seen = "&after=" + a.json["next"]
            between(len(changed))


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def gauges(world, request):
    if request.param == "sqlite":
        yield Gauges(world.product())
        return
    with World(database=postgres.shared().database()) as w:
        yield Gauges(w.start().product())


def test_an_attribute_selects(gauges):
    for where, found in (
            ("hw_rev=B0", 3), ("hw_rev=Z9", 0), ("lot>=101;lot<103", 2),
            ("hw_rev^=A", 2), ("hw_rev=B0;lot=102", 1),
            ("hw_rev=B0;lot=104", 0)):
        assert gauges.find(where) == found, where
    w = gauges.world
    serials = [w.rest("GET", f"/certificates?device={d}").json["items"][0]
               ["serial"] for d in gauges.names]
    for more, found in (({"device": "GA-1"}, 1), ({"device": "GA-4"}, 0),
                        ({"serials": serials[2:]}, 1),
                        ({"key_type": "p256"}, 3), ({"issuer": "other"}, 0),
                        ({"issued_to": "2020-01-01T00:00:00Z"}, 0)):
        assert gauges.find("hw_rev=B0", **more) == found, more
    look = mass(w, product="gauge", where="hw_rev=B0", dry_run=True)
    assert {s["device"] for s in look["sample"]} == set(gauges.names[:3])


def test_an_attribute_that_is_not_indexed_selects_nothing(gauges):
    """Nor does one whose name is wrong, or that another product may have."""
    for where, more in (
            ("grade=x", {}), ("hwrev=B0", {}), ("hw_rev=B0;grade=x", {}),
            ("hw_rev=B0", {"product": "thermo"}), ("hw_rev", {}), ("", {})):
        body = {"product": "gauge", "dry_run": True, **more, "where": where}
        a = gauges.world.rest("POST", "/certificates/revoke", body)
        assert a.status == 400, (where, a)
    a = gauges.world.rest("POST", "/certificates/revoke",
                          {"where": "hw_rev=B0"})
    assert a.status == 400 and "hw_rev is no indexed" in a.json["detail"], a
    p = gauges.world.cli("cert", "revoke", "--product", "gauge", "--where",
                         "", "--dry-run", check=False)
    assert p.returncode == 2 and "where: is empty" in p.stderr


def test_of_a_batch_by_an_attribute(gauges):
    w = gauges.world
    w.rest("POST", "/batches", {
        "id": "gb", "product": "gauge", "until": "2099-01-01T00:00:00Z",
        "quantity": 2, "serials": "GB-{1..2}"})
    for n in (1, 2):
        a = w.rest("POST", "/devices", {
            "id": f"GB-{n}", "product": "gauge",
            "attributes": {"hw_rev": f"B{n}"}})
        assert a.status == 201, a
        gauges.enrol(f"GB-{n}", batch="gb")
    assert gauges.find("hw_rev=B2", batch="gb") == 1
    assert gauges.find("hw_rev=B0", batch="gb") == 0
    assert gauges.find("hw_rev^=B", batch="gb") == 2


def test_more_devices_than_a_page(gauges):
    w = gauges.world
    rows = [{"id": f"GP-{n:03}", "product": "gauge", "attributes": {
        "hw_rev": "P1", "lot": 1000 + n}} for n in range(600)]
    a = w.rest("POST", "/devices/import", {"rows": rows})
    assert a.status == 200 and a.json["created"] == 600, a
    gauges.enrol("GP-599")
    assert gauges.find("hw_rev=P1") == gauges.find("lot>=1000") == 1


def test_attributes_call_by_call(gauges):
    """One of the devices has two certificates, and is another's between the
    two calls: of the one behind it none is left out."""
    gauges.renew("GA-0")
    assert gauges.find("hw_rev=B0") == 4
    assert gauges.calls(1, where="hw_rev=B0", action="hold") == [1] * 4 + [0]
    assert states(gauges.world, gauges.names) == ["held"] * 3 + ["issued"] * 2
    assert sum(gauges.calls(3, where="lot<=102", action="release")) == 4
    seen = gauges.calls(
        1, lambda n: n == 1 and gauges.change("GA-0", hw_rev="C0"),
        where="hw_rev=B0", action="hold")
    assert sum(seen) == 3 and states(gauges.world, gauges.names)[1:3] == [
        "held"] * 2
    gauges.change("GA-0", hw_rev="B0")


def test_attributes_on_the_command_line(gauges):
    w = gauges.world
    argv = ("--product", "gauge", "--where", "hw_rev=B0")
    w.cli("cert", "release", *argv, "--yes")
    n = gauges.find("hw_rev=B0")
    p = w.cli("cert", "revoke", *argv, "--reason", "keyCompromise",
              "--dry-run")
    assert f"{n} certificates would be changed" in p.stdout and \
        "GA-2" in p.stdout
    p = w.cli("cert", "revoke", *argv, "--reason", "keyCompromise", "--yes")
    assert f"{n} changed, 0 refused" in p.stdout
    assert states(w, gauges.names) == ["revoked"] * 3 + ["issued"] * 2
    assert gauges.find("hw_rev=B0") == 0


def test_reconcile_agrees(world):
    p = world.cli("--json", "ledger", "reconcile", "--config", world.conf,
                  check=False)
    assert '"agree":true' in p.stdout.replace(" ", ""), p.stdout


@pytest.fixture(scope="module")
def ada(world):
    """Another administrator, whom revoking many waits for from then on."""
    ada = key(world, "Ada", roles=["admin"])
    assert world.stop() == 0
    world.set_conf("four_eyes", "{mass-revoke}")
    world.start()
    return ada


def test_four_eyes(world, ada, made):
    """Revoking and releasing many waits for another administrator; looking,
    and holding, does not.  Last: the setting stays."""
    batch, _, serials = made
    assert mass(world, batch=batch, dry_run=True)["found"] == 3
    assert mass(world, batch=batch, action="hold")["changed"] == 3
    body = {"batch": batch, "reason": "keyCompromise"}
    waits = mass(world, 202, **body)["approval"]
    assert states(world, serials) == ["held"] * 3
    assert world.rest("POST", f"/approvals/{waits}/approve", {},
                      key=ada).status == 200
    a = world.rest("POST", "/certificates/revoke", body,
                   headers={"Mintmark-Approval": waits})
    assert a.status == 200 and a.json["changed"] == 3, a
    assert states(world, serials) == ["revoked"] * 3
    a = world.rest("POST", "/certificates/revoke", body,
                   headers={"Mintmark-Approval": waits})
    assert a.status == 409, a  # nothing was left of it


def test_one_approval_of_all_calls(world, ada, made):
    batch, _, serials = made
    argv = ("cert", "revoke", "--batch", batch, "--limit", "1", "--yes")
    p = world.cli(*argv, check=False)
    waits = re.search(r"approval ([0-9a-f]{16})", p.stderr)[1]
    assert world.rest("POST", f"/approvals/{waits}/approve", {},
                      key=ada).status == 200
    # the first call by hand: the command makes the same
    asked = world.rest("GET", f"/approvals/{waits}").json["request"]
    body = json.dumps(asked, separators=(",", ":"))
    a = world.rest("POST", "/certificates/revoke?limit=1", body,
                   headers={"Mintmark-Approval": waits})
    assert a.status == 200 and a.json["left"], a
    told = world.rest("GET", f"/approvals/{waits}").json
    assert told["state"] == "used" and "good_until" in told
    other = json.dumps({"batch": "other"})
    assert world.rest("POST", "/certificates/revoke", other, headers={
        "Mintmark-Approval": waits}).status == 409
    assert states(world, serials) == ["revoked", "issued", "issued"]
    p = world.cli(*argv, "--approval", waits)
    assert "2 changed" in p.stdout
    assert states(world, serials) == ["revoked"] * 3
    assert "good_until" not in world.rest("GET", f"/approvals/{waits}").json
    p = world.cli(*argv, "--approval", waits, check=False)
    assert p.returncode != 0 and "used already" in p.stderr
    uses = [e for e in pages(world, None, "/ledger/entries", 1000)
            if e["entry"].get("approval") == waits
            and e["entry"]["type"] == "approval.used"]
    assert len(uses) == 4  # three certificates, and that nothing is left
    p = world.cli("--json", "ledger", "reconcile", "--config", world.conf,
                  check=False)
    assert '"agree":true' in p.stdout.replace(" ", ""), p.stdout


def test_an_approval_is_of_so_many(world, ada):
    """Attributes are what whoever may write devices says: what comes under a
    selection after it was approved was not.  That a device renews is fine."""
    crates = Gauges(world, "crate", "CR")
    body = {"product": "crate", "where": "hw_rev=B0", "reason": "superseded"}
    asked = mass(world, 202, **body)
    path = f"/approvals/{asked['approval']}"
    assert asked["found"] == world.rest("GET", path).json["found"] == 3
    assert world.rest("POST", path + "/approve", {}, key=ada).status == 200

    def use(query=""):
        return world.rest("POST", "/certificates/revoke" + query, body,
                          headers={"Mintmark-Approval": asked["approval"]})

    crates.change("CR-3", hw_rev="B0")
    a = use()
    assert a.status == 409 and "3 were approved" in a.json["detail"], a
    assert states(world, crates.names) == ["issued"] * 5
    crates.change("CR-3", hw_rev="A1")
    crates.renew("CR-2")
    first = use("?limit=1")
    assert first.status == 200 and first.json["changed"] == 1, first
    crates.change("CR-3", hw_rev="B0")
    rest = "?after=" + first.json["next"]
    a = use(rest)
    assert a.status == 409 and "than were approved" in a.json["detail"], a
    assert "revoked" not in states(world, crates.names[1:])
    crates.change("CR-3", hw_rev="A1")
    a = use(rest)
    assert a.status == 200 and a.json["changed"] == 3, a
    told = world.rest("GET", path).json
    assert (told["found"], told["done"]) == (3, 3) and "good_until" not in told
    assert states(world, crates.names[3:]) == ["issued"] * 2
