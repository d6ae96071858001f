"""docs/operators.md: what two administrators decide, and breaking the
glass."""
import hashlib
import json
import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from fleet import Fleet, listed, make
from records import records
from test_operators import by_cert, id_of, key, pages, person, register
from world import DAEMON, SIGNER, World, faketime, run, serial_of

NEW = {"name": "Carol", "roles": ["admin"]}


@pytest.fixture(scope="module")
def fe():
    """Two administrators, an operator, and four eyes on all there is."""
    w = World(profile="\tbearer = true")
    try:
        w.start().product()
        w.ada = key(w, "Ada", roles=["admin"])
        w.op = key(w, "Olga", roles=["operator"])
        w.audit = key(w, "Aud", roles=["auditor"])
        crt, pem = person(w, "boss-card")
        assert register(w, "BOSS", crt).status == 201
        w.card = (crt, pem)
        assert w.stop() == 0
        w.conf.write_text(w.conf.read_text() +
                          "\nfour_eyes = {bulk-mint, bulk-thaw, profile, "
                          "configuration, bootstrap, line-ca}\n")
        yield w.start()
    finally:
        w.close()


def ask(w, path="/keys", body=NEW, key=None):
    a = w.rest("POST", path, body, key=key)
    assert a.status == 202, a
    assert a.json["state"] == "waiting"
    return a.json["approval"]


def approve(w, approval, key):
    return w.rest("POST", f"/approvals/{approval}/approve", {}, key=key)


def use(w, approval, path="/keys", body=NEW, key=None, **head):
    return w.rest("POST", path, body, key=key,
                  headers={"Mintmark-Approval": approval, **head})


def entries(w, **want):
    got = [e["entry"] for e in pages(w, None, "/ledger/entries", 1000)]
    return [e for e in got if all(e.get(k) == v for k, v in want.items())]


def test_asked_approved_used_once(fe):
    one = ask(fe)
    assert fe.rest("POST", "/keys", NEW).status == 202  # nothing is made
    assert "Carol" not in json.dumps(pages(fe, None, "/keys", 1000))
    shown = fe.rest("GET", f"/approvals/{one}", key=fe.ada).json
    assert shown["request"] == NEW and shown["action"] == "keys"
    assert shown["requester"] == id_of(fe.admin_key)
    assert shown["requester_name"] == "boss" and shown["path"].endswith("keys")
    assert use(fe, one).status == 409  # nobody has approved it
    yes = approve(fe, one, fe.ada)
    assert yes.status == 200 and yes.json["state"] == "approved", yes
    assert "mmk_" not in yes.text
    made = use(fe, one)
    assert made.status == 201 and made.json["key"].startswith("mmk_"), made
    assert use(fe, one).status == 409
    assert approve(fe, one, fe.ada).status == 409
    assert "request" not in fe.rest("GET", f"/approvals/{one}").json
    by, other = id_of(fe.admin_key), id_of(fe.ada)
    mine = entries(fe, approval=one)
    assert [(e["type"], e["actor"], e["requester"]) for e in mine] == [
        ("approval.requested", by, by), ("approval.approved", other, by),
        ("approval.used", by, by)]
    assert mine[2]["approver"] == other
    assert "Carol" not in json.dumps(entries(fe))
    assert fe.rest("POST", f"/keys/{made.json['id']}/revoke",
                   {}).status == 200


def test_who_may_not_approve(fe):
    one = ask(fe)
    crt, pem = fe.card
    assert approve(fe, one, None).status == 403          # oneself
    a = by_cert(fe, crt, pem, "POST", f"/approvals/{one}/approve", {})
    assert a.status == 403, a                            # oneself, otherwise
    for k in (fe.op, fe.audit):
        assert approve(fe, one, k).status == 403
    # a third one, made after the request: by two, and yet too young
    two = ask(fe, body=dict(NEW, name="Dan"))
    assert approve(fe, two, fe.ada).status == 200
    dan = use(fe, two, body=dict(NEW, name="Dan")).json
    a = approve(fe, one, dan["key"])
    assert a.status == 403 and "younger" in a.json["detail"], a
    assert use(fe, one).status == 409
    # ... who may well say no
    assert fe.rest("POST", f"/approvals/{one}/refuse", {},
                   key=dan["key"]).status == 200
    assert approve(fe, one, fe.ada).status == 409
    fe.rest("POST", f"/keys/{dan['id']}/revoke", {})


def test_an_approval_fits_one_request_of_one_person(fe):
    one = ask(fe)
    assert approve(fe, one, fe.ada).status == 200
    for path, body, k, status in (
            ("/keys", dict(NEW, name="Mallory"), None, 409),
            ("/keys", dict(NEW, roles=["admin", "line"]), None, 409),
            ("/keys", json.dumps(NEW, indent=1), None, 409),
            ("/keys", NEW, fe.ada, 404),
            ("/tokens/mm1-" + "0" * 20 + "/thaw", {"keep": True}, None, 409),
            ("/keys", {"name": "l", "roles": ["line"]}, None, 400),
            ("/products", {"name": "p9", "ldevid_profile": "thermo"}, None,
             400)):
        a = use(fe, one, path, body, k)
        assert a.status == status, (path, body, a)
    for wrong in ("0" * 16, "x", "%00", one + one):
        assert use(fe, wrong).status == 404
    assert use(fe, one).status == 201


def test_twenty_at_once_make_one(fe):
    body = dict(NEW, name="Once")
    one = ask(fe, body=body)
    assert approve(fe, one, fe.ada).status == 200
    with ThreadPoolExecutor(20) as pool:
        got = [f.result().status for f in
               [pool.submit(use, fe, one, "/keys", body) for _ in range(20)]]
    assert sorted(got) == [201] + [409] * 19, got
    made = [k for k in pages(fe, None, "/keys", 1000) if k["name"] == "Once"]
    assert len(made) == 1


def test_who_approved_must_still_be_one(fe):
    body = dict(NEW, name="Temp")
    one = ask(fe, body=body)
    assert approve(fe, one, fe.ada).status == 200
    temp = use(fe, one, body=body).json
    two = ask(fe)
    assert approve(fe, two, temp["key"]).status == 200
    fe.rest("POST", f"/keys/{temp['id']}/revoke", {})
    a = use(fe, two)
    assert a.status == 403 and "any more" in a.json["detail"], a
    assert fe.rest("POST", f"/approvals/{two}/refuse", {}).status == 200
    assert use(fe, two).status == 409


def test_taken_back(fe):
    one = ask(fe)
    assert approve(fe, one, fe.ada).status == 200
    assert fe.rest("POST", f"/approvals/{one}/refuse", {}).status == 200
    assert use(fe, one).status == 409
    refused = entries(fe, approval=one, type="approval.refused")
    assert refused[0]["actor"] == refused[0]["requester"]


def test_many_tokens(fe):
    body = {"tokens": [{"device": f"BULK-{i}", "product": "thermo"}
                       for i in range(101)]}
    few = {"tokens": body["tokens"][:100]}
    assert fe.rest("POST", "/tokens", few, key=fe.op).status == 201
    body["tokens"] = [{"device": f"B2-{i}", "product": "thermo",
                       "attributes": None, "ttl": "1h"}
                      for i in range(101)]
    for t in body["tokens"]:
        t.pop("attributes")
    one = ask(fe, "/tokens", body, fe.op)
    assert fe.rest("GET", "/devices/B2-0").status == 404
    mine = fe.rest("GET", f"/approvals/{one}", key=fe.op)
    assert mine.status == 200 and len(mine.json["request"]["tokens"]) == 101
    other = key(fe, "Otto", roles=["operator"])
    assert fe.rest("GET", f"/approvals/{one}", key=other).status == 404
    assert fe.rest("GET", f"/approvals/{one}", key=fe.audit).status == 200
    yes = approve(fe, one, None)
    assert yes.status == 200 and "mm1-" not in yes.text
    head = {"Idempotency-Key": "bulk-1"}
    made = use(fe, one, "/tokens", body, fe.op, **head)
    assert made.status == 201
    assert len({i["token"] for i in made.json["items"]}) == 101
    again = use(fe, one, "/tokens", body, fe.op, **head)
    assert again.status == 201 and "\"token\"" not in again.text
    assert use(fe, one, "/tokens", body, fe.op).status == 409


def mint(w, k, n, name):
    return w.rest("POST", "/tokens", {"tokens": [
        {"device": f"{name}-{i}", "product": "thermo"} for i in range(n)]},
        key=k)


def test_many_tokens_in_small_calls(fe):
    """What counts is a credential's day."""
    k = key(fe, "Piecemeal", roles=["operator"])
    assert mint(fe, k, 60, "PM-A").status == 201
    assert mint(fe, k, 39, "PM-B").status == 201
    assert mint(fe, k, 2, "PM-C").status == 202
    one = {"device": "PM-D", "product": "thermo"}
    assert fe.rest("POST", "/tokens", one, key=k).status == 201
    assert fe.rest("GET", "/devices/PM-C-0").status == 404
    two = {"device": "PM-E", "product": "thermo"}
    asked = ask(fe, "/tokens", two, k)
    assert approve(fe, asked, fe.ada).status == 200
    assert use(fe, asked, "/tokens", two, k).status == 201
    # another one's day is another's
    other = key(fe, "Fresh", roles=["line"])
    assert mint(fe, other, 100, "PM-F").status == 201
    assert mint(fe, other, 1, "PM-G").status == 202


def test_what_was_not_minted_does_not_count(fe):
    k = key(fe, "Clumsy", roles=["operator"])
    for _ in range(3):
        a = fe.rest("POST", "/tokens", {"tokens": [
            {"device": f"NO-{i}", "product": "nosuch"} for i in range(90)]},
            key=k)
        assert a.status == 201 and "error" in a.json["items"][0], a
        assert fe.rest("POST", "/tokens", {"tokens": [{"device": 1}] * 90},
                       key=k).status == 400
    assert mint(fe, k, 100, "NO-A").status == 201
    assert mint(fe, k, 1, "NO-B").status == 202


def test_approved_ones_stop_nothing_afterwards(fe):
    k = key(fe, "Twice", roles=["operator"])
    body = {"tokens": [{"device": f"AP-{i}", "product": "thermo"}
                       for i in range(150)]}
    one = ask(fe, "/tokens", body, k)
    assert approve(fe, one, fe.ada).status == 200
    assert use(fe, one, "/tokens", body, k).status == 201
    assert mint(fe, k, 100, "AP-A").status == 201


def test_many_at_once_do_not_pass_each_other(fe):
    k = key(fe, "Racer", roles=["operator"])
    with ThreadPoolExecutor(16) as pool:
        got = [f.result().status for f in
               [pool.submit(mint, fe, k, 7, f"RACE-{i}") for i in range(20)]]
    assert sorted(got) == [201] * 14 + [202] * 6, got  # 98 of 100


def test_a_device_to_another_product(fe):
    """It would get the other product's certificates."""
    fe.product("valve", ldevid_profile="thermo")
    for n in ("MV-1", "MV-2"):
        assert fe.rest("POST", "/devices", {
            "id": n, "product": "thermo"}).status == 201
    same = {"attributes": {"a": 1}}
    assert fe.rest("PATCH", "/devices/MV-1", same, key=fe.op).status == 200
    assert fe.rest("PUT", "/devices/MV-1", {"product": "thermo"},
                   key=fe.op).status == 200
    to = {"product": "valve"}
    for method in "PUT", "PATCH":
        a = fe.rest(method, "/devices/MV-1", to, key=fe.op)
        assert a.status == 202 and a.json["action"] == "profile", a
    assert approve(fe, a.json["approval"], fe.ada).status == 200
    a = fe.rest("PATCH", "/devices/MV-1", to, key=fe.op, headers={
        "Mintmark-Approval": a.json["approval"]})
    assert a.status == 200 and a.json["product"] == "valve", a
    moved = entries(fe, device="MV-1", type="device.changed")
    assert [e.get("from") for e in moved] == [None, None, "thermo"]


def test_a_day_passes(fe):
    """24 hours and the one that runs."""
    k = key(fe, "Daily", roles=["operator"])
    db = records(fe)

    def later(hours):
        (body,), = db.sql(f"SELECT {db.text('body')} FROM doc WHERE id = "
                          f"'{id_of(k)}'")
        tally = json.loads(body)
        tally["hour"] -= hours
        text = json.dumps(tally)
        db.sql(f"UPDATE doc SET body = {db.blob(text.encode())} WHERE id = "
               f"'{id_of(k)}'")

    assert mint(fe, k, 99, "DAY-A").status == 201
    later(24)
    assert mint(fe, k, 2, "DAY-B").status == 202
    assert mint(fe, k, 1, "DAY-C").status == 201
    later(1)
    assert mint(fe, k, 99, "DAY-D").status == 201
    assert mint(fe, k, 1, "DAY-E").status == 202
    later(1000)
    assert mint(fe, k, 100, "DAY-F").status == 201


def test_approvals_cannot_be_guessed_from_the_ledger(fe):
    """A request may name a person; whoever has the ledger could try names."""
    one = ask(fe, body=dict(NEW, name="Guessme"))
    shown = fe.rest("GET", f"/approvals/{one}").json
    said, = entries(fe, approval=one)
    assert shown["request_sha256"] != said["detail_sha256"]
    db = records(fe)
    (body,), = db.sql(f"SELECT {db.text('body')} FROM doc WHERE id = "
                      f"'{one}'")
    salt = bytes.fromhex(json.loads(body)["salt"])
    assert len(salt) == 16 and "salt" not in shown
    assert said["detail_sha256"] == hashlib.sha256(
        salt + bytes.fromhex(shown["request_sha256"])).hexdigest()


SECRET = "(secret)"


def stored(w, approval):
    db = records(w)
    (body,), = db.sql(f"SELECT {db.text('body')} FROM doc WHERE id = "
                      f"'{approval}'")
    return body


def told_of(w, method, path, body, shown):
    """A request that is asked for; what is kept and shown of it."""
    a = w.rest(method, path, body)
    assert a.status == 202, a
    one = a.json["approval"]
    for k in (w.audit, w.ada, None):
        a = w.rest("GET", f"/approvals/{one}", key=k)
        assert a.json["request"] == shown, a
    assert json.loads(stored(w, one))["request"] == shown
    yes = approve(w, one, w.ada)
    assert yes.status == 200 and yes.json["request"] == shown, yes
    assert json.loads(stored(w, one))["request"] == shown
    return one


def test_codes_on_labels_are_not_kept(fe):
    def body(code):
        return {"tokens": [{"device": f"CODE-{i}", "product": "thermo",
                            "code": f"{code}{i:04}"} for i in range(101)]}
    one = told_of(fe, "POST", "/tokens", body("Ab12"), {"tokens": [
        dict(t, code=SECRET) for t in body("Ab12")["tokens"]]})
    # and yet those codes are what was approved
    assert use(fe, one, "/tokens", body("Ab13")).status == 409
    assert use(fe, one, "/tokens", body("Ab12")).status == 201


def test_nobody_tries_a_request_by_what_is_shown(fe):
    body = {"name": "Guess", "roles": ["admin"]}
    one, two = ask(fe, body=body), ask(fe, body=body)
    shown = [fe.rest("GET", f"/approvals/{i}", key=fe.audit).json
             ["request_sha256"] for i in (one, two)]
    assert shown[0] != shown[1]
    text = json.dumps(body).encode()
    path = hashlib.sha256(b"/api/v1/keys").digest()
    plain = {hashlib.sha256(bytes([m]) + path + text).hexdigest()
             for m in range(16)}
    assert not plain & set(shown)
    salt = bytes.fromhex(json.loads(stored(fe, one))["salt"])
    assert shown[0] in {hashlib.sha256(salt + bytes.fromhex(p)).hexdigest()
                        for p in plain}
    for i in (one, two):
        fe.rest("POST", f"/approvals/{i}/refuse", {})


def test_cells_that_are_secret_are_not_kept(fe):
    body = {"template": '{"psk":"{{psk:secret}}","lot":"{{lot}}"}',
            "columns": ["device", "psk", "lot"],
            "rows": [["CELL-1", "hunter2", "a"], ["CELL-2", "hunter3", "b"]]}
    shown = dict(body, rows=[["CELL-1", SECRET, "a"],
                             ["CELL-2", SECRET, "b"]])
    assert fe.rest("POST", "/products", {"name": "celled"}).status == 201
    path = "/products/celled/configuration"
    one = told_of(fe, "PUT", path, body, shown)
    head = {"Mintmark-Approval": one}
    other = dict(body, rows=[["CELL-1", "hunter4", "a"], body["rows"][1]])
    assert fe.rest("PUT", path, other, headers=head).status == 409
    assert fe.rest("PUT", path, body, headers=head).status == 200
    # where it cannot be told which are secret: all
    told_of(fe, "PUT", path, dict(body, template="{{", more="hunter5"),
            dict(body, template="{{", more=SECRET, rows=[[SECRET] * 3] * 2))
    told_of(fe, "PUT", path, dict(body, columns=["device"], rows=[
        body["rows"][0], "x"]), dict(body, columns=["device"], rows=[
            ["CELL-1", SECRET, SECRET], SECRET]))


def test_what_else_a_request_has_of_secrets(fe):
    line = {"ca_name": "l", "ca_url": "http://x/l.crl", "ca_chain": "AA==",
            "ca_key": "c2VhbGVk"}
    told_of(fe, "POST", "/batches/none/order", {"station": "s", "line": line},
            {"station": "s", "line": dict(line, ca_key=SECRET)})


def test_the_query_is_part_of_what_is_approved(fe):
    path, body = "/products/thermo/configuration", {"template": '{"q":1}'}
    for asked, other in (("", "?force=true"), ("?force=true", ""),
                         ("?force=true", "?force=false")):
        a = fe.rest("PUT", path + asked, body)
        assert a.status == 202, a
        one = a.json["approval"]
        a = fe.rest("GET", f"/approvals/{one}", key=fe.audit)
        assert a.json.get("query", "") == asked[1:], a
        assert a.json["path"].endswith(path), a
        assert approve(fe, one, fe.ada).json.get("query", "") == asked[1:]
        head = {"Mintmark-Approval": one}
        a = fe.rest("PUT", path + other, body, headers=head)
        assert a.status == 409 and "not the request" in a.json["detail"], a
        a = fe.rest("PUT", path + asked, body, headers=head)
        assert a.status == 200, a


def test_a_group_is_opened_as_it_was_looked_at(fe):
    make(fe, "eyes", [Fleet(fe).leaf()[0]], "certificates", opened=False)
    path, head = "/groups/eyes/open", "Mintmark-Approval"
    rows = [{"device": f"GE-{i}", "key": f"{i:064x}"} for i in (1, 2)]

    def asked():
        one = ask(fe, path, {}, fe.op)
        assert approve(fe, one, fe.ada).status == 200
        return one

    def opened(one):
        return fe.rest("POST", path, {}, key=fe.op, headers={head: one})

    listed(fe, "eyes", *rows)
    one = asked()
    shown = fe.rest("GET", f"/approvals/{one}", key=fe.audit).json
    assert shown["object_version"] == \
        fe.rest("GET", "/groups/eyes").json["version"]
    # other facts of the same devices; more devices; what a page changes
    for more in (dict(rows[0], key="f" * 64), "GE-3", rows[0]):
        listed(fe, "eyes", more)
        a = opened(one)
        assert a.status == 409 and "its list has changed" in a.json["detail"]
        one = asked()
    assert opened(one).status == 200
    # of an open one, the list itself is looked at; without hardware ids
    row = {"device": "GE-4", "hardware": "HW-0815"}
    told_of(fe, "POST", "/groups/eyes/devices", {"devices": [row]},
            {"devices": [dict(row, hardware=SECRET)]})
    assert fe.rest("POST", "/groups/none/open", {}).status == 404


def test_an_approval_of_before(fe):
    """It was kept with its secrets, and by a hash without a salt."""
    body = {"tokens": [{"device": f"OLD-{i}", "product": "thermo",
                        "code": f"Old1{i:04}"} for i in range(101)]}
    one = ask(fe, "/tokens", body)
    doc = json.loads(stored(fe, one))
    text = json.dumps(body).encode()
    path = hashlib.sha256(b"/api/v1/tokens").digest()
    salt = bytes.fromhex(doc["salt"])
    plain, = [p for p in (hashlib.sha256(bytes([m]) + path + text).digest()
                          for m in range(16))
              if hashlib.sha256(salt + p).hexdigest() ==
              doc["request_sha256"]]
    del doc["salted"]
    doc.update(request=body, request_sha256=plain.hex())
    db = records(fe)
    db.sql(f"UPDATE doc SET body = {db.blob(json.dumps(doc).encode())} "
           f"WHERE id = '{one}'")
    a = fe.rest("GET", f"/approvals/{one}", key=fe.audit)
    assert "Old1" not in a.text and "request_sha256" not in a.json, a
    assert plain.hex() not in fe.rest("GET", "/approvals?limit=1000").text
    assert approve(fe, one, fe.ada).status == 200
    assert "Old1" not in stored(fe, one)
    assert use(fe, one, "/tokens", body).status == 201
    # ... and as it was, for its first entry has that hash
    now = json.loads(stored(fe, one))
    assert "salted" not in now and now["state"] == "used"
    now.update(salted=True,
               request_sha256=hashlib.sha256(salt + plain).hexdigest())
    db.sql(f"UPDATE doc SET body = {db.blob(json.dumps(now).encode())} "
           f"WHERE id = '{one}'")


def test_a_long_request_is_shown_whole(fe):
    body = {"tokens": [{"device": f"LONG-{i}-" + "x" * 40,
                        "product": "thermo"} for i in range(700)]}
    one = ask(fe, "/tokens", body, fe.op)
    assert fe.rest("GET", f"/approvals/{one}").json["request"] == body
    assert approve(fe, one, fe.ada).status == 200
    assert use(fe, one, "/tokens", body, fe.op).status == 201


def test_nothing_hides_behind_spaces(fe):
    one = ask(fe, body=json.dumps(NEW) + " " * 17000)
    assert fe.rest("GET", f"/approvals/{one}").json["request"] == NEW
    assert fe.rest("POST", f"/approvals/{one}/refuse", {}).status == 200


def test_what_cannot_be_shown_whole_does_not_wait(fe):
    body = {"tokens": [{"device": f"HUGE-{i}-" + "x" * 50,
                        "product": "thermo"} for i in range(700)]}
    before = fe.rest("GET", "/approvals?limit=1000").json["items"]
    a = fe.rest("POST", "/tokens", body, key=fe.op)
    assert a.status == 413 and "60 KiB" in a.json["detail"], a
    assert fe.rest("GET", "/approvals?limit=1000").json["items"] == before


@pytest.mark.parametrize("name", ["Eve ", " eve", "e v e", "EVE"])
def test_the_same_name_is_the_same_person(fe, name):
    def admin(called):
        body = {"name": called, "roles": ["admin"]}
        one = ask(fe, body=body)
        assert approve(fe, one, fe.ada).status == 200
        return use(fe, one, body=body).json
    eve, again = admin("Eve"), admin(name)
    one = ask(fe, key=eve["key"])
    a = approve(fe, one, again["key"])
    assert a.status == 403 and "who asked" in a.json["detail"], a
    # nor does a name that was taken away make somebody else
    assert fe.rest("POST", f"/keys/{again['id']}/erase", {}).status == 200
    a = approve(fe, one, again["key"])
    assert a.status == 403 and "without a name" in a.json["detail"], a
    assert fe.rest("POST", f"/keys/{eve['id']}/erase", {}).status == 200
    a = approve(fe, one, fe.ada)
    assert a.status == 403 and "without a name" in a.json["detail"], a
    for it in (eve, again):
        fe.rest("POST", f"/keys/{it['id']}/revoke", {})


def test_a_products_profile_is_watched(fe):
    path = "/products/four"
    now = {"ldevid_profile": "thermo", "description": "a"}
    assert fe.rest("POST", "/products", {"name": "four", **now}).status == 201
    now["description"] = "b"  # nothing that devices get
    assert fe.rest("PUT", path, now, key=fe.op).status == 200
    new = {"description": "b"}
    a = fe.rest("PUT", path, new, key=fe.op)
    assert a.status == 202 and a.json["action"] == "profile", a
    one, head = a.json["approval"], {"Mintmark-Approval": a.json["approval"]}
    assert fe.rest("GET", path).json["ldevid_profile"] == "thermo"
    assert fe.rest("GET", f"/approvals/{one}").json["request"] == new
    assert fe.rest("PUT", path, new, key=fe.op, headers=head).status == 409
    assert approve(fe, one, fe.ada).status == 200
    a = fe.rest("PUT", path, {"description": "c"}, key=fe.op, headers=head)
    assert a.status == 409, a
    assert fe.rest("PUT", path, new, key=fe.op, headers=head).status == 200
    assert not fe.rest("GET", path).json.get("ldevid_profile")
    assert fe.rest("PUT", path, now, key=fe.op, headers=head).status == 409


def test_a_limited_operator_asks_too(fe):
    k = key(fe, "Lim", roles=["line"], products=["thermo"])
    body = {"tokens": [{"device": f"LIM-{i}", "product": "thermo"}
                       for i in range(101)]}
    one = ask(fe, "/tokens", body, k)
    assert fe.rest("GET", f"/approvals/{one}", key=k).status == 200
    outside = {"tokens": [{"device": f"LIM-{i}", "product": "other"}
                          for i in range(101)]}
    assert fe.rest("POST", "/tokens", outside, key=k).status == 404


def test_thaw_is_watched(fe):
    t = fe.token("FROZEN-1", door="bearer")
    for n in ("frozen-a", "frozen-b"):
        _, csr = fe.key_and_csr(n)
        fe.enrol_basic(t, csr)
    assert fe.rest("GET", f"/tokens/{t['id']}").json["state"] == "frozen"
    path, body = f"/tokens/{t['id']}/thaw", {"keep": True}
    one = ask(fe, path, body)
    assert approve(fe, one, fe.ada).status == 200
    other = fe.token("FROZEN-2")["id"]
    assert use(fe, one, f"/tokens/{other}/thaw", body).status == 409
    a = use(fe, one, path, body)
    assert a.status == 200 and a.json["state"] == "issued", a


def test_one_cannot_fill_the_list(fe):
    k = key(fe, "Flood", roles=["line"])
    body = {"tokens": [{"device": f"F-{i}", "product": "thermo"}
                       for i in range(101)]}
    got = [fe.rest("POST", "/tokens", body, key=k).status for _ in range(21)]
    assert got == [202] * 20 + [429]


def test_the_list(fe):
    no, used = ask(fe), ask(fe)
    fe.rest("POST", f"/approvals/{no}/refuse", {})
    approve(fe, used, fe.ada)
    assert use(fe, used).status == 201
    for _ in range(2):
        ask(fe)
    items = pages(fe, None, "/approvals", 3)
    assert len(items) > 3 and len({i["id"] for i in items}) == len(items)
    assert {i["state"] for i in items} >= {"waiting", "refused", "used"}
    # but for those that were asked for at the same moment
    asked = [i["requested"] for i in items if i["action"] == "keys"]
    assert len(asked) > 3 and asked == sorted(asked)
    assert fe.rest("GET", "/approvals", key=fe.op).status == 403


def test_on_the_command_line(fe):
    ada = fe.dir / "ada.key"
    ada.write_text(fe.ada + "\n")
    ada.chmod(0o600)
    say = ["key", "create", "Cli", "--role", "admin", "--ttl", "90d"]
    p = fe.cli(*say, check=False)
    assert p.returncode != 0 and "another administrator" in p.stderr
    one = re.search(r"--approval (\w+)", p.stderr).group(1)
    assert one in fe.cli("approval", "list", "--limit", "0").stdout
    assert "Cli" in fe.cli("approval", "show", one).stdout
    p = fe.cli(*say, "--approval", one, check=False)
    assert "nobody has approved it" in p.stderr
    fe.cli("--key-file", ada, "approval", "approve", one)
    assert "mmk_" in fe.cli(*say, "--approval", one).stdout
    p = fe.cli(*say, check=False)
    two = re.search(r"--approval (\w+)", p.stderr).group(1)
    fe.cli("approval", "refuse", two)
    assert fe.cli(*say, "--approval", two, check=False).returncode != 0


def test_words_that_are_none(fe):
    conf = fe.dir / "bad.conf"
    conf.write_text(fe.conf.read_text().replace("{bulk-mint,",
                                                "{bulkmint,"))
    p = run(DAEMON, "check", "--config", conf, check=False)
    assert p.returncode != 0 and "bulkmint" in p.stderr, p.stderr


# ---- breaking the glass ----

def recover(w, name, check=True):
    return run(SIGNER, "recover-admin", "--config", w.conf, "--out",
               w.dir / name, "--passphrase-fd", "0", check=check,
               input=w.passphrase.read_text())


def glass(w, name):
    out = recover(w, name)
    assert "PRIVATE" not in out.stdout + out.stderr
    pem = w.dir / f"{name}.key"
    assert pem.stat().st_mode & 0o777 == 0o600
    return w.dir / f"{name}.crt", pem


def test_an_administrator_is_recovered(fe):
    size = len(entries(fe))
    before = len(entries(fe, type="operator.recovered"))
    crt, pem = glass(fe, "glass")
    journal = (fe.state / "signer/journal.jsonl").read_text()
    line = [json.loads(x) for x in journal.splitlines()
            if '"recovery"' in x][-1]
    assert line["kind"] == "recovery"
    assert len(entries(fe, type="operator.recovered")) == before
    with ThreadPoolExecutor(8) as pool:
        got = [f.result() for f in [pool.submit(by_cert, fe, crt, pem)
                                    for _ in range(8)]]
    assert {a.status for a in got} == {200}, got
    me = got[0].json
    assert me["kind"] == "recovery" and me["roles"] == ["admin"]
    new = entries(fe)[size:]
    came = [e for e in new if e["type"] == "operator.recovered"]
    assert len(came) == 1 and came[0]["key"] == me["id"]
    assert came[0]["serial"] == serial_of(crt)
    assert came[0]["serial"] == line["serial"]
    assert came[0]["spki_sha256"] == line["spki_sha256"]
    alert = [e for e in new if e.get("reason") == "administrator-recovered"]
    assert len(alert) == 1
    # alone, it makes an administrator, and nothing else that is watched
    a = by_cert(fe, crt, pem, "POST", "/keys", {"name": "Rescued",
                                                "roles": ["admin"]})
    assert a.status == 201, a
    made = entries(fe, type="operator.created", actor=me["id"])
    assert len(made) == 1
    body = {"tokens": [{"device": f"G-{i}", "product": "thermo"}
                       for i in range(101)]}
    assert by_cert(fe, crt, pem, "POST", "/tokens", body).status == 202
    one = ask(fe)
    a = by_cert(fe, crt, pem, "POST", f"/approvals/{one}/approve", {})
    assert a.status == 403 and "recovered" in a.json["detail"], a
    assert fe.rest("POST", f"/keys/{me['id']}/revoke", {}).status == 200
    assert by_cert(fe, crt, pem).status == 401
    assert len(entries(fe, type="operator.recovered")) == before + 1


def test_it_overwrites_nothing(fe):
    glass(fe, "twice")
    before = (fe.dir / "twice.key").read_bytes()
    p = recover(fe, "twice", check=False)
    assert p.returncode != 0
    assert (fe.dir / "twice.key").read_bytes() == before
    p = run(SIGNER, "recover-admin", "--config", fe.conf, "--out",
            fe.dir / "wrong", "--passphrase-fd", "0", check=False,
            input="wrong\n")
    assert p.returncode != 0 and not (fe.dir / "wrong.crt").exists()


def test_it_is_good_for_operators_alone(fe):
    crt, pem = glass(fe, "doors")
    a = fe.device_call("GET", "/.well-known/mintmark/receipt", cert=str(crt),
                       key=str(pem))
    assert a.status == 403, a
    _, csr = fe.key_and_csr("doors-csr")
    import base64
    a = fe.device_call("POST", "/.well-known/est/simpleenroll",
                       base64.encodebytes(csr.read_bytes()),
                       {"Content-Type": "application/pkcs10"}, str(crt),
                       str(pem))
    assert a.status in (401, 403), a


def test_a_forged_one(fe):
    """The same purpose, signed by others; by our issuer without it."""
    crt, pem = glass(fe, "model")
    before = len(entries(fe, type="operator.recovered"))
    eku = run("openssl", "asn1parse", "-in", crt).stdout
    assert "X509v3 Extended Key Usage" in eku
    conf = fe.dir / "forge.cnf"
    conf.write_text(
        "[req]\ndistinguished_name=dn\nprompt=no\nx509_extensions=ext\n"
        "[dn]\nCN=Recovered administrator\n[ext]\n"
        "keyUsage=critical,digitalSignature\nextendedKeyUsage=critical,"
        "2.25.133472379363472490250317899074065113179\n")
    forged, forged_key = fe.dir / "forged.crt", fe.dir / "forged.key"
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
        "ec_paramgen_curve:P-256", "-nodes", "-keyout", forged_key, "-out",
        forged, "-config", conf, "-days", "1")
    assert by_cert(fe, forged, forged_key).status == 401
    tls, tls_key = fe.state / "server/tls.crt", fe.state / "server/tls.key"
    assert by_cert(fe, tls, tls_key).status == 401
    # the right certificate, a bit of its signature turned
    der = bytearray(__import__("ssl").PEM_cert_to_DER_cert(crt.read_text()))
    der[-3] ^= 1
    bad = fe.dir / "bad.crt"
    bad.write_text(__import__("ssl").DER_cert_to_PEM_cert(bytes(der)))
    assert by_cert(fe, bad, pem).status == 401
    assert len(entries(fe, type="operator.recovered")) == before
    assert by_cert(fe, crt, pem).status == 200  # the model itself


def test_only_the_centres_own_issuers_recover():
    """A station that has its CA's key makes no administrator of the centre,
    nor does whoever has that of an issuer which was put out of use."""
    block = ('\nissuer "hall" {{\n\tcertificate = "{0}/hall.crt"\n'
             '\tkey = "{0}/hall.key"\n\t{1}\n}}\n')
    glass = ("recover-admin", "--issuer", "hall")
    with World() as w:
        conf = w.conf.read_text()

        def set_up(word):
            w.conf.write_text(conf + block.format(w.dir, word))

        def signer(*argv, check=True):
            return run(SIGNER, argv[0], "--config", w.conf,
                       "--passphrase-fd", "0", *argv[1:], check=check,
                       input=w.passphrase.read_text())

        set_up("")
        signer("issuer", "--issuer", "hall")
        signer(*glass, "--out", w.dir / "glass")
        for word, want in (("line = true", 401), ("retired = true", 401),
                           ("", 200)):
            set_up(word)
            p = signer(*glass, "--out", w.dir / "no", check=word == "")
            assert word == "" or "recovers nobody" in p.stderr, (word, p)
            w.start()
            a = by_cert(w, w.dir / "glass.crt", w.dir / "glass.key")
            assert a.status == want, (word, a)
            w.stop()


@pytest.mark.parametrize("line", [
    "eku = {2.25.133472379363472490250317899074065113179}",
    "extensions = {\"2.5.29.37:critical:30160614"
    "6981c8e9ec9883b59a8ef381dbf4f7e2\"}",
])
def test_no_profile_can_have_its_purpose(line):
    with World() as w:
        w.edit("\t" + line, "")
        p = run(DAEMON, "check", "--config", w.conf, check=False)
        assert p.returncode != 0, p.stdout
        assert "not understood" in p.stderr or "extensions" in p.stderr, \
            p.stderr


def test_journal_and_ledger_agree(fe):
    out = fe.cli("--json", "ledger", "reconcile", "--config",
                 fe.conf).stdout
    assert json.loads(out)["agree"] is True, out


def test_a_recovery_that_the_journal_does_not_have(fe):
    """Whoever forges one, or its entry, is found out."""
    assert by_cert(fe, *glass(fe, "cut")).status == 200
    journal = (fe.state / "signer/journal.jsonl").read_text().splitlines()
    cut = max(i for i, x in enumerate(journal) if '"recovery"' in x)
    less = fe.dir / "less.jsonl"
    less.write_text("\n".join(journal[:cut]) + "\n")
    p = fe.cli("ledger", "reconcile", "--config", fe.conf, "--journal", less,
               check=False)
    assert "recovered administrator that is not in the journal" in p.stdout


# ---- last: another day ----

def test_a_day_later(fe):
    one = ask(fe)
    two = ask(fe)
    assert approve(fe, two, fe.ada).status == 200
    crt, pem = glass(fe, "late")
    assert fe.stop() == 0
    fe.start(env=faketime("+25h"))
    assert by_cert(fe, crt, pem).status == 401
    assert not entries(fe, type="operator.recovered", serial=serial_of(crt))
    for a in (one, two):
        got = approve(fe, a, fe.ada)
        assert got.status == 409 and "expired" in got.json["detail"], got
        got = use(fe, a)
        assert got.status == 409 and "expired" in got.json["detail"], got
        assert fe.rest("GET", f"/approvals/{a}").json["state"] == "expired"
    end = time.monotonic() + 30
    while len([e for e in entries(fe, type="approval.expired")
               if e["approval"] in (one, two)]) < 2:
        assert time.monotonic() < end
        time.sleep(0.1)
    gone = [e for e in entries(fe, type="approval.expired")
            if e["approval"] == one]
    assert len(gone) == 1 and "actor" not in gone[0]
    fe.cli("ledger", "verify")
