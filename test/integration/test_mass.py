"""Certificates revoked, held and released by selection: looked at first,
counted, and watched where four eyes are asked for."""
import base64
import json
import re

import pytest

from test_batches import Factory
from test_operators import key, pages


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


def test_by_what_the_devices_are(world, factory, made):
    """By attributes of the devices, alone and beside other conditions; one
    certificate a call, each call coming further."""
    batch, stations, serials = made
    tag = batch.replace("-", "_")
    for serial, lot in zip(serials, (7, 7, 8)):
        a = world.rest("PATCH", f"/devices/{serial}", {
            "attributes": {"recall": tag, "lot": lot}})
        assert a.status == 200, a
    rows = [({}, 3), ({"batch": batch}, 3), ({"station": stations[0]}, 2),
            ({"device": serials[0]}, 1), ({"product": "thermo"}, 3),
            ({"issuer": "nosuch"}, 0), ({"issued_to": "2020-01-01T00:00:00Z"},
                                        0)]
    for more, want in rows:
        assert mass(world, where=f"recall={tag}", dry_run=True, **more
                    )["found"] == want, more
    for more in ({}, {"batch": batch}, {"product": "thermo"}):
        where = f"recall={tag};lot<8"
        assert mass(world, where=where, dry_run=True, **more)["found"] == 2
    mine = [world.rest("GET", f"/certificates?device={d}").json["items"][0]
            ["serial"] for d in serials]
    assert mass(world, where=f"recall={tag};lot=8", serials=mine,
                dry_run=True)["found"] == 1
    assert mass(world, where=f"recall={tag};lot>8", batch=batch,
                dry_run=True)["found"] == 0
    assert mass(world, 400, where="lot", dry_run=True)
    p = world.cli("cert", "revoke", "--where", f"recall={tag};lot<8",
                  "--limit", "1", "--reason", "keyCompromise", "--yes")
    assert "2 changed" in p.stdout, p.stdout
    assert states(world, serials) == ["revoked", "revoked", "issued"]
    looked = {"where": f"recall={tag}", "action": "hold"}
    a = world.rest("POST", "/certificates/revoke?limit=1", looked)
    assert a.status == 200 and a.json["changed"] == 1, a
    assert states(world, serials)[2] == "held"


def test_what_it_refuses(world):
    rows = [{}, {"reason": "keyCompromise"}, {"batch": "x", "reason": "moon"},
            {"batch": "x", "reason": "certificateHold"},
            {"batch": "x", "action": "hold", "reason": "superseded"},
            {"batch": "x", "action": "burn"}, {"bach": "x"},
            {"serials": ["12"]}, {"serials": ["0" * 32] * 1001},
            {"key_type": "rsa7", "batch": "x"}]
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
