"""Devices in full: schema, attributes, versions, recall, history, import,
audit; docs/reference/rest.md has the contract."""
import base64
import hashlib
import json
import time

import pytest

from records import records

SCHEMA = {"type": "object", "additionalProperties": False,
          "required": ["hw_rev"], "properties": {
              "hw_rev": {"type": "string", "maxLength": 8, "x-indexed": True},
              "lot": {"type": "integer", "minimum": 1, "x-indexed": True},
              "grade": {"enum": ["a", "b"]},
              "tested": {"type": "boolean"}}}


@pytest.fixture(scope="module")
def gauge(world):
    world.product("gauge", ldevid_profile="thermo")
    a = world.rest("PUT", "/products/gauge/schema", SCHEMA)
    assert a.status == 200 and a.json["unfit"] == 0, a
    return world


def b64(path):
    return base64.b64encode(path.read_bytes()).decode()


def device(world, name, product="gauge", **attributes):
    return world.rest("POST", "/devices", {
        "id": name, "product": product, "attributes": attributes})


def ids(answer):
    assert answer.status == 200, answer
    return [d["id"] for d in answer.json["items"]]


# ---- schema ----

@pytest.mark.parametrize("attributes, says", [
    ({}, "hw_rev: missing"),
    ({"hw_rev": 1}, "hw_rev: not of its type"),
    ({"hw_rev": "123456789"}, "hw_rev: want 0 to 8"),
    ({"hw_rev": "A", "lot": 0}, "lot: out of range"),
    ({"hw_rev": "A", "lot": 1.5}, "lot: not of its type"),
    ({"hw_rev": "A", "grade": "c"}, "grade: not one of its values"),
    ({"hw_rev": "A", "tested": "yes"}, "tested: not of its type"),
    ({"hw_rev": "A", "colour": "red"}, "colour: the product's schema has no"),
])
def test_attributes_are_checked(gauge, attributes, says):
    a = device(gauge, "G-BAD", **attributes)
    assert a.status == 400 and says in a.json["detail"], a


@pytest.mark.parametrize("schema, says", [
    ({"properties": {"a": {"pattern": "x"}}}, "pattern"),
    ({"$ref": "x"}, "$ref"),
    ({"type": "array"}, "type"),
    ({"required": ["a"]}, "required"),
    ({"properties": {"a": {"type": "array"}}}, "type"),
    ({"properties": {"a b": {}}}, "a b"),
    ({"properties": {"a": {"type": "string", "x-indexed": True}}},
     "maxLength"),
    ({"additionalProperties": {}}, "additionalProperties"),
    ({"properties": {f"p{i}": {} for i in range(65)}}, "at most 64"),
])
def test_a_schema_that_is_not_checked_is_refused(gauge, schema, says):
    a = gauge.rest("PUT", "/products/gauge/schema", schema)
    assert a.status == 400 and says in a.json["detail"], a


def test_a_schema_that_devices_do_not_fit(gauge):
    gauge.product("kettle", ldevid_profile="thermo")
    for i in range(3):
        assert device(gauge, f"K-{i}", "kettle", n=i).status == 201
    path = "/products/kettle/schema"
    assert gauge.rest("GET", path).status == 404
    want = {"properties": {"n": {"type": "integer", "maximum": 1,
                                 "x-indexed": True}}}
    a = gauge.rest("PUT", path, want)
    assert a.status == 409 and "1 of 3 devices" in a.json["detail"] and \
        "K-2" in a.json["detail"]
    a = gauge.rest("POST", path + "/check", {"schema": want})
    assert a.json == {"checked": 3, "unfit": 1, "devices": [
        {"device": "K-2", "column": "attributes.n",
         "detail": "n: out of range"}]}
    assert gauge.rest("PUT", path + "?force=true", want).status == 200
    a = gauge.rest("GET", path)
    assert a.json["schema"] == want and a.json["indexed"] is True
    tag = a.headers["etag"]
    assert ids(gauge.rest("GET", "/devices?product=kettle&where=n%3E%3D1")) \
        == ["K-1", "K-2"]
    a = gauge.rest("PUT", path, {}, headers={"If-Match": '"77"'})
    assert a.status == 412 and a.json["title"] == "changed"
    a = gauge.rest("PUT", path, {}, headers={"If-Match": tag})
    assert a.status == 200 and a.headers["etag"] != tag
    assert gauge.rest("DELETE", path).status == 200
    assert gauge.rest("GET", path).status == 404
    a = gauge.rest("POST", path + "/index", {})
    assert a.json["done"] is True


# ---- versions ----

def test_replacing_and_patching(gauge):
    assert device(gauge, "G-1", hw_rev="A1").status == 201
    a = gauge.rest("GET", "/devices/g-1")
    tag = a.headers["etag"]
    body = {"product": "gauge", "attributes": {"hw_rev": "A2", "lot": 7}}
    a = gauge.rest("PUT", "/devices/G-1", body, headers={"If-Match": tag})
    assert a.status == 200 and a.json["attributes"]["lot"] == 7
    assert a.headers["etag"] != tag
    for method in ("PUT", "PATCH"):
        a = gauge.rest(method, "/devices/G-1", body,
                       headers={"If-Match": tag})
        assert a.status == 412
        assert gauge.rest(method, "/devices/G-1", body,
                          headers={"If-Match": "W/x"}).status == 412
    a = gauge.rest("PATCH", "/devices/G-1", {"attributes": {
        "lot": None, "grade": "b"}})
    assert a.json["attributes"] == {"grade": "b", "hw_rev": "A2"}
    a = gauge.rest("PATCH", "/devices/G-1", {"attributes": {"lot": 0}})
    assert a.status == 400
    a = gauge.rest("PATCH", "/devices/G-1", {"product": "nosuch"})
    assert a.status == 400
    a = gauge.rest("PATCH", "/devices/G-1",
                   {"bound_spki_sha256": "ab" * 32})
    assert a.json["bound_spki_sha256"] == "ab" * 32
    a = gauge.rest("PATCH", "/devices/G-1", {"bound_spki_sha256": None})
    assert "bound_spki_sha256" not in a.json
    assert a.json["created"] == gauge.rest("GET", "/devices/G-1").json[
        "created"]
    assert gauge.rest("PUT", "/devices/G-9", body).status == 404


def test_nested_merge_patch(gauge):
    """RFC 7396 2, on a product without a schema."""
    assert device(gauge, "T-1", "thermo",
                  a={"b": "c", "d": {"e": 1}}, f=[1]).status == 201
    a = gauge.rest("PATCH", "/devices/T-1", {"attributes": {
        "a": {"b": None, "d": {"g": 2}}, "f": {"x": None, "y": 1}}})
    assert a.json["attributes"] == {"a": {"d": {"e": 1, "g": 2}},
                                    "f": {"y": 1}}


def test_products_have_versions(gauge):
    a = gauge.rest("GET", "/products/gauge")
    tag = a.headers["etag"]
    body = {"description": "new", "ldevid_profile": "thermo"}
    a = gauge.rest("PUT", "/products/gauge", body, headers={"If-Match": tag})
    assert a.status == 200 and a.headers["etag"] != tag
    a = gauge.rest("PUT", "/products/gauge", body, headers={"If-Match": tag})
    assert a.status == 412
    assert gauge.rest("PUT", "/products/gauge", body).status == 200


# ---- recall, history ----

def test_recall(gauge):
    for i in range(6):
        assert device(gauge, f"R-{i}", hw_rev=f"R{i % 2}",
                      lot=100 + i).status == 201
    key, csr = gauge.key_and_csr("R-3")
    a = gauge.rest("POST", "/devices/R-3/enrol", {"csr": b64(csr)})
    assert a.status == 200, a
    def find(query):
        return ids(gauge.rest("GET", "/devices?" + query))
    assert find("where=hw_rev=R1") == ["R-1", "R-3", "R-5"]
    assert find("where=hw_rev=R1;lot%3E103&product=gauge") == ["R-5"]
    assert find("where=hw_rev%5E=R;lot%3C=101") == ["R-0", "R-1"]
    assert find("where=hw_rev=R1&key_type=p256") == ["R-3"]
    assert find("where=hw_rev=R1&key_type=rsa2048") == []
    issuer = gauge.rest("GET", "/issuers").json["items"][0]["name"]
    assert "R-3" in find(f"issuer={issuer}")
    assert find("issuer=nosuch") == []
    assert find("where=hw_rev=R1&created_to=2020-01-01T00:00:00Z") == []
    got, after = [], ""
    while after is not None:
        a = gauge.rest("GET", f"/devices?where=hw_rev=R0&limit=2{after}")
        got += ids(a)
        after = f"&after={a.json['next']}" if "next" in a.json else None
    assert got == ["R-0", "R-2", "R-4"]
    assert gauge.rest("POST", "/devices/R-5/retire").status == 200
    assert find("state=retired&where=hw_rev=R1") == ["R-5"]
    for bad in ("where=hw_rev", "where==x", "where=hw_rev%3Ex",
                "where=lot=1&after=x1", "key_type=dsa", "created_from=now", "where=" + "a=1;" * 9):
        assert gauge.rest("GET", "/devices?" + bad).status == 400, bad


def test_history(gauge):
    assert device(gauge, "H-1", hw_rev="H").status == 201
    gauge.token("H-1", product="gauge")
    gauge.rest("PATCH", "/devices/H-1", {"attributes": {"lot": 5}})
    key, csr = gauge.key_and_csr("H-1")
    a = gauge.rest("POST", "/devices/H-1/enrol", {"csr": b64(csr)})
    serial = a.json["serial"]
    gauge.rest("POST", f"/certificates/{serial}/revoke",
               {"reason": "superseded"})
    a = gauge.rest("GET", "/devices/h-1/history")
    types = [i["entry"]["type"] for i in a.json["items"]]
    assert types == ["certificate.revoked", "certificate.issued",
                     "device.changed", "token.minted", "device.created"]
    one, after = [], ""
    for _ in types:
        a = gauge.rest("GET", f"/devices/H-1/history?limit=1{after}")
        one += [i["entry"]["type"] for i in a.json["items"]]
        after = f"&after={a.json.get('next')}"
    assert one == types and "next" not in a.json
    assert gauge.rest("GET", "/devices/H-2/history").status == 404
    a = gauge.rest("GET", "/certificates?spki_sha256=" + gauge.rest(
        "GET", f"/certificates/{serial}").json["spki_sha256"])
    assert [c["serial"] for c in a.json["items"]] == [serial]


def test_audit(gauge):
    start = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 1))
    assert device(gauge, "A-1", hw_rev="A").status == 201
    gauge.rest("PATCH", "/devices/A-1", {"attributes": {"lot": 5}})
    def types(query):
        a = gauge.rest("GET", "/audit?" + query)
        assert a.status == 200, a
        return [i["entry"]["type"] for i in a.json["items"]]
    both = ["device.changed", "device.created"]
    assert types("device=a-1") == both
    assert types("device=A-1&order=oldest") == both[::-1]
    assert types("device=A-1&type=device.created") == both[1:]
    assert types(f"from={start}&device=A-1") == both
    assert types(f"to={start}&device=A-1") == []
    actor = gauge.rest("GET", "/whoami").json["id"]
    assert types(f"actor={actor}&limit=2") == both
    assert types("actor=nobody") == types("serial=" + "0" * 32) == []
    pages, after = [], ""
    while after is not None:
        a = gauge.rest("GET", f"/audit?limit=3{after}").json
        pages += [i["index"] for i in a["items"]]
        after = f"&after={a['next']}" if "next" in a else None
    assert pages == list(range(len(pages) - 1, -1, -1))
    assert gauge.rest("GET", "/audit?order=up").status == 400
    assert gauge.rest("GET", "/audit?who=me").status == 400


# ---- import ----

def rows(prefix, n, **more):
    return [{"id": f"{prefix}-{i}", "product": "gauge",
             "attributes": {"hw_rev": "I", "lot": i + 1}, **more}
            for i in range(n)]


def do_import(world, given, **how):
    a = world.rest("POST", "/devices/import", {"rows": given, **how})
    assert a.status == 200, a
    return a.json


def test_import(gauge):
    given = rows("I", 1000)
    a = do_import(gauge, given, dry_run=True)
    assert (a["created"], a["written"]) == (1000, False)
    assert gauge.rest("GET", "/devices/I-5").status == 404
    a = do_import(gauge, given)
    assert a == {"written": True, "created": 1000, "unchanged": 0,
                 "failed": 0, "errors": []}
    for dry in (True, False):
        a = do_import(gauge, given, dry_run=dry)
        assert (a["created"], a["unchanged"]) == (0, 1000)
    assert gauge.rest("GET", "/devices/i-999").json["attributes"] == {
        "hw_rev": "I", "lot": 1000}
    assert ids(gauge.rest("GET", "/devices?where=hw_rev=I;lot=1000&"
                          "product=gauge")) == [
        "I-999"]


def test_import_names_what_is_wrong(gauge):
    assert device(gauge, "J-10", hw_rev="A").status == 201
    given = rows("J", 2) + [
        {"id": "J 3", "product": "gauge"},
        {"id": "J-4"},
        {"id": "J-5", "product": "nosuch"},
        {"id": "J-6", "product": "gauge"},
        {"id": "J-7", "product": "gauge", "attributes": {"hw_rev": 1}},
        {"id": "J-8", "product": "gauge", "colour": 1},
        "J-9",
        {"id": "j-1", "product": "gauge", "attributes": {"hw_rev": "K"}},
        {"id": "J-10", "product": "gauge", "attributes": {"hw_rev": "K"}},
    ]
    want = [(3, "id"), (4, "product"), (5, "product"),
            (6, "attributes.hw_rev"), (7, "attributes.hw_rev"),
            (8, "colour"), (9, "row"), (10, "id"), (11, "id")]
    for how in ({"dry_run": True}, {"all_or_nothing": True}, {}):
        a = do_import(gauge, given, **how)
        assert [(e["row"], e["column"]) for e in a["errors"]] == want
        assert a["failed"] == 9 and a["created"] == 2
        assert a["written"] is (how == {})
        assert gauge.rest("GET", "/devices/J-0").status == (
            200 if how == {} else 404)


@pytest.mark.parametrize("body", [
    '{"dry_run":1,"rows":[{"id":"A","product":"gauge",}]}',
    '{"rows":[{"id":"A","product":"gauge",}],"nosuch":1}',
    '{"rows":[{"id":"A","id":"B"}],"texts":7}'])
def test_what_is_no_json_is_that_first(gauge, body):
    """Whatever else is wrong, and however limited the credential is."""
    key = gauge.rest("POST", "/keys", {
        "name": "limited", "roles": ["operator"],
        "products": ["gauge"]}).json["key"]
    for k in (None, key):
        a = gauge.rest("POST", "/devices/import", body, key=k)
        assert a.status == 400, a
        assert a.json["detail"].startswith("JSON: "), a


def test_import_of_texts(gauge):
    given = [{"id": "X-1", "product": "gauge", "attributes": {
        "hw_rev": "1", "lot": "17", "tested": "true"}}]
    assert do_import(gauge, given)["failed"] == 1
    assert do_import(gauge, given, texts=True)["created"] == 1
    assert gauge.rest("GET", "/devices/X-1").json["attributes"] == {
        "hw_rev": "1", "lot": 17, "tested": True}


@pytest.mark.parametrize("body, status", [
    ('{"rows":[]}', 400), ('{"rows":{}}', 400), ("{}", 400),
    ('{"rows":[{}],"x":1}', 400), ('{"rows":[{}],"dry_run":1}', 400),
    (json.dumps({"rows": [{}] * 1001}), 400),
    ('{"rows":[{"id":"a","id":"b"}]}', 400),
    ('{"rows":' + "[" * 10000, 400),
    (b'{"rows":[{"id":"\xff"}]}', 400),
    ('{"rows":[{"id":"a\\u0000b"}]}', 400),
    (b'{"rows":[{"id":"a\x00b"}]}', 400),
    ('{"rows":[' + " " * (10 << 20) + "]}", 413),
], ids=lambda v: repr(v)[:30])
def test_hostile_bodies(gauge, body, status):
    a = gauge.rest("POST", "/devices/import", body)
    assert a.status == status, a
    assert a.headers["content-type"] == "application/problem+json"


# ---- profiles ----

def test_profile_check(gauge):
    conf = gauge.conf.read_text()
    text = 'profile "thermo" {' + conf.split('profile "thermo" {', 1)[
        1].split("\n}", 1)[0] + "\n}\n"
    a = gauge.rest("POST", "/profiles/check", {"text": text})
    assert a.status == 200 and a.json["items"][0]["in_use"] is True, a
    other = text.replace('profile "thermo" {', 'profile "thermo" {\n'
                         "\tpolicies = {1.2.3}", 1)
    a = gauge.rest("POST", "/profiles/check", {"text": other})
    if a.status == 200:
        assert "raise its version" in a.json["items"][0]["warnings"][0]
    for bad in ("", "profile", 'profile "x" {', 'profile "x" { nosuch = 1 }',
                'profile "x" { issuer = "i"\n lifetime = 1x }',
                "include(\"/etc/passwd\")", '${HOME}'):
        a = gauge.rest("POST", "/profiles/check", {"text": bad})
        assert a.status == 400, (bad, a)
    assert gauge.rest("POST", "/profiles/check", {"txt": ""}).status == 400


# ---- what the ledger has of attributes ----

def detail(world, name):
    """Hashes in the entries about a device, the oldest first."""
    got = world.rest("GET", f"/devices/{name}/history").json["items"]
    return [e["entry"].get("detail_sha256") for e in reversed(got)
            if e["entry"]["type"].startswith("device.")]


def salt_of(world, name):
    db = records(world)
    (text,), = db.sql(f"SELECT coalesce({db.hex('salt')}, '') FROM device "
                      f"WHERE name = '{name}'")
    return bytes.fromhex(text)


def test_attributes_cannot_be_guessed_from_the_ledger(gauge):
    """The hash has a salt that only the device's own row has: gone with it."""
    for n in ("SALT-1", "SALT-2"):
        assert device(gauge, n, hw_rev="A").status == 201
    row = {"id": "SALT-3", "product": "gauge", "attributes": {"hw_rev": "A"}}
    assert gauge.rest("POST", "/devices/import",
                      {"rows": [row]}).json["created"] == 1
    text, seen = b'{"hw_rev":"A"}', set()
    for n in ("SALT-1", "SALT-2", "SALT-3"):
        salt, = {salt_of(gauge, n)}
        assert detail(gauge, n) == [hashlib.sha256(salt + text).hexdigest()]
        assert len(salt) == 16
        seen |= {salt, *detail(gauge, n)}
    assert len(seen) == 6
    assert hashlib.sha256(text).hexdigest() not in seen
    # other attributes, and the same again: a new salt each time
    old = salt_of(gauge, "SALT-1")
    for rev in "B", "A":
        assert gauge.rest("PATCH", "/devices/SALT-1", {"attributes": {
            "hw_rev": rev}}).status == 200
    assert salt_of(gauge, "SALT-1") != old
    assert len(set(detail(gauge, "SALT-1"))) == 3


def test_attributes_that_are_gone_leave_no_salt(world):
    world.product("plain", ldevid_profile="thermo")
    assert device(world, "SALT-4", "plain", owner="Ada").status == 201
    assert world.rest("PUT", "/devices/SALT-4",
                      {"product": "plain"}).status == 200
    assert salt_of(world, "SALT-4") == b""
    assert [h is None for h in detail(world, "SALT-4")] == [False, True]


# ---- to another product ----

def test_the_ledger_says_where_a_device_came_from(gauge):
    gauge.product("valve", ldevid_profile="thermo")
    assert device(gauge, "MOVE-1", hw_rev="A").status == 201
    for method, body in (("PATCH", {"product": "valve"}),
                         ("PUT", {"product": "valve"}),
                         ("PUT", {"product": "gauge", "attributes": {
                             "hw_rev": "A"}})):
        a = gauge.rest(method, "/devices/MOVE-1", body)
        assert a.status == 200, a
    got = gauge.rest("GET", "/devices/MOVE-1/history").json["items"]
    assert [(e["entry"]["product"], e["entry"].get("from"))
            for e in reversed(got)] == [
        ("gauge", None), ("valve", "gauge"), ("valve", None),
        ("gauge", "valve")]
