"""docs/operators.md: who may do what at the back office: roles, scopes,
certificates, and names that can be erased."""
import base64
import http.client
import json
import re
import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from world import DAEMON, MINT, World, quote, run, serial_of

ROLES = ["admin", "operator", "line", "support", "auditor", "metrics"]


def key(w, name, roles=ROLES, **more):
    """A new API key's text."""
    a = w.rest("POST", "/keys", {"name": name, "roles": roles, **more})
    assert a.status == 201, a
    return a.json["key"]


def id_of(text):
    return text.split("_")[1]


def person(w, name, kind="ec"):
    """Paths of a self-signed certificate and its key."""
    crt, pem = w.dir / f"{name}.crt", w.dir / f"{name}.key"
    how = ["rsa:2048"] if kind == "rsa" else \
        ["ed25519"] if kind == "ed25519" else \
        ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    run("openssl", "req", "-x509", "-newkey", *how, "-nodes", "-keyout", pem,
        "-out", crt, "-subj", f"/CN={name}", "-days", "30")
    pem.chmod(0o600)
    return crt, pem


def by_cert(w, crt, pem, method="GET", path="/whoami", body=None,
            headers=None, base="/api/v1"):
    conn = w.https(w.operators, str(crt), str(pem))
    head = dict(headers or {})
    if body is not None:
        head["Content-Type"] = "application/json"
        body = json.dumps(body)
    try:
        return w.ask(conn, method, base + path, body, head)
    finally:
        conn.close()


def register(w, name, crt, roles=("admin",), **more):
    return w.rest("POST", "/keys", {"name": name, "roles": list(roles),
                                    "certificate": crt.read_text(), **more})


def device_of(w, name, product):
    """A device with a certificate: (device, token id, serial, index)."""
    csr_key, csr = w.key_and_csr(name)
    t = w.rest("POST", "/tokens", {"device": name, "product": product,
                                   "profile": "thermo", "door": "bearer"})
    assert t.status == 201, t
    a = w.enrol_basic(t.json, csr, label="thermo")
    assert a.status == 200, a
    crt = w.save_p7(a, name)
    serial = serial_of(crt)
    index = w.rest("GET", f"/certificates/{serial}").json["index"]
    return {"device": name, "token": t.json["id"], "serial": serial,
            "index": index, "product": product, "crt": crt, "key": csr_key}


@pytest.fixture(scope="module")
def two(world):
    """Products thermo, gauge (mine) and valve (theirs), a device each."""
    for p in ("gauge", "valve"):
        a = world.rest("POST", "/products",
                       {"name": p, "ldevid_profile": "thermo"})
        assert a.status == 201, a
    mine = device_of(world, "MINE-1", "thermo")
    more = [device_of(world, f"MINE-{i}", p)
            for i, p in ((2, "thermo"), (3, "gauge"), (4, "gauge"))]
    theirs = device_of(world, "THEIRS-1", "valve")
    device_of(world, "A-THEIRS-0", "valve")
    a = world.rest("POST", "/batches", {
        "id": "theirs-batch", "product": "valve", "quantity": 1,
        "serials": "TB-{1..9}", "until": "2099-01-01T00:00:00Z"})
    assert a.status == 201, a
    theirs["batch"] = "theirs-batch"
    return {"mine": mine, "more": more, "theirs": theirs,
            "key": key(world, "limited", products=["thermo", "gauge"])}


def routes():
    """(method, pattern, {role: may}, what a limited one is held to)."""
    out = run(DAEMON, "roles").stdout
    rows = re.findall(r"^\| `(\w+) (\S+)` \|(.*)\|$", out, re.M)
    assert len(rows) > 40
    for method, pattern, rest in rows:
        cells = [c.strip() for c in rest.split("|")]
        yield method, pattern, dict(zip(ROLES, cells[:6])), cells[6]


def fill(pattern, o, nothing=False):
    """The pattern with an object of o's, or of nobody's."""
    names = {"products": o["product"], "devices": o["device"],
             "tokens": o["token"], "certificates": o["serial"],
             "receipts": str(o["index"]), "profiles": "thermo",
             "issuers": "issuing", "keys": "0" * 16, "approvals": "0" * 16,
             "webhooks": "0" * 16, "dead-letters": "1", "quarantine": "0",
             "configurations": o["device"],
             "batches": o.get("batch", "nosuch"), "stations": "nosuch",
             "groups": "nosuch", "waiting": o["device"]}
    if nothing:
        names |= {"products": "nosuch", "devices": "NOSUCH",
                  "tokens": "mm1-" + "0" * 20, "certificates": "0" * 32,
                  "receipts": "99999999", "batches": "nosuch"}
    parts = pattern.split("/")
    for i, p in enumerate(parts):
        if p == ":":
            parts[i] = quote(names[parts[i - 1]])
        if p == "*":
            parts[i] = "0/000.p/1"
    return "/".join(parts)


def body_for(pattern, o):
    if pattern.endswith("/tokens"):
        return {"device": o["device"], "product": o["product"]}
    if pattern.endswith("/import"):
        return {"rows": [{"id": o["device"], "product": o["product"]}]}
    if pattern.endswith("/whoami/renew"):
        return {"certificate": o["crt"].read_text()}
    if pattern.endswith("/devices"):
        return {"id": o["device"], "product": o["product"]}
    return {}


def without_id(answer):
    problem = dict(answer.json)
    problem.pop("request_id", None)
    return problem


SECRETS_OF = ("device", "token", "serial", "product", "batch")


@pytest.mark.parametrize("method, pattern, roles, held",
                         [r for r in routes()], ids=lambda v: str(v)[:40])
def test_every_route_with_a_limited_key(world, two, method, pattern, roles,
                                        held):
    theirs = two["theirs"]
    body = body_for(pattern, theirs) if method in ("POST", "PUT") else None
    a = world.rest(method, fill(pattern, theirs), body, key=two["key"],
                   base="")
    if held == "refused":
        assert a.status == 403, a
        return
    if pattern.endswith("/whoami/renew"):
        assert a.status == 403 and "API key is not renewed" in a.text, a
    elif held in ("yes", "its own in the list"):
        assert a.status in (200, 404), a
    else:
        assert a.status == 404, a
        nobody = world.rest(method, fill(pattern, theirs, nothing=True),
                            body, key=two["key"], base="")
        if method == "GET" or ":" in pattern:
            got, want = without_id(a), without_id(nobody)
            if "receipts" in pattern:
                got["detail"] = re.sub(r"\d+", "N", got["detail"])
                want["detail"] = re.sub(r"\d+", "N", want["detail"])
            assert got == want
    for what in SECRETS_OF:
        assert theirs[what] not in a.text, (what, a.text)


def test_the_limited_key_sees_its_own(world, two):
    m, k = two["mine"], two["key"]
    for path in (f"/products/{m['product']}", f"/devices/{m['device']}",
                 f"/tokens/{m['token']}", f"/certificates/{m['serial']}",
                 f"/devices/{m['device']}/receipt",
                 f"/ledger/receipts/{m['index']}"):
        assert world.rest("GET", path, key=k).status == 200, path


def test_status_counts_nothing_for_a_limited_key(world, two):
    a = world.rest("GET", "/status", key=two["key"]).json
    assert set(a) == {"name", "version", "production", "started", "uptime_s",
                      "ready"}


def pages(w, k, path, limit=1):
    items, after = [], ""
    for _ in range(100):
        a = w.rest("GET", f"{path}{'&' if '?' in path else '?'}limit={limit}"
                   f"{after}", key=k)
        assert a.status == 200, a
        items += a.json["items"]
        if "next" not in a.json:
            return items
        after = "&after=" + quote(a.json["next"])
        assert "THEIRS" not in after
    raise AssertionError("no end")


@pytest.mark.parametrize("limit", [1, 2, 3, 1000])
def test_lists_go_from_product_to_product(world, two, limit):
    k = two["key"]
    everything = [two["mine"], *two["more"]]
    for path, name, want in (
            ("/devices", "id", {d["device"] for d in everything}),
            ("/devices?state=active", "id",
             {d["device"] for d in everything}),
            ("/tokens", "id", {d["token"] for d in everything}),
            ("/certificates", "serial", {d["serial"] for d in everything}),
            ("/certificates?expires_to=2100-01-01T00:00:00Z", "serial",
             {d["serial"] for d in everything}),
            ("/certificates?state=issued&issued_to=2100-01-01T00:00:00Z",
             "serial", {d["serial"] for d in everything}),
            ("/products", "name", {"thermo", "gauge"})):
        got = [i[name] for i in pages(world, k, path, limit)]
        assert len(got) == len(set(got))
        mine = {g for g in got if not g.startswith("made-")}
        assert want <= mine, (path, mine)
        for item in pages(world, k, path, limit):
            assert item.get("product", "thermo") in ("thermo", "gauge")


def test_filters_do_not_open_a_list(world, two):
    k, t = two["key"], two["theirs"]
    for path in (f"/devices?product={t['product']}",
                 f"/tokens?product={t['product']}",
                 f"/tokens?device={t['device']}",
                 f"/certificates?device={t['device']}",
                 f"/certificates?product={t['product']}",
                 "/certificates?issuer=issuing&state=revoked"):
        a = world.rest("GET", path, key=k)
        assert a.status == 200 and a.json == {"items": []}, (path, a)
    for path in (f"/devices?after={t['device']}",
                 f"/tokens?after={t['token']}",
                 f"/certificates?after={t['serial']}"):
        a = world.rest("GET", path, key=k)
        b = world.rest("GET", re.sub("after=.*", "after=" + (
            "0" * 32 if "certificates" in path else "NOSUCH"), path), key=k)
        assert a.status == b.status == 400
        assert without_id(a) == without_id(b)


def test_entries_of_others_are_not_seen(world, two):
    t = two["theirs"]
    items = pages(world, two["key"], "/ledger/entries", 1000)
    text = json.dumps(items)
    for what in SECRETS_OF:
        assert t[what] not in text
    assert two["mine"]["serial"] in text
    types = {i["entry"]["type"] for i in items}
    assert "operator.created" not in types and "ledger.opened" not in types
    a = world.rest("GET", f"/ledger/entries?device={t['device']}",
                   key=two["key"])
    assert a.json["items"] == []


def test_nothing_is_taken_outside(world, two):
    """A device does not go to a product that the key has not."""
    k, m, t = two["key"], two["mine"], two["theirs"]
    path = f"/devices/{m['device']}"
    before = world.rest("GET", path).json
    for method, body in (("PUT", {"product": t["product"]}),
                         ("PATCH", {"product": t["product"]})):
        a = world.rest(method, path, body, key=k)
        assert a.status == 404 and t["product"] not in a.text, (method, a)
    assert world.rest("GET", path).json == before


def test_a_recall_is_of_its_products(world, two):
    k, m, t = two["key"], two["mine"], two["theirs"]
    got = {d["product"] for d in pages(world, k, "/devices?state=active", 2)}
    assert got == {"thermo", "gauge"}
    path = f"/devices?state=active&product={m['product']}"
    got = pages(world, k, path, 2)
    assert got and all(d["product"] == m["product"] for d in got)
    a = world.rest("GET", f"/devices?state=active&product={t['product']}",
                   key=k)
    assert a.json == {"items": []}
    for after in ("d1", f"{t['product']}/", f"{t['product']}/d1", "/"):
        a = world.rest("GET", f"/devices?state=active&after={after}", key=k)
        assert a.status == 400, (after, a)


@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_an_audit_is_of_its_products(world, two, order):
    k, m, t = two["key"], two["mine"], two["theirs"]
    a = world.rest("GET", f"/audit?order={order}&limit=1000", key=k)
    assert a.status == 200
    devices = {i["entry"].get("device") for i in a.json["items"]}
    assert m["device"] in devices and t["device"] not in devices
    a = world.rest("GET", f"/audit?order={order}&device={t['device']}", key=k)
    assert a.json["items"] == []


def test_nothing_is_made_outside(world, two):
    k, t = two["key"], two["theirs"]
    for path, body in (
            ("/devices", {"id": "NEW-1", "product": "valve"}),
            ("/devices", {"id": t["device"], "product": "thermo"}),
            ("/devices", {"id": t["device"].lower(), "product": "thermo"}),
            ("/devices/import", {"rows": [
                {"id": "NEW-2", "product": "thermo"},
                {"id": "NEW-1", "product": "valve"}]}),
            ("/devices/import", {"rows": [
                {"id": t["device"], "product": "thermo"}]}),
            ("/tokens", {"device": "NEW-1", "product": "valve"}),
            ("/tokens", {"device": t["device"]}),
            ("/tokens", {"device": t["device"], "product": "thermo"}),
            ("/tokens", {"tokens": [
                {"device": "NEW-2", "product": "thermo"},
                {"device": t["device"]}]})):
        a = world.rest("POST", path, body, key=k)
        assert a.status == 404, (body, a)
        assert t["product"] not in a.text
    for new in ("NEW-1", "NEW-2"):
        assert world.rest("GET", f"/devices/{new}").status == 404
    a = world.rest("POST", "/tokens", {"tokens": [
        {"device": "made-1", "product": "thermo"},
        {"device": two["mine"]["device"]}]}, key=k)
    assert a.status == 201 and all("token" in i for i in a.json["items"])


def test_whose_key_it_is_does_not_show(world, two):
    """Enrolling with a key that another product's device has."""
    csr = world.dir / "theirs-again.csr"
    run("openssl", "req", "-new", "-key", two["theirs"]["key"], "-subj",
        "/CN=x", "-out", csr)
    a = world.rest("POST", f"/devices/{two['mine']['device']}/enrol",
                   {"csr": csr.read_text()}, key=two["key"])
    assert a.status in (403, 409), a
    for what in SECRETS_OF:
        assert two["theirs"][what] not in a.text


def test_a_limited_administrator_is_none(world, two):
    k = two["key"]
    for method, path, body in (
            ("POST", "/keys", {"name": "x", "roles": ["admin"]}),
            ("POST", "/products", {"name": "mine"}),
            ("PUT", "/products/thermo", {"description": "x"}),
            ("POST", "/issuers/issuing/crl", {}), ("GET", "/keys", None),
            ("GET", "/approvals", None), ("GET", "/profiles", None),
            ("POST", f"/keys/{id_of(k)}/erase", {}),
            ("GET", "/ledger/checkpoint", None)):
        assert world.rest(method, path, body, key=k).status == 403, path


def test_a_batch_scope_sees_nothing(world, two):
    k = key(world, "batch", batches=["b7"])
    assert world.rest("GET", "/whoami", key=k).json["batches"] == ["b7"]
    for path in ("/devices", "/tokens", "/certificates", "/products",
                 "/ledger/entries"):
        assert world.rest("GET", path, key=k).json["items"] == []
    assert world.rest("GET", "/devices/MINE-1", key=k).status == 404
    a = world.rest("POST", "/tokens", {"device": "MINE-1"}, key=k)
    assert a.status == 404
    both = key(world, "both", products=["thermo"], batches=["b7"])
    assert world.rest("GET", "/devices", key=both).json["items"] == []


# ---- roles ----

@pytest.mark.parametrize("role", ROLES)
def test_the_matrix_is_what_happens(world, two, role):
    k = key(world, role, roles=[role])
    other = dict(two["mine"], device="NOBODY", token="mm1-" + "0" * 20,
                 serial="0" * 32, product="nosuch", index=99999999)
    for method, pattern, roles, _ in routes():
        if pattern == "/api/v1/issuers/:/crl":
            pattern = "/api/v1/issuers/nosuch/crl"
        a = world.rest(method, fill(pattern, other),
                       {} if method in ("POST", "PUT") else None, key=k,
                       base="")
        assert (a.status == 403) == (roles[role] == "-"), (pattern, a)


# ---- where from, until when, last used ----

@pytest.mark.parametrize("sources, good", [
    (None, True), (["127.0.0.0/8"], True), (["10.0.0.0/8", "127.0.0.1"], True),
    (["0.0.0.0/0"], True), (["::/0"], True), (["::ffff:127.0.0.1"], True),
    (["10.0.0.0/8"], False), (["127.0.0.2"], False), (["::1"], False),
    (["128.0.0.0/1"], False),
])
def test_where_a_key_is_good(world, sources, good):
    k = key(world, "from", sources=sources)
    a = world.rest("GET", "/whoami", key=k)
    assert a.status == (200 if good else 401), a


@pytest.mark.parametrize("more", [
    {"sources": ["10.0.0.1/8"]}, {"sources": ["10.0.0.0/33"]},
    {"sources": ["10.0.0"]}, {"sources": [""]}, {"sources": ["::/129"]},
    {"sources": ["localhost"]}, {"products": ["no such"]},
    {"products": ["thermo", "thermo"]}, {"products": [""]},
    {"products": [f"p{i}" for i in range(17)]}, {"batches": ["a,b"]}, {"batches": ["B7"]},
    {"roles": []}, {"products": []}, {"sources": []}, {"roles": ["root"]}, {"name": ""}, {"name": "x" * 65},
    {"description": "x" * 129}, {"expires": "2020-01-01T00:00:00Z"},
    {"ttl": "1h", "expires": "2099-01-01T00:00:00Z"}, {"scope": "all"},
    {"certificate": "nothing"}, {"certificate": 7},
])
def test_what_is_no_credential(world, more):
    a = world.rest("POST", "/keys", {"name": "x", "roles": ["line"], **more})
    assert a.status == 400, a


def test_a_key_ends(world):
    k = key(world, "short", roles=["line"], ttl=1)
    assert world.rest("GET", "/whoami", key=k).json["roles"] == ["line"]
    end = time.monotonic() + 20
    while world.rest("GET", "/whoami", key=k).status == 200:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert world.rest("GET", "/whoami", key=k).status == 401


def test_when_it_was_last_used(world):
    k = key(world, "used", roles=["support"], description="a shelf")

    def row():
        return next(i for i in pages(world, None, "/keys", 1000)
                    if i["id"] == id_of(k))
    assert "used" not in row() and row()["description"] == "a shelf"
    before = world.rest("GET", "/ledger/entries?limit=1000").json
    world.rest("GET", "/whoami", key=k)
    end = time.monotonic() + 20
    while "used" not in row():
        assert time.monotonic() < end
        time.sleep(0.1)
    first = row()["used"]
    world.rest("GET", "/whoami", key=k)
    time.sleep(0)
    assert row()["used"] == first
    after = world.rest("GET", "/ledger/entries?limit=1000").json
    assert len(before["items"]) == len(after["items"])


# ---- certificates ----

@pytest.mark.parametrize("kind", ["ec", "rsa", "ed25519"])
def test_an_operator_by_certificate(world, kind):
    crt, pem = person(world, f"ada-{kind}", kind)
    assert by_cert(world, crt, pem).status == 401
    a = register(world, "Ada", crt, ["support"], sources=["127.0.0.0/8"])
    assert a.status == 201 and "key" not in a.json, a
    me = by_cert(world, crt, pem).json
    assert me["id"] == a.json["id"] and me["kind"] == "certificate"
    assert me["name"] == "Ada" and me["roles"] == ["support"]
    end = run("openssl", "x509", "-in", crt, "-noout", "-enddate",
              "-dateopt", "iso_8601").stdout.split("=")[1].split()[0]
    assert me["expires"].startswith(end)
    assert by_cert(world, crt, pem, path="/keys").status == 403
    assert register(world, "Eve", crt).status == 409
    assert world.rest("POST", f"/keys/{me['id']}/revoke", {}).status == 200
    assert by_cert(world, crt, pem).status == 401
    assert register(world, "Ada", crt).status == 409


def test_one_authority_a_request(world):
    crt, pem = person(world, "both")
    assert register(world, "Both", crt).status == 201
    for head in (f"Bearer {world.admin_key}", "Basic eDp5", "Bearer x", ""):
        a = by_cert(world, crt, pem, headers={"Authorization": head})
        assert a.status == 400, (head, a)
    assert by_cert(world, crt, pem).status == 200
    other, other_key = person(world, "stranger")
    a = by_cert(world, other, other_key,
                headers={"Authorization": f"Bearer {world.admin_key}"})
    assert a.status == 400
    assert by_cert(world, other, other_key, path="/../../healthz"
                   ).status in (400, 404)


def test_metrics_and_events_by_certificate(world, two):
    crt, pem = person(world, "scraper")
    assert by_cert(world, crt, pem, path="/metrics", base="").status == 401
    assert register(world, "Scraper", crt, ["auditor"]).status == 201
    a = by_cert(world, crt, pem, path="/metrics", base="")
    assert a.status == 200 and "mintmark_" in a.text
    assert by_cert(world, crt, pem, path="/events?limit=1").json["items"]
    crt, pem = person(world, "narrow")
    assert register(world, "Narrow", crt, ["auditor"],
                    products=["thermo"]).status == 201
    assert by_cert(world, crt, pem, path="/metrics", base="").status == 403
    a = by_cert(world, crt, pem, path="/events?limit=1000")
    assert a.json["items"] and "THEIRS" not in a.text


def test_a_renewed_certificate_of_the_same_key_is_the_same_person(world):
    crt, pem = person(world, "again")
    a = register(world, "Again", crt, ["support"])
    newer = world.dir / "again2.crt"
    run("openssl", "req", "-x509", "-new", "-key", pem, "-out", newer,
        "-subj", "/CN=other name", "-days", "3")
    assert by_cert(world, newer, pem).json["id"] == a.json["id"]


def test_a_devices_certificate_is_no_operators(world, two):
    m = two["mine"]
    assert by_cert(world, m["crt"], m["key"]).status == 401
    assert register(world, "Device", m["crt"]).status == 409
    pub = run("openssl", "x509", "-in", m["crt"], "-noout", "-pubkey").stdout
    # another certificate of the same key is the same key
    fake = world.dir / "fake.crt"
    run("openssl", "req", "-x509", "-new", "-key", m["key"], "-out", fake,
        "-subj", "/CN=boss", "-days", "3")
    assert run("openssl", "x509", "-in", fake, "-noout",
               "-pubkey").stdout == pub
    assert register(world, "Device", fake).status == 409
    # and the other way round: who was registered first, then certified
    crt, pem = person(world, "turncoat")
    assert register(world, "Turncoat", crt).status == 201
    assert by_cert(world, crt, pem).status == 200
    csr = world.dir / "turncoat.csr"
    run("openssl", "req", "-new", "-key", pem, "-subj", "/CN=x", "-outform",
        "DER", "-out", csr)
    got = world.enrol_basic(world.token("TURN-1", door="bearer"), csr)
    assert got.status == 200, got
    assert by_cert(world, crt, pem).status == 401


def test_a_certificate_without_its_key(world):
    """A key file that claims the victim's public key: its own private one
    signs, and the handshake fails."""
    crt, pem = person(world, "victim")
    assert register(world, "Victim", crt).status == 201
    _, thief = person(world, "thief")
    spki = run("openssl", "x509", "-in", crt, "-noout", "-pubkey").stdout
    point = base64.b64decode("".join(spki.splitlines()[1:-1]))[-65:]
    der = base64.b64decode("".join(thief.read_text().splitlines()[1:-1]))
    assert der[-65] == 4 and point[0] == 4
    mixed = world.dir / "mixed.key"
    mixed.write_text("-----BEGIN PRIVATE KEY-----\n" + base64.encodebytes(
        der[:-65] + point).decode() + "-----END PRIVATE KEY-----\n")
    with pytest.raises((ssl.SSLError, ConnectionError,
                        http.client.HTTPException, socket.error)):
        by_cert(world, crt, mixed)
    assert by_cert(world, crt, pem).status == 200


def test_certificates_on_the_command_line(world):
    crt, pem = person(world, "cli")
    made = json.loads(world.cli("--json", "key", "create", "Cli", "--role",
                                "admin", "--certificate", crt).stdout)
    assert made["kind"] == "certificate"
    base = ["--server", f"https://localhost:{world.operators}", "--ca",
            world.anchor, "--json"]
    me = run(MINT, *base, "--cert", crt, "--cert-key", pem, "key", "list")
    assert made["id"] in me.stdout
    one = world.dir / "one.pem"
    one.write_text(crt.read_text() + pem.read_text())
    one.chmod(0o600)
    assert run(MINT, *base, "--cert", one, "status").returncode == 0
    ctx = world.dir / "cert.json"
    ctx.write_text(json.dumps({
        "server": f"https://localhost:{world.operators}",
        "ca": str(world.anchor), "cert": "cli.crt", "cert_key": "cli.key"}))
    assert run(MINT, "--context", ctx, "status").returncode == 0
    for args, says in (
            (["--cert", crt, "--cert-key", pem, "--key-file",
              world.etc / "admin.key"], "one of them"),
            (["--cert-key", pem], "without --cert"),
            (["--cert", crt, "--cert-key", world.dir / "none"], "none")):
        p = run(MINT, *base, *args, "status", check=False)
        assert p.returncode != 0 and says in p.stderr, p.stderr
    pem.chmod(0o640)
    p = run(MINT, *base, "--cert", crt, "--cert-key", pem, "status",
            check=False)
    assert p.returncode != 0 and "chmod 600" in p.stderr
    p = world.cli("key", "create", "Oops", "--role", "line", "--certificate",
                  one, check=False)
    assert p.returncode != 0 and "private key" in p.stderr


def test_limits_on_the_command_line(world):
    made = json.loads(world.cli(
        "--json", "key", "create", "Line 4", "--role", "line,support",
        "--product", "thermo,gauge", "--source", "127.0.0.0/8,::1",
        "--description", "hall 2", "--ttl", "90d").stdout)
    assert made["products"] == ["gauge", "thermo"] or \
        made["products"] == ["thermo", "gauge"]
    assert made["sources"] == ["127.0.0.0/8", "::1"]
    assert world.rest("GET", "/whoami", key=made["key"]).status == 200
    assert "hall 2" in json.dumps(json.loads(
        world.cli("--json", "key", "list").stdout))


# ---- names ----

def test_a_name_is_erased_and_the_tree_stays(world):
    name = "Zacharias Quittenbaum"
    idem = {"Idempotency-Key": "erase-1"}
    body = {"name": name, "roles": ["support"],
            "description": f"{name}'s own"}
    a = world.rest("POST", "/keys", body, headers=idem)
    k = a.json["key"]
    kept = world.dir / "kept.note"
    world.cli("ledger", "verify", "--keep", kept)
    assert name in json.dumps(pages(world, None, "/keys", 1000))
    world.cli("key", "erase", id_of(k))
    assert name not in json.dumps(pages(world, None, "/keys", 1000))
    again = world.rest("POST", "/keys", body, headers=idem)
    assert again.status == 201 and name not in again.text
    me = world.rest("GET", "/whoami", key=k).json
    assert me["name"] == "" and me["description"] == ""
    entries = pages(world, None, "/ledger/entries", 1000)
    assert name not in json.dumps(entries)
    erased = [e["entry"] for e in entries
              if e["entry"]["type"] == "operator.erased"]
    assert erased[-1]["key"] == id_of(k) and "actor" in erased[-1]
    world.cli("ledger", "verify", "--keep", kept)
    n = len(entries)
    world.cli("key", "erase", id_of(k))
    assert len(pages(world, None, "/ledger/entries", 1000)) == n
    assert world.cli("key", "erase", "0" * 16, check=False).returncode != 0


def test_an_erased_name_is_not_left_in_the_database():
    name = "Theodolinda Wasserfall"
    with World() as w:
        w.start()
        k = key(w, name, roles=["support"], description=name * 3)
        w.rest("POST", f"/keys/{id_of(k)}/erase", {})
        assert w.stop() == 0
        for path in (w.state / "server").rglob("*"):
            if path.is_file():
                assert name.encode() not in path.read_bytes(), path
        assert name not in w.log()


# ---- the last administrator ----

def test_two_who_revoke_each_other(world):
    for _ in range(3):
        with World() as w:
            w.start()
            crt, pem = person(w, "ada")
            ada = register(w, "Ada", crt).json["id"]
            boss = id_of(w.admin_key)
            with ThreadPoolExecutor(2) as pool:
                a = pool.submit(w.rest, "POST", f"/keys/{ada}/revoke", {})
                b = pool.submit(by_cert, w, crt, pem, "POST",
                                f"/keys/{boss}/revoke", {})
            got = sorted([a.result().status, b.result().status])
            assert got in ([200, 401], [200, 403]), got
            left = [by_cert(w, crt, pem).status,
                    w.rest("GET", "/whoami").status]
            assert sorted(left) == [200, 401], left


def test_the_last_administrator_stays_over_keys_and_certificates():
    with World() as w:
        w.start()
        crt, pem = person(w, "ada")
        ada = register(w, "Ada", crt).json["id"]
        limited = key(w, "limited", products=["thermo"])
        assert limited
        boss = id_of(w.admin_key)
        assert by_cert(w, crt, pem, "POST", f"/keys/{boss}/revoke",
                       {}).status == 200
        a = by_cert(w, crt, pem, "POST", f"/keys/{ada}/revoke", {})
        assert a.status == 403 and "last" in a.json["detail"], a
        # its certificate ends in 30 days, and nobody comes after it
        end = time.monotonic() + 30
        while not any("last administrator" in t for t in
                      w.rest("GET", "/healthz", base="", key="").json["warnings"]):
            assert time.monotonic() < end
            time.sleep(0.1)
        a = by_cert(w, crt, pem, path="/status")
        assert any("last administrator" in t for t in a.json["warnings"])
        assert by_cert(w, crt, pem, "POST", "/keys", {
            "name": "b", "roles": ["admin"]}).status == 201
        while any("last administrator" in t for t in
                  w.rest("GET", "/healthz", base="", key="").json["warnings"]):
            assert time.monotonic() < end
            time.sleep(0.1)
