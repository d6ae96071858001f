"""Configuration in the field: sets, what devices get, and who hears of it."""
import base64
import contextlib
import hashlib
import json
import os
import sqlite3
import subprocess

import pytest

from test_reconcile import hostile_start
from world import MINT, World, faketime, run

EKU = "2.25.110699661726159169362708747703019946127"
GET = "/.well-known/mintmark/config"
BATCH = {"id": "spring", "product": "thermo", "quantity": 2, "serials":
         "FB-{001..002}", "until": "2027-12-31T00:00:00Z"}


@pytest.fixture(scope="module")
def world():
    with World(profile="\tbearer = true") as w:
        yield w.start().product()


def enrol(w, name):
    """(certificate, key) of a device that is confirmed."""
    key, csr = w.key_and_csr(name)
    cert = w.save_p7(w.enrol_basic(w.token(name, door="bearer"), csr), name)
    a = w.device_call("POST", "/.well-known/mintmark/confirm", cert=cert,
                      key=key)
    assert a.status == 204, a
    return cert, key


def ask(w, who, tag=None):
    return w.device_call("GET", GET, cert=who[0], key=who[1], headers={
        "If-None-Match": tag} if tag else {})


def opened(w, answer, who=None):
    """(head, document) as openssl verifies it up to the anchor."""
    assert answer.status == 200, answer
    f = w.dir / "config.p7m"
    f.write_bytes(answer.body)
    p = subprocess.run(
        ["openssl", "cms", "-verify", "-inform", "DER", "-in", f, "-binary",
         "-purpose", "any", "-CAfile", w.anchor], capture_output=True)
    assert p.returncode == 0, p.stderr
    head, document = p.stdout.split(b"\n\n", 1)
    lines = head.decode().split("\n")
    assert lines[0] == "mintmark-configuration 1"
    head = dict(line.split(" ", 1) for line in lines[1:])
    if who:
        der = subprocess.run(["openssl", "x509", "-in", who[0], "-outform",
                              "DER"], capture_output=True, check=True).stdout
        assert head["certificate"] == hashlib.sha256(der).hexdigest()
    return head, document.decode()


def put(w, kind, name, status=200, query="", headers=None, **body):
    a = w.rest("PUT", f"/{kind}/{name}/configuration{query}", body,
               headers=headers)
    assert a.status == status, a
    return a


def drop(w, kind, name):
    a = w.rest("DELETE", f"/{kind}/{name}/configuration")
    assert a.status in (200, 404), a
    return a


@pytest.fixture
def clean(world):
    yield world
    for kind, name in [("products", "thermo"), ("devices", "F-1"),
                       ("batches", "spring")]:
        drop(world, kind, name)


def preview(w, device):
    return w.rest("GET", f"/devices/{device}/configuration/preview")


# ---- what a device gets ----

def test_a_device_gets_what_is_set_and_never_less(clean):
    """Product, then the device's own, then that is gone: always higher."""
    w, who = clean, enrol(clean, "F-1")
    assert ask(w, who).status == 404
    put(w, "products", "thermo", template='{"id":"{{device}}","n":1}')
    a = ask(w, who)
    head, doc = opened(w, a, who)
    assert head["device"] == "F-1" and json.loads(doc) == {"id": "F-1", "n": 1}
    assert a.headers["cache-control"] == "private, no-store"
    versions = [int(head["version"])]
    # the same: nothing but the tag
    same = ask(w, who, a.headers["etag"])
    assert same.status == 304 and same.body == b""
    assert same.headers["etag"] == a.headers["etag"]
    steps = [
        lambda: put(w, "devices", "F-1", template='{"own":true}'),
        lambda: drop(w, "devices", "F-1"),
        lambda: put(w, "products", "thermo", template='{"id":"{{product}}"}'),
    ]
    for step in steps:
        step()
        a = ask(w, who, a.headers["etag"])
        versions.append(int(opened(w, a, who)[0]["version"]))
    assert versions == list(range(versions[0], versions[0] + 4))
    # a product's change that the device does not notice is no new version
    put(w, "devices", "F-1", template='{"own":1}')
    a = ask(w, who)
    put(w, "products", "thermo", template='{"other":1}')
    assert ask(w, who, a.headers["etag"]).status == 304
    # nothing is configured any more: nothing, and later higher again
    drop(w, "devices", "F-1")
    drop(w, "products", "thermo")
    assert ask(w, who, a.headers["etag"]).status == 404
    put(w, "products", "thermo", template='{"own":1}')
    assert int(opened(w, ask(w, who))[0]["version"]) >= versions[-1]


def test_a_store_that_has_forgotten_goes_on_above(clean):
    """By the tag of what the device says it has."""
    w, who = clean, enrol(clean, "F-forgot")
    put(w, "products", "thermo", template='{"a":1}')
    a = ask(w, who, '"41-0123456789abcdef"')
    assert opened(w, a)[0]["version"] == "42"
    for tag in ['"0-0123456789abcdef"', '"x"', "*", '"99999999999-01234567'
                '89abcdef"', '"2147483647-0123456789abcdef"', '"-1-']:
        assert opened(w, ask(w, who, tag))[0]["version"] == "42", tag


def test_a_version_that_was_given_twice_is_left_behind(clean):
    """By a store that was put back: the device has another document by the
    number on record.  One that lost its document says zeros, and gets it."""
    w, who = clean, enrol(clean, "F-twice")
    put(w, "products", "thermo", template='{"a":1}')
    assert opened(w, ask(w, who))[0]["version"] == "1"
    a = ask(w, who, '"1-0000000000000000"')
    assert opened(w, a)[0]["version"] == "1"
    a = ask(w, who, '"1-0123456789abcdef"')
    assert opened(w, a)[0]["version"] == "2"
    assert ask(w, who, a.headers["etag"]).status == 304
    a = ask(w, who, '"1-0123456789abcdef"')
    assert opened(w, a)[0]["version"] == "2"
    # what it says makes a version an hour, and what is set makes one at once
    entries = len(given(w, "F-twice"))
    for tag in '"2-1111111111111111"', '"7-1111111111111111"':
        a = ask(w, who, tag)
        assert a.status == 429 and int(a.headers["retry-after"]) > 0, a
    assert len(given(w, "F-twice")) == entries
    put(w, "products", "thermo", template='{"a":2}')
    assert opened(w, ask(w, who, '"7-1111111111111111"'))[0]["version"] == "8"


def given(w, device):
    """The entries of what it was given."""
    return [e for e in w.entries("configuration.given")
            if e["device"] == device]


def test_what_others_read_has_a_salt_in_it(clean):
    """Ledger, journal and what support sees: no password can be tried by
    them; who has the document has the salt."""
    w, who = clean, enrol(clean, "F-salt")
    table = {"template": '{"psk":"{{psk:secret}}"}', "columns": ["device",
             "psk"], "rows": [["F-salt", "hunter2"]]}
    put(w, "devices", "F-salt", **table)
    assert "sha256" not in preview(w, "F-salt").json
    heads = []
    for text in ('{"psk":"hunter2"}', '{"psk":"hunter3"}'):
        head, doc = opened(w, ask(w, who))
        assert doc == text
        plain = hashlib.sha256(doc.encode()).digest()
        mark = hashlib.sha256(bytes.fromhex(head["salt"]) + plain).hexdigest()
        assert given(w, "F-salt")[-1]["config_sha256"] == mark
        assert preview(w, "F-salt").json["sha256"] == mark
        line = [json.loads(x) for x in (w.state / "signer/journal.jsonl")
                .read_text().splitlines() if '"device":"F-salt"' in x][-1]
        assert line["document_sha256"] == mark
        heads.append(head)
        put(w, "devices", "F-salt", **{**table, "rows": [["F-salt",
                                                         "hunter3"]]})
    assert heads[0]["salt"] != heads[1]["salt"]
    # the same set twice: nobody sees that it is the same
    past = w.rest("GET", "/devices/F-salt/configuration").json["history"]
    assert past[0]["detail_sha256"] != past[1]["detail_sha256"]
    assert past[0]["rows_sha256"] != past[1]["rows_sha256"]


def test_another_document_by_the_same_number_is_named(clean):
    """Signed by a server that was taken over, for a version that the ledger
    has."""
    w, who = clean, enrol(clean, "F-forged")
    put(w, "products", "thermo", template='{"a":1}')
    opened(w, ask(w, who))
    w.stop()
    folder = w.state / "signer"
    good = {n: (folder / n).read_bytes() for n in ("journal.jsonl", "state")}
    try:
        hostile_start(w, 1, ("F-forged", bytes(32), 1, b"s" * 16,
                             b'{"a":2}'))
        p = run(MINT, "--json", "ledger", "reconcile", "--config", w.conf,
                check=False, env={**os.environ, **faketime("+1h")})
    finally:
        for name, data in good.items():
            (folder / name).write_bytes(data)
    w.start()
    named = {d.get("record"): d["difference"]
             for d in json.loads(p.stdout)["differences"]}
    assert p.returncode == 9 and named["configuration 1 of f-forged"] == \
        "another document was signed than the ledger says", p


def test_the_doctor_counts_who_is_behind(clean):
    w = clean
    put(w, "products", "thermo", template='{"a":1}')

    def rows():
        return [f for f in w.rest("GET", "/doctor").json["findings"]
                if f["check"] == "configurations"]
    names = [f"F-late-{n}" for n in range(3)]
    for name in names:
        opened(w, ask(w, enrol(w, name)))
    told = rows()
    assert [f["level"] for f in told] == ["ok", "ok"], told
    assert told[0]["what"].startswith("0 of ") and "certified" in \
        told[1]["what"]
    if w.database.startswith("sqlite:"):
        with contextlib.closing(sqlite3.connect(
                w.database.removeprefix("sqlite:"))) as db:
            for name in names:
                db.execute(
                    "UPDATE doc SET body = CAST(replace(CAST(body AS TEXT), "
                    "'\"at\":\"202', '\"at\":\"201') AS BLOB) WHERE id = ?",
                    (name.lower(),))
            db.commit()
        told = rows()
        assert told[0]["what"].startswith("3 of "), told
    drop(w, "products", "thermo")


def test_the_signer_is_certified_for_this_alone(clean):
    w, who = clean, enrol(clean, "F-purpose")
    put(w, "products", "thermo", template='{"a":1}')
    f = w.dir / "purpose.p7m"
    f.write_bytes(ask(w, who).body)
    text = subprocess.run(
        ["openssl", "pkcs7", "-inform", "DER", "-in", f, "-print_certs",
         "-text"], capture_output=True, text=True, check=True).stdout
    assert "Configuration signer" in text and EKU in text
    made = w.entries("responder.made")
    assert {e.get("action") for e in made} == {"configuration"}
    # of a signer that was started since, a new key
    w.stop()
    w.start()
    opened(w, ask(w, who), who)
    assert len(w.entries("responder.made")) == len(made) + 1
    p = run(MINT, "--json", "ledger", "reconcile", "--config", w.conf,
            check=False)
    assert p.returncode == 0, p.stdout + p.stderr


def test_who_is_served_is_whose_certificate_it_is(clean):
    w, one, other = clean, enrol(clean, "F-one"), enrol(clean, "F-other")
    put(w, "products", "thermo", template='{"id":"{{device}}"}')
    assert opened(w, ask(w, one), one)[0]["device"] == "F-one"
    assert opened(w, ask(w, other), other)[0]["device"] == "F-other"
    assert w.device_call("GET", GET).status in (401, 403)
    a = w.device_call("GET", GET, cert=one[0], key=one[1], headers={
        "Authorization": "Bearer x"})
    assert a.status == 400
    serial = w.rest("GET", "/certificates?device=F-one").json["items"][0][
        "serial"]
    w.rest("POST", f"/certificates/{serial}/revoke", {})
    a = ask(w, one)
    assert a.status == 403 and a.json["reason"] == "certificate-revoked"


def test_as_long_as_may_be(clean):
    w, who = clean, enrol(clean, "F-long")
    text = '{"x":"' + "y" * (65536 - 8) + '"}'
    put(w, "products", "thermo", template=text)
    assert opened(w, ask(w, who))[1] == text
    put(w, "products", "thermo", 413, template=text + " ")
    # what becomes too long with its fields
    put(w, "devices", "F-long", 409, template='{"a":"{{a}}","x":"' +
        "y" * 65480 + '"}', columns=["device", "a"],
        rows=[["F-long", "z" * 99]])


# ---- fields ----

def test_attributes_and_tables(clean):
    w, who = clean, enrol(clean, "F-1")
    a = w.rest("PATCH", "/devices/F-1", {"attributes": {
        "site": 'north "1"', "report_s": 60, "beta": True}}, headers={
            "Content-Type": "application/merge-patch+json"})
    assert a.status == 200, a
    put(w, "devices", "F-1", template='{"s":"{{site}}","r":{{report_s}},'
        '"b":{{beta}},"p":"{{product}}"}')
    assert json.loads(opened(w, ask(w, who))[1]) == {
        "s": 'north "1"', "r": 60, "b": True, "p": "thermo"}
    # an attribute that changes is another document
    before = int(opened(w, ask(w, who))[0]["version"])
    w.rest("PATCH", "/devices/F-1", {"attributes": {"site": "south",
           "report_s": 60, "beta": True}})
    assert int(opened(w, ask(w, who))[0]["version"]) == before + 1
    put(w, "devices", "F-1", template='{"psk":"{{psk:secret}}"}',
        columns=["device", "psk"], rows=[["F-1", "hunter2"]])
    assert json.loads(opened(w, ask(w, who))[1]) == {"psk": "hunter2"}


def test_a_secret_is_shown_to_nobody(clean):
    """By no call, in no entry, log or metric."""
    w, who = clean, enrol(clean, "F-1")
    secret = "s3cr3t-of-F-1"
    table = {"template": '{"psk":"{{psk:secret}}","n":"{{n}}"}',
             "columns": ["device", "psk", "n"],
             "rows": [["F-1", secret, "7"]]}
    put(w, "devices", "F-1", **table)
    assert secret in opened(w, ask(w, who))[1]
    bad = {**table, "rows": [["F-1", secret, "7"], ["F-1", secret, "8"]]}
    answers = [w.rest("GET", p).text for p in (
        "/devices/F-1/configuration", "/devices/F-1/configuration/preview",
        "/configurations", "/audit", "/events")]
    answers += [w.rest("PUT", "/devices/F-1/configuration", bad).text,
                w.rest("POST", "/devices/F-1/configuration/check",
                       {**table, "template": '{"psk":{{psk:secret}}'
                        ',"n":"{{n}}"}'}).text,
                w.rest("GET", "/metrics", base="").text, w.log(),
                (w.state / "signer/journal").read_text()
                if (w.state / "signer/journal").is_file() else ""]
    for text in answers:
        assert secret not in text, text[:300]
    shown = w.rest("GET", "/devices/F-1/configuration").json
    assert shown["rows"] == [["F-1", "(secret)", "7"]]
    p = preview(w, "F-1").json
    assert json.loads(p["document"]) == {"psk": "(secret)", "n": "7"}


def test_batch_before_product(clean):
    """Which is a device's batch its certificate's entry says."""
    w = clean
    a = w.rest("POST", "/batches", BATCH)
    assert a.status in (201, 409), a
    key, csr = w.key_and_csr("FB-001")
    w.rest("POST", "/devices", {"id": "FB-001", "product": "thermo"})
    a = w.rest("POST", "/devices/FB-001/enrol", {
        "csr": base64.b64encode(csr.read_bytes()).decode(),
        "batch": "spring"})
    assert a.status == 200, a
    cert = w.dir / "FB-001.crt"
    cert.write_text(a.json["certificate"] + a.json.get("chain", ""))
    who = cert, key
    put(w, "products", "thermo", template='{"of":"product"}')
    assert json.loads(opened(w, ask(w, who))[1]) == {"of": "product"}
    put(w, "batches", "spring", template='{"of":"{{batch}}"}')
    assert json.loads(opened(w, ask(w, who))[1]) == {"of": "spring"}
    p = preview(w, "FB-001").json
    assert p["scope"] == "batch" and p["batch"] == "spring"
    put(w, "devices", "FB-001", template='{"of":"device"}')
    assert json.loads(opened(w, ask(w, who))[1]) == {"of": "device"}
    drop(w, "devices", "FB-001")
    drop(w, "batches", "spring")
    head, doc = opened(w, ask(w, who))
    assert json.loads(doc) == {"of": "product"} and head["version"] == "4"


# ---- before it is put ----

def test_a_dry_run_names_who_it_cannot_be_made_for(clean):
    w = clean
    enrol(w, "F-1")
    enrol(w, "F-2")
    table = {"template": '{"psk":"{{psk}}"}', "columns": ["device", "psk"],
             "rows": [["F-1", "a"]]}
    a = w.rest("POST", "/products/thermo/configuration/check", table)
    assert a.status == 200, a
    named = {d["device"]: d["detail"] for d in a.json["devices"]}
    assert "F-1" not in named and "no row" in named["F-2"]
    assert a.json["unfit"] == len(named) < a.json["checked"]
    assert w.rest("GET", "/products/thermo/configuration").json.get(
        "state") != "set"
    a = put(w, "products", "thermo", 409, **table)
    assert "no row" in a.json["detail"]
    put(w, "products", "thermo", query="?force=true", **table)
    assert preview(w, "F-1").status == 200
    assert preview(w, "F-2").status == 409
    # what is set, and a page of it
    a = w.rest("POST", "/products/thermo/configuration/check", {})
    assert a.json["unfit"] == len(named)


def test_a_schema_is_the_products_and_holds_for_all(clean):
    w, who = clean, enrol(clean, "F-1")
    schema = {"type": "object", "properties": {"n": {"type": "integer",
              "minimum": 10}}, "required": ["n"]}
    put(w, "products", "thermo", template='{"n":10}', schema=schema)
    a = put(w, "devices", "F-1", 409, template='{"n":9}')
    assert "schema: n" in a.json["detail"], a
    assert put(w, "devices", "F-1", 400, template='{"n":10}',
               schema=schema).json["detail"].startswith("schema")
    put(w, "devices", "F-1", 200, query="?force=true", template='{"n":9}')
    assert ask(w, who).status == 409


BAD = [
    {"template": '{"a":{{b}'}, {"template": '{"a":'}, {"template": 1},
    {"template": '{"a":1}', "nosuch": 1},
    {"template": '{"a":"{{b}}"}', "columns": ["b"], "rows": []},
    {"template": '{"a":"{{b}}"}', "columns": ["device", "c"], "rows": []},
    {"template": '{"a":"{{b}}"}', "columns": ["device", "b"]},
    {"template": '{"a":"{{b}}"}', "columns": ["device", "b"],
     "rows": [["F-1"]]},
    {"template": '{"a":"{{b}}"}', "columns": ["device", "b"],
     "rows": [["F 1", "x"]]},
    {"template": '{"a":"{{b}}"}', "columns": ["device", "b"],
     "rows": [["F-1", 1]]},
    {"template": "x" * 65537}, {"columns": [], "rows": []},
]


@pytest.mark.parametrize("body", BAD, ids=range(len(BAD)))
def test_what_is_no_configuration(clean, body):
    a = clean.rest("PUT", "/products/thermo/configuration", body)
    assert a.status in (400, 409, 413), a
    assert clean.rest("GET", "/products/thermo/configuration").json.get(
        "state") != "set"


def test_versions_of_a_set(clean):
    """If-Match, history, and who did it."""
    w = clean
    a = put(w, "products", "thermo", template='{"a":1}')
    tag = a.headers["etag"]
    assert w.rest("GET", "/products/thermo/configuration").headers[
        "etag"] == tag
    put(w, "products", "thermo", headers={"If-Match": tag},
        template='{"a":2}')
    put(w, "products", "thermo", 412, headers={"If-Match": tag},
        template='{"a":3}')
    a = w.rest("DELETE", "/products/thermo/configuration",
               headers={"If-Match": tag})
    assert a.status == 412
    drop(w, "products", "thermo")
    shown = w.rest("GET", "/products/thermo/configuration").json
    assert shown["state"] == "removed" and "template" not in shown
    changes = [c["change"] for c in shown["history"]]
    assert changes[:3] == ["removed", "set", "set"]
    versions = [c["version"] for c in shown["history"]]
    assert versions == sorted(versions, reverse=True)
    drop(w, "products", "thermo")
    events = w.rest("GET", "/audit?type=configuration.set,"
                    "configuration.removed&limit=3").json["items"]
    entry = events[0]["entry"]
    assert entry["type"] == "configuration.removed"
    assert entry["scope"] == "product/thermo" and len(entry["actor"]) == 16
    assert entry["detail_sha256"] == shown["history"][0]["detail_sha256"]


def test_more_changes_than_are_remembered(clean):
    for n in range(23):
        put(clean, "products", "thermo", template='{"a":%d}' % n)
    shown = clean.rest("GET", "/products/thermo/configuration").json
    assert len(shown["history"]) == 20
    assert shown["history"][0]["version"] == shown["version"]


# ---- who has what ----

def states(w, state=""):
    a = w.rest("GET", "/products/thermo/configuration/devices"
               + (f"?state={state}" if state else ""))
    assert a.status == 200, a
    return {d["device"]: d["state"] for d in a.json["items"]}


def test_which_devices_are_behind(clean):
    w, who = clean, enrol(clean, "F-states")
    put(w, "products", "thermo", template='{"x":1}')
    assert states(w)["F-states"] == "never"
    a = ask(w, who)
    assert states(w)["F-states"] == "offered"
    assert ask(w, who, a.headers["etag"]).status == 304
    assert states(w)["F-states"] == "current"
    for _ in range(3):  # a poll writes nothing
        assert ask(w, who, a.headers["etag"]).status == 304
    put(w, "products", "thermo", template='{"x":2}')
    assert "F-states" in states(w, "old")
    assert "F-states" not in states(w, "current")
    mine = given(w, "F-states")
    assert len(mine) == 1 and mine[0]["scope"] == "product/thermo"


def test_it_is_counted(clean):
    w, who = clean, enrol(clean, "F-count")

    def n():
        text = w.rest("GET", "/metrics", base="").text
        return {k: int(line.split()[-1]) for line in text.splitlines()
                for k in ("served", "not-modified", "none", "refused")
                if line.startswith("mintmark_device_configurations_total")
                and f'"{k}"' in line}
    first = n()
    ask(w, who)
    put(w, "products", "thermo", template='{"x":1}')
    a = ask(w, who)
    ask(w, who, a.headers["etag"])
    now = n()
    assert {k: now[k] - first[k] for k in now} == {
        "served": 1, "not-modified": 1, "none": 1, "refused": 0}


# ---- who writes the database, and who has to be asked ----

FALSE = {
    "set": ("CAST(replace(CAST(body AS TEXT), '\"product\":\"thermo\"', "
            "'\"product\":\"other\"') AS BLOB)",
            "id = 'product/thermo'", "configuration of product/thermo"),
    "given": ("CAST(replace(CAST(body AS TEXT), '\"version\":', "
              "'\"version\":9') AS BLOB)", "id = 'f-false'",
              "configuration given to F-false"),
}


@pytest.mark.skipif("MINTMARK_DATABASE" in os.environ,
                    reason="by SQLite's own words")
@pytest.mark.parametrize("what", FALSE)
def test_a_record_that_was_changed(clean, what):
    w, who = clean, enrol(clean, "F-false")
    put(w, "products", "thermo", template='{"x":1}')
    opened(w, ask(w, who))
    becomes, where, says = FALSE[what]
    w.stop()
    path = w.database.removeprefix("sqlite:")
    with contextlib.closing(sqlite3.connect(path)) as db:
        was = db.execute(f"SELECT id, body FROM doc WHERE {where}"
                         ).fetchall()
        assert len(was) == 1
        db.execute(f"UPDATE doc SET body = {becomes} WHERE {where}")
        db.commit()
        p = run(MINT, "--json", "ledger", "reconcile", "--config", w.conf,
                check=False)
        db.execute(f"UPDATE doc SET body = ? WHERE {where}", (was[0][1],))
        db.commit()
    w.start()
    assert p.returncode == 9 and says.lower() in p.stdout.lower(), p.stdout


def test_a_second_administrator(tmp_path):
    """Of what thousands of devices do, not of one."""
    with World(profile="\tbearer = true") as w:
        w.start().product()
        ada = w.rest("POST", "/keys", {"name": "Ada", "roles": ["admin"]}
                     ).json["key"]
        w.stop()
        w.conf.write_text(w.conf.read_text() + "\nfour_eyes = "
                          "{configuration}\n")
        w.start()
        w.rest("POST", "/devices", {"id": "F-eyes", "product": "thermo"})
        put(w, "devices", "F-eyes", template='{"a":1}')
        a = put(w, "products", "thermo", 202, template='{"a":2}')
        assert a.json["action"] == "configuration"
        assert preview(w, "F-eyes").json["scope"] == "device"
        one = a.json["approval"]
        assert w.rest("GET", "/products/thermo/configuration").status == 404
        assert w.rest("POST", f"/approvals/{one}/approve", {}, key=ada
                      ).status == 200
        put(w, "products", "thermo", headers={"Mintmark-Approval": one},
            template='{"a":2}')
        assert w.rest("DELETE", "/products/thermo/configuration").status == 202


ROLES = {"admin": 200, "operator": 200, "support": 403, "auditor": 403,
         "line": 403}


def test_who_may_set_and_who_may_look(clean):
    """The line neither, whose station has the documents of its batch."""
    w = clean
    put(w, "products", "thermo", template='{"x":1}')
    for role, status in ROLES.items():
        key = w.rest("POST", "/keys", {"name": role, "roles": [role]}
                     ).json["key"]
        a = w.rest("PUT", "/products/thermo/configuration",
                   {"template": '{"x":1}'}, key=key)
        assert a.status == status, (role, a)
        a = w.rest("GET", "/products/thermo/configuration", key=key)
        assert a.status == (403 if role == "line" else 200), (role, a)
    w.rest("POST", "/products", {"name": "valve"})
    key = w.rest("POST", "/keys", {"name": "v", "roles": ["operator"],
                 "products": ["valve"]}).json["key"]
    assert w.rest("GET", "/products/thermo/configuration", key=key
                  ).status == 404
    assert w.rest("GET", "/configurations", key=key).json["items"] == []
    a = w.rest("PUT", "/products/thermo/configuration", {"template": "{}"},
               key=key)
    assert a.status in (403, 404)


# ---- the command line ----

def test_by_the_command_line(clean):
    w = clean
    enrol(w, "F-1")
    t, rows = w.dir / "t.json", w.dir / "t.csv"
    t.write_text('{"id":"{{device}}","psk":"{{psk:secret}}"}')
    rows.write_text("device,psk\nF-1,hunter2\n")
    of = ["--device", "F-1"]
    w.cli("config", "set", *of, "--template", t, "--rows", rows, "--dry-run")
    w.cli("config", "set", *of, "--template", t, "--rows", rows)
    p = w.cli("config", "show", *of)
    assert "(secret)" in p.stdout and "hunter2" not in p.stdout
    p = w.cli("config", "preview", "F-1")
    assert "(secret)" in p.stdout and "version" in p.stdout
    assert "F-1" in w.cli("config", "list").stdout
    assert "set" in w.cli("config", "history", *of).stdout
    p = w.cli("--json", "config", "devices", "thermo", "--limit", "0")
    assert any(d["device"] == "F-1" for d in json.loads(p.stdout))
    p = w.cli("config", "set", "--product", "thermo", "--template", t,
              "--rows", rows, "--dry-run", check=False)
    assert p.returncode == 5 and "no row" in p.stdout, p
    w.cli("config", "remove", *of)
    assert w.cli("config", "show", "--device", "F-1", "--product", "thermo",
                 check=False).returncode == 2
    assert w.cli("config", "set", *of, check=False).returncode == 2


def test_records_and_entries_agree(clean):
    w = clean
    w.cli("ledger", "checkpoint")
    p = run(MINT, "--json", "ledger", "reconcile", "--config", w.conf,
            check=False)
    assert p.returncode == 0, p.stdout + p.stderr
