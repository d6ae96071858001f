"""Devices in the field that come with an old or shared certificate."""
import hashlib
import json
import pathlib
import re

import pytest
from cryptography import x509

import postgres
from fleet import Comer, Fleet, approve, listed, make, sha256, why
from records import records
from test_enrol import entries, journal
from world import World, faketime, run, serial_of, until


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def world(request):
    database = postgres.shared().database() \
        if request.param == "postgresql" else None
    with World(profile="\tserverkeygen = true", database=database) as w:
        w.start().product()
        w.fleet = Fleet(w)
        w.shared = w.fleet.leaf()
        yield w


@pytest.fixture(scope="module")
def shared(world):
    """A group of one shared certificate."""
    make(world, "shared", [world.shared[0]], "certificates")
    listed(world, "shared", "A-1", "A-2", "A-3", "A-9")


def refused(answer, status, reason):
    assert answer.status == status, answer
    assert reason in answer.text, answer


def test_an_old_certificate_without_a_group_is_a_strangers(world):
    a = Comer(world, "N-1", world.shared).come()
    refused(a, 403, "certificate-unknown")


def test_a_list_cannot_be_guessed_from_the_ledger(world):
    """Whoever has the ledger could try serial numbers and addresses."""
    make(world, "unsaid", [world.fleet.leaf()[0]], "certificates")
    body = {"devices": [{"device": "UNSAID-1", "address": "10.0.0.7"}]}
    listed(world, "unsaid", *body["devices"])
    said, = [e for e in entries(world, "group.listed")
             if e["group"] == "unsaid"]
    asked = hashlib.sha256(json.dumps(body).encode()).digest()
    assert said["detail_sha256"] != asked.hex()
    db = records(world)
    (group,), = db.sql(f"SELECT {db.text('body')} FROM doc WHERE id = "
                       "'unsaid'")
    salt = json.loads(group)["plan"]["salt"]
    assert len(salt) == 32 and said["detail_sha256"] == hashlib.sha256(
        salt.encode() + asked).hexdigest()
    assert salt not in world.rest("GET", "/groups/unsaid").text


def test_a_shared_certificate_waits_for_a_person(world, shared):
    c = Comer(world, "A-1", world.shared)
    a = c.come()
    refused(a, 202, "waits-for-approval")
    assert int(a.headers["retry-after"]) > 0
    assert c.spki in a.text
    # the same again is the same: one entry, one that waits
    refused(c.come(), 202, "waits-for-approval")
    got = world.rest("GET", "/groups/shared/waiting").json["items"]
    assert [i["spki_sha256"] for i in got if i["device"] == "A-1"] == [c.spki]
    asked = [e for e in entries(world, "group.asked") if e["device"] == "A-1"]
    assert len(asked) == 1 and asked[0]["spki_sha256"] == c.spki
    assert asked[0]["credential"] == sha256(world.shared[0])
    assert journal(world, "A-1") == []
    # nothing but the key that was compared
    assert world.rest("POST", "/groups/shared/waiting/A-1/approve",
                      {"spki_sha256": "ab" * 32}).status == 409
    assert approve(world, "shared", c).json["state"] == "approved"
    a = c.come()
    assert a.status == 200, a
    assert c.come().body == a.body
    assert len(journal(world, "A-1")) == 1
    issued = [e for e in entries(world, "certificate.issued")
              if e["device"] == "A-1"][0]
    assert issued["authority"] == "group:shared/a-1"
    assert issued["credential"] == sha256(world.shared[0])
    assert world.rest("GET", "/groups/shared").json["issued"] >= 1
    # confirmed, the old credential is nothing for it, whatever key comes
    c.confirm(a)
    refused(c.come(), 409, "already-confirmed")
    refused(Comer(world, "A-1", world.shared).come(), 403,
            "old-credential-superseded")
    why(world, "A-1", "old-credential-superseded")
    rows = world.rest("GET", "/groups/shared/devices?state=issued").json
    assert [i["over"] for i in rows["items"] if i["device"] == "A-1"] == [True]


def test_by_one_json_call(world, shared):
    """The same without EST: it waits, is let in, and has the same bytes."""
    c = Comer(world, "A-9", world.shared)
    a = c.come_by_json()
    assert a.status == 202 and a.json["reason"] == "waits-for-approval", a
    assert int(a.headers["retry-after"]) > 0 and c.spki in a.text
    assert approve(world, "shared", c).json["state"] == "approved"
    a = c.come_by_json()
    assert a.status == 200 and a.json["device"] == "A-9", a
    assert not a.json["replayed"] and c.come_by_json().json["replayed"]
    assert len(journal(world, "A-9")) == 1


def test_it_is_good_for_nothing_else(world, shared):
    """Not to renew, confirm, fetch, nor to have a key made; not beside a
    token."""
    c = Comer(world, "A-3", world.shared)
    for path in ("simplereenroll", "serverkeygen"):
        refused(c.come(f"/.well-known/est/{path}"), 403,
                "certificate-unknown")
    for method, path in (("POST", "confirm"), ("GET", "receipt"),
                         ("GET", "renewal")):
        a = world.device_call(method, f"/.well-known/mintmark/{path}",
                              cert=c.old[0], key=c.old[1])
        refused(a, 403, "certificate-unknown")
    assert "A-3" not in world.rest("GET", "/groups/shared/waiting").text


def test_refused_and_another_key_may_wait(world, shared):
    bad, good = (Comer(world, "A-2", world.shared) for _ in range(2))
    assert bad.come().status == 202
    # while one waits, another one is a conflict
    refused(good.come(), 409, "claimed-with-another-key")
    assert approve(world, "shared", bad, "refuse").json["state"] == "refused"
    refused(bad.come(), 403, "approval-refused")
    assert good.come().status == 202
    assert approve(world, "shared", good).status == 200
    refused(bad.come(), 409, "claimed-with-another-key")
    assert good.come().status == 200
    alerts = [e for e in entries(world, "alert")
              if e.get("device") == "A-2" and
              e["reason"] == "claimed-with-another-key"]
    assert {e["spki_sha256"] for e in alerts} == {bad.spki, good.spki}
    assert world.rest("GET", "/groups/shared").json["conflicts"] >= 2


def test_a_shared_key_that_comes_as_another_device(world, shared):
    c = Comer(world, "NOBODY", world.shared)
    refused(c.come(), 403, "device-not-of-the-group")
    until(lambda: [e for e in entries(world, "alert")
                   if e.get("device") == "NOBODY" and
                   e["reason"] == "device-not-of-the-group"])
    assert world.rest("GET", "/devices/NOBODY").status == 404


FACTS = {
    "its key": (lambda c: {"key": c.spki}, lambda c: {"key": "cd" * 32}),
    "a hardware id": (lambda c: {"hardware": "HW-7"},
                      lambda c: {"hardware": "HW-8"}),
    "an address": (lambda c: {"address": "127.0.0.0/8,::1"},
                   lambda c: {"address": "10.0.0.0/8"}),
}


@pytest.mark.parametrize("fact", FACTS)
def test_a_second_fact_lets_it_in_at_once(world, fact):
    id_ = "fact-" + fact.split()[-1]
    make(world, id_, [world.shared[0]], "certificates")
    right, wrong = (Comer(world, f"F-{id_}-{n}", world.shared, "HW-7")
                    for n in (1, 2))
    holds, differs = FACTS[fact]
    got = listed(world, id_, {"device": right.device, **holds(right)},
                 {"device": wrong.device, **differs(wrong)})
    assert got["listed"] == 2
    a = right.come()
    assert a.status == 200, a
    refused(wrong.come(), 403, "second-fact-differs")
    assert world.rest("GET", f"/groups/{id_}/waiting").json["items"] == []


def test_an_old_ca_whose_certificates_name_their_devices(world):
    make(world, "oldca", [world.fleet.ca], names=True,
         range="SN-{0001..0100}")
    own = world.fleet.leaf("SN-0007")
    c = Comer(world, "SN-0007", own)
    assert world.rest("GET", "/devices/SN-0007").status == 404
    a = c.come()
    assert a.status == 200, a
    made = world.rest("GET", "/devices/SN-0007").json
    assert made["product"] == "thermo"
    # with another one's certificate, out of the range, after it
    refused(Comer(world, "SN-0008", own).come(), 403, "second-fact-differs")
    refused(Comer(world, "SN-0101", world.fleet.leaf("SN-0101")).come(), 403,
            "device-not-of-the-group")
    other = Fleet(world, "Somebody Else CA").leaf("SN-0009")
    refused(Comer(world, "SN-0009", other).come(), 403, "credential-refused")


def test_a_row_with_a_certificate_of_its_own(world):
    make(world, "single", [], "certificates")
    mine, other = (world.fleet.leaf() for _ in range(2))
    listed(world, "single",
           {"device": "S-1", "certificate": sha256(mine[0])},
           {"device": "S-2", "certificate": sha256(other[0])})
    refused(Comer(world, "S-2", mine).come(), 403, "second-fact-differs")
    assert Comer(world, "S-1", mine).come().status == 200


def test_expired_ones_where_the_group_says_so(world):
    gone = world.fleet.leaf("X-1", -900, -400)
    make(world, "strict", [gone[0]], "certificates")
    listed(world, "strict", {"device": "X-1", "address": "127.0.0.1"})
    refused(Comer(world, "X-1", gone).come(), 403, "old-credential-expired")
    make(world, "lenient", [gone[0]], "certificates", accept_expired=True)
    listed(world, "lenient", {"device": "X-2", "address": "127.0.0.1"})
    assert Comer(world, "X-2", gone).come().status == 200


def test_a_weak_key_is_not_believed_here(world):
    weak = world.fleet.leaf("W-1", bits=1024)
    make(world, "weak", [weak[0]], "certificates")
    listed(world, "weak", {"device": "W-1", "address": "127.0.0.1"})
    refused(Comer(world, "W-1", weak).come_weakly(), 403,
            "old-credential-weak")


def test_too_many_conflicts_pause_it(world):
    make(world, "halts", [world.shared[0]], "certificates", conflicts=2)
    first = Comer(world, "H-1", world.shared)
    listed(world, "halts", {"device": "H-1", "address": "127.0.0.1"}, "H-2")
    assert first.come().status == 200
    thieves = [Comer(world, "H-1", world.shared) for _ in range(3)]
    for t in thieves:
        for _ in range(2):  # the same key twice is one conflict
            refused(t.come(), 409, "claimed-with-another-key")
    now = world.rest("GET", "/groups/halts").json
    assert (now["state"], now["paused_by"], now["conflicts"]) == \
        ("paused", "conflicts", 3)
    a = Comer(world, "H-2", world.shared).come()
    refused(a, 503, "group-paused")
    assert int(a.headers["retry-after"]) >= 60
    assert any(e["reason"] == "group-paused" and e["group"] == "halts"
               for e in entries(world, "alert"))
    # the first one's owner is not punished
    assert first.come().status == 200
    assert world.rest("POST", "/groups/halts/open").json["state"] == "open"
    assert Comer(world, "H-2", world.shared).come().status == 202


def test_closed_it_is_refused_recorded_and_told(world):
    make(world, "closes", [world.shared[0]], "certificates")
    c = Comer(world, "C-1", world.shared)
    listed(world, "closes", {"device": "C-1", "address": "127.0.0.1"},
           {"device": "C-2", "address": "127.0.0.1"})
    answer = c.come()
    assert answer.status == 200
    assert world.rest("POST", "/groups/closes/close",
                      {"reason": "all over"}).json["state"] == "closed"
    refused(Comer(world, "C-2", world.shared).come(), 403, "group-closed")
    assert c.come().body == answer.body  # an answer that was lost
    until(lambda: [e for e in entries(world, "alert")
                   if e["reason"] == "group-closed" and
                   e["device"] == "C-2"])
    assert world.rest("POST", "/groups/closes/open").status == 409
    assert world.rest("POST", "/groups/closes/devices", {"devices": [
        {"device": "C-9"}]}).status == 409


def test_a_closed_group_hides_no_successor(world):
    """The first one closed, the next takes its devices; who has a certificate
    by the first has it still, and comes by none of the others."""
    make(world, "first", [world.shared[0]], "certificates")
    rows = [{"device": f"SUC-{n}", "address": "127.0.0.1"} for n in (1, 2, 3)]
    listed(world, "first", *rows)
    over, lost = (Comer(world, f"SUC-{n}", world.shared) for n in (1, 2))
    over.confirm(over.come())
    answer = lost.come()
    world.rest("POST", "/groups/first/close")
    refused(Comer(world, "SUC-3", world.shared).come(), 403, "group-closed")
    make(world, "paused", [world.shared[0]], "certificates", opened=False)
    listed(world, "paused", *rows)
    refused(Comer(world, "SUC-3", world.shared).come(), 503, "group-paused")
    make(world, "next", [world.shared[0]], "certificates")
    listed(world, "next", *rows)
    assert Comer(world, "SUC-3", world.shared).come().status == 200
    assert world.rest("GET", "/groups/next").json["issued"] == 1
    assert lost.come().body == answer.body
    refused(Comer(world, "SUC-1", world.shared).come(), 403,
            "old-credential-superseded")
    refused(Comer(world, "SUC-2", world.shared).come(), 409,
            "claimed-with-another-key")


def test_closed_groups_take_no_place_from_new_ones(world):
    """Neither with one credential, nor of the CAs that there can be."""
    old = world.fleet.leaf()
    names = [f"place-{n}" for n in range(40)]
    for n, id_ in enumerate(names):
        make(world, id_, [old[0]], "certificates", opened=False)
        if n >= 15:
            if n == 15:
                a = world.rest("POST", "/groups", {
                    "id": "one-more", "product": "thermo",
                    "kind": "certificates", "quantity": 1,
                    "until": "2096-01-01T00:00:00Z",
                    "certificates": [old[0].read_text()]})
                assert a.status == 413, a
            world.rest("POST", f"/groups/{names[n - 15]}/close")
    fleets = [Fleet(world, f"Place {n}") for n in range(66)]
    made = []
    for n, f in enumerate(fleets):
        body = {"id": f"cas-{n}", "product": "thermo", "kind": "ca",
                "quantity": 1, "until": "2096-01-01T00:00:00Z",
                "certificates": [f.ca.read_text()]}
        a = world.rest("POST", "/groups", body)
        if a.status == 413:
            assert made
            world.rest("POST", f"/groups/{made.pop(0)}/close")
            a = world.rest("POST", "/groups", body)
        assert a.status == 201, a
        made.append(body["id"])
    assert len(made) < len(fleets)
    for id_ in made + names[25:]:
        world.rest("POST", f"/groups/{id_}/close")


def test_a_nearer_ca_hides_none_above_it(world):
    """One group has the maker's root, another a CA below it: a device of the
    root's group is that one's whatever chain it brings."""
    root = Fleet(world, "Maker Root")
    sub = root.below("Maker Sub")
    make(world, "near", [sub.ca], range="NEAR-{1..9}", names=True)
    make(world, "above", [root.ca], range="ABOVE-{1..9}", names=True)
    for device, group in (("ABOVE-1", "above"), ("NEAR-1", "near")):
        a = Comer(world, device, sub.leaf(device)).come()
        assert a.status == 200, a
        issued = until(lambda: [
            e for e in entries(world, "certificate.issued")
            if e["device"] == device])
        assert issued[0]["authority"] == f"group:{group}/{device.lower()}"
    # the root's own devices are none of the CA below
    refused(Comer(world, "NEAR-2", root.leaf("NEAR-2")).come(), 403,
            "device-not-of-the-group")


def test_what_its_own_ca_revoked_is_refused(world):
    fleet = Fleet(world, "Revoking")
    bad, good, last = (fleet.leaf(f"REV-{n}") for n in (1, 2, 3))
    make(world, "revoking", [fleet.ca], range="REV-{1..9}", names=True)
    lists = fleet.revoke(bad[0])
    said = json.loads(world.cli("--json", "group", "crl", "revoking",
                                lists).stdout)
    assert (said["revoked"], said["ca"]) == (1, sha256(fleet.ca))
    refused(Comer(world, "REV-1", bad).come(), 403, "old-credential-revoked")
    assert Comer(world, "REV-2", good).come().status == 200
    until(lambda: [e for e in entries(world, "alert")
                   if e["reason"] == "old-credential-revoked" and
                   e["device"] == "REV-1"])
    changed = [e for e in entries(world, "group.changed")
               if e["group"] == "revoking"]
    assert changed[-1]["reason"] == "crl"
    # what was revoked stays so, another CA's list is none, a part neither
    rows = [(409, fleet.revoke(days=-9)),
            (403, Fleet(world, "Another").revoke(bad[0])),
            (403, Fleet(world, "Forger").revoke(bad[0], name=fleet.ca_name)),
            (400, fleet.revoke(days=1, extensions=[
                x509.DeltaCRLIndicator(1)]))]
    for status, path in rows:
        a = world.rest("POST", "/groups/revoking/crl",
                       {"crl": path.read_text()})
        assert a.status == status, (status, a)
    refused(Comer(world, "REV-1", bad).come(), 403, "old-credential-revoked")
    world.rest("POST", "/groups/revoking/crl",
               {"crl": fleet.revoke(bad[0], last[0]).read_text()})
    refused(Comer(world, "REV-3", last).come(), 403, "old-credential-revoked")


def test_a_ca_that_one_above_it_revoked_lets_nobody_in(world):
    """Both are the group's: the nearer one, which was revoked, does not hide
    that the root says so."""
    root = Fleet(world, "Revoking Root")
    sub, good = root.below("Revoked Sub"), root.below("Good Sub")
    make(world, "chained", [sub.ca, good.ca, root.ca], range="CHAIN-{1..9}",
         names=True)
    assert Comer(world, "CHAIN-1", sub.leaf("CHAIN-1")).come().status == 200
    world.cli("group", "crl", "chained", root.revoke(sub.ca))
    refused(Comer(world, "CHAIN-2", sub.leaf("CHAIN-2")).come(), 403,
            "old-credential-revoked")
    for n, f in ((3, good), (4, root)):
        device = f"CHAIN-{n}"
        assert Comer(world, device, f.leaf(device)).come().status == 200


def test_a_released_device_comes_again(world):
    """Whose new key is lost: what it claimed is revoked, and any key may
    come; one that has proved its certificate is not released."""
    w, old = world, world.fleet.leaf()
    make(w, "release", [old[0]], "certificates")
    listed(w, "release", {"device": "REL-1", "address": "127.0.0.1"}, "REL-2")
    lost, new = (Comer(w, "REL-1", old) for _ in range(2))
    assert lost.come().status == 200
    refused(new.come(), 409, "claimed-with-another-key")
    path = "/groups/release/devices/REL-{}/release"
    assert w.rest("POST", path.format(1), {}).status == 400
    assert w.rest("POST", path.format(3), {"reason": "x"}).status == 404
    w.cli("group", "release", "release", "REL-1", "--reason",
          "flash was erased")
    a = new.come()
    assert a.status == 200, a
    (entry,) = entries(w, "group.released")
    assert (entry["device"], entry["spki_sha256"]) == ("REL-1", lost.spki)
    assert "flash" not in json.dumps(entry) and len(
        entry["detail_sha256"]) == 64
    state = {c["spki_sha256"]: c["state"] for c in w.rest(
        "GET", "/certificates?device=REL-1").json["items"]}
    assert state == {lost.spki: "revoked", new.spki: "issued"}
    new.confirm(a)
    assert w.rest("POST", path.format(1), {"reason": "x"}).status == 409
    # an approved key that is lost
    lost, new = (Comer(w, "REL-2", old) for _ in range(2))
    lost.come()
    approve(w, "release", lost)
    refused(new.come(), 409, "claimed-with-another-key")
    assert w.rest("POST", path.format(2), {"reason": "reset"}).json == {
        "device": "REL-2", "state": "listed"}
    refused(new.come(), 202, "waits-for-approval")


def test_who_got_in_waits_no_longer(world):
    """One that waited gets a second fact, and comes: nobody is asked for it
    any more."""
    w, old = world, world.fleet.leaf()
    make(w, "nolonger", [old[0]], "certificates")
    listed(w, "nolonger", "NL-1")
    c = Comer(w, "NL-1", old)
    refused(c.come(), 202, "waits-for-approval")
    assert w.rest("GET", "/groups/nolonger").json["waiting"] == 1
    listed(w, "nolonger", {"device": "NL-1", "key": c.spki})
    assert c.come().status == 200
    assert w.rest("GET", "/groups/nolonger").json["waiting"] == 0
    assert w.rest("GET", "/groups/nolonger/waiting").json["items"] == []


def test_what_is_watched_of_groups(world):
    """Numbers for /metrics; of closed groups none."""
    w, old = world, world.fleet.leaf()

    def numbers():
        text = w.rest("GET", "/metrics", base="").text
        return {m[1]: int(m[2]) for m in re.finditer(
            r"^mintmark_(group\S+) (\d+)$", text, re.M)}

    before = numbers()
    make(w, "watched", [old[0]], "certificates", conflicts=0)
    listed(w, "watched", {"device": "WA-1", "address": "127.0.0.1"}, "WA-2")
    assert Comer(w, "WA-2", old).come().status == 202
    now = numbers()
    assert now['groups{state="open"}'] == before['groups{state="open"}'] + 1
    assert now["group_devices_waiting"] == before["group_devices_waiting"] + 1
    assert Comer(w, "WA-1", old).come().status == 200
    assert Comer(w, "WA-1", old).come().status == 409
    now = numbers()
    assert now['groups{state="halted"}'] == \
        before['groups{state="halted"}'] + 1
    assert now["group_conflicts"] == before["group_conflicts"] + 1
    w.rest("POST", "/groups/watched/close")
    assert numbers() == before


def test_it_gives_no_more_than_its_quantity(world):
    make(world, "few", [world.shared[0]], "certificates", quantity=2)
    rows = [{"device": f"Q-{n}", "address": "127.0.0.1"} for n in range(3)]
    listed(world, "few", *rows)
    got = [Comer(world, r["device"], world.shared).come().status
           for r in rows]
    assert got == [200, 200, 403]
    assert len(journal(world, "Q-2")) == 0
    a = world.rest("POST", "/groups/few/extend",
                   {"quantity": 3, "reason": "one more"})
    assert a.status == 200
    assert Comer(world, "Q-2", world.shared).come().status == 200


def test_a_device_that_proved_another_identity_is_not_replaced(world):
    make(world, "fielded", [world.shared[0]], "certificates")
    t = world.token("P-1")
    out = world.dir / "P-1"
    token = world.dir / "P-1.token"
    token.touch(0o600)
    token.write_text(t["token"])
    world.agent("enrol", "--server", f"127.0.0.1:{world.devices}",
                "--token-file", token, "--dir", out)
    listed(world, "fielded", {"device": "P-1", "address": "127.0.0.1"})
    refused(Comer(world, "P-1", world.shared).come(), 403,
            "old-credential-superseded")


def test_what_may_not_be_made(world, shared):
    ours = (world.etc / "issuing.crt").read_text()
    body = {"id": "bad", "product": "thermo", "kind": "ca", "quantity": 1,
            "until": "2096-01-01T00:00:00Z"}
    rows = [
        (403, {**body, "certificates": [ours]}),
        (400, {**body, "certificates": []}),
        (400, {**body, "certificates": [world.shared[0].read_text()],
               "until": "2001-01-01T00:00:00Z"}),
        (400, {**body, "certificates": ["nonsense"]}),
        (404, {**body, "product": "nosuch",
               "certificates": [world.fleet.ca.read_text()]}),
        (400, {**body, "kind": "wish", "certificates": []}),
        (409, {**body, "id": "shared", "kind": "certificates",
               "certificates": ["ab" * 32]}),
    ]
    for status, b in rows:
        a = world.rest("POST", "/groups", b)
        assert a.status == status, (b, a)


@pytest.mark.parametrize("kind, setting", [("none", "pairing"),
                                           ("claim", "claim_secrets")])
def test_doors_that_are_off_are_not_opened_by_a_call(world, kind, setting):
    a = world.rest("POST", "/groups", {
        "id": "off", "product": "thermo", "kind": kind, "quantity": 1,
        "until": "2096-01-01T00:00:00Z"})
    refused(a, 403, f"{setting} = true")
    assert world.rest("GET", "/groups/off").status == 404
    a = Comer(world, "OFF-1", (None, None)).come()
    refused(a, 403, "credential-refused")


def test_a_group_for_a_listener_that_is_off_is_none(world):
    a = world.rest("POST", "/groups", {
        "id": "off", "product": "thermo", "kind": "certificates",
        "quantity": 1, "until": "2096-01-01T00:00:00Z", "legacy": True,
        "certificates": [world.shared[0].read_text()]})
    refused(a, 403, "legacy_listen")
    assert world.rest("GET", "/groups/off").status == 404


def test_a_list_that_is_partly_wrong(world):
    make(world, "rows", [world.shared[0]], "certificates", opened=False)
    world.token("L-other")
    assert world.rest("POST", "/products", {
        "name": "valve", "ldevid_profile": "thermo"}).status in (201, 409)
    assert world.rest("POST", "/devices", {
        "id": "L-valve", "product": "valve"}).status in (201, 409)
    got = listed(world, "rows", "L-1", {"device": "L-valve"},
                 {"device": "not an id"}, {"device": "L-2", "key": "zz"})
    assert (got["listed"], got["failed"]) == (1, 3)
    assert [e["row"] for e in got["errors"]] == [2, 3, 4]
    assert listed(world, "rows", "L-1", "l-1")["unchanged"] == 2


def test_how_far_they_have_come(world):
    """The report's numbers, bar and table; the doctor's line."""
    w, old = world, world.fleet.leaf()
    make(w, "far", [old[0]], "certificates", range="FAR-{1..2000}")
    rows = [{"device": f"FAR-{n}", "address": "127.0.0.1"}
            for n in range(1, 4)] + [f"FAR-{n}" for n in range(4, 1100)]
    for at in range(0, len(rows), 1000):
        listed(w, "far", *rows[at:at + 1000])
    over, issued, waits = (Comer(w, f"FAR-{n}", old) for n in (1, 2, 4))
    over.confirm(over.come())
    assert issued.come().status == 200 and waits.come().status == 202
    got = json.loads(w.cli("--json", "group", "report", "far").stdout)
    assert (got["over"], got["issued"], got["waiting"], got["not_yet"],
            got["closable"]) == (1, 1, 1, 1997, False)
    said = w.cli("group", "report", "far").stdout
    assert "1 of 2000 over" in said and "the last one came at" in said
    table = w.cli("group", "report", "far", "--csv", "-").stdout.splitlines()
    assert len(table) == 1100 and table[1].startswith(
        "FAR-1,issued,confirmed,")
    found = {f["what"]: f["level"] for f in w.rest(
        "GET", "/doctor").json["findings"] if f["check"] == "groups"}
    assert found["group far: 1 devices wait for a person"] == "warn"


def test_by_the_command_line(world):
    w = world
    old = w.fleet.leaf()
    w.cli("group", "create", "cli", "--product", "thermo", "--certificate",
          old[0], "--quantity", "10", "--until", "90d", "--note", "by hand")
    table = w.dir / "list.csv"
    table.write_text("device,address\n" + "".join(
        f"CLI-{n},127.0.0.1\n" for n in range(2500)) + "CLI-plain,\n")
    said = w.cli("group", "add", "cli", "--csv", table).stderr
    assert "2501 listed" in said
    w.cli("group", "open", "cli")
    assert Comer(w, "CLI-2400", old).come().status == 200
    c = Comer(w, "CLI-plain", old)
    assert c.come().status == 202
    got = json.loads(w.cli("--json", "group", "waiting", "cli").stdout)
    assert got[0]["spki_sha256"] == c.spki
    w.cli("group", "approve", "cli", "CLI-plain", c.spki)
    assert c.come().status == 200
    shown = json.loads(w.cli("--json", "group", "show", "cli").stdout)
    assert (shown["issued"], shown["listed"]) == (2, 2501)
    assert "cli" in w.cli("group", "list").stdout
    w.cli("group", "close", "cli", "--reason", "done")


def test_what_the_records_say_is_what_the_ledger_says(world):
    if world.database.startswith("postgresql"):
        pytest.skip("as on SQLite")
    p = world.cli("--json", "ledger", "reconcile", "--config", world.conf,
                  check=False)
    assert p.returncode == 0, p.stdout + p.stderr


def test_nothing_is_left_after_a_restart(world):
    """CAs are known before the first request, and what waits still does."""
    make(world, "again", [world.fleet.ca], range="R-{1..9}")
    c = Comer(world, "R-1", world.fleet.leaf())
    assert c.come().status == 202
    world.stop()
    world.start()
    refused(c.come(), 202, "waits-for-approval")
    assert approve(world, "again", c).status == 200
    assert c.come().status == 200


def old_agent(world, device, old, *more, **kw):
    return world.agent(
        "enrol", "--credential", old[0], "--key", old[1], "--anchor",
        world.anchor, "--server", f"127.0.0.1:{world.devices}", "--device",
        device, "--dir", world.dir / f"agent-{device}", *more, **kw)


def test_the_agent_comes_with_an_old_certificate(world):
    """Waits until it is approved, with one key; then renews by its own."""
    old = world.fleet.leaf()
    make(world, "agents", [old[0]], "certificates")
    listed(world, "agents", {"device": "AG-1", "address": "127.0.0.1"},
           "AG-2")
    got = json.loads(old_agent(world, "AG-1", old).stdout)
    assert got["device"] == "AG-1" and got["confirmed"]
    assert old[1].read_text()  # the firmware's: left alone
    again = json.loads(old_agent(world, "AG-1", old).stdout)
    assert again["serial"] == got["serial"]
    p = world.agent("renew", "--now", "--dir", world.dir / "agent-AG-1")
    assert json.loads(p.stdout)["renewed"]
    p = old_agent(world, "AG-2", old, "--retry", "0", check=False)
    assert p.returncode == 7 and "waits" in p.stdout + p.stderr, p
    (row,) = world.rest("GET", "/groups/agents/waiting").json["items"]
    world.rest("POST", "/groups/agents/waiting/AG-2/approve",
               {"spki_sha256": row["spki_sha256"]})
    assert json.loads(old_agent(world, "AG-2", old).stdout)["confirmed"]
    # what is left of the old one is nothing
    p = world.agent(
        "enrol", "--credential", old[0], "--key", old[1], "--anchor",
        world.anchor, "--server", f"127.0.0.1:{world.devices}", "--device",
        "AG-1", "--dir", world.dir / "thief", "--retry", "0", check=False)
    assert p.returncode == 3, p
    assert "old-credential-superseded" in p.stdout + p.stderr


def test_the_agent_says_what_is_missing(world):
    old = world.fleet.leaf()
    rows = [(2, ("--credential", old[0], "--key", old[1])),
            (2, ("--credential", old[0], "--token-file", old[1])),
            (2, ("--credential", old[0], "--key", old[1], "--anchor",
                 world.anchor, "--server", "127.0.0.1:1")),
            (4, ("--credential", world.dir / "nothing", "--anchor",
                 world.anchor))]
    for status, argv in rows:
        p = world.agent("enrol", "--dir", world.dir / "agent-none", *argv,
                        check=False)
        assert p.returncode == status, (argv, p)
