"""Batches: made, changed, counted when certificates are issued."""
import base64
import concurrent.futures
import contextlib
import datetime
import hashlib
import json
import os
import re
import sqlite3
import subprocess
import time

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import \
    Ed25519PublicKey

import possession
from records import records
from station import Station
from world import World

TBS = "mintmark-extension/1 {name}\n{words}\n"
SOON = (datetime.datetime.now(datetime.timezone.utc) +
        datetime.timedelta(days=2)).strftime("%Y-%m-%dT%H:%M:%SZ")


class Factory:
    """Batches and stations of a world; each test has its own names."""

    def __init__(self, world):
        self.w, self.n = world, 0
        world.product()
        csrs = [world.key_and_csr(f"unit-{i}")[1] for i in range(28)]
        self.csr = [base64.b64encode(c.read_bytes()).decode() for c in csrs]

    def batch(self, quantity, want=201, **more):
        self.n += 1
        body = {"id": f"b{self.n}", "product": "thermo", "until": SOON,
                "quantity": quantity,
                "serials": f"P{self.n}-{{001..099}}", **more}
        body = {k: v for k, v in body.items() if v is not None}
        a = self.w.rest("POST", "/batches", body)
        assert a.status == want, a
        return a.json

    def station(self, name):
        k = self.w.rest("POST", "/keys", {"name": name, "roles": ["line"]})
        a = self.w.rest("POST", "/stations",
                        {"id": name, "key": k.json["id"]})
        assert a.status == 201, a
        return k.json["key"]

    def enrol(self, serial, key=None, csr=0, **more):
        self.w.rest("POST", "/devices", {"id": serial, "product": "thermo"},
                    key=key)
        return self.w.rest("POST", f"/devices/{serial}/enrol",
                           {"csr": self.csr[csr], **more}, key=key)

    def change(self, batch, what, want=200, **body):
        a = self.w.rest("POST", f"/batches/{batch}/{what}", body)
        assert a.status == want, a
        return a.json

    def entries(self, batch):
        return [e for e in self.every_entry() if e.get("batch") == batch]

    def every_entry(self):
        entries, after = [], ""
        while after is not None:  # a page that took too long ends early
            a = self.w.rest("GET", f"/ledger/entries?limit=1000{after}")
            entries += [i["entry"] for i in a.json["items"]]
            after = f"&after={a.json['next']}" if "next" in a.json else None
        return entries


@pytest.fixture(scope="module")
def factory(world):
    return Factory(world)


def refused(answer, reason, status=403):
    assert (answer.status, answer.json.get("reason")) == (status, reason), \
        answer


# ---- made and changed ----

def test_a_batch_from_its_beginning_to_its_end(factory):
    made = factory.batch(20, scrap=2, note="for the spring")
    name = made["id"]
    assert (made["state"], made["quantity"], made["scrap"]) == ("open", 20, 2)
    assert made["first_serial"].endswith("-001")
    assert made["last_serial"].endswith("-099")
    factory.change(name, "pause", reason="a part is missing")
    factory.change(name, "pause", want=409)
    factory.change(name, "open")
    grown = factory.change(name, "extend", reason="more", quantity=25)
    assert grown["quantity"] == 25 and grown["note"] == "more"
    factory.change(name, "extend", want=400, quantity=30)
    factory.change(name, "extend", want=409, reason="less", quantity=24)
    factory.change(name, "extend", want=409, reason="more than there are",
                   quantity=100)
    factory.change(name, "close", reason="done")
    for what in ("open", "pause", "close"):
        factory.change(name, what, want=409)
    factory.change(name, "extend", want=409, reason="late", quantity=26)
    shown = factory.w.rest("GET", f"/batches/{name}").json
    assert shown["state"] == "closed" and shown["note"] == "done"
    told = [(e["type"], e.get("reason"), e["count"])
            for e in factory.entries(name)]
    assert told == [("batch.created", None, 22),
                    ("batch.changed", "paused", 22),
                    ("batch.changed", "opened", 22),
                    ("batch.changed", "extended", 27),
                    ("batch.changed", "closed", 27)]
    everything = json.dumps(factory.entries(name))
    for word in ("spring", "missing", "more", "done"):
        assert f'"{word}' not in everything


def test_batches_are_listed_by_state_and_product(factory):
    one = factory.batch(1)["id"]
    two = factory.batch(1)["id"]
    factory.change(two, "close")
    names = lambda q: {b["id"] for b in factory.w.rest(
        "GET", f"/batches?limit=1000{q}").json["items"]}
    assert {one, two} <= names("")
    assert one in names("&state=open") and two not in names("&state=open")
    assert two in names("&state=closed")
    assert names("&product=nosuch") == set()
    assert factory.w.rest("GET", "/batches?state=x").status == 400
    first = factory.w.rest("GET", "/batches?limit=1").json
    assert len(first["items"]) == 1
    rest = factory.w.rest("GET", f"/batches?limit=1000&after={first['next']}")
    assert first["items"][0]["id"] not in {b["id"]
                                           for b in rest.json["items"]}


def every(factory, path, key=None):
    """All items of a list, page by page."""
    items, after = [], ""
    for _ in range(100):
        a = factory.w.rest("GET", f"{path}{after}", key=key)
        assert a.status == 200, a
        items += a.json["items"]
        if "next" not in a.json:
            return items
        after = f"&after={a.json['next']}"
    raise AssertionError("a list without an end")


def test_devices_are_found_by_batch_and_station(factory):
    rest = factory.w.rest
    at = {s: factory.station(f"found-{s}") for s in "ab"}
    rest("POST", "/products", {"name": "valve", "ldevid_profile": "thermo"})
    foreign = factory.batch(9, product="valve")["id"]
    moved = f"P{foreign[1:]}-001"
    rest("POST", "/devices", {"id": moved, "product": "valve"})
    a = rest("POST", f"/devices/{moved}/enrol", {
        "csr": factory.csr[21], "batch": foreign, "station": "found-a"},
        key=at["a"])
    assert a.status == 200, a
    one, two = (factory.batch(9)["id"] for _ in range(2))
    made = {}
    for i, (batch, station) in enumerate(
            [(one, "a"), (one, "a"), (one, "b"), (two, "a")]):
        serial = f"P{batch[1:]}-{i + 1:03}"
        a = factory.enrol(serial, at[station], 12 + i, batch=batch,
                          station=f"found-{station}")
        assert a.status == 200, a
        made.setdefault(batch, {}).setdefault(station, []).append(serial)

    def find(query, key=None):
        return [d["id"] for d in every(factory, f"/devices?limit=1&{query}",
                                       key)]
    both = made[one]["a"] + made[one]["b"]
    rows = [(f"batch={one}", both), (f"batch={two}", made[two]["a"]),
            (f"batch={one}&station=found-b", made[one]["b"]),
            ("station=found-a", [moved] + made[one]["a"] + made[two]["a"]),
            (f"batch={one}&key_type=p256&product=thermo&state=active", both),
            (f"batch={one}&issuer=nosuch", []), (f"batch={one}&key_type=p384", []),
            (f"batch={one}&created_to=2020-01-01T00:00:00Z", []),
            (f"batch={one}&where=colour=red", []), ("batch=nosuch", []),
            (f"batch={two}&station=found-b", []), ("station=nosuch", [])]
    for query, want in rows:
        assert find(query) == want, query
    listed = factory.w.cli("--json", "device", "list", "--batch", one,
                           "--station", "found-b").stdout
    assert [d["id"] for d in json.loads(listed)] == made[one]["b"]
    assert rest("PATCH", f"/devices/{both[0]}",
                {"attributes": {"colour": "red"}}).status == 200
    assert find(f"batch={one}&where=colour=red") == both[:1]
    for after in (f"{two}/x", "x", f"{one}"):
        a = rest("GET", f"/devices?batch={one}&after={after}")
        assert a.status == 400, a

    # who is limited to products sees what was made in a batch of them
    k = rest("POST", "/keys", {"name": "of thermo", "roles": ["auditor"],
                               "products": ["thermo"]}).json["key"]
    assert rest("PATCH", f"/devices/{moved}",
                {"product": "thermo"}).status == 200
    for query, want in ((f"batch={foreign}", []), (f"batch={one}", both),
                        ("station=found-a", made[one]["a"] + made[two]["a"]),
                        ("station=found-b", made[one]["b"])):
        assert find(query, k) == want, query
    a = rest("GET", f"/devices?station=found-a&after=thermo/{foreign}/x",
             key=k)
    assert a.status == 400, a
    ids = [b["id"] for b in every(factory, "/batches?limit=1", k)]
    assert {one, two} <= set(ids) and foreign not in ids
    assert every(factory, "/configurations?limit=1", k) == []


def test_a_credential_of_a_batch(factory, tmp_path):
    """It sees what its batches made, and makes what they are to make."""
    rest = factory.w.rest
    mine, also, theirs = (factory.batch(9)["id"] for _ in range(3))
    sn = lambda batch, i: f"P{batch[1:]}-{i:03}"
    k, line, limited, valve = (rest("POST", "/keys", {
        "name": "of a batch", "roles": roles, "batches": [mine, also],
        "products": products}).json["key"] for roles, products in (
            (["admin", "auditor"], None), (["line"], None),
            (["line", "support"], ["thermo"]), (["auditor"], ["x"])))
    # another's of the same product, and one of no batch
    assert factory.enrol(sn(theirs, 1), csr=16, batch=theirs).status == 200
    assert factory.enrol("OF-NONE", csr=17).status == 200
    out = [sn(theirs, 1), "OF-NONE"]
    t_out = [rest("POST", "/tokens", {"device": d}).json["id"] for d in out]
    c_out = [rest("GET", f"/certificates?device={d}").json["items"][0]["serial"]
             for d in out]

    # what is registered, enrolled
    for key, serial, want in ((line, sn(mine, 1), 201), (line, out[0], 404),
                              (line, sn(theirs, 2), 404), (valve, sn(mine, 3), 403),
                              (line, "OF-NOBODY", 404), (line, sn(mine, 1), 409),
                              (limited, sn(also, 1), 201)):
        a = rest("POST", "/devices", {"id": serial, "product": "thermo"},
                 key=key)
        assert a.status == want, (serial, a)
    for key, serial, csr, more, want in (
            (line, sn(mine, 1), 18, {}, 403),
            (line, sn(mine, 1), 18, {"batch": theirs}, 404),
            (line, sn(mine, 1), 18, {"batch": also}, 403),
            (line, sn(mine, 2), 18, {"batch": mine}, 404),
            (line, out[0], 16, {"batch": mine}, 404),
            (line, "OF-NONE", 17, {"batch": mine}, 404),
            (line, sn(mine, 1), 18, {"batch": mine}, 200)):
        a = rest("POST", f"/devices/{serial}/enrol",
                 {"csr": factory.csr[csr], **more}, key=key)
        assert a.status == want, (serial, more, a)

    (tmp_path / "csr").write_text(factory.csr[19])
    (tmp_path / "key").write_text(limited)
    (tmp_path / "key").chmod(0o600)
    factory.w.cli("--key-file", tmp_path / "key", "device", "enrol",
                  sn(also, 1), "--csr", tmp_path / "csr", "--batch", also)

    # what is to be made is there by its name, and no token beside the quota
    assert rest("POST", "/devices", {"id": sn(mine, 5), "product": "thermo"},
                key=line).status == 201
    assert rest("GET", f"/devices/{sn(mine, 5)}", key=line).status == 200
    a = rest("POST", "/tokens", {"device": sn(mine, 5)}, key=k)
    assert a.status == 404, a
    t_5 = rest("POST", "/tokens", {"device": sn(mine, 5)}).json["id"]
    for method, path, body in (
            ("GET", f"/tokens/{t_5}", None), ("POST", f"/tokens/{t_5}/remint", {}),
            ("POST", f"/tokens/{t_5}/thaw", {}), ("POST", f"/tokens/{t_5}/cancel", {}),
            ("PATCH", f"/devices/{sn(mine, 5)}", {"attributes": {}}),
            ("GET", f"/devices/{sn(mine, 5)}/history", None),
            ("POST", f"/devices/{sn(mine, 5)}/retire", {})):
        a = rest(method, path, body, key=k)
        assert a.status == 404, (path, a)
    factory.change(mine, "pause")
    for serial, want in ((sn(mine, 5), 409), (sn(mine, 6), 403)):
        a = rest("POST", "/devices", {"id": serial, "product": "thermo"},
                 key=line)
        assert a.status == want, a
    factory.change(mine, "open")

    # what is seen, one by one
    made = [sn(mine, 1), sn(also, 1)]
    t_in = [rest("POST", "/tokens", {"device": d}, key=k).json["id"]
            for d in made]
    c_in = [rest("GET", f"/certificates?device={d}", key=k).json["items"][0]
            ["serial"] for d in made]
    for ids, path in (
            (zip(made, out), "/devices/{}"), (zip(made, out), "/devices/{}/history"),
            (zip(made, out), "/devices/{}/receipt"), (zip(t_in, t_out), "/tokens/{}"),
            (zip(c_in, c_out), "/certificates/{}"),
            (zip([mine, also], [theirs] * 2), "/batches/{}"),
            (zip([mine], [theirs]), "/batches/{}/report"),
            ([("thermo", "x")], "/products/{}")):
        for yes, no in ids:
            assert rest("GET", path.format(yes), key=k).status == 200, yes
            assert rest("GET", path.format(no), key=k).status == 404, no
            assert rest("GET", path.format(yes), key=valve).status == 404
    for method, path, body in (
            ("POST", "/tokens", {"device": out[0]}),
            ("POST", "/tokens", {"device": sn(mine, 4), "product": "thermo"}),
            ("GET", f"/devices/{sn(mine, 4)}", None),
            ("PATCH", f"/devices/{out[0]}", {"attributes": {}}),
            ("PATCH", f"/devices/{made[0]}", {"product": "valve"}),
            ("POST", f"/certificates/{c_out[0]}/revoke", {"reason": 1}),
            ("POST", "/products/thermo/schema/check", {}),
            ("GET", "/products/thermo/configuration/devices", None)):
        assert rest(method, path, body, key=k).status == 404, path

    # lists, by one and in one
    spki = [rest("GET", f"/certificates/{c}").json["spki_sha256"]
            for c in c_in + c_out]
    for path, name, want in (
            (f"/certificates?spki_sha256={spki[1]}&", "serial", c_in[1:]),
            (f"/certificates?spki_sha256={spki[1]}&product=x&", "serial", []),
            (f"/certificates?spki_sha256={spki[2]}&", "serial", []),
            ("/devices?", "id", made), ("/tokens?", "id", t_in),
            ("/certificates?", "serial", c_in), ("/batches?", "id", [mine, also]),
            ("/products?", "name", ["thermo"]),
            (f"/devices?batch={also}&", "id", made[1:]),
            (f"/devices?batch={theirs}&", "id", []),
            ("/devices?product=x&", "id", []),
            ("/devices?state=retired&", "id", []),
            (f"/tokens?device={made[0]}&", "id", t_in[:1]),
            (f"/tokens?device={out[0]}&", "id", []),
            ("/certificates?state=revoked&", "serial", [])):
        for limit in (1, 1000):
            got = [i[name] for i in every(factory, f"{path}limit={limit}", k)]
            assert got == want, (path, limit)
        assert every(factory, f"{path}limit=9", valve) == [], path
    for path in ("/devices", "/tokens", "/certificates"):
        for after in ("x", f"{theirs}/", f"{mine}/x/not-a-key"):
            if path != "/devices" or after != f"{mine}/x/not-a-key":
                a = rest("GET", f"{path}?after={after}", key=k)
                assert a.status == 400, (path, after, a)

    # entries and events: of its batches and of what they made
    for path in ("/audit?", "/ledger/entries?"):
        told = [i["entry"] for i in every(factory, f"{path}limit=1000", k)]
        assert {e["device"] for e in told if "device" in e} == set(made), told
        assert {e["batch"] for e in told if "batch" in e} == {mine, also}
        assert "batch.created" in {e["type"] for e in told}
    seen = rest("GET", "/events?after=-1&limit=1000", key=k).json["items"]
    assert {e["entry"].get("device", made[0]) for e in seen} == set(made)

    # another product's, it is no batch's any more
    at = factory.station("of-batch")
    gone = sn(also, 2)
    assert factory.enrol(gone, at, 20, batch=also,
                         station="of-batch").status == 200
    rest("POST", "/products", {"name": "valve", "ldevid_profile": "thermo"})
    assert rest("PATCH", f"/devices/{made[1]}",
                {"product": "valve"}).status == 200
    for path in ("/devices/{}", "/devices/{}/receipt"):
        assert rest("GET", path.format(made[1]), key=k).status == 404
    assert rest("PATCH", f"/devices/{gone}",
                {"product": "valve"}).status == 200
    tell(factory, also, "of-batch", [unit(gone, "scrapped")], key=k, want=404)
    assert [c["state"] for c in every(factory, f"/certificates?device={gone}")
            ] == ["issued"]
    for path in ("/devices?", "/tokens?", "/certificates?"):
        assert len(every(factory, f"{path}limit=9", k)) == 1, path
    told = every(factory, "/audit?limit=1000", k)
    assert made[1] not in json.dumps(told)

    # a report is no issuance: no token beside the quota
    k = rest("POST", "/keys", {"name": "of one", "roles": ["admin"],
                               "batches": [mine]}).json["key"]
    assert rest("POST", "/tokens", {"device": made[0]}, key=k).status == 201
    tell(factory, mine, "of-batch", [unit(sn(mine, 7), "failed")], key=k)
    assert rest("POST", "/devices", {"id": sn(mine, 7), "product": "thermo"},
                key=k).status == 201
    t_7 = rest("POST", "/tokens", {"device": sn(mine, 7)}).json["id"]
    for path, body in (("/tokens", {"device": sn(mine, 7)}),
                       (f"/tokens/{t_7}/remint", {}), (f"/tokens/{t_7}/thaw", {}),
                       (f"/devices/{sn(mine, 7)}/repair", {})):
        a = rest("POST", path, body, key=k)
        assert a.status == 403 and "counts in a batch" in a.json["detail"], a
    # another station's word of what has a certificate takes nothing from it
    tell(factory, mine, "of-batch", [unit(made[0], "failed")])
    a = rest("POST", "/tokens", {"device": made[0]}, key=k)
    assert a.status == 201, a

    # a key of a list goes on where rows are, or is none
    valves = factory.batch(1, product="valve")["id"]
    k = rest("POST", "/keys", {"name": "of two products", "roles": ["auditor"],
             "batches": ["a-nosuch", mine, valves]}).json["key"]
    for path in ("/tokens", "/certificates"):
        for query, want in ((f"product=valve&after={mine}/x/y", 400),
                            ("after=a-nosuch/x/y", 400),
                            (f"after={mine}/x/y", 400),
                            ("after=a-nosuch/x", 200),
                            ("product=valve", 200)):
            a = rest("GET", f"{path}?{query}", key=k)
            assert a.status == want, (path, query, a)
        rows = every(factory, f"{path}?limit=1", k)
        assert {row.get("device", made[0]) for row in rows} == set(
            [made[0], sn(mine, 7)][:1 + (path == "/tokens")]), (path, rows)


def test_what_is_no_batch(factory):
    rows = [
        {"quantity": 0}, {"quantity": -1}, {"quantity": "3"},
        {"quantity": 3, "scrap": 4}, {"quantity": 100},
        {"quantity": 1, "serials": "X-{9..1}"},
        {"quantity": 1, "serials": "no run"},
        {"quantity": 1, "serials": None},
        {"quantity": 1, "serials": None, "serial_list": ["A", "a"]},
        {"quantity": 1, "serials": None, "serial_list": ["A B"]},
        {"quantity": 2, "serials": None, "serial_list": ["only"]},
        {"quantity": 1, "serial_list": ["both"]},
        {"quantity": 1, "until": "2020-01-01T00:00:00Z"},
        {"quantity": 1, "not_before": "2099-01-01T00:00:00Z"},
        {"quantity": 1, "take": "steal"}, {"quantity": 1, "scan": "?"},
        {"quantity": 1, "id": "longer-than-twenty-four-x"},
        {"quantity": 1, "note": "two\nlines"},
        {"quantity": 1, "unknown": 1},
        {"quantity": 1, "people": [{"id": "a", "role": "king",
                                    "badge": "00" * 32}]},
    ]
    for row in rows:
        a = factory.batch(**{"want": 400, **row})
        assert a["type"], row
    assert factory.batch(1, want=404, product="nosuch")
    assert factory.batch(1, want=404, shares=[{"station": "nosuch",
                                               "share": 1}])
    assert factory.batch(1, want=403, marker="production")
    for more in ({"level": "hardware"}, {"key_origin": "station"},
                 {"take": "next", "serials": None}):
        assert "offline" in factory.batch(1, want=400, mode="offline",
                                          **more)["detail"]
    taken = factory.batch(1)["id"]
    factory.batch(1, want=409, id=taken, serials="OTHER-{1..2}")


def test_serials_are_one_batchs(factory):
    name = factory.batch(5, serials="ONE-{0010..0019}")["id"]
    for serials, want in (("ONE-{0001..0010}", 409), ("one-{0019..0030}", 409),
                          ("ONE-{0012..0013}", 409), ("ONE-{0001..0009}", 201),
                          ("ONE-{0020..0020}", 201), ("ONE-{010..019}", 201)):
        a = factory.batch(1, want=want, serials=serials)
        if want == 409:
            assert name in a["detail"], a


def test_serials_overlap_however_they_are_written(factory):
    listed = lambda *serials: {"serials": None, "serial_list": list(serials)}
    run = lambda text: {"serials": text}
    rows = [  # what is there, what comes, the serial that both have
        (run("SO1-{1..5000}"), run("SO1-{1000..2000}"), "SO1-1000"),
        (run("SO2-{0500..1500}"), run("so2-{1..1499}"), "so2-1000"),
        (run("SO3-{1..5000}"), run("SO3-1{000..999}"), "SO3-1000"),
        (run("SO4-{1..100}"), listed("SO4-0", "so4-7", "SO4-99"), "so4-7"),
        (listed("SO5-0", "SO5-7", "SO5-99"), run("so5-{5..200}"), "so5-7"),
        (listed("SO6-A", "SO6-B"), listed("SO6-C", "so6-b", "so6-A"),
         "so6-A"),
        (run("SO7-{1..5000}"), run("SO7-{0001..0999}"), None),
        (run("SO8-{1..100}"), listed("SO8-0", "SO8-007", "SO8-101"), None),
        (listed("SO9-A", "SO9-B"), listed("SO9-AB", "SO9-C"), None),
    ]
    for had, comes, both in rows:
        name = factory.batch(1, **had)["id"]
        a = factory.batch(1, want=409 if both else 201, **comes)
        if both:
            assert a["detail"] == f"serials: batch {name} has {both}", a
    # a batch that was closed has made its devices
    factory.change(name, "close", reason="done")
    a = factory.batch(1, want=409, **listed("so9-b"))
    assert "so9-b" in a["detail"], a


def test_next_free_goes_on_after_lists_too(factory):
    factory.w.product("freed", ldevid_profile="thermo")
    factory.batch(1, product="freed", serials=None,
                  serial_list=["freed-000041", "freed-12345678901", "freed-x"])
    factory.batch(1, product="freed", serials="FREED-00{0050..0052}")
    a = factory.batch(2, product="freed", serials=None, take="next")
    assert a["serials"] == "freed-{000053..000054}", a


def test_next_free_goes_on_after_the_last(factory):
    def take(n):
        return factory.batch(n, serials=None, take="next")

    one, two = take(10), take(5)
    assert one["first_serial"].startswith("thermo-")
    number = lambda s: int(s.rpartition("-")[2])
    assert number(two["first_serial"]) == number(one["last_serial"]) + 1
    assert two["serials_count"] == 5
    # at once: never the same ones
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        body = {"product": "thermo", "until": SOON, "quantity": 3,
                "take": "next"}
        answers = list(pool.map(
            lambda _: factory.w.rest("POST", "/batches", body), range(8)))
    assert {a.status for a in answers} <= {201, 409}
    made = [a.json["serials"] for a in answers if a.status == 201]
    assert made and len(made) == len(set(made))


def test_misfits_are_told_before_they_are_burnt(factory):
    n = len(factory.w.rest("GET", "/batches?limit=1000").json["items"])
    a = factory.batch(1, want=200, dry_run=True, serials="a.b-{1..2}.")
    text = " ".join(a["warnings"])
    assert "AWS" in text and "Azure" in text and "MQTT" not in text
    a = factory.batch(1, want=200, dry_run=True,
                      serials="a-very-long-serial-number-{1..2}")
    assert "MQTT" in " ".join(a["warnings"])
    a = factory.batch(1, want=200, dry_run=True)
    assert not any("MQTT" in w or "AWS" in w for w in a["warnings"])
    assert len(factory.w.rest(
        "GET", "/batches?limit=1000").json["items"]) == n


def test_secrets_that_can_be_guessed_are_told(factory):
    """Before a batch is made with them, and when it is; never what they
    are."""
    template = '{"psk": "{{psk:secret}}", "pin": "{{pin:secret}}", "h": "{{h}}"}'

    def told(serials, psks, pins, **more):
        a = factory.batch(len(serials), want=200 if more else 201, serials=
                          f"{serials[0][:-1]}{{1..{len(serials)}}}",
                          configuration={
                              "version": 1, "template": template,
                              "columns": ["device", "psk", "pin", "h"],
                              "rows": [[*row, "h"] for row in zip(
                                  serials, psks, pins)]}, **more)
        text = json.dumps(a)
        assert not any(p in text for p in psks + pins)
        return [w for w in a["warnings"] if "secret" in w]

    good = [f"{i}-jW4v0s8TqLz2Rk6y" for i in range(3)]
    long = [str(10 ** 20 + i) for i in range(3)]
    serials = [f"WEAK-{i}" for i in (1, 2, 3)]
    assert told(serials, good, long, dry_run=True) == []
    short = ["weak-1-geheim", "geheim-WEAK-2", "tiny"]
    for more in ({"dry_run": True}, {}):
        psk, pin = told(serials, short, ["4711" * 5, "4711" * 5, long[0]],
                        **more)
        assert "secret psk has fewer than 16 characters beside the " \
            "device's id in 3 rows" in psk
        assert "secret pin is that of another device in 2 rows" in pin
    # the device's name in it is no length
    one, = told(["AGAIN-1", "AGAIN-2"], ["again-1AGAIN-1again-1geheim",
                                         good[0]], long[:2], dry_run=True)
    assert "psk has fewer than 16 characters" in one and "1 row:" in one


def test_a_sample_label_is_read_by_the_rule(factory):
    rule = {"scan": "label:*S/N {serial};*", "serials": "SN-{1..9}"}
    factory.batch(1, want=200, dry_run=True, sample="x S/N SN-4;y", **rule)
    a = factory.batch(1, want=400, dry_run=True, sample="x S/N SN-10;y",
                      **rule)
    assert "SN-10" in a["detail"]


def test_every_row_of_a_configuration_is_rendered(factory):
    template = json.dumps({"name": "{{device}}", "mqtt": "{{host}}"})
    config = {"version": 1, "template": template,
              "columns": ["device", "host"],
              "rows": [["C-1", "a.example"], ["C-2", "b.example"]]}
    good = {"serials": "C-{1..2}", "quantity": 2, "dry_run": True}

    def told(want, **change):
        return factory.batch(**{**good, "want": want,
                                "configuration": {**config, **change}})

    a = told(200)
    assert a["configuration"]["version"] == 1
    rows = [
        ({"rows": config["rows"][:1]}, "C-2 has no row"),
        ({"rows": config["rows"] * 2}, "row 3"),
        ({"rows": [["C-1", "a"], ["C-3", "b"]]}, "row 2"),
        ({"rows": [["C-1", "a"], ["C-2"]]}, "row 2"),
        ({"columns": ["device", "other"]}, ""),
        ({"template": '{"name": "{{nosuch}}"}'}, ""),
        ({"template": "no json {{device}}"}, ""),
        ({"version": 0}, "version"),
    ]
    for change, words in rows:
        a = told(400, **change)
        assert words in a["detail"], a


# ---- counted where certificates are issued ----

def test_the_quota_is_counted_where_a_certificate_is_made(factory):
    name = factory.batch(2)["id"]
    p = f"P{factory.n}-"
    assert factory.enrol(p + "001", batch=name).status == 200
    # the same key again is told again, and free
    for _ in range(3):
        again = factory.enrol(p + "001", batch=name)
        assert again.status == 200 and again.json["replayed"], again
    assert factory.enrol(p + "002", csr=1, batch=name).status == 200
    refused(factory.enrol(p + "003", csr=2, batch=name), "quota-gone")
    issued = [e for e in factory.entries(name)
              if e["type"] == "certificate.issued"]
    assert [e["device"] for e in issued] == [p + "001", p + "002"]
    factory.change(name, "extend", reason="one more", quantity=3)
    assert factory.enrol(p + "003", csr=2, batch=name).status == 200
    refused(factory.enrol(p + "004", csr=3, batch=name), "quota-gone")
    # what was refused spent nothing, and is no device with a certificate
    certs = factory.w.rest("GET", f"/certificates?device={p}004").json
    assert certs["items"] == []


def test_what_is_not_of_the_batch_is_not_made(factory):
    name = factory.batch(5)["id"]
    p = f"P{factory.n}-"
    refused(factory.enrol("STRANGER-1", csr=4, batch=name),
            "device-not-of-the-batch")
    refused(factory.enrol(p + "100", csr=4, batch=name),
            "device-not-of-the-batch")
    refused(factory.enrol(p + "001", csr=4, batch="nosuch"), "batch-not-open")
    factory.change(name, "pause")
    refused(factory.enrol(p + "001", csr=4, batch=name), "batch-not-open")
    factory.change(name, "open")
    assert factory.enrol(p + "001", csr=4, batch=name).status == 200
    factory.change(name, "close")
    refused(factory.enrol(p + "002", csr=5, batch=name), "batch-not-open")
    # what was made stays what it is
    assert factory.enrol(p + "001", csr=4, batch=name).json["replayed"]
    early = factory.batch(1, not_before=SOON,
                          until="2099-01-01T00:00:00Z")["id"]
    refused(factory.enrol(f"P{factory.n}-001", csr=5, batch=early),
            "batch-not-open")


def test_a_list_of_serials_is_as_written(factory):
    name = factory.batch(3, serials=None,
                         serial_list=["z-9", "Mixed.Case", "a-1"])["id"]
    assert factory.enrol("Mixed.Case", csr=6, batch=name).status == 200
    refused(factory.enrol("z-8", csr=7, batch=name),
            "device-not-of-the-batch")
    refused(factory.enrol("A-1", csr=7, batch=name),
            "device-not-of-the-batch")


def test_a_station_makes_its_share_and_no_more(factory):
    l1, l2, l3 = (factory.station(f"share-{i}") for i in (1, 2, 3))
    name = factory.batch(3, shares=[{"station": "share-1", "share": 1},
                                    {"station": "share-2", "share": 2}])["id"]
    p = f"P{factory.n}-"
    a = factory.enrol(p + "001", key=l1, csr=8, batch=name)
    assert a.status == 200, a
    refused(factory.enrol(p + "002", key=l1, csr=9, batch=name), "quota-gone")
    refused(factory.enrol(p + "002", key=l3, csr=9, batch=name),
            "station-has-no-share")
    # a station's credential enrols nothing beside a batch
    refused(factory.enrol(p + "002", key=l2, csr=9), "batch-missing")
    refused(factory.enrol(p + "002", key=l2, csr=9, batch=name,
                          station="share-1"), None)
    assert factory.enrol(p + "002", key=l2, csr=9, batch=name).status == 200
    issued = [e for e in factory.entries(name)
              if e["type"] == "certificate.issued"]
    assert [e["station"] for e in issued] == ["share-1", "share-2"]
    factory.w.rest("POST", "/stations/share-2/remove", {})
    refused(factory.enrol(p + "003", key=l2, csr=10, batch=name), None)


def test_shares_are_within_the_quantity(factory):
    factory.station("part-1")
    factory.station("part-2")
    share = lambda *n: [{"station": f"part-{i + 1}", "share": v}
                        for i, v in enumerate(n)]
    factory.batch(5, want=400, shares=share(3, 3))
    name = factory.batch(5, scrap=2, shares=share(3))["id"]
    factory.change(name, "shares", want=400, shares=share(3, 3))
    factory.change(name, "shares", want=409, shares=share(2))
    b = factory.change(name, "shares", shares=share(3, 2))
    assert [s["share"] for s in b["shares"]] == [3, 2]
    assert sum(s["scrap"] for s in b["shares"]) <= 2


def test_scrap_is_shared_out_when_it_grows(factory):
    """Also to the shares that are not named again; never more in all."""
    for i in (1, 2, 3):
        factory.station(f"spread-{i}")
    share = lambda **n: [{"station": k.replace("_", "-"), "share": v}
                         for k, v in n.items()]
    parts = lambda b: [s["scrap"] for s in b["shares"]]
    name = factory.batch(10, shares=share(spread_1=5, spread_2=5))["id"]
    b = factory.change(name, "extend", reason="bad parts", scrap=4)
    assert parts(b) == [2, 2]
    order = factory.w.rest("POST", f"/batches/{name}/order",
                           {"station": "spread-1"}).json["order"]
    assert '"share":5,"scrap":2,' in order
    # more units with the same allowance: none loses what it was told
    b = factory.change(name, "extend", reason="more", quantity=40)
    assert parts(b) == [2, 2]
    b = factory.change(name, "shares", shares=share(spread_3=30))
    assert parts(b) == [2, 2, 0]
    b = factory.change(name, "extend", reason="bad parts", scrap=9)
    assert parts(b) == [2, 2, 5] and sum(parts(b)) <= 9


def test_a_station_has_the_rows_of_its_own_serials(factory):
    """With take next; other stations' devices are none of its business."""
    for i in (1, 2):
        factory.station(f"rows-{i}")
    table = {"columns": ["psk", "device"],
             "rows": [[f"s3cret-{n}", f"RW-{n:02}"] for n in range(1, 7)]}
    name = factory.batch(
        4, scrap=2, take="next", serials="RW-{01..06}",
        configuration={"version": 1, "template": '{"psk": "{{psk}}"}',
                       **table},
        shares=[{"station": "rows-1", "share": 2},
                {"station": "rows-2", "share": 2}])["id"]
    had, salts = [], []
    for station in ("rows-1", "rows-2"):
        file = factory.w.rest("POST", f"/batches/{name}/order",
                              {"station": station}).json
        assert "order" in file, file
        line = json.loads(file["order"].split("\n")[1])
        rows, = [p for p in file["papers"] if "columns" in p]
        assert sha256(rows) == line["fields_sha256"]
        rows = json.loads(rows)
        assert rows["columns"] == ["psk", "device"]
        # its rows', and not the one that all devices' are made of
        assert "salt" not in rows and len(rows["salts"]) == len(rows["rows"])
        salts += rows["salts"]
        had.append([r[1] for r in rows["rows"]])
        for other in table["rows"]:
            assert (other[0] in json.dumps(file)) == (other[1] in had[-1])
        assert factory.w.rest("POST", f"/batches/{name}/order", {
            "station": station}).json == file  # the same once more
    assert len(set(salts)) == 6
    assert had == [["RW-01", "RW-02", "RW-03"], ["RW-04", "RW-05", "RW-06"]]


def test_a_table_that_was_taken_has_an_order(factory):
    """However many rows it has: each gets a salt in the station's.  An answer
    that long is not stored for its key but made again: the same file, or what
    has become of the batch meanwhile."""
    factory.station("wide")
    serials = [f"W{n:06}" for n in range(1, 150001)]
    name = factory.batch(
        len(serials), take="next", serials="W{000001..150000}",
        configuration={"version": 1, "template": '{"psk": "{{psk}}"}',
                       "columns": ["psk", "device"],
                       "rows": [["01234567", x] for x in serials]},
        shares=[{"station": "wide", "share": len(serials)}])["id"]
    for state in ("open", "closed"):
        file, again = (factory.w.rest(
            "POST", f"/batches/{name}/order", {"station": "wide"},
            headers={"Idempotency-Key": "wide"}).json
            for _ in range(2))
        assert again == file and "order" in file, (state, file)
        assert f'"state":"{state}"' in file["order"]
        tables = [p for p in file["papers"] if "columns" in p]
        if state == "open":
            assert len(json.dumps(file)) > 8 << 20
            assert [len(t) > 4 << 20 for t in tables] == [True]
            factory.change(name, "close", reason="done")
    assert tables == []  # nothing is made any more


def test_two_stations_race_for_the_last_unit(factory):
    """Exactly one gets it, each time; what is lost is settled."""
    keys = [factory.station(f"race-{i}") for i in range(4)]
    for _ in range(5):
        name = factory.batch(1)["id"]
        p = f"P{factory.n}-"
        csrs = [base64.b64encode(factory.w.key_and_csr(
            f"race-{factory.n}-{i}")[1].read_bytes()).decode()
            for i in range(4)]
        for i in range(4):
            factory.w.rest("POST", "/devices", {
                "id": f"{p}00{i + 1}", "product": "thermo"})
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda i: factory.w.rest(
                "POST", f"/devices/{p}00{i + 1}/enrol",
                {"csr": csrs[i], "batch": name}, key=keys[i]), range(4)))
        assert sorted(a.status for a in answers) == [200, 403, 403, 403], \
            answers
        for a in answers:
            if a.status == 403:
                refused(a, "quota-gone")
        issued = [e for e in factory.entries(name)
                  if e["type"] == "certificate.issued"]
        assert len(issued) == 1


# ---- stations ----

def test_stations(factory):
    w = factory.w
    person = w.rest("POST", "/keys", {"name": "p", "roles": ["line",
                                                             "operator"]})
    line = w.rest("POST", "/keys", {"name": "l", "roles": ["line"]}).json
    for body, want in (({"id": "st-1", "key": person.json["id"]}, 403),
                       ({"id": "st-1", "key": "0" * 16}, 404),
                       ({"id": "st 1", "key": line["id"]}, 400),
                       ({"id": "st-1"}, 400),
                       ({"id": "st-1", "key": line["id"],
                         "description": "left"}, 201),
                       ({"id": "st-1", "key": line["id"]}, 409),
                       ({"id": "st-2", "key": line["id"]}, 409)):
        a = w.rest("POST", "/stations", body)
        assert a.status == want, (body, a)
    assert w.rest("GET", "/stations/st-1").json["description"] == "left"
    assert "st-1" in {s["id"] for s in
                      w.rest("GET", "/stations?limit=1000").json["items"]}
    assert w.rest("POST", "/stations/st-1/remove", {}).json["state"] == \
        "removed"
    assert w.rest("GET", "/stations/nosuch").status == 404


def test_a_stations_credential_mints_no_tokens(factory):
    key = factory.station("no-tokens")
    factory.w.rest("POST", "/devices", {"id": "NT-1", "product": "thermo"})
    a = factory.w.rest("POST", "/tokens", {"device": "NT-1"}, key=key)
    assert a.status == 403 and "no-tokens" in a.json["detail"], a


def test_boards_of_a_batch(factory, tmp_path):
    """mintmark-station and its boards: three of three, and no fourth."""
    w = factory.w
    name = factory.batch(3, serials="BD-{1..9}")["id"]
    s = Station(w, tmp_path / "station", "board-line",
                more=f"batch = {name}\n", limit=("--batch", name))
    try:
        keys = w.rest("GET", "/keys?limit=1000").json["items"]
        (key,) = [k["id"] for k in keys if k.get("name") == "board-line"]
        a = w.rest("POST", "/stations", {"id": "board-line", "key": key})
        assert a.status == 201, a
        s.plug()
        for i in (1, 2, 3):
            s.passes(f"BD-{i}", f"f{i}")
        s.passes("BD-2", "f2")
        code, answer = s.provision("BD-4", "f4")
        assert (code, answer["reason"]) == (1, "quota-gone"), answer
        factory.change(name, "extend", reason="one more", quantity=4)
        code, answer = s.provision("OTHER-4", "f4")
        assert (code, answer["reason"]) == (3, "bad-serial"), answer
        factory.change(name, "pause")
        code, answer = s.provision("BD-4", "f4")
        assert (code, answer["reason"]) == (1, "no-batch"), answer
        factory.change(name, "open")
        s.unplug()
        s.blank(4)
        s.plug()
        s.passes("BD-4", "f4")
        # What became of them the station has told by itself, each time.
        report = w.rest("GET", f"/batches/{name}/report").json
        assert (report["passed"], report["failed"]) == (4, 0), report
    finally:
        s.close()
    issued = [e for e in factory.entries(name)
              if e["type"] == "certificate.issued"]
    assert [e["device"] for e in issued] == [f"BD-{i}" for i in (1, 2, 3, 4)]
    assert {e["station"] for e in issued} == {"board-line"}


def test_results_are_told_once_the_centre_can_hear(factory, tmp_path):
    """Also what an earlier run made and did not live to tell."""
    w = factory.w
    name = factory.batch(9, serials="TL-{1..9}")["id"]
    s = Station(w, tmp_path / "station", "told-line",
                more=f"batch = {name}\n")

    def report():
        r = w.rest("GET", f"/batches/{name}/report").json
        return r["issued"], r["passed"], r["failed"], r["quarantined"]

    try:
        (key,) = [k["id"] for k in w.rest(
            "GET", "/keys?limit=1000").json["items"]
            if k.get("name") == "told-line"]
        a = w.rest("POST", "/stations", {"id": "told-line", "key": key})
        assert a.status == 201, a
        s.plug()
        # SIGKILL as soon as it says PASS: the row is there, nothing was told
        p = s.begin("run", "--json", stdin=subprocess.PIPE)
        p.stdin.write("f1 TL-1\n")
        p.stdin.flush()
        for line in p.stdout:
            if json.loads(line).get("result") == "passed":
                break
        p.kill()
        p.communicate()
        assert s.provision("TL-2", "f2")[0] == 0
        assert report() == (2, 2, 0, 0)
        # a blank board under a label that was used is told, too
        code, a = s.provision("TL-2", "f3")
        assert (code, a["reason"]) == (22, "other-board"), a
        assert report() == (2, 1, 0, 1)
        # a slip is no fault of the unit's
        code, a = s.provision("TL-1", "f4")
        assert code == 22, a
        code, a = s.provision("TL-3", "f1")
        assert (code, a["reason"]) == (21, "key-of-another"), a
        # told twice is as told once
        (s.dir / "state/told").unlink()
        s.passes("TL-4", "f4")
        assert report() == (3, 1, 0, 2)
        entries = len(factory.entries(name))
        s.passes("TL-4", "f4")
        assert len(factory.entries(name)) == entries
    finally:
        s.close()


# ---- units and reports ----

def tell(factory, batch, station, units, want=200, key=None):
    a = factory.w.rest("POST", f"/batches/{batch}/units",
                       {"station": station, "units": units}, key=key)
    assert a.status == want, a
    return a.json


def unit(serial, result, minute=0, **more):
    return {"serial": serial, "result": result,
            "at": f"2026-11-01T08:{minute:02}:00Z", **more}


def test_a_report_adds_up(factory):
    key = factory.station("rep-1")
    factory.station("rep-2")
    name = factory.batch(8, scrap=2, shares=[
        {"station": "rep-1", "share": 5},
        {"station": "rep-2", "share": 3}])["id"]
    p = f"P{factory.n}-"
    spki = {}
    for i in (2, 3, 6):
        _, csr = factory.w.key_and_csr(f"rep-{i}")
        factory.w.rest("POST", "/devices", {"id": f"{p}00{i}",
                                            "product": "thermo"})
        a = factory.w.rest("POST", f"/devices/{p}00{i}/enrol", {
            "csr": base64.b64encode(csr.read_bytes()).decode(),
            "batch": name}, key=key)
        assert a.status == 200, a
        spki[i] = a.json["serial"]
    report = lambda: factory.w.rest("GET", f"/batches/{name}/report").json
    r = report()
    assert (r["authorised"], r["issued"], r["left"]) == (10, 3, 5)
    assert (r["first_serial"], r["last_serial"]) == (p + "002", p + "006")
    assert r["gaps"] == [{"from": p + "004", "to": p + "005", "count": 2}]
    assert r["passed"] == 0 and "yield_percent" not in r
    told = [unit(p + "002", "passed", 0), unit(p + "003", "passed", 30),
            unit(p + "005", "failed", 31, reason="no-answer")]
    assert tell(factory, name, "rep-1", told, key=key)["written"] == 3
    assert tell(factory, name, "rep-1", told, key=key) == {
        "written": 0, "unchanged": 3, "quarantined": [], "disputed": []}
    r = report()
    assert (r["passed"], r["failed"], r["issued"]) == (2, 1, 3)
    assert r["yield_percent"] == 66 and r["units_per_hour"] == 2
    s = {s["station"]: s for s in r["stations"]}
    assert (s["rep-1"]["issued"], s["rep-1"]["left"]) == (3, 2)
    assert (s["rep-2"]["issued"], s["rep-2"]["left"]) == (0, 3)
    # scrapped: revoked, and its quota comes back, once
    for minute in (40, 41):
        tell(factory, name, "rep-1", [unit(p + "006", "scrapped", minute)],
             key=key)
    cert = factory.w.rest("GET", f"/certificates/{spki[6]}").json
    assert cert["state"] == "revoked", cert
    r = report()
    assert (r["scrapped"], r["left"], r["issued"]) == (1, 6, 3)
    entries = [e for e in factory.entries(name)
               if e["type"] == "units.reported"]
    assert [e["count"] for e in entries] == [3, 1]
    # whoever has the ledger cannot try what was reported
    asked = hashlib.sha256(json.dumps({"station": "rep-1", "units": [
        unit(p + "006", "scrapped", 40)]}).encode()).digest()
    db = records(factory.w)
    (body,) = [b for (b,) in db.sql(
        f"SELECT {db.text('body')} FROM doc WHERE id = '{name}'")
        if '"plan"' in b]
    salt = json.loads(body)["plan"]["salt"]
    assert entries[1]["detail_sha256"] == hashlib.sha256(
        salt.encode() + asked).hexdigest()


def test_scrap_gives_back_no_more_than_is_allowed(factory):
    key = factory.station("scrap-1")
    name = factory.batch(1, scrap=1)["id"]
    p = f"P{factory.n}-"
    for i, want in ((1, 200), (2, 200), (3, 403)):
        _, csr = factory.w.key_and_csr(f"scrap-{i}")
        factory.w.rest("POST", "/devices", {"id": f"{p}00{i}",
                                            "product": "thermo"})
        body = {"csr": base64.b64encode(csr.read_bytes()).decode(),
                "batch": name}
        a = factory.w.rest("POST", f"/devices/{p}00{i}/enrol", body, key=key)
        assert a.status == want, a
        scrapped = [unit(f"{p}00{i}", "scrapped")]
        if i == 1:
            tell(factory, name, "scrap-1", scrapped, key=key)
        if i == 2:  # past the allowance it is an operator's
            a = tell(factory, name, "scrap-1", scrapped, key=key, want=403)
            assert "operator" in a["detail"], a
            tell(factory, name, "scrap-1", scrapped)
    r = factory.w.rest("GET", f"/batches/{name}/report").json
    assert (r["authorised"], r["issued"], r["scrapped"], r["left"]) == \
        (2, 2, 2, 0)


def test_a_line_scraps_no_more_than_its_share_may(factory):
    key = factory.station("scr-1")
    factory.station("scr-2")
    name = factory.batch(4, scrap=2, shares=[
        {"station": "scr-1", "share": 2},
        {"station": "scr-2", "share": 2}])["id"]
    p = f"P{factory.n}-"
    certs = []
    for i in (1, 2):
        _, csr = factory.w.key_and_csr(f"scr-{i}")
        factory.w.rest("POST", "/devices", {"id": f"{p}00{i}",
                                            "product": "thermo"})
        a = factory.w.rest("POST", f"/devices/{p}00{i}/enrol", {
            "csr": base64.b64encode(csr.read_bytes()).decode(),
            "batch": name}, key=key)
        assert a.status == 200, a
        certs.append(a.json["serial"])
    both = [unit(p + "001", "scrapped"), unit(p + "002", "scrapped")]
    tell(factory, name, "scr-1", both, key=key, want=403)
    state = lambda s: factory.w.rest("GET", f"/certificates/{s}").json["state"]
    assert [state(s) for s in certs] == ["issued"] * 2
    tell(factory, name, "scr-1", both[:1], key=key)
    assert [state(s) for s in certs] == ["revoked", "issued"]


def test_a_report_is_entered_before_anything_is_done(factory):
    """Whatever ends it then, the ledger knows what was begun."""
    w = factory.w
    key = factory.station("first-1")
    name = factory.batch(2, scrap=1)["id"]
    serial = f"P{factory.n}-001"
    _, csr = w.key_and_csr("first-1")
    w.rest("POST", "/devices", {"id": serial, "product": "thermo"})
    a = w.rest("POST", f"/devices/{serial}/enrol", {
        "csr": base64.b64encode(csr.read_bytes()).decode(), "batch": name},
        key=key)
    assert a.status == 200, a
    tell(factory, name, "first-1", [unit(serial, "scrapped")], key=key)
    told = [e["type"] for e in factory.every_entry()
            if e.get("batch") == name or
            e.get("serial") == a.json["serial"]]
    assert told == ["batch.created", "certificate.issued", "units.reported",
                    "certificate.revoked"]


def test_a_long_report_is_written_in_few_commits(factory):
    key = factory.station("long-1")
    name = factory.batch(700, serials="LONG-{001..900}")["id"]
    units = [unit(f"LONG-{i:03}", "passed") for i in range(1, 701)]
    a = tell(factory, name, "long-1", units, key=key)
    assert a["written"] == 700 and a["quarantined"] == []
    a = tell(factory, name, "long-1", units, key=key)
    assert a == {"written": 0, "unchanged": 700, "quarantined": [],
                 "disputed": []}
    r = factory.w.rest("GET", f"/batches/{name}/report").json
    assert r["passed"] == 700, r
    reported, = [e for e in factory.entries(name)
                 if e["type"] == "units.reported"]
    assert reported["count"] == 700


def test_a_line_scraps_only_what_it_is_making(factory):
    """A credential that was stolen at the line revokes nothing that left it,
    and so makes nobody room to have its name certified for another key."""
    w = factory.w
    key = factory.station("thief-1")
    name = factory.batch(3, scrap=3)["id"]
    p = f"P{factory.n}-"
    certs = []
    for i in (1, 2):
        private, csr = w.key_and_csr(f"thief-{i}")
        w.rest("POST", "/devices", {"id": f"{p}00{i}", "product": "thermo"})
        a = w.rest("POST", f"/devices/{p}00{i}/enrol", {
            "csr": base64.b64encode(csr.read_bytes()).decode(),
            "batch": name}, key=key)
        assert a.status == 200, a
        certs.append(a.json["serial"])
    a = w.rest("POST", f"/devices/{p}001/proof", possession.proof(
        w.dir / "thief-1.key", possession.der_of(w, certs[0]), certs[0]),
        key=key)
    assert a.status == 200, a
    state = lambda i: w.rest("GET", f"/certificates/{certs[i]}").json["state"]
    both = [unit(p + "001", "scrapped"), unit(p + "002", "scrapped")]
    a = tell(factory, name, "thief-1", both, want=403, key=key)
    assert "operator" in a["detail"], a
    assert (state(0), state(1)) == ("confirmed", "issued")
    factory.change(name, "close")
    tell(factory, name, "thief-1", both[1:], want=403, key=key)
    assert state(1) == "issued"
    tell(factory, name, "thief-1", both)  # an administrator's
    assert (state(0), state(1)) == ("revoked", "revoked")


def test_no_news_is_of_tomorrow(factory):
    key = factory.station("clock-1")
    name = factory.batch(1)["id"]
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 900))
    tell(factory, name, "clock-1", [{"serial": f"P{factory.n}-001",
                                     "result": "failed", "at": at}],
         want=400, key=key)


def test_a_serial_of_two_stations_is_put_aside(factory):
    one, two = factory.station("two-1"), factory.station("two-2")
    name = factory.batch(5)["id"]
    p = f"P{factory.n}-"
    tell(factory, name, "two-1", [unit(p + "001", "passed")], key=one)
    a = tell(factory, name, "two-2", [unit(p + "001", "passed", 1)], key=two)
    assert a["quarantined"] == [{"serial": p + "001", "other": "two-1"}]
    a = tell(factory, name, "two-1", [unit(p + "001", "passed", 2)], key=one)
    assert a["written"] == 0
    r = factory.w.rest("GET", f"/batches/{name}/report").json
    assert r["quarantined"] == 1 and r["problems"]
    # a certificate for it would write over what is known of the two
    _, csr = factory.w.key_and_csr("aside")
    csr = base64.b64encode(csr.read_bytes()).decode()
    factory.w.rest("POST", "/devices", {"id": p + "001",
                                        "product": "thermo"})
    for key in (one, two, None):
        refused(factory.w.rest("POST", f"/devices/{p}001/enrol",
                               {"csr": csr, "batch": name}, key=key),
                "unit-put-aside")
    assert factory.w.rest("GET", f"/batches/{name}/report").json[
        "quarantined"] == 1
    tell(factory, name, "two-2", [unit(p + "002", "passed")], key=one,
         want=403)
    for bad in ([unit("OTHER-1", "passed")], [unit(p + "003", "issued")],
                [unit(p + "003", "nosuch")],
                [unit(p + "003", "passed")] * 2, []):
        tell(factory, name, "two-1", bad, key=one, want=400)


def test_a_station_spoils_no_other_ones_units(factory):
    """What has a certificate stays as it is, whoever tells of it; a share is
    its station's; what was put aside an operator clears."""
    w = factory.w
    own, thief = factory.station("own-1"), factory.station("own-2")
    name = factory.batch(9)["id"]
    serial = f"P{factory.n}-001"
    assert factory.enrol(serial, own, 24, batch=name,
                         station="own-1").status == 200
    tell(factory, name, "own-1", [unit(serial, "passed")], key=own)
    for written in (1, 0):
        a = tell(factory, name, "own-2", [unit(serial, "failed", 1)],
                 key=thief)
        assert a == {"written": written, "unchanged": 1 - written,
                     "quarantined": [],
                     "disputed": [{"serial": serial, "other": "own-1"}]}
    u = w.rest("GET", f"/batches/{name}/units").json["items"][0]
    assert (u["result"], u["station"], u["other_station"]) == (
        "passed", "own-1", "own-2")
    assert [e["device"] for e in factory.entries(name)
            if e.get("reason") == "unit-of-another-station"] == [serial]
    # what is not made yet is put aside, until somebody has looked
    early = f"P{factory.n}-002"
    tell(factory, name, "own-2", [unit(early, "failed")], key=thief)
    tell(factory, name, "own-1", [unit(early, "failed", 1)], key=own)
    refused(factory.enrol(early, own, 25, batch=name, station="own-1"),
            "unit-put-aside")
    body = {"station": "own-1", "clear": True,
            "units": [unit(early, "failed", 2)]}
    path = f"/batches/{name}/units"
    assert w.rest("POST", path, body, key=own).status == 403
    body["units"][0]["result"] = "scrapped"
    assert w.rest("POST", path, body).status == 400
    for written in (1, 0):
        a = w.cli("--json", "batch", "release", name, early, "--station",
                  "own-1", "--result", "failed", "--reason", "looked")
        assert json.loads(a.stdout)["written"] == written
    assert factory.enrol(early, own, 25, batch=name,
                         station="own-1").status == 200
    # a share of which the other one takes the next
    name = factory.batch(4, take="next", shares=[
        {"station": "own-1", "share": 2},
        {"station": "own-2", "share": 2}])["id"]
    p = f"P{factory.n}-"
    tell(factory, name, "own-2", [unit(p + "001", "failed")], key=thief,
         want=403)
    tell(factory, name, "own-2", [unit(p + "003", "failed")], key=thief)


def test_a_key_that_was_never_certified_is_no_certificate(factory):
    """A report names any: neither is the unit that station's by it, nor does
    scrapping it give quota back."""
    w = factory.w
    own, thief = factory.station("key-1"), factory.station("key-2")
    name = factory.batch(1, scrap=1)["id"]
    p = f"P{factory.n}-"
    made_up = {"spki_sha256": "ab" * 32}
    for serial, what in (("002", "failed"), ("001", "failed"),
                         ("001", "scrapped")):
        tell(factory, name, "key-2", [unit(p + serial, what, **made_up)],
             key=thief)
    assert factory.enrol(p + "003", own, 26, batch=name,
                         station="key-1").status == 200
    refused(factory.enrol(p + "004", own, 27, batch=name, station="key-1"),
            "quota-gone")
    a = tell(factory, name, "key-1", [unit(p + "002", "failed", 1)], key=own)
    assert a["quarantined"] == [{"serial": p + "002", "other": "key-2"}], a
    assert a["disputed"] == [], a
    assert not [e for e in factory.entries(name)
                if e.get("reason") == "unit-of-another-station"]


# ---- work orders ----

def read_note(text, key):
    """A C2SP signed note, by independent code: (its JSON, its text)."""
    body, _, signature = text.rpartition("\n\n")
    body += "\n"
    dash, name, blob = signature.strip().split(" ")
    assert dash == "\u2014"
    key_name, _, rest = key.strip().partition("+")
    key_id, _, public = rest.partition("+")
    raw, sig = base64.b64decode(public), base64.b64decode(blob)
    assert name == key_name and raw[0] == 1 and sig[:4].hex() == key_id
    assert hashlib.sha256(name.encode() + b"\n" + raw).digest()[:4] == sig[:4]
    Ed25519PublicKey.from_public_bytes(raw[1:]).verify(sig[4:],
                                                       body.encode())
    head, line, end = body.split("\n")
    assert head == "mintmark-order/1" and end == ""
    return json.loads(line), body


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


def test_a_signed_order_for_a_stick(factory, tmp_path):
    w = factory.w
    factory.station("ord-1")
    people = tmp_path / "people.csv"
    people.write_text("id,role,badge\nkim,operator,0012345678\n"
                      "lee,supervisor,99887766\n")
    rows = tmp_path / "rows.csv"
    rows.write_text("device,host\nOR-1,a\nOR-2,b\nOR-3,c\n")
    template = tmp_path / "t.json"
    template.write_text('{"host": "{{host}}"}')
    listed = tmp_path / "serials"
    listed.write_text("OR-1\nOR-2\nOR-3\n")
    w.cli("batch", "create", "--id", "ord", "--product", "thermo",
          "--quantity", "2", "--scrap", "1", "--until", "30d",
          "--serials-file", listed, "--template", template, "--rows", rows,
          "--people", people, "--shares", "ord-1=2", "--scan", "gs1")
    key = w.cli("station", "pin").stdout
    assert key.startswith(w.cli("ledger", "key").stdout.split("+")[0] +
                          "/orders+")
    stick = tmp_path / "order.json"
    w.cli("batch", "order", "ord", "--station", "ord-1", "--out", stick)
    file = json.loads(stick.read_text())
    order, text = read_note(file["order"], key)
    assert (order["batch"], order["station"], order["number"]) == \
        ("ord", "ord-1", 1)
    assert (order["share"], order["scrap"], order["state"],
            order["marker"]) == (2, 1, "open", "test")
    assert "previous" not in order and order["scan"] == "gs1"
    # each paper is what the order says
    papers = {sha256(p): p for p in file["papers"]}
    assert papers[order["serials_sha256"]] == listed.read_text()
    assert papers[order["config_sha256"]] == template.read_text()
    table = json.loads(papers[order["fields_sha256"]])
    # who sees its hash cannot try cells by it
    salts = table.pop("salts")
    assert len(salts) == len(table["rows"]), table
    assert all(re.fullmatch("[0-9a-f]{32}", x) for x in salts), salts
    assert table == {
        "columns": ["device", "host"],
        "rows": [["OR-1", "a"], ["OR-2", "b"], ["OR-3", "c"]]}
    # who has it gets it without what goes with it
    for have, want in ((sha256(text), []), ("0" * 64, file["papers"])):
        a = w.rest("POST", "/batches/ord/order", {"station": "ord-1",
                                                  "have": have})
        assert (a.status, a.json["order"], a.json["papers"]) == (
            200, file["order"], want), a
        assert bool(a.json["profiles"]) == bool(want)
    a = w.rest("POST", "/batches/ord/order", {"station": "ord-1",
                                              "have": "00"})
    assert a.status == 400 and "have" in a.json["detail"], a
    # a badge by the published computation
    badge = {p["id"]: p["badge"] for p in order["people"]}
    assert badge["kim"] == hashlib.scrypt(
        b"0012345678", salt=bytes.fromhex(order["badge_salt"]), n=16384,
        r=8, p=1, dklen=32, maxmem=64 << 20).hex()
    assert "0012345678" not in stick.read_text()
    # the same again, until the batch says something else
    w.cli("batch", "order", "ord", "--station", "ord-1", "--out", stick)
    assert json.loads(stick.read_text())["order"] == file["order"]
    w.cli("batch", "pause", "ord")
    w.cli("batch", "order", "ord", "--station", "ord-1", "--out", stick)
    later, _ = read_note(json.loads(stick.read_text())["order"], key)
    assert (later["number"], later["state"]) == (2, "paused")
    assert later["previous"] == sha256(text)
    signed = [e for e in factory.entries("ord") if e["type"] ==
              "order.signed"]
    assert [(e["number"], e["station"]) for e in signed] == \
        [(1, "ord-1"), (2, "ord-1")]
    assert signed[0]["detail_sha256"] == sha256(text)
    # one byte more or less is no order
    with pytest.raises(InvalidSignature):
        read_note(file["order"].replace('"share":2', '"share":3'), key)
    # an extension as a line
    w.cli("batch", "open", "ord")
    w.cli("batch", "extend", "ord", "--until", "60d", "--reason", "late")
    line = w.cli("batch", "order", "ord", "--station", "ord-1",
                 "--extension").stdout.strip()
    words, _, sig = line.rpartition(" ")
    name, public = key.split("+")[0], base64.b64decode(
        key.strip().split("+", 2)[2])[1:]
    head = words.split(" ")
    assert head[:5] == ["MMX1", "ord", "ord-1", "2", "2"], line
    Ed25519PublicKey.from_public_bytes(public).verify(
        base64.urlsafe_b64decode(sig + "=" * (-len(sig) % 4)),
        TBS.format(name=name, words=words).encode())
    grown, = [e for e in factory.entries("ord") if e["type"] ==
              "order.extended"]
    assert (grown["number"], grown["count"], grown["station"]) == \
        (2, 2, "ord-1")
    assert grown["detail_sha256"] == sha256(
        TBS.format(name=name, words=words))


def test_who_gets_an_extension(factory):
    key = factory.station("ext-1")
    name = factory.batch(2, shares=[{"station": "ext-1", "share": 2}])["id"]
    ask = lambda **more: factory.w.rest(
        "POST", f"/batches/{name}/order", {"station": "ext-1", **more},
        key=key)
    assert ask(extension=True).status == 404  # of no order
    assert ask().status == 200
    assert ask(extension=True).status == 200
    factory.change(name, "pause", reason="wait")
    a = ask(extension=True)
    assert a.status == 409 and "is paused" in a.json["detail"], a
    factory.change(name, "open")
    factory.change(name, "close", reason="done")
    a = ask(extension=True)
    assert a.status == 409 and "is closed" in a.json["detail"], a
    other = factory.batch(2, shares=[{"station": "ext-1", "share": 2}])["id"]
    order = lambda **more: factory.w.rest(
        "POST", f"/batches/{other}/order", {"station": "ext-1", **more})
    assert order().status == 200
    factory.w.rest("POST", "/stations/ext-1/remove", {})
    a = order(extension=True)
    assert a.status == 409 and "was removed" in a.json["detail"], a


def once_it_is_back(ask):
    end = time.monotonic() + 60
    a = ask()
    while a.status == 503 and time.monotonic() < end:
        a = ask()
    assert a.status == 200, a


def test_an_order_that_cannot_be_entered_is_not_signed(factory):
    w = factory.w
    factory.station("ent-1")
    name = factory.batch(2, shares=[{"station": "ent-1", "share": 2}])["id"]
    lines = lambda: [json.loads(line) for line in (
        w.state / "signer/journal.jsonl").read_text().splitlines()
        if f'"authority":"batch:{name}"' in line]
    ask = lambda **more: w.rest("POST", f"/batches/{name}/order",
                                {"station": "ent-1", **more})
    with records(w).held():
        assert ask().status == 503
    assert lines() == []
    once_it_is_back(ask)
    with records(w).held():
        assert ask(extension=True).status == 503
    assert [line["kind"] for line in lines()] == ["order"]
    once_it_is_back(lambda: ask(extension=True))
    assert [line["kind"] for line in lines()] == ["order", "extension"]
    assert [e["type"] for e in factory.entries(name)] == [
        "batch.created", "order.signed", "order.extended"]


def test_who_gets_an_order(factory):
    one, two = factory.station("who-1"), factory.station("who-2")
    name = factory.batch(2, shares=[{"station": "who-1", "share": 2}])["id"]
    ask = lambda station, key, **more: factory.w.rest(
        "POST", f"/batches/{name}/order", {"station": station, **more},
        key=key)
    assert ask("who-1", one).status == 200
    assert ask("who-1", two).status == 403
    assert ask("who-2", two).status == 404
    assert ask("nosuch", one).status == 404
    assert ask("who-1", None).status == 200
    factory.w.rest("POST", "/stations/who-1/remove", {})
    assert ask("who-1", None).status == 409


# ---- the command line, and what audits it ----

def test_the_command_line(factory, tmp_path):
    w = factory.w
    rows = tmp_path / "rows.csv"
    rows.write_text("device,host\r\nCL-01,a\r\nCL-02,b\r\n")
    template = tmp_path / "t.json"
    template.write_text('{"host": "{{host}}"}')
    people = tmp_path / "people.csv"
    people.write_text("id,role,badge\nkim,operator,0012345678\n")
    make = ["batch", "create", "--product", "thermo", "--quantity", "2",
            "--scrap", "50%", "--until", "30d", "--serials", "CL-{01..02}",
            "--template", template, "--rows", rows, "--people", people,
            "--id", "cl", "--note", "first"]
    told = w.cli("--json", *make, "--dry-run")
    assert "nothing was made" in told.stderr
    dry = json.loads(told.stdout)
    assert "version" in dry and dry["scrap"] == 1
    made = json.loads(w.cli("--json", *make).stdout)
    assert made["id"] == "cl" and made["people"] == [
        {"id": "kim", "role": "operator"}]
    assert "0012345678" not in json.dumps(made)
    assert "cl" in w.cli("batch", "list", "--state", "open").stdout
    w.cli("batch", "pause", "cl", "--reason", "lunch")
    w.cli("batch", "open", "cl")
    assert w.cli("batch", "extend", "cl", "--until", "60d",
                 check=False).returncode != 0
    w.cli("batch", "extend", "cl", "--until", "60d", "--reason", "late")
    assert "late" in w.cli("batch", "show", "cl").stdout
    w.cli("batch", "close", "cl")
    again = w.cli("batch", "close", "cl", check=False)
    assert again.returncode != 0 and "closed" in again.stderr
    listed = tmp_path / "serials.txt"
    listed.write_text("AA-1\nAA-2\n")
    a = json.loads(w.cli(
        "--json", "batch", "create", "--product", "thermo", "--quantity",
        "2", "--until", "1d", "--serials-file", listed).stdout)
    assert a["serials_count"] == 2


def test_reconcile_agrees_with_batches(factory):
    w = factory.w
    good = w.cli("ledger", "reconcile", "--config", w.conf, check=False)
    assert good.returncode == 0, good.stdout + good.stderr


def test_a_unit_is_scrapped_on_the_command_line(factory):
    name = factory.batch(1)["id"]
    serials = [f"P{name[1:]}-{i:03}" for i in (1, 2)]
    key = factory.station("scraps")
    more = {"batch": name, "station": "scraps"}
    assert factory.enrol(serials[0], key, 22, **more).status == 200
    refused(factory.enrol(serials[1], key, 23, **more), "quota-gone")
    cli = factory.w.cli
    assert "nothing has become" in cli("batch", "scrap", name, serials[1],
                                       check=False).stderr
    for written in (1, 0):
        a = cli("--json", "batch", "scrap", name, serials[0], "--reason",
                "fell down")
        assert json.loads(a.stdout)["written"] == written
    u = factory.w.rest("GET", f"/batches/{name}/units").json["items"]
    assert [(d["device"], d["result"], d["station"], d["reason"])
            for d in u] == [(serials[0], "scrapped", "scraps", "fell down")]
    certs = factory.w.rest("GET", f"/certificates?device={serials[0]}")
    assert [c["state"] for c in certs.json["items"]] == ["revoked"]


# ---- among many others ----

def of_others(path, batches, units):
    """Documents of another station's work; its batches are never read."""
    db = sqlite3.connect(path)
    with db:
        db.execute(
            "WITH RECURSIVE n(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n"
            " WHERE i < ?) INSERT INTO doc SELECT 9, printf('a%06d', i), 1,"
            " CAST('{\"note\":\"no thermo\",\"order\":\"of valve\"}'"
            " AS BLOB) FROM n",
            (batches - 1,))
        db.execute(
            "WITH RECURSIVE n(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n"
            " WHERE i < ?) INSERT INTO doc SELECT 13,"
            " printf('a%06d/X-%06d', i % ?, i), 1, CAST('{\"result\":"
            "\"issued\",\"station\":\"busy\",\"at\":\"2026-01-01T00:00:00Z\","
            f"\"spki_sha256\":\"{'00' * 32}\",\"reason\":\"\",\"other\":\"\""
            "}' AS BLOB) FROM n", (units - 1, batches))
    db.close()


def closed_ones(path, product, n):
    """Batches like "loose", of another product, and closed."""
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        body, = db.execute("SELECT CAST(body AS TEXT) FROM doc WHERE kind = 9"
                           " AND id = 'loose'").fetchone()
        assert '"state":"open"' in body and "thermo" in body, body
        body = body.replace('"state":"open"', '"state":"closed"').replace(
            '\\"product\\":\\"thermo', f'\\"product\\":\\"{product}')
        ids = [f"{product}-{i}" for i in range(n)]
        db.executemany("INSERT INTO doc VALUES (9, ?, 1, ?)",
                       [(i, body.replace("loose", i).encode()) for i in ids])


@pytest.mark.skipif("MINTMARK_DATABASE" in os.environ, reason="SQLite's file")
def test_what_others_made_is_not_walked():
    """A page ends after 1,500 that were looked at: what comes later is not
    on it."""
    with World() as w:
        f = Factory(w.start())
        for product in ("a-many", "b-many"):
            w.product(product, ldevid_profile="thermo")
        name = f.batch(5, id="mine")["id"]
        a = f.enrol("P1-001", f.station("rare"), batch=name, station="rare")
        assert a.status == 200, a
        limited = [w.rest("POST", "/keys", {
            "name": k, "roles": ["operator"], **scope}).json["key"]
            for k, scope in (("b", {"batches": [name]}),
                             ("p", {"products": ["thermo"]}),
                             ("q", {"products": ["a-many", "b-many",
                                                 "thermo"]}))]
        of_three = limited.pop()
        loose = f.batch(1, id="loose", serials="{1..5}")["id"]
        a = f.enrol("2", f.station("loose"), 1, batch=loose, station="loose")
        assert a.status == 200, a
        w.stop()
        of_others(w.database.removeprefix("sqlite:"), 500, 5000)
        with sqlite3.connect(w.database.removeprefix("sqlite:")) as db:
            # unpadded: a thousand come between 1 and 2
            db.executemany(
                "INSERT INTO doc SELECT 13, 'loose/' || ?, version, body"
                " FROM doc WHERE kind = 13 AND id = 'a000000/X-000000'",
                [(i,) for i in (1, *range(1000, 2100))])
            db.execute("INSERT INTO doc VALUES (13, 'a000000/none', 1,"
                       " CAST('{' AS BLOB))")
        db.close()
        for product in ("a-many", "b-many"):
            closed_ones(w.database.removeprefix("sqlite:"), product, 600)
        w.start()
        # a thousand that were looked at are enough, of several products, too
        a = w.rest("GET", "/batches?state=open", key=of_three).json
        assert a == {"items": [], "next": "thermo/"}
        a = w.rest("GET", "/batches?state=open&after=thermo/",
                   key=of_three).json
        assert [b["id"] for b in a["items"]] == [loose, name], a
        assert "next" not in a
        # a station's units alone are read: of others one is no unit
        a = w.rest("POST", "/certificates/revoke", {
            "station": "rare", "reason": "keyCompromise", "dry_run": True})
        assert a.status == 200 and a.json["found"] == 1, a
        a = w.cli("--json", "batch", "scrap", loose, "2", "--reason", "bent")
        assert json.loads(a.stdout)["written"] == 1
        for key in (None, *limited):
            a = w.rest("GET", "/devices?station=rare", key=key).json
            assert [d["id"] for d in a["items"]] == ["P1-001"], a
            assert "next" not in a
        for key, ids in zip(limited, ([name], [loose, name])):
            a = w.rest("GET", "/batches", key=key)
            assert a.status == 200, a
            assert [b["id"] for b in a.json["items"]] == ids
            assert "next" not in a.json
        for key, next_ in ((None, "loose"), (limited[1], "thermo/loose")):
            a = w.rest("GET", "/batches?product=thermo&limit=1", key=key)
            assert [b["id"] for b in a.json["items"]] == ["loose"], a
            assert a.json["next"] == next_
            a = w.rest("GET", "/batches?product=thermo&limit=1&after="
                       f"{next_}", key=key).json
            assert [b["id"] for b in a["items"]] == [name]
            assert "next" not in a
        for after in ("loose", "valve/a000000", "thermo/" + "x" * 400):
            a = w.rest("GET", f"/batches?after={after}", key=limited[1])
            assert a.status == 400, a
        w.stop()
